"""Where the decoder looked: the attention weights of one translation as a heat map.

The figure is SVG with real text, so that any script shows in the fonts of whoever looks at it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seq2seq.translation import Translation

CELL = 36  # pixels
_LABEL_SIZE = 15  # pixels; a wide (Korean, Japanese) letter takes about that much
_TITLE_SIZE = 16  # pixels
_LEGEND_STEPS = 5
_SMALLEST = 0.7  # of its size, when a page shrinks the figure: letters of ten pixels
_STRONG = 0.1  # weight of cells that stand by themselves and tell it on hover


@dataclass(frozen=True)
class Alignment:
    """The weights that each output piece gave to the source pieces."""

    source_pieces: Sequence[str]
    target_pieces: Sequence[str]
    weights: Sequence[Sequence[float]]
    """[target_length, source_length]; each row sums to 1."""


def find_alignment(translation: "Translation") -> Alignment:
    """The alignment that the search recorded.

    Raises:
        ValueError: If the model has no attention.
    """
    if translation.alignment is None:
        raise ValueError("A model with `model.attention` none has no alignment to show.")
    return Alignment(translation.source_pieces, translation.pieces, translation.alignment.tolist())


def draw_alignment(
    alignment: Alignment,
    title: str,
    *,
    cell: int = CELL,
    languages: tuple[str, str] = ("", ""),
) -> str:
    """Draws source pieces as columns, output pieces as rows, weights as depth of colour.

    Args:
        cell: Width and height of each weight in pixels.
        languages: Of source and output: one character has several shapes in Chinese and Japanese.

    Returns:
        A self-contained SVG document; it follows the reader's light or dark mode and shows weights
        on hover.
    """
    left = 40 + _text_width(alignment.target_pieces)
    top = 92 + _text_width(alignment.source_pieces)
    columns, rows = len(alignment.source_pieces), len(alignment.target_pieces)
    width = max(left + columns * cell + 24, 360)
    title_lines = _wrap(title, width - 32)
    top += 20 * (len(title_lines) - 1)
    height = top + rows * cell + 84
    middle = left + columns * cell / 2
    body = [
        *_title(title_lines),
        _text(middle, 34 + 20 * len(title_lines), "source pieces", "axis", "middle"),
        *_labels(alignment, languages, left, top, cell),
        *_cells(alignment, left, top, cell),
        f'<rect x="{left}" y="{top}" width="{columns * cell}" height="{rows * cell}" '
        f'class="frame"/>',
        f'<g transform="translate(18 {top + rows * cell / 2}) rotate(-90)">'
        f"{_text(0, 0, 'output pieces', 'axis', 'middle')}</g>",
        *_legend(left, top + rows * cell + 28),
    ]
    return _DOCUMENT.substitute(
        width=width,
        height=height,
        smallest=int(_SMALLEST * width),
        title=escape(title),
        body="\n".join(body),
    )


# Every rule begins with the figure's class: in a page they must not reach beyond it.
_DOCUMENT = Template("""\
<svg xmlns="http://www.w3.org/2000/svg" class="alignment" width="$width" height="$height" \
viewBox="0 0 $width $height" style="min-width: ${smallest}px" role="img" aria-label="$title">
<style>
  .alignment text { font-family: system-ui, "Noto Sans", "Noto Sans CJK KR",
         "Apple SD Gothic Neo", "Malgun Gothic", NanumGothic, sans-serif; fill: #1f2328; }
  .alignment :lang(ja) text { font-family: system-ui, "Noto Sans", "Noto Sans CJK JP",
         "Hiragino Sans", "Yu Gothic", IPAGothic, sans-serif; }
  .alignment :lang(zh) text { font-family: system-ui, "Noto Sans", "Noto Sans CJK SC",
         "PingFang SC", "Microsoft YaHei", sans-serif; }
  .alignment .page { fill: #ffffff; } .alignment .cell { fill: #0a58ca; }
  .alignment .frame { fill: none; stroke: #8c959f; }
  .alignment .title { font-size: 16px; font-weight: 600; } .alignment .piece { font-size: 15px; }
  .alignment .axis { font-size: 13px; font-style: italic; } .alignment .tick { font-size: 12px; }
  @media (prefers-color-scheme: dark) {
    .alignment text { fill: #e6edf3; }
    .alignment .page { fill: #0d1117; } .alignment .cell { fill: #6cb6ff; }
  }
</style>
<rect width="$width" height="$height" class="page"/>
$body
</svg>
""")


def _wrap(text: str, width: float) -> list[str]:
    """Breaks a title at spaces so that each line fits, as far as single words do."""
    lines: list[str] = []
    for word in text.split():
        if lines and _text_width([f"{lines[-1]} {word}"], _TITLE_SIZE) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _title(lines: Sequence[str]) -> Iterator[str]:
    for index, line in enumerate(lines):
        yield _text(16, 28 + 20 * index, line, "title", "start")


def _labels(
    alignment: Alignment, languages: tuple[str, str], left: float, top: float, cell: int
) -> Iterator[str]:
    source, target = (f' lang="{escape(language)}"' if language else "" for language in languages)
    yield f"<g{source}>"
    for index, piece in enumerate(alignment.source_pieces):
        x = left + (index + 0.5) * cell
        label = _text(0, 5, piece, "piece", "start")
        yield f'<g transform="translate({x} {top - 8}) rotate(-90)">{label}</g>'
    yield f"</g><g{target}>"
    for index, piece in enumerate(alignment.target_pieces):
        yield _text(left - 8, top + (index + 0.5) * cell + 5, piece, "piece", "end")
    yield "</g>"


def _cells(alignment: Alignment, left: int, top: int, cell: int) -> Iterator[str]:
    """Faint cells as one path for each depth, since most are; the others with their weights."""
    faint: dict[float, list[str]] = {}
    for row, (target, weights) in enumerate(
        zip(alignment.target_pieces, alignment.weights, strict=True)
    ):
        for column, (source, weight) in enumerate(
            zip(alignment.source_pieces, weights, strict=True)
        ):
            x, y = left + column * cell, top + row * cell
            if weight >= _STRONG:
                yield (
                    f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" class="cell" '
                    f'fill-opacity="{weight:.3f}">'
                    f"<title>{escape(target)} ← {escape(source)}: {weight:.3f}</title></rect>"
                )
            elif depth := round(weight, 2):
                faint.setdefault(depth, []).append(f"M{x} {y}h{cell}v{cell}h-{cell}z")
    for depth, squares in sorted(faint.items()):
        yield f'<path d="{"".join(squares)}" class="cell" fill-opacity="{depth}"/>'


def _legend(x: float, y: float) -> Iterator[str]:
    yield _text(x, y + 4, "weight", "axis", "start")
    for step in range(_LEGEND_STEPS):
        weight = step / (_LEGEND_STEPS - 1)
        left = x + 56 + step * CELL
        yield (
            f'<rect x="{left}" y="{y - 10}" width="{CELL}" height="18" class="cell" '
            f'fill-opacity="{weight}"/><rect x="{left}" y="{y - 10}" width="{CELL}" height="18" '
            f'class="frame"/>'
        )
        yield _text(left + CELL / 2, y + 26, f"{weight:g}", "tick", "middle")


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _text_width(texts: Sequence[str], size: int = _LABEL_SIZE) -> int:
    """Pixels that the longest text takes, a little more rather than less."""
    widths = [
        sum(1.0 if ord(letter) > 0x1100 else 0.62 for letter in text) * size for text in texts
    ]
    return int(max(widths, default=0)) + 12
