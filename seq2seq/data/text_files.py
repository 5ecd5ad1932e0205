"""Reads UTF-8 text files block by block, compressed or not. Knows nothing of pairs or columns."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from seq2seq.config import ConfigurationError, shown
from seq2seq.lines import LONGEST_LINE


class TextFile:
    r"""The lines of a UTF-8 text file, compressed if its name ends in .gz.

    Lines end at "\n" only; a "\r" before it and a byte order mark at the start are no text.
    Whoever reads them gets a ConfigurationError if the file is missing, a folder, corrupt or not
    UTF-8.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._raw: io.BufferedReader | None = None
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.blocks())

    def blocks(self) -> Iterator[list[str]]:
        """The lines in lists of about the same size in bytes, none of them empty."""
        for lines in self.raw_blocks():
            yield [line[:-1] if line.endswith("\r") else line for line in lines]

    def raw_blocks(self) -> Iterator[list[str]]:
        r"""The same with each "\r" that stands before a "\n"."""
        number = 0  # of lines so far
        with _explaining(self.path), self._open() as file:
            for data in self._whole_lines(file):
                text = self._decode(data if number else data.removeprefix(_BYTE_ORDER_MARK), number)
                number += data.count(b"\n")
                if text:  # not the mark alone
                    yield text.removesuffix("\n").split("\n")

    def share(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        if self._raw is None or self._raw.closed:
            return float(self._raw is not None)
        return self._raw.tell() / max(self._size, 1)

    def _whole_lines(self, file: io.BufferedIOBase) -> Iterator[bytes]:
        """Blocks that end where a line or the file ends."""
        number, parts = 1, [b""]
        while block := file.read(_BLOCK):
            end = block.rfind(b"\n") + 1
            if end:
                yield b"".join([*parts, block[:end]])
                number += block.count(b"\n")
                parts = []
            parts.append(block[end:])
            if len(parts) * _BLOCK > LONGEST_LINE:
                raise ConfigurationError(
                    f"{self.path} has more than {LONGEST_LINE:,} bytes in line {number}, which is "
                    f"no sentence; break it or take it out."
                )
        if last := b"".join(parts):
            yield last

    @contextmanager
    def _open(self) -> Iterator[io.BufferedIOBase]:
        with open_bytes(self.path) as raw:
            self._raw, self._size = raw, os.fstat(raw.fileno()).st_size
            if self.path.suffix.lower() != ".gz":
                yield raw
            elif not raw.peek(1):
                raise EOFError  # even nothing has a header when compressed
            else:
                yield gzip.GzipFile(fileobj=raw)

    def _decode(self, data: bytes, lines_before: int) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = lines_before + data.count(b"\n", 0, error.start) + 1
            raise ConfigurationError(
                f"{self.path} is not UTF-8 in line {line}; find out its encoding and convert it, "
                f"for instance with `iconv -f latin1 -t utf-8`."
            ) from error


def read_lines(path: str | Path) -> list[str]:
    """All lines of a `TextFile`.

    Raises:
        ConfigurationError: If the file is missing, a folder, corrupt or not UTF-8.
    """
    return list(TextFile(path))


def open_bytes(path: Path) -> io.BufferedReader:
    """Opens a file.

    Raises:
        ConfigurationError: If it is missing, a folder, or cannot be opened.
    """
    try:
        with _explaining(path):
            return open(path, "rb")
    except ValueError as error:
        if isinstance(error, ConfigurationError):
            raise
        # A character that no file's name can have.
        raise ConfigurationError(f"There is no file {shown(str(path))}.") from error


_BLOCK = 1 << 19  # bytes; thousands of sentences
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Says what is wrong with a file that cannot be read."""
    try:
        yield
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
