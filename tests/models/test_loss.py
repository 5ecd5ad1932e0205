import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from seq2seq.models import loss as loss_module
from seq2seq.models.loss import attention_loss, vocabulary_loss
from seq2seq.models.products import plain_path

BATCH, TARGET_LENGTH, READOUT_SIZE, VOCABULARY_SIZE, PAD = 3, 4, 5, 7, 0
TARGETS = torch.tensor([[1, 6, 3, PAD], [2, PAD, PAD, PAD], [5, 5, 4, 3]])
NUM_TOKENS = 8


def make_inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Features, weight and bias."""
    shapes = [(BATCH, TARGET_LENGTH, READOUT_SIZE), (VOCABULARY_SIZE, READOUT_SIZE)]
    return tuple(
        torch.randn(*shape, dtype=dtype, requires_grad=True)
        for shape in [*shapes, (VOCABULARY_SIZE,)]
    )


def torch_loss(features: Tensor, weight: Tensor, bias: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(
        functional.linear(features, weight, bias).flatten(0, 1),
        TARGETS.flatten(),
        ignore_index=PAD,
        reduction="sum",
        label_smoothing=smoothing,
    )


# 1 element is one token at a time; 21 are three tokens, which do not divide the eight.
@pytest.mark.parametrize("block_elements", [1, 21, 10**6])
@pytest.mark.parametrize("slice_elements", [1, 21, 8 * 7, 10**6])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_values_and_gradients_equal_those_of_torch(
    smoothing: float, slice_elements: int, block_elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_module, "SLICE_BYTES", 8 * slice_elements)
    monkeypatch.setattr(loss_module, "BLOCK_ELEMENTS", block_elements)
    inputs = make_inputs()
    output = vocabulary_loss(*inputs, TARGETS, pad_id=PAD, label_smoothing=smoothing)
    expected = torch_loss(*inputs, smoothing)
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(output.nll, torch_loss(*inputs, 0.0).detach())
    assert output.num_tokens.item() == NUM_TOKENS
    assert not output.nll.requires_grad
    torch.testing.assert_close(
        torch.autograd.grad(output.loss / 3, inputs), torch.autograd.grad(expected / 3, inputs)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_plain_path_gives_the_same(smoothing: float) -> None:
    inputs, results = make_inputs(), []
    for plain in (True, False):
        with plain_path(plain):
            output = vocabulary_loss(*inputs, TARGETS, pad_id=PAD, label_smoothing=smoothing)
        assert not output.nll.requires_grad
        results.append((*output, torch.autograd.grad(output.loss, inputs)))
    torch.testing.assert_close(*results)


def test_float32_by_onednn_equals_torch(onednn: None) -> None:
    inputs = make_inputs(torch.float32)
    output = vocabulary_loss(*inputs, TARGETS, pad_id=PAD, label_smoothing=0.1)
    expected = torch_loss(*inputs, 0.1)
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(output.loss, inputs), torch.autograd.grad(expected, inputs)
    )


def test_padding_gets_no_gradient_and_has_no_say() -> None:
    features, weight, bias = make_inputs()
    padding = TARGETS == PAD
    output = vocabulary_loss(features, weight, bias, TARGETS, pad_id=PAD, label_smoothing=0.1)
    output.loss.backward()
    assert not features.grad[padding].any()
    assert features.grad[~padding].all()
    other = features.detach().masked_fill(padding.unsqueeze(-1), torch.nan)
    again = vocabulary_loss(other, weight, bias, TARGETS, pad_id=PAD, label_smoothing=0.1)
    torch.testing.assert_close(again.loss, output.loss)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_gradients_pass_gradcheck(smoothing: float) -> None:
    def losses(*inputs: Tensor) -> Tensor:
        return vocabulary_loss(*inputs, TARGETS, pad_id=PAD, label_smoothing=smoothing).loss

    assert torch.autograd.gradcheck(losses, make_inputs())


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_frozen_inputs_get_no_gradient_and_the_others_the_same(frozen: int) -> None:
    inputs = make_inputs()
    inputs[frozen].requires_grad_(False)
    asked = [tensor for tensor in inputs if tensor.requires_grad]
    output = vocabulary_loss(*inputs, TARGETS, pad_id=PAD, label_smoothing=0.1)
    expected = torch.autograd.grad(torch_loss(*inputs, 0.1), asked)
    torch.testing.assert_close(torch.autograd.grad(output.loss, asked), expected)


class _CountedProducts(TorchDispatchMode):
    """Counts matrix products."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in (
            "mm",
            "addmm",
            "bmm",
            "linear",
            "_linear_pointwise",
        ):
            self.count += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("way", ["no_grad", "inference_mode", "detached"])
def test_without_gradients_only_the_scores_are_formed(way: str) -> None:
    inputs = make_inputs()
    expected = torch_loss(*inputs, 0.1).detach()
    if way == "detached":
        inputs = tuple(tensor.detach() for tensor in inputs)
    mode = torch.inference_mode if way == "inference_mode" else torch.no_grad
    with mode(), _CountedProducts() as products:
        output = vocabulary_loss(*inputs, TARGETS, pad_id=PAD, label_smoothing=0.1)
    torch.testing.assert_close(output.loss, expected)
    assert not output.loss.requires_grad
    assert products.count == 1


def test_a_batch_of_padding_only_costs_nothing() -> None:
    inputs = make_inputs()
    output = vocabulary_loss(
        *inputs, torch.full_like(TARGETS, PAD), pad_id=PAD, label_smoothing=0.1
    )
    assert output.loss.item() == output.nll.item() == output.num_tokens.item() == 0
    output.loss.backward()
    for tensor in inputs:
        assert not tensor.grad.any()


def test_large_scores_stay_finite() -> None:
    features, weight, bias = (tensor.detach().float() for tensor in make_inputs())
    features = (1e4 * features).requires_grad_()
    output = vocabulary_loss(features, weight, bias, TARGETS, pad_id=PAD, label_smoothing=0.1)
    output.loss.backward()
    assert output.loss.isfinite()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("low", ["autocast", "weights"])
def test_bfloat16_is_close_to_float32(low: str) -> None:
    inputs = make_inputs(torch.float32)
    expected = torch_loss(*inputs, 0.1)
    expected_gradients = torch.autograd.grad(expected, inputs)
    if low == "weights":
        inputs = tuple(tensor.detach().bfloat16().requires_grad_() for tensor in inputs)
    with torch.autocast("cpu", torch.bfloat16, enabled=low == "autocast"):
        output = vocabulary_loss(*inputs, TARGETS, pad_id=PAD, label_smoothing=0.1)
    assert output.loss.dtype == output.nll.dtype == torch.float32
    torch.testing.assert_close(output.loss, expected, rtol=0.02, atol=0.02)
    found = torch.autograd.grad(output.loss, inputs)
    assert [part.dtype for part in found] == [tensor.dtype for tensor in inputs]
    torch.testing.assert_close(
        [part.float() for part in found], list(expected_gradients), rtol=0.05, atol=0.05
    )


ALIGNMENTS = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], [[1.0, 0.0, 0.0], [0.6, 0.4, 0.0]]])


def test_the_attention_loss_is_a_cross_entropy_of_linked_pieces() -> None:
    guide = torch.tensor([[[0.0, 1.0, 0.0], [0.0] * 3], [[0.0] * 3, [0.5, 0.5, 0.0]]])
    expected = -(math.log(0.3) + (math.log(0.6) + math.log(0.4)) / 2)
    assert attention_loss(ALIGNMENTS, guide).item() == pytest.approx(expected)
    assert attention_loss(ALIGNMENTS, torch.zeros_like(guide)).item() == 0


def test_attention_that_is_quite_elsewhere_leaves_gradients_finite() -> None:
    scores = torch.tensor([[[0.0, 200.0], [0.0, 40.0]]], requires_grad=True)
    guide = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    loss = attention_loss(scores.softmax(-1), guide)
    (gradient,) = torch.autograd.grad(1e3 * loss, scores)
    assert loss.isfinite() and gradient.isfinite().all()
    torch.testing.assert_close(gradient[0, 1], torch.tensor([-1e3, 1e3]))
