"""Lines of bytes in and out: windows of bounded size, files that appear whole.

Knows nothing of translation. A line ends at LF only; a CR before it is dropped.
"""

import contextlib
import hashlib
import os
import select
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from seq2seq.config import ConfigurationError
from seq2seq.files import replacing

LONGEST_LINE = 2_000_000
"""Bytes of the longest line that is read; a longer one is no sentence, and may have no end."""
WINDOW_CHARACTERS = 1_000_000
"""A window ends with the line that reaches it, so that long lines do not add up."""
_CHUNK_BYTES = 1 << 16
# A pipe that has been silent for that long has no more for now: what is there is handed on.
_PATIENCE_SECONDS = 0.1
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class MayEnd(Protocol):
    """Whether a window may end after the lines that it has."""

    def __call__(self, lines: Sequence[str], *, late: bool) -> bool:
        """Whether they may; `late` if there are far more than were asked for."""


class LineReader:
    """Reads lines as text, whatever the locale says, and counts what was no UTF-8.

    Args:
        file: An unbuffered binary file.
    """

    def __init__(self, file: IO[bytes] | Any) -> None:
        self._file = file
        self.num_lines = 0
        """Lines that were read."""
        self.num_repaired = 0
        """Lines in which invalid UTF-8 was replaced."""

    def windows(
        self, size: int, *, patient: bool = False, may_end: MayEnd | None = None
    ) -> Iterator[list[str]]:
        """Yields up to `size` lines at once, fewer where they are long or the input ends.

        Args:
            patient: Otherwise a window ends where the input pauses, too. Patient windows depend on
                nothing but the lines.
            may_end: A window that may not end yet gets more lines than `size`; it is late when it
                has twice as many.

        Raises:
            ConfigurationError: If a line is longer than `LONGEST_LINE`, or a window that may not
                end becomes so long.
        """
        window: list[str] = []
        num_characters = 0
        for line in self._lines():
            if line is not None:
                window.append(line)
                num_characters += len(line)
            fullness = max(len(window) / size, num_characters / WINDOW_CHARACTERS)
            if fullness < 1 and (line is not None or not window or patient):
                continue
            if may_end is None or may_end(window, late=fullness >= 2):
                yield window
                window, num_characters = [], 0
            elif num_characters > LONGEST_LINE:
                raise ConfigurationError(
                    f"line {self.num_lines} of the input still belongs to what began more than "
                    f"{LONGEST_LINE:,} characters before; put blank lines between subtitles."
                )
        if window:
            yield window

    def _lines(self) -> Iterator[str | None]:
        """Lines, and None wherever the input pauses."""
        rest = bytearray()
        first = True
        while True:
            if not self._has_input():
                yield None
            chunk = self._file.read(_CHUNK_BYTES)
            if first and chunk:
                chunk, first = chunk.removeprefix(_BYTE_ORDER_MARK), False
                if not chunk:
                    continue
            rest += chunk
            if chunk and b"\n" not in chunk:
                self._check_length(rest)
                continue
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            if not chunk and last:
                lines.append(last)
            for line in lines:
                self._check_length(line)
                yield self._decode(line)
            if not chunk:
                break

    def _check_length(self, line: bytes | bytearray) -> None:
        if len(line) > LONGEST_LINE:
            raise ConfigurationError(
                f"line {self.num_lines + 1} of the input is longer than {LONGEST_LINE:,} bytes; "
                f"put a line end after each sentence."
            )

    def _decode(self, line: bytes) -> str:
        self.num_lines += 1
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


class Window(NamedTuple):
    """Neighbouring lines of an input."""

    number: int
    """Counted from 0."""
    lines: list[str]
    last: int
    """Number of the last of them in the input, counted from 1."""
    digest: str
    """Of all lines of the input up to that one."""

    @property
    def first(self) -> int:
        """Number of the first line."""
        return self.last - len(self.lines) + 1


def numbered_windows(
    reader: LineReader, size: int, may_end: MayEnd | None = None
) -> Iterator[Window]:
    """Patient windows of an input that is read from its beginning; arguments as in `windows`."""
    digest, last = hashlib.blake2b(digest_size=16), 0
    for number, lines in enumerate(reader.windows(size, patient=True, may_end=may_end)):
        digest.update("\n".join([*lines, ""]).encode())
        last += len(lines)
        yield Window(number, lines, last, digest.hexdigest())


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
        raise ConfigurationError(f"{path} cannot be read: {reason(error)}.") from error
    with file:
        yield file


@contextlib.contextmanager
def open_output(path: str | None) -> Iterator[IO[bytes]]:
    """Opens standard output, a device, or a file that takes its place only when all is written.

    Raises:
        ConfigurationError: If the file cannot be made.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    place = find_place(path)
    if place is None:
        with _open_to_write(path, path) as device:
            yield device
        return
    with contextlib.ExitStack() as stack:
        try:
            (part,) = stack.enter_context(replacing(place))
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {reason(error)}.") from error
        yield stack.enter_context(_open_to_write(part, path))


def find_place(path: str) -> Path | None:
    """Where a file will stand that is written to `path`, links followed; None for a device.

    Raises:
        ConfigurationError: If it is a folder, or its own folder is not there.
    """
    place = Path(os.path.realpath(path))  # a link stays a link
    try:
        os.stat(os.path.join(place.parent, ""))  # with a slash at the end it must be a folder
        mode = place.stat().st_mode if place.exists() else stat.S_IFREG
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {reason(error)}.") from error
    if stat.S_ISDIR(mode):
        raise ConfigurationError(f"{path} cannot be written: is a directory.")
    return place if stat.S_ISREG(mode) else None


def refuse_overwriting(output: str | None, **read: str | int | None) -> None:
    """Refuses an output that is one of the files that are read, by whatever name.

    Args:
        read: By option, paths or the numbers of open files.

    Raises:
        ConfigurationError: Names the option.
    """
    for option, file in read.items():
        with contextlib.suppress(OSError):  # what is not there cannot be lost
            if output is None or file is None or not os.path.isfile(output):
                continue
            if os.path.samefile(output, file):
                raise ConfigurationError(
                    f"`output` {output} is the file of `{option}`, which would be lost; name "
                    f"another file."
                )


def _open_to_write(file: str | Path, path: str) -> IO[bytes]:
    """Opens a file, which users know as `path`."""
    try:
        return open(file, "wb")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {reason(error)}.") from error


def reason(error: OSError) -> str:
    """The system's words for an error, in the middle of a sentence."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]
