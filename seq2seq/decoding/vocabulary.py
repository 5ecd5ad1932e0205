"""The best continuations, and log-probabilities, among logits as wide as the vocabulary."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

Candidate = tuple[float, int, int]
"""A continuation: its log-probability, the id, and the row of the step that it continues."""

# Ids per block: a block's largest logit tells whether any of its ids can be among the best.
BLOCK_SIZE = 64
# Logits normalised at a time on a processor, so that the results stay in its cache.
CHUNK_SIZE = 2**19
# What a place costs, so that of equal candidates the first one is better: less than float32 tells.
_TIE = 2.0**-42


class Blocked(NamedTuple):
    """Ids that may not be chosen. They keep their share of the probability."""

    forbidden_ids: list[int]  # never
    eos_id: int
    no_end: list[bool]  # for each sentence, whether it may not end yet


def best_candidates(
    logits: Tensor,
    living: Sequence[Sequence[float]],
    num_candidates: int,
    blocked: Blocked,
    candidate_ids: Tensor | None = None,
    *,
    are_scores: bool = False,
) -> list[list[Candidate]]:
    """The best continuations of each sentence, best first.

    Of equal ones, those of the first row and then of the lowest column come first.

    Args:
        logits: [rows, vocabulary_size], or [rows, columns] where `candidate_ids` are given.
        living: The log-probability of each row, by sentence, as many for each.
        num_candidates: For each sentence, or as many as there are.
        candidate_ids: The ids that the columns stand for in each sentence, [sentences, columns].
        are_scores: As in `normalise`.

    Returns:
        Log-probabilities are -inf where a continuation is impossible, and not a number where logits
        are not.
    """
    scores = torch.tensor(living, dtype=torch.float64, device=logits.device)
    if are_scores:
        normalised = normalise(logits, are_scores=True)
        return _choose(normalised, scores, num_candidates, blocked, candidate_ids)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    normalised = logits.log_softmax(dim=1, dtype=dtype)
    candidates = _choose(normalised, scores, num_candidates, blocked, candidate_ids)
    if any(math.isnan(found[0][0]) for found in candidates):  # perhaps a row has only -inf
        normalised = normalise(logits)
        candidates = _choose(normalised, scores, num_candidates, blocked, candidate_ids)
    return candidates


def normalise(logits: Tensor, *, are_scores: bool = False) -> Tensor:
    """Log-probabilities [rows, columns] in float32 or better.

    They are -inf where logits are, even if a whole row is, and not a number where logits are not.

    Args:
        are_scores: What is given are no logits, but scores that count as they are.
    """
    if are_scores:
        return logits.clone()
    dtype = torch.promote_types(logits.dtype, torch.float32)
    normalised = logits.log_softmax(dim=1, dtype=dtype)
    if normalised[:, 0].isnan().any():  # it spreads over the row, which perhaps has only -inf
        normalised.masked_fill_(logits == -math.inf, -math.inf)
    return normalised


def _choose(
    normalised: Tensor,
    scores: Tensor,
    num_candidates: int,
    blocked: Blocked,
    candidate_ids: Tensor | None,
) -> list[list[Candidate]]:
    """See `best_candidates`; blocks ids in `normalised` itself."""
    num_sentences, width = scores.shape
    columns = normalised.shape[1]
    block(normalised.view(num_sentences, width, columns), blocked, candidate_ids)
    totals, places = best_places(normalised, scores, num_candidates)
    return read_places(totals, places, columns, width, candidate_ids)


def read_places(
    totals: Tensor, places: Tensor, columns: int, width: int, candidate_ids: Tensor | None
) -> list[list[Candidate]]:
    """What `best_places` found, as candidates of each sentence.

    Args:
        columns: Of the log-probabilities.
        width: Rows of each sentence.
        candidate_ids: The ids that the columns stand for in each sentence, [sentences, columns].
    """
    rows = places.div(columns, rounding_mode="floor")  # within the sentence
    ids = places - rows * columns
    if candidate_ids is not None:
        ids = candidate_ids.gather(1, ids)
    rows += torch.arange(0, len(rows) * width, width, device=rows.device).unsqueeze(1)
    parts = zip(totals.tolist(), ids.tolist(), rows.tolist(), strict=True)
    return [list(zip(*part, strict=True)) for part in parts]


def block(normalised: Tensor, blocked: Blocked, candidate_ids: Tensor | None) -> None:
    """Makes ids impossible in log-probabilities [sentences, width, columns]."""
    no_end = None
    if any(blocked.no_end):
        no_end = torch.tensor(blocked.no_end, device=normalised.device).unsqueeze(1)
    if candidate_ids is None:
        for id_ in blocked.forbidden_ids:
            if id_ < normalised.shape[2]:
                normalised.select(2, id_).fill_(-math.inf)
        if no_end is not None:
            normalised.select(2, blocked.eos_id).masked_fill_(no_end, -math.inf)
        return
    mask = torch.zeros_like(candidate_ids, dtype=torch.bool)
    for id_ in blocked.forbidden_ids:
        mask |= candidate_ids == id_
    if no_end is not None:
        mask |= no_end & (candidate_ids == blocked.eos_id)
    normalised.masked_fill_(mask.unsqueeze(1), -math.inf)


def best_places(
    log_probabilities: Tensor, scores: Tensor, num_places: int
) -> tuple[Tensor, Tensor]:
    """The largest sums of log-probability and score of each sentence, and where they stand.

    Only the `num_places` blocks with the largest maxima are looked into: every other block has that
    many sums before it. A fifth of the time of `topk` on [64, 5 * 8000].

    Args:
        log_probabilities: [rows, columns], rows grouped by sentence.
        scores: Of each row, [sentences, width], float64.
        num_places: Or as many as there are.

    Returns:
        Sums and places, [sentences, num_places], the largest first and of equal ones the first.
        Place `row * columns + column` is that column of the sentence's row.
    """
    num_sentences, width = scores.shape
    columns = log_probabilities.shape[1]
    blocks = _blocks(width, columns, scores.device)
    flat = log_probabilities.view(num_sentences, width * columns)
    if blocks.starts.numel() <= 2 * num_places:  # looking into them costs more than it saves
        places = torch.arange(width * columns, device=flat.device).expand(num_sentences, -1)
        return _rank(flat, scores, places, num_places)
    in_blocks = columns - columns % BLOCK_SIZE
    maxima = log_probabilities[:, :in_blocks].unflatten(1, (-1, BLOCK_SIZE)).amax(dim=2)
    sums = maxima.view(num_sentences, width, -1) + scores.unsqueeze(2)
    chosen = (sums - blocks.ties).flatten(1).topk(num_places, sorted=False).indices
    places = (blocks.starts.flatten()[chosen].unsqueeze(2) + blocks.within).flatten(1)
    if in_blocks < columns:
        places = torch.cat([places, blocks.tail.expand(num_sentences, -1)], dim=1)
    return _rank(flat, scores, places, num_places)


class _Blocks(NamedTuple):
    """Where the blocks of a sentence's rows stand."""

    starts: Tensor  # first place of each block, [width, blocks of a row]
    ties: Tensor  # what that place costs, likewise
    within: Tensor  # [BLOCK_SIZE]
    tail: Tensor  # places after the last whole block of each row, which are always looked at


@lru_cache(maxsize=64)
def _blocks(width: int, columns: int, device: torch.device) -> _Blocks:
    in_blocks = columns - columns % BLOCK_SIZE
    rows = torch.arange(0, width * columns, columns, device=device).unsqueeze(1)
    starts = rows + torch.arange(0, in_blocks, BLOCK_SIZE, device=device)
    tail = rows + torch.arange(in_blocks, columns, device=device)
    return _Blocks(
        starts, starts.double() * _TIE, torch.arange(BLOCK_SIZE, device=device), tail.flatten()
    )


def _rank(flat: Tensor, scores: Tensor, places: Tensor, num_places: int) -> tuple[Tensor, Tensor]:
    columns = flat.shape[1] // scores.shape[1]
    sums = flat.gather(1, places) + scores.gather(1, places.div(columns, rounding_mode="floor"))
    order = (sums - places.double().mul_(_TIE)).topk(min(num_places, places.shape[1])).indices
    return sums.gather(1, order), places.gather(1, order)


def log_probabilities(logits: Tensor, ids: Tensor) -> Tensor:
    """The natural-log probabilities of the chosen ids [rows, num_ids], in float32.

    Those of an id that is impossible (logit -inf) are -inf, even where all ids are. Logits that are
    infinite or not a number elsewhere in a row make that row's results not a number.
    """
    chunk = max(1, CHUNK_SIZE // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    # torch fuses log_softmax, but not logsumexp, which takes 2 to 4 times as long on a processor.
    parts = [
        rows.float().log_softmax(dim=1).gather(1, chosen)
        for rows, chosen in zip(logits.split(chunk), ids.split(chunk), strict=True)
    ]
    return torch.cat(parts).masked_fill_(logits.gather(1, ids) == -math.inf, -math.inf)
