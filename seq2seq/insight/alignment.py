"""Where the decoder looked: the attention weights of a translation as a heat map.

Bahdanau, Cho and Bengio (2015), figure 3, https://arxiv.org/abs/1409.0473.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal, get_args

from seq2seq.config import EOS_ID, ConfigurationError, choose
from seq2seq.insight.figure import (
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

if TYPE_CHECKING:
    from seq2seq.translation import Translation
    from seq2seq.translator import Translator

Units = Literal["pieces", "words"]

CELL = 36  # pixels
_WIDEST = 900  # pixels of two heat maps side by side; wider ones stand one above the other
_NARROWEST = 360  # pixels, so that notes have room
_HEADING_SIZE, _HEADING_LINE = 13, 18  # pixels
_LEGEND_STEPS, _LEGEND_LEFT = 5, 56  # the first step's place, in pixels
_WITHOUT_END = "What went to </s> is left out, so rows may sum to less than 1."


@dataclass(frozen=True)
class Alignment:
    """The weights that each output piece, or word, gave to those of the source."""

    source_pieces: Sequence[str]
    target_pieces: Sequence[str]
    weights: Sequence[Sequence[float]]
    """[target_length, source_length]; rows of pieces sum to 1, those of words lack what `</s>`
    had."""
    units: Units = "pieces"
    heading: str = ""
    """What tells it from another one beside it."""


def find_alignment(
    translation: "Translation", units: Units = "pieces", *, heading: str = ""
) -> Alignment:
    """The alignment that the search recorded.

    Args:
        translation: With details, if `units` are words.

    Raises:
        ConfigurationError: If the model has no attention.
    """
    if translation.alignment is None:
        raise ConfigurationError(
            "a model with `model.attention` none has no alignment to show; take one with attention."
        )
    _check(units)
    if units == "words":
        words = translation.words or ()
        return Alignment(
            translation.source_words or (),
            [word.text for word in words],
            [word.weights for word in words],
            units,
            heading,
        )
    weights = translation.alignment.tolist()
    return Alignment(translation.source_pieces, translation.pieces, weights, units, heading)


def find_given_alignment(
    translator: "Translator",
    source: str,
    target: str,
    units: Units = "pieces",
    *,
    heading: str = "",
) -> Alignment:
    """The alignment of a given translation, which the decoder was made to say (teacher forcing).

    Raises:
        ConfigurationError: If the model has no attention.
    """
    from seq2seq.alignments import find_words, soft_alignment
    from seq2seq.preparation import clean_side

    _check(units)
    recipe, sides = translator.recipe, translator.tokenizers
    (source,), (target,) = (
        clean_side([one], recipe, side) for one, side in ((source, "source"), (target, "target"))
    )
    source_ids, target_ids = sides.source.encode(source), [*sides.target.encode(target), EOS_ID]
    (forced,) = translator.engine.force([source_ids], [target_ids], recipe.search)
    if forced.alignment is None:
        raise ConfigurationError(
            "a model with `model.attention` none has no alignment to show; take one with attention."
        )
    source_pieces = sides.source.pieces([*source_ids, EOS_ID])
    target_pieces = sides.target.pieces(target_ids)
    if units == "pieces":
        weights = forced.alignment.tolist()
        return Alignment(source_pieces, target_pieces, weights, units, heading)
    sources = find_words(source, source_pieces, recipe.source_language)
    targets = find_words(target, target_pieces, recipe.target_language)
    return Alignment(
        [source[word.start : word.end] for word in sources],
        [target[word.start : word.end] for word in targets],
        soft_alignment(forced.alignment, sources, targets).tolist(),
        units,
        heading,
    )


def draw_alignment(
    alignment: Alignment,
    title: str,
    *,
    given: Alignment | None = None,
    cell: int = CELL,
    told_from: float = 0.005,
    languages: tuple[str, str] = ("", ""),
) -> str:
    """Draws source pieces as columns, output pieces as rows, weights as depth of colour.

    Args:
        given: Stands beside or below it, for comparison.
        cell: Width and height of each weight in pixels.
        told_from: Cells of this weight or more tell it on hover; the others make a small file.
        languages: Of source and output: one character has several shapes in Chinese and Japanese.

    Returns:
        A self-contained SVG document; it follows the reader's light or dark mode and shows weights
        on hover.
    """
    maps = [_HeatMap(each, cell, languages, told_from) for each in (alignment, given) if each]
    beside = sum(each.width for each in maps) <= _WIDEST
    legend_end = maps[0].left + _LEGEND_LEFT + _LEGEND_STEPS * CELL + MARGIN
    width = max(_NARROWEST, legend_end, (sum if beside else max)(each.width for each in maps))
    lines = wrap_title(title, width)
    x, y = 0.0, title_height(lines)
    tallest = max(each.top for each in maps)
    body = list(title_lines(lines))
    for each in maps:
        body += each.draw(x, y + (tallest - each.top if beside else 0))
        x, y = (x + each.width, y) if beside else (x, y + each.height)
    if beside:
        y += tallest + max(each.height - each.top for each in maps)
    body += _legend(maps[0].left, y + 20)
    height = y + 68
    pieces = {
        piece
        for each in maps
        for piece in (*each.alignment.source_pieces, *each.alignment.target_pieces)
    }
    note = _WITHOUT_END if alignment.units == "words" else explain_pieces(pieces)
    for line in wrap(note, width - 2 * MARGIN, _HEADING_SIZE):
        body.append(text(MARGIN, height, line, "tick"))
        height += _HEADING_LINE
    return document(body, title=title, width=width, height=height, kind="alignment")


def _check(units: str) -> None:
    choose(dict.fromkeys(get_args(Units)), units, field="units")


class _HeatMap:
    """One alignment: where its parts stand, and what they look like."""

    def __init__(
        self, alignment: Alignment, cell: int, languages: tuple[str, str], told_from: float
    ) -> None:
        self.alignment, self.cell, self.told_from = alignment, cell, told_from
        self.attributes = [f' lang="{escape(one)}"' if one else "" for one in languages]
        self.left = 52 + _longest(alignment.target_pieces)
        self.width = self.left + len(alignment.source_pieces) * cell + 24
        self.heading = wrap(alignment.heading, self.width - 2 * MARGIN, _HEADING_SIZE)
        above = _HEADING_LINE * len(self.heading)
        self.top = above + 48 + _longest(alignment.source_pieces)
        self.height = self.top + len(alignment.target_pieces) * cell + 8

    def draw(self, x: float, y: float) -> Iterator[str]:
        """Its elements, from a place of the figure on."""
        alignment, top = self.alignment, self.top
        width, height = (
            len(pieces) * self.cell for pieces in (alignment.source_pieces, alignment.target_pieces)
        )
        yield f'<g transform="translate({x:g} {y:g})">'
        for index, line in enumerate(self.heading):
            yield text(MARGIN, 16 + _HEADING_LINE * index, line, "label")
        sources, targets = (f"{side} {alignment.units}" for side in ("source", "output"))
        axis = _HEADING_LINE * len(self.heading) + 18
        yield text(self.left + width / 2, axis, sources, "axis", "middle")
        yield from self._labels()
        yield from self._cells()
        yield (
            f'<rect x="{self.left:g}" y="{top:g}" width="{width}" height="{height}" class="frame"/>'
        )
        label = text(0, 0, targets, "axis", "middle")
        yield f'<g transform="translate(20 {top + height / 2:g}) rotate(-90)">{label}</g></g>'

    def _labels(self) -> Iterator[str]:
        source, target = self.attributes
        yield f"<g{source}>"
        for index, piece in enumerate(self.alignment.source_pieces):
            place = f"{self.left + (index + 0.5) * self.cell + 5:g} {self.top - 8:g}"
            label = text(0, 0, piece, "piece")
            yield f'<g transform="translate({place}) rotate(-90)">{label}</g>'
        yield f"</g><g{target}>"
        for index, piece in enumerate(self.alignment.target_pieces):
            y = self.top + (index + 0.5) * self.cell + 5
            yield text(self.left - 8, y, piece, "piece", "end")
        yield "</g>"

    def _cells(self) -> Iterator[str]:
        """Those that tell their weight; the others as one path for each depth."""
        faint: dict[float, list[str]] = {}
        cell = self.cell
        for row, (target, weights) in enumerate(
            zip(self.alignment.target_pieces, self.alignment.weights, strict=True)
        ):
            for column, (source, weight) in enumerate(
                zip(self.alignment.source_pieces, weights, strict=True)
            ):
                x, y = f"{self.left + column * cell:g}", f"{self.top + row * cell:g}"
                if weight >= self.told_from:
                    yield (
                        f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" class="weight" '
                        f'fill-opacity="{weight:.3f}">'
                        f"<title>{escape(target)} ← {escape(source)}: {weight:.3f}</title></rect>"
                    )
                elif depth := round(weight, 2):
                    faint.setdefault(depth, []).append(f"M{x} {y}h{cell}v{cell}h-{cell}z")
        for depth, squares in sorted(faint.items()):
            yield f'<path d="{"".join(squares)}" class="weight" fill-opacity="{depth}"/>'


def _longest(pieces: Sequence[str]) -> float:
    return max(map(text_width, pieces), default=0.0)


def _legend(x: float, y: float) -> Iterator[str]:
    yield text(x, y + 4, "weight", "axis")
    for step in range(_LEGEND_STEPS):
        weight = step / (_LEGEND_STEPS - 1)
        left = x + _LEGEND_LEFT + step * CELL
        box = f'<rect x="{left:g}" y="{y - 10:g}" width="{CELL}" height="18"'
        yield f'{box} class="weight" fill-opacity="{weight:g}"/>{box} class="frame"/>'
        yield text(left + CELL / 2, y + 26, f"{weight:g}", "tick", "middle")
