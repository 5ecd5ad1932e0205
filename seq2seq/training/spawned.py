"""Starts processes of this machine that train together, and watches over them."""

import contextlib
import os
import signal
import time
import traceback
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch import distributed

from seq2seq.exits import write_utf8
from seq2seq.processes import SIGNALS, end_with_parent, how_killed, signals_later
from seq2seq.training.errors import ConnectionLost, TrainingError
from seq2seq.training.launch import Fit, Launch
from seq2seq.training.signals import handle_signals
from seq2seq.training.world import World, communication

START_METHOD = "spawn"  # a process that was forked could not use a GPU
_GRACE = 10.0  # seconds for the others to end by themselves when a process has failed


class Spawned(Launch):
    """Starts processes of this machine and watches them; none of them outlives this one."""

    def run(self, fit: Fit, job: Any, *, device: str) -> Any:
        """Starts the processes, waits for their end, and says which of them failed."""
        # The store has a port that is free, and lives as long as this process.
        store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        threads = max(1, torch.get_num_threads() // self.size)
        context: Any = get_context(START_METHOD)
        processes: list[BaseProcess] = []
        receivers = []
        try:
            with handle_signals(lambda: _interrupt(processes)):
                with signals_later():
                    for rank in range(self.size):
                        receiver, sender = context.Pipe(duplex=False)
                        receivers.append(receiver)
                        world = World(
                            rank, self.size, local_rank=rank, local_size=self.size, threads=threads
                        )
                        arguments = (world, store.port, device, fit, job, sender)
                        process = context.Process(target=_run_rank, args=arguments, daemon=True)
                        processes.append(process)
                        process.start()
                        sender.close()  # it is open in the process only, and closes with it
                outcomes = _wait(processes, receivers)
        finally:
            _kill(processes)
        return _result(outcomes, self.size)


@dataclass(frozen=True)
class _Killed:
    """How a process ended that said nothing."""

    pid: int | None
    exit_code: int | None

    def __str__(self) -> str:
        code = self.exit_code
        if code is None or code >= 0:
            return f"process {self.pid} ended with exit code {code}"
        reason = ", as happens when memory runs out" if code == -signal.SIGKILL else ""
        return f"process {self.pid} {how_killed(code)}{reason}"


def _run_rank(
    world: World, port: int, device: str, fit: Fit, job: Any, sender: connection.Connection
) -> None:
    """What a started process does: sends its result or its error."""
    for number in SIGNALS:
        signal.signal(number, _ignore)  # until `fit` listens, and after it
    end_with_parent()
    write_utf8()
    # Tells Lightning to start no processes, and that this is the only machine.
    os.environ.update(LOCAL_RANK=str(world.local_rank), NODE_RANK="0")
    outcome: Any = None
    try:
        with communication(world):
            store = distributed.TCPStore("127.0.0.1", port, is_master=False)
            world.join(store, on_gpus=device == "cuda")
            outcome = fit(job, world)
    except BaseException as error:
        is_ours = isinstance(error, ValueError) and type(error).__module__.startswith("seq2seq.")
        # What a command makes a sentence of stays what it is; a traceback would not travel.
        outcome = error if is_ours or isinstance(error, OSError) else _Bug(traceback.format_exc())
    sender.send(outcome if world.is_first or isinstance(outcome, _Bug | Exception) else None)


class _Bug(RuntimeError):
    """An error of a started process that is not for users, with its traceback."""


def _ignore(number: int, frame: Any) -> None:
    pass


def _interrupt(processes: list[BaseProcess]) -> None:
    """Passes an interruption on; what they agree on afterwards is theirs."""
    for process in processes:
        if process.is_alive() and process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)


def _wait(processes: list[BaseProcess], receivers: list[connection.Connection]) -> dict[int, Any]:
    """Results, errors and deaths by rank, in the order of their arrival."""
    outcomes: dict[int, Any] = {}
    pending: dict[Any, int] = dict(zip(receivers, range(len(receivers)), strict=True))
    deadline = None
    while pending:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = connection.wait(list(pending), left)
        if not ready:  # they wait for one that has gone
            break
        for receiver in ready:
            rank = pending.pop(receiver)
            try:
                outcomes[rank] = receivers[rank].recv()
            except EOFError:
                processes[rank].join()
                outcomes[rank] = _Killed(processes[rank].pid, processes[rank].exitcode)
            if isinstance(outcomes[rank], _Killed | Exception) and deadline is None:
                deadline = time.monotonic() + _GRACE
    return outcomes


def _result(outcomes: dict[int, Any], size: int) -> Any:
    """What the first process returned; raises the error that stands behind all others."""
    for rank, outcome in outcomes.items():
        if isinstance(outcome, _Killed):
            raise TrainingError(
                f"Of the {size} processes that trained, {outcome} (rank {rank}); `--resume` "
                f"continues after the last checkpoint."
            )
    errors = [outcomes[rank] for rank in sorted(outcomes) if isinstance(outcomes[rank], Exception)]
    # Whoever lost a connection lost it because of another's error.
    for error in sorted(errors, key=lambda error: isinstance(error, ConnectionLost)):
        raise error
    return outcomes[0]


def _kill(processes: list[BaseProcess]) -> None:
    for process in processes:
        if process.pid is None:
            continue  # it could not be started
        if process.is_alive():
            process.kill()
        process.join()
