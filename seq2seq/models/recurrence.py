"""A recurrent layer over whole sequences: one cell, carried through time in one direction.

Packed means: the rows of step 0 first, then those of step 1 and so on, sentences sorted by length,
so that padding takes no part. Knows nothing of embeddings or languages.
"""

import torch
from torch import Tensor

from seq2seq.models.cells import Cell, CellState
from seq2seq.models.fast_recurrence import run_fast_recurrence
from seq2seq.models.products import is_plain


def run_recurrence(
    cell: Cell,
    projected: Tensor,
    batch_sizes: list[int],
    state: CellState,
    *,
    reverse: bool = False,
) -> tuple[Tensor, CellState]:
    """Carries a state through all steps of a batch.

    Args:
        cell: The cell of the layer.
        projected: `cell.project` of the packed inputs, [sum of batch_sizes, gates * hidden_size].
        batch_sizes: Rows that are alive at each step, never growing.
        state: The state to start from, each [batch_sizes[0], hidden_size].
        reverse: Runs from the last step to the first; shorter sentences join when they end.

    Returns:
        The packed hidden states, [sum of batch_sizes, hidden_size], and the state after each
        sentence's last step in the direction of the run, each [batch_sizes[0], hidden_size].
    """
    if cell.has_gradient and not is_plain():
        return run_fast_recurrence(cell, projected, batch_sizes, state, reverse=reverse)
    steps = list(projected.split(batch_sizes))
    outputs: list[Tensor] = []
    if reverse:
        initial, rows = state, 0
        state = tuple(part[:0] for part in initial)
        for step in reversed(steps):
            if len(step) > rows:
                joining = (part[rows : len(step)] for part in initial)
                state = tuple(map(torch.cat, zip(state, joining, strict=True)))
                rows = len(step)
            state = cell(step, state)
            outputs.append(state[0])
        return torch.cat(outputs[::-1]), state

    finished: list[CellState] = []  # states of sentences that ended, the shortest first
    for step in steps:
        if len(step) < len(state[0]):
            finished.append(tuple(part[len(step) :] for part in state))
            state = tuple(part[: len(step)] for part in state)
        state = cell(step, state)
        outputs.append(state[0])
    finished.append(state)
    final = tuple(torch.cat(parts) for parts in zip(*finished[::-1], strict=True))
    return torch.cat(outputs), final


def run_in_stretches(cell: Cell, projected: Tensor, state: CellState, *, stretch: int) -> Tensor:
    """Carries a state through all steps of sentences of one length.

    Args:
        projected: `cell.project` of the inputs, [length, batch, gates * hidden_size].
        state: The state to start from, each [batch, hidden_size].
        stretch: Steps after which gradients flow no further back.

    Returns:
        The hidden states, [length, batch, hidden_size].
    """
    rows = projected.shape[1]
    outputs = []
    for chunk in projected.split(stretch):
        packed, state = run_recurrence(cell, chunk.flatten(0, 1), [rows] * len(chunk), state)
        state = tuple(part.detach() for part in state)
        outputs.append(packed.view(len(chunk), rows, -1))
    return torch.cat(outputs)
