import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from seq2seq.models.products import (
    is_plain,
    linear,
    multiply,
    multiply_over_rows,
    plain_path,
    to_rows,
)

DTYPES = [torch.float64, torch.float32, torch.bfloat16]


def make_inputs(*shape: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Inputs [*shape, 3], a weight [5, 3] and a bias [5]."""
    sizes = [(*shape, 3), (5, 3), (5,)]
    return [torch.randn(*size, dtype=dtype, requires_grad=True) for size in sizes]


def compare(inputs: Tensor, weight: Tensor, bias: Tensor | None, **tolerance: float) -> None:
    """Values and gradients of `linear` against torch's own."""
    asked = [tensor for tensor in (inputs, weight, bias) if tensor is not None]
    results = []
    for product in (linear, functional.linear):
        outputs = product(inputs, weight, bias)
        results.append((outputs, torch.autograd.grad(outputs.float().sin().sum(), asked)))
    torch.testing.assert_close(*results, **tolerance)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4), (1, 1), (0,), (17,)], ids=str)
def test_linear_equals_torch(shape: tuple[int, ...], with_bias: bool, onednn: None) -> None:
    inputs, weight, bias = make_inputs(*shape)
    compare(inputs, weight, bias if with_bias else None)


def test_linear_with_a_slice_of_a_weight_equals_torch(onednn: None) -> None:
    inputs, weight, bias = make_inputs(4)
    compare(inputs[:, :2], weight[:, 1:], bias)


def test_linear_in_bfloat16_is_close_to_torch() -> None:
    compare(*make_inputs(4, dtype=torch.bfloat16), atol=0.05, rtol=0.05)


def test_linear_passes_gradcheck() -> None:
    assert torch.autograd.gradcheck(linear, make_inputs(4, dtype=torch.float64))


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_needs_no_gradient_gets_none(frozen: int, onednn: None) -> None:
    inputs = make_inputs(4)
    inputs[frozen].requires_grad_(False)
    linear(*inputs).sum().backward()
    for index, tensor in enumerate(inputs):
        assert (tensor.grad is None) == (index == frozen)


def test_two_backward_passes_through_one_graph_add_up(onednn: None) -> None:
    inputs = make_inputs(4)
    loss = linear(*inputs).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    expected = torch.autograd.grad(2 * functional.linear(*inputs).sum(), inputs)
    torch.testing.assert_close([tensor.grad for tensor in inputs], list(expected))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_linear_without_gradients(mode: type, onednn: None) -> None:
    inputs = make_inputs(4)
    with mode():
        outputs = linear(*inputs)
    assert not outputs.requires_grad
    torch.testing.assert_close(outputs, functional.linear(*inputs).detach())


def test_gradients_are_in_the_precision_of_their_tensors_under_autocast() -> None:
    inputs = make_inputs(4)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = linear(*inputs)
    assert outputs.dtype == torch.bfloat16
    gradients = torch.autograd.grad(outputs.float().sum(), inputs)
    assert {gradient.dtype for gradient in gradients} == {torch.float32}
    expected = torch.autograd.grad(functional.linear(*inputs).sum(), inputs)
    torch.testing.assert_close(gradients, expected, atol=0.05, rtol=0.05)


def test_linear_takes_the_precision_of_its_weights() -> None:
    weight = torch.randn(2, 3, dtype=torch.bfloat16)
    assert linear(torch.randn(4, 3), weight).dtype == torch.bfloat16
    assert linear(torch.randn(4, 3).double(), weight.float()).dtype == torch.float32


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_multiply_knows_weights_that_lie_either_way(
    dtype: torch.dtype, transposed: bool, onednn: None
) -> None:
    inputs, weight = torch.randn(16, 3, dtype=dtype), torch.randn(5, 3, dtype=dtype)
    lying = weight.t().contiguous().t() if transposed else weight
    torch.testing.assert_close(multiply(inputs, lying), inputs @ weight.t())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_multiply_over_rows(dtype: torch.dtype, onednn: None) -> None:
    left, right = torch.randn(16, 3, dtype=dtype), torch.randn(16, 5, dtype=dtype)
    torch.testing.assert_close(multiply_over_rows(left, right), left.t() @ right)


@given(rows=st.integers(0, 700), dtype=st.sampled_from(DTYPES))
def test_rounded_rows_hold_the_matrix_and_zeros(rows: int, dtype: torch.dtype) -> None:
    matrix = torch.randn(rows, 2)
    rounded = to_rows(matrix, dtype)
    assert rounded.dtype == dtype
    assert rows <= len(rounded) <= max(rows + 15, rows + rows // 8) + (rows == 0)
    assert torch.equal(rounded[:rows], matrix.to(dtype))
    assert not rounded[rows:].any()


def test_few_numbers_of_rows_reach_the_processors_library() -> None:
    met = {len(to_rows(torch.zeros(rows, 1), torch.bfloat16)) for rows in range(1, 2049)}
    assert len(met) < 50


def test_the_plain_path_is_left_as_it_was_found() -> None:
    assert not is_plain()
    with plain_path():
        assert is_plain()
        with plain_path(False):
            assert not is_plain()
        assert is_plain()
    with pytest.raises(ZeroDivisionError), plain_path():
        _ = 1 / 0
    assert not is_plain()
