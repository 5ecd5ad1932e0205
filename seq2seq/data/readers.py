"""Reads the pairs of one entry of `corpus.train`, `dev` or `test`: two text files or a table.

An entry is a prefix of two line-aligned files, or a table by its suffix in `READERS`, with a slice
at its end if only a part is meant. Nothing is cleaned or dropped here: pair number k of a file
stays pair number k. Nothing is kept either: pairs come in chunks.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from seq2seq.config import ConfigurationError, shown
from seq2seq.data.slices import split_slice
from seq2seq.data.tables import MOST_ROWS, READERS, Chunk, Columns, table_suffix
from seq2seq.data.text_files import TextFile


def read_entry(
    entry: str,
    languages: tuple[str, str],
    columns: Columns,
    *,
    field: str,
    align: Callable[[Iterator[Chunk]], Iterator[Chunk]] = iter,
) -> Iterator[Chunk]:
    """The sources and targets of an entry, as they stand in its files.

    Args:
        entry: Prefix of two text files or path of a table, and perhaps a slice.
        languages: Suffixes of the text files.
        columns: Columns of a table.
        field: The setting of the entry, for error messages.
        align: Adds alignments to the pairs of the files.

    Raises:
        ConfigurationError: If a file, column or slice is missing, unreadable or does not match.
    """
    files = find_files(entry, languages, field=field)
    path, selection = split_slice(entry, field=field)

    def whole() -> Iterator[Chunk]:
        if suffix := table_suffix(path):
            table = READERS[suffix](files[0], columns)
            return align(_refuse_header(table, path, languages, columns))
        return align(_aligned(*map(TextFile, files)))

    if selection is None:
        yield from whole()
        return
    # A slice may depend on the number of pairs, so they are read once to be counted.
    size = sum(len(chunk.sources) for chunk in whole())
    taken = range(size)[selection.of(size)]
    if size and not taken:
        raise ConfigurationError(
            f"The slice of `{field}` {shown(entry)} takes none of {size} pairs."
        )
    yield from _between(whole(), taken.start, taken.stop)


def find_files(entry: str, languages: tuple[str, str], *, field: str) -> list[Path]:
    """The table of an entry, or its two text files.

    Raises:
        ConfigurationError: If a text file is missing or ambiguous, or the entry is none.
    """
    if len(entry.splitlines()) > 1:  # a message could not name it in a line
        raise ConfigurationError(f"`{field}` must be one line, but is {shown(entry)}.")
    path, _ = split_slice(entry, field=field)
    if table_suffix(path):
        return [Path(path)]
    return [_find(path, language, field=field) for language in languages]


def is_table(entry: str) -> bool:
    """Whether an entry is a table and no pair of text files."""
    return table_suffix(split_slice(entry, field="corpus")[0]) is not None


def _refuse_header(
    chunks: Iterator[Chunk], path: str, languages: tuple[str, str], columns: Columns
) -> Iterator[Chunk]:
    """The chunks, unless their first pair is the names of the columns."""
    for number, chunk in enumerate(chunks):
        first = {*chunk.sources[:1], *chunk.targets[:1]}
        if number == 0 and columns.are_numbers and first == set(languages):
            raise ConfigurationError(
                f"The first line of {path} is a header; give its names as `corpus.source_column` "
                f"and `corpus.target_column`, or leave both out, instead of numbers."
            )
        yield chunk


def _aligned(source: TextFile, target: TextFile) -> Iterator[Chunk]:
    """The lines of two files side by side.

    Raises:
        ConfigurationError: If there are not equally many.
    """
    files = (source, target)
    streams = [file.blocks() for file in files]
    waiting: list[list[str]] = [[], []]
    num_read = 0
    while True:
        waiting = [
            lines or next(stream, []) for lines, stream in zip(waiting, streams, strict=True)
        ]
        size = min(MOST_ROWS, *map(len, waiting))
        if not size:
            break
        sources, targets = (lines[:size] for lines in waiting)
        yield Chunk(sources, targets, source.share())
        waiting = [lines[size:] for lines in waiting]
        num_read += size
    counts = [
        num_read + len(lines) + sum(map(len, stream))
        for lines, stream in zip(waiting, streams, strict=True)
    ]
    if counts[0] != counts[1]:
        raise ConfigurationError(
            f"{source.path} has {counts[0]} lines, but {target.path} has {counts[1]}; they must be "
            f"line-aligned."
        )


def _between(chunks: Iterator[Chunk], start: int, stop: int) -> Iterator[Chunk]:
    """The pairs from number `start` to `stop`, the latter not included."""
    number = 0
    for chunk in chunks:
        part = chunk.part(slice(max(start - number, 0), max(stop - number, 0)))
        number += len(chunk.sources)
        if part.sources:
            yield part
        if number >= stop:
            return


def _find(prefix: str, language: str, *, field: str) -> Path:
    plain, compressed = Path(f"{prefix}.{language}"), Path(f"{prefix}.{language}.gz")
    # Unlike those of `Path`, this one knows no errors: what cannot be looked at is not there.
    is_plain, is_compressed = os.path.exists(plain), os.path.exists(compressed)
    if is_plain and is_compressed:
        raise ConfigurationError(
            f"`{field}` is ambiguous: both {plain} and {compressed} exist; remove one of them."
        )
    if not is_plain and not is_compressed:
        raise ConfigurationError(
            f"`{field}` needs a file {plain} or {compressed}; neither exists{_advice(prefix)}."
        )
    return plain if is_plain else compressed


def _advice(prefix: str) -> str:
    if not os.path.isfile(prefix) and not re.search(r"\.[A-Za-z]\w{1,6}$", prefix):
        return ""
    return f" (give the path before the language, or a table: {', '.join(READERS)})"
