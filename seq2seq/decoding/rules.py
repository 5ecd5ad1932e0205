"""What may follow in the hypotheses of one sentence: automata over target ids.

Search and sampling carry a state for each row, and mask log-probabilities by it. Knows nothing of
networks or tokenizers.
"""

import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seq2seq.config import EOS_ID
from seq2seq.decoding.phrases import Forbidden, Seen
from seq2seq.decoding.prefix import Prefix
from seq2seq.decoding.spelling import Characters, Ids, as_ids
from seq2seq.decoding.terms import SPARE, Outlook, Said, Terms

_NONE = as_ids(())


class State(NamedTuple):
    """What the rules remember of a hypothesis; hashable."""

    prefix: int = 0
    forbidden: tuple[Seen, ...] = ()
    terms: Said | None = None
    ids: tuple[int, ...] = ()
    """All of its ids, where they may not repeat."""
    tail: bytes = b""
    """The beginning of a character."""
    pressed: frozenset[int] = frozenset()
    """Wanted ids that the network would not have said by itself; see `Rules.press`."""
    is_bound: bool = False
    """Whether such an id has begun a term, which must be finished then."""


class Verdict(NamedTuple):
    """What may follow."""

    allowed: Ids | None
    """These ids and no others; None for all."""
    blocked: Ids
    """Not these, whatever is allowed."""


@dataclass(frozen=True, eq=False)
class Rules:
    """All that the hypotheses of one sentence obey."""

    prefix: Prefix | None = None
    forbidden: tuple[Forbidden, ...] = ()
    terms: Terms | None = None
    no_repeat_ngram: int = 0
    """No sequence of so many ids comes twice, unless `prefix` or `terms` need it; 0 for any."""
    cautious: bool = False
    """No word becomes one that is forbidden, even if it may go on: for samples, which cannot wait
    whether it goes on well."""
    eos_id: int = EOS_ID
    characters: Characters | None = None
    """Characters that are spelt in bytes become whole."""

    @property
    def start(self) -> State:
        """The state before the first id."""
        return State(
            0,
            tuple(rule.phrases.start for rule in self.forbidden),
            self.terms.start if self.terms else None,
        )

    @property
    def extra_length(self) -> int:
        """Ids by which a longest hypothesis must be longer, so that all rules can be kept."""
        length = self.prefix.most_pieces if self.prefix else 0
        if self.terms:
            length += self.terms.outlook(self.terms.start).most_left + SPARE + 1
        return length

    @property
    def helpful_ids(self) -> list[int]:
        """Ids that must be among those of a shortlist, so that all rules can be kept."""
        ids = set(self.prefix.ids) if self.prefix else set()
        if self.terms:
            ids.update(id_ for pieces in self.terms.pieces for id_ in pieces)
        if self.characters:
            ids.update(self.characters.ids)
        return sorted(ids)

    def advance(self, state: State, id_: int) -> State:
        """The state after one more id."""
        if id_ == self.eos_id:
            return state
        prefix, seen, said, ids, tail, pressed, is_bound = state
        if self.prefix:
            prefix = self.prefix.advance(prefix, id_)
        if self.forbidden:
            pairs = zip(self.forbidden, seen, strict=True)
            seen = tuple(rule.phrases.advance(before, id_)[0] for rule, before in pairs)
        if self.terms and said:
            said = self.terms.advance(said, id_)
            is_bound = (is_bound or id_ in pressed) and bool(self.terms.outlook(said).foremost)
        if self.no_repeat_ngram:
            ids = (*ids, id_)
        if self.characters:
            tail = self.characters.advance(tail, id_)
        return State(prefix, seen, said, ids, tail, is_bound=is_bound)

    def press(self, state: State, ids: Iterable[int]) -> State:
        """The same state, in which a term that begins with one of these ids must be finished.

        A term that the network itself begins may turn out to be something else; one that it would
        not have begun is no word of the sentence, and leaves a fragment where it is broken off.
        """
        return state._replace(pressed=frozenset(ids))

    def may_end(self, state: State) -> bool:
        """Whether a hypothesis may end here, also for want of room."""
        return not (
            (self.prefix and not self.prefix.may_end(state.prefix))
            or (self.terms and state.terms and self.terms.outlook(state.terms).wanted)
            or self.waits(state)
            or state.tail
        )

    def waits(self, state: State) -> bool:
        """Whether a word must go on, so that it is none of those forbidden."""
        return not all(map(Forbidden.may_end, self.forbidden, state.forbidden))

    def progress(self, state: State) -> int:
        """How much of what must be said is said."""
        return self.terms.outlook(state.terms).progress if self.terms and state.terms else 0

    def wanted(self, state: State) -> tuple[int, ...]:
        """Ids that bring forward what must be said; none while the prefix is not complete."""
        if not self.terms or not state.terms or self._is_forced(state):
            return ()
        return self.terms.outlook(state.terms).wanted

    def verdict(self, state: State, num_left: int) -> Verdict:
        """What may follow.

        Args:
            num_left: Ids that the longest hypothesis may still have, the end symbol counted. When
                they suffice for what must be said and little else, nothing else may follow; 0 if
                nothing else may in any case.
        """
        blocked = self._blocked(state, num_left)
        if self.prefix and self._is_forced(state):
            return Verdict(self.prefix.allowed(state.prefix), blocked)
        following = None
        if self.characters and state.tail:
            following = self.characters.following(state.tail)
        if self.terms and state.terms:
            outlook = self.terms.outlook(state.terms)
            allowed = as_ids(self._pressing(state, outlook, num_left))
            if following is not None:
                allowed = allowed[np.isin(allowed, following)]
            if len(allowed) and not np.isin(allowed, blocked).all():
                return Verdict(allowed, blocked)
        return Verdict(following, blocked)

    def _pressing(self, state: State, outlook: Outlook, num_left: int) -> tuple[int, ...]:
        """Ids one of which has to follow because of the terms; none if others may."""
        if state.is_bound:
            return outlook.foremost
        if outlook.most_left and num_left <= outlook.most_left + SPARE + 1:
            return outlook.wanted or (self.eos_id,)
        return ()

    def _blocked(self, state: State, num_left: int) -> Ids:
        pairs = zip(self.forbidden, state.forbidden, strict=True)
        parts = [ids for rule, seen in pairs if len(ids := rule.blocked(seen))]
        if self.cautious and self.forbidden and not self._is_forced(state):
            pairs = zip(self.forbidden, state.forbidden, strict=True)
            early = np.concatenate([rule.blocked(seen, early=True) for rule, seen in pairs])
            parts.append(early[~np.isin(early, self.wanted(state))])
        if not self.may_end(state):
            parts.append(self._end)
        if self.characters and not state.tail and not self._is_forced(state):
            parts.append(self.characters.blocked(num_left or sys.maxsize))
        # A character that has begun must become whole, though others begin likewise.
        if self.no_repeat_ngram and not state.tail and not self._is_forced(state):
            repeats = _repeats(state.ids, self.no_repeat_ngram).difference(self.wanted(state))
            parts.append(as_ids(repeats))
        if len(parts) > 1:
            return np.concatenate(parts)
        return parts[0] if parts else _NONE

    @functools.cached_property
    def _end(self) -> Ids:
        return as_ids([self.eos_id])

    def _is_forced(self, state: State) -> bool:
        return self.prefix is not None and self.prefix.is_open(state.prefix)


def _repeats(ids: tuple[int, ...], size: int) -> set[int]:
    """Ids that would complete a sequence of this size that has been there."""
    beginning = ids[len(ids) - size + 1 :]
    places = range(len(ids) - size + 1)
    return {ids[p + size - 1] for p in places if ids[p : p + size - 1] == beginning}


def mask_by_rules(
    log_probabilities: Tensor,
    rows: Iterable[tuple[Rules | None, State, int]],
    candidate_ids: Tensor | None = None,
) -> None:
    """Makes impossible what may not follow, in place.

    Args:
        log_probabilities: [rows, columns].
        rows: For each row its rules, its state, and `num_left` as in `Rules.verdict`.
        candidate_ids: The ids that the columns stand for, [sentences, columns], where rows are
            grouped by sentence; all ids if not given.
    """
    touched: list[int] = []
    only: list[int] = []  # numbers among those touched, and so are those of the pairs
    allowed_pairs, blocked_pairs = _Pairs(), _Pairs()
    for row, (rules, state, num_left) in enumerate(rows):
        if rules is None:
            continue
        verdict = rules.verdict(state, num_left)
        if verdict.allowed is not None:
            only.append(len(touched))
            allowed_pairs.add(len(touched), verdict.allowed)
        elif not len(verdict.blocked):
            continue
        blocked_pairs.add(len(touched), verdict.blocked)
        touched.append(row)
    if not touched:
        return
    if candidate_ids is None:  # a few ids in many rows
        device = log_probabilities.device
        places = torch.tensor(touched, device=device)
        numbers, ids = (torch.from_numpy(part).to(device) for part in blocked_pairs.places())
        log_probabilities[places[numbers], ids] = -torch.inf
        if only:
            numbers, ids = (torch.from_numpy(part).to(device) for part in allowed_pairs.places())
            kept = log_probabilities[places[numbers], ids]
            log_probabilities[places[only]] = -torch.inf
            log_probabilities[places[numbers], ids] = kept
        return
    width = 1 + max(int(candidate_ids.max()), allowed_pairs.most, blocked_pairs.most)
    mask = np.zeros((len(touched), width), dtype=bool)
    mask[only] = True
    mask[allowed_pairs.places()] = False
    mask[blocked_pairs.places()] = True
    masked = torch.from_numpy(mask).to(log_probabilities.device)
    places = torch.tensor(touched, device=log_probabilities.device)
    num_rows = len(log_probabilities) // len(candidate_ids)
    masked = masked.gather(1, candidate_ids[places.div(num_rows, rounding_mode="floor")])
    log_probabilities[places] = log_probabilities[places].masked_fill_(masked, -torch.inf)


class _Pairs:
    """Numbers of rows, each with ids."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._ids: list[Ids] = []

    def add(self, number: int, ids: Ids) -> None:
        """Takes the ids of one row."""
        self._numbers.append(number)
        self._ids.append(ids)

    @property
    def most(self) -> int:
        """The largest id."""
        return max((int(ids.max()) for ids in self._ids if len(ids)), default=0)

    def places(self) -> tuple[Ids, Ids]:
        """All pairs, numbers and ids apart."""
        if not self._ids:
            return as_ids(()), as_ids(())
        counts = [len(ids) for ids in self._ids]
        return np.repeat(as_ids(self._numbers), counts), np.concatenate(self._ids)
