"""Line, bar and interval charts as SVG text, to stand in a page.

Colours, dashes and fonts come from the page's style sheet by class (`series0`, `series1`, ...), so
that a chart follows light and dark mode. Knows nothing of translation.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape

from seq2seq.evaluation.scales import HIGHEST, Scale, number, tick_label, ticks_of, within

WIDTH, HEIGHT = 420, 280  # a phone shows about 360 units, so letters stay legible there
MAX_POINTS = 150
NUM_STYLES = 6  # series beyond that begin with the first colour again
_LEFT, _RIGHT, _BOTTOM = 54, 14, 44
_LINE_HEIGHT = 18
_MOST_MARKERS = 40
_SPARSE_MARKERS = 10


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]
    """By rising x; those that are not finite, or absurdly high, are left out."""
    band: Sequence[tuple[float, float, float]] = ()
    """x, lowest and highest value there, by rising x: an area behind the line."""
    style: int | None = None
    """Number of its colour, dashes and marker; its place among the series if not given."""
    dashed: bool | None = None
    """Dashed or full whatever its style is, where this tells groups of series apart."""


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
    log_x: bool = False,
    log_y: bool = False,
    x_ticks: Sequence[float] | None = None,
    y_limits: tuple[float, float] | None = None,
) -> str:
    """Draws series over one another; long ones as means of neighbouring points.

    A series that is alone and has no band gets one from the lowest to the highest neighbour.

    Args:
        categories: Names of x = 0, 1, ...; without them x is a number.
        log_x: Logarithmic axis, which its label says; what is not above 0 is left out. Likewise
            `log_y`.
        x_ticks: Numbers to show below the axis, in place of round ones.
        y_limits: What the axis reaches at least and shows at most, so that charts side by side
            have the same.

    Returns:
        An SVG element, or nothing if there is no point to draw.
    """
    drawable = partial(_drawable, log_x=log_x, log_y=log_y, y_limits=y_limits)
    lines = [
        _Line(one, (index if one.style is None else one.style) % NUM_STYLES, buckets, band)
        for index, one in enumerate(series)
        if (buckets := _thin(drawable(one.points)))
        for band in [drawable(one.band)]
    ]
    if not lines:
        return ""
    drawn = [bucket for line in lines for bucket in line.buckets]
    own_band = (
        len(series) == 1 and not lines[0].band and any(bucket.high > bucket.low for bucket in drawn)
    )
    if own_band:
        name = "mean of neighbouring points; band: lowest to highest"
        extremes = [(bucket.x, bucket.low, bucket.high) for bucket in drawn]
        lines = [_Line(replace(series[0], name=name), lines[0].style, drawn, extremes)]
    ys = [bucket.y for bucket in drawn]
    ys += [end for line in lines for _, *ends in line.band for end in ends]
    ys += y_limits or ()
    xs = [bucket.x for bucket in drawn]
    if categories:
        x_scale = Scale(-0.4, len(categories) - 0.6, range(len(categories)))
    else:
        ticks = x_ticks or ticks_of(min(xs), max(xs), log_x)
        x_scale = Scale(min(xs), max(xs), ticks, log_x)
    y_ticks = ticks_of(min(ys), max(ys), log_y)
    y_scale = Scale(y_ticks[0], y_ticks[-1], y_ticks, log_y)
    legend = _legend([(line.classes, line.one.name) for line in lines], "line")
    x_label, y_label = (
        f"{label}, log scale" if is_log else label
        for label, is_log in ((x_label, log_x), (y_label, log_y))
    )
    frame = _Frame(
        title, x_label, y_label, legend if len(series) > 1 or own_band else [], y_scale, x_scale
    )
    x_labels = [
        (float(tick), categories[int(tick)] if categories else tick_label(tick, log_x))
        for tick in x_scale.ticks
        if within(tick, (x_scale.low, x_scale.high))
    ]
    body = [*frame.axes(x_labels), *(_area(line, frame) for line in lines if line.band)]
    for line in lines:
        body += _polyline(line, frame)
    return frame.document(body)


@dataclass(frozen=True)
class _Line:
    """A series as it is drawn."""

    one: Series
    style: int
    buckets: Sequence[_Bucket]
    band: Sequence[tuple[float, ...]]

    @property
    def classes(self) -> str:
        """Its colour and marker, and its dashes if they do not come with these."""
        dashes = {None: "", True: " dashed", False: " full"}[self.one.dashed]
        return f"series{self.style}{dashes}"


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
        _legend([(f"series{index}", name) for index, (name, _) in enumerate(series)], "bar")
        if len(series) > 1
        else []
    )
    extra = _LINE_HEIGHT if notes else 0
    ticks = ticks_of(0.0, max(values))
    y_scale = Scale(ticks[0], ticks[-1], ticks)
    x_scale = Scale(-0.5, len(labels) - 0.5, range(len(labels)))
    frame = _Frame(title, x_label, y_label, legend, y_scale, x_scale, extra_bottom=extra)
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
    ticks = ticks_of(min(ends), max(ends))
    top, row_height = 44, 44
    bottom = top + row_height * len(drawn)
    left, right = 16.0, WIDTH - 24.0

    def x(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (right - left)

    body = [_text(0, 16, title, "title", "start")]
    for tick in ticks:
        body.append(_rule(x(tick), top - 12, x(tick), bottom, "grid"))
        body.append(_text(x(tick), bottom + 16, number(tick), "tick", "middle"))
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
        y_scale: Scale,
        x_scale: Scale,
        *,
        extra_bottom: int = 0,
    ) -> None:
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.legend, self.y_scale, self.x_scale = legend, y_scale, x_scale
        self.top = 58 + _LINE_HEIGHT * len(legend)
        self.height = HEIGHT + _LINE_HEIGHT * len(legend) + extra_bottom
        self.bottom = self.height - _BOTTOM - extra_bottom

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return _LEFT + self.x_scale.share(value) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return self.bottom - self.y_scale.share(value) * (self.bottom - self.top)

    def axes(self, x_ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
        """Everything but the data."""
        yield _text(0, 16, self.title, "title", "start")
        for row, items in enumerate(self.legend):
            yield f'<g transform="translate(0 {36 + _LINE_HEIGHT * row})">{"".join(items)}</g>'
        yield _text(0, self.top - 14, self.y_label, "axis", "start")
        for tick in self.y_scale.ticks:
            y = self.y(tick)
            yield _rule(_LEFT, y, WIDTH - _RIGHT, y, "grid")
            label = tick_label(tick, self.y_scale.is_log)
            yield _text(_LEFT - 8, y + 4, label, "tick", "end")
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


def _drawable(
    points: Sequence[tuple[float, ...]],
    *,
    log_x: bool,
    log_y: bool,
    y_limits: tuple[float, float] | None,
) -> list[tuple[float, ...]]:
    """Points, x first, without those that have no place on the axes."""
    lowest, highest = y_limits or (-HIGHEST, HIGHEST)
    return [
        (x, *ys)
        for x, *ys in points
        if all(abs(value) < HIGHEST for value in (x, *ys))
        if (not log_x or x > 1 / HIGHEST) and (not log_y or min(ys) > 1 / HIGHEST)
        if lowest <= min(ys) and max(ys) <= highest
    ]


def _thin(points: Sequence[tuple[float, ...]]) -> list[_Bucket]:
    """At most MAX_POINTS means of neighbours, so that long logs make small pages."""
    size = math.ceil(len(points) / MAX_POINTS)
    buckets = []
    for first in range(0, len(points), size or 1):
        window = points[first : first + size]
        ys = [y for _, y in window]
        x = sum(x for x, _ in window) / len(window)
        buckets.append(_Bucket(x, sum(ys) / len(ys), min(ys), max(ys)))
    return buckets


def _polyline(line: _Line, frame: _Frame) -> Iterator[str]:
    path = " ".join(f"{frame.x(b.x):.1f},{frame.y(b.y):.1f}" for b in line.buckets)
    yield f'<polyline class="line {line.classes}" points="{path}"/>'
    marked = line.buckets
    if line.one.dashed is not None:  # the marker alone tells it apart from others of its group
        marked = line.buckets[:: math.ceil(len(line.buckets) / _SPARSE_MARKERS)]
    elif len(line.buckets) > _MOST_MARKERS:
        marked = []
    for bucket in marked:
        value = number(bucket.y, frame.y_scale.is_log)
        hover = f"{line.one.name}, {number(bucket.x)}: {value}"
        yield _marker(line.style, frame.x(bucket.x), frame.y(bucket.y), hover)


def _area(line: _Line, frame: _Frame) -> str:
    upper = [(x, high) for x, _, high in line.band]
    lower = [(x, low) for x, low, _ in reversed(line.band)]
    path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in upper + lower)
    return f'<polygon class="band series{line.style}" points="{path}"/>'


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


def _legend(names: Sequence[tuple[str, str]], kind: str) -> list[list[str]]:
    """Rows of keys, by their classes, with names, as many in a row as fit."""
    rows: list[list[str]] = [[]]
    x = 0.0
    for classes, name in names:
        width = 36 + 7 * len(name) + 16
        if rows[-1] and x + width > WIDTH:
            rows.append([])
            x = 0.0
        key = (
            f'<rect class="bar {classes}" x="{x + 6}" y="-10" width="14" height="11"/>'
            if kind == "bar"
            else _rule(x, -4, x + 28, -4, f"line {classes}")
            + _marker(int(classes.removeprefix("series").split()[0]), x + 14, -4)
        )
        rows[-1].append(key + _text(x + (28 if kind == "bar" else 36), 0, name, "label", "start"))
        x += width
    return rows


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
