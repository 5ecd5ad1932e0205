import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from seq2seq.insight.alignment import CELL, Alignment, draw_alignment, find_alignment
from seq2seq.translation import Translation

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def alignment() -> Alignment:
    weights = [[0.7, 0.2, 0.1], [0.0, 0.25, 0.75]]
    return Alignment(["▁나는", "▁<고양이>", "</s>"], ["▁I", "</s>"], weights)


def cells_of(alignment: Alignment, cell: int = CELL) -> list[ElementTree.Element]:
    figure = ElementTree.fromstring(draw_alignment(alignment, "a title", cell=cell))
    return [one for one in figure.iter(f"{SVG}rect") if one.find(f"{SVG}title") is not None]


def test_the_alignment_is_that_of_the_search() -> None:
    weights = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    translation = Translation(
        text="I",
        score=-1.0,
        log_probability=-1.0,
        pieces=["▁I", "</s>"],
        source_pieces=["▁나", "는", "</s>"],
        alignment=weights,
    )
    found = find_alignment(translation)
    assert found.weights == weights.tolist()
    assert (found.source_pieces, found.target_pieces) == (["▁나", "는", "</s>"], ["▁I", "</s>"])


def test_a_model_without_attention_has_nothing_to_show() -> None:
    translation = Translation("I", -1.0, -1.0, ["▁I", "</s>"], ["▁나", "</s>"])
    with pytest.raises(ValueError, match=r"`model\.attention` none has no alignment"):
        find_alignment(translation)


def test_the_figure_has_title_axes_legend_and_every_piece(alignment: Alignment) -> None:
    figure = ElementTree.fromstring(draw_alignment(alignment, "나는 <고양이> & I"))
    texts = [element.text for element in figure.iter(f"{SVG}text")]
    assert texts[0] == "나는 <고양이> & I"
    for expected in ("source pieces", "output pieces", "weight", "0", "1", "▁<고양이>", "▁I"):
        assert expected in texts


def test_pieces_name_their_language(alignment: Alignment) -> None:
    drawn = draw_alignment(alignment, "a title", languages=("ko", "ja"))
    groups = [g for g in ElementTree.fromstring(drawn).iter(f"{SVG}g") if "lang" in g.attrib]
    pieces = {g.attrib["lang"]: [text.text for text in g.iter(f"{SVG}text")] for g in groups}
    assert pieces == {"ko": alignment.source_pieces, "ja": alignment.target_pieces}
    assert "lang=" not in draw_alignment(alignment, "a title")


def test_a_page_may_shrink_a_figure_while_its_letters_can_be_read(alignment: Alignment) -> None:
    figure = ElementTree.fromstring(draw_alignment(alignment, "a title"))
    (smallest,) = re.findall(r"min-width: (\d+)px", figure.attrib["style"])
    assert 10 <= 15 * int(smallest) / float(figure.attrib["width"]) < 12, "pixels of a letter"


def test_the_depth_of_each_cell_is_its_weight(alignment: Alignment) -> None:
    depths = [float(cell.attrib["fill-opacity"]) for cell in cells_of(alignment)]
    assert depths == [0.7, 0.2, 0.1, 0.25, 0.75]
    assert cells_of(alignment)[4].findtext(f"{SVG}title") == "</s> ← </s>: 0.750"


def test_columns_stand_side_by_side_and_rows_one_below_the_other(alignment: Alignment) -> None:
    for cell in (36, 20):
        places = [
            (float(one.attrib["x"]), float(one.attrib["y"])) for one in cells_of(alignment, cell)
        ]
        (x, y), second, third, below, _ = places
        assert (second, third) == ((x + cell, y), (x + 2 * cell, y))
        assert below == (x + cell, y + cell)


def test_faint_cells_share_a_path_for_each_depth() -> None:
    faint = Alignment(["a", "b", "c", "d"], ["e"], [[0.85, 0.074, 0.071, 0.004]])
    figure = ElementTree.fromstring(draw_alignment(faint, "a title", cell=20))
    (path,) = figure.iter(f"{SVG}path")
    assert path.attrib["fill-opacity"] == "0.07"
    (cell,) = cells_of(faint, 20)
    x, y = int(cell.attrib["x"]), cell.attrib["y"]
    assert path.attrib["d"] == f"M{x + 20} {y}h20v20h-20zM{x + 40} {y}h20v20h-20z"


def test_a_large_and_vague_alignment_makes_a_small_figure() -> None:
    vague = Alignment(["piece"] * 60, ["piece"] * 60, [[1 / 60] * 60] * 60)
    assert len(draw_alignment(vague, "a title")) < 120_000


def test_the_style_of_a_figure_stays_within_it(alignment: Alignment) -> None:
    figure = ElementTree.fromstring(draw_alignment(alignment, "a title"))
    style = figure.findtext(f"{SVG}style") or ""
    selectors = re.findall(
        r"([^{}]+)\{", style.replace("@media (prefers-color-scheme: dark) {", "")
    )
    assert len(selectors) > 5
    assert all(selector.strip().startswith(".alignment ") for selector in selectors)


def test_nothing_is_drawn_outside_the_picture(alignment: Alignment) -> None:
    figure = ElementTree.fromstring(draw_alignment(alignment, "a title " * 20))
    width, height = float(figure.attrib["width"]), float(figure.attrib["height"])
    for element in figure.iter():
        if "x" in element.attrib:
            assert 0 <= float(element.attrib["x"]) <= width
            assert 0 <= float(element.attrib["y"]) <= height


def test_a_long_title_is_broken_into_lines_that_fit(alignment: Alignment) -> None:
    figure = ElementTree.fromstring(
        draw_alignment(alignment, "그들은 강에서 낚시했다. → They fished")
    )
    title = [e.text or "" for e in figure.iter(f"{SVG}text") if e.attrib["class"] == "title"]
    assert " ".join(title) == "그들은 강에서 낚시했다. → They fished"
    assert len(title) > 1
    assert all(8 * len(line) <= float(figure.attrib["width"]) for line in title)
