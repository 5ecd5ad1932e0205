"""Charts of `evaluation.charts` as a figure that stands alone, one or several side by side."""

import re
from collections.abc import Sequence

from seq2seq.evaluation.charts import WIDTH
from seq2seq.insight.figure import (
    MARGIN,
    SERIES,
    document,
    text,
    title_height,
    title_lines,
    wrap,
    wrap_title,
)

_GAP = 28
_NOTE_SIZE, _NOTE_LINE = 13, 18  # pixels
_SMALLEST = 0.85  # letters of a chart have twelve pixels, so they cannot become much smaller


def chart_figure(
    charts: Sequence[str], *, title: str, columns: int = 1, notes: Sequence[str] = ()
) -> str:
    """Puts charts into one SVG document, in light and dark mode.

    Args:
        charts: What `line_chart` and its like gave; an empty one is left out.
        columns: Charts side by side.
        notes: Sentences below the charts: what was measured, on what, how often.
    """
    drawn = [chart for chart in charts if chart]
    columns = min(columns, len(drawn)) or 1
    width = 2 * MARGIN + columns * WIDTH + (columns - 1) * _GAP
    lines = wrap_title(title, width)
    body = [*title_lines(lines)]
    top = title_height(lines) + _GAP
    for first in range(0, len(drawn), columns):
        row = drawn[first : first + columns]
        for column, chart in enumerate(row):
            left = MARGIN + column * (WIDTH + _GAP)
            place = f'x="{left}" y="{top:g}" width="{WIDTH}" height="{_height(chart)}"'
            body.append(chart.replace("<svg ", f"<svg {place} ", 1))
        top += max(map(_height, row)) + _GAP
    for note in notes:
        for line in wrap(note, width - 2 * MARGIN, _NOTE_SIZE):
            body.append(text(MARGIN, top, line, "label note"))
            top += _NOTE_LINE
    return document(
        body,
        title=title,
        width=width,
        height=top + MARGIN - (0 if notes else _GAP),
        kind="charts",
        style=_STYLE,
        smallest=_SMALLEST,
    )


def _height(chart: str) -> int:
    found = re.search(r'viewBox="0 0 \d+ (\d+)"', chart)
    if found is None:
        raise ValueError("A chart begins with its `viewBox`, as `line_chart` writes it.")
    return int(found[1])


def _series(shade: int) -> str:
    """Rules of one series after another, by light (0) or by dark (1)."""
    return "\n".join(
        f"  .charts .series{number} {{ stroke: {shades[shade]}; }} "
        f".charts .marker.series{number}, .charts .band.series{number}, "
        f".charts .bar.series{number} {{ fill: {shades[shade]}; }}"
        for number, shades in enumerate(SERIES)
    )


# The same looks as in the report's pages; dashes and markers tell series apart without colours.
_STYLE = f"""\
  .charts .chart .title {{ font-size: 15px; }} .charts .chart .axis {{ font-style: normal; }}
  .charts .chart text {{ font-size: 12.5px; }} .charts .note {{ font-size: {_NOTE_SIZE}px; }}
{_series(0)}
  .charts .line, .charts .bar.series1 {{ fill: none; }}
  .charts .line {{ stroke-width: 2; stroke-linejoin: round; }}
  .charts .band {{ opacity: 0.2; stroke: none; }}
  .charts .whisker {{ stroke-width: 3; stroke-linecap: round; opacity: 0.55; }}
  .charts .marker {{ stroke: #ffffff; stroke-width: 1; }}
  .charts .line.series1 {{ stroke-dasharray: 7 4; }}
  .charts .line.series2 {{ stroke-dasharray: 2 3; }}
  .charts .line.series3 {{ stroke-dasharray: 9 3 2 3; }}
  .charts .line.series4 {{ stroke-dasharray: 12 4; }}
  .charts .line.series5 {{ stroke-dasharray: 4 2 1 2 1 2; }}
  .charts .line.full {{ stroke-dasharray: none; }} .charts .line.dashed {{ stroke-dasharray: 5 4; }}
  @media (prefers-color-scheme: dark) {{
{_series(1)}
  .charts .line, .charts .bar.series1 {{ fill: none; }}
  .charts .marker {{ stroke: #0d1117; }}
  }}"""
