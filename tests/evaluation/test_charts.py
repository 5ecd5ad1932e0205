import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.evaluation.charts import (
    HEIGHT,
    MAX_POINTS,
    WIDTH,
    Interval,
    Series,
    bar_chart,
    interval_chart,
    line_chart,
)
from seq2seq.evaluation.scales import ticks_of

LABELS = {"title": "a title", "x_label": "steps", "y_label": "nats"}


def texts(figure: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in figure.iter("text")]


def of_class(figure: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in figure.iter() if name in one.attrib.get("class", "").split()]


def places(line: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_a_line_chart_has_title_axes_ticks_and_a_legend_of_its_series() -> None:
    series = [Series("<one>", [(0, 1.0), (10, 3.0)]), Series("two", [(0, 2.0), (10, 5.0)])]
    found = texts(ElementTree.fromstring(line_chart(series, **LABELS)))
    assert {"a title", "steps", "nats", "<one>", "two", "0", "10", "1", "5"} <= set(found)


def test_higher_values_stand_higher_and_later_ones_further_right() -> None:
    figure = ElementTree.fromstring(line_chart([Series("a", [(0, 1), (5, 3), (10, 2)])], **LABELS))
    (line,) = of_class(figure, "line")
    (x1, y1), (x2, y2), (x3, y3) = places(line)
    assert x1 < x2 < x3 and x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y2 < y3 < y1 and y1 - y3 == pytest.approx(y3 - y2, abs=0.2)


def test_a_value_stands_at_its_tick() -> None:
    figure = ElementTree.fromstring(line_chart([Series("a", [(0, 20), (1, 40)])], **LABELS))
    (line,) = of_class(figure, "line")
    ticks = {one.text: float(one.attrib["y"]) - 4 for one in of_class(figure, "tick")}
    grid = {float(one.attrib["y1"]) for one in of_class(figure, "grid")}
    for (_, y), value in zip(places(line), ("20", "40"), strict=True):
        assert y == pytest.approx(ticks[value], abs=0.2)
        assert y in grid


def test_a_long_series_is_thinned_to_means_in_a_band_of_extremes() -> None:
    points = [(float(step), float(step % 2)) for step in range(10 * MAX_POINTS)]
    figure = ElementTree.fromstring(line_chart([Series("a", points)], **LABELS))
    (line,) = figure.iter("polyline")
    (band,) = of_class(figure, "band")
    heights = {y for _, y in places(line)}
    assert len(places(line)) == MAX_POINTS
    assert len(heights) == 1, "the mean of each ten is a half"
    assert len({y for _, y in places(band)}) == 2
    assert min(y for _, y in places(band)) < heights.pop() < max(y for _, y in places(band))
    assert any("lowest to highest" in text for text in texts(figure))


def test_several_series_differ_in_colour_dash_and_marker() -> None:
    series = [Series(name, [(0, 1), (1, 2)]) for name in "abcdef"]
    figure = ElementTree.fromstring(line_chart(series, **LABELS))
    styles = [line.attrib["class"] for line in figure.iter("polyline")]
    assert styles == [f"line series{index}" for index in range(6)]
    shapes = [
        (one.tag, one.attrib.get("d"), one.attrib.get("width"))
        for one in of_class(figure, "marker")
    ]
    assert len(set(shapes)) == 6
    assert len(shapes) == 6 + 12, "one in the legend, two on each line"


def test_names_stand_for_places_where_they_are_given() -> None:
    series = [Series("a", [(0, 1), (1, 2)]), Series("b", [(1, 3), (2, 1)])]
    figure = ElementTree.fromstring(
        line_chart(series, **LABELS, categories=["1-5", "6-10", "11-15"])
    )
    x = {one.text: float(one.attrib["x"]) for one in of_class(figure, "tick")}
    first, second = figure.iter("polyline")
    assert [place for place, _ in places(first)] == [x["1-5"], x["6-10"]]
    assert [place for place, _ in places(second)] == [x["6-10"], x["11-15"]]


def test_a_series_without_points_is_left_out_and_the_others_keep_their_colours() -> None:
    series = [Series("empty", []), Series("full", [(0, 1), (1, 2)])]
    figure = ElementTree.fromstring(line_chart(series, **LABELS))
    (line,) = figure.iter("polyline")
    assert line.attrib["class"] == "line series1"
    assert "full" in texts(figure)
    assert "empty" not in texts(figure)


def test_nothing_to_draw_is_nothing() -> None:
    assert line_chart([Series("a", [(1, float("nan")), (2, float("inf"))])], **LABELS) == ""
    assert bar_chart([], [("a", [])], **LABELS) == ""
    assert interval_chart([], title="a", x_label="b") == ""


def test_bars_are_as_high_as_their_values_and_say_them() -> None:
    drawn = bar_chart(
        ["1-5", "<6>"], [("BLEU", [20.0, 40.0]), ("chrF2", [60.0, 0.0])], **LABELS, notes=["7", "9"]
    )
    figure = ElementTree.fromstring(drawn)
    bars = [one for one in figure.iter("rect") if one.find("title") is not None]
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert heights[2] == pytest.approx(3 * heights[0], abs=0.2)
    assert heights[3] == 0
    assert bars[1].findtext("title") == "BLEU, <6>: 40.0"
    small = bar_chart(["a", "b", "c"], [("BLEU", [4.5, 0.0, 9.96])], **LABELS)
    values = [one.text for one in of_class(ElementTree.fromstring(small), "value")]
    assert values == ["4.5", "0", "10.0"]
    assert {"1-5", "<6>", "7", "9", "20", "40", "60", "BLEU", "chrF2"} <= set(texts(figure))


def test_whiskers_reach_from_low_to_high_around_the_value() -> None:
    rows = [
        Interval("a", 41.0, 40.0, 43.0),
        Interval("unknown", None, None, None),
        Interval("b", 30.0, None, None),
    ]
    figure = ElementTree.fromstring(interval_chart(rows, title="BLEU", x_label="points"))
    (whisker,) = of_class(figure, "whisker")
    ends = [float(whisker.attrib[name]) for name in ("x1", "x2")]
    first, second = (
        float(one.attrib["transform"].split("(")[1].split()[0])
        for one in of_class(figure, "marker")
    )
    assert first - ends[0] == pytest.approx((ends[1] - ends[0]) / 3, abs=0.3)
    assert second < ends[0]
    assert {"a", "b", "BLEU", "points"} <= set(texts(figure))
    assert "unknown" not in texts(figure)
    styles = [one.attrib["class"] for one in of_class(figure, "marker")]
    assert styles == ["marker series0", "marker series2"]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=30))
def test_no_log_breaks_a_chart_or_leaves_its_frame(points: list[tuple[float, float]]) -> None:
    drawn = line_chart([Series("a", sorted(points)), Series("b", [(0, 1)])], **LABELS)
    for line in ElementTree.fromstring(drawn).iter("polyline"):
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT + 18 for x, y in places(line))


def test_equal_ratios_are_equally_far_apart_on_logarithmic_axes() -> None:
    points = [(1, 1e-6), (10, 1e-3), (100, 1.0)]
    drawn = line_chart([Series("a", points)], **LABELS, log_x=True, log_y=True)
    figure = ElementTree.fromstring(drawn)
    ((x1, y1), (x2, y2), (x3, y3)) = places(of_class(figure, "line")[0])
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2) and y3 < y1
    ticks = {one.text: float(one.attrib["y"]) - 4 for one in of_class(figure, "tick")}
    assert {"10⁻⁶", "0.001", "1"} <= set(ticks)
    assert y1 == pytest.approx(ticks["10⁻⁶"], abs=0.2)
    assert of_class(figure, "marker")[0].findtext("title") == "a, 1: 1e-06"


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.floats(1e-90, 1e90), min_size=1, max_size=5))
def test_logarithmic_axes_enclose_their_values_with_few_numbers(values: list[float]) -> None:
    ticks = ticks_of(min(values), max(values), is_log=True)
    assert ticks[0] <= min(values) * (1 + 1e-6) and max(values) <= ticks[-1] * (1 + 1e-6)
    assert 2 <= len(ticks) <= 10
    assert ticks == sorted(set(ticks))


def test_what_a_logarithm_does_not_have_is_left_out() -> None:
    points = [(1, 0.0), (2, -1.0), (0, 5.0), (3, 4.0), (4, 2.0)]
    drawn = line_chart([Series("a", points)], **LABELS, log_x=True, log_y=True)
    (line,) = of_class(ElementTree.fromstring(drawn), "line")
    assert len(places(line)) == 2


def test_each_series_has_the_band_that_it_brings() -> None:
    series = [
        Series("a", [(10, 1), (20, 1)], band=[(10, 0, 4), (20, 0, 2)]),
        Series("b", [(10, 3), (20, 3)]),
        Series("c", [(10, 2), (20, 2)], band=[(10, 1, 3), (20, 1, 3)]),
    ]
    figure = ElementTree.fromstring(line_chart(series, **LABELS))
    bands = of_class(figure, "band")
    assert [one.attrib["class"] for one in bands] == ["band series0", "band series2"]
    ticks = {one.text: float(one.attrib["y"]) - 4 for one in of_class(figure, "tick")}
    expected = sorted(ticks[value] for value in "4200")
    assert sorted(y for _, y in places(bands[0])) == pytest.approx(expected, abs=0.2)


def test_dashes_can_tell_groups_and_colours_the_members() -> None:
    series = [
        Series("a, before", [(0, 1), (1, 2)], style=3, dashed=True),
        Series("a, after", [(0, 2), (1, 3)], style=3, dashed=False),
    ]
    figure = ElementTree.fromstring(line_chart(series, **LABELS))
    classes = [line.attrib["class"] for line in figure.iter("polyline")]
    assert classes == ["line series3 dashed", "line series3 full"]
    keys = [one.attrib["class"] for one in figure.iter("line") if "series3" in one.attrib["class"]]
    assert keys == classes, "the legend shows them alike"


def test_limits_make_charts_comparable_and_cut_off_what_is_beyond() -> None:
    charts = [
        ElementTree.fromstring(
            line_chart([Series("a", points)], **LABELS, log_y=True, y_limits=(1e-4, 10))
        )
        for points in ([(0, 1.0), (1, 1e-9)], [(0, 0.1), (1, 0.2)])
    ]
    ticks = [[one.text for one in of_class(chart, "tick")] for chart in charts]
    assert {"10⁻⁴", "10"} <= set(ticks[0]) & set(ticks[1])
    assert len(places(of_class(charts[0], "line")[0])) == 1


def test_logarithmic_axes_say_that_they_are() -> None:
    def axes(*, log_x: bool, log_y: bool) -> list[str]:
        drawn = line_chart([Series("a", [(1, 1), (9, 9)])], **LABELS, log_x=log_x, log_y=log_y)
        return [one.text or "" for one in of_class(ElementTree.fromstring(drawn), "axis")]

    assert axes(log_x=False, log_y=False) == ["nats", "steps"]
    assert axes(log_x=True, log_y=False) == ["nats", "steps, log scale"]
    assert axes(log_x=False, log_y=True) == ["nats, log scale", "steps"]
