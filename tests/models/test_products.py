import gc

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seq2seq.models.products import DeferredProducts, Linear, _Tape, linear

STEPS, ROWS, SIZE = 4, 3, 5


def make_weights(*, bias: bool = True) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """A square recurrent matrix, its bias, and an input for each step."""
    weight = torch.randn(SIZE, SIZE, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(SIZE, dtype=torch.float64, requires_grad=True) if bias else None
    inputs = [
        torch.randn(ROWS, SIZE, dtype=torch.float64, requires_grad=True) for _ in range(STEPS)
    ]
    return weight, offset, inputs


def run_loop(
    product: Linear, weight: Tensor, bias: Tensor | None, inputs: list[Tensor]
) -> list[Tensor]:
    """A tanh network: each step needs the one before."""
    state, states = torch.zeros_like(inputs[0]), []
    for step in inputs:
        state = torch.tanh(step + product(state + step, weight, bias))
        states.append(state)
    return states


def given(*tensors: Tensor | None) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor is not None]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("used", [slice(None), slice(0, 2), slice(-1, None), slice(1, 2)])
def test_a_loop_equals_functional_linear_whatever_outputs_are_used(bias: bool, used: slice) -> None:
    weight, offset, inputs = make_weights(bias=bias)
    results = []
    for product in (DeferredProducts(), functional.linear):
        states = torch.stack(run_loop(product, weight, offset, inputs)[used])
        asked = given(weight, offset, *inputs)
        loss = (states * torch.arange(1.0, SIZE + 1)).sum()
        results.append((states, torch.autograd.grad(loss, asked, materialize_grads=True)))
    torch.testing.assert_close(*results)


def test_slices_of_one_weight_equal_functional_linear() -> None:
    whole = torch.randn(7, 3 + SIZE, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(STEPS, ROWS, SIZE, dtype=torch.float64, requires_grad=True)
    first = torch.randn(ROWS, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for product in (DeferredProducts(), functional.linear):
        left, right = whole[:, :3], whole[:, 3:]
        outputs = [product(first, left, None)]
        outputs += [product(step + outputs[-1][:, :SIZE], right, None) for step in inputs]
        loss = torch.stack(outputs).pow(2).sum()
        results.append((outputs, torch.autograd.grad(loss, [whole, inputs, first])))
    torch.testing.assert_close(*results)


def test_a_slice_made_anew_for_each_step_equals_functional_linear() -> None:
    whole = torch.randn(7, 3 + SIZE, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(STEPS, ROWS, SIZE, dtype=torch.float64)
    results = []
    for product in (DeferredProducts(), functional.linear):
        loss = sum(product(step, whole[:, 3:], None).pow(2).sum() for step in inputs)
        results.append(torch.autograd.grad(loss, [whole]))
    torch.testing.assert_close(*results)


def test_a_weight_in_two_loops_gets_the_gradients_of_both() -> None:
    weight, bias, inputs = make_weights()
    results = []
    for make in (DeferredProducts, lambda: functional.linear):
        below = run_loop(make(), weight, bias, inputs)
        above = run_loop(make(), weight, bias, below)
        loss = above[-1].sum() + below[1].pow(2).sum()
        results.append(torch.autograd.grad(loss, given(weight, bias, *inputs)))
    torch.testing.assert_close(*results)


def test_inputs_of_any_number_of_axes() -> None:
    weight, bias, _ = make_weights()
    inputs = torch.randn(2, ROWS, 4, SIZE, dtype=torch.float64, requires_grad=True)
    results = []
    for product in (DeferredProducts(), functional.linear):
        outputs = product(inputs, weight, bias)
        results.append((outputs, torch.autograd.grad(outputs.sin().sum(), [weight, bias, inputs])))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("frozen", ["weight", "bias", "inputs"])
def test_what_needs_no_gradient_gets_none(frozen: str) -> None:
    weight, bias, inputs = make_weights()
    parts = {"weight": [weight], "bias": given(bias), "inputs": inputs}
    for part in parts.pop(frozen):
        part.requires_grad_(False)
    asked = [tensor for part in parts.values() for tensor in part]
    results = []
    for product in (DeferredProducts(), functional.linear):
        loss = run_loop(product, weight, bias, inputs)[-1].sum()
        results.append(torch.autograd.grad(loss, asked))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_it_is_linear(mode: type) -> None:
    weight, bias, inputs = make_weights()
    with mode():
        states = run_loop(DeferredProducts(), weight, bias, inputs)
        torch.testing.assert_close(states, run_loop(functional.linear, weight, bias, inputs))
    assert not states[-1].requires_grad


def test_gradients_pass_gradcheck() -> None:
    weight, bias, inputs = make_weights()

    def last_states(weight: Tensor, bias: Tensor, *inputs: Tensor) -> Tensor:
        return torch.cat(run_loop(DeferredProducts(), weight, bias, list(inputs))[-2:])

    assert torch.autograd.gradcheck(last_states, (weight, bias, *inputs))


def test_two_backward_passes_on_fresh_graphs_add_up() -> None:
    weight, bias, inputs = make_weights()
    for _ in range(2):
        run_loop(DeferredProducts(), weight, bias, inputs)[-1].sum().backward()
    asked = given(weight, bias, *inputs)
    expected = torch.autograd.grad(
        2 * run_loop(functional.linear, weight, bias, inputs)[-1].sum(), asked
    )
    torch.testing.assert_close([tensor.grad for tensor in asked], list(expected))


def test_two_backward_passes_through_one_graph_add_up() -> None:
    weight, bias, inputs = make_weights()
    loss = run_loop(DeferredProducts(), weight, bias, inputs)[-1].sum()
    loss.backward(retain_graph=True)
    loss.backward()
    asked = given(weight, bias, *inputs)
    expected = torch.autograd.grad(
        2 * run_loop(functional.linear, weight, bias, inputs)[-1].sum(), asked
    )
    torch.testing.assert_close([tensor.grad for tensor in asked], list(expected))


def test_asking_for_the_gradient_of_an_input_leaves_nothing_behind() -> None:
    weight, bias, inputs = make_weights()
    results = []
    for product in (DeferredProducts(), functional.linear):
        loss = run_loop(product, weight, bias, inputs)[-1].sum()
        first = torch.autograd.grad(loss, inputs, retain_graph=True)
        results.append((first, torch.autograd.grad(loss, given(weight, bias))))
    torch.testing.assert_close(*results)


def test_one_weight_with_and_without_bias_in_one_loop() -> None:
    weight, bias, inputs = make_weights()
    results = []
    for product in (DeferredProducts(), functional.linear):
        loss = product(inputs[0], weight, None).sin().sum()
        loss = loss + product(inputs[1], weight, bias).sin().sum()
        results.append((loss, torch.autograd.grad(loss, [weight, bias, *inputs[:2]])))
    torch.testing.assert_close(*results)


def test_close_to_float32_under_bfloat16_autocast() -> None:
    weight, bias, inputs = (
        torch.randn(SIZE, SIZE, requires_grad=True),
        torch.randn(SIZE, requires_grad=True),
        [torch.randn(ROWS, SIZE, requires_grad=True) for _ in range(STEPS)],
    )
    results = []
    for low in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            state = run_loop(DeferredProducts(), weight, bias, inputs)[-1]
        gradients = torch.autograd.grad(state.float().sum(), [weight, bias, *inputs])
        results.append((state.float(), gradients))
    assert {gradient.dtype for gradient in results[0][1]} == {torch.float32}
    torch.testing.assert_close(*results, atol=0.06, rtol=0.06)


def test_linear_takes_the_precision_of_its_weights() -> None:
    weight = torch.randn(2, 3, dtype=torch.bfloat16)
    assert linear(torch.randn(4, 3), weight).dtype == torch.bfloat16
    assert linear(torch.randn(4, 3).double(), weight.float()).dtype == torch.float32


@pytest.mark.parametrize("with_backward", [True, False])
def test_loops_free_their_memory_without_the_garbage_collector(with_backward: bool) -> None:
    def count_tapes() -> int:
        return sum(type(thing) is _Tape for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = count_tapes()
        for _ in range(3):
            weight, bias, inputs = make_weights()
            loss = run_loop(DeferredProducts(), weight, bias, inputs)[-1].sum()
            if with_backward:
                loss.backward()
            del loss, weight, bias, inputs
        assert count_tapes() == before
    finally:
        gc.enable()
