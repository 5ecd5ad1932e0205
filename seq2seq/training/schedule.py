"""Learning rate over the optimiser steps: linear warm-up, then one of `SCHEDULES`.

To add a schedule: a subclass of `Schedule` and one line of `SCHEDULES`.
"""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class Schedule(LRScheduler):
    """Warms up linearly to the optimiser's learning rate, then multiplies it by `decay`.

    Args:
        warmup_steps: Optimiser steps until the full learning rate; 0 starts with it.
        total_steps: Optimiser steps of the whole training.
    """

    def __init__(self, optimizer: Optimizer, *, warmup_steps: int, total_steps: int) -> None:
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        super().__init__(optimizer)

    def decay(self, step: int) -> float:
        """Share of the full learning rate at `step`, which is past the warm-up."""
        raise NotImplementedError

    def observe(self, improved: bool) -> None:
        """Hears after each evaluation whether the development score has improved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back the place in the schedule, but not its length, which a recipe may change."""
        own = {"warmup_steps": self.warmup_steps, "total_steps": self.total_steps}
        super().load_state_dict({**state_dict, **own})

    def get_lr(self) -> list[float | Tensor]:
        """Learning rate of each parameter group for the step that comes next."""
        step = self.last_epoch  # torch counts the calls of `step` under this name
        warm = step + 1 < self.warmup_steps
        factor = (step + 1) / self.warmup_steps if warm else self.decay(step)
        return [rate * factor for rate in self.base_lrs]


class Constant(Schedule):
    """Stays at the full learning rate."""

    def decay(self, step: int) -> float:
        """See `Schedule.decay`."""
        return 1.0


class InverseSquareRoot(Schedule):
    """Falls with the square root of the step (Vaswani et al., 2017, equation 3).

    https://arxiv.org/abs/1706.03762
    """

    def decay(self, step: int) -> float:
        """See `Schedule.decay`."""
        return math.sqrt(max(1, self.warmup_steps) / (step + 1))


class Cosine(Schedule):
    """Falls to zero along half a cosine (Loshchilov and Hutter, 2017, equation 5).

    https://arxiv.org/abs/1608.03983
    """

    def decay(self, step: int) -> float:
        """See `Schedule.decay`."""
        steps = max(1, self.total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps + 1) / steps)
        return 0.5 * (1 + math.cos(math.pi * progress))


class Plateau(Schedule):
    """Halves after each evaluation without improvement, down to a hundredth."""

    # An attribute of the class until the first `observe`, since torch asks for a rate in __init__.
    reduction = 1.0

    def decay(self, step: int) -> float:
        """See `Schedule.decay`."""
        return self.reduction

    def observe(self, improved: bool) -> None:
        """See `Schedule.observe`; an evaluation during the warm-up changes nothing."""
        if not improved and self.last_epoch >= self.warmup_steps:
            self.reduction = max(0.01, self.reduction / 2)


SCHEDULES: Mapping[str, type[Schedule]] = {
    "constant": Constant,
    "inverse_square_root": InverseSquareRoot,
    "cosine": Cosine,
    "plateau": Plateau,
}
