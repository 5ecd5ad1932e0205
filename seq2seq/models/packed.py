"""Products for inference: weights laid out once, in float32, bfloat16 or int8.

oneDNN keeps a weight in the order in which its routines read it, which is what torch's compiler
does with them, too. With few rows, as in the translation of one sentence, that is two to five times
as fast as a plain product. Where these routines are missing, plain products stand in for them.

To add a precision, write a class with `lower` and `pack` and one line of `ARITHMETICS`.
"""

from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from seq2seq.models.products import round_up

Product = Callable[[Tensor], Tensor]
"""Maps lowered inputs [rows, in] to float32 [rows, out]."""


class Arithmetic(Protocol):
    """How a network multiplies."""

    batch_dtype: torch.dtype
    """Of products with a weight for each sentence, which nobody packs."""

    def lower(self, values: Tensor, bound: float = 1.0) -> Tensor:
        """Turns float32 values into what products take.

        Args:
            bound: What no value exceeds, with either sign.
        """

    def pack(
        self, weight: Tensor, bias: Tensor | None = None, bounds: Tensor | None = None
    ) -> Product:
        """Makes a product; the weight itself is not kept.

        Args:
            weight: [out, in], float32.
            bias: [out].
            bounds: Those with which each of the inputs is lowered, [in]; 1 if not given.
        """


class Float32:
    """Products in float32."""

    batch_dtype = torch.float32

    def lower(self, values: Tensor, bound: float = 1.0) -> Tensor:
        """See `Arithmetic.lower`."""
        return values

    def pack(
        self, weight: Tensor, bias: Tensor | None = None, bounds: Tensor | None = None
    ) -> Product:
        """See `Arithmetic.pack`."""
        return _float_product(weight, bias, torch.float32)


class BFloat16:
    """Products in bfloat16, of values that are rounded to it."""

    batch_dtype = torch.bfloat16

    def lower(self, values: Tensor, bound: float = 1.0) -> Tensor:
        """See `Arithmetic.lower`."""
        return values.bfloat16()

    def pack(
        self, weight: Tensor, bias: Tensor | None = None, bounds: Tensor | None = None
    ) -> Product:
        """See `Arithmetic.pack`."""
        return _float_product(weight, bias, torch.bfloat16)


class Int8:
    """Products in int8: of weights with a scale for each row, and of values with a fixed one.

    A fixed scale keeps a sentence independent of its batch, and costs nothing to find. oneDNN is
    fast with unsigned values only, so that 128 stands for 0.
    """

    batch_dtype = torch.bfloat16

    def lower(self, values: Tensor, bound: float = 1.0) -> Tensor:
        """See `Arithmetic.lower`."""
        return (values * (127 / bound)).add_(128.5).to(torch.uint8)

    def pack(
        self, weight: Tensor, bias: Tensor | None = None, bounds: Tensor | None = None
    ) -> Product:
        """See `Arithmetic.pack`."""
        weight = weight.detach() if bounds is None else weight.detach() * bounds
        scales = weight.abs().amax(dim=1).clamp_min(1e-30) / 127
        low_weight = (weight / scales.unsqueeze(1)).round().to(torch.int8)
        packed = torch.ops.onednn.qlinear_prepack(low_weight, [_TYPICAL_ROWS, weight.shape[1]])
        zeros = torch.zeros(len(weight), dtype=torch.int32)
        low_bias = None if bias is None else bias.detach().float()

        def product(inputs: Tensor) -> Tensor:
            outputs: Tensor = torch.ops.onednn.qlinear_pointwise(
                _even_rows(inputs), 1 / 127, 128, packed, scales, zeros, low_bias,
                1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
            return outputs[: len(inputs)]

        return product


ARITHMETICS: dict[str, type[Arithmetic]] = {
    "float32": Float32,
    "bfloat16": BFloat16,
    "int8": Int8,
}
# The order of a packed weight suits a number of rows; this one serves few and many.
_TYPICAL_ROWS = 64


@cache
def is_int8_there() -> bool:
    """Whether this build of torch can multiply in int8 on this processor."""
    try:
        product = Int8().pack(torch.eye(32))
        return torch.equal(product(Int8().lower(torch.eye(32))), torch.eye(32))
    except (AttributeError, RuntimeError):
        return False


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    try:
        ones = torch.ones(16, 16, dtype=dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(ones, 16)
        torch.ops.mkldnn._linear_pointwise(ones, packed, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return True


def _float_product(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Product:
    weight = weight.detach().to(dtype)
    low_bias = None if bias is None else bias.detach().to(dtype)
    if weight.device.type != "cpu" or not _can_pack(dtype):
        return lambda inputs: functional.linear(inputs, weight, low_bias).float()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _TYPICAL_ROWS)

    def product(inputs: Tensor) -> Tensor:
        outputs: Tensor = torch.ops.mkldnn._linear_pointwise(
            _even_rows(inputs), packed, low_bias, "none", [], ""
        )
        return outputs[: len(inputs)].float()

    return product


def _even_rows(inputs: Tensor) -> Tensor:
    """Rounds many rows up, see `products.to_rows`; few rows, of one sentence, stay as they are."""
    rows = len(inputs)
    missing = round_up(rows) - rows if rows > 16 else 0
    return functional.pad(inputs, (0, 0, 0, missing)) if missing else inputs
