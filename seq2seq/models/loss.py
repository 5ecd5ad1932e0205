"""The training losses: of the vocabulary layer, and of attention that is shown where to look.

The first is label-smoothed cross-entropy, in slices of tokens.

The scores of all tokens, [tokens, vocabulary_size], are never held in full precision: each slice's
gradients are formed in the forward pass, while its scores are there, and only scaled in the
backward pass. Within a slice, blocks of rows that stay in a processor's cache go through all
elementwise work, one after the other; their gradients take the place of their scores.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seq2seq.models.products import (
    is_plain,
    linear,
    multiply,
    multiply_over_rows,
    product_dtype,
    to_rows,
)

SLICE_BYTES = 2**25  # scores held at a time; larger slices add up fewer weight gradients
BLOCK_ELEMENTS = 2**19  # scores in float32 on which elementwise work is done at a time
_LEAST_ATTENTION = 1e-20  # below it there is no gradient, but its inverse stays a number


class LossOutput(NamedTuple):
    """Sums over the real tokens of a batch; divide by `num_tokens` for means."""

    loss: Tensor  # label-smoothed cross-entropy, with gradient
    nll: Tensor  # negative natural log-likelihood of the references, without gradient
    num_tokens: Tensor


def vocabulary_loss(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    target_ids: Tensor,
    *,
    pad_id: int,
    label_smoothing: float = 0.0,
) -> LossOutput:
    """Cross-entropy between the vocabulary layer's distribution and the references.

    Label smoothing spreads its mass evenly over the whole vocabulary (Szegedy et al., 2016,
    section 7, https://arxiv.org/abs/1512.00567), as `torch.nn.CrossEntropyLoss` does.

    Args:
        features: [..., readout_size].
        weight: Of the vocabulary layer, [vocabulary_size, readout_size].
        bias: Of the vocabulary layer, [vocabulary_size].
        target_ids: [...], `pad_id` where there is no token.
        label_smoothing: In [0, 1).
    """
    real = target_ids != pad_id
    if is_plain():
        return _plain_loss(features, weight, bias, target_ids, real, label_smoothing)
    loss, nll = _VocabularyLoss.apply(
        features[real], weight, bias, target_ids[real], label_smoothing, torch.is_grad_enabled()
    )
    return LossOutput(loss, nll.detach(), real.sum())


def attention_loss(alignments: Tensor, guide: Tensor) -> Tensor:
    """Cross-entropy between where attention looks and where it ought to, summed over target pieces.

    Guided alignment of Chen et al. (2016), section 4, https://arxiv.org/abs/1607.01628.

    Args:
        alignments: [batch, target_length, source_length], their rows sum to 1.
        guide: The same of given alignments; rows of zeros where nothing is known.
    """
    return -(guide.to(alignments.dtype) * alignments.clamp_min(_LEAST_ATTENTION).log()).sum()


def _plain_loss(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    target_ids: Tensor,
    real: Tensor,
    label_smoothing: float,
) -> LossOutput:
    """The plain way: all scores at once, torch's own cross-entropy."""
    scores, ids = linear(features[real], weight, bias), target_ids[real]
    sums_dtype = torch.promote_types(scores.dtype, torch.float32)
    scores = scores.to(sums_dtype)
    loss = functional.cross_entropy(scores, ids, label_smoothing=label_smoothing, reduction="sum")
    nll = functional.cross_entropy(scores.detach(), ids, reduction="sum")
    return LossOutput(loss, nll, real.sum())


class _VocabularyLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        target_ids: Tensor,
        smoothing: float,
        with_gradients: bool,
    ) -> tuple[Tensor, Tensor]:
        dtype = product_dtype(weight)
        sums_dtype = torch.promote_types(dtype, torch.float32)
        with torch.autocast(features.device.type, enabled=False):
            low_weight, low_bias = weight.to(dtype), bias.to(dtype)
            # Inside of here gradients are always off, and without them inputs may still want some.
            needed = with_gradients and any(ctx.needs_input_grad)
            kept = slice(None) if needed else slice(0)
            feature_gradient = torch.empty_like(features[kept])
            weight_gradient = torch.zeros_like(weight[kept], dtype=sums_dtype)
            bias_gradient = torch.zeros_like(bias[kept], dtype=sums_dtype)
            smoothed = features.new_zeros((), dtype=sums_dtype)
            plain = smoothed.clone()
            vocabulary_size = len(weight)
            slice_rows = max(1, SLICE_BYTES // (vocabulary_size * dtype.itemsize))
            block_rows = max(1, BLOCK_ELEMENTS // vocabulary_size)
            for start in range(0, len(features), slice_rows):
                ids = target_ids[start : start + slice_rows].unsqueeze(1)
                part = to_rows(features[start : start + len(ids)], dtype)
                scores = multiply(part, low_weight, low_bias)
                for block, block_ids in zip(
                    scores[: len(ids)].split(block_rows), ids.split(block_rows), strict=True
                ):
                    log_probabilities = block.to(sums_dtype).log_softmax(dim=1)
                    nll = -log_probabilities.gather(1, block_ids).sum()
                    plain += nll
                    smoothed += (1 - smoothing) * nll
                    if smoothing:
                        smoothed -= smoothing / vocabulary_size * log_probabilities.sum()
                    if not needed:
                        continue
                    # d loss / d scores = softmax - (1 - smoothing) * one_hot - smoothing / size
                    gradient = log_probabilities.exp_()
                    if smoothing:
                        gradient.sub_(smoothing / vocabulary_size)
                    gradient.scatter_add_(
                        1, block_ids, gradient.new_full(block_ids.shape, smoothing - 1)
                    )
                    bias_gradient += gradient.sum(0)
                    block.copy_(gradient)
                if needed:
                    scores[len(ids) :] = 0
                    feature_gradient[start : start + len(ids)] = multiply(scores, low_weight.t())[
                        : len(ids)
                    ]
                    weight_gradient += multiply_over_rows(scores, part)
        if needed:
            ctx.save_for_backward(
                feature_gradient,
                weight_gradient.to(weight.dtype),
                bias_gradient.to(bias.dtype),
            )
        ctx.mark_non_differentiable(plain)
        return smoothed, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias = ctx.saved_tensors
        return features * gradient, weight * gradient, bias * gradient, None, None, None
