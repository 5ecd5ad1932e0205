"""How much of each source position the hypotheses have attended to."""

from collections.abc import Sequence

import torch
from torch import Tensor

# What a position counts that was hardly ever attended to, in place of minus infinity.
_LEAST = 1e-30


class Coverage:
    """The coverage of each row of a search: Wu et al. (2016), equation 14, without its weight.

    Args:
        source_lengths: Positions of each sentence that are not padding.
    """

    def __init__(self, source_lengths: Sequence[int]) -> None:
        self._lengths = torch.tensor(source_lengths)  # of each sentence
        self._attended: Tensor | float = 0.0  # [rows, source_length], float64

    def add(self, alignment: Tensor | None) -> list[float]:
        """Takes the alignment [rows, source_length] of a step.

        Returns:
            For each row the sum over positions of log(min(attention of all steps, 1)).

        Raises:
            ValueError: If there is no alignment.
        """
        if alignment is None:
            raise ValueError("`coverage_penalty` needs a step function with an alignment.")
        self._attended = self._attended + alignment.double()
        self._lengths = self._lengths.to(alignment.device)
        lengths = self._lengths.repeat_interleave(len(alignment) // len(self._lengths))
        positions = torch.arange(alignment.shape[1], device=alignment.device)
        is_padding = positions >= lengths.unsqueeze(1)
        covered = self._attended.clamp(_LEAST, 1.0).masked_fill_(is_padding, 1.0)
        found: list[float] = covered.log_().sum(dim=1).tolist()
        return found

    def select(self, rows: Tensor, sentences: Tensor | None) -> None:
        """Keeps rows, which may repeat, and sentences; all of them if None."""
        if isinstance(self._attended, Tensor):
            self._attended = self._attended.index_select(0, rows)
        if sentences is not None:
            self._lengths = self._lengths.index_select(0, sentences)
