"""Which word came from which: alignments of pieces become alignments of words.

Words are what stands between spaces. Where a language writes none, they are what the tokenizer
holds together, and in the Pharaoh format, whose readers know no tokenizer, every character is a
word of its own.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from seq2seq.languages import is_unspaced
from seq2seq.translation import Translation, Word, with_best

Links = list[tuple[int, int]]  # (source word, target word), in the order of the target

_WORD = re.compile(r"\S+")
_MARKS_AROUND = re.compile(r"^[^\w\s]+|[^\w\s]+$")
_BYTE = re.compile("<0x([0-9A-F]{2})>")
_UNKNOWN, _SILENT = "<unk>", ("</s>", "<s>", "<pad>")
_LONGEST_CHARACTER = 4  # bytes


class Span(NamedTuple):
    """A word of a text: its characters and its pieces."""

    start: int
    end: int
    first: int
    last: int  # the piece after its last one


@dataclasses.dataclass(frozen=True)
class WordAlignment:
    """How the words of two sentences belong together."""

    source_words: list[str]
    target_words: list[str]
    soft: Tensor
    """[target words, source words]: what each target word attended to, the share of `</s>` left
    out."""
    links: Links
    """(source word, target word); of characters where a language writes no spaces."""


def align_words(
    alignment: Tensor,
    source: tuple[str, Sequence[str]],
    target: tuple[str, Sequence[str]],
    languages: tuple[str, str],
) -> WordAlignment:
    """The alignment of the words of a sentence pair.

    Args:
        alignment: [target_length, source_length], of pieces.
        source: Text and pieces; `target` likewise.
        languages: Of source and target.
    """
    sources = find_words(*source, languages[0])
    targets = find_words(*target, languages[1])
    soft = soft_alignment(alignment, sources, targets)
    source_words = [source[0][word.start : word.end] for word in sources]
    target_words = [target[0][word.start : word.end] for word in targets]
    links = number_links(hard_links(soft), source_words, target_words, languages)
    return WordAlignment(source_words, target_words, soft, links)


def describe_words(
    translation: Translation, source: str, languages: tuple[str, str]
) -> Translation:
    """Adds its words to a translation that has details.

    Args:
        source: The text that was translated.
        languages: Of source and target.
    """
    sources = find_words(source, translation.source_pieces, languages[0])
    targets = find_words(translation.text, translation.pieces, languages[1])
    came_from: list[list[int]] = [[] for _ in targets]
    weights: list[list[float]] = [[] for _ in targets]
    if translation.alignment is not None:
        soft = soft_alignment(translation.alignment, sources, targets)
        weights = soft.tolist()
        for source_word, target_word in hard_links(soft):
            came_from[target_word].append(source_word)
        for target_word, source_word in _copies(translation, source, sources, targets):
            came_from[target_word] = [source_word]
    log_probabilities = translation.piece_log_probabilities or ()
    entropies = translation.piece_entropies or ()
    return with_words(
        translation,
        [source[word.start : word.end] for word in sources],
        [
            Word(
                text=translation.text[word.start : word.end],
                start=word.start,
                log_probability=math.fsum(log_probabilities[word.first : word.last]),
                entropy=max(entropies[word.first : word.last], default=0.0),
                sources=tuple(own),
                weights=tuple(row),
            )
            for word, own, row in zip(targets, came_from, weights, strict=True)
        ],
        languages,
    )


def _copies(
    translation: Translation, source: str, sources: Sequence[Span], targets: Sequence[Span]
) -> Iterator[tuple[int, int]]:
    """Target words that stand for unknown pieces, and the source words that have their text."""
    unknown = [
        (number, source[word.start : word.end])
        for number, word in enumerate(sources)
        if _UNKNOWN in translation.source_pieces[word.first : word.last]
    ]
    for number, word in enumerate(targets):
        if _UNKNOWN in translation.pieces[word.first : word.last]:
            text = translation.text[word.start : word.end]
            alike = [index for index, other in unknown if _bare(other) == _bare(text)]
            yield from ((number, index) for index in alike[:1])


def _bare(word: str) -> str:
    """A word without the punctuation around it."""
    return _MARKS_AROUND.sub("", word)


def with_words(
    translation: Translation,
    source_words: Sequence[str],
    words: Sequence[Word],
    languages: tuple[str, str],
) -> Translation:
    """A translation with such words, as itself and as its first alternative."""
    links = [(source, target) for target, word in enumerate(words) for source in word.sources]
    numbered = number_links(links, source_words, [word.text for word in words], languages)
    return with_best(
        translation,
        source_words=tuple(source_words),
        words=tuple(words),
        links=None if translation.alignment is None else tuple(numbered),
    )


def number_links(
    links: Links,
    source_words: Sequence[str],
    target_words: Sequence[str],
    languages: tuple[str, str],
) -> Links:
    """Links by the numbers that readers of the Pharaoh format count by."""
    sources = _numbers(source_words, languages[0])
    targets = _numbers(target_words, languages[1])
    return [
        (source, target)
        for source_word, target_word in links
        for target in targets[target_word]
        for source in sources[source_word]
    ]


def find_words(text: str, pieces: Sequence[str], language: str) -> list[Span]:
    """The words of a text and the pieces of each.

    Args:
        pieces: Of that text, `</s>` or none at the end of each part.
    """
    spans = piece_spans(text, pieces)
    borders = _runs(text, spans) if is_unspaced(language) else _borders(text)
    inside: list[list[int]] = [[] for _ in borders]
    number = 0
    for piece, (start, end) in enumerate(spans):
        while number < len(borders) and borders[number][1] <= start:
            number += 1
        for word in range(number, len(borders)):  # a piece may hold two words and a wide space
            if borders[word][0] >= end or start == end:
                break
            inside[word].append(piece)
    words: list[Span] = []
    for (start, end), own in zip(borders, inside, strict=True):
        before = words[-1].last if words else 0
        if not own:  # characters that no piece accounts for
            words.append(Span(start, end, before, before))
            continue
        # Pieces without characters, such as a space before bytes, begin the word after them.
        first = before
        while first < own[0] and pieces[first] in _SILENT:
            first += 1
        words.append(Span(start, end, min(first, own[0]), own[-1] + 1))
    return words


def soft_alignment(alignment: Tensor, sources: Sequence[Span], targets: Sequence[Span]) -> Tensor:
    """Of words: the mean over the pieces of a target word, the sum over those of a source word.

    Args:
        alignment: [target_length, source_length], of pieces.

    Returns:
        [target words, source words]; what went to `</s>` is missing from the rows.
    """
    means = alignment.new_zeros(len(targets), alignment.shape[0])
    for row, word in zip(means, targets, strict=True):
        row[word.first : word.last] = 1 / max(word.last - word.first, 1)
    sums = alignment.new_zeros(alignment.shape[1], len(sources))
    for column, word in zip(sums.T, sources, strict=True):
        column[word.first : word.last] = 1
    return means @ alignment @ sums


def hard_links(soft: Tensor) -> Links:
    """Links each target word with the source word that it attended to most.

    Args:
        soft: See `soft_alignment`.
    """
    if not soft.numel():
        return []
    weights, best = soft.max(dim=1)
    unlinked = (weights < 1 - soft.sum(dim=1)).tolist()  # `</s>` had more: it came from no word
    return [(source, target) for target, source in enumerate(best.tolist()) if not unlinked[target]]


def _borders(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _WORD.finditer(text)]


def _runs(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Characters that the pieces hold together; words between spaces that no piece accounts for."""
    runs: list[tuple[int, int]] = []
    for start, end in _borders(text):
        position = start
        for piece_start, piece_end in spans:
            if max(piece_start, start) < min(piece_end, end) and piece_start >= position:
                if piece_start > position:
                    runs.append((position, piece_start))
                position = min(piece_end, end)
                runs.append((piece_start, position))
        if position < end:
            runs.append((position, end))
    return runs


def piece_spans(text: str, pieces: Sequence[str]) -> list[tuple[int, int]]:
    """First character and end of each piece; those of a byte are its character's.

    Unknown pieces stand for what is between their neighbours, each for a word if there are as many.
    Pieces that cannot be found, as what a network says may be no text, stand for nothing.
    """
    spans: list[tuple[int, int]] = []
    end, lost = 0, False
    unknown: list[int] = []
    for content, count in _contents(pieces):
        place = text.find(content, end) if content else -1
        if place > end and not lost and not text[end:place].isspace():
            place = -1
        if place >= 0:
            _share(text, end, place, unknown, spans)
            end, lost, unknown = place + len(content or ""), False, []
            spans += [(place, end)] * count
        else:
            lost = lost or content != ""
            if content is None:
                unknown.append(len(spans))
            spans += [(end, end)] * count
    _share(text, end, len(text), unknown, spans)
    return spans


def _share(
    text: str, start: int, end: int, unknown: Sequence[int], spans: list[tuple[int, int]]
) -> None:
    """Divides a stretch of text among the unknown pieces that stand there."""
    words = [match.span() for match in _WORD.finditer(text, start, end)]
    if not words or not unknown:
        return
    if len(words) != len(unknown):
        words = [(words[0][0], words[-1][1])]
    for piece, word in zip(unknown, words, strict=False):
        spans[piece] = word


def is_unknown(piece: str) -> bool:
    """Whether a piece is none of the text: a byte, or what stands for all that is unknown."""
    return piece == _UNKNOWN or _BYTE.fullmatch(piece) is not None


def _contents(pieces: Sequence[str]) -> Iterator[tuple[str | None, int]]:
    """Characters, without spaces around them, and of how many pieces; None for an unknown piece."""
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        if _BYTE.fullmatch(piece):
            character, count = _character(pieces[index : index + _LONGEST_CHARACTER])
            yield character, count
            index += count
            continue
        silent = piece in _SILENT
        yield None if piece == _UNKNOWN else "" if silent else piece.replace("▁", " ").strip(" "), 1
        index += 1


def _character(pieces: Sequence[str]) -> tuple[str, int]:
    """The character that begins with the first of some pieces, which is a byte."""
    matches = [_BYTE.fullmatch(piece) for piece in pieces]
    for count in range(1, len(matches) + 1):
        if not all(matches[:count]):
            break
        found = bytes(int(match[1], 16) for match in matches[:count] if match)
        try:
            return found.decode().strip(" "), count
        except UnicodeDecodeError:
            continue
    return "\ufffd", 1


def _numbers(words: Sequence[str], language: str) -> list[range]:
    """Of each word, or of its characters where words are not separated."""
    if not is_unspaced(language):
        return [range(number, number + 1) for number in range(len(words))]
    ends = list(itertools.accumulate(map(len, words), initial=0))
    return [range(*borders) for borders in itertools.pairwise(ends)]
