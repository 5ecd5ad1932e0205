"""Matrix products in low or full precision, whose weight gradients are formed once per loop.

A loop over time multiplies by the same weights at every step. Automatic differentiation would form
one weight gradient per step and add them up; `DeferredProducts` keeps the factors of each step and
forms the sum as a single product when the backward pass of the loop has ended.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

Linear = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Maps (inputs [..., in], weight [out, in], bias [out] or None) to [..., out]."""


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` in the precision of autocast, or else of the weights."""
    dtype = product_dtype(weight)
    if not _wants_even_rows(weight.device, dtype):
        return functional.linear(inputs.to(weight.dtype), weight, bias)
    if torch.is_grad_enabled() and weight.requires_grad:
        return DeferredProducts()(inputs, weight, bias)
    rows = inputs.reshape(-1, inputs.shape[-1])
    bias = None if bias is None else bias.to(dtype)
    outputs = functional.linear(to_rows(rows, dtype), weight.to(dtype), bias)[: len(rows)]
    return outputs.view(*inputs.shape[:-1], len(weight))


def product_dtype(weight: Tensor) -> torch.dtype:
    """The precision in which a product with `weight` is computed."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def to_rows(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Casts a matrix [rows, size] for a product, and on a processor rounds its rows up with zeros.

    A processor's low-precision library compiles its product anew for each number of rows that it
    meets, in milliseconds and about a megabyte each; numbers of rows from a short list meet again.
    """
    rows = len(matrix)
    even = _round_up(rows) if _wants_even_rows(matrix.device, dtype) else rows
    if even == rows:
        return matrix.to(dtype)
    rounded = matrix.new_empty(even, matrix.shape[1], dtype=dtype)
    rounded[:rows] = matrix
    rounded[rows:] = 0
    return rounded


def _wants_even_rows(device: torch.device, dtype: torch.dtype) -> bool:
    return device.type == "cpu" and dtype in (torch.bfloat16, torch.float16)


def _round_up(rows: int) -> int:
    """The next multiple of a step that grows with the number: at most an eighth is added."""
    step = 16
    while rows > 16 * step:
        step *= 2
    return -(-rows // step) * step


class DeferredProducts:
    """Acts like `linear`; gradients of weight and bias are formed once, after the loop.

    One object serves one loop of one forward pass. For the weights `W` of a loop with inputs `x_t`
    and output gradients `g_t`, the gradient is `sum_t g_t^T x_t`, which equals the product of the
    two stacked matrices `[g_1; g_2; ...]^T [x_1; x_2; ...]`.
    """

    def __init__(self) -> None:
        # The anchors stand here and not on the tapes: a tape is held by its anchor's graph node,
        # and a cycle through the graph would outlive the loop.
        self._tapes: dict[tuple[int, int], tuple[Tensor, _Tape]] = {}

    def __call__(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Returns `inputs @ weight.T + bias`, [..., out]."""
        if not (torch.is_grad_enabled() and weight.requires_grad):
            return linear(inputs, weight, bias)
        key = id(weight), id(bias)
        if key not in self._tapes:
            tape = _Tape(weight, bias)
            self._tapes[key] = _WeightGradient.apply(weight, bias, tape), tape
        rows = inputs.reshape(-1, inputs.shape[-1])
        outputs = _Product.apply(rows, *self._tapes[key])
        return outputs.view(*inputs.shape[:-1], len(weight))


class _Tape:
    """Factors of one weight's products, collected while the backward pass walks the loop."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        dtype = product_dtype(weight)
        self.original = weight, bias  # keeps their ids from being used again meanwhile
        self.weight = weight.detach().to(dtype)
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.backward_pass = -1
        self.inputs: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def record(self, inputs: Tensor, gradient: Tensor) -> None:
        """Keeps the factors of one product, for the backward pass that is under way."""
        # One that asked for other gradients only has left its factors; they are not wanted here.
        backward_pass = torch._C._current_graph_task_id()
        if backward_pass != self.backward_pass:
            self.clear()
            self.backward_pass = backward_pass
        self.inputs.append(inputs)
        self.gradients.append(gradient)

    def clear(self) -> None:
        """Forgets all factors."""
        self.inputs.clear()
        self.gradients.clear()


class _WeightGradient(torch.autograd.Function):
    """Its output is an input of every product, so its backward runs after all of theirs."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, tape: _Tape) -> Tensor:
        ctx.tape = tape
        return weight.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        tape: _Tape = ctx.tape
        weight_needed, bias_needed, _tape_needed = ctx.needs_input_grad
        gradients = torch.cat(tape.gradients)
        inputs = torch.cat(tape.inputs)
        tape.clear()
        dtype = tape.original[0].dtype
        weight_gradient = None
        if weight_needed:
            product = to_rows(gradients, gradients.dtype).t() @ to_rows(inputs, inputs.dtype)
            weight_gradient = product.to(dtype)
        bias_gradient = gradients.sum(0, dtype=dtype) if bias_needed else None
        return weight_gradient, bias_gradient, None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, anchor: Tensor, tape: _Tape) -> Tensor:
        low_inputs = to_rows(inputs, tape.weight.dtype)
        ctx.tape, ctx.input_dtype, ctx.num_rows = tape, inputs.dtype, len(inputs)
        ctx.save_for_backward(low_inputs)
        with torch.autocast(inputs.device.type, enabled=False):
            return functional.linear(low_inputs, tape.weight, tape.bias)[: len(inputs)]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        tape: _Tape = ctx.tape
        (inputs,) = ctx.saved_tensors
        gradient = to_rows(gradient, tape.weight.dtype)
        tape.record(inputs, gradient)
        input_gradient = (gradient @ tape.weight)[: ctx.num_rows].to(ctx.input_dtype)
        return input_gradient, tape.weight.new_zeros((), dtype=tape.original[0].dtype), None
