"""How the processes that train come to be; here: one alone.

Everything but the training steps happens in one process, which leads: it calls `run`. Others start
several processes of this machine (`spawned.py`), or are started by a cluster (`cluster.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seq2seq.training.world import World

Fit = Callable[[Any, World], Any]
"""Trains a job as one of the processes of a world; the first one's result counts."""


class Launch:
    """One process, which has nobody to lead.

    Args:
        size: Processes that train.
        local_size: Those of this machine.
    """

    def __init__(self, size: int = 1, local_size: int = 1) -> None:
        self.size = size
        self.local_size = local_size

    def follow(self, fit: Fit) -> None:
        """Takes part and ends the process, if it is not the one that leads.

        Raises:
            SystemExit: If it is not.
        """

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Context in which the leading process prepares and calls `run`."""
        yield

    def run(self, fit: Fit, job: Any, *, device: str) -> Any:
        """Calls `fit` in all processes.

        Args:
            device: What they compute on, cpu or cuda.

        Returns:
            What it returned in the first one.

        Raises:
            TrainingError: If a process has died, or as `fit` does.
        """
        return fit(job, World())
