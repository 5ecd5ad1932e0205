"""Output that outlives the process that writes it: what is there, and how far it came.

Until FILE is complete, the folder `.FILE.partial` stands beside it, with a shard for each process
that writes: `lines-1` and its record `done-1.json`, and so on. The windows of the input are dealt
out to the shards in turn. The process that joins them holds `lock` from beginning to end. Knows
nothing of translation.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import secrets
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seq2seq.config import ConfigurationError, shown
from seq2seq.files import replacing
from seq2seq.lines import Window, reason
from seq2seq.locks import locked

_MOST_RECORD_BYTES = 1_000_000
_CHUNK_BYTES = 1 << 20
_LOCK, _START = "lock", "start"
# Settings whose values say nothing to people.
_DIGESTS = {
    "model": "the model",
    "reverse": "the reverse model",
    "ensemble": "the ensemble",
    "language_model": "the language model",
    "terms": "the glossary",
    "forbidden": "the list of what is forbidden",
}


class ResumeError(ConfigurationError):
    """What is there cannot be continued."""


@dataclass(frozen=True)
class Record:
    """How far a shard has come; it is written when the lines are on the disk."""

    settings: dict[str, Any]
    """What decides the text, and `devices`, the number of shards: plain values by option."""
    num_lines: int = 0
    """Lines of the input that are done, those of other shards counted: always whole windows."""
    digest: str = ""
    """Of these lines, see `Window`."""
    num_bytes: int = 0
    """Of output."""
    checksum: int = 0
    """CRC-32 of these bytes."""
    counts: dict[str, int] = field(default_factory=dict)
    """Lines of which something is to be said at the end, by what it is."""
    is_finished: bool = False
    """The input had no more lines."""
    start: str = ""
    """When it was finished: which `claimed` start of processes it was."""

    @property
    def input(self) -> tuple[dict[str, Any], int, str]:
        """What complete shards of one output have in common."""
        return self.settings, self.num_lines, self.digest


class Shard:
    """What one of several processes writes of an output.

    Args:
        output: The file, whether it is there or not; no device.
        index: Of the process, from 0.
    """

    def __init__(self, output: Path, index: int) -> None:
        self.output = output
        self.index = index
        self.record = Record({})
        self.folder = folder_of(output)
        self.lines_file = self.folder / f"lines-{index + 1}"
        self._record_file = self.folder / f"done-{index + 1}.json"
        self._lock_file = self.folder / f"lock-{index + 1}"

    @property
    def is_begun(self) -> bool:
        """Whether something is there to be resumed."""
        return self._record_file.exists()

    @contextlib.contextmanager
    def opened(self, settings: dict[str, Any], *, resume: bool) -> Iterator[None]:
        """Keeps other processes out, and goes on from what is there, or deletes it.

        Args:
            settings: See `Record`; none at all take any that are there.

        Raises:
            ConfigurationError: If another process has it, or nothing can be written.
            ResumeError: If what is to be resumed is damaged or was written with other settings.
        """
        in_use = f"{self.output} is being written by another translation"
        with _folder(self.output), locked(self._lock_file, in_use):
            found = self.read() if resume else None
            if found is None:
                self.forget()
                self.lines_file.unlink(missing_ok=True)
            else:
                _check_settings(found.settings, settings)
            self.record = found or Record(settings)
            try:
                yield
            finally:
                if not self.is_begun:
                    self.lines_file.unlink(missing_ok=True)

    def remaining(self, windows: Iterable[Window]) -> Iterator[Window]:
        """The windows of an input that are not done.

        Raises:
            ConfigurationError: If the lines that are done are not those of the input any more.
        """
        done, seen = (self.record.num_lines, self.record.digest), (0, "")
        for window in windows:
            if window.last <= done[0]:
                seen = (window.last, window.digest)
                continue
            self._check_input(seen == done)
            yield window
        self._check_input(seen == done)

    def append(self, text: bytes, record: Record) -> None:
        """Adds lines; afterwards they and the record are on the disk.

        Args:
            record: Its `num_bytes` and `checksum` are set here.

        Raises:
            OSError: If they cannot be written; what was there before is still good.
        """
        with open(self.lines_file, "r+b" if self.record.num_bytes else "wb") as file:
            file.truncate(self.record.num_bytes)  # a killed process may have written more
            file.seek(0, os.SEEK_END)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            checksum = zlib.crc32(text, self.record.checksum)
            record = dataclasses.replace(record, num_bytes=file.tell(), checksum=checksum)
        with replacing(self._record_file) as (part,):
            values = dataclasses.asdict(record)
            values["crc32"] = _checksum(values)
            part.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
        self.record = record

    def finish(self, record: Record) -> None:
        """Marks the shard as complete: the input has no lines after those of the record."""
        start = _read_start(self.output).partition("\n")[0]
        self.append(b"", dataclasses.replace(record, is_finished=True, start=start))

    def catch_up(self, other: Record, *, late: bool = False) -> bool:
        """Takes the record on the disk if that is complete, as another shard's is.

        Args:
            late: Takes that of another start, too, which may yet be written again.

        Returns:
            Whether it is; otherwise another process has still to write.

        Raises:
            ResumeError: If it was translated from another input or with other settings.
        """
        try:
            found = self.read()
        except ResumeError:  # of an earlier translation
            return False
        if found is None or not found.is_finished or not (late or found.start == other.start):
            return False
        if found.input != other.input:
            raise ResumeError(
                f"the input or the settings of process {self.index + 1} differ from those of the "
                f"first one; begin anew without `--resume`."
            )
        self.record = found
        return True

    def forget(self) -> None:
        """Leaves nothing that could be resumed."""
        self._record_file.unlink(missing_ok=True)

    def read(self) -> Record | None:
        """The record on the disk; None if there is none.

        Raises:
            ResumeError: If it is damaged.
        """
        try:
            with open(self._record_file, "rb") as file:
                values = json.loads(file.read(_MOST_RECORD_BYTES))
            is_whole = values.pop("crc32", None) == _checksum(values)
            record = Record(**values)
            if (
                is_whole
                and _is_sound(record)
                and self.lines_file.stat().st_size >= record.num_bytes
            ):
                return record
        except FileNotFoundError:
            if not self.is_begun:
                return None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            pass
        raise ResumeError(
            f"{self._record_file} or {self.lines_file.name} beside it is damaged; begin anew "
            f"without `--resume`."
        )

    def _check_input(self, is_same: bool) -> None:
        if not is_same:
            raise ResumeError(
                f"the input has changed in the {self.record.num_lines:,} lines that are translated "
                f"in {self.output}; begin anew without `--resume`."
            )


@contextlib.contextmanager
def claimed(output: Path, start: str = "") -> Iterator[None]:
    """Keeps other translations to the same output out, all shards of it; leaves what is begun.

    Args:
        start: What the processes know that have been started together, one line.

    Raises:
        ConfigurationError: If another process has it, or nothing can be written.
    """
    folder = folder_of(output)
    with (
        _folder(output),
        locked(folder / _LOCK, f"{output} is being written by another translation"),
    ):
        try:
            _write_start(output, start)
            yield
        finally:
            with contextlib.suppress(OSError):
                (folder / _START).unlink()
            if not is_begun(output):
                _empty(folder)


def is_claimed(output: Path, start: str) -> bool:
    """Whether a process that was started together with this one has the output."""
    return _read_start(output).partition("\n")[2] == f"{start}\n"


def is_begun(output: Path) -> bool:
    """Whether some shard is there to be resumed."""
    return any(folder_of(output).glob("done-*.json"))


def folder_of(output: Path) -> Path:
    """Where the shards are."""
    return output.with_name(f".{output.name}.partial")


def publish(shards: Sequence[Shard], windows: Iterable[Window]) -> None:
    """Joins complete shards in the order of the input and moves the output to its place.

    Args:
        windows: Of the input from its beginning; a single shard needs none.

    Raises:
        ConfigurationError: If the shards and the input do not fit together, or lines are damaged.
        OSError: If the output cannot be written.
    """
    with replacing(shards[0].output, beside=shards[0].folder) as (part,):
        if len(shards) == 1:
            checksums = [_copy(shards[0].lines_file, part)]
        else:
            checksums = _join(shards, windows, part)
        for shard, checksum in zip(shards, checksums, strict=True):
            if checksum != shard.record.checksum:
                raise ResumeError(f"{shard.lines_file} is damaged; begin anew without `--resume`.")
    for shard in shards:
        shard.forget()
    _empty(shards[0].folder)
    with contextlib.suppress(OSError):
        shards[0].folder.rmdir()


def _copy(source: Path, target: Path) -> int:
    """Copies a file; returns the CRC-32 of what was read."""
    checksum = 0
    with open(source, "rb") as file, open(target, "wb") as copy:
        while chunk := file.read(_CHUNK_BYTES):
            copy.write(chunk)
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def _join(shards: Sequence[Shard], windows: Iterable[Window], place: Path) -> list[int]:
    """Joins lines; returns the CRC-32 of those of each shard."""
    checksums = [0] * len(shards)
    with contextlib.ExitStack() as stack:
        joined = stack.enter_context(open(place, "wb"))
        files = [stack.enter_context(open(shard.lines_file, "rb")) for shard in shards]
        last = (0, "")
        for window in windows:
            index = window.number % len(files)
            text = b"".join(itertools.islice(files[index], len(window.lines)))
            joined.write(text)
            checksums[index] = zlib.crc32(text, checksums[index])
            last = (window.last, window.digest)
        first = shards[0].record
        is_whole = last == first.input[1:] and joined.tell() == sum(
            file.seek(0, os.SEEK_END) for file in files
        )
    if not is_whole or any(shard.record.input != first.input for shard in shards):
        raise ConfigurationError(
            f"the input of {shards[0].output} has changed while it was translated; begin anew "
            f"without `--resume`."
        )
    return checksums


@contextlib.contextmanager
def _folder(output: Path) -> Iterator[None]:
    """Makes the folder of the shards; removes it unless something is in it."""
    folder = folder_of(output)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)  # the output may be private
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {reason(error)}.") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _empty(folder: Path) -> None:
    """Deletes all but the lock, which its holder deletes."""
    with contextlib.suppress(OSError):  # nothing is lost if something stays
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _LOCK:
                path.unlink(missing_ok=True)


def _write_start(output: Path, start: str) -> None:
    try:
        # The number tells this start from one that was killed.
        text = f"{secrets.token_hex(8)}\n{start}\n"
        (folder_of(output) / _START).write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {reason(error)}.") from error


def _read_start(output: Path) -> str:
    """What `claimed` has written; nothing if nobody has the output."""
    try:
        return (folder_of(output) / _START).read_text("utf-8")
    except FileNotFoundError:
        return ""


def _checksum(values: dict[str, Any]) -> int:
    """Of a record: another number in it could lose lines."""
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def _is_sound(record: Record) -> bool:
    """Whether values are of the types and sizes that they must have."""
    numbers = [record.num_lines, record.num_bytes, record.checksum, *record.counts.values()]
    return (
        all(type(number) is int and number >= 0 for number in numbers)
        and isinstance(record.settings, dict)
        and isinstance(record.digest, str)
        and isinstance(record.start, str)
        and isinstance(record.is_finished, bool)
    )


def _check_settings(before: dict[str, Any], now: dict[str, Any]) -> None:
    for name, value in now.items():
        old = before.get(name)
        if old == value:
            continue
        if name in _DIGESTS or name == "version":
            what = _DIGESTS.get(name, f"the version of seq2seq, {shown(old)},")
            message = f"{what} has changed since the translation began"
        else:
            message = f"`--{name}` was {shown(old)} when the translation began, not {shown(value)}"
        raise ResumeError(f"{message}; begin anew without `--resume`.")
