from itertools import product

import pytest
import safetensors.torch
import torch
from reference import Reference
from small_models import (
    CELL_NAMES,
    CONTEXTS,
    DEPTHS,
    SOURCE_VOCABULARY,
    TARGET_VOCABULARY,
    gradients,
    pad,
    run_steps,
    small_config,
    small_model,
    three_sentences,
)
from torch import Tensor
from torch.nn import functional

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID, ConfigurationError, ModelConfig
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model

COMBINATIONS = [
    small_config(
        cell=cell,
        bidirectional=bidirectional,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        **CONTEXTS[context],
    )
    for cell, context, bidirectional, (encoder_layers, decoder_layers) in product(
        CELL_NAMES, CONTEXTS, (True, False), DEPTHS
    )
] + [
    small_config(cell=cell, **CONTEXTS[context], **option)
    for cell, context, option in product(
        CELL_NAMES,
        CONTEXTS,
        (
            {"reverse_source": True},
            {"reverse_source": True, "bidirectional": False},
            {"tie_embeddings": True},
            {"share_embeddings": True},
            {"share_embeddings": True, "tie_embeddings": True},
        ),
    )
]


def describe(config: ModelConfig) -> str:
    context = config.context_steps if config.attention == "none" else config.attention
    flags = ("bidirectional", "reverse_source", "share_embeddings", "tie_embeddings")
    words = [config.cell, context, f"{config.encoder_layers}to{config.decoder_layers}"]
    return "-".join(words + [flag for flag in flags if getattr(config, flag)])


every_combination = pytest.mark.parametrize("config", COMBINATIONS, ids=describe)


@every_combination
def test_logits_and_alignments_equal_the_plain_loop(config: ModelConfig) -> None:
    model, sentences = small_model(config), three_sentences()
    reference = Reference(model, config)
    source_ids, source_lengths, target_input_ids = sentences.inputs
    logits = model.logits(model(source_ids, source_lengths, target_input_ids))
    state = model.start(source_ids, source_lengths)
    assert state.alignment is None
    alignments = []
    for previous_ids in target_input_ids.unbind(1):
        _, state = model.step(previous_ids, state)
        alignments.append(state.alignment)
    for index, inputs in enumerate(sentences.target_inputs):
        source = sentences.sources[index]
        expected, expected_alignments = reference.logits(source, inputs)
        torch.testing.assert_close(logits[index, : len(inputs)], expected)
        if config.attention == "none":
            assert alignments == [None] * len(alignments)
        for position, alignment in enumerate(expected_alignments):
            found = alignments[position][index]
            torch.testing.assert_close(found[: len(source)], alignment)
            assert not found[len(source) :].any()


@every_combination
def test_loss_and_gradients_equal_those_of_the_steps_and_of_the_plain_loop(
    config: ModelConfig,
) -> None:
    model, sentences = small_model(config), three_sentences()
    output = model.loss(*sentences.all, label_smoothing=0.1)
    output.loss.backward()
    found = gradients(model)

    step_logits = run_steps(model, sentences).flatten(0, 1)
    outputs = pad(sentences.target_outputs).flatten()
    options = {"ignore_index": PAD_ID, "reduction": "sum"}
    step_loss = functional.cross_entropy(step_logits, outputs, label_smoothing=0.1, **options)
    step_loss.backward()
    by_steps = gradients(model)

    reference = Reference(model, config)
    rows = (sentences.sources, sentences.target_inputs, sentences.target_outputs)
    reference_loss = reference.loss(*rows, label_smoothing=0.1)
    reference_loss.backward()

    torch.testing.assert_close(output.loss, step_loss)
    torch.testing.assert_close(output.loss, reference_loss)
    nll = functional.cross_entropy(step_logits, outputs, **options)
    torch.testing.assert_close(output.nll, nll.detach())
    assert output.num_tokens.item() == sum(map(len, sentences.target_outputs))
    for name, gradient in found.items():
        assert gradient is not None, name
        assert gradient.abs().max() > 1e-9, name
        torch.testing.assert_close(gradient, by_steps[name], msg=lambda m, n=name: f"{n}: {m}")
        expected = reference.weights[name].grad
        torch.testing.assert_close(gradient, expected, msg=lambda m, n=name: f"{n}: {m}")


@every_combination
def test_steps_equal_teacher_forcing_batched_or_alone(config: ModelConfig) -> None:
    model, sentences = small_model(config), three_sentences()
    with torch.inference_mode():
        logits = model.logits(model(*sentences.inputs))
        torch.testing.assert_close(run_steps(model, sentences), logits)
        for index, inputs in enumerate(sentences.target_inputs):
            alone = run_steps(model, sentences.only(index))
            torch.testing.assert_close(logits[index, : len(inputs)], alone[0])


@every_combination
def test_weights_go_through_a_file_into_a_fresh_model(config: ModelConfig) -> None:
    model, sentences = small_model(config), three_sentences()
    contents = safetensors.torch.save(
        {name: weight.clone() for name, weight in model.state_dict().items()}
    )
    fresh = small_model(config, seed=2)
    before = fresh.logits(fresh(*sentences.inputs))
    fresh.load_state_dict(safetensors.torch.load(contents))
    logits = model.logits(model(*sentences.inputs))
    assert torch.equal(fresh.logits(fresh(*sentences.inputs)), logits)
    assert not torch.allclose(before, logits)


every_pair = pytest.mark.parametrize(("cell", "context"), list(product(CELL_NAMES, CONTEXTS)))


@every_pair
def test_search_rows_equal_sentences_of_their_own(cell: str, context: str) -> None:
    model = small_model(small_config(cell=cell, decoder_layers=3, **CONTEXTS[context]))
    sentences = three_sentences()
    # Two rows for each of two sentences: after the first step both rows are the sentence's own.
    state = model.start(*sentences.source)
    _, state = model.step(torch.full((3,), BOS_ID), state)
    state = state.select(torch.tensor([0, 0, 1, 1, 2, 2]))
    _, state = model.step(torch.tensor([4, 5, 6, 7, 8, 9]), state)
    # Sentence 1 leaves; the others change places and rows: sentence 2 repeats its second row.
    state = state.select_sentences(torch.tensor([2, 0])).select(torch.tensor([5, 5, 1, 0]))
    logits, state = model.step(torch.tensor([10, 11, 12, 4]), state)

    prefixes = [(2, [9, 10]), (2, [9, 11]), (0, [5, 12]), (0, [4, 4])]
    assert state.decoder.position == 3
    for row, (index, ids) in enumerate(prefixes):
        alone = model.start(*sentences.only(index).source)
        for piece in [BOS_ID, *ids]:
            expected, alone = model.step(torch.tensor([piece]), alone)
        torch.testing.assert_close(logits[row], expected[0])
        if context == "bahdanau":
            length = len(sentences.sources[index])
            torch.testing.assert_close(state.alignment[row, :length], alone.alignment[0])


def test_selected_rows_keep_their_alignments() -> None:
    model = small_model(small_config())
    _, state = model.step(torch.full((3,), BOS_ID), model.start(*three_sentences().source))
    rows = torch.tensor([2, 2, 0, 1])
    selected = state.select(rows)
    torch.testing.assert_close(selected.alignment, state.alignment[rows])
    assert selected.memory is state.memory
    fewer = state.select_sentences(torch.tensor([1]))
    assert fewer.decoder is state.decoder
    assert fewer.alignment is state.alignment


def test_a_step_leaves_the_state_before_it_alone() -> None:
    model = small_model(small_config(decoder_layers=2))
    state = model.start(*three_sentences().source)
    previous_ids = torch.full((3,), BOS_ID)
    first, _ = model.step(previous_ids, state)
    again, _ = model.step(previous_ids, state)
    torch.testing.assert_close(first, again, rtol=0, atol=0)


@every_pair
def test_a_thousand_pieces_stay_finite(cell: str, context: str) -> None:
    torch.manual_seed(1)
    model = build_model(small_config(cell=cell, **CONTEXTS[context]), 11, 13)
    source_ids = torch.randint(4, SOURCE_VOCABULARY, (2, 1000))
    targets = torch.randint(4, TARGET_VOCABULARY, (2, 30))
    output = model.loss(source_ids, torch.tensor([1000, 1]), targets, targets)
    output.loss.backward()
    assert output.loss.isfinite()
    for name, gradient in gradients(model).items():
        assert gradient.isfinite().all(), name


@every_pair
def test_a_source_of_the_end_symbol_alone(cell: str, context: str) -> None:
    config = small_config(cell=cell, encoder_layers=4, **CONTEXTS[context])
    model = small_model(config)
    ids = torch.tensor([[EOS_ID]])
    output = model.loss(ids, torch.tensor([1]), torch.tensor([[BOS_ID]]), ids, label_smoothing=0.1)
    output.loss.backward()
    assert output.loss.isfinite()
    for gradient in gradients(model).values():
        assert gradient is None or gradient.isfinite().all()
    _, state = model.step(torch.tensor([BOS_ID]), model.start(ids, torch.tensor([1])))
    if context == "bahdanau":
        assert state.alignment.tolist() == [[1.0]]


@every_pair
def test_a_vocabulary_of_five_ids(cell: str, context: str) -> None:
    model = build_model(small_config(cell=cell, **CONTEXTS[context]), 5, 5)
    ids = torch.tensor([[4, 4, EOS_ID], [EOS_ID, PAD_ID, PAD_ID]])
    output = model.loss(ids, torch.tensor([3, 1]), ids, ids, label_smoothing=0.1)
    output.loss.backward()
    assert output.loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients(model).values())


def fresh_model(cell: str, context: str) -> EncoderDecoder:
    """In float32, as `build_model` draws it."""
    torch.manual_seed(1)
    config = small_config(cell=cell, encoder_layers=3, decoder_layers=3, **CONTEXTS[context])
    return build_model(config, SOURCE_VOCABULARY, TARGET_VOCABULARY)


@every_pair
def test_bfloat16_weights_stay_close_to_float32(cell: str, context: str) -> None:
    model, low = fresh_model(cell, context), fresh_model(cell, context).to(torch.bfloat16)
    sentences = three_sentences()
    with torch.inference_mode():
        expected, logits = run_steps(model, sentences), run_steps(low, sentences)
        teacher_forced = low.logits(low(*sentences.inputs))
        state = low.start(*sentences.source)
        _, after = low.step(torch.full((3,), BOS_ID), state)
    torch.testing.assert_close(logits.float(), expected, atol=0.05, rtol=0.05)
    torch.testing.assert_close(teacher_forced.float(), logits.float(), atol=0.03, rtol=0.03)
    for part in (*state.decoder.layers, *after.decoder.layers):
        assert part.dtype == torch.float32


@every_pair
def test_bfloat16_autocast_stays_close_to_float32(cell: str, context: str) -> None:
    model, sentences = fresh_model(cell, context), three_sentences()
    results: list[tuple[Tensor, Tensor]] = []
    for low in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            output = model.loss(*sentences.all, label_smoothing=0.1)
        output.loss.backward()
        found = gradients(model)
        assert {gradient.dtype for gradient in found.values()} == {torch.float32}
        results.append(
            (output.loss.detach(), torch.cat([part.flatten() for part in found.values()]))
        )
    (loss, gradient), (low_loss, low_gradient) = results
    torch.testing.assert_close(low_loss, loss, rtol=0.01, atol=0)
    assert functional.cosine_similarity(gradient, low_gradient, dim=0) > 0.998


@pytest.mark.parametrize("context", CONTEXTS)
def test_bfloat16_weights_learn_too(context: str) -> None:
    model = fresh_model("lstm", context).to(torch.bfloat16)
    model.loss(*three_sentences().all).loss.backward()
    for name, gradient in gradients(model).items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name


def test_padding_has_a_vector_of_zeros_at_the_start() -> None:
    model = build_model(small_config(), SOURCE_VOCABULARY, TARGET_VOCABULARY)
    for embedding in (model.encoder.embedding, model.decoder.embedding):
        assert not embedding.weight[PAD_ID].any()
        assert embedding.weight[PAD_ID + 1 :].all()


def test_embeddings_are_shared_when_asked() -> None:
    shared = build_model(small_config(share_embeddings=True), 11, 11)
    assert shared.encoder.embedding is shared.decoder.embedding
    apart = build_model(small_config(), 11, 11)
    assert apart.encoder.embedding is not apart.decoder.embedding


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"`model\.cell` must be one of rnn, gru, lstm, but is 'elman'\."
    ):
        build_model(small_config(cell="elman"), 11, 13)
    with pytest.raises(
        ConfigurationError,
        match=r"`model\.attention` must be one of bahdanau, none, but is 'luong'\.",
    ):
        build_model(small_config(attention="luong"), 11, 13)


def test_one_embedding_for_two_vocabularies_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"`model\.share_embeddings` needs one vocabulary"):
        build_model(small_config(share_embeddings=True), 11, 13)
