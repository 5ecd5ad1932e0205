"""How probable given target ids are, by the step function that the search uses."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq.config import BOS_ID
from seq2seq.decoding.beam_search import State, StepFunction
from seq2seq.decoding.vocabulary import CHUNK_SIZE, log_probabilities

_IMPOSSIBLE = -1e4  # a log-probability whose probability is 0 in every precision, and no infinity


@dataclass(frozen=True)
class Forced:
    """What a network thinks of each of the target ids that it was made to say."""

    log_probabilities: list[float]
    """Natural logarithms; -inf where the step function rules the id out."""
    entropies: list[float]
    """Nats: of all ids that could have stood there, how open the choice was."""
    alignment: Tensor | None
    """[target_length, source_length of the batch], in main memory; None without attention."""


def score_targets(
    step: StepFunction[State],
    state: State,
    target_ids: Sequence[Sequence[int]],
    *,
    bos_id: int = BOS_ID,
    device: torch.device | str = "cpu",
) -> list[float]:
    """The log-probability of each sentence's target ids.

    Sentences whose ids are used up leave the batch.

    Args:
        step: Maps the last ids [rows] and a state to unnormalised logits [rows, vocabulary_size]
            and the next state.
        state: The state before the first step, one row per sentence.
        target_ids: Without the begin symbol. Nothing is added: whoever asks for a whole sentence
            ends it with the end symbol.
        device: Where the step function expects its ids.

    Returns:
        Natural-log sums over the ids of each sentence; 0 where there are none, -inf where the
        step function rules one out.

    Raises:
        ValueError: If logits are infinite or not a number.
    """
    sums = [0.0] * len(target_ids)
    for forced in _force(step, state, target_ids, bos_id, device):
        found = log_probabilities(forced.logits, forced.ids.unsqueeze(1)).squeeze(1)
        for index, log_probability in zip(forced.batch, found.tolist(), strict=True):
            sums[index] += log_probability
    _check(sums)
    return sums


def force_targets(
    step: StepFunction[State],
    state: State,
    target_ids: Sequence[Sequence[int]],
    *,
    keep_alignment: bool = True,
    bos_id: int = BOS_ID,
    device: torch.device | str = "cpu",
) -> list[Forced]:
    """What the network thinks of each of the target ids, in one pass over them.

    Args:
        step: As in `score_targets`, and so are `state`, `target_ids` and `device`.
        keep_alignment: False spares memory where nobody looks at the alignment.

    Returns:
        For each sentence a log-probability, an entropy and a row of alignment per target id.

    Raises:
        ValueError: If logits are infinite or not a number.
    """
    found: list[list[float]] = [[] for _ in target_ids]
    entropies: list[list[float]] = [[] for _ in target_ids]
    alignments: Tensor | None = None  # one block: small tensors would tear the memory to pieces
    longest = max(map(len, target_ids), default=0)
    for position, forced in enumerate(_force(step, state, target_ids, bos_id, device)):
        chosen = log_probabilities(forced.logits, forced.ids.unsqueeze(1)).squeeze(1)
        rows = zip(forced.batch, chosen.tolist(), _entropies(forced.logits).tolist(), strict=True)
        for index, log_probability, entropy in rows:
            found[index].append(log_probability)
            entropies[index].append(entropy)
        if keep_alignment and forced.alignment is not None:
            columns = forced.alignment.shape[1]
            if alignments is None:
                alignments = forced.alignment.new_zeros(len(target_ids), longest, columns)
            alignments[forced.batch, position, :columns] = forced.alignment
    _check([sum(sentence) for sentence in found])
    block = None if alignments is None else alignments.cpu()
    return [
        Forced(*values, None if block is None else block[index, : len(values[0])].clone())
        for index, values in enumerate(zip(found, entropies, strict=True))
    ]


class _Step(NamedTuple):
    """One target position of all sentences that have an id there."""

    batch: list[int]  # the sentence of each row
    ids: Tensor  # what stands there, [rows]
    logits: Tensor  # [rows, vocabulary_size]
    alignment: Tensor | None  # [rows, source_length]


def _force(
    step: StepFunction[State],
    state: State,
    target_ids: Sequence[Sequence[int]],
    bos_id: int,
    device: torch.device | str,
) -> Iterator[_Step]:
    """Takes the steps of given ids; sentences whose ids are used up leave the batch."""
    ids = torch.full((len(target_ids),), bos_id, device=device)
    batch = list(range(len(target_ids)))
    for position in range(max(map(len, target_ids), default=0)):
        staying = [place for place, index in enumerate(batch) if len(target_ids[index]) > position]
        if len(staying) < len(batch):
            rows = torch.tensor(staying, device=device)
            state = state.select_sentences(rows).select(rows)
            ids = ids[rows]
            batch = [batch[place] for place in staying]
        logits, state = step(ids, state)
        ids = torch.tensor([target_ids[index][position] for index in batch], device=device)
        yield _Step(batch, ids, logits, state.alignment)


def _entropies(logits: Tensor) -> Tensor:
    """Nats of each row's distribution, [rows]; 0 where no id is possible."""
    chunk = max(1, CHUNK_SIZE // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    parts = []
    for rows in logits.split(chunk):
        normalised = rows.float().log_softmax(dim=1).clamp_min(_IMPOSSIBLE)
        # Summed in float64, so that the order of the sum, which may hang on the number of rows,
        # does not show.
        parts.append(-(normalised.exp() * normalised).sum(dim=1, dtype=torch.float64).float())
    return torch.cat(parts).nan_to_num(0.0)


def _check(log_probabilities: Sequence[float]) -> None:
    if any(map(math.isnan, log_probabilities)):
        raise ValueError("The step function gave logits that are infinite or not a number.")
