"""Phrases that must stand in what a hypothesis says: what is met, and what to say next.

Post and Vilar (2018), https://aclanthology.org/N18-1119, and Hu et al. (2019),
https://aclanthology.org/N19-1090, count pieces. Here texts count, in any segmentation; pieces only
tell a search what it might say next.
"""

from collections.abc import Sequence
from typing import NamedTuple

from seq2seq.decoding.phrases import Phrases, Seen
from seq2seq.decoding.spelling import characters_of

# Pieces at the end of the longest hypothesis that are left for what a rule may put between terms.
SPARE = 4


class Said(NamedTuple):
    """How far a hypothesis has come with its terms."""

    seen: Seen
    met: tuple[int, ...]
    """How often each term stands in the text already, as often as is needed at most."""


class Outlook(NamedTuple):
    """What a hypothesis has said of its terms, and what is left."""

    progress: int
    """Pieces of terms that are said: whole terms, and the best one of those that are begun."""
    wanted: tuple[int, ...]
    """Pieces that bring a term forward: of those that are begun, or of all that are missing. None
    if all terms would stand in a text that ends here."""
    most_left: int
    """Pieces that are left to say if all that is not complete is broken off."""
    foremost: tuple[int, ...]
    """Those of `wanted` that go on with the term of which most is said; none if none is begun."""


class Terms:
    """Phrases, each with the number of times that it must stand in the text.

    Args:
        phrases: No two the same.
        needed: How often each must stand.
        pieces: Of each phrase the ids that a tokenizer makes of it, the space before it included
            where there is one.
    """

    def __init__(
        self, phrases: Phrases, needed: Sequence[int], pieces: Sequence[Sequence[int]]
    ) -> None:
        self.phrases = phrases
        self.needed = tuple(needed)
        self.pieces = [list(ids) for ids in pieces]
        self.start = Said(phrases.start, (0,) * len(self.needed))
        spelt = phrases.spelling.spelt
        self._outlooks: dict[Said, Outlook] = {}
        self._begins_with_space = [spelt[ids[0]] == " " for ids in self.pieces]
        self._passed = [
            self._places(*each) for each in zip(self.pieces, phrases.texts, strict=True)
        ]

    def _places(self, ids: list[int], text: str) -> dict[tuple[int, bytes], int]:
        """How many pieces have been said at each place, within or between characters."""
        places: dict[tuple[int, bytes], int] = {}
        said, tail = "", b""
        for number, id_ in enumerate(ids, start=1):
            spelt = self.phrases.spelling.spelt[id_]
            characters, tail = characters_of(tail, spelt if spelt is not None else "")
            said += characters
            length = len(said.removeprefix(" ") if not text.startswith(" ") else said)
            if length or tail:
                places[length, tail] = number
        return places

    def advance(self, said: Said, id_: int) -> Said:
        """What is met after one more piece."""
        seen, completed = self.phrases.advance(said.seen, id_)
        if not completed:
            return Said(seen, said.met) if seen != said.seen else said
        met = list(said.met)
        for index in completed:
            met[index] = min(met[index] + 1, self.needed[index])
        return Said(seen, tuple(met))

    def outlook(self, said: Said) -> Outlook:
        """What has been said and what is left."""
        if said not in self._outlooks:
            self._outlooks[said] = self._look(said)
        return self._outlooks[said]

    def _look(self, said: Said) -> Outlook:
        whole = most = left = 0
        begun: list[int] = []
        foremost: list[int] = []
        fresh: list[int] = []
        for index, ids in enumerate(self.pieces):
            missing = self._missing(said, index)
            whole += (self.needed[index] - missing) * len(ids)
            left += (self.needed[index] - said.met[index]) * len(ids)
            if missing:
                place = self._begun(said, index)
                if place > most:
                    most, foremost = place, []
                if place and place == most:
                    foremost.append(ids[place])
                (begun if place else fresh).append(ids[place])
        wanted = tuple(dict.fromkeys(begun or fresh))
        return Outlook(whole + most, wanted, left, tuple(foremost))

    def _missing(self, said: Said, index: int) -> int:
        """How often a term must still be said if the text ended here."""
        missing = self.needed[index] - said.met[index]
        return missing - 1 if missing and self.phrases.is_waiting(said.seen, index) else missing

    def _begun(self, said: Said, index: int) -> int:
        """How many pieces of a missing term have been said."""
        passed, seen = self._passed[index], said.seen
        length = len(self.phrases.texts[index])
        places = [place for other, place in seen.open if other == index and place < length]
        begun = max((passed.get((place, seen.tail), 0) for place in places), default=0)
        if begun:
            return begun
        if self._begins_with_space[index] and seen.before == " ":
            return passed.get((0, seen.tail), 1)
        return passed.get((0, seen.tail), 0) if seen.tail else 0
