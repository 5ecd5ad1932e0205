"""The best continuations of rows that obey rules, or of groups that are kept apart.

Rows that must say terms share the beam with all others: dynamic beam allocation of Post and Vilar
(2018), section 4, https://aclanthology.org/N18-1119, by the vectorised form of Hu et al. (2019),
section 2, https://aclanthology.org/N19-1090.
"""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq.decoding.rules import Rules, State, mask_by_rules
from seq2seq.decoding.vocabulary import (
    Blocked,
    Candidate,
    best_places,
    block,
    normalise,
    read_places,
)


class Rows(NamedTuple):
    """The rows of one sentence, and what they obey."""

    num_candidates: int
    """How many of the best continuations are asked for."""
    living: list[float]
    """The log-probability of each."""
    rules: Rules | None
    states: list[State]
    """Of each row, if there are rules; noted in them is which words of terms the network itself
    would not say."""
    num_left: int
    """Ids that the longest hypothesis may still have."""
    taken: Counter[int]
    """Ids that other groups have chosen at this step, and how often."""


def obedient_candidates(
    logits: Tensor,
    sentences: Sequence[Rows],
    blocked: Blocked,
    candidate_ids: Tensor | None = None,
    *,
    diversity_strength: float = 0.0,
    are_scores: bool = False,
) -> list[list[Candidate]]:
    """The best continuations of each sentence, in the order in which they enter the beam.

    Vijayakumar et al. (2016), section 4, https://arxiv.org/abs/1610.02424, with Hamming diversity:
    an id ranks lower by `diversity_strength` for each time that another group has chosen it. Its
    log-probability stays what it is.

    Args:
        logits: [rows, columns], as many rows for each sentence.
        candidate_ids: The ids that the columns stand for in each sentence, [sentences, columns].
        are_scores: As in `normalise`.

    Returns:
        The best ones, as many as are asked for. For a sentence with terms also the best of each row
        and all that bring a term forward, and none that are impossible.
    """
    num_sentences, columns = len(sentences), logits.shape[1]
    normalised = normalise(logits, are_scores=are_scores)
    width = len(normalised) // num_sentences
    block(normalised.view(num_sentences, width, columns), blocked, candidate_ids)
    pressed = _pressed_rows(normalised, sentences, blocked.eos_id, candidate_ids)
    by_row = (
        (rows.rules, rows.states[row], 0 if index * width + row in pressed else rows.num_left)
        if rows.rules
        else (None, State(), 0)
        for index, rows in enumerate(sentences)
        for row in range(width)
    )
    mask_by_rules(normalised, by_row, candidate_ids)
    _charge(normalised, sentences, diversity_strength, candidate_ids)
    scores = torch.tensor(
        [rows.living for rows in sentences], dtype=torch.float64, device=logits.device
    )
    most = max(rows.num_candidates for rows in sentences)
    totals, places = best_places(normalised, scores, most)
    best = read_places(totals, places, columns, width, candidate_ids)
    extra = _extra_candidates(normalised, scores, sentences, candidate_ids)
    ordered = []
    for index, (rows, found, more) in enumerate(zip(sentences, best, extra, strict=True)):
        own, first_row = found[: rows.num_candidates], index * width
        if rows.rules and rows.rules.terms:
            said = {(row, id_) for _, id_, row in own if row not in pressed}
            for row, state in enumerate(rows.states):
                wanted = rows.rules.wanted(state)
                unsaid = (id_ for id_ in wanted if (first_row + row, id_) not in said)
                rows.states[row] = rows.rules.press(state, unsaid)
        ordered.append(_in_order(rows, own + more, diversity_strength, first_row))
    return ordered


def _pressed_rows(
    normalised: Tensor, sentences: Sequence[Rows], eos_id: int, candidate_ids: Tensor | None
) -> set[int]:
    """Rows that the network would rather end, though terms are missing.

    They must say one now: a sentence that may not end goes on at random.
    """
    if not any(rows.rules and rows.rules.terms for rows in sentences):
        return set()
    width = len(normalised) // len(sentences)
    likeliest = normalised.argmax(dim=1)
    if candidate_ids is not None:
        likeliest = candidate_ids.gather(1, likeliest.view(len(sentences), -1)).flatten()
    ends = (likeliest == eos_id).tolist()
    return {
        index * width + row
        for index, rows in enumerate(sentences)
        if rows.rules and rows.rules.terms
        for row, state in enumerate(rows.states)
        if ends[index * width + row] and rows.rules.wanted(state)
    }


def _charge(
    normalised: Tensor, sentences: Sequence[Rows], strength: float, candidate_ids: Tensor | None
) -> None:
    """Lowers the ids that other groups have chosen, in all rows of their sentences."""
    width = len(normalised) // len(sentences)
    taken = [
        (index * width + row, id_, count)
        for index, rows in enumerate(sentences)
        for id_, count in rows.taken.items()
        for row in range(width)
    ]
    if taken and strength:
        rows, ids, counts = torch.tensor(taken, device=normalised.device).unbind(1)
        rows, columns, is_there = _find_columns(rows, ids, width, candidate_ids)
        normalised[rows, columns] -= strength * counts[is_there]


def _extra_candidates(
    normalised: Tensor,
    scores: Tensor,
    sentences: Sequence[Rows],
    candidate_ids: Tensor | None,
) -> list[list[Candidate]]:
    """For each sentence with terms the best of each row, and what brings a term forward."""
    extra: list[list[Candidate]] = [[] for _ in sentences]
    width = len(normalised) // len(sentences)
    pairs = [
        (index * width + row, id_)
        for index, rows in enumerate(sentences)
        if rows.rules and rows.rules.terms
        for row, state in enumerate(rows.states)
        if rows.living[row] > -math.inf
        for id_ in rows.rules.wanted(state)
    ]
    with_terms = [
        index * width + row
        for index, rows in enumerate(sentences)
        if rows.rules and rows.rules.terms
        for row in range(width)
    ]
    if not with_terms:
        return extra
    device = normalised.device
    rows, ids = torch.tensor(pairs, dtype=torch.int64, device=device).view(-1, 2).unbind(1)
    rows, columns, _ = _find_columns(rows, ids, width, candidate_ids)
    own = torch.tensor(with_terms, device=device)
    rows = torch.cat([own, rows])
    of_each = normalised if len(own) == len(normalised) else normalised[own]
    _, best = best_places(of_each, torch.zeros(len(own), 1, dtype=torch.float64, device=device), 1)
    columns = torch.cat([best.flatten(), columns])
    totals = normalised[rows, columns] + scores.flatten()[rows]
    owners = rows.div(width, rounding_mode="floor")
    ids = columns if candidate_ids is None else candidate_ids[owners, columns]
    found = zip(owners.tolist(), totals.tolist(), ids.tolist(), rows.tolist(), strict=True)
    for index, total, id_, row in found:
        extra[index].append((total, id_, row))
    return extra


def _find_columns(
    rows: Tensor, ids: Tensor, width: int, candidate_ids: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of ids [pairs], without ids that no column stands for, and which are left.

    Args:
        width: Rows of each sentence.
    """
    if candidate_ids is None:
        return rows, ids, torch.ones_like(ids, dtype=torch.bool)
    same = candidate_ids[rows.div(width, rounding_mode="floor")] == ids.unsqueeze(1)
    is_there = same.any(dim=1)
    return rows[is_there], same[is_there].long().argmax(dim=1), is_there


def _in_order(
    rows: Rows, candidates: list[Candidate], strength: float, first_row: int
) -> list[Candidate]:
    """Each candidate once, with its own log-probability: the fullest bank's best one first.

    A bank holds what has said as much of the terms; all banks offer their best in turn.
    """
    ordered: list[Candidate] = candidates
    if rows.rules and rows.rules.terms and not math.isnan(candidates[0][0]):
        banks: dict[int, list[Candidate]] = {}
        for candidate in sorted(set(candidates), key=lambda each: (-each[0], each[2], each[1])):
            total, id_, row = candidate
            if total > -math.inf:
                state = rows.rules.advance(rows.states[row - first_row], id_)
                banks.setdefault(rows.rules.progress(state), []).append(candidate)
        fullest = [banks[progress] for progress in sorted(banks, reverse=True)]
        turns = itertools.chain.from_iterable(itertools.zip_longest(*fullest))
        ordered = [candidate for candidate in turns if candidate is not None]
    return [(total + strength * rows.taken[id_], id_, row) for total, id_, row in ordered]
