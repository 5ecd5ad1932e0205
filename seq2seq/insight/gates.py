"""How far the gates of a network open, piece by piece, and how often each stays shut or open.

An LSTM has the gates input, forget and output (Hochreiter and Schmidhuber, 1997; Gers et al.,
2000), a GRU reset and update (Cho et al., 2014). Saturation is that of Karpathy et al. (2015),
section 4.2, https://arxiv.org/abs/1506.02078.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import torch
from torch import Tensor

from seq2seq.config import ConfigurationError, choose
from seq2seq.insight.figure import (
    LABEL_SIZE,
    MARGIN,
    document,
    explain_pieces,
    text,
    text_width,
    title_height,
    title_lines,
    wrap,
    wrap_title,
)
from seq2seq.insight.recording import Recording

CLOSED, OPEN = 0.1, 0.9
"""A gate is saturated below the one or above the other."""


@dataclass(frozen=True)
class Gate:
    """A gate of a layer."""

    values: Tensor
    """[length, hidden_size] over the sentence that is shown, 0 to 1."""
    closed: Tensor
    """[hidden_size], the share of steps in which each unit's gate is below `CLOSED`."""
    open: Tensor
    """[hidden_size], the share of steps in which it is above `OPEN`."""


@dataclass(frozen=True)
class LayerGates:
    """The gates of a layer by name."""

    pieces: Sequence[str]
    gates: Mapping[str, Gate]
    num_steps: int
    """Over which saturation was counted."""


@dataclass(frozen=True)
class Gates:
    """All layers by name."""

    layers: Mapping[str, LayerGates]


def find_gates(recording: Recording, others: Iterable[Recording] = ()) -> Gates:
    """The gates over a sentence, and how often they are saturated.

    Args:
        others: Sentences over which saturation is counted; the shown one alone if there are none.

    Raises:
        ConfigurationError: If no cell of the network has gates.
    """
    if not any(layer.gates for layer in recording.layers.values()):
        raise ConfigurationError("a tanh RNN has no gates to draw; take a GRU or an LSTM.")
    counts = _Counts()
    for other in others:
        counts.add(other)
    if not counts.num_steps:
        counts.add(recording)
    layers = {}
    for name, layer in recording.layers.items():
        gates = {
            gate: Gate(values, *(counts.saturated[name, gate] / counts.num_steps[name]))
            for gate, values in layer.gates.items()
        }
        layers[name] = LayerGates(layer.pieces, gates, counts.num_steps[name])
    return Gates(layers)


def draw_gates(
    gates: Gates,
    layers: Sequence[str],
    title: str,
    *,
    counted: str = "this sentence",
    notes: Sequence[str] = (),
) -> str:
    """Draws each gate as a heat map of units and pieces, its saturation beside it.

    Rows are units from the one that is open most to the one that is open least; of many, so many
    at even distances in this order. The last row is the mean of all.

    Args:
        layers: Names of those to draw, one below the other.
        counted: Over what saturation was counted, in words.
        notes: Further sentences below the title.

    Returns:
        A self-contained SVG document.

    Raises:
        ConfigurationError: If there is no such layer.
    """
    shown = {name: choose(gates.layers, name, field="layers") for name in layers}
    plan = _Plan(shown.values())
    lines = wrap_title(title, plan.width)
    top = title_height(lines) + 4
    notes = (
        *notes,
        f"Saturation is counted over {counted}.",
        _say_rows(shown.values()),
        explain_pieces(piece for layer in shown.values() for piece in _shown_pieces(layer)),
    )
    said = [line for note in notes for line in wrap(note, plan.width - 2 * MARGIN, _NOTE_SIZE)]
    body = [*title_lines(lines)]
    body += [text(MARGIN, top + 12 + 18 * i, line, "label") for i, line in enumerate(said)]
    top += 18 * len(said)
    body += _legend(top + 16)
    top += 64
    for name, layer in shown.items():
        body += _draw_layer(name, layer, plan, top)
        top += plan.height(layer)
    return document(body, title=title, width=plan.width, height=top, kind="gates", style=_STYLE)


_ROWS, _ROW, _MEAN_ROW = 64, 3, 14  # rows of units at most; pixels of each, and of their mean
_LEVELS = 16  # of depth; more cannot be told apart
_SCATTER, _SCATTER_LEFT, _LEFT, _RIGHT = 190, 72, 84, 24  # pixels
_NARROWEST, _WIDEST, _COMMON_WIDTH = 17, 48, 900
_NOTE_SIZE = 13
_GAP = 50  # below each gate, with the labels of its scatter
_STYLE = """
  .gates .heat { shape-rendering: crispEdges; } .gates .hover { fill-opacity: 0; }
  .gates .head { font-size: 15px; font-weight: 600; }
"""


class _Counts:
    """Steps, and those in which each unit's gates were saturated."""

    def __init__(self) -> None:
        self.num_steps: Counter[str] = Counter()
        self.saturated: dict[tuple[str, str], Tensor] = {}
        """By layer and gate: steps below and above, [2, hidden_size]."""

    def add(self, recording: Recording) -> None:
        for name, layer in recording.layers.items():
            self.num_steps[name] += len(layer.pieces)
            for gate, values in layer.gates.items():
                counted = torch.stack([(values < CLOSED).sum(0), (values > OPEN).sum(0)])
                before = self.saturated.get((name, gate))
                self.saturated[name, gate] = counted if before is None else before + counted


class _Plan:
    """Where the parts of the figure stand."""

    def __init__(self, layers: Iterable[LayerGates]) -> None:
        layers = list(layers)
        most = max(len(layer.pieces) for layer in layers)
        fits = (_COMMON_WIDTH - _LEFT - _SCATTER_LEFT - _SCATTER - _RIGHT) // most
        self.column = max(_NARROWEST, min(_WIDEST, fits))
        self.scatter_left = _LEFT + most * self.column + _SCATTER_LEFT
        self.width = self.scatter_left + _SCATTER + _RIGHT

    @staticmethod
    def label_height(layer: LayerGates) -> float:
        """Pixels of the pieces above the heat maps, which stand upright."""
        return max(*(text_width(piece, LABEL_SIZE) for piece in layer.pieces), 36) + 8

    @staticmethod
    def gate_height(layer: LayerGates) -> float:
        """Pixels of a gate: heat map, mean, and what stands below."""
        num_units = next(iter(layer.gates.values())).values.shape[1]
        return max(min(num_units, _ROWS) * _ROW + 4 + _MEAN_ROW, _SCATTER) + _GAP

    def height(self, layer: LayerGates) -> float:
        """Pixels of a layer."""
        return 30 + self.label_height(layer) + len(layer.gates) * self.gate_height(layer) + 8


def _say_rows(layers: Iterable[LayerGates]) -> str:
    """Which units the rows of the heat maps are."""
    sizes = [gate.values.shape[1] for layer in layers for gate in layer.gates.values()]
    which = f"{_ROWS} units at even distances" if max(sizes) > _ROWS else "all units"
    return f"Rows are {which} in the order of their means; the mean row is of all units."


def _shown_pieces(layer: LayerGates) -> list[str]:
    """Those above the heat maps: among single letters the end is one, too."""
    are_letters = all(len(piece) == 1 or piece == "</s>" for piece in layer.pieces)
    return ["↵" if are_letters and piece == "</s>" else piece for piece in layer.pieces]


def _legend(y: float) -> Iterator[str]:
    yield text(MARGIN, y + 4, "gate", "axis")
    for step in range(5):
        value, left = step / 4, MARGIN + 44 + 36 * step
        box = f'x="{left}" y="{y - 10:g}" width="36" height="18"'
        yield f'<rect {box} class="fill0" fill-opacity="{value}"/><rect {box} class="frame"/>'
        yield text(left + 18, y + 26, f"{value:g}", "tick", "middle")
    yield text(MARGIN + 236, y + 4, "0 shut, 1 open", "label")


def _draw_layer(name: str, layer: LayerGates, plan: _Plan, top: float) -> Iterator[str]:
    num_units = next(iter(layer.gates.values())).values.shape[1]
    which = f", {_ROWS} of them shown" if num_units > _ROWS else ""
    yield text(MARGIN, top + 14, f"{name}: {num_units} units{which}", "head")
    top += 30 + plan.label_height(layer)
    yield text(plan.scatter_left, top - 30, "Saturation, a dot for each unit", "label")
    steps = "1 step" if layer.num_steps == 1 else f"{layer.num_steps:,} steps"
    yield text(plan.scatter_left, top - 12, f"over {steps}", "tick")
    read = "written" if name.startswith("decoder") else "read"
    yield text(_LEFT - 8, top - 6, read, "axis", "end")
    pieces = _shown_pieces(layer)
    are_letters = all(len(piece) == 1 for piece in pieces)
    for index, piece in enumerate(pieces):
        x = _LEFT + (index + 0.5) * plan.column
        if are_letters:
            yield text(x, top - 6, piece, "piece", "middle")
        else:
            label = text(0, 5, piece, "piece")
            yield f'<g transform="translate({x:g} {top - 6:g}) rotate(-90)">{label}</g>'
    for gate_name, gate in layer.gates.items():
        yield from _heat_map(gate_name, gate, layer.pieces, plan, top)
        yield from _scatter(gate, plan.scatter_left, top)
        top += plan.gate_height(layer)


def _heat_map(
    name: str, gate: Gate, pieces: Sequence[str], plan: _Plan, top: float
) -> Iterator[str]:
    order = gate.values.mean(0).argsort(descending=True)
    if len(order) > _ROWS:
        order = order[torch.linspace(0, len(order) - 1, _ROWS).round().long()]
    rows = gate.values[:, order].T
    height, width = len(rows) * _ROW, len(pieces) * plan.column
    mean_top = top + height + 4
    means = gate.values.mean(1)
    yield '<g class="heat">'
    yield from _strokes(rows, _LEFT, top, plan.column, _ROW)
    yield from _strokes(means.unsqueeze(0), _LEFT, mean_top, plan.column, _MEAN_ROW)
    yield "</g>"
    for y, each in ((top, height), (mean_top, _MEAN_ROW)):
        yield f'<rect x="{_LEFT}" y="{y:g}" width="{width}" height="{each}" class="frame"/>'
    middle = top + height / 2
    yield f'<g transform="translate({MARGIN + 10} {middle:g}) rotate(-90)">'
    yield text(0, 0, f"{name} gate", "label", "middle") + "</g>"
    yield f'<g transform="translate({_LEFT - 34} {middle:g}) rotate(-90)">'
    units = "units, by mean" if height >= 100 else "units"  # of a small layer it would reach out
    yield text(0, 0, units, "axis", "middle") + "</g>"
    yield text(_LEFT - 8, mean_top + 11, "mean", "axis", "end")
    low, middle_value, high = gate.values.quantile(torch.tensor([0.25, 0.5, 0.75]), dim=1)
    for index, piece in enumerate(pieces):
        values = gate.values[index]
        told = (
            f"{piece}: {name} gate, mean {means[index]:.2f}, median {middle_value[index]:.2f}, "
            f"middle half {low[index]:.2f} to {high[index]:.2f}; {_share(values < CLOSED)} of the "
            f"units below {CLOSED}, {_share(values > OPEN)} above {OPEN}"
        )
        yield (
            f'<rect x="{_LEFT + index * plan.column}" y="{top:g}" width="{plan.column}" '
            f'height="{height + 4 + _MEAN_ROW}" class="page hover"><title>{escape(told)}</title>'
            f"</rect>"
        )


def _strokes(rows: Tensor, left: float, top: float, column: int, height: int) -> Iterator[str]:
    """Cells as one path for each depth; neighbours of one depth are one stroke."""
    strokes: dict[int, list[str]] = {}
    for row, levels in enumerate((rows * _LEVELS).round().long().tolist()):
        y = top + (row + 0.5) * height
        start = 0
        for end in range(1, len(levels) + 1):
            if end == len(levels) or levels[end] != levels[start]:
                stroke = f"M{left + start * column:g} {y:g}h{(end - start) * column}"
                strokes.setdefault(levels[start], []).append(stroke)
                start = end
    for level, parts in sorted(strokes.items()):
        if level:
            yield (
                f'<path d="{"".join(parts)}" class="stroke0" stroke-width="{height}" '
                f'stroke-opacity="{level / _LEVELS:.2f}"/>'
            )


def _scatter(gate: Gate, left: float, top: float) -> Iterator[str]:
    """Each unit by how often its gate is shut and how often it is open; dots that meet grow."""
    bottom = top + _SCATTER
    for step in range(5):
        share = step / 4
        x, y = left + share * _SCATTER, bottom - share * _SCATTER
        yield (f'<path d="M{x:g} {top:g}V{bottom:g}M{left} {y:g}h{_SCATTER}" class="grid"/>')
        if step % 2 == 0:
            yield text(x, bottom + 19, f"{share:.0%}", "tick", "middle")
            yield text(left - 9, y + 4, f"{share:.0%}", "tick", "end")
    middle = bottom - _SCATTER / 2
    yield text(left + _SCATTER / 2, bottom + 36, f"share of steps below {CLOSED}", "axis", "middle")
    yield f'<g transform="translate({left - 48} {middle:g}) rotate(-90)">'
    yield text(0, 0, f"share of steps above {OPEN}", "axis", "middle") + "</g>"
    pairs = zip(gate.closed.tolist(), gate.open.tolist(), strict=True)
    places = Counter((round(shut * _GRID), round(opened * _GRID)) for shut, opened in pairs)
    for (shut, opened), number in sorted(places.items()):
        x, y = left + shut / _GRID * _SCATTER, bottom - opened / _GRID * _SCATTER
        units = "1 unit" if number == 1 else f"{number} units"
        radius = min(1.5 + 0.7 * number**0.5, 7)
        yield (
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:.1f}" class="fill1" '
            f'fill-opacity="0.6"><title>{units}: below {CLOSED} in {shut / _GRID:.0%}, above '
            f"{OPEN} in {opened / _GRID:.0%} of the steps</title></circle>"
        )


_GRID = 40  # places of a scatter along each axis


def _share(mask: Tensor) -> str:
    return f"{mask.double().mean():.0%}"
