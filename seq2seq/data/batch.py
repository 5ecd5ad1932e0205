"""Pads ids of sentence pairs into the tensors that a network reads. Knows nothing of text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID

Ids = Sequence[int] | np.ndarray


@dataclass(frozen=True)
class Batch:
    """Sentence pairs side by side, padded with `PAD_ID`; all tensors are int64."""

    source_ids: Tensor  # [batch, source_length], each sentence ends with </s>
    source_lengths: Tensor  # [batch], </s> included
    target_input_ids: Tensor  # [batch, target_length], each sentence begins with <s>
    target_output_ids: Tensor  # [batch, target_length], each sentence ends with </s>
    num_target_pieces: int
    """Real target pieces, `</s>` included: what a loss is divided by."""
    sentence_indices: tuple[int, ...]
    """Where the sentences stand in their corpus."""
    guide: Tensor | None = None
    """Where attention ought to look, [batch, target_length, source_length] in float32, if that is
    known: each target piece at the source pieces that it is linked with, all alike; rows of those
    without a link are 0."""

    def __len__(self) -> int:
        return len(self.source_ids)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """The same batch with its tensors on `device`."""
        guide = self.guide
        return replace(
            self,
            source_ids=self.source_ids.to(device, non_blocking=non_blocking),
            source_lengths=self.source_lengths.to(device, non_blocking=non_blocking),
            target_input_ids=self.target_input_ids.to(device, non_blocking=non_blocking),
            target_output_ids=self.target_output_ids.to(device, non_blocking=non_blocking),
            guide=None if guide is None else guide.to(device, non_blocking=non_blocking),
        )


def make_batch(
    source_ids: Sequence[Ids],
    target_ids: Sequence[Ids],
    sentence_indices: Sequence[int] | None = None,
    *,
    links: Sequence[np.ndarray] | None = None,
) -> Batch:
    """Pads sentence pairs into one batch.

    Args:
        source_ids: Ids of each source without special symbols; may be empty, as `</s>` is added.
        target_ids: Ids of each target without special symbols.
        sentence_indices: Where the sentences stand in their corpus; 0, 1, 2, ... if not given.
        links: Source and target pieces of each pair that translate each other, [links, 2] or flat.

    Raises:
        ValueError: If there is no sentence, or not as many sources as targets.
    """
    if not len(source_ids) or len(source_ids) != len(target_ids):
        raise ValueError(
            f"`source_ids` and `target_ids` must have the same number of sentences, at least one, "
            f"but have {len(source_ids)} and {len(target_ids)}."
        )
    sources, source_lengths = _pad(source_ids)
    targets, target_lengths = _pad(target_ids)
    rows = torch.arange(len(sources))
    sources[rows, source_lengths - 1] = EOS_ID
    target_inputs = targets.roll(1, dims=1)  # the last column is free: it awaits </s>
    target_inputs[:, 0] = BOS_ID
    targets[rows, target_lengths - 1] = EOS_ID
    if sentence_indices is None:
        sentence_indices = range(len(source_ids))
    return Batch(
        source_ids=sources,
        source_lengths=source_lengths,
        target_input_ids=target_inputs,
        target_output_ids=targets,
        num_target_pieces=int(target_lengths.sum()),
        sentence_indices=tuple(int(index) for index in sentence_indices),
        guide=None if links is None else _guide(links, targets.shape[1], sources.shape[1]),
    )


def _guide(links: Sequence[np.ndarray], target_length: int, source_length: int) -> Tensor:
    """See `Batch.guide`."""
    guide = torch.zeros(len(links), target_length, source_length)
    joined = torch.from_numpy(np.concatenate([each.ravel() for each in links])).long().view(-1, 2)
    rows = torch.arange(len(links)).repeat_interleave(
        torch.tensor([each.size // 2 for each in links])
    )
    guide[rows, joined[:, 1], joined[:, 0]] = 1.0
    return guide / guide.sum(dim=2, keepdim=True).clamp_min(1.0)


def _pad(sentences: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Ids [batch, length] with room for one more symbol, and the lengths [batch] with it."""
    lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
    padded = np.full((len(sentences), int(lengths.max()) + 1), PAD_ID, dtype=np.int64)
    mask = np.arange(padded.shape[1]) < lengths[:, None]
    if isinstance(sentences[0], np.ndarray):
        padded[mask] = np.concatenate(sentences)
    else:
        padded[mask] = np.fromiter(
            chain.from_iterable(sentences), dtype=np.int64, count=int(lengths.sum())
        )
    return torch.from_numpy(padded), torch.from_numpy(lengths + 1)
