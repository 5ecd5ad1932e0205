"""Words and phrases in what a hypothesis says: those that must not stand there, and their places.

Knows texts of pieces, not how they were found: any segmentation of a phrase is the phrase.
"""

from collections.abc import Sequence
from typing import NamedTuple

from seq2seq.decoding.spelling import Ids, Spelling, as_ids, characters_of
from seq2seq.languages import is_word_character

# Steps that are kept, so that rules for millions of sentences stay small.
_MOST_STEPS = 200_000
_NOTHING = as_ids(())


class Seen(NamedTuple):
    """What must be remembered of a text."""

    open: tuple[tuple[int, int], ...] = ()
    """Phrases that have begun: number and characters so far. One that is complete waits for the end
    of its last word."""
    before: str = " "
    """What the text ends with: a space, a mark ".", or a letter "a"."""
    tail: bytes = b""
    """The beginning of a character."""


class Phrases:
    """Spots phrases in growing texts.

    Args:
        texts: None is empty.
        whole_words: A phrase that begins or ends with a letter stands there only where no other
            letter comes before or after.
        folded: Case does not matter; `texts` are case-folded then.
        anchored: Phrases stand at the beginning of the text only, behind the space before it all.
    """

    def __init__(
        self,
        spelling: Spelling,
        texts: Sequence[str],
        *,
        whole_words: bool,
        folded: bool = False,
        anchored: bool = False,
    ) -> None:
        self.spelling = spelling
        self.texts = tuple(texts)
        self.folded = folded
        self.anchored = anchored
        self.needs_start = [whole_words and is_word_character(text[0]) for text in texts]
        self.needs_end = [whole_words and is_word_character(text[-1]) for text in texts]
        self._within_words = not all(self.needs_start)  # whether a phrase may begin there
        self._by_first: dict[str, list[int]] = {}
        if not anchored:
            for index, text in enumerate(texts):
                self._by_first.setdefault(text[0], []).append(index)
        # Pieces that begin no phrase, with what the text ends with after them.
        self._neutral: dict[int, Seen] = {}
        self.start = Seen(tuple((index, 0) for index in range(len(texts))) if anchored else ())
        self._steps: dict[tuple[Seen, int], tuple[Seen, tuple[int, ...]]] = {}

    def advance(self, seen: Seen, id_: int) -> tuple[Seen, tuple[int, ...]]:
        """What is to be remembered after one more piece, and the phrases that it completes.

        A phrase that ends with a letter is complete when something else than a letter follows.
        """
        if not seen.open and not seen.tail and id_ in self._neutral:
            return self._neutral[id_], ()
        key = (seen, id_)
        if key not in self._steps:
            if len(self._steps) >= _MOST_STEPS:
                self._steps.clear()
            self._steps[key] = self.read(seen, id_)
        return self._steps[key]

    def is_waiting(self, seen: Seen, index: int) -> bool:
        """Whether a phrase would stand in the text if a word ended here."""
        return (index, len(self.texts[index])) in seen.open

    def waiting(self, seen: Seen) -> bool:
        """Whether any would."""
        return any(place == len(self.texts[index]) for index, place in seen.open)

    def read(self, seen: Seen, id_: int) -> tuple[Seen, tuple[int, ...]]:
        """The same, thought through anew."""
        spelt = self.spelling.spelt[id_]
        if spelt is None:
            return seen, ()
        text, tail = characters_of(seen.tail, spelt)
        if self.folded:
            text = text.casefold()
        if isinstance(spelt, str) and self._is_neutral(id_, text):
            self._neutral[id_] = Seen((), _kind(spelt[-1]))
            if not seen.open and not seen.tail:
                return self._neutral[id_], ()
        open_, last = seen.open, ""
        completed: list[int] = []
        for character in text:
            if open_ or character in self._by_first:
                before = _kind(last) if last else seen.before
                open_, found = self._feed(open_, before, character)
                completed += found
            last = character
        return Seen(open_, _kind(last) if last else seen.before, tail), tuple(completed)

    def _is_neutral(self, id_: int, text: str) -> bool:
        """Whether a piece of this text begins no phrase, wherever it stands."""
        starts = text if self._within_words else self.spelling.word_starts[id_]
        return self._by_first.keys().isdisjoint(starts)

    def _feed(
        self, open_: tuple[tuple[int, int], ...], before: str, character: str
    ) -> tuple[tuple[tuple[int, int], ...], list[int]]:
        """Phrases that are open after one more character, and those that are complete."""
        is_letter = is_word_character(character)
        reached: set[tuple[int, int]] = set()
        completed: list[int] = []
        for index, place in open_:
            if place == len(self.texts[index]):
                if not is_letter:
                    completed.append(index)
            elif self.texts[index][place] == character:
                reached.add((index, place + 1))
        for index in self._by_first.get(character, ()):
            if before != "a" or not self.needs_start[index]:
                reached.add((index, 1))
        whole = {index for index, place in reached if place == len(self.texts[index])}
        completed += [index for index in whole if not self.needs_end[index]]
        # Of occurrences that overlap only the first one counts.
        still_open = (
            (index, place)
            for index, place in reached
            if index not in whole or (place == len(self.texts[index]) and self.needs_end[index])
        )
        return tuple(sorted(still_open)), completed


class Forbidden:
    """What must not follow, so that no phrase stands in the text."""

    def __init__(self, phrases: Phrases) -> None:
        self.phrases = phrases
        self._blocked: dict[tuple[Seen, bool], Ids] = {}
        self._wholes: dict[tuple[bool, bool], list[int]] = {}

    def may_end(self, seen: Seen) -> bool:
        """Whether the text may end here."""
        return not self.phrases.waiting(seen)

    def blocked(self, seen: Seen, *, early: bool = False) -> Ids:
        """Pieces that would complete a phrase.

        Where a phrase waits for the end of its last word, a character that is spelt in bytes does
        not follow either, since it may be no letter.

        Args:
            early: Also pieces after which a phrase would wait.
        """
        key = (seen, early)
        if key not in self._blocked:
            self._blocked[key] = self._find(seen, early=early)
        return self._blocked[key]

    def _find(self, seen: Seen, *, early: bool) -> Ids:
        phrases, spelling = self.phrases, self.phrases.spelling
        if seen.tail:  # either a byte goes on with the character, or it is none
            others = self.blocked(Seen((), "."), early=early).tolist()
            steps = ((id_, phrases.read(seen, id_)) for id_ in spelling.byte_ids.tolist())
            completing = (
                id_
                for id_, (after, completed) in steps
                if completed or (early and phrases.waiting(after))
            )
            return as_ids([*others, *completing])
        blocked: list[int] = []
        for index, place in seen.open:
            rest = phrases.texts[index][place:]
            if not rest:
                blocked += [*spelling.boundary_ids.tolist(), *spelling.byte_ids.tolist()]
                continue
            texts, ids = spelling.beginning_with(rest, folded=phrases.folded)
            for text, id_ in zip(texts, ids.tolist(), strict=True):
                if self._ends(index, text, len(rest), early=early):
                    blocked.append(id_)
        if not phrases.anchored:
            blocked += self._whole(is_word_character(seen.before), early=early)
        return as_ids(dict.fromkeys(blocked)) if blocked else _NOTHING

    def _whole(self, after_letter: bool, *, early: bool) -> list[int]:
        """Pieces that have all of a phrase, after a letter or not."""
        key = (after_letter, early)
        if key not in self._wholes:
            self._wholes[key] = [
                id_
                for index in range(len(self.phrases.texts))
                for id_ in self._within(index, "a" if after_letter else " ", early=early)
            ]
        return self._wholes[key]

    def _within(self, index: int, before: str, *, early: bool) -> list[int]:
        """Pieces that have all of one phrase, after a text that ends so."""
        phrase = self.phrases.texts[index]
        found = []
        for text, id_ in self.phrases.spelling.containing(phrase):
            place = text.find(phrase)
            while place >= 0:
                last = text[place - 1] if place else before
                starts = not (self.phrases.needs_start[index] and is_word_character(last))
                if starts and self._ends(index, text, place + len(phrase), early=early):
                    found.append(id_)
                    break
                place = text.find(phrase, place + 1)
        return found

    def _ends(self, index: int, text: str, place: int, *, early: bool) -> bool:
        """Whether a phrase is complete at this place within a piece, at once or by what follows."""
        if not self.phrases.needs_end[index]:
            return True
        return not is_word_character(text[place]) if place < len(text) else early


def _kind(character: str) -> str:
    """See `Seen.before`."""
    if is_word_character(character):
        return "a"
    return " " if character == " " else "."
