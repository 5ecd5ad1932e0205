"""What becomes of an optimiser step whose loss or gradient is not finite."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from seq2seq.data.batch import Batch
from seq2seq.training.errors import TrainingError
from seq2seq.training.world import World


class SkippedSteps:
    """Says which steps are left out, and ends training when they are too many in a row.

    Args:
        limit: Steps that may be left out one after the other.
        describe: Says which training pairs a batch has.
        say: Prints a line.
    """

    def __init__(
        self,
        limit: int,
        world: World,
        *,
        describe: Callable[[Batch], str],
        say: Callable[[str], None],
    ) -> None:
        self.in_a_row = 0
        """Steps left out since the last one that was taken."""
        self._limit = limit
        self._world = world
        self._describe = describe
        self._say = say

    def add(self, losses: Sequence[tuple[Tensor, Batch]], *, epoch: int, step: int) -> None:
        """Counts a step that is left out; all processes must.

        Args:
            losses: Of the batches of the step.

        Raises:
            TrainingError: If it is one too many; names the batch.
        """
        broken = [batch for loss, batch in losses if not math.isfinite(loss)]
        batch = broken[0] if broken else losses[0][1]
        found = self._world.gather((not broken, self._describe(batch)))
        # Where a loss broke it broke the gradients of all; else nobody knows whose gradient it was.
        finite, pairs = min(found, key=lambda found: found[0])
        what = "gradient" if finite else "loss"
        self.in_a_row += 1
        if self.in_a_row > self._limit:
            raise TrainingError(
                f"The {what} was not finite in step {step:,} of epoch {epoch}, "
                f"{_counted(self.in_a_row)}, with {pairs}; look at them, lower "
                f"`training.learning_rate` or `training.gradient_clip`, or raise "
                f"`training.warmup_steps`."
            )
        if self._world.is_first:
            self._say(
                f"step {step:,} of epoch {epoch} is left out: its {what} is not finite, "
                f"with {pairs}"
            )


def _counted(in_a_row: int) -> str:
    if in_a_row == 1:
        return "and `training.non_finite_limit` allows none"
    return f"as in the {in_a_row - 1:,} before it"
