"""One sentence in a search: its living hypotheses, those that grow no more, and when it is done."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from seq2seq.decoding.length_penalty import Ranking
from seq2seq.decoding.rules import Rules, State
from seq2seq.decoding.vocabulary import Candidate

# Rows of a beam with terms at least: fewer say a term at once, whether it fits there or not.
_LEAST_ROOM = 4


class Leaf(NamedTuple):
    """A hypothesis that grows no more, hanging in the history."""

    log_probability: float
    position: int  # of the last step
    row: int  # of the last step
    last_id: int | None  # what that step added; None if it could not add anything
    truncated: bool
    obeys: bool = True  # False if it had to end before all rules were kept
    coverage: float = 0.0

    @property
    def length(self) -> int:
        """In ids."""
        return self.position + (self.last_id is not None)


class Step(NamedTuple):
    """What all beams have in common at one step."""

    position: int
    eos_id: int
    coverage: list[float] | None
    """Of each row, if it counts."""
    are_scores: bool = False
    """As in `beam_search`."""


@dataclass
class Beam:
    """What the search keeps of one sentence, or of one group of its hypotheses."""

    max_length: int
    min_length: int
    size: int
    n_best: int
    ranking: Ranking
    rules: Rules | None = None
    living: list[float] = field(default_factory=lambda: [0.0])
    """The log-probability of each row; -inf in those that only keep their numbers equal."""
    states: list[State] = field(default_factory=list)
    """Of each row, if there are rules."""
    leaves: list[Leaf] = field(default_factory=list)
    num_ended: int = 0
    score_to_beat: float = -math.inf  # the n-th best of those that ended
    is_done: bool = False
    chosen: list[int] = field(default_factory=list)
    """The ids of the candidates that counted in the last step."""

    def __post_init__(self) -> None:
        self.room, self.spare = self.size, 0
        if self.rules:
            self.states = [self.rules.start]
            if self.rules.terms:
                self.room = max(self.size, _LEAST_ROOM)
            if self.rules.forbidden:
                self.spare = (self.size + 1) // 2

    @property
    def num_candidates(self) -> int:
        """How many candidates are asked for."""
        # Greedy search needs no second candidate, since it is done when the first one ends.
        # Twice the beam: even if half of the candidates end here, as many as the beam live on.
        is_greedy = self.size == 1 and self.rules is None
        return 1 if is_greedy else 2 * (self.room + self.spare)

    def score(self, leaf: Leaf) -> float:
        """See `Ranking.score`."""
        return self.ranking.score(leaf.log_probability, leaf.length, leaf.coverage)

    def best(self) -> list[Leaf]:
        """The n-best; those that ended come first, and last what had to break rules."""
        return self.rank(self.leaves)[: self.n_best]

    def rank(self, leaves: list[Leaf]) -> list[Leaf]:
        """Sorts hypotheses of the same sentence likewise."""
        if len(leaves) == 1:
            return leaves
        # A stable sort: of equal scores, the one found first comes first.
        return sorted(leaves, key=lambda leaf: (not leaf.obeys, leaf.truncated, -self.score(leaf)))

    def advance(self, candidates: list[Candidate], first_row: int, step: Step) -> list[Candidate]:
        """Takes a step; none live on if the sentence is done.

        Args:
            candidates: Those that come first enter first. None twice.
            first_row: Number of the first of its rows in the step.

        Returns:
            The first `size` candidates that do not end, or as many as there are.
        """
        self.chosen = []
        if self.is_done:
            return []
        if candidates and math.isnan(candidates[0][0]):
            raise ValueError("The step function gave logits that are infinite or not a number.")
        survivors: list[Candidate] = []
        waiting: list[Candidate] = []
        rank = 0
        room, eos_id, is_last = self.room, step.eos_id, step.position + 1 == self.max_length
        for candidate in candidates:
            log_probability, id_, row = candidate
            counts = rank < room
            if log_probability == -math.inf or not (counts or len(survivors) < room):
                break
            is_end = id_ == eos_id
            if self.spare and not is_end and self._waits(row - first_row, id_):
                waiting.append(candidate)
                continue
            rank += 1
            if not is_end:
                survivors.append(candidate)
            if counts:
                self.chosen.append(id_)
            if counts and (is_end or is_last):
                obeys = is_end or self._may_end(row - first_row, id_)
                self._add(log_probability, row, id_, step, truncated=not is_end, obeys=obeys)
        survivors = survivors[:room] + waiting[: self.spare]
        if not survivors and not self.leaves:  # nothing may follow: what there is counts
            self._end_all(first_row, step)
        self.is_done = not survivors or self._cannot_improve(survivors, first_row, step)
        if self.is_done and not self.leaves:
            self._end_all(first_row, step)
        return [] if self.is_done else survivors

    def keep(self, candidates: list[Candidate], first_row: int) -> None:
        """Takes the rows that were chosen, with those that only keep their numbers equal."""
        self.living = [log_probability for log_probability, _, _ in candidates]
        if self.rules:
            self.states = [
                self.rules.advance(self.states[row - first_row], id_) for _, id_, row in candidates
            ]

    def _end_all(self, first_row: int, step: Step) -> None:
        """Takes the living hypotheses as they are."""
        for index, log_probability in enumerate(self.living):
            obeys = self._may_end(index)
            self._add(log_probability, first_row + index, None, step, truncated=True, obeys=obeys)

    def _waits(self, index: int, id_: int) -> bool:
        """Whether one of the rows has to go on in some ways only after one more id."""
        assert self.rules is not None  # who has room to wait has rules
        return self.rules.waits(self.rules.advance(self.states[index], id_))

    def _add(
        self,
        log_probability: float,
        row: int,
        last_id: int | None,
        step: Step,
        *,
        truncated: bool,
        obeys: bool,
    ) -> None:
        if log_probability == -math.inf:
            return
        coverage = step.coverage[row] if step.coverage else 0.0
        position = step.position
        self.leaves.append(
            Leaf(log_probability, position, row, last_id, truncated, obeys, coverage)
        )
        self.num_ended += not truncated
        if self.num_ended >= self.n_best:
            self.score_to_beat = self.score(self.best()[-1])

    def _may_end(self, index: int, id_: int | None = None) -> bool:
        """Whether one of the rows may end, or may after one more id."""
        if self.rules is None:
            return True
        state = self.states[index]
        return self.rules.may_end(state if id_ is None else self.rules.advance(state, id_))

    def _cannot_improve(self, survivors: list[Candidate], first_row: int, step: Step) -> bool:
        length = step.position + 1
        if length == self.max_length:
            return True
        if self.score_to_beat == -math.inf:
            return False
        best = max(survivors)[0]  # with rules or in groups the first one may be another
        if self._reachable(best, length) <= self.score_to_beat:
            return True
        # Once the beam is full of ended ones, only what already stands above them goes on. With
        # terms about half of the rows can end, as the others have yet to say some.
        with_terms = self.rules is not None and self.rules.terms is not None
        if self.num_ended < ((self.size + 1) // 2 if with_terms else self.size):
            return False
        return all(
            self._standing(log_probability, row, length, step) <= self.score_to_beat
            for log_probability, id_, row in survivors
            if self._may_end(row - first_row, id_)
        )

    def _standing(self, log_probability: float, row: int, length: int, step: Step) -> float:
        """The score of a living hypothesis as it is."""
        coverage = step.coverage[row] if step.coverage else 0.0
        return self.ranking.score(log_probability, length, coverage)

    def _reachable(self, log_probability: float, length: int) -> float:
        """No score of a living hypothesis becomes higher.

        Log-probabilities only fall, coverage adds nothing above 0, and no length has a larger
        divisor than the longest; what is added for each id is most for the longest or the next one.
        """
        reward = self.ranking.word_reward
        rewarded = self.max_length if reward > 0 else length + 1
        divided = self.ranking.divide(log_probability, self.max_length)
        return divided + reward * rewarded
