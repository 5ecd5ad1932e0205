"""Translates a file by one process or by several, so that nothing is lost if one of them ends.

Processes share nothing but files: each writes a shard of the output, and in the end the first one,
or the process that started them, joins the shards.
"""

import contextlib
import dataclasses
import functools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from seq2seq.config import ConfigurationError, shown
from seq2seq.devices import device_of_process
from seq2seq.formats import FORMATS
from seq2seq.line_translator import (
    Job,
    LineTranslator,
    Listener,
    TranslationInterrupted,
    translate_shard,
)
from seq2seq.lines import LineReader, numbered_windows, open_input, reason
from seq2seq.partial_output import Shard, claimed, is_begun, is_claimed, publish
from seq2seq.processes import end_with_parent, how_killed, signals_later, signals_now

_LOOK_AGAIN_SECONDS = 0.2
_MEETING_SECONDS = 1800.0  # until all processes have been started
_MOST_DEVICES, _MOST_DEATHS = 256, 3
_SPAWN = get_context("spawn")


@dataclass(frozen=True)
class Rank:
    """Which of several processes one is."""

    index: int = 0
    count: int = 1
    local_index: int = 0
    """Among the processes of its machine, which have a GPU each."""
    start: str = ""
    """The same for all that were started together, and for no others at the same time."""

    def __str__(self) -> str:
        return f"process {self.index + 1} of {self.count}"


def find_rank() -> Rank:
    """What torchrun says in the environment; a single process without it."""
    index, count, local_index = (
        os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    )
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        return Rank()
    names = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")
    start = " ".join(os.environ.get(name, "") for name in names).strip()
    return Rank(int(index), int(count), int(local_index) if local_index.isdecimal() else 0, start)


def check_processes(
    rank: Rank, devices: int, *, is_resumed: bool, input: str | None, output: Path | None
) -> None:
    """Refuses what several processes cannot do, and to resume what is no file.

    Args:
        output: None if it is none of a file's places.

    Raises:
        ConfigurationError: Names the options.
    """
    if not 1 <= devices <= _MOST_DEVICES:
        raise ConfigurationError(
            f"`devices` must be from 1 to {_MOST_DEVICES}, but is {shown(devices)}."
        )
    if devices > 1 and rank.count > 1:
        raise ConfigurationError(
            "`devices` is for one machine alone; torchrun starts processes itself."
        )
    tasks = os.environ.get("SLURM_NTASKS", "")
    # A batch script has the number of tasks, too, but is none of them: that is what `srun` starts.
    is_task = "SLURM_STEP_ID" in os.environ and "RANK" not in os.environ
    if is_task and tasks.isdecimal() and int(tasks) > 1 and output is not None:
        raise ConfigurationError(
            f"SLURM has started {tasks} tasks, which would all translate the whole input; start "
            f"one task with `devices`, or torchrun, which shares the input out."
        )
    if is_resumed and output is None:
        raise ConfigurationError("`resume` needs `output`, a file.")
    if max(devices, rank.count) > 1 and not (input and os.path.isfile(input) and output):
        reason = "torchrun" if rank.count > 1 else "`devices`"
        raise ConfigurationError(f"{reason} needs `input` and `output`, both of them files.")


def translate_as_rank(
    job: Job, source_file: Any, output: Path, rank: Rank, *, resume: bool, listener: Listener
) -> Counter[str]:
    """Does the part of one process; the first one waits for the others and joins all parts.

    Args:
        source_file: The input; a file in which one can go back, if there are several processes.
        output: The file; no device.
        resume: Goes on from what an interrupted translation to the same file left.

    Returns:
        Lines that were "repaired", "truncated" or "cut"; of the first process, those of all.

    Raises:
        ConfigurationError: If anything fails; says whether what is done is kept.
        TranslationInterrupted: After Ctrl-C, likewise.
    """
    shards = [Shard(output, index) for index in range(rank.count)]
    work = _translated(job, source_file, output, rank, resume, listener)
    if rank.index:
        _wait_for_first(output, rank)
        with work as (shard, reader):
            pass
    else:
        with claimed(output, rank.start), work as (shard, reader):
            _wait_for_others(shard, shards)
            _publish(job, shards, source_file)
    return _count([shard], reader) if rank.index else _count(shards, reader)


def translate_in_processes(
    job: Job, source_file: Any, output: Path, devices: int, *, resume: bool, listener: Listener
) -> Counter[str]:
    """Starts processes of this machine, watches them, and joins what they have translated.

    A process that is killed is started again, and goes on where it was.

    Args:
        source_file: The input; it is opened again by its name.

    Returns:
        As `translate_as_rank`.

    Raises:
        ConfigurationError: Likewise, and if a process is killed again and again at one place.
        TranslationInterrupted: After Ctrl-C.
    """
    device_of_process(job.loading.device, devices - 1)
    ranks = [Rank(index, devices, index) for index in range(devices)]
    # All of them say by what means they translate.
    listener = dataclasses.replace(listener, describe=functools.cache(listener.describe))
    workers = [_Worker((job, source_file.name, output), rank, resume, listener) for rank in ranks]
    shards = [Shard(output, index) for index in range(devices)]
    with claimed(output):
        try:
            _watch(workers)
        except KeyboardInterrupt as error:
            advice = "; `--resume` goes on" if is_begun(output) else ""
            raise TranslationInterrupted(f"interrupted{advice}.") from error
        finally:
            for worker in workers:
                worker.stop()
        with shards[0].opened({}, resume=True):
            for shard in shards[1:]:
                shard.catch_up(shards[0].record)
            reader = _publish(job, shards, source_file)
    return _count(shards, reader)


def _wait_for_first(output: Path, rank: Rank) -> None:
    """Does not touch what other processes write, as long as the first one has not claimed it."""
    deadline = time.monotonic() + _MEETING_SECONDS
    while not is_claimed(output, rank.start):
        if time.monotonic() > deadline:
            raise ConfigurationError(f"{rank} has waited in vain for the first process to begin.")
        time.sleep(_LOOK_AGAIN_SECONDS)


def _wait_for_others(shard: Shard, shards: Sequence[Shard]) -> None:
    """Waits until all shards are complete, and those who write them will touch them no more."""
    deadline = time.monotonic() + _MEETING_SECONDS
    while True:
        late = time.monotonic() > deadline
        are_complete = [other.catch_up(shard.record, late=late) for other in shards]
        if all(are_complete):
            return
        time.sleep(_LOOK_AGAIN_SECONDS)


@contextlib.contextmanager
def _translated(
    job: Job, source_file: Any, output: Path, rank: Rank, resume: bool, listener: Listener
) -> Iterator[tuple[Shard, LineReader]]:
    """Translates a shard, and keeps it open for whoever joins it."""
    if rank.count > 1:
        device = device_of_process(job.loading.device, rank.local_index)
        job = dataclasses.replace(job, loading=dataclasses.replace(job.loading, device=device))
    work = LineTranslator(job, listener)
    shard = Shard(output, rank.index)
    who = f"{rank} " if rank.count > 1 else ""
    is_replaced = shard.is_begun and not resume
    with shard.opened({"devices": rank.count, **work.settings()}, resume=resume):
        if is_replaced:
            listener.say(f"{who}replaces what is there; `--resume` would have gone on from it.")
        if shard.record.num_lines:
            listener.say(f"{who}goes on after line {shard.record.num_lines:,}.")
        elif resume:
            listener.say(f"{who}has nothing to go on from and begins with line 1.")
        yield shard, translate_shard(work, source_file, shard)


def _publish(job: Job, shards: Sequence[Shard], source_file: Any) -> LineReader:
    """Joins complete shards; returns the reader that has read the input once more."""
    if len(shards) > 1:
        source_file.seek(0)
    reader = LineReader(source_file)
    size = shards[0].record.settings["window_size"]
    try:
        publish(shards, numbered_windows(reader, size, FORMATS[job.format].may_end))
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or shards[0].output}: {reason(error)}; all lines are translated, "
            f"and `--resume` goes on."
        ) from error
    return reader


def _count(shards: Sequence[Shard], reader: LineReader) -> Counter[str]:
    counts = Counter({"repaired": reader.num_repaired})
    for shard in shards:
        counts.update(shard.record.counts)
    return counts


def _watch(workers: "Sequence[_Worker]") -> None:
    """Starts processes and listens to them until all have finished."""
    for worker in workers:
        worker.start()
    running = set(workers)
    while running:
        ready = connection.wait([worker.connection for worker in running])
        for worker in [worker for worker in running if worker.connection in ready]:
            if worker.attend():
                running.remove(worker)


class _Worker:
    """A process that translates a shard, started anew when something kills it.

    Args:
        work: What `_run_worker` gets first.
    """

    def __init__(
        self,
        work: tuple[Job, str, Path],
        rank: Rank,
        resume: bool,
        listener: Listener,
    ) -> None:
        self._work = work
        self._rank = rank
        self._resume = resume
        self._listener = listener
        self._place = "before its first line"
        self._deaths = 0  # since it last finished a window
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Starts the process, which Ctrl-C does not reach."""
        with signals_later():
            self.connection, theirs = _SPAWN.Pipe(duplex=False)
            process = _SPAWN.Process(
                name=str(self._rank),
                target=_run_worker,
                args=(*self._work, self._rank, self._resume, theirs),
                daemon=True,
            )
            process.start()
            self._process = process
            theirs.close()  # so that its end is the end of what can be heard

    def attend(self) -> bool:
        """Takes in one message, or the end of the process; True if it has done its work.

        Raises:
            ConfigurationError: If it cannot do its work.
        """
        try:
            kind, values = self.connection.recv()
        except (EOFError, OSError):
            return self._take_end()
        if kind == "fail":
            raise ConfigurationError(*values)
        if kind == "begin":
            self._place = "in lines {:,} to {:,}".format(*values)
            self._resume = True  # what was there before is replaced, or continued
        if kind == "advance":
            self._deaths = 0
        getattr(self._listener, kind)(*values)
        return False

    def _take_end(self) -> bool:
        assert self._process is not None
        self._process.join()
        self.connection.close()
        code = self._process.exitcode or 0
        if code > 0:
            raise ConfigurationError(f"{self._rank} failed; its own words stand above.")
        if code == 0:
            return True
        self._deaths += 1
        message = f"{self._rank} {how_killed(code)} {self._place}"
        if self._deaths == _MOST_DEATHS:
            raise ConfigurationError(
                f"{message}, {_MOST_DEATHS} times on end; when that can happen no more, as for "
                f"want of memory, `--resume` goes on."
            )
        self._listener.say(f"{message}; it is started again and goes on where it was.")
        self.start()
        return False

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.kill()  # it may not hear signals yet, and loses nothing
            self._process.join()


def _run_worker(
    job: Job, input: str, output: Path, rank: Rank, resume: bool, sender: connection.Connection
) -> None:
    """What a started process does; it ends with the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the first process decides
    signals_now()
    end_with_parent()

    def tell(kind: str) -> Callable[..., None]:
        return lambda *values: sender.send((kind, values))

    listener = Listener(tell("say"), tell("begin"), tell("advance"), tell("describe"))
    threads = job.loading.threads or max(1, torch.get_num_threads() // rank.count)
    job = dataclasses.replace(job, loading=dataclasses.replace(job.loading, threads=threads))
    try:
        with (
            open_input(input) as source_file,
            _translated(job, source_file, output, rank, resume, listener),
        ):
            pass
    except ConfigurationError as error:
        tell("fail")(str(error))
    except OSError as error:
        tell("fail")(f"{error.filename or output}: {reason(error)}.")
