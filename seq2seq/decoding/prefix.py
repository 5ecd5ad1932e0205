"""Texts that a hypothesis must begin with, in any segmentation, and what may follow in them."""

from seq2seq.decoding.spelling import Ids, Spelling, as_ids


class Prefix:
    """An automaton whose states count the bytes of UTF-8 that have been said.

    The last piece may say more than the prefix, so that the prefix may end within a word.

    Args:
        text: With the space before every text.
        is_whole: Whether a hypothesis may end where the prefix ends.

    Raises:
        ValueError: If no pieces spell the text.
    """

    def __init__(self, spelling: Spelling, text: str, *, is_whole: bool = True) -> None:
        self._spelling = spelling
        self._is_whole = is_whole
        self._encoded = text.encode()
        self.most_pieces = len(self._encoded)
        self._sizes: dict[int, int] = {}  # bytes of each piece that the prefix may hold
        self._allowed: dict[int, Ids] = {}
        self._find_pieces(text)
        if 0 not in self._allowed:
            raise ValueError("no pieces of the vocabulary spell it")

    @property
    def ids(self) -> list[int]:
        """All that may follow anywhere in the prefix."""
        return sorted({int(id_) for ids in self._allowed.values() for id_ in ids})

    def advance(self, state: int, id_: int) -> int:
        """The state after one more piece."""
        beyond = self.most_pieces + 1
        if state >= self.most_pieces:
            return beyond
        return min(state + self._sizes[id_], beyond)

    def is_open(self, state: int) -> bool:
        """Whether the prefix has not been said."""
        return state < self.most_pieces

    def may_end(self, state: int) -> bool:
        """Whether a hypothesis may end here."""
        return state > self.most_pieces or (state == self.most_pieces and self._is_whole)

    def allowed(self, state: int) -> Ids:
        """Pieces that may follow in a prefix that has not been said; at least one."""
        return self._allowed[state]

    def _find_pieces(self, text: str) -> None:
        """Finds what may follow at each place, from the last to the first."""
        place = len(self._encoded)
        for index in reversed(range(len(text))):
            character = text[index].encode()
            for size in range(1, len(character) + 1):  # its last byte first
                place -= 1
                rest = text[index:] if size == len(character) else ""
                self._keep(place, self._following(place, rest))

    def _following(self, place: int, rest: str) -> dict[int, int]:
        """Pieces at one place with their sizes; `rest` is "" within a character."""
        spelling = self._spelling
        following: dict[int, int] = {}
        byte = self._encoded[place]
        if byte >= 0x80 and byte in spelling.by_byte:
            following[spelling.by_byte[byte]] = 1
        for length in range(1, min(len(rest), spelling.longest) + 1):
            piece = rest[:length]
            if piece in spelling.by_text:
                following[spelling.by_text[piece]] = len(piece.encode())
        if rest and len(rest) < spelling.longest:
            texts, ids = spelling.beginning_with(rest)
            for piece, id_ in zip(texts, ids.tolist(), strict=True):
                following[id_] = len(piece.encode())
        return following

    def _keep(self, place: int, following: dict[int, int]) -> None:
        """Keeps the pieces after which the prefix can be completed."""
        ends = len(self._encoded)
        fitting = {
            id_: size
            for id_, size in following.items()
            if place + size >= ends or place + size in self._allowed
        }
        self._sizes |= fitting
        if fitting:
            self._allowed[place] = as_ids(fitting)
