"""Finds the best target ids under any step function. Knows nothing of networks or text."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID, choose
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
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


# Steps for whose alignments there is room at first; then it is doubled.
_FIRST_STEPS = 16

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
    """Log-probability divided by the length penalty."""
    alignment: Tensor | None
    """[target_length, source_length of the batch], in main memory; None without attention."""
    truncated: bool
    """The maximum length was reached, or nothing was allowed to follow, before the end symbol."""


def beam_search(
    step: StepFunction[State],
    state: State,
    *,
    beam_size: int,
    max_lengths: Sequence[int],
    min_lengths: Sequence[int] | int = 0,
    length_penalty: float = 1.0,
    length_penalty_kind: str = "power",
    n_best: int = 1,
    bos_id: int = BOS_ID,
    eos_id: int = EOS_ID,
    forbidden_ids: Collection[int] = (PAD_ID,),
    keep_alignment: bool = True,
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
        length_penalty: Exponent of the penalty; 0 compares log-probabilities.
        length_penalty_kind: A name in `LENGTH_PENALTIES`.
        n_best: Hypotheses returned per sentence, at most `beam_size`.
        forbidden_ids: Ids that are never chosen, besides `bos_id`. They keep their share of the
            probability, so the log-probabilities of other ids do not change.
        keep_alignment: False spares memory where nobody looks at the alignment.
        device: Where the step function expects its ids.

    Returns:
        For each sentence 1 to `n_best` hypotheses. Truncated ones come last, whatever their scores:
        the probability of a beginning is that of all sentences that begin so.

    Raises:
        ValueError: If an argument is out of range, or logits are infinite or not a number.
    """
    _check(beam_size, n_best, length_penalty)
    penalty = choose(LENGTH_PENALTIES, length_penalty_kind, field="length_penalty_kind")
    divisors = [
        penalty(max(length, 1), length_penalty) for length in range(max(max_lengths, default=0) + 1)
    ]
    sentences = [
        _Sentence(max_length, min_length, beam_size, n_best, divisors)
        for max_length, min_length in _lengths(max_lengths, min_lengths)
    ]
    forbidden = sorted({bos_id, *forbidden_ids})
    history = _History()
    batch = sentences
    ids = torch.full((len(batch),), bos_id, device=device)
    living = [[0.0] for _ in batch]  # the log-probability of each row, by sentence
    while batch:
        logits, state = step(ids, state)
        position = len(history)
        history.attend(state.alignment if keep_alignment else None)
        no_end = [sentence.min_length > position for sentence in batch]
        blocked = Blocked(forbidden, eos_id, no_end)
        # Twice the beam: even if half of the candidates end here, beam_size live on.
        # Greedy search needs no second candidate, since it is done when the first one ends.
        num_candidates = 2 * beam_size if beam_size > 1 else 1
        candidates = best_candidates(logits, living, num_candidates, blocked, state.candidate_ids)
        width = min(beam_size, len(candidates[0]))
        staying, survivors = [], []
        for index, (sentence, found) in enumerate(zip(batch, candidates, strict=True)):
            rows = enumerate(living[index], index * len(living[index]))
            growing = sentence.advance(found, rows, eos_id, position)
            if growing:
                staying.append(index)
                # Where too few live on, rows without a chance keep the numbers of rows equal.
                filler = (-math.inf, *growing[0][1:])
                survivors.append(growing + [filler] * (width - len(growing)))
        if not staying:
            break
        if len(staying) < len(batch):
            batch = [batch[index] for index in staying]
            state = state.select_sentences(torch.tensor(staying, device=device))
        living = [[score for score, _, _ in growing] for growing in survivors]
        new_ids = [id_ for growing in survivors for _, id_, _ in growing]
        parents = [row for growing in survivors for _, _, row in growing]
        ids = torch.tensor(new_ids, device=device)
        if parents != list(range(len(logits))):
            state = state.select(torch.tensor(parents, device=device))
        history.append(new_ids, parents)
    return _hypotheses(sentences, history)


def _check(beam_size: int, n_best: int, length_penalty: float) -> None:
    if beam_size < 1:
        raise ValueError(f"`beam_size` must be at least 1, but is {beam_size}.")
    if not 1 <= n_best <= beam_size:
        raise ValueError(f"`n_best` must be from 1 to `beam_size` ({beam_size}), but is {n_best}.")
    if not 0 <= length_penalty <= 10:  # far from where floats overflow
        raise ValueError(f"`length_penalty` must be from 0 to 10, but is {length_penalty}.")


def _lengths(max_lengths: Sequence[int], min_lengths: Sequence[int] | int) -> list[tuple[int, int]]:
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


class _Leaf(NamedTuple):
    """A hypothesis that grows no more, hanging in the history."""

    log_probability: float
    position: int  # of the last step
    row: int  # of the last step
    last_id: int | None  # what that step added; None if it could not add anything
    truncated: bool

    @property
    def length(self) -> int:
        return self.position + (self.last_id is not None)


@dataclass
class _Sentence:
    """What the search keeps of one sentence besides its rows."""

    max_length: int
    min_length: int
    beam_size: int
    n_best: int
    divisors: list[float]  # length penalty of each length
    leaves: list[_Leaf] = field(default_factory=list)
    num_ended: int = 0
    score_to_beat: float = -math.inf  # the n-th best of those that ended

    def score(self, leaf: _Leaf) -> float:
        return leaf.log_probability / self.divisors[leaf.length]

    def add(self, leaf: _Leaf) -> None:
        if leaf.log_probability == -math.inf:
            return
        self.leaves.append(leaf)
        self.num_ended += not leaf.truncated
        if self.num_ended >= self.n_best:
            self.score_to_beat = self.score(self.best()[-1])

    def advance(
        self,
        candidates: list[Candidate],
        rows: Iterable[tuple[int, float]],
        eos_id: int,
        position: int,
    ) -> list[Candidate]:
        """Takes the step at this position; none live on if the sentence is done.

        Args:
            candidates: Best first.
            rows: Those before the step, with their log-probabilities.

        Returns:
            The best `beam_size` candidates that do not end, or as many as there are.
        """
        if math.isnan(candidates[0][0]):
            raise ValueError("The step function gave logits that are infinite or not a number.")
        survivors: list[Candidate] = []
        for rank, candidate in enumerate(candidates):
            log_probability, id_, row = candidate
            counts = rank < self.beam_size
            if log_probability == -math.inf or not (counts or len(survivors) < self.beam_size):
                break
            is_end = id_ == eos_id
            if not is_end:
                survivors.append(candidate)
            if counts and (is_end or position + 1 == self.max_length):
                self.add(_Leaf(log_probability, position, row, id_, truncated=not is_end))
        if not survivors and not self.leaves:  # nothing may follow: what there is counts
            for row, log_probability in rows:
                self.add(_Leaf(log_probability, position, row, last_id=None, truncated=True))
        is_done = not survivors or self.is_done(survivors[0][0], position + 1)
        return [] if is_done else survivors[: self.beam_size]

    def is_done(self, best_living: float, length: int) -> bool:
        # Log-probabilities only fall, and no length has a larger divisor than the longest.
        reachable = best_living / self.divisors[self.max_length]
        # Once the beam is full of ended ones, only what already stands above them goes on.
        standing = best_living / self.divisors[length]
        return (
            length == self.max_length
            or (self.num_ended >= self.beam_size and standing <= self.score_to_beat)
            or reachable <= self.score_to_beat  # also when nothing lives: both may be -inf
        )

    def best(self) -> list[_Leaf]:
        # A stable sort: of equal scores, the one found first comes first.
        ranked = sorted(self.leaves, key=lambda leaf: (leaf.truncated, -self.score(leaf)))
        return ranked[: self.n_best]


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


class _History:
    """Ids and parents of every step, from which the returned hypotheses are read at the end."""

    def __init__(self) -> None:
        self.ids: list[list[int]] = []  # of each step, for each row after it
        self.parents: list[list[int]] = []  # of each step, for each row after it the row before it
        self.alignments = _Alignments()

    def __len__(self) -> int:
        return len(self.ids)

    def attend(self, alignment: Tensor | None) -> None:
        if alignment is not None:
            self.alignments.append(alignment)

    def append(self, ids: list[int], parents: list[int]) -> None:
        self.ids.append(ids)
        self.parents.append(parents)

    def trace(self, leaves: list[_Leaf]) -> list[tuple[list[int], list[int]]]:
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


def _hypotheses(sentences: list[_Sentence], history: _History) -> list[list[Hypothesis]]:
    leaves = [sentence.best() for sentence in sentences]
    paths = history.trace([leaf for best in leaves for leaf in best])
    alignments = history.read_alignments([rows for _, rows in paths])
    found = iter(zip(paths, alignments, strict=True))
    hypotheses: list[list[Hypothesis]] = []
    for sentence, best in zip(sentences, leaves, strict=True):
        hypotheses.append([])
        for leaf in best:
            (ids, _), alignment = next(found)
            hypotheses[-1].append(
                Hypothesis(
                    ids, leaf.log_probability, sentence.score(leaf), alignment, leaf.truncated
                )
            )
    return hypotheses
