"""What a single unit knows: a text coloured by its state, and which units follow a property.

Karpathy et al. (2015), section 4.2, https://arxiv.org/abs/1506.02078, found cells of character
models that count the letters of a line, or are on inside of quotes. Here they are searched for by
correlation, with the text moved against the states as the control.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seq2seq.config import ConfigurationError, choose
from seq2seq.insight.figure import (
    MARGIN,
    document,
    signed_fill,
    text,
    text_width,
    title_height,
    title_lines,
    wrap,
    wrap_title,
)
from seq2seq.insight.properties import PROPERTIES
from seq2seq.insight.recording import LayerRecording, Recording

State = Literal["hidden", "memory"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Activations:
    """The state of one unit over a text."""

    layer: str
    unit: int
    state: State
    pieces: Sequence[str]
    texts: Sequence[str]
    """What each piece adds to the text."""
    values: Sequence[float]
    """After each piece, -1 to 1: the hidden state, or the tanh of the memory cell."""
    property: str | None = None
    """What it is compared with, if with anything."""
    truth: Sequence[float] | None = None
    """The property, 0 to 1 over the text."""
    highest: float = 1.0
    """The property where `truth` is 1."""

    def part(self, begin: int, length: int) -> "Activations":
        """The same over so many pieces, or as many as there are."""
        window = slice(begin, begin + length)
        return dataclasses.replace(
            self,
            pieces=self.pieces[window],
            texts=self.texts[window],
            values=self.values[window],
            truth=self.truth and self.truth[window],
        )


@dataclass(frozen=True)
class FoundUnit:
    """A unit and its correlation with a property, Pearson's r."""

    layer: str
    unit: int
    correlation: float
    """On the part of the text in which it was found."""
    held_out: float
    """On the part that took no part in the search."""


@dataclass(frozen=True)
class UnitSearch:
    """The units that follow a property best, and what the same search finds by chance."""

    property: str
    state: State
    found: Sequence[FoundUnit]
    """The strongest correlation first."""
    control: Sequence[FoundUnit]
    """The best unit of each search in which the property was moved against the states."""
    num_searched: int
    """Pieces of the part that was searched, the first one of the text."""
    num_held_out: int


def find_activations(
    recording: Recording, layer: str, unit: int, state: State | None = None
) -> Activations:
    """One unit over the whole text.

    Args:
        unit: From 0.
        state: The memory cells where there are any, if not given.

    Raises:
        ConfigurationError: If there is no such layer, unit or state.
    """
    recorded = recording.layer(layer)
    state = state or default_state(recording)
    values = _states(recorded, state)
    if not 0 <= unit < values.shape[1]:
        raise ConfigurationError(
            f"`unit` must be in [0, {values.shape[1]}) for {layer}, but is {unit}."
        )
    return Activations(
        layer, unit, state, recorded.pieces, recorded.texts, values[:, unit].tolist()
    )


def liveliest_units(
    recording: Recording, layer: str, state: State | None = None, n: int = 1
) -> list[int]:
    """The units of a layer whose state varies most over the text, that of most variance first."""
    values = _states(recording.layer(layer), state or default_state(recording))
    return np.argsort(-values.var(axis=0), kind="stable")[:n].tolist()


def default_state(recording: Recording) -> State:
    """memory where the cells have a memory of their own, else hidden."""
    has_memory = any(layer.memory_cells is not None for layer in recording.layers.values())
    return "memory" if has_memory else "hidden"


def search_units(
    recording: Recording,
    property: str,
    *,
    layers: Sequence[str] = (),
    state: State | None = None,
    num_controls: int = 20,
    seed: int = 1,
) -> UnitSearch:
    """Ranks units by their correlation with a property of the text, on its first half.

    Layers in whose text the property does not change are left out.

    The control is the same search, with the property moved round the text by a random distance: a
    property that changes as slowly, but says nothing of what the network reads there (shuffled
    one by one, it would be no match for states that change slowly themselves).

    Args:
        property: A name in `PROPERTIES`.
        layers: All if there are none.
        state: As in `find_activations`.

    Raises:
        ConfigurationError: If there is no such property or layer, or the property changes in the
            text of no layer.
    """
    choose(PROPERTIES, property, field="find")
    state = state or default_state(recording)
    truths = {}
    for name in layers or recording.layers:
        truth = measure_pieces(recording.layer(name).texts, property)
        if all(np.ptp(half) > 0 for half in np.array_split(truth, 2)):
            truths[name] = truth
    if not truths:
        raise ConfigurationError(
            f"`find` needs a text in both halves of which the property changes, but {property} is "
            f"the same all through one of them; give more text, or another property."
        )
    states = {name: _states(recording.layers[name], state) for name in truths}
    found = _rank(states, truths)
    rng = np.random.default_rng(seed)
    control = [
        _rank(states, {name: _move(truth, share) for name, truth in truths.items()})[0]
        for share in rng.uniform(0.1, 0.9, num_controls)
    ]
    lengths = [len(truth) for truth in truths.values()]
    return UnitSearch(
        property,
        state,
        found,
        control,
        num_searched=max(-(-length // 2) for length in lengths),
        num_held_out=max(length // 2 for length in lengths),
    )


def measure_pieces(texts: Sequence[str], property: str) -> Floats:
    """A property after each piece, [length].

    Args:
        texts: What each piece adds to the text.
        property: A name in `PROPERTIES`.
    """
    values = PROPERTIES[property]("".join(texts))
    ends = itertools.accumulate(map(len, texts))
    return np.array([values[end - 1] if end else 0.0 for end in ends])


def held_out_excerpt(activations: Activations, property: str, length: int) -> Activations:
    """A passage of the part that took no part in the search, with the property beside it.

    Args:
        length: Pieces at most. Of all passages of that length that begin with a line, the one in
            which the property changes most, without the line that it breaks off in.
    """
    truth = measure_pieces(activations.texts, property)
    texts, first = activations.texts, -(-len(truth) // 2)
    begins = [i for i in range(first, len(texts)) if texts[i - 1] == "\n"] or [first]
    begins = [begin for begin in begins if begin + length <= len(texts)] or begins[:1]
    changes = np.abs(np.diff(truth, prepend=truth[0]))
    begin = max(begins, key=lambda begin: changes[begin : begin + length].sum())
    ends = [i for i in range(begin, min(begin + length, len(texts))) if texts[i] == "\n"]
    highest = float(truth.max())
    compared = dataclasses.replace(
        activations, property=property, truth=(truth / highest).tolist(), highest=highest
    )
    return compared.part(begin, ends[-1] + 1 - begin if ends else length)


def describe_search(search: UnitSearch) -> list[str]:
    """What a search has found beside its control, in a sentence each."""
    best, name = search.found[0], search.property
    by_chance = sorted(abs(each.held_out) for each in search.control)
    return [
        f"The unit that follows {name} best, of {len(search.found):,} units, by correlation in the "
        f"first {search.num_searched:,} pieces of the text: r = {best.correlation:.2f}. In the "
        f"other {search.num_held_out:,}, of which a part is drawn: r = {best.held_out:.2f}.",
        f"Control: the same search with {name} moved round the text by a random distance, "
        f"{len(search.control)} times: |r| up to "
        f"{max(abs(each.correlation) for each in search.control):.2f}, and in the other half up "
        f"to {by_chance[-1]:.2f} (half of them below {by_chance[len(by_chance) // 2]:.2f}).",
    ]


def draw_activations(activations: Activations, title: str, notes: Sequence[str] = ()) -> str:
    """Draws the text, each piece a cell in the colour of the unit: blue negative, red positive.

    Where there is a property to compare with, a green line under the text is as strong as it.

    Args:
        notes: Sentences below the title.

    Returns:
        A self-contained SVG document.
    """
    largest = max(map(abs, activations.values), default=0.0) or 1.0
    cells, longest, height = _cells(activations, largest)
    width = max(longest + 2 * MARGIN, _NARROWEST)
    heading = wrap_title(title, width)
    lines = [line for note in notes for line in wrap(note, width - 2 * MARGIN, _NOTE_SIZE)]
    top = title_height(heading) + 2
    body = [*title_lines(heading)]
    body += [text(MARGIN, top + 14 + 18 * i, line, "label") for i, line in enumerate(lines)]
    top += 18 * len(lines) + 8
    body += _legend(activations, largest, top + 12)
    top += 62 if activations.truth is None else 98
    body += [f'<g transform="translate({MARGIN} {top:g})">', *cells, "</g>"]
    return document(
        body, title=title, width=width, height=top + height + MARGIN, kind="unit", style=_STYLE
    )


_WIDEST, _NARROWEST = 900, 640  # pixels of the figure
_LINE, _CELL = 26, 19  # pixels of a line and of the cells in it
_LETTER, _NOTE_SIZE = 8.5, 13  # pixels of a Latin letter, and of the notes
_DEPTH = 0.65  # of the strongest colour, on which letters can still be read
_PALEST = 0.4  # of a line that says that there is something of a property
_STYLE = """
  .unit .letter { font-family: ui-monospace, "Noto Sans Mono", "DejaVu Sans Mono", Menlo, Consolas,
    "Noto Sans Mono CJK KR", NanumGothicCoding, monospace; font-size: 14px; text-anchor: middle;
    pointer-events: none; white-space: pre; }
  .unit rect { shape-rendering: crispEdges; }
"""


def _legend(activations: Activations, largest: float, y: float) -> Iterator[str]:
    name = "tanh of the memory cell" if activations.state == "memory" else "hidden state"
    yield text(MARGIN, y + 4, name, "axis")
    left = MARGIN + text_width(name, 13) + 12
    for step in range(5):
        value = (step - 2) / 2
        box = f'x="{left + 44 * step:g}" y="{y - 10:g}" width="44" height="18"'
        yield f'<rect {box} {signed_fill(value * _DEPTH)}/><rect {box} class="frame"/>'
        yield text(left + 44 * step + 22, y + 26, f"{value * largest:.2f}", "tick", "middle")
    if activations.truth is not None:
        yield from _property_legend(activations, y + 46)


def _property_legend(activations: Activations, y: float) -> Iterator[str]:
    """The lines from none to that of the highest value; those of counts have no steps between."""
    name, highest = activations.property or "", activations.highest
    yield text(MARGIN, y + 4, name, "axis")
    left = MARGIN + text_width(name, 13) + 12
    are_counts = all(round(share * highest, 6) % 1 == 0 for share in activations.truth or ())
    last = int(min(highest, 4)) if are_counts else 4
    for step in range(last + 1):
        yield _property_line(left + 44 * step, y, 44, step / last)
    yield f'<rect x="{left:g}" y="{y - 4:g}" width="{44 * (last + 1)}" height="8" class="frame"/>'
    for step, value in ((0, 0), (last, highest)):
        yield text(left + 44 * step + 22, y + 20, f"{value:g}", "tick", "middle")


def _property_line(x: float, y: float, width: float, share: float) -> str:
    opacity = _PALEST + (1 - _PALEST) * share if share else 0
    return (
        f'<path d="M{x:g} {y:g}h{width:g}" class="stroke2" stroke-width="3" '
        f'stroke-opacity="{opacity:.2f}"/>'
    )


def _cells(activations: Activations, largest: float) -> tuple[list[str], float, float]:
    """The text in lines, from the left upper corner, and how wide and how high it is."""
    body, x, y, longest = [], 0.0, 0, 0.0
    truth = activations.truth or [0.0] * len(activations.values)
    steps = zip(activations.pieces, activations.texts, activations.values, truth, strict=True)
    for piece, content, value, share in steps:
        shown = "↵" if content == "\n" else content
        width = max(sum(_letter_width(letter) for letter in shown), 4.0)
        if x + width > _WIDEST - 2 * MARGIN:
            x, y = 0.0, y + _LINE
        body.append(
            f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{_CELL}" '
            f"{signed_fill(value / largest * _DEPTH)}>"
            f"<title>{escape(piece)}: {value:.3f}</title></rect>"
        )
        if shown.strip():
            middle = x + width / 2
            body.append(f'<text x="{middle:g}" y="{y + 14}" class="letter">{escape(shown)}</text>')
        if share:
            body.append(_property_line(x, y + _CELL + 2, width, share))
        x += width
        longest = max(longest, x)
        if content == "\n":
            x, y = 0.0, y + _LINE
    return body, longest, y + _LINE


def _letter_width(letter: str) -> float:
    return 2 * _LETTER if ord(letter) > 0x2E80 else _LETTER  # that is where wide ones begin


def _states(layer: LayerRecording, state: State) -> Floats:
    """[length, hidden_size], -1 to 1."""
    if state == "hidden":
        return layer.hidden_states.double().cpu().numpy()
    if layer.memory_cells is None:
        raise ConfigurationError("`state` memory needs an LSTM; take hidden, which every cell has.")
    return layer.memory_cells.double().tanh().cpu().numpy()


def _rank(states: Mapping[str, Floats], truths: Mapping[str, Floats]) -> list[FoundUnit]:
    """All units, that of the strongest correlation in the first half first."""
    found = []
    for name, values in states.items():
        halves = zip(np.array_split(values, 2), np.array_split(truths[name], 2), strict=True)
        searched, held_out = (correlate(*half).tolist() for half in halves)
        found += [
            FoundUnit(name, unit, *pair)
            for unit, pair in enumerate(zip(searched, held_out, strict=True))
        ]
    return sorted(found, key=lambda unit: -abs(unit.correlation))


def correlate(states: Floats, truth: Floats) -> Floats:
    """Pearson's r of each column of [length, hidden_size] with [length]; 0 for a constant one."""
    states, truth = states - states.mean(axis=0), truth - truth.mean()
    scale = np.sqrt((states**2).sum(axis=0) * (truth**2).sum())
    return np.divide(truth @ states, scale, out=np.zeros_like(scale), where=scale > 1e-12)


def _move(truth: Floats, share: float) -> Floats:
    """Moved round by a share of its length."""
    return np.roll(truth, int(share * len(truth)))
