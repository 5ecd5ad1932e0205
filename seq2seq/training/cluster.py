"""Processes that torchrun or SLURM has started: the first leads, the others wait for its job."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch import distributed

from seq2seq.config import ConfigurationError
from seq2seq.exits import FAILURE, INTERRUPTED
from seq2seq.processes import count_cores
from seq2seq.training.errors import ConnectionLost, TrainingError
from seq2seq.training.launch import Fit, Launch
from seq2seq.training.spawned import Spawned
from seq2seq.training.world import World, communication, first_line

_MEETING_TIMEOUT = timedelta(minutes=30)  # until all processes have been started
_LOOK_EVERY = 0.2  # seconds
_HEARING_SECONDS = 10.0
# Keys of the store: which kind of device the job is for, and how many processes have read it.
_JOB, _HEARD = "job", "heard"
_NONE = "none"


def find_launch(devices: int) -> Launch:
    """The way that fits how this process was started and what `training.devices` asks for.

    Raises:
        ConfigurationError: If the two disagree, or a cluster's settings cannot work.
    """
    environment = _find_environment()
    if environment is None or environment.world_size() == 1:
        return Spawned(devices, devices) if devices > 1 else Launch()
    size, launcher = environment.world_size(), _name(environment)
    if devices not in (1, size):
        raise ConfigurationError(
            f"`training.devices` is {devices}, but {launcher} has started {size} processes; leave "
            f"the option out."
        )
    local_size = _local_size(environment)
    if size % local_size:
        raise ConfigurationError(
            f"{launcher} must start equally many processes on each machine, but started {size} on "
            f"machines of {local_size}."
        )
    return Launched(environment, local_size)


class Launched(Launch):
    """One of the processes that torchrun or SLURM has started; rank 0 leads."""

    def __init__(self, environment: ClusterEnvironment, local_size: int) -> None:
        super().__init__(environment.world_size(), local_size)
        self._world = World(
            environment.global_rank(),
            self.size,
            local_rank=environment.local_rank(),
            local_size=local_size,
            threads=_threads(environment, local_size),
            environment=environment,
        )
        self._store: distributed.Store | None = None
        self._told = False

    def follow(self, fit: Fit) -> None:
        """Waits for the first process to prepare, and trains with it."""
        if self._world.is_first:
            return
        store = self._meet()
        try:
            with communication(self._world):
                while not store.check([_JOB]):
                    time.sleep(_LOOK_EVERY)
                device = store.get(_JOB).decode()
                store.add(_HEARD, 1)
                if device == _NONE:
                    raise SystemExit(FAILURE)  # the first process says why
                self._world.join(store, on_gpus=device == "cuda")
                fit(self._world.broadcast(None), self._world)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except ConnectionLost:
            raise
        except TrainingError as error:  # all have met it, and the first process says it
            raise SystemExit(getattr(error, "exit_code", FAILURE)) from error
        raise SystemExit(0)

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Meets the others first, and does not leave them waiting if it fails."""
        self._store = self._meet()
        try:
            yield
        finally:
            self._tell(_NONE)

    def run(self, fit: Fit, job: Any, *, device: str) -> Any:
        """Sends the job to the processes that wait for it, and takes part."""
        assert self._store is not None
        self._tell(device)
        with communication(self._world):
            self._world.join(self._store, on_gpus=device == "cuda")
            self._world.broadcast(job)
            return fit(job, self._world)

    def _meet(self) -> distributed.Store:
        environment = self._world.environment
        os.environ["MASTER_ADDR"] = environment.main_address
        os.environ["MASTER_PORT"] = str(environment.main_port)
        try:
            store, _, _ = next(
                distributed.rendezvous(
                    "env://", self._world.rank, self.size, timeout=_MEETING_TIMEOUT
                )
            )
        except distributed.DistError as error:
            raise TrainingError(
                f"The processes that {_name(environment)} has started cannot meet at "
                f"{environment.main_address}:{environment.main_port}: {first_line(error)}."
            ) from error
        return store

    def _tell(self, message: str) -> None:
        """Lets the others go on; they hear it from this process, which may be about to end."""
        if self._store is None or self._told:
            return
        self._told = True
        self._store.set(_JOB, message)
        deadline = time.monotonic() + _HEARING_SECONDS
        while self._store.add(_HEARD, 0) < self.size - 1 and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)


def _find_environment() -> ClusterEnvironment | None:
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    # A batch script has the number of tasks, too, but is none of them: that is what `srun` starts.
    if "SLURM_STEP_ID" in os.environ and SLURMEnvironment.detect():
        try:
            return SLURMEnvironment(auto_requeue=False)
        except RuntimeError as error:
            raise ConfigurationError(
                "SLURM must be told `--ntasks-per-node`, not `--ntasks` alone."
            ) from error
    return None


def _name(environment: ClusterEnvironment) -> str:
    return "SLURM" if isinstance(environment, SLURMEnvironment) else "torchrun"


def _local_size(environment: ClusterEnvironment) -> int:
    is_slurm = isinstance(environment, SLURMEnvironment)
    return int(os.environ["SLURM_NTASKS_PER_NODE" if is_slurm else "LOCAL_WORLD_SIZE"])


def _threads(environment: ClusterEnvironment, local_size: int) -> int | None:
    """SLURM gives each task its own cores; torchrun sets one thread, whatever there is."""
    if isinstance(environment, SLURMEnvironment):
        return None
    return max(1, count_cores() // local_size)
