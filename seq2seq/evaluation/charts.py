"""Line, bar and interval charts as SVG text, to stand in a page.

Colours, dashes and fonts come from the page's style sheet by class (`series0`, `series1`, ...), so
that a chart follows light and dark mode. Knows nothing of translation.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 280  # a phone shows about 360 units, so letters stay legible there
MAX_POINTS = 150
NUM_STYLES = 6  # series beyond that begin with the first colour again
_LEFT, _RIGHT, _BOTTOM = 54, 14, 44
_LINE_HEIGHT = 18
_MOST_MARKERS = 40
_HIGHEST = 1e100  # a diverged training may write more; no chart shows it


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]
    """By rising x; those that are not finite, or absurdly high, are left out."""


@dataclass(frozen=True)
class Interval:
    """A value and the range in which it lies."""

    name: str
    value: float | None
    """None leaves the row out, and the others keep their colours."""
    low: float | None
    high: float | None


@dataclass(frozen=True)
class _Bucket:
    """Neighbouring points of a long series as one."""

    x: float
    y: float
    low: float
    high: float


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    categories: Sequence[str] | None = None,
) -> str:
    """Draws series over one another; long ones as means, within a band from lowest to highest.

    Args:
        categories: Names of x = 0, 1, ...; without them x is a number.

    Returns:
        An SVG element, or nothing if there is no point to draw.
    """
    lines = [
        (index % NUM_STYLES, one.name, buckets)
        for index, one in enumerate(series)
        if (buckets := _thin(one.points))
    ]
    drawn = [bucket for _, _, buckets in lines for bucket in buckets]
    if not drawn:
        return ""
    has_band = len(series) == 1 and any(bucket.high > bucket.low for bucket in drawn)
    names = [(style, name) for style, name, _ in lines]
    if has_band:
        names = [(0, "mean of neighbouring points; band: lowest to highest")]
    legend = _legend(names, "line") if len(series) > 1 or has_band else []
    lows = [bucket.low if has_band else bucket.y for bucket in drawn]
    highs = [bucket.high if has_band else bucket.y for bucket in drawn]
    y_ticks = _ticks(min(lows), max(highs))
    xs = [bucket.x for bucket in drawn]
    x_range = (-0.4, len(categories) - 0.6) if categories else (min(xs), max(xs))
    frame = _Frame(title, x_label, y_label, legend, y_ticks, x_range)
    x_ticks = (
        [(float(place), name) for place, name in enumerate(categories)]
        if categories
        else [(tick, _number(tick)) for tick in _ticks(*x_range) if _within(tick, x_range)]
    )
    body = [*frame.axes(x_ticks)]
    for style, name, buckets in lines:
        if has_band:
            body.append(_band(buckets, frame))
        body += _line(name, buckets, frame, style)
    return frame.document(body)


def bar_chart(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    notes: Sequence[str] = (),
) -> str:
    """Draws groups of bars from zero, each with its value above it.

    Args:
        labels: One for each group.
        series: Name and values, one for each group; the second is drawn hollow.
        notes: A second line below each label, such as a number of sentences.
    """
    values = [value for _, column in series for value in column]
    if not values:
        return ""
    legend = (
        _legend([(index, name) for index, (name, _) in enumerate(series)], "bar")
        if len(series) > 1
        else []
    )
    extra = _LINE_HEIGHT if notes else 0
    frame = _Frame(
        title,
        x_label,
        y_label,
        legend,
        _ticks(0.0, max(values)),
        (-0.5, len(labels) - 0.5),
        extra_bottom=extra,
    )
    body = [*frame.axes([(float(place), label) for place, label in enumerate(labels)])]
    for place, note in enumerate(notes):
        body.append(_text(frame.x(place), frame.bottom + 16 + extra, note, "tick faint", "middle"))
    share = 0.76 / len(series)  # of the room of a group that one bar takes
    for index, (name, column) in enumerate(series):
        for place, value in enumerate(column):
            left = frame.x(place - 0.38 + index * share)
            width = frame.x(share) - frame.x(0) - 2
            top = frame.y(value)
            hover = escape(f"{name}, {labels[place]}: {value:.1f}")
            body.append(
                f'<rect class="bar series{index}" x="{left:.1f}" y="{top:.1f}" '
                f'width="{width:.1f}" height="{max(frame.bottom - top, 0):.1f}">'
                f"<title>{hover}</title></rect>"
            )
            shown = f"{value:.{1 if 0 < value < 10 else 0}f}"
            body.append(_text(left + width / 2, top - 4, shown, "value", "middle"))
    return frame.document(body)


def interval_chart(rows: Sequence[Interval], *, title: str, x_label: str) -> str:
    """Draws values as dots with their ranges as whiskers, one below the other."""
    drawn = [
        (i % NUM_STYLES, row, row.value) for i, row in enumerate(rows) if row.value is not None
    ]
    if not drawn:
        return ""
    ends = [end for _, row, value in drawn for end in (value, row.low, row.high) if end is not None]
    ticks = _ticks(min(ends), max(ends))
    top, row_height = 44, 44
    bottom = top + row_height * len(drawn)
    left, right = 16.0, WIDTH - 24.0

    def x(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (right - left)

    body = [_text(0, 16, title, "title", "start")]
    for tick in ticks:
        body.append(_rule(x(tick), top - 12, x(tick), bottom, "grid"))
        body.append(_text(x(tick), bottom + 16, _number(tick), "tick", "middle"))
    body.append(_text((left + right) / 2, bottom + 36, x_label, "axis", "middle"))
    for index, (style, row, value) in enumerate(drawn):
        y = top + row_height * index + 24
        body.append(_text(left, y - 14, row.name, "label", "start"))
        if row.low is not None and row.high is not None:
            body.append(_rule(x(row.low), y, x(row.high), y, f"whisker series{style}"))
        body.append(_marker(style, x(value), y, f"{row.name}: {value:.2f}"))
    return _document(title, WIDTH, bottom + 44, body)


class _Frame:
    """Title, legend and axes of a chart, and where a value stands in it."""

    def __init__(
        self,
        title: str,
        x_label: str,
        y_label: str,
        legend: Sequence[Sequence[str]],
        y_ticks: Sequence[float],
        x_range: tuple[float, float],
        *,
        extra_bottom: int = 0,
    ) -> None:
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.legend, self.y_ticks, self.x_range = legend, y_ticks, x_range
        self.top = 58 + _LINE_HEIGHT * len(legend)
        self.height = HEIGHT + _LINE_HEIGHT * len(legend) + extra_bottom
        self.bottom = self.height - _BOTTOM - extra_bottom

    def x(self, value: float) -> float:
        """Pixels from the left."""
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def axes(self, x_ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
        """Everything but the data."""
        yield _text(0, 16, self.title, "title", "start")
        for row, items in enumerate(self.legend):
            yield f'<g transform="translate(0 {36 + _LINE_HEIGHT * row})">{"".join(items)}</g>'
        yield _text(0, self.top - 14, self.y_label, "axis", "start")
        for tick in self.y_ticks:
            y = self.y(tick)
            yield _rule(_LEFT, y, WIDTH - _RIGHT, y, "grid")
            yield _text(_LEFT - 8, y + 4, _number(tick), "tick", "end")
        for value, label in x_ticks:
            yield _text(self.x(value), self.bottom + 16, label, "tick", "middle")
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        yield _text(middle, self.height - 8, self.x_label, "axis", "middle")

    def document(self, body: Sequence[str]) -> str:
        """The chart."""
        return _document(self.title, WIDTH, self.height, body)


def _document(title: str, width: int, height: float, body: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}">\n' + "\n".join(body) + "\n</svg>"
    )


def _thin(points: Sequence[tuple[float, float]]) -> list[_Bucket]:
    """At most MAX_POINTS means of neighbours, so that long logs make small pages."""
    finite = [(x, y) for x, y in points if abs(x) < _HIGHEST and abs(y) < _HIGHEST]
    size = math.ceil(len(finite) / MAX_POINTS)
    buckets = []
    for first in range(0, len(finite), size or 1):
        window = finite[first : first + size]
        ys = [y for _, y in window]
        x = sum(x for x, _ in window) / len(window)
        buckets.append(_Bucket(x, sum(ys) / len(ys), min(ys), max(ys)))
    return buckets


def _line(name: str, buckets: Sequence[_Bucket], frame: _Frame, style: int) -> Iterator[str]:
    path = " ".join(f"{frame.x(b.x):.1f},{frame.y(b.y):.1f}" for b in buckets)
    yield f'<polyline class="line series{style}" points="{path}"/>'
    if len(buckets) <= _MOST_MARKERS:
        for bucket in buckets:
            hover = f"{name}: {_number(bucket.y)}"
            yield _marker(style, frame.x(bucket.x), frame.y(bucket.y), hover)


def _band(buckets: Sequence[_Bucket], frame: _Frame) -> str:
    upper = [(b.x, b.high) for b in buckets]
    lower = [(b.x, b.low) for b in reversed(buckets)]
    path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in upper + lower)
    return f'<polygon class="band series0" points="{path}"/>'


_MARKERS: Sequence[Callable[[float], str]] = (
    lambda r: f'<circle r="{r}"',
    lambda r: f'<rect x="{-r}" y="{-r}" width="{2 * r}" height="{2 * r}"',
    lambda r: f'<path d="M0 {-1.3 * r} L{1.2 * r} {r} L{-1.2 * r} {r} Z"',
    lambda r: f'<path d="M0 {-1.4 * r} L{1.4 * r} 0 L0 {1.4 * r} L{-1.4 * r} 0 Z"',
    lambda r: f'<path d="M0 {1.3 * r} L{1.2 * r} {-r} L{-1.2 * r} {-r} Z"',
    lambda r: f'<rect x="{-1.5 * r}" y="{-0.6 * r}" width="{3 * r}" height="{1.2 * r}"',
)


def _marker(style: int, x: float, y: float, hover: str = "") -> str:
    title = f"<title>{escape(hover)}</title>" if hover else ""
    shape = _MARKERS[style](3.5)
    return (
        f'{shape} class="marker series{style}" transform="translate({x:.1f} {y:.1f})">{title}'
        + (f"</{shape[1:].split(' ', 1)[0]}>")
    )


def _legend(names: Sequence[tuple[int, str]], kind: str) -> list[list[str]]:
    """Rows of keys with names, as many in a row as fit."""
    rows: list[list[str]] = [[]]
    x = 0.0
    for style, name in names:
        width = 36 + 7 * len(name) + 16
        if rows[-1] and x + width > WIDTH:
            rows.append([])
            x = 0.0
        key = (
            f'<rect class="bar series{style}" x="{x + 6}" y="-10" width="14" height="11"/>'
            if kind == "bar"
            else _rule(x, -4, x + 28, -4, f"line series{style}") + _marker(style, x + 14, -4)
        )
        rows[-1].append(key + _text(x + (28 if kind == "bar" else 36), 0, name, "label", "start"))
        x += width
    return rows


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that enclose a range."""
    size = max(abs(low), abs(high))
    if high - low <= 1e-9 * size or size < 1 / _HIGHEST:  # one value, as far as floats can tell
        room = size * 0.1 if size > 1 / _HIGHEST else 1.0
        low, high = low - room, high + room
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] - 1e-9 <= value <= limits[1] + 1e-9


def _number(value: float) -> str:
    """A number as an axis shows it."""
    value = 0.0 if abs(value) < 1e-12 else value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
