import xml.etree.ElementTree as ElementTree

import pytest

from seq2seq.evaluation.charts import WIDTH, Series, line_chart
from seq2seq.insight.chart_figure import chart_figure
from seq2seq.insight.figure import text_width

SVG = "{http://www.w3.org/2000/svg}"


def chart(title: str, num_series: int = 1) -> str:
    series = [Series(f"series {number}", [(0, 1), (1, 2)]) for number in range(num_series)]
    return line_chart(series, title=title, x_label="steps", y_label="nats")


def inner(figure: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(figure).findall(f"{SVG}svg")


def box(element: ElementTree.Element) -> tuple[float, float, float, float]:
    left, top, width, height = (float(element.attrib[k]) for k in ("x", "y", "width", "height"))
    return left, top, left + width, top + height


def test_charts_stand_in_rows_and_none_covers_another() -> None:
    charts = [chart("one"), chart("two", num_series=6), chart("three")]
    drawn = chart_figure(charts, title="A figure", columns=2, notes=["What was measured."])
    boxes = [box(one) for one in inner(drawn)]
    assert boxes[0][1] == boxes[1][1], "side by side"
    assert boxes[0][2] < boxes[1][0]
    assert boxes[2][0] == boxes[0][0]
    assert boxes[2][1] > max(boxes[0][3], boxes[1][3]), "below the higher of the two"
    figure = ElementTree.fromstring(drawn)
    notes = [one for one in figure.findall(f"{SVG}text") if "note" in one.attrib["class"].split()]
    assert [one.text for one in notes] == ["What was measured."]
    assert boxes[2][3] < float(notes[0].attrib["y"]) < float(figure.attrib["height"])
    assert boxes[1][2] < float(figure.attrib["width"])


def test_a_chart_keeps_its_size_whatever_its_legend() -> None:
    (one,) = inner(chart_figure([chart("one", num_series=6)], title="A figure"))
    _, _, width, height = (float(part) for part in one.attrib["viewBox"].split())
    assert (float(one.attrib["width"]), float(one.attrib["height"])) == (width, height)
    assert width == WIDTH


def test_an_empty_chart_leaves_no_gap() -> None:
    charts = ["", chart("one"), "", chart("two")]
    first, second = inner(chart_figure(charts, title="A figure", columns=2))
    assert first.attrib["y"] == second.attrib["y"]


def test_every_series_has_a_colour_in_both_modes_and_all_but_the_first_are_dashed() -> None:
    style = ElementTree.fromstring(chart_figure([chart("one", 6)], title="A figure")).findtext(
        f"{SVG}style"
    )
    assert style is not None
    for number in range(6):
        assert style.count(f".charts .series{number} {{ stroke: #") == 2, "by light and by dark"
        assert (f".charts .line.series{number} {{ stroke-dasharray" in style) == (number > 0)


def test_what_is_no_chart_is_refused() -> None:
    with pytest.raises(ValueError, match="A chart begins with its `viewBox`"):
        chart_figure(["<svg></svg>"], title="A figure")


def test_a_title_stays_narrow_in_a_wide_figure() -> None:
    title = "a title of words " * 8
    figure = ElementTree.fromstring(chart_figure([chart("1"), chart("2")], title=title, columns=2))
    lines = [t.text or "" for t in figure.findall(f"{SVG}text") if t.attrib["class"] == "title"]
    assert float(figure.attrib["width"]) > 800
    assert len(lines) > 1
    assert all(text_width(line, 16) <= 600 for line in lines)
