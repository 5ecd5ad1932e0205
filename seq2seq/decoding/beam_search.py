"""Finds the best target ids under any step function. Knows nothing of networks or text."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID
from seq2seq.decoding.allocation import Rows, obedient_candidates
from seq2seq.decoding.beam import Beam, Leaf, Step
from seq2seq.decoding.coverage import Coverage
from seq2seq.decoding.history import History
from seq2seq.decoding.length_penalty import Ranking
from seq2seq.decoding.rules import Rules
from seq2seq.decoding.trace import Trace
from seq2seq.decoding.vocabulary import Blocked, Candidate, best_candidates


class SearchState(Protocol):
    """What a network remembers between steps: tensors per row, and a memory per sentence.

    Rows stand grouped by sentence, the same number of rows for each sentence.
    """

    @property
    def alignment(self) -> Tensor | None:
        """[rows, source_length], what the step that made this state attended to."""

    @property
    def candidate_ids(self) -> Tensor | None:
        """The ids that columns of the logits stand for, [sentences, columns]; None for all ids."""

    def select(self, rows: Tensor) -> Self:
        """Gathers the tensors per row; `rows` may repeat."""

    def select_sentences(self, indices: Tensor) -> Self:
        """Gathers the memory per sentence; tensors per row stay as they are."""


State = TypeVar("State", bound=SearchState)
# Maps the last ids [rows] and a state to logits [rows, vocabulary_size] and the next state. Where a
# state has `candidate_ids`, logits have a column for each of these, -inf at padding.
StepFunction = Callable[[Tensor, State], tuple[Tensor, State]]


@dataclass(frozen=True)
class Hypothesis:
    """Target ids, and what the search thinks of them."""

    ids: list[int]
    """Without the begin symbol; with the end symbol, unless truncated."""
    log_probability: float
    """Natural-log sum over `ids`."""
    score: float
    """See `Ranking.score`."""
    alignment: Tensor | None
    """[target_length, source_length of the batch], in main memory; None without attention."""
    truncated: bool
    """The maximum length was reached, or nothing was allowed to follow, before the end symbol."""
    reverse_log_probability: float | None = None
    """Of the source given these ids, where a model of the other direction was asked."""
    language_log_probability: float | None = None
    """Of these ids by themselves, where a language model was asked."""


def beam_search(
    step: StepFunction[State],
    state: State,
    *,
    beam_size: int,
    max_lengths: Sequence[int],
    min_lengths: Sequence[int] | int = 0,
    length_penalty: float = 1.0,
    length_penalty_kind: str = "power",
    word_reward: float = 0.0,
    coverage_penalty: float = 0.0,
    source_lengths: Sequence[int] = (),
    n_best: int = 1,
    num_groups: int = 1,
    diversity_strength: float = 0.0,
    rules: Sequence[Rules | None] | None = None,
    bos_id: int = BOS_ID,
    eos_id: int = EOS_ID,
    forbidden_ids: Collection[int] = (PAD_ID,),
    are_scores: bool = False,
    keep_alignment: bool = True,
    trace: Trace | None = None,
    device: torch.device | str = "cpu",
) -> list[list[Hypothesis]]:
    """Finds the target ids with the highest scores, best first, for each sentence.

    At each step the `beam_size` best candidates of a sentence count. Those of them that end are set
    aside, and the `beam_size` best that do not end live on. A sentence is done when its maximum
    length is reached; when `beam_size` hypotheses have ended and the best living one does not stand
    above the `n_best` (which makes a beam of one greedy search); or when no living hypothesis can
    become one of the `n_best` any more, which saves steps and never changes the result. Sentences
    that are done leave the batch.

    Args:
        step: Maps the last ids [rows] and a state to unnormalised logits [rows, vocabulary_size],
            which are only read, and the next state.
        state: The state before the first step, one row per sentence.
        beam_size: Hypotheses kept per sentence; 1 is greedy search.
        max_lengths: Longest hypothesis of each sentence in ids, end symbol counted.
        min_lengths: Shortest hypothesis in ids, end symbol not counted; yields to the longest.
        length_penalty: Exponent of the penalty; 0 compares log-probabilities. For this and the next
            three see `Ranking`.
        length_penalty_kind: A name in `LENGTH_PENALTIES`.
        coverage_penalty: Above 0 it needs alignments. Living hypotheses rank without it.
        source_lengths: Source positions of each sentence that are not padding, for the coverage.
        n_best: Hypotheses returned per sentence, at most `beam_size`.
        num_groups: Equal parts of the beam, each a search by itself but for ids that earlier parts
            have chosen at the same step; see `obedient_candidates`.
        diversity_strength: By how much such an id ranks lower.
        rules: What the hypotheses of each sentence obey. `max_lengths` must leave room for their
            `extra_length`.
        forbidden_ids: Ids that are never chosen, besides `bos_id`. They keep their share of the
            probability, so the log-probabilities of other ids do not change.
        are_scores: The step function gives no logits but scores, none above 0, that are added up as
            they are, and stand for log-probabilities in all that is said here; see `Fusion`.
        keep_alignment: False spares memory where nobody looks at the alignment.
        trace: Of a sentence that is searched alone; every step of it is kept there.
        device: Where the step function expects its ids.

    Returns:
        For each sentence 1 to `n_best` different hypotheses. Truncated ones come last, whatever
        their scores: the probability of a beginning is that of all sentences that begin so.

    Raises:
        ValueError: If an argument is out of range, or logits are infinite or not a number.
    """
    _check(beam_size, n_best, num_groups, diversity_strength)
    ranking = Ranking(length_penalty, length_penalty_kind, word_reward, coverage_penalty)
    _check_ranking(ranking)
    if trace is not None and len(max_lengths) != 1:
        raise ValueError(f"`trace` is of one sentence, but there are {len(max_lengths)}.")
    size = beam_size // num_groups
    obeyed = [None] * len(max_lengths) if rules is None else rules
    sentences = [
        [Beam(*lengths, size, min(n_best, size), ranking, rule) for _ in range(num_groups)]
        for lengths, rule in zip(paired_lengths(max_lengths, min_lengths), obeyed, strict=True)
    ]
    forbidden = sorted({bos_id, *forbidden_ids})
    history = History()
    coverage = Coverage(source_lengths) if coverage_penalty else None
    batch = sentences
    ids = torch.full((len(batch) * num_groups,), bos_id, device=device)
    if num_groups > 1:
        state = state.select(torch.arange(len(batch), device=device).repeat_interleave(num_groups))
    while batch:
        logits, state = step(ids, state)
        history.attend(state.alignment if keep_alignment else None)
        covered = coverage.add(state.alignment) if coverage else None
        common = Step(len(history), eos_id, covered, are_scores)
        no_end = [sentence[0].min_length > common.position for sentence in batch]
        blocked = Blocked(forbidden, eos_id, no_end)
        if trace is not None:
            trace.offered.append([])
        rows = _advance(
            batch, logits, state.candidate_ids, common, blocked, diversity_strength, trace
        )
        if trace is not None:
            trace.kept.append(rows)
        staying = [index for index, groups in enumerate(batch) if not _are_done(groups)]
        if not staying:
            break
        sentences_kept = None
        if len(staying) < len(batch):
            batch = [batch[index] for index in staying]
            sentences_kept = torch.tensor(staying, device=device)
            state = state.select_sentences(sentences_kept)
        new_ids = [id_ for _, id_, _ in rows]
        parents = [row for _, _, row in rows]
        ids = torch.tensor(new_ids, device=device)
        if parents != list(range(len(logits))):
            state = state.select(torch.tensor(parents, device=device))
        if coverage:
            coverage.select(torch.tensor(parents, device=device), sentences_kept)
        history.append(new_ids, parents)
    if trace is not None:
        trace.max_length = max_lengths[0]
        trace.leaves = [leaf for beam in sentences[0] for leaf in beam.leaves]
    return _hypotheses(sentences, history, n_best)


def _advance(
    batch: list[list[Beam]],
    logits: Tensor,
    candidate_ids: Tensor | None,
    step: Step,
    blocked: Blocked,
    diversity_strength: float,
    trace: Trace | None,
) -> list[Candidate]:
    """Lets all groups of all sentences take a step.

    Returns:
        The rows that live on, as many for each group of each sentence that is not done.
    """
    num_groups = len(batch[0])
    width = len(logits) // (len(batch) * num_groups)
    is_plain = num_groups == 1 and not any(sentence[0].rules for sentence in batch)
    growing: list[list[list[Candidate]]] = [[] for _ in batch]
    most = 0  # candidates of any group
    for group in range(num_groups):
        beams = [sentence[group] for sentence in batch]
        if is_plain:
            living = [beam.living for beam in beams]
            number = beams[0].num_candidates
            offers = best_candidates(
                logits, living, number, blocked, candidate_ids, are_scores=step.are_scores
            )
        else:
            rows = [
                Rows(
                    beam.num_candidates,
                    beam.living,
                    beam.rules,
                    beam.states,
                    beam.max_length - step.position,
                    Counter(id_ for earlier in sentence[:group] for id_ in earlier.chosen),
                )
                for beam, sentence in zip(beams, batch, strict=True)
            ]
            own = logits.view(len(batch), num_groups, width, -1)[:, group].flatten(0, 1)
            offers = obedient_candidates(
                own,
                rows,
                blocked,
                candidate_ids,
                diversity_strength=diversity_strength,
                are_scores=step.are_scores,
            )
        for index, (beam, found) in enumerate(zip(beams, offers, strict=True)):
            first_row = (index * num_groups + group) * width
            shift = first_row - index * width
            if shift:
                found = [(score, id_, row + shift) for score, id_, row in found]
            if trace is not None:
                trace.offered[-1] += found
            growing[index].append(beam.advance(found, first_row, step))
        most = max(most, *map(len, offers))
    if is_plain:
        most_rows = batch[0][0].room
    else:
        most_rows = max(beam.room + beam.spare for sentence in batch for beam in sentence)
    return _fill(batch, growing, width, min(most_rows, most))


def _fill(
    batch: list[list[Beam]], growing: list[list[list[Candidate]]], old_width: int, width: int
) -> list[Candidate]:
    """The rows of sentences that are not done, and of each group as many.

    Where too few live on, rows without a chance keep the numbers of rows equal.
    """
    rows: list[Candidate] = []
    for index, (sentence, groups) in enumerate(zip(batch, growing, strict=True)):
        if not any(groups):
            continue
        for group, (beam, grown) in enumerate(zip(sentence, groups, strict=True)):
            first_row = (index * len(sentence) + group) * old_width
            if len(grown) < width:
                like = grown[0] if grown else (0.0, PAD_ID, first_row)
                grown = grown + [(-math.inf, *like[1:])] * (width - len(grown))
            beam.keep(grown, first_row)
            rows += grown
    return rows


def _are_done(groups: list[Beam]) -> bool:
    return groups[0].is_done if len(groups) == 1 else all(beam.is_done for beam in groups)


def _check(beam_size: int, n_best: int, num_groups: int, diversity_strength: float) -> None:
    if beam_size < 1:
        raise ValueError(f"`beam_size` must be at least 1, but is {beam_size}.")
    if not 1 <= n_best <= beam_size:
        raise ValueError(f"`n_best` must be from 1 to `beam_size` ({beam_size}), but is {n_best}.")
    if num_groups < 1 or beam_size % num_groups:
        raise ValueError(f"`num_groups` must divide `beam_size` ({beam_size}): {num_groups}.")
    if not 0 <= diversity_strength < math.inf:
        raise ValueError(
            f"`diversity_strength` must be at least 0 and finite, but is {diversity_strength}."
        )


def _check_ranking(ranking: Ranking) -> None:
    exponent, reward, weight = (
        ranking.length_penalty,
        ranking.word_reward,
        ranking.coverage_penalty,
    )
    if not 0 <= exponent <= 10:  # far from where floats overflow
        raise ValueError(f"`length_penalty` must be from 0 to 10, but is {exponent}.")
    if not math.isfinite(reward):
        raise ValueError(f"`word_reward` must be finite, but is {reward}.")
    if not 0 <= weight < math.inf:
        raise ValueError(f"`coverage_penalty` must be at least 0 and finite, but is {weight}.")


def paired_lengths(
    max_lengths: Sequence[int], min_lengths: Sequence[int] | int
) -> list[tuple[int, int]]:
    """The longest and the shortest length of each sentence, checked."""
    if isinstance(min_lengths, int):
        min_lengths = [min_lengths] * len(max_lengths)
    if len(min_lengths) != len(max_lengths):
        raise ValueError(
            f"`min_lengths` must have one length for each of {len(max_lengths)} sentences, "
            f"but has {len(min_lengths)}."
        )
    for max_length in max_lengths:
        if max_length < 1:
            raise ValueError(f"`max_lengths` must be at least 1, but one is {max_length}.")
    for min_length in min_lengths:
        if min_length < 0:
            raise ValueError(f"`min_lengths` must be at least 0, but one is {min_length}.")
    return list(zip(max_lengths, min_lengths, strict=True))


def _hypotheses(
    sentences: list[list[Beam]], history: History, n_best: int
) -> list[list[Hypothesis]]:
    leaves = [_best(groups, n_best) for groups in sentences]
    paths = history.trace([leaf for best in leaves for leaf in best])
    alignments = history.read_alignments([rows for _, rows in paths])
    found = iter(zip(paths, alignments, strict=True))
    hypotheses: list[list[Hypothesis]] = []
    for groups, best in zip(sentences, leaves, strict=True):
        distinct: dict[tuple[int, ...], Hypothesis] = {}
        for leaf in best:
            (ids, _), alignment = next(found)
            hypothesis = Hypothesis(
                ids, leaf.log_probability, groups[0].score(leaf), alignment, leaf.truncated
            )
            distinct.setdefault(tuple(ids), hypothesis)
        hypotheses.append(list(distinct.values())[:n_best])
    return hypotheses


def _best(groups: list[Beam], n_best: int) -> list[Leaf]:
    """The n-best of all groups and, as several groups may find the same, some more."""
    if len(groups) == 1:
        return groups[0].best()
    leaves = [leaf for beam in groups for leaf in beam.best()]
    return groups[0].rank(leaves)
