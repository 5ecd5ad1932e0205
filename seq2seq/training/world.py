"""The processes that train together, seen from one of them: who it is, and what they agree on.

Alone, a process agrees with itself and nothing is communicated. To start several, see `spawned.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment
from torch import Tensor, distributed

from seq2seq.training.errors import ConnectionLost

T = TypeVar("T")

# No step, evaluation or checkpoint takes as long, so who is not heard of any more has died.
_STEP_TIMEOUT = timedelta(minutes=30)


class World:
    """A process among those that train.

    Args:
        rank: Its number among all of them.
        size: How many there are.
        local_rank: Its number among those of its machine.
        local_size: How many its machine has.
        threads: Its share of the machine's processor threads; what torch takes if not given.
        environment: Tells Lightning the same.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        *,
        local_rank: int = 0,
        local_size: int = 1,
        threads: int | None = None,
        environment: ClusterEnvironment | None = None,
    ) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = local_rank
        self.local_size = local_size
        self.threads = threads
        self.environment = environment or LightningEnvironment()
        self._group: Any = None

    @property
    def is_first(self) -> bool:
        """Whether it is the process that writes and speaks."""
        return self.rank == 0

    def join(self, store: distributed.Store, *, on_gpus: bool) -> None:
        """Meets the others, who must do the same."""
        distributed.init_process_group(
            "nccl" if on_gpus else "gloo",
            store=store,
            rank=self.rank,
            world_size=self.size,
            timeout=_STEP_TIMEOUT,
        )
        # Agreements go from processor to processor, so that no GPU's work is waited for.
        self._group = distributed.new_group(backend="gloo", timeout=_STEP_TIMEOUT)

    def leave(self) -> None:
        """Ends the communication, whatever state it is in."""
        self._group = None
        if distributed.is_initialized():
            distributed.destroy_process_group()

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """The part of some work that falls to this process; the others do the rest."""
        return items[self.rank :: self.size]

    def any(self, *flags: bool) -> list[bool]:
        """For each flag whether any process has raised it."""
        return [bool(count) for count in self.sum([float(flag) for flag in flags])]

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Each number summed over all processes, in float64."""
        return self.start_sum(numbers)()

    def start_sum(self, numbers: Sequence[float]) -> "PendingSum":
        """Like `sum`, but goes on meanwhile: the sums are there when the result is called."""
        tensor = torch.tensor(numbers, dtype=torch.float64)
        if self.size == 1:
            return PendingSum(tensor)
        return PendingSum(tensor, distributed.all_reduce(tensor, group=self._group, async_op=True))

    def wait(self) -> None:
        """Waits until every process has come here."""
        self.sum([])

    def gather(self, value: T) -> list[T]:
        """What every process has brought, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value, group=self._group)
        return values

    def broadcast(self, value: T | None) -> T:
        """What the first process has brought; the others bring None."""
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self._group)
        return values[0]  # type: ignore[return-value]


class PendingSum:
    """Numbers that are being summed."""

    def __init__(self, tensor: Tensor, work: Any = None) -> None:
        self._tensor = tensor
        self._work = work

    def __call__(self) -> list[float]:
        """Waits for the sums."""
        if self._work is not None:
            self._work.wait()
        return self._tensor.tolist()


@contextmanager
def communication(world: World) -> Iterator[None]:
    """Leaves the others at the end; makes one sentence of a connection that breaks.

    Raises:
        ConnectionLost: If another process is not there any more.
    """
    try:
        yield
    except RuntimeError as error:  # gloo has no class of its own for its errors
        if not (isinstance(error, distributed.DistError) or "gloo" in str(error)):
            raise
        raise ConnectionLost(
            f"Process {world.rank} of 0 to {world.size - 1} lost the connection to another one: "
            f"{first_line(error)}; `--resume` continues after the last checkpoint."
        ) from error
    finally:
        world.leave()


def first_line(error: Exception) -> str:
    """What an error of torch says, without its stack and full stop."""
    return str(error).strip().splitlines()[0].rstrip(".")
