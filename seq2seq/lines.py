"""Lines of bytes in and out: windows that do not wait for a slow input, files that appear whole.

Knows nothing of translation. A line ends at LF only; a CR before it is dropped.
"""

import contextlib
import os
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from seq2seq.config import ConfigurationError
from seq2seq.files import replacing

_CHUNK_BYTES = 1 << 16
# A pipe that has been silent for that long has no more for now: what is there is handed on.
_PATIENCE_SECONDS = 0.1
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class LineReader:
    """Reads lines as text, whatever the locale says, and counts what was no UTF-8.

    Args:
        file: An unbuffered binary file.
    """

    def __init__(self, file: IO[bytes] | Any) -> None:
        self._file = file
        self.num_repaired = 0
        """Lines in which invalid UTF-8 was replaced."""

    def windows(self, size: int) -> Iterator[list[str]]:
        """Yields up to `size` lines at once, fewer where the input pauses or ends."""
        window: list[str] = []
        rest = bytearray()
        first = True
        while True:
            if window and not self._has_input():
                yield window
                window = []
            chunk = self._file.read(_CHUNK_BYTES)
            if first and chunk:
                chunk, first = chunk.removeprefix(_BYTE_ORDER_MARK), False
                if not chunk:
                    continue
            rest += chunk
            if chunk and b"\n" not in chunk:
                continue
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            if not chunk and last:
                lines.append(last)
            for line in lines:
                window.append(self._decode(line))
                if len(window) == size:
                    yield window
                    window = []
            if not chunk:
                break
        if window:
            yield window

    def _decode(self, line: bytes) -> str:
        line = line.removesuffix(b"\r")
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.num_repaired += 1
            return line.decode(errors="replace")

    def _has_input(self) -> bool:
        try:
            return bool(select.select([self._file], [], [], _PATIENCE_SECONDS)[0])
        except (OSError, ValueError, TypeError):  # no file of the system, or no select for it
            return True


@contextlib.contextmanager
def open_input(path: str | None) -> Iterator[Any]:
    """Opens a file, or standard input, unbuffered.

    Raises:
        ConfigurationError: If there is no such file, it is a folder, or standard input is closed.
    """
    if path is None:
        if sys.stdin is None:
            raise ConfigurationError("standard input is closed; give `--input`.")
        yield getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        return
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 -- closed below
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {_reason(error)}.") from error
    with file:
        yield file


@contextlib.contextmanager
def open_output(path: str | None) -> Iterator[IO[bytes]]:
    """Opens standard output, or a file that takes its place only when all is written.

    Raises:
        ConfigurationError: If the file cannot be made.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    place = Path(os.path.realpath(path))  # a link stays a link
    try:
        if place.exists() and not stat.S_ISREG(place.stat().st_mode):
            with open(place, "wb") as device:  # such as /dev/null; a folder fails here
                yield device
            return
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {_reason(error)}.") from error
    with replacing(place) as (part,):
        try:
            file = open(part, "wb")  # noqa: SIM115 -- closed before it is moved
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {_reason(error)}.") from error
        with file:
            yield file


def _reason(error: OSError) -> str:
    """The system's words for an error, in the middle of a sentence."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]
