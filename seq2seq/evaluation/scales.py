"""Axes of charts, linear or logarithmic: where a value stands, and which numbers stand there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

HIGHEST = 1e100  # a diverged training may write more; no chart shows it
_MOST_POWERS = 8  # of ten, at a logarithmic axis
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """What an axis reaches, and the round numbers that stand at it."""

    low: float
    high: float
    ticks: Sequence[float]
    is_log: bool = False

    def share(self, value: float) -> float:
        """How much of the axis lies below a value, 0 to 1."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return (value - low) / (high - low) if high > low else 0.5


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that enclose a range."""
    size = max(abs(low), abs(high))
    if high - low <= 1e-9 * size or size < 1 / HIGHEST:  # one value, as far as floats can tell
        room = size * 0.1 if size > 1 / HIGHEST else 1.0
        low, high = low - room, high + room
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def ticks_of(low: float, high: float, is_log: bool = False) -> list[float]:
    """Round numbers that enclose a range, of a logarithmic axis powers of ten if it is long."""
    if not is_log:
        return _ticks(low, high)
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    step = math.ceil((last - first) / _MOST_POWERS)
    if last - first > 2:
        return [10.0**power for power in range(first, last + step, step)]
    steps = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
    below = max(index for index, tick in enumerate(steps) if tick <= low * (1 + 1e-9))
    above = min(index for index, tick in enumerate(steps) if tick >= high * (1 - 1e-9))
    return steps[below : max(above, below + 1) + 1]


def within(value: float, limits: tuple[float, float]) -> bool:
    """Whether a value lies between two limits, as far as floats can tell."""
    return limits[0] - 1e-9 <= value <= limits[1] + 1e-9


def number(value: float, is_log: bool = False) -> str:
    """A number as an axis shows it; a very small one is 0 unless the axis is logarithmic."""
    if is_log:
        return f"{value:.3g}"
    value = 0.0 if abs(value) < 1e-12 else value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def tick_label(value: float, is_log: bool) -> str:
    """A number at a tick; of a logarithmic axis far from 1 as a power of ten."""
    power = round(math.log10(value)) if is_log else 0
    return f"10{str(power).translate(_RAISED)}" if abs(power) > 3 else number(value)
