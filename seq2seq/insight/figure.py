"""What all figures have in common: SVG with real text, their colours, letters and frame.

A figure stands alone, follows the reader's light or dark mode, and keeps its own style where it is
put into a page. Colours are of Okabe and Ito's kind, told apart by all kinds of sight; where signs
count, blue is negative and red positive.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from string import Template

TITLE_SIZE, LABEL_SIZE = 16, 15  # pixels; a wide (Korean, Japanese) letter is as wide as high
MARGIN = 16
_TITLE_LINE = 20
_TITLE_WIDEST = 600  # so that it is not cut off where a wide figure is seen through a narrow page
_NARROW = 0.62  # of a letter's height, the width of Latin ones, a little more rather than less
SMALLEST = 0.7  # of its size, when a page shrinks a figure: letters of ten pixels


def document(
    body: Sequence[str],
    *,
    title: str,
    width: float,
    height: float,
    kind: str,
    style: str = "",
    smallest: float = SMALLEST,
) -> str:
    """A self-contained SVG document.

    Args:
        body: Elements; what they say is escaped already.
        title: For those who hear the figure; the visible one is part of the body.
        kind: Class of the figure, such as "alignment", by which its own rules begin.
        style: Further CSS rules, each selector beginning with `.KIND`.
        smallest: Share of its width to which a page may shrink it.
    """
    return _DOCUMENT.substitute(
        width=f"{width:g}",
        height=f"{height:g}",
        smallest=int(smallest * width),
        title=escape(title),
        kind=kind,
        style=style,
        body="\n".join(body),
    )


SERIES = (
    ("#0b5cad", "#6cb0f5"),
    ("#c2570c", "#f0a060"),
    ("#0a7d5c", "#4fc9a0"),
    ("#a1408a", "#e08cc8"),
    ("#8a6d00", "#d8bd4a"),
    ("#4d5560", "#aab4c0"),
)
"""Colours of series by light and by dark: `.stroke0`, `.fill0` and so on; tell them apart by dashes
or markers, too."""

# What has which colour by light and by dark; written out, as not all viewers know CSS variables.
_COLOURS = (
    ("text", "fill", "#1f2328", "#e6edf3"),
    (".tick", "fill", "#57606a", "#9da7b3"),
    (".page", "fill", "#ffffff", "#0d1117"),
    (".ink", "stroke", "#1f2328", "#e6edf3"),
    (".halo", "stroke", "#ffffff", "#0d1117"),
    (".frame", "stroke", "#8c959f", "#8c959f"),
    (".grid", "stroke", "#d0d7de", "#3d444d"),
    (".weight", "fill", "#0a58ca", "#6cb6ff"),
    (".negative", "fill", "#0a58ca", "#4c9bff"),
    (".positive", "fill", "#c8321e", "#ff6a55"),
    *(
        (f".{kind}{number}", attribute, light, dark)
        for number, (light, dark) in enumerate(SERIES)
        for kind, attribute in (("stroke", "stroke"), ("fill", "fill"))
    ),
)


def _colours(shade: int) -> str:
    return "\n".join(
        f"  .figure {selector} {{ {attribute}: {shades[shade]}; }}"
        for selector, attribute, *shades in _COLOURS
    )


# Every rule begins with the class of figures: in a page they must not reach beyond them.
_DOCUMENT = Template(
    """\
<svg xmlns="http://www.w3.org/2000/svg" class="figure $kind" width="$width" height="$height" \
viewBox="0 0 $width $height" style="min-width: ${smallest}px" role="img" aria-label="$title">
<style>
  .figure text { font-family: system-ui, "Noto Sans", "Noto Sans CJK KR", "Apple SD Gothic Neo",
    "Malgun Gothic", NanumGothic, sans-serif; }
  .figure :lang(ja) text { font-family: system-ui, "Noto Sans", "Noto Sans CJK JP",
    "Hiragino Sans", "Yu Gothic", IPAGothic, sans-serif; }
  .figure :lang(zh) text { font-family: system-ui, "Noto Sans", "Noto Sans CJK SC",
    "PingFang SC", "Microsoft YaHei", sans-serif; }
  .figure .frame { fill: none; }
  .figure .title { font-size: 16px; font-weight: 600; } .figure .piece { font-size: 15px; }
  .figure .axis { font-size: 13px; font-style: italic; } .figure .label { font-size: 13px; }
  .figure .tick { font-size: 12px; }
"""
    + _colours(0)
    + "\n  @media (prefers-color-scheme: dark) {\n"
    + _colours(1)
    + """
  }
$style
</style>
<rect width="$width" height="$height" class="page"/>
$body
</svg>
"""
)


def text(x: float, y: float, content: str, kind: str, anchor: str = "start") -> str:
    """An element of text; `kind` is its class: title, piece, axis, label or tick.

    Spaces stay as they are, so that indentation shows.
    """
    space = ' xml:space="preserve"' if content != content.strip() or "  " in content else ""
    return (
        f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}"{space}>'
        f"{escape(content)}</text>"
    )


def text_width(content: str, size: float = LABEL_SIZE) -> float:
    """Pixels that a text takes, a little more rather than less."""
    return sum(1.0 if ord(letter) > 0x1100 else _NARROW for letter in content) * size


def wrap(content: str, width: float, size: float = TITLE_SIZE) -> list[str]:
    """Breaks a text at spaces so that each line fits, as far as single words do."""
    lines: list[str] = []
    for word in content.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def wrap_title(title: str, width: float) -> list[str]:
    """The lines of a title of a figure of so many pixels."""
    return wrap(title, min(width - 2 * MARGIN, _TITLE_WIDEST))


def explain_pieces(pieces: Iterable[str]) -> str:
    """What the marks in these pieces mean, as a sentence; "" if there are none."""
    pieces = set(pieces)
    are_letters = all(len(piece) == 1 for piece in pieces - {"<s>", "</s>"})
    said = ["▁ is a space" if are_letters else "▁ begins a word"]
    said = said if any("▁" in piece for piece in pieces) else []
    ends = {"<s>": "the beginning", "</s>": "the end", "↵": "the end"}
    said += [f"{piece} is {meaning}" for piece, meaning in ends.items() if piece in pieces]
    return f"{'; '.join(said)}." if said else ""


def title_lines(lines: Sequence[str]) -> Iterator[str]:
    """The visible title, from the top left; it takes `title_height`."""
    for index, line in enumerate(lines):
        yield text(MARGIN, 28 + _TITLE_LINE * index, line, "title")


def title_height(lines: Sequence[str]) -> float:
    """Pixels from the top of a figure to where the rest may begin."""
    return 16.0 + _TITLE_LINE * len(lines)


def signed_fill(value: float) -> str:
    """Attributes of a shape that shows a value from -1 to 1: colour by sign, depth by size."""
    kind = "negative" if value < 0 else "positive"
    return f'class="{kind}" fill-opacity="{min(abs(value), 1.0):.2f}"'
