"""Given word alignments: read beside sentence pairs, kept as places in them, made links of pieces.

A file has a line for each pair, in the Pharaoh format: `0-0 2-1` links the source's first word with
the target's first one, and its third with the second. Places are characters that are not white
space, so they stay what they are when spaces are removed, and however the text is cut into pieces.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

from seq2seq.config import UNKNOWN_ID, ConfigurationError, shown
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.tables import Chunk
from seq2seq.data.tokenizer import ESCAPE, Tokenizer, prepare

Place = tuple[int, int]


def with_alignments(
    chunks: Iterable[Chunk], lines: Iterable[str], *, by_characters: tuple[bool, bool], where: str
) -> Iterator[Chunk]:
    """Adds to each pair the places of its linked words, "source start, end, target start, end ...".

    Args:
        lines: One for each pair; a blank one links nothing.
        by_characters: Whether each character of the source, and of the target, is a word; else
            words are what white space separates.
        where: The file of the lines, for error messages.

    Raises:
        ConfigurationError: If there are not as many lines as pairs, or a line is none of Pharaoh's
            or links words that its pair does not have.
    """
    remaining, chunks, number = iter(lines), iter(chunks), 0
    for chunk in chunks:
        found: list[str] = []
        for pair in zip(chunk.sources, chunk.targets, strict=True):
            if (line := next(remaining, None)) is None:
                size = number + len(chunk.sources) - len(found) + _count(chunks)
                raise _not_aligned(where, number, size)
            number += 1
            words = [
                _places_of_words(sentence, by_character)
                for sentence, by_character in zip(pair, by_characters, strict=True)
            ]
            links = _read_links(line, words, f"line {number} of {where}")
            found.append(" ".join(f"{a} {b} {c} {d}" for (a, b), (c, d) in links))
        yield chunk._replace(alignments=found)
    if rest := sum(1 for _ in remaining):
        raise _not_aligned(where, number + rest, number)


def places_of_pieces(tokenizer: Tokenizer, sentence: str, ids: Sequence[int]) -> np.ndarray:
    """Where each piece of a sentence stands in it, [pieces, 2].

    Bytes stand where their character does, and a piece of white space where the next piece does.
    """
    text = " " + prepare(sentence)  # SentencePiece begins every text with a space
    is_counted = [
        not (character.isspace() or before == ESCAPE) for before, character in pairwise(f" {text}")
    ]
    counts = list(accumulate(is_counted, initial=0))
    pieces = tokenizer.pieces(ids)
    places: list[Place] = []
    start = 0
    for index, piece in enumerate(pieces):
        if _LATER_BYTE.fullmatch(piece):
            places.append(places[-1])
            continue
        if ids[index] == UNKNOWN_ID:
            end = _end_of_unknown(text, start, pieces[index + 1 :], ids[index + 1 :])
        else:
            end = start + (1 if _BYTE.fullmatch(piece) else len(piece))
        places.append((counts[start], max(counts[end], counts[start] + 1)))
        start = end
    return np.array(places, np.int64).reshape(-1, 2)


def links_of_pieces(alignment: str, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The pieces that a pair's alignment links: all of a word with all of the other word.

    Args:
        alignment: As `with_alignments` writes it.
        source: Places of the source's pieces, [source pieces, 2].
        target: Those of the target's.

    Returns:
        Source and target piece of each link, [links, 2].
    """
    words = np.array(alignment.split(), np.int64).reshape(-1, 2, 2)  # [links, side, start and end]
    touched = [
        (own[:, :1] < places[:, 1]) & (places[:, 0] < own[:, 1:])  # [links, pieces]
        for own, places in ((words[:, 0], source), (words[:, 1], target))
    ]
    return np.argwhere(touched[0].T.astype(np.int32) @ touched[1] > 0)


_LINK = re.compile("([0-9]{1,7})-([0-9]{1,7})")
_BYTE = re.compile("<0x[0-9A-F]{2}>")
_LATER_BYTE = re.compile("<0x[89AB][0-9A-F]>")  # not the first one of a character


def _places_of_words(sentence: str, by_character: bool) -> list[Place]:
    words: Iterable[str] = clean_sentence(sentence).split()
    if by_character:
        words = "".join(words)
    return list(pairwise(accumulate(map(len, words), initial=0)))


def _end_of_unknown(text: str, start: int, pieces: Sequence[str], ids: Sequence[int]) -> int:
    """Where an unknown piece ends: where the known text up to the next one begins.

    Args:
        pieces: All behind it; never an unknown one first, as SentencePiece joins them.
    """
    num_known = next((n for n, i in enumerate(ids) if i == UNKNOWN_ID), len(ids))
    known = "".join(pieces[:num_known]).replace("▁", " ")
    is_last = num_known == len(ids)
    return len(text) - len(known) if is_last else text.find(known, start + 1)


def _read_links(line: str, words: Sequence[list[Place]], where: str) -> list[tuple[Place, Place]]:
    links = []
    for item in line.split():
        match = _LINK.fullmatch(item)
        if not match:
            raise ConfigurationError(
                f"There must be links such as 0-0 1-2 in {where}, but there is {shown(item)}."
            )
        numbers = [int(match[1]), int(match[2])]
        for side, number, own in zip(("source", "target"), numbers, words, strict=True):
            if number >= len(own):
                raise ConfigurationError(
                    f"{item} in {where} links word {number} of a {side} that has {len(own)} "
                    f"words, counted from 0."
                )
        links.append((words[0][numbers[0]], words[1][numbers[1]]))
    return links


def _count(chunks: Iterable[Chunk]) -> int:
    return sum(len(chunk.sources) for chunk in chunks)


def _not_aligned(where: str, num_lines: int, num_pairs: int) -> ConfigurationError:
    return ConfigurationError(
        f"{where} has {num_lines} lines, but there are {num_pairs} pairs; each needs one."
    )
