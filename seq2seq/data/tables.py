"""Reads sentence pairs of tables, chunk by chunk: TSV, CSV, JSON lines, Parquet.

A new kind of table is a function and one line of `READERS`. Nothing is cleaned or dropped here:
row number k of a file stays pair number k.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from seq2seq.config import ConfigurationError, shown
from seq2seq.data.text_files import TextFile, open_bytes
from seq2seq.lines import LONGEST_LINE


@dataclass(frozen=True)
class Columns:
    """What holds the two sides in a table: names, or numbers from 1 where there is no header."""

    source: str
    target: str

    @property
    def fields(self) -> dict[str, str]:
        """The columns by the settings that name them."""
        return {"corpus.source_column": self.source, "corpus.target_column": self.target}

    @property
    def are_numbers(self) -> bool:
        """Whether both sides are told by number."""
        return all(name.isascii() and name.isdigit() for name in (self.source, self.target))


class Chunk(NamedTuple):
    """Pairs that stand one after another, as they stand in their file."""

    sources: list[str]
    targets: list[str]
    share: float | None = None
    """How much of the file has been read after them, from 0 to 1, if that is known."""
    alignments: list[str] | None = None
    """What is known of their words; see `alignments.with_alignments`."""

    def part(self, rows: slice) -> "Chunk":
        """Some of the pairs."""
        alignments = None if self.alignments is None else self.alignments[rows]
        return Chunk(self.sources[rows], self.targets[rows], self.share, alignments)


Pair = tuple[str, str]
MOST_ROWS, MOST_CHARACTERS = 10_000, 1_000_000  # of a chunk, so that long lines do not add up


def read_tsv(path: Path, columns: Columns) -> Iterator[Chunk]:
    """A table of lines with tabs between columns; nothing is quoted."""
    file = TextFile(path)
    rows = (line.split("\t") for line in file)
    return in_chunks(_pairs_of_cells(path, rows, columns), file.share)


def read_csv(path: Path, columns: Columns) -> Iterator[Chunk]:
    """A table with commas between columns (RFC 4180); what is quoted may hold line ends."""
    file = TextFile(path)
    return in_chunks(_pairs_of_cells(path, _csv_rows(file), columns), file.share)


def read_jsonl(path: Path, columns: Columns) -> Iterator[Chunk]:
    """A table of lines with a JSON object each, nested or not; an empty line is an empty pair."""
    file = TextFile(path)
    rows = (
        _json_object(line, f"line {number} of {path}") if line.strip() else None
        for number, line in enumerate(file, start=1)
    )
    return in_chunks(pairs_of_rows(rows, columns, unit="line", where=str(path)), file.share)


def read_parquet(path: Path, columns: Columns) -> Iterator[Chunk]:
    """A Parquet file, columns nested or not."""
    import pyarrow.parquet  # type: ignore[import-untyped]

    open_bytes(path).close()  # says what is wrong
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = wanted_columns(file.schema_arrow, columns, where=str(path))
            rows = chain.from_iterable(_parquet_batches(file, names))
            pairs = pairs_of_rows(rows, columns, where=str(path))
            num_read, num_rows = 0, max(file.metadata.num_rows, 1)
            for chunk in in_chunks(pairs):
                num_read += len(chunk.sources)
                yield chunk._replace(share=num_read / num_rows)
    except ConfigurationError:
        raise
    except Exception as error:  # damage has many classes there
        raise ConfigurationError(
            f"{path} cannot be read as Parquet ({reason_of(error)})."
        ) from error


# What a table ends with, and what reads it; each but Parquet may be compressed, with .gz behind.
READERS: dict[str, Callable[[Path, Columns], Iterator[Chunk]]] = {
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


def table_suffix(path: str) -> str | None:
    """The key of `READERS` that a path ends with, whatever its case; None for none."""
    name = path.lower()
    plain = name.removesuffix(".gz")
    for suffix in READERS:
        if name.endswith(suffix) or (suffix != ".parquet" and plain.endswith(suffix)):
            return suffix
    return None


def in_chunks(
    pairs: Iterable[Pair], share: Callable[[], float | None] = lambda: None
) -> Iterator[Chunk]:
    """Pairs in chunks of bounded numbers and lengths.

    Args:
        share: Tells how much of the file has been read.
    """
    chunk = Chunk([], [])
    num_characters = 0
    for source, target in pairs:
        chunk.sources.append(source)
        chunk.targets.append(target)
        num_characters += len(source) + len(target)
        if len(chunk.sources) >= MOST_ROWS or num_characters >= MOST_CHARACTERS:
            yield chunk._replace(share=share())
            chunk, num_characters = Chunk([], []), 0
    if chunk.sources:
        yield chunk._replace(share=share())


def wanted_columns(schema: Any, columns: Columns, *, where: str) -> list[str]:
    """The names of an Arrow schema's columns that hold the two sides, perhaps deep in them.

    Raises:
        ConfigurationError: If there is no such column.
    """
    row = {field.name: _empty_value(field.type) for field in schema}
    for field, name in columns.fields.items():
        _pick(row, name, field, where)
    paths = [path for name in columns.fields.values() for path in _paths(name)]
    wanted = [name for name in row if any(f"{path}.".startswith(f"{name}.") for path in paths)]
    for name in wanted:
        if schema.names.count(name) > 1:
            raise ConfigurationError(f"There is more than one column {shown(name)} in {where}.")
    return wanted


def pairs_of_rows(
    rows: Iterable[Mapping[str, Any] | None], columns: Columns, *, where: str, unit: str = "row"
) -> Iterator[Pair]:
    """The sources and targets of rows with named, perhaps nested columns; None is an empty pair.

    Args:
        where: What the rows stand in, for error messages.
        unit: What a row is called there.

    Raises:
        ConfigurationError: If a row has no such column, or no text in it.
    """
    (source_field, source), (target_field, target) = columns.fields.items()
    for number, row in enumerate(rows, start=1):
        if row is None:
            yield "", ""
            continue
        place = f"{unit} {number} of {where}"
        yield (
            _text(_pick(row, source, source_field, place), source, source_field, place),
            _text(_pick(row, target, target_field, place), target, target_field, place),
        )


def reason_of(error: Exception) -> str:
    """The message of a library's error in one line, its class before it."""
    message = " ".join(str(error).split()).rstrip(".")
    name = type(error).__name__
    return f"{name}: {message[:300]}" if message else name


_BATCH_ROWS = 100  # rows may be long, and a file of kilobytes may repeat one of megabytes
_SURROGATE = re.compile("[\ud800-\udfff]")


def _parquet_batches(file: Any, names: list[str]) -> Iterator[list[dict[str, Any]]]:
    # Group by group: some nested types cannot be read across groups.
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=names):
            yield batch.to_pylist()


def _csv_rows(file: TextFile) -> Iterator[list[str]]:
    # Line ends are those of `TextFile`; the reader needs them back, as fields may hold some.
    lines = chain.from_iterable(file.raw_blocks())
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    try:
        for number, row in enumerate(reader):
            if number == 0 and len(row) == 1 and re.search("[;\t]", row[0]):
                raise ConfigurationError(
                    f"The columns of {file.path} must be separated by commas; with tabs between "
                    f"them, name the file .tsv."
                )
            yield row
    except csv.Error as error:
        raise ConfigurationError(
            f"{file.path} is not CSV in line {reader.line_num} ({error}); a field with a comma, a "
            f"quote or a line end in it must stand in quotes, and quotes in it are written twice."
        ) from error


def _pairs_of_cells(path: Path, rows: Iterable[list[str]], columns: Columns) -> Iterator[Pair]:
    """The sources and targets of rows of cells, the first a header if the columns have names."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        raise ConfigurationError(f"{path} is empty.")
    _refuse_mixed(columns)
    if has_header := not columns.are_numbers:
        places = [_named_place(path, first, name, f) for f, name in columns.fields.items()]
    else:
        places = [_numbered_place(path, first, name, f) for f, name in columns.fields.items()]
        rows = chain([first], rows)
    source_place, target_place = places
    for number, row in enumerate(rows, start=1 + has_header):
        if row in ([], [""]):  # an empty line
            row = [""] * len(first)
        if len(row) != len(first):
            raise ConfigurationError(
                f"Row {number} of {path} has {len(row)} columns, but row 1 has {len(first)}."
            )
        yield row[source_place], row[target_place]


def _refuse_mixed(columns: Columns) -> None:
    numbered = [name.isascii() and name.isdigit() for name in columns.fields.values()]
    if any(numbered) and not columns.are_numbers:
        raise ConfigurationError(
            f"`corpus.source_column` and `corpus.target_column` must both be numbers or both be "
            f"names, but are {shown(columns.source)} and {shown(columns.target)}."
        )


def _numbered_place(path: Path, row: Sequence[str], number: str, field: str) -> int:
    if len(number) > 9 or not 1 <= int(number) <= len(row):
        raise ConfigurationError(
            f"`{field}` must be from 1 to {len(row)} in {path}, but is {shown(number)}."
        )
    return int(number) - 1


def _named_place(path: Path, header: Sequence[str], name: str, field: str) -> int:
    for candidate in _paths(name):
        if header.count(candidate) > 1:
            raise ConfigurationError(f"There is more than one column {shown(candidate)} in {path}.")
        if candidate in header:
            return header.index(candidate)
    raise _no_column(header, name, field, f"the first line of {path}")


def _json_object(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"There is no JSON in {place} ({reason_of(error)}).") from error
    if not isinstance(row, dict):
        raise ConfigurationError(
            f"There must be a JSON object in {place}, not {type(row).__name__}."
        )
    return row


def _empty_value(arrow_type: Any) -> dict[str, Any] | None:
    """What a row has in a column of that type: objects with all their fields, or None."""
    import pyarrow

    if not pyarrow.types.is_struct(arrow_type):
        return None
    return {field.name: _empty_value(field.type) for field in arrow_type}


def _paths(name: str) -> tuple[str, str]:
    """Where a column may stand: many data sets have their languages within `translation`."""
    return name, f"translation.{name}"


def _pick(row: Mapping[str, Any], name: str, field: str, place: str) -> Any:
    """The value of the column `name`, or of the language `name` within `translation`."""
    for path in _paths(name):
        try:
            return _walk(row, path)
        except KeyError:
            continue
    raise _no_column(_leaf_names(row), name, field, place)


def _walk(row: Mapping[str, Any], path: str) -> Any:
    if path in row:
        return row[path]
    head, dot, rest = path.partition(".")
    inner = row[head] if dot else None
    if dot and inner is None:
        return None
    if not isinstance(inner, Mapping):
        raise KeyError(path)
    return _walk(inner, rest)


def _leaf_names(row: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for key, value in row.items():
        nested = isinstance(value, Mapping) and len(value)
        names += [f"{key}.{inner}" for inner in value] if nested else [key]
    return names


def _text(value: Any, name: str, field: str, place: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigurationError(
            f"`{field}` must name a column of text, but {shown(name)} has a value of type "
            f"{type(value).__name__} in {place}."
        )
    if len(value) > LONGEST_LINE:
        raise ConfigurationError(
            f"There are more than {LONGEST_LINE:,} characters in {place}, which is no sentence; "
            f"take it out."
        )
    if _SURROGATE.search(value):
        raise ConfigurationError(f"There is half a character (a lone surrogate) in {place}.")
    return value


def _no_column(names: Sequence[str], name: str, field: str, place: str) -> ConfigurationError:
    listed = [shown(name)[1:-1] for name in names[:20]] + ["..."] * (len(names) > 20)
    return ConfigurationError(
        f"`{field}` must be one of {', '.join(listed) or 'none'} in {place}, but is {shown(name)}."
    )
