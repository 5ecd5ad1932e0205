"""The training loss: label-smoothed cross-entropy of the vocabulary layer, in slices of tokens.

The full matrix of scores, [tokens, vocabulary_size], is never held: each slice's gradients are
formed in the forward pass, while its scores are there, and only scaled in the backward pass.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seq2seq.models.products import product_dtype, to_rows

SLICE_ELEMENTS = 4_000_000  # scores held at a time: 16 MB in float32, about what caches hold


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
    loss, nll = _VocabularyLoss.apply(
        features[real], weight, bias, target_ids[real], label_smoothing, torch.is_grad_enabled()
    )
    return LossOutput(loss, nll.detach(), real.sum())


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
            slice_rows = max(1, SLICE_ELEMENTS // vocabulary_size)
            for start in range(0, len(features), slice_rows):
                ids = target_ids[start : start + slice_rows].unsqueeze(1)
                num_rows = len(ids)
                part = to_rows(features[start : start + num_rows], dtype)
                logits = functional.linear(part, low_weight, low_bias)[:num_rows].to(sums_dtype)
                log_sum = logits.logsumexp(dim=1, keepdim=True)
                nll = (log_sum - logits.gather(1, ids)).sum()
                plain += nll
                smoothed += (1 - smoothing) * nll
                if smoothing:
                    smoothed += smoothing * (log_sum.sum() - logits.sum() / vocabulary_size)
                if not needed:
                    continue
                # d loss / d logits = softmax - (1 - smoothing) * one_hot - smoothing / vocabulary
                gradient = logits.sub_(log_sum).exp_()
                if smoothing:
                    gradient.sub_(smoothing / vocabulary_size)
                gradient.scatter_add_(1, ids, gradient.new_full(ids.shape, smoothing - 1))
                bias_gradient += gradient.sum(0)
                low_gradient = to_rows(gradient, dtype)
                feature_gradient[start : start + num_rows] = (low_gradient @ low_weight)[:num_rows]
                weight_gradient += low_gradient.t() @ part
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
