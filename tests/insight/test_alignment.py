import xml.etree.ElementTree as ElementTree

import pytest
import torch

from seq2seq.insight.alignment import Alignment, draw_alignment, find_alignment
from seq2seq.translator import Translation

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def alignment() -> Alignment:
    weights = [[0.7, 0.2, 0.1], [0.0, 0.25, 0.75]]
    return Alignment(["▁나는", "▁<고양이>", "</s>"], ["▁I", "</s>"], weights)


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


def test_the_depth_of_each_cell_is_its_weight(alignment: Alignment) -> None:
    figure = ElementTree.fromstring(draw_alignment(alignment, "a title"))
    cells = [cell for cell in figure.iter(f"{SVG}rect") if cell.find(f"{SVG}title") is not None]
    depths = [float(cell.attrib["fill-opacity"]) for cell in cells]
    assert depths == [0.7, 0.2, 0.1, 0.0, 0.25, 0.75]
    assert cells[5].findtext(f"{SVG}title") == "</s> ← </s>: 0.750"
    # Columns stand side by side, rows one below the other.
    places = [(float(cell.attrib["x"]), float(cell.attrib["y"])) for cell in cells]
    assert len(set(places)) == 6
    assert places[0][0] < places[1][0] and places[0][1] == places[1][1] < places[3][1]


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
