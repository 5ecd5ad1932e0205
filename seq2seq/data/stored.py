"""Sentence pairs and numbers in files that are mapped into memory, written as they come."""

import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

SIDES = ("source", "target")
ALIGNMENT = "alignment"  # a third column, where alignments are known


class PackedText(NamedTuple):
    """Sentences one after another in UTF-8, which travels between processes quickly."""

    data: bytes
    offsets: np.ndarray  # [sentences + 1] int64

    @classmethod
    def of(cls, sentences: Sequence[str]) -> "PackedText":
        """Packs sentences."""
        encoded = [sentence.encode() for sentence in sentences]
        lengths = np.fromiter(map(len, encoded), np.int64, count=len(encoded))
        return cls(b"".join(encoded), np.concatenate([[0], lengths.cumsum()]))


class PairWriter:
    """Writes pairs to a file, chunk by chunk; a context manager that closes it."""

    def __init__(self, path: Path, *, is_aligned: bool = False) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]

        self._pa = pa
        columns = (*SIDES, ALIGNMENT) if is_aligned else SIDES
        self._schema = pa.schema([(column, pa.large_string()) for column in columns])
        self._writer = pa.ipc.new_file(str(path), self._schema)

    def __enter__(self) -> "PairWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def append(
        self, sources: PackedText, targets: PackedText, alignments: PackedText | None = None
    ) -> None:
        """Writes pairs."""
        pa = self._pa
        columns = [
            pa.LargeStringArray.from_buffers(
                len(text.offsets) - 1, pa.py_buffer(text.offsets), pa.py_buffer(text.data)
            )
            for text in (sources, targets, alignments)
            if text is not None
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))


class StoredColumn:
    """All sentences of one side in a file of `PairWriter`, mapped into memory."""

    def __init__(self, path: Path, side: str) -> None:
        import pyarrow as pa

        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self._chunks = [chunk for chunk in table.column(side).chunks if len(chunk)]
        self.starts = np.cumsum([0, *map(len, self._chunks)])  # [chunks + 1]

    def sentence(self, row: int) -> str:
        """The sentence at `row`."""
        chunk = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self._chunks[chunk][row - int(self.starts[chunk])].as_py()

    def sentences(self, rows: np.ndarray) -> list[str]:
        """The sentences at `rows`, in their order."""
        import pyarrow as pa

        found = np.empty(len(rows), object)
        chunks = np.searchsorted(self.starts, rows, side="right") - 1
        for chunk in np.unique(chunks).tolist():
            places = np.flatnonzero(chunks == chunk)
            wanted = pa.array(rows[places] - self.starts[chunk])
            found[places] = self._chunks[chunk].take(wanted).to_pylist()
        return found.tolist()


class StoredSentences(Sequence[str]):
    """One side of pairs in a file, read when asked for.

    It can be sent to other processes that see the file: then its place travels, not the text.

    Args:
        path: A file of `PairWriter`.
        side: source, target or alignment.
        rows_path: A file of numpy with the places of the sentences in the first file, ascending
            [sentences].
    """

    def __init__(self, path: Path, side: str, rows_path: Path) -> None:
        self.path = path
        self.side = side
        self.rows_path = rows_path
        self._rows = np.load(rows_path, mmap_mode="r")
        self._column = StoredColumn(path, side)

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredSentences, (self.path, self.side, self.rows_path)

    def move(self, cache_dir: Path) -> None:
        """Says where the folder of its folder is now."""
        self.path = cache_dir / self.path.parent.name / self.path.name
        self.rows_path = self.path.with_name(self.rows_path.name)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return self._column.sentences(self._rows[index])
        return self._column.sentence(int(self._rows[index]))

    def __iter__(self) -> Iterator[str]:
        # By the chunks of the file, which are bounded in bytes, too.
        for start, stop in pairwise(np.searchsorted(self._rows, self._column.starts)):
            yield from self[start:stop]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(str.__eq__, self, other))


class ColumnFile:
    """Writes numbers to a file, chunk by chunk; a context manager that closes it."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._path = path
        self._dtype = dtype
        self._file = open(path, "wb")  # noqa: SIM115 -- closed by `__exit__`

    def __enter__(self) -> "ColumnFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, column: np.ndarray) -> None:
        """Writes numbers."""
        self._file.write(column.tobytes())

    def read(self) -> np.ndarray:
        """All numbers."""
        return read_column(self._path, self._dtype)


def read_column(path: Path, dtype: np.dtype) -> np.ndarray:
    """The numbers of a `ColumnFile`, mapped into memory."""
    if not path.stat().st_size:  # nothing cannot be mapped
        return np.zeros(0, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r"))


def checksum(path: Path) -> int:
    """Of the bytes of a file."""
    total = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            total = zlib.crc32(block, total)
    return total


_BLOCK = 1 << 20  # bytes
