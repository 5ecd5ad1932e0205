"""Reads the pairs of one entry of `corpus.train`, `dev` or `test`: two text files or a table.

An entry is a prefix of two line-aligned files, or a table by its suffix in `READERS`, with a slice
at its end if only a part is meant. A new kind of table is a function and one line of `READERS`.
Nothing is cleaned or dropped here: pair number k of a file stays pair number k.
"""

import csv
import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from seq2seq.config import ConfigurationError, shown
from seq2seq.data.slices import split_slice


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


# What readers give: sources and targets, equally many, as they stand in the file.
Sides = tuple[list[str], list[str]]


def read_entry(entry: str, languages: tuple[str, str], columns: Columns, *, field: str) -> Sides:
    """The sources and targets of an entry, as they stand in its files.

    Args:
        entry: Prefix of two text files or path of a table, and perhaps a slice.
        languages: Suffixes of the text files.
        columns: Columns of a table.
        field: The setting of the entry, for error messages.

    Raises:
        ConfigurationError: If a file, column or slice is missing, unreadable or does not match.
    """
    if len(entry.splitlines()) > 1:  # a message could not name it in a line
        raise ConfigurationError(f"`{field}` must be one line, but is {shown(entry)}.")
    path, selection = split_slice(entry, field=field)
    if suffix := _table_suffix(path):
        sources, targets = READERS[suffix](Path(path), columns)
        if columns.are_numbers and {*sources[:1], *targets[:1]} == set(languages):
            raise ConfigurationError(
                f"The first line of {path} is a header; give its names as `corpus.source_column` "
                f"and `corpus.target_column`, or leave both out, instead of numbers."
            )
    else:
        sources, targets = _read_texts(path, languages, field=field)
    if selection is None:
        return sources, targets
    taken = selection.of(len(sources))
    if sources and not sources[taken]:
        raise ConfigurationError(
            f"The slice of `{field}` {shown(entry)} takes none of {len(sources)} pairs."
        )
    return sources[taken], targets[taken]


def is_table(entry: str) -> bool:
    """Whether an entry is a table and no pair of text files."""
    return _table_suffix(split_slice(entry, field="corpus")[0]) is not None


def read_lines(path: str | Path) -> list[str]:
    r"""The lines of a UTF-8 text file, compressed if its name ends in .gz.

    Lines end at "\n" only; a "\r" before it and a byte order mark at the start are no text.

    Raises:
        ConfigurationError: If the file is missing, a folder, corrupt or not UTF-8.
    """
    lines = _read_text(Path(path)).split("\n")
    if lines[-1] == "":
        del lines[-1]
    return [line[:-1] if line.endswith("\r") else line for line in lines]


def read_tsv(path: Path, columns: Columns) -> Sides:
    """A table of lines with tabs between columns; nothing is quoted."""
    return _sides_of_cells(path, (line.split("\t") for line in read_lines(path)), columns)


def read_csv(path: Path, columns: Columns) -> Sides:
    """A table with commas between columns (RFC 4180); what is quoted may hold line ends."""
    rows = _csv_rows(path)
    begin = list(islice(rows, 1))
    if begin and len(begin[0]) == 1 and re.search("[;\t]", begin[0][0]):
        raise ConfigurationError(
            f"The columns of {path} must be separated by commas; with tabs between them, name the "
            f"file .tsv."
        )
    return _sides_of_cells(path, chain(begin, rows), columns)


def read_jsonl(path: Path, columns: Columns) -> Sides:
    """A table of lines with a JSON object each, nested or not; an empty line is an empty pair."""
    rows = (
        _json_object(line, f"line {number} of {path}") if line.strip() else None
        for number, line in enumerate(read_lines(path), start=1)
    )
    return sides_of_rows(rows, columns, unit="line", where=str(path))


def read_parquet(path: Path, columns: Columns) -> Sides:
    """A Parquet file, columns nested or not."""
    import pyarrow.parquet  # type: ignore[import-untyped]

    if not path.is_file():
        _read_bytes(path)  # says what is wrong
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = wanted_columns(file.schema_arrow, columns, where=str(path))
            # Group by group: some nested types cannot be read across groups.
            groups = (
                file.read_row_group(group, columns=names).to_pylist()
                for group in range(file.num_row_groups)
            )
            return sides_of_rows(chain.from_iterable(groups), columns, where=str(path))
    except ConfigurationError:
        raise
    except Exception as error:  # damage has many classes there
        raise ConfigurationError(
            f"{path} cannot be read as Parquet ({reason_of(error)})."
        ) from error


# What a table ends with, and what reads it; each but Parquet may be compressed, with .gz behind.
READERS: dict[str, Callable[[Path, Columns], Sides]] = {
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


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


def sides_of_rows(
    rows: Iterable[Mapping[str, Any] | None], columns: Columns, *, where: str, unit: str = "row"
) -> Sides:
    """The sources and targets of rows with named, perhaps nested columns; None is an empty pair.

    Args:
        where: What the rows stand in, for error messages.
        unit: What a row is called there.

    Raises:
        ConfigurationError: If a row has no such column, or no text in it.
    """
    sides: Sides = [], []
    for number, row in enumerate(rows, start=1):
        place = f"{unit} {number} of {where}"
        for side, (field, name) in zip(sides, columns.fields.items(), strict=True):
            value = None if row is None else _pick(row, name, field, place)
            side.append(_text(value, name, field, place))
    return sides


def reason_of(error: Exception) -> str:
    """The message of a library's error in one line, its class before it."""
    message = " ".join(str(error).split()).rstrip(".")
    name = type(error).__name__
    return f"{name}: {message[:300]}" if message else name


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")


def _table_suffix(path: str) -> str | None:
    """The key of `READERS` that a path ends with, whatever its case; None for a prefix."""
    name = path.lower()
    plain = name.removesuffix(".gz")
    for suffix in READERS:
        if name.endswith(suffix) or (suffix != ".parquet" and plain.endswith(suffix)):
            return suffix
    return None


def _read_texts(prefix: str, languages: tuple[str, str], *, field: str) -> Sides:
    source_path, target_path = (_find(prefix, language, field=field) for language in languages)
    sources, targets = read_lines(source_path), read_lines(target_path)
    if len(sources) != len(targets):
        raise ConfigurationError(
            f"{source_path} has {len(sources)} lines, but {target_path} has "
            f"{len(targets)}; they must be line-aligned."
        )
    return sources, targets


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


def _read_text(path: Path) -> str:
    data = _read_bytes(path).removeprefix(_BYTE_ORDER_MARK)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path} is not UTF-8 in line {line}; find out its encoding and convert it, "
            f"for instance with `iconv -f latin1 -t utf-8`."
        ) from error


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return _decompress(data) if path.suffix.lower() == ".gz" else data
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no file {path}.") from error
    except IsADirectoryError as error:
        raise ConfigurationError(f"{path} is a folder, but must be a file.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigurationError(
            f"{path} is not a complete gzip file; compress it again or drop the .gz of its name."
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # a character that no file's name can have
        raise ConfigurationError(f"There is no file {shown(str(path))}.") from error


def _decompress(data: bytes) -> bytes:
    if not data:
        raise EOFError  # even nothing has a header when compressed; `gzip` lets this pass
    return gzip.decompress(data)


def _csv_rows(path: Path) -> Iterator[list[str]]:
    # Line ends are those of `read_lines`; the reader needs them back, as fields may hold some.
    lines = _read_text(path).split("\n")
    if lines[-1] == "":
        del lines[-1]
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise ConfigurationError(
            f"{path} is not CSV in line {reader.line_num} ({error}); a field with a comma, a quote "
            f"or a line end in it must stand in quotes, and quotes in it are written twice."
        ) from error


def _sides_of_cells(path: Path, rows: Iterable[list[str]], columns: Columns) -> Sides:
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
    sides: Sides = [], []
    for number, row in enumerate(rows, start=1 + has_header):
        if row in ([], [""]):  # an empty line
            row = [""] * len(first)
        if len(row) != len(first):
            raise ConfigurationError(
                f"Row {number} of {path} has {len(row)} columns, but row 1 has {len(first)}."
            )
        for side, place in zip(sides, places, strict=True):
            side.append(row[place])
    return sides


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
    if _SURROGATE.search(value):
        raise ConfigurationError(f"There is half a character (a lone surrogate) in {place}.")
    return value


def _no_column(names: Sequence[str], name: str, field: str, place: str) -> ConfigurationError:
    listed = [shown(name)[1:-1] for name in names[:20]] + ["..."] * (len(names) > 20)
    return ConfigurationError(
        f"`{field}` must be one of {', '.join(listed) or 'none'} in {place}, but is {shown(name)}."
    )
