"""Translates words in capitals in the case that training knows, and writes capitals again.

To a network a word in capitals is a row of letters that it has hardly met. So such words are
written small, or with a capital at their beginning, whichever takes the vocabulary fewer pieces;
the words that came from them are written in capitals afterwards, the whole sentence if the source
was. Titles In Which Every Word Begins With A Capital are treated alike. The capitals of beginnings
and of German nouns are left alone. Where letters without case stand beside such words, as in
"NASA의 사진", only these words are in capitals.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from seq2seq.alignments import Span, find_words, piece_spans, soft_alignment
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.languages import base_language
from seq2seq.source import Source
from seq2seq.translation import Translation, Word, from_alternatives

_WORD = re.compile(r"\S+")
# Letters with marks around them; what holds anything else, such as a URL, has no case to change.
_LETTERS = re.compile(r"[^\w{}<>%@/\\]*(?P<core>[^\W\d_]+(?:[-'’][^\W\d_]+)*)[^\w{}<>%@/\\]*")
_FEWEST_IN_TITLE = 5  # words, without which a title may as well be a sentence with some nouns
_SHARE = 0.5  # of the attention of a word, above which it came from words in capitals
_FEW = 0.1  # of the letters: so many may have no case where a whole sentence is in capitals
EVERY_LETTER, EVERY_WORD = "every letter", "every word"


class Recased(NamedTuple):
    """A source in the case that training knows."""

    text: str
    style: str | None
    """What has a capital in the original: `EVERY_LETTER`, `EVERY_WORD`, or some words only."""
    capitals: tuple[tuple[int, int], ...]
    """Where the words stand in it that were in capitals: first character and end."""


class Caser:
    """Finds the case that a vocabulary knows a word in.

    Args:
        tokenizer: Of the sources.
        language: Of the sources.
    """

    def __init__(self, tokenizer: Tokenizer, language: str) -> None:
        self._has_sharp_s = base_language(language) == "de"
        self._encode = functools.lru_cache(100_000)(tokenizer.encode)

    def recase(self, text: str, kept: Sequence[str] = ()) -> Recased:
        """Writes words in capitals, or the words of a title, as training knows them.

        Args:
            kept: Words and phrases that stay as they are.
        """
        places = list(_cased_words(text))
        words = [text[start:end] for start, end in places]
        cores = ["" if any(word in each for each in kept) else _core(word) for word in words]
        loud = [number for number, core in enumerate(cores) if len(core) > 1 and core.isupper()]
        style, changed = None, loud
        if _is_mostly_cased(text):
            if loud and all(core.isupper() for core in cores if _has_case(core)):
                style = EVERY_LETTER
            elif self._is_title(cores):
                style = EVERY_WORD
        if style:
            changed = [number for number, core in enumerate(cores) if _has_case(core)]
        recased, end, capitals = "", 0, []
        for number in changed:
            start, stop = places[number]
            is_first = not text[:start].strip()
            best = self._best(cores[number], is_first=is_first)
            recased += text[end:start]
            begin, end = len(recased), stop
            recased += words[number].replace(cores[number], best)
            if number in loud:
                capitals.append((begin, len(recased)))
        return Recased(recased + text[end:], style, tuple(capitals))

    def _best(self, word: str, *, is_first: bool) -> str:
        """The way to write a word that takes the fewest pieces, small if several do."""
        small = word.lower()
        begun = small[:1].upper() + small[1:]
        ways = [begun, small] if is_first else [small, begun, small.title(), word]
        if self._has_sharp_s:  # which is SS in capitals
            ways += [way.replace("ss", "ß") for way in ways]
        return min(ways, key=lambda way: len(self._encode(way)))

    def _is_title(self, cores: Sequence[str]) -> bool:
        """Whether words have capitals that the vocabulary does not expect there."""
        later = [core for core in cores[1:] if _has_case(core)]
        if len(later) + 1 < _FEWEST_IN_TITLE or not all(core[0].isupper() for core in later):
            return False
        odd = [core for core in later if self._rarity(core.lower()) < self._rarity(core)]
        return len(odd) > 1 and 3 * len(odd) > len(later)

    def _rarity(self, word: str) -> tuple[int, int]:
        """By the number of its pieces, and by their ids, of which frequent pieces have low ones."""
        ids = self._encode(word)
        return len(ids), sum(ids)


def restore_case(
    translation: Translation,
    source: Source,
    recased: Recased,
    languages: tuple[str, str],
) -> Translation:
    """Writes the words of a translation in capitals that came from words in capitals.

    What the translation must say stays as it was asked for.

    Args:
        source: The original.
        languages: Of source and target.
    """
    if recased.style is None and not recased.capitals:
        return translation
    return from_alternatives(
        _restore(alternative, source, recased, languages)
        for alternative in translation.alternatives
    )


def _restore(
    translation: Translation, source: Source, recased: Recased, languages: tuple[str, str]
) -> Translation:
    text = translation.text
    words = [match.span() for match in _WORD.finditer(text)]
    change = _begin if recased.style == EVERY_WORD else str.upper
    if recased.style is None:
        words = _came_from_capitals(translation, recased, languages)
    kept = _bound_places(text, source)
    parts, end, moved = [], 0, []
    for start, stop in words:
        if _LETTERS.fullmatch(text, start, stop) and kept.isdisjoint(range(start, stop)):
            written = change(text[start:stop])
            parts += [text[end:start], written]
            moved.append((stop, len(written) - (stop - start)))
            end = stop
    changed = "".join([*parts, text[end:]])
    return dataclasses.replace(
        translation, text=changed, words=_moved(translation.words, changed, moved)
    )


def _came_from_capitals(
    translation: Translation, recased: Recased, languages: tuple[str, str]
) -> list[tuple[int, int]]:
    """Places of the words that attended to words in capitals more than to all others."""
    if translation.alignment is None:
        return []
    loud = _pieces_of_capitals(recased, translation.source_pieces)
    sources = [Span(piece, piece + 1, piece, piece + 1) for piece in loud]
    targets = find_words(translation.text, translation.pieces, languages[1])
    weights = soft_alignment(translation.alignment, sources, targets).sum(dim=1).tolist()
    return [
        (word.start, word.end)
        for word, weight in zip(targets, weights, strict=True)
        if weight > _SHARE
    ]


def _pieces_of_capitals(recased: Recased, pieces: Sequence[str]) -> list[int]:
    """Source pieces of the words that were in capitals, with a space that is a piece before one."""
    found, is_loud = [], False
    spans = piece_spans(recased.text, pieces)
    for piece, (start, end) in reversed(list(enumerate(spans))):
        if start < end:
            is_loud = any(max(start, first) < min(end, last) for first, last in recased.capitals)
        elif pieces[piece] != "▁":
            is_loud = False
        if is_loud:
            found.append(piece)
    return found


def _bound_places(text: str, source: Source) -> set[int]:
    """Characters of the prefix, of terms and of what was copied, which stay as they are."""
    places = set(range(len(source.prefix))) if source.prefix else set()
    for term in (*source.terms, *source.copied):
        for match in re.finditer(re.escape(term), text):
            places.update(range(*match.span()))
    return places


def _moved(
    words: tuple[Word, ...] | None, text: str, moved: Sequence[tuple[int, int]]
) -> tuple[Word, ...] | None:
    """Words where they stand in the changed text; some capitals take more letters, as of ß."""
    if words is None or not moved:
        return words
    placed = []
    for word in words:
        start = word.start + sum(by for end, by in moved if end <= word.start)
        end = word.start + len(word.text)
        length = len(word.text) + sum(by for stop, by in moved if word.start < stop <= end)
        placed.append(dataclasses.replace(word, text=text[start : start + length], start=start))
    return tuple(placed)


def _cased_words(text: str) -> Iterator[tuple[int, int]]:
    """Words between spaces, without letters that have no case, as those of Korean particles."""
    start = 0
    for is_outside, letters in itertools.groupby(text, _is_outside):
        end = start + sum(1 for _ in letters)
        if not is_outside:
            yield start, end
        start = end


def _is_outside(letter: str) -> bool:
    return letter.isspace() or (letter.isalpha() and not _has_case(letter))


def _is_mostly_cased(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    return sum(not _has_case(letter) for letter in letters) <= _FEW * len(letters)


def _core(word: str) -> str:
    """The letters of a word without marks around them; nothing if it holds anything else."""
    match = _LETTERS.fullmatch(word)
    return match["core"] if match else ""


def _has_case(word: str) -> bool:
    return word.lower() != word.upper()


def _begin(word: str) -> str:
    """A word with a capital as its first letter."""
    core = _core(word)
    place = word.index(core)
    return word[:place] + core[:1].upper() + word[place + 1 :]
