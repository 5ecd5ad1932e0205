"""What a search has done at every step, from which hypotheses are read at the end."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

# Steps for whose alignments there is room at first; then it is doubled.
_FIRST_STEPS = 16


class Leaf(Protocol):
    """A hypothesis that grows no more, hanging in the history."""

    @property
    def position(self) -> int:
        """Of the last step."""

    @property
    def row(self) -> int:
        """Of the last step."""

    @property
    def last_id(self) -> int | None:
        """What that step added; None if it could not add anything."""


class History:
    """Ids and parents of every step, from which the returned hypotheses are read at the end."""

    def __init__(self) -> None:
        self.ids: list[list[int]] = []  # of each step, for each row after it
        self.parents: list[list[int]] = []  # of each step, for each row after it the row before it
        self.alignments = _Alignments()

    def __len__(self) -> int:
        return len(self.ids)

    def attend(self, alignment: Tensor | None) -> None:
        """Keeps the alignment [rows, source_length] of a step."""
        if alignment is not None:
            self.alignments.append(alignment)

    def append(self, ids: list[int], parents: list[int]) -> None:
        """Keeps what a step has chosen: the ids of the rows after it, and the rows before it."""
        self.ids.append(ids)
        self.parents.append(parents)

    def trace(self, leaves: Sequence[Leaf]) -> list[tuple[list[int], list[int]]]:
        """Ids of each leaf, and the row that each id was chosen in."""
        paths = []
        for leaf in leaves:
            row = leaf.row
            ids, rows = ([], []) if leaf.last_id is None else ([leaf.last_id], [row])
            for position in range(leaf.position - 1, -1, -1):
                ids.append(self.ids[position][row])
                row = self.parents[position][row]
                rows.append(row)
            paths.append((ids[::-1], rows[::-1]))
        return paths

    def read_alignments(self, paths: list[list[int]]) -> list[Tensor] | list[None]:
        """[target_length, source_length] for the rows of each path."""
        steps = self.alignments.steps
        if not steps:
            return [None] * len(paths)
        longest = max(map(len, paths))
        padded = steps[0].new_zeros(len(paths), longest, steps[0].shape[1])
        for position in range(longest):
            owners = [index for index, path in enumerate(paths) if len(path) > position]
            alignment = steps[position][[paths[index][position] for index in owners]]
            padded[owners, position, : alignment.shape[1]] = alignment
        padded = padded.cpu()
        return [padded[index, : len(path)].clone() for index, path in enumerate(paths)]


class _Alignments:
    """Alignments of all steps, kept in a few large blocks.

    Small tensors that stay while large ones around them come and go would tear the memory to
    pieces: 2.7 GB for a source of 1,000 pieces that needs 0.1.
    """

    def __init__(self) -> None:
        self.steps: list[Tensor] = []  # each [rows before the step, source_length]
        self._free = torch.empty(0)
        self._block_size = 0

    def append(self, alignment: Tensor) -> None:
        size = alignment.numel()
        if self._free.numel() < size:
            self._block_size = max(2 * self._block_size, _FIRST_STEPS * size)
            self._free = alignment.new_empty(self._block_size)
        block, self._free = self._free[:size], self._free[size:]
        self.steps.append(block.view_as(alignment).copy_(alignment))
