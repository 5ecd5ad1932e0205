"""The texts of a vocabulary's pieces: which pieces can spell what. Knows no tokenizer."""

import functools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq.languages import is_word_character

Ids = NDArray[np.int64]
"""Target ids, [any number]."""


_BROKEN = "\ufffd"  # what bytes that are no character become
_FIRST_LEADING_BYTE = 0xC2  # of characters in UTF-8; bytes before it go on with one
_MOST_BYTES = 4  # of a character


class _Sorted(NamedTuple):
    """Texts in order, with the id of each."""

    texts: list[str]
    ids: Ids


class Spelling:
    """What each target id adds to a text.

    A text is what its pieces add, one after another; a space before it all says nothing.

    Args:
        spelt: Of each id, in order: what it adds, or the number of a byte of UTF-8, whose control
            characters count as spaces; None for ids that no text has, such as those of padding.
    """

    def __init__(self, spelt: Sequence[str | int | None]) -> None:
        self.spelt = tuple(spelt)
        numbered = list(enumerate(spelt))
        self.by_byte = {byte: id_ for id_, byte in numbered if isinstance(byte, int)}
        # What is used to say something: bytes are characters only where no piece is.
        self.by_text = {text: id_ for id_, text in numbered if isinstance(text, str) and text}
        for byte in range(0x20, 0x7F):
            if byte in self.by_byte:
                self.by_text.setdefault(chr(byte), self.by_byte[byte])
        self.longest = max(map(len, self.by_text), default=0)
        # What may be said.
        self._texts = [(text, id_) for id_, text in numbered if isinstance(text, str) and text]
        self._texts += [
            (characters_of(b"", byte)[0], id_) for byte, id_ in self.by_byte.items() if byte < 0x80
        ]

    def read(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        text, tail = "", b""
        for id_ in ids:
            characters, tail = characters_of(tail, self.spelt[id_] or "")
            text += characters
        return text + (_BROKEN if tail else "")

    def split(self, text: str) -> list[int]:
        """Ids of a text, the longest piece first; none if it cannot be spelt."""
        ids: list[int] = []
        place = 0
        while place < len(text):
            lengths = range(min(self.longest, len(text) - place), 0, -1)
            pieces = (text[place : place + length] for length in lengths)
            piece = next((piece for piece in pieces if piece in self.by_text), None)
            if piece is not None:
                ids.append(self.by_text[piece])
                place += len(piece)
                continue
            encoded = text[place].encode()
            if not all(byte in self.by_byte for byte in encoded):
                return []
            ids += [self.by_byte[byte] for byte in encoded]
            place += 1
        return ids

    @functools.cached_property
    def word_starts(self) -> list[str]:
        """Of each id the case-folded and plain characters of its text that a word may begin with:
        its first one, and those after something else than letters."""
        starts = []
        for spelt in self.spelt:
            text = spelt if isinstance(spelt, str) else ""
            pairs = zip(f" {text}", text, strict=False)
            found = "".join(right for left, right in pairs if not is_word_character(left))
            starts.append(found + found.casefold())
        return starts

    @functools.cached_property
    def byte_ids(self) -> Ids:
        """Bytes that are no characters by themselves."""
        return as_ids(id_ for byte, id_ in self.by_byte.items() if byte >= 0x80)

    @functools.cached_property
    def boundary_ids(self) -> Ids:
        """Pieces before which a word ends."""
        return as_ids(id_ for text, id_ in self._texts if not is_word_character(text[0]))

    def beginning_with(self, text: str, *, folded: bool = False) -> tuple[list[str], Ids]:
        """Texts that begin so, and their pieces: those of `by_text`, or all, case-folded."""
        texts, ids = self._folded if folded else self._exact
        first = bisect_left(texts, text)
        last = bisect_left(texts, text + chr(0x10FFFF), lo=first)
        return texts[first:last], ids[first:last]

    def containing(self, text: str) -> list[tuple[str, int]]:
        """Folded texts of the pieces that have a folded text somewhere, with their ids."""
        joined, starts = self._joined
        folded, ids = self._folded
        found, place = [], joined.find(text)
        while place >= 0:
            index = int(np.searchsorted(starts, place, side="right")) - 1
            found.append((folded[index], int(ids[index])))
            after = int(starts[index]) + len(folded[index]) + 1
            place = joined.find(text, after)
        return found

    @functools.cached_property
    def _exact(self) -> _Sorted:
        return _sort(list(self.by_text.items()))

    @functools.cached_property
    def _folded(self) -> _Sorted:
        return _sort([(text.casefold(), id_) for text, id_ in self._texts])

    @functools.cached_property
    def _joined(self) -> tuple[str, NDArray[np.int64]]:
        """All folded texts in one, between separators that none has, and where each begins."""
        texts, _ = self._folded
        lengths = np.array([len(text) + 1 for text in texts], dtype=np.int64)
        return "\n".join(texts), np.cumsum(lengths) - lengths


class Characters:
    """An automaton over the bytes of UTF-8: a character that has begun goes on until it is whole.

    Its states are the beginning of a character. Bytes below 0x80 are whole ones.
    """

    def __init__(self, spelling: Spelling) -> None:
        self._bytes = {id_: byte for byte, id_ in spelling.by_byte.items() if byte >= 0x80}
        self._lengths = {
            id_: sum(byte >= least for least in (0x80, 0xE0, 0xF0)) + 1
            for id_, byte in self._bytes.items()
        }
        self._following: dict[bytes, Ids] = {}
        self._blocked: dict[int, Ids] = {}

    @property
    def ids(self) -> list[int]:
        """All bytes that are no character by themselves."""
        return list(self._bytes)

    def advance(self, tail: bytes, id_: int) -> bytes:
        """The state after one more piece."""
        return characters_of(tail, self._bytes[id_])[1] if id_ in self._bytes else b""

    def following(self, tail: bytes) -> Ids:
        """The bytes that may go on with a character, or begin one."""
        if tail not in self._following:
            self._following[tail] = as_ids(
                id_ for id_, byte in self._bytes.items() if _is_beginning(tail + bytes([byte]))
            )
        return self._following[tail]

    def blocked(self, room: int) -> Ids:
        """The bytes that may not follow where no character has begun.

        Args:
            room: Ids that may still follow: characters that need more of them do not begin.
        """
        room = min(room, _MOST_BYTES)
        if room not in self._blocked:
            firsts = set(self.following(b"").tolist())
            self._blocked[room] = as_ids(
                id_ for id_, length in self._lengths.items() if id_ not in firsts or length > room
            )
        return self._blocked[room]


def _is_beginning(encoded: bytes) -> bool:
    """Whether there is a character that begins with these bytes, or is them."""
    try:
        encoded.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True


def characters_of(tail: bytes, spelt: str | int) -> tuple[str, bytes]:
    """What one more piece adds: what can be read, and the beginning of a character.

    Args:
        tail: The beginning of a character so far.
        spelt: As in `Spelling`.
    """
    if isinstance(spelt, int) and spelt < 0x80:
        spelt = chr(spelt) if 0x20 <= spelt < 0x7F else " "
    if isinstance(spelt, str):
        return (_BROKEN if tail else "") + spelt, b""
    if spelt >= _FIRST_LEADING_BYTE:
        return _BROKEN if tail else "", bytes([spelt])
    if not tail:
        return _BROKEN, b""
    tail += bytes([spelt])
    try:
        return tail.decode(), b""
    except UnicodeDecodeError as error:
        is_short = error.reason == "unexpected end of data"
        return ("", tail) if is_short else (_BROKEN, b"")


def as_ids(ids: Iterable[int]) -> Ids:
    """Ids as an array."""
    return np.fromiter(ids, dtype=np.int64)


def _sort(texts: list[tuple[str, int]]) -> _Sorted:
    ordered = sorted(texts)
    return _Sorted([text for text, _ in ordered], as_ids(id_ for _, id_ in ordered))
