import math

import pytest
import torch
from small_models import randomise, small_config
from torch import Tensor, nn

from seq2seq.models.attention import (
    ATTENTIONS,
    Attention,
    BahdanauAttention,
    FixedContext,
    Memory,
)
from seq2seq.models.encoder import EncoderOutput

LENGTHS = [5, 2, 1]
SENTENCES, SOURCE_LENGTH, ENCODER_SIZE, QUERY_SIZE, ATTENTION_SIZE = 3, 5, 7, 4, 6


def make_encoded() -> EncoderOutput:
    mask = torch.arange(SOURCE_LENGTH) < torch.tensor(LENGTHS).unsqueeze(1)
    outputs = torch.randn(SENTENCES, SOURCE_LENGTH, ENCODER_SIZE, dtype=torch.float64)
    final = torch.randn(2, SENTENCES, ENCODER_SIZE, dtype=torch.float64)
    return EncoderOutput(outputs * mask.unsqueeze(-1), (final, -final), mask)


def make_bahdanau() -> BahdanauAttention:
    attention = BahdanauAttention(QUERY_SIZE, ENCODER_SIZE, ATTENTION_SIZE).double()
    randomise(attention)
    return attention


def make_query(rows: int) -> Tensor:
    return torch.randn(rows, QUERY_SIZE, dtype=torch.float64)


def test_bahdanau_equals_his_equations_in_plain_python() -> None:
    attention, encoded, query = make_bahdanau(), make_encoded(), make_query(SENTENCES)
    context, alignment = attention(query, attention.prepare(encoded), position=0)
    w = attention.project_query.weight.tolist()
    u, b = attention.project_key.weight.tolist(), attention.project_key.bias.tolist()
    (v,) = attention.score.weight.tolist()

    def dot(left: list[float], right: list[float]) -> float:
        return sum(one * other for one, other in zip(left, right, strict=True))

    for index, length in enumerate(LENGTHS):
        s = query[index].tolist()
        h = encoded.encoder_outputs[index, :length].tolist()
        e = [
            sum(
                v[a] * math.tanh(dot(w[a], s) + dot(u[a], h[j]) + b[a])
                for a in range(ATTENTION_SIZE)
            )
            for j in range(length)
        ]
        a = [math.exp(energy) / sum(map(math.exp, e)) for energy in e]
        c = [sum(a[j] * h[j][f] for j in range(length)) for f in range(ENCODER_SIZE)]
        assert alignment[index].tolist() == pytest.approx(a + [0.0] * (SOURCE_LENGTH - length))
        assert context[index].tolist() == pytest.approx(c)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_alignments_sum_to_one_and_leave_padding_out(scale: float) -> None:
    attention, encoded = make_bahdanau(), make_encoded()
    nn.init.constant_(attention.score.weight, scale)
    query = make_query(2 * SENTENCES)
    context, alignment = attention(query, attention.prepare(encoded), position=0)
    assert context.shape == (2 * SENTENCES, ENCODER_SIZE)
    assert alignment.shape == (2 * SENTENCES, SOURCE_LENGTH)
    torch.testing.assert_close(alignment.sum(1), torch.ones(2 * SENTENCES, dtype=torch.float64))
    padding = ~encoded.source_mask.repeat_interleave(2, dim=0)
    assert (alignment[padding] == 0).all()
    assert context.isfinite().all()


def test_what_stands_at_padding_changes_nothing() -> None:
    attention, encoded, query = make_bahdanau(), make_encoded(), make_query(SENTENCES)
    expected = attention(query, attention.prepare(encoded), position=0)
    noise = torch.randn_like(encoded.encoder_outputs) * ~encoded.source_mask.unsqueeze(-1)
    noisy = encoded._replace(encoder_outputs=encoded.encoder_outputs + 9 * noise)
    torch.testing.assert_close(attention(query, attention.prepare(noisy), position=0), expected)


def make_all() -> list[Attention]:
    return [make_bahdanau(), FixedContext(every_step=True), FixedContext(every_step=False)]


@pytest.mark.parametrize("kind", range(3), ids=["bahdanau", "every", "first"])
def test_several_rows_of_a_sentence_equal_a_repeated_memory(kind: int) -> None:
    attention, encoded, width = make_all()[kind], make_encoded(), 4
    memory, query = attention.prepare(encoded), make_query(SENTENCES * width)
    repeated = memory.select_sentences(torch.arange(SENTENCES).repeat_interleave(width))
    torch.testing.assert_close(
        attention(query, memory, position=0), attention(query, repeated, position=0)
    )
    first_of_each = query.unflatten(0, (SENTENCES, width))[:, 0]
    context, _ = attention(query, memory, position=0)
    expected, _ = attention(first_of_each, memory, position=0)
    torch.testing.assert_close(context.unflatten(0, (SENTENCES, width))[:, 0], expected)


@pytest.mark.parametrize("kind", range(3), ids=["bahdanau", "every", "first"])
@pytest.mark.parametrize("indices", [[2, 0], [1], [1, 1, 0, 2]], ids=str)
def test_selected_sentences_keep_their_contexts(kind: int, indices: list[int]) -> None:
    attention, encoded, query = make_all()[kind], make_encoded(), make_query(SENTENCES)
    memory, kept = attention.prepare(encoded), torch.tensor(indices)
    context, alignment = attention(query, memory, position=0)
    selected = memory.select_sentences(kept)
    assert len(selected.values) == len(indices)
    new_context, new_alignment = attention(query[kept], selected, position=0)
    torch.testing.assert_close(new_context, context[kept])
    if alignment is not None:
        torch.testing.assert_close(new_alignment, alignment[kept])


def test_gradients_of_bahdanau_pass_gradcheck() -> None:
    attention, encoded = make_bahdanau(), make_encoded()
    names, weights = zip(*attention.named_parameters(), strict=True)

    def look(query: Tensor, outputs: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        class Look(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.attention = attention

            def forward(self) -> tuple[Tensor, Tensor]:
                memory = attention.prepare(encoded._replace(encoder_outputs=outputs))
                return attention(query, memory, position=0)

        by_name = {f"attention.{name}": weight for name, weight in zip(names, weights, strict=True)}
        return torch.func.functional_call(Look(), by_name, ())

    inputs = (make_query(2 * SENTENCES), encoded.encoder_outputs, *weights)
    inputs = tuple(tensor.detach().clone().requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(look, inputs)


@pytest.mark.parametrize("every_step", [True, False])
def test_fixed_context_is_the_summary_at_every_step_or_the_first(every_step: bool) -> None:
    attention, encoded = FixedContext(every_step=every_step), make_encoded()
    memory = attention.prepare(encoded)
    summary = encoded.final_state[0][-1].repeat_interleave(2, dim=0)
    for position in range(3):
        context, alignment = attention(make_query(2 * SENTENCES), memory, position=position)
        assert alignment is None
        expected = summary if every_step or position == 0 else torch.zeros_like(summary)
        assert torch.equal(context, expected)


def test_a_recipe_names_the_attention() -> None:
    made = {name: kind.from_config(small_config()) for name, kind in ATTENTIONS.items()}
    assert {name: type(attention) for name, attention in made.items()} == ATTENTIONS
    for steps in ("every", "first"):
        fixed = FixedContext.from_config(small_config(attention="none", context_steps=steps))
        assert fixed.every_step == (steps == "every")


def test_a_memory_of_another_attention_is_refused() -> None:
    memory = FixedContext(every_step=True).prepare(make_encoded())
    with pytest.raises(ValueError, match=r"was not prepared by a BahdanauAttention\."):
        make_bahdanau()(make_query(SENTENCES), memory, position=0)


def test_an_attention_without_methods_says_so() -> None:
    class Half(Attention):
        pass

    with pytest.raises(TypeError, match=r"Half cannot be made from a recipe\."):
        Half.from_config(small_config())
    with pytest.raises(TypeError, match=r"Half prepares no memory\."):
        Half().prepare(make_encoded())
    with pytest.raises(TypeError, match=r"Half gives no context\."):
        Half()(make_query(SENTENCES), Memory(torch.zeros(1, 1, 1)), position=0)
