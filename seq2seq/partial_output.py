"""Output that outlives the process that writes it: what is there, and how far it came.

Until FILE is complete, the folder `.FILE.partial` stands beside it, with a shard for each process
that writes: `lines-1` and its record `done-1.json`, and so on. The windows of the input are dealt
out to the shards in turn. Knows nothing of translation.
"""

import contextlib
import dataclasses
import itertools
import json
import os
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
    counts: dict[str, int] = field(default_factory=dict)
    """Lines of which something is to be said at the end, by what it is."""
    is_finished: bool = False
    """The input had no more lines."""

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
        self.folder = output.with_name(f".{output.name}.partial")
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
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)  # the output may be private
        except OSError as error:
            raise ConfigurationError(
                f"{self.output} cannot be written: {reason(error)}."
            ) from error
        try:
            with locked(self._lock_file, f"{self.output} is being written by another translation"):
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
        finally:
            with contextlib.suppress(OSError):
                self.folder.rmdir()  # unless something in it is to be resumed

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
            record: Its `num_bytes` is set here.

        Raises:
            OSError: If they cannot be written; what was there before is still good.
        """
        with open(self.lines_file, "r+b" if self.record.num_bytes else "wb") as file:
            file.truncate(self.record.num_bytes)  # a killed process may have written more
            file.seek(0, os.SEEK_END)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            record = dataclasses.replace(record, num_bytes=file.tell())
        with replacing(self._record_file) as (part,):
            values = dataclasses.asdict(record)
            values["crc32"] = _checksum(values)
            part.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
        self.record = record

    def finish(self, record: Record) -> None:
        """Marks the shard as complete: the input has no lines after those of the record."""
        self.append(b"", dataclasses.replace(record, is_finished=True))

    def catch_up(self, other: Record) -> bool:
        """Takes the record on the disk if that is complete, as another shard's is.

        Returns:
            Whether it is; otherwise another process has still to write.
        """
        try:
            found = self.read()
        except ResumeError:  # of an earlier translation
            return False
        if found is None or not found.is_finished or found.input != other.input:
            return False
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


def publish(shards: Sequence[Shard], windows: Iterable[Window]) -> None:
    """Joins complete shards in the order of the input and moves the output to its place.

    Args:
        windows: Of the input from its beginning; a single shard needs none.

    Raises:
        ConfigurationError: If the shards and the input do not fit together.
        OSError: If the output cannot be written.
    """
    with replacing(shards[0].output, beside=shards[0].folder) as (part,):
        if len(shards) == 1:
            shutil.copyfile(shards[0].lines_file, part)
        else:
            _join(shards, windows, part)
    for shard in shards:
        shard.forget()
    shutil.rmtree(shards[0].folder, ignore_errors=True)


def _join(shards: Sequence[Shard], windows: Iterable[Window], place: Path) -> None:
    with contextlib.ExitStack() as stack:
        joined = stack.enter_context(open(place, "wb"))
        files = [stack.enter_context(open(shard.lines_file, "rb")) for shard in shards]
        last = (0, "")
        for window in windows:
            lines = itertools.islice(files[window.number % len(files)], len(window.lines))
            joined.writelines(lines)
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


def _checksum(values: dict[str, Any]) -> int:
    """Of a record: another number in it could lose lines."""
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def _is_sound(record: Record) -> bool:
    """Whether values are of the types and sizes that they must have."""
    numbers = [record.num_lines, record.num_bytes, *record.counts.values()]
    return (
        all(type(number) is int and number >= 0 for number in numbers)
        and isinstance(record.settings, dict)
        and isinstance(record.digest, str)
        and isinstance(record.is_finished, bool)
    )


def _check_settings(before: dict[str, Any], now: dict[str, Any]) -> None:
    for name, value in now.items():
        old = before.get(name)
        if old == value:
            continue
        if name in ("model", "version"):
            what = "the model" if name == "model" else f"the version of seq2seq, {shown(old)},"
            message = f"{what} has changed since the translation began"
        else:
            message = f"`--{name}` was {shown(old)} when the translation began, not {shown(value)}"
        raise ResumeError(f"{message}; begin anew without `--resume`.")
