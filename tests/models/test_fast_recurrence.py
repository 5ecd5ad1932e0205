import gc
import weakref
from typing import Any

import pytest
import torch
from small_models import CELL_NAMES, CONTEXTS, small_config, small_model, three_sentences
from torch import Tensor

from seq2seq.models.cells import CELLS, Cell
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.fast_recurrence import AttentionWeights, run_attention_recurrence
from seq2seq.models.loss import LossOutput
from seq2seq.models.products import plain_path
from seq2seq.models.recurrence import run_recurrence

HIDDEN_SIZE, ATTENTION_SIZE, ENCODER_SIZE = 3, 4, 5
BATCH, SOURCE_LENGTH, TARGET_LENGTH = 2, 3, 4


def run(model: EncoderDecoder, **options: int | None) -> LossOutput:
    return model.loss(*three_sentences().all, label_smoothing=0.1, **options)


@pytest.mark.parametrize("truncation_steps", [None, 1, 2, 3])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_loss_and_gradients_equal_those_of_the_plain_path(
    cell: str, context: str, layers: int, truncation_steps: int | None
) -> None:
    config = small_config(
        cell=cell, encoder_layers=layers, decoder_layers=layers, **CONTEXTS[context]
    )
    model, results = small_model(config), []
    for plain in (True, False):
        with plain_path(plain):
            output = run(model, truncation_steps=truncation_steps)
        gradients = torch.autograd.grad(
            output.loss, list(model.parameters()), materialize_grads=True
        )
        results.append((*output, gradients))
    torch.testing.assert_close(*results)


def guide() -> Tensor:
    """Of `three_sentences`, some of whose target pieces are linked, one with two source pieces."""
    guide = torch.zeros(3, 4, 5)
    guide[0, 0, 1] = guide[0, 3, 2] = guide[1, 1, 4] = guide[2, 0, 0] = 1
    guide[0, 1, :2] = 0.5
    return guide


@pytest.mark.parametrize("truncation_steps", [None, 1, 3])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_guided_attention_learns_the_same_on_the_plain_path(
    cell: str, layers: int, truncation_steps: int | None
) -> None:
    config = small_config(cell=cell, encoder_layers=layers, decoder_layers=layers)
    model, results = small_model(config), []
    for plain in (True, False):
        with plain_path(plain):
            output, attention = guided(model, truncation_steps=truncation_steps)
        gradients = torch.autograd.grad(output.loss + 0.7 * attention, list(model.parameters()))
        results.append((*output, attention, gradients))
    torch.testing.assert_close(*results)
    torch.testing.assert_close(results[1][:3], tuple(run(model)))
    assert attention > 0


def guided(model: EncoderDecoder, **options: Any) -> tuple[LossOutput, Tensor]:
    return model.guided_loss(*three_sentences().all, guide(), label_smoothing=0.1, **options)


@pytest.mark.parametrize("plain", [True, False])
def test_a_cell_without_a_gradient_of_its_own_can_be_guided(
    plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, results = small_model(small_config(cell="gru")), []
    for has_gradient in (True, False):
        monkeypatch.setattr(type(model.decoder.layers[0]), "has_gradient", has_gradient)
        with plain_path(plain):
            _, attention = guided(model)
        gradients = torch.autograd.grad(attention, list(model.encoder.parameters()))
        results.append((attention, gradients))
    torch.testing.assert_close(*results)


def test_a_guide_needs_attention() -> None:
    model = small_model(small_config(attention="none"))
    for plain in (True, False):
        with plain_path(plain), pytest.raises(ValueError, match="needs a network with attention"):
            guided(model)


def test_float32_by_onednn_equals_float64(onednn: None) -> None:
    model, results = small_model(small_config()), []
    for dtype in (torch.float64, torch.float32):
        model.to(dtype)
        output = run(model)
        gradients = torch.autograd.grad(output.loss, list(model.parameters()))
        results.append([tensor.float() for tensor in (*output, *gradients)])
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_bfloat16_is_close_to_float32(cell: str) -> None:
    model, results = small_model(small_config(cell=cell)).float(), []
    for low in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            output = run(model)
        gradients = torch.autograd.grad(output.loss, list(model.parameters()))
        assert {gradient.dtype for gradient in gradients} == {torch.float32}
        results.append(torch.cat([gradient.flatten() for gradient in gradients]))
    full, low_precision = results
    assert (low_precision - full).norm() < 0.05 * full.norm()


def attention_inputs(cell: Cell) -> tuple[Tensor, ...]:
    """What the layer with attention is given, in the order of its arguments."""
    gates = cell.num_gates * HIDDEN_SIZE
    shapes = [
        (TARGET_LENGTH, BATCH, gates),
        (BATCH, SOURCE_LENGTH, ATTENTION_SIZE),
        (BATCH, SOURCE_LENGTH, ENCODER_SIZE),
        (gates, ENCODER_SIZE),
        (ATTENTION_SIZE, HIDDEN_SIZE),
        (ATTENTION_SIZE,),
        *[(BATCH, HIDDEN_SIZE)] * cell.num_states,
    ]
    return tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)


MASK = torch.tensor([[True, True, True], [True, True, False]])


@pytest.mark.parametrize("with_alignments", [False, True])
@pytest.mark.parametrize("name", CELL_NAMES)
def test_gradients_of_the_layer_with_attention_pass_gradcheck(
    name: str, with_alignments: bool
) -> None:
    cell = CELLS[name](2, HIDDEN_SIZE).double()

    def outputs(*inputs: Tensor) -> tuple[Tensor, ...]:
        embedded, keys, values, context, query, score, *state = inputs
        weights = AttentionWeights(context, query, score)
        found = run_attention_recurrence(
            cell, weights, embedded, keys, values, MASK, tuple(state), stretch=TARGET_LENGTH,
            with_alignments=with_alignments,
        )  # fmt: skip
        assert len(found) == 2 + with_alignments
        return found

    assert torch.autograd.gradcheck(outputs, attention_inputs(cell))


def test_far_scores_stay_finite() -> None:
    cell = CELLS["lstm"](2, HIDDEN_SIZE)
    inputs = [1e4 * tensor.detach().float() for tensor in attention_inputs(cell)]
    for tensor in inputs:
        tensor.requires_grad_()
    embedded, keys, values, *weights, hidden, memory = inputs
    outputs = run_attention_recurrence(
        cell, AttentionWeights(*weights), embedded, keys, values, MASK, (hidden, memory), stretch=2
    )
    gradients = torch.autograd.grad(sum(part.sum() for part in outputs), inputs)
    assert all(tensor.isfinite().all() for tensor in (*outputs, *gradients))


@pytest.mark.parametrize("name", CELL_NAMES)
def test_two_backward_passes_through_one_graph_add_up(name: str) -> None:
    cell = CELLS[name](2, HIDDEN_SIZE).double()
    projected = torch.randn(5, cell.num_gates * HIDDEN_SIZE, dtype=torch.float64)
    projected.requires_grad_()
    outputs, _ = run_recurrence(cell, projected, [3, 2], cell.start(3))
    (once,) = torch.autograd.grad(outputs.sum(), projected, retain_graph=True)
    (twice,) = torch.autograd.grad(2 * outputs.sum(), projected)
    torch.testing.assert_close(twice, 2 * once)


def test_a_cell_without_a_gradient_of_its_own_trains_by_its_equations() -> None:
    class Leaky(Cell):
        num_gates = 1

        def update(
            self, projected: Tensor, recurrent: Tensor, state: tuple[Tensor, ...]
        ) -> tuple[Tensor]:
            return (0.5 * state[0] + torch.tanh(projected + recurrent),)

    cell = Leaky(2, HIDDEN_SIZE).double()
    projected = torch.randn(5, HIDDEN_SIZE, dtype=torch.float64, requires_grad=True)
    outputs, _ = run_recurrence(cell, projected, [3, 2], cell.start(3))
    first = torch.tanh(projected[:3] + cell.bias_hh)
    second = 0.5 * first[:2] + torch.tanh(
        projected[3:] + first[:2] @ cell.weight_hh.t() + cell.bias_hh
    )
    expected = torch.cat([first, second])
    torch.testing.assert_close(outputs, expected)
    weights = torch.randn_like(outputs)
    torch.testing.assert_close(
        torch.autograd.grad(outputs, [projected, cell.weight_hh], weights),
        torch.autograd.grad(expected, [projected, cell.weight_hh], weights),
    )


@pytest.mark.parametrize("with_backward", [True, False])
def test_graphs_are_freed_without_the_garbage_collector(with_backward: bool) -> None:
    cell = CELLS["lstm"](2, HIDDEN_SIZE)
    gc.collect()
    gc.disable()
    try:
        projected = torch.randn(5, 4 * HIDDEN_SIZE)
        outputs = run_recurrence(cell, projected, [3, 2], cell.start(3))[0]
        node = weakref.ref(outputs.grad_fn)
        if with_backward:
            outputs.sum().backward()
        del outputs
        assert node() is None
    finally:
        gc.enable()
