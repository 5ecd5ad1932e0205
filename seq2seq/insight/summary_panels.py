"""The parts of the picture of summary vectors: points, probes, nearest sentences, legends.

Each function draws from (0, 0) downwards, in a column of `COLUMN` pixels, and says where it ends.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from seq2seq.evaluation.scales import number, ticks_of
from seq2seq.insight.figure import SERIES, text, text_width, wrap
from seq2seq.insight.probes import SummaryProbe

COLUMN = 412  # pixels, as all lengths here
NUM_LOOKS = len(SERIES)
_LEFT, _PLOT, _PLOT_HEIGHT = 48, 352, 320
_SIZE, _LINE = 13, 18
_PROBE_LEFT, _PROBE_RIGHT, _PROBE_ROW = 150, 40, 30
# Shapes of points around (0, 0).
_SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-3.6-3.6h7.2v7.2h-7.2z",
    "M0-5L4.6 3.6H-4.6z",
    "M0-5.2L5.2 0L0 5.2L-5.2 0z",
    "M0 5L4.6-3.6H-4.6z",
    "M-5.4-2h10.8v4h-10.8z",
)
_CROSS = "M-2.5-2.5l5 5m0-5l-5 5"
_DOT = "M-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0z"
_RING = "M-12 0a12 12 0 1 0 24 0a12 12 0 1 0-24 0z"
_RING_NAME = "this sentence"
RING_KEY = ("M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0z", "hollow ink", _RING_NAME)  # of the legend
_TICK = "M-1.2-8h2.4v16h-2.4z"
STYLE = """\
  .summary .faint { opacity: 0.45; } .summary .solid { opacity: 0.8; }
  .summary .hollow { fill: none; stroke-width: 2; } .summary .ink { stroke-width: 3; }
  .summary .halo { stroke-width: 8; } .summary .veil { fill-opacity: 0.85; }
  .summary .heading { font-size: 14px; font-weight: 600; }
  .summary .quote { font-size: 13px; font-weight: 600; }"""


class Look(NamedTuple):
    """How the points of a label look."""

    name: str
    shape: str
    classes: str


class Point(NamedTuple):
    """A state in two dimensions."""

    x: float
    y: float
    look: Look
    hover: str


def looks_of(labels: Sequence[str], frequent: Sequence[str]) -> dict[str, Look]:
    """A colour and a shape for each frequent label; others are faint dots, unknown ones crosses.

    Args:
        labels: Of the points, as often as there are points; "" where it is not known.
        frequent: At most `NUM_LOOKS`.
    """
    counts = Counter(labels)
    shown = [label for label in frequent if counts[label]]
    looks = {
        label: Look(f"{label} ({counts[label]})", _SHAPES[place], f"solid fill{place}")
        for place, label in enumerate(shown)
    }
    others = [label for label in counts if label and label not in looks]
    number_of = sum(counts[label] for label in others)
    kinds = "1 other kind" if len(others) == 1 else f"{len(others)} other kinds"
    looks |= dict.fromkeys(others, Look(f"of {kinds} ({number_of})", _DOT, "faint fill5"))
    if counts[""]:
        looks[""] = Look(f"not known ({counts['']})", _CROSS, "faint stroke5")
    return looks


def scatter(
    points: Sequence[Point], explained: tuple[float, float], ringed: Sequence[int], top: float
) -> tuple[list[str], float]:
    """Points with one scale for both axes, as distances count.

    Args:
        explained: The share of the variance of each axis.
        ringed: Indices of points that are marked.
    """
    x_ticks = ticks_of(min(point.x for point in points), max(point.x for point in points))
    y_ticks = ticks_of(min(point.y for point in points), max(point.y for point in points))
    centre = (x_ticks[0] + x_ticks[-1]) / 2, (y_ticks[0] + y_ticks[-1]) / 2
    unit = min(_PLOT / (x_ticks[-1] - x_ticks[0]), _PLOT_HEIGHT / (y_ticks[-1] - y_ticks[0]))
    middle = _LEFT + _PLOT / 2, top + _PLOT_HEIGHT / 2
    bottom = top + _PLOT_HEIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        left, below = middle[0] + (x - centre[0]) * unit, middle[1] - (y - centre[1]) * unit
        return round(left, 1), round(below, 1)

    parts = []
    for tick in x_ticks:
        x, _ = place(tick, 0)
        parts.append(f'<path d="M{x} {top:g}V{bottom:g}" class="grid"/>')
        parts.append(text(x, bottom + 16, number(tick), "tick", "middle"))
    for tick in y_ticks:
        _, y = place(0, tick)
        parts.append(f'<path d="M{_LEFT} {y}h{_PLOT}" class="grid"/>')
        parts.append(text(_LEFT - 6, y + 4, number(tick), "tick", "end"))
    names = [
        f"{name} principal component ({share:.0%} of the variance)"
        for name, share in zip(("1st", "2nd"), explained, strict=True)
    ]
    parts.append(text(middle[0], bottom + 36, names[0], "axis", "middle"))
    label = text(0, 0, names[1], "axis", "middle")
    parts.append(f'<g transform="translate({_LEFT - 34} {middle[1]:g}) rotate(-90)">{label}</g>')
    for point in sorted(points, key=lambda point: "solid" in point.look.classes):
        x, y = place(point.x, point.y)
        parts.append(_mark(point.look.shape, point.look.classes, x, y, point.hover))
    for index in ringed:
        parts += _ring(*place(points[index].x, points[index].y))
    return parts, bottom + 36


def _ring(x: float, y: float) -> list[str]:
    """A ring with its name, on whichever side there is room."""
    width = text_width(_RING_NAME, _SIZE) + 6
    left = x + 18 if x + 18 + width <= _LEFT + _PLOT else x - 18 - width
    veil = f'<rect x="{left:g}" y="{y - 9:g}" width="{width:g}" height="18" class="page veil"/>'
    label = text(round(left + width / 2, 1), y + 4, _RING_NAME, "label", "middle")
    rings = [_mark(_RING, f"hollow {kind}", x, y) for kind in ("halo", "ink")]
    return [veil, label, *rings]


_PROBE_MARKS = (
    (_SHAPES[0], "fill0", "trained network"),
    (_SHAPES[1], "hollow stroke1", "the same network untrained"),
    (_SHAPES[3], "hollow stroke3", "shuffled labels"),
    (_TICK, "fill5", "most frequent label"),
)


def probe_rows(probes: Mapping[str, SummaryProbe], top: float) -> tuple[list[str], float]:
    """A row for each property: what probes read right, beside the controls."""
    key, height = legend(_PROBE_MARKS, COLUMN)
    parts = [
        text(0, top, "What a linear probe reads off the state", "heading"),
        f'<g transform="translate(0 {top + 10:g})">{key}</g>',
    ]
    top += height + 22
    bottom = top + _PROBE_ROW * len(probes)
    for percent in range(0, 101, 20):
        x = _share_place(percent / 100)
        parts.append(f'<path d="M{x} {top:g}V{bottom:g}" class="grid"/>')
        parts.append(text(x, bottom + 16, f"{percent}", "tick", "middle"))
    for row, (name, found) in enumerate(probes.items()):
        parts += _probe_row(name, found, top + (row + 0.5) * _PROBE_ROW)
    numbers = {found.trained.num_held_out for found in probes.values()}
    up_to = "up to " if len(numbers) > 1 else ""
    label = f"% of {up_to}{max(numbers):,} held-out sentences read right"
    parts.append(text(_share_place(0.5), bottom + 36, label, "axis", "middle"))
    return parts, bottom + 36


def _probe_row(name: str, found: SummaryProbe, y: float) -> list[str]:
    trained, chance = found.trained, found.trained.shuffled
    values = (
        trained.accuracy,
        found.untrained.accuracy,
        sum(chance) / len(chance),
        trained.majority,
    )
    label, of_all = f"{name} ({trained.num_labels} kinds)", f"of {trained.num_held_out:,}"
    low, high = _share_place(min(chance)), _share_place(max(chance))
    return [
        text(_PROBE_LEFT - 8, y + 4, _cut(label, _PROBE_LEFT + 14), "label", "end"),
        f'<path d="M{low} {y:g}H{high}" class="stroke3" stroke-width="2"/>',
        *(
            _mark(shape, classes, _share_place(value), y, f"{name}, {mark}: {value:.1%} {of_all}")
            for (shape, classes, mark), value in reversed(
                list(zip(_PROBE_MARKS, values, strict=True))
            )
        ),
        text(COLUMN, y + 4, f"{trained.accuracy:.0%}", "label", "end"),
    ]


def nearest_list(
    examples: Mapping[str, Sequence[tuple[str, float]]], number_of: int, language: str, top: float
) -> tuple[list[str], float]:
    """Sentences, each with those whose states are nearest and the cosines.

    Args:
        number_of: Sentences among which they are.
    """
    heading = f"Nearest of {number_of:,} states (cosine)"
    parts = [text(0, top, heading, "heading"), f'<g lang="{escape(language)}">']
    for sentence, others in examples.items():
        top += 8
        for line in wrap(sentence, COLUMN, _SIZE):
            top += _LINE
            parts.append(text(0, top, line, "quote"))
        for other, cosine in others:
            parts.append(text(4, top + _LINE, f"{cosine:.2f}", "tick"))
            for line in wrap(other, COLUMN - 44, _SIZE):
                top += _LINE
                parts.append(text(44, top, line, "label"))
    return [*parts, "</g>"], top


def legend(entries: Sequence[tuple[str, str, str]], width: float) -> tuple[str, float]:
    """Shapes, their classes and names, as many in a row as fit; and the height."""
    parts, x, y = [], 0.0, 8.0
    for shape, classes, name in entries:
        size = 18 + text_width(name, _SIZE) + 12
        if x and x + size > width:
            x, y = 0.0, y + 20
        parts.append(_mark(shape, classes, round(x + 6, 1), y))
        parts.append(text(round(x + 18, 1), y + 4, name, "label"))
        x += size
    return "".join(parts), y + 12


def _share_place(share: float) -> float:
    return round(_PROBE_LEFT + share * (COLUMN - _PROBE_LEFT - _PROBE_RIGHT), 1)


def _mark(shape: str, classes: str, x: float, y: float, hover: str = "") -> str:
    title = f"<title>{escape(hover)}</title>" if hover else ""
    return f'<path d="{shape}" class="{classes}" transform="translate({x:g} {y:g})">{title}</path>'


def _cut(label: str, width: float) -> str:
    """A label that fits, if need be without its middle."""
    shown = label
    while text_width(shown, _SIZE) > width and len(shown) > 2:
        half = (len(shown) - 2) // 2
        shown = f"{shown[:half]}…{shown[-half:]}"
    return shown
