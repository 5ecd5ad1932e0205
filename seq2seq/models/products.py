"""Matrix products by the fastest routine that the machine has, in low or full precision.

`plain_path` selects torch's own products, recurrences and loss instead of this package's faster
ones: slower, easier to read, and what the faster ones are tested against.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seq2seq.devices import is_onednn_faster

_plain = ContextVar("plain", default=False)


@contextmanager
def plain_path(active: bool = True) -> Iterator[None]:
    """Inside of it everything is computed the plain way; backward passes need no context."""
    token = _plain.set(active)
    try:
        yield
    finally:
        _plain.reset(token)


def is_plain() -> bool:
    """Whether the plain path was asked for."""
    return _plain.get()


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` in the precision of autocast, or else of the weights."""
    dtype = product_dtype(weight)
    if is_plain() or not _counts_rows(weight.device, dtype):
        return functional.linear(inputs.to(weight.dtype), weight, bias)
    rows = inputs.reshape(-1, inputs.shape[-1])
    outputs = _Linear.apply(rows, weight, bias, dtype)
    return outputs.view(*inputs.shape[:-1], len(weight))


def product_dtype(weight: Tensor) -> torch.dtype:
    """The precision in which a product with `weight` is computed."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def multiply(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`inputs @ weight.T + bias` of matrices of one precision; knows nothing of gradients."""
    if inputs.dtype == torch.float32 and is_onednn_faster(inputs.device):
        if not (weight.is_contiguous() or weight.t().is_contiguous()):
            weight = weight.contiguous()  # of slices it would take a thousand times as long
        return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return functional.linear(inputs, weight, bias)


def multiply_over_rows(left: Tensor, right: Tensor) -> Tensor:
    """`left.T @ right` [left columns, right columns] of matrices with the same rows."""
    if left.dtype == torch.float32 and is_onednn_faster(left.device):
        # Transposed as a whole: this routine is twice as slow with the first factor lying across.
        return multiply(right.t().contiguous(), left.t()).t()
    return left.t() @ right


def to_rows(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Casts a matrix [rows, size] for a product, and on a processor rounds its rows up with zeros.

    oneDNN compiles its product anew for each number of rows that it meets, in milliseconds and
    about a megabyte each; numbers of rows from a short list meet again.
    """
    rows = len(matrix)
    even = round_up(rows) if _counts_rows(matrix.device, dtype) else rows
    if even == rows:
        return matrix.to(dtype).contiguous()
    rounded = matrix.new_empty(even, matrix.shape[1], dtype=dtype)
    rounded[:rows] = matrix
    rounded[rows:] = 0
    return rounded


def _counts_rows(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether products with these are oneDNN's."""
    if dtype == torch.float32:
        return is_onednn_faster(device)
    return device.type == "cpu" and dtype in (torch.bfloat16, torch.float16)


def round_up(rows: int) -> int:
    """The next multiple of a step that grows with the number: 16 or an eighth are added at most."""
    step = 16
    while rows > 16 * step:
        step *= 2
    return max(1, -(-rows // step)) * step


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        low_inputs, low_weight = to_rows(inputs, dtype), weight.to(dtype).contiguous()
        ctx.dtypes = inputs.dtype, weight.dtype
        ctx.save_for_backward(low_inputs, low_weight)
        with torch.autocast(inputs.device.type, enabled=False):
            low_bias = None if bias is None else bias.to(dtype)
            return multiply(low_inputs, low_weight, low_bias)[: len(inputs)]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        input_dtype, weight_dtype = ctx.dtypes
        inputs_needed, weight_needed, bias_needed, _ = ctx.needs_input_grad
        rows = len(gradient)
        gradient = to_rows(gradient, weight.dtype)
        return (
            multiply(gradient, weight.t())[:rows].to(input_dtype) if inputs_needed else None,
            multiply_over_rows(gradient, inputs).to(weight_dtype) if weight_needed else None,
            gradient.sum(0, dtype=weight_dtype) if bias_needed else None,
            None,
        )
