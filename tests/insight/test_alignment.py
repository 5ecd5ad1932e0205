import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from tiny_translator import SOURCES, TARGETS

from seq2seq.config import ConfigurationError
from seq2seq.insight.alignment import (
    CELL,
    Alignment,
    draw_alignment,
    find_alignment,
    find_given_alignment,
)
from seq2seq.translation import Translation
from seq2seq.translator import Translator

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def alignment() -> Alignment:
    weights = [[0.7, 0.2, 0.1], [0.0, 0.25, 0.75]]
    return Alignment(["▁나는", "▁<고양이>", "</s>"], ["▁I", "</s>"], weights)


def cells_of(
    alignment: Alignment, cell: int = CELL, told_from: float = 0.005
) -> list[ElementTree.Element]:
    drawn = draw_alignment(alignment, "a title", cell=cell, told_from=told_from)
    figure = ElementTree.fromstring(drawn)
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
    with pytest.raises(ConfigurationError, match=r"`model\.attention` none has no alignment"):
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
    figure = ElementTree.fromstring(draw_alignment(faint, "a title", cell=20, told_from=0.1))
    (path,) = figure.iter(f"{SVG}path")
    assert path.attrib["fill-opacity"] == "0.07"
    assert len(cells_of(faint, 20)) == 3, "0.004 shows as nothing"
    (cell,) = cells_of(faint, 20, told_from=0.1)
    x, y = float(cell.attrib["x"]), cell.attrib["y"]
    assert path.attrib["d"] == f"M{x + 20:g} {y}h20v20h-20zM{x + 40:g} {y}h20v20h-20z"


def test_a_large_and_vague_alignment_makes_a_small_figure() -> None:
    vague = Alignment(["piece"] * 60, ["piece"] * 60, [[1 / 60] * 60] * 60)
    assert len(draw_alignment(vague, "a title", told_from=0.1)) < 120_000
    assert len(draw_alignment(vague, "a title")) > 300_000, "each cell tells its weight"


def test_the_style_of_a_figure_stays_within_it(alignment: Alignment) -> None:
    figure = ElementTree.fromstring(draw_alignment(alignment, "a title"))
    style = figure.findtext(f"{SVG}style") or ""
    selectors = re.findall(
        r"([^{}]+)\{", style.replace("@media (prefers-color-scheme: dark) {", "")
    )
    assert len(selectors) > 5
    assert all(selector.strip().startswith(".figure ") for selector in selectors)


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


@pytest.fixture(scope="module")
def translator(tiny_directory) -> Translator:
    return Translator.load(tiny_directory, precision="float32")


def test_weights_of_words_are_sums_over_source_pieces_and_means_over_target_pieces(
    translator: Translator,
) -> None:
    """Against a loop over all pieces, in float64."""
    translation = translator.translate(SOURCES[4], with_details=True)
    found = find_alignment(translation, "words")
    pieces = find_alignment(translation)
    assert found.source_pieces == tuple(SOURCES[4].split())
    assert list(found.target_pieces) == translation.text.split()

    def words(pieces):
        number, numbers = -1, []
        for piece in pieces:
            number += piece.startswith("▁")
            numbers.append(None if piece == "</s>" else number)
        return numbers

    sources, targets = words(pieces.source_pieces), words(pieces.target_pieces)
    assert sources.count(None) == targets.count(None) == 1
    assert len(pieces.source_pieces) > len(found.source_pieces) + 1
    for row, weights in enumerate(found.weights):
        own = [index for index, word in enumerate(targets) if word == row]
        for column, weight in enumerate(weights):
            total = 0.0
            for target in own:
                for source, word in enumerate(sources):
                    if word == column:
                        total += pieces.weights[target][source]
            assert weight == pytest.approx(total / len(own), abs=1e-6)


@pytest.mark.parametrize("units", ["pieces", "words"])
def test_the_attention_of_its_own_translation_is_that_of_the_search(
    translator: Translator, units
) -> None:
    translation = translator.translate(SOURCES[5], with_details=True)
    own = find_alignment(translation, units)
    given = find_given_alignment(translator, SOURCES[5], translation.text, units)
    assert list(given.source_pieces) == list(own.source_pieces)
    assert list(given.target_pieces) == list(own.target_pieces)
    for ours, theirs in zip(given.weights, own.weights, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_a_given_translation_has_its_own_attention(translator: Translator) -> None:
    given = find_given_alignment(translator, SOURCES[0], f"  {TARGETS[7]} ", heading="given")
    assert "".join(given.target_pieces).replace("▁", " ").strip() == f"{TARGETS[7]}</s>"
    assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in given.weights)
    own = find_alignment(translator.translate(SOURCES[0]), heading="own")
    drawn = draw_alignment(own, "a title", given=given)
    headings = re.findall(r'class="label" [^>]*>([^<]*)<', drawn)
    assert headings == ["own", "given"]
    assert drawn.count('class="frame"/><g') + drawn.count("output pieces") == 2


def test_two_heat_maps_stand_side_by_side_while_there_is_room(alignment: Alignment) -> None:
    def size(num_columns: int) -> tuple[float, float]:
        wide = Alignment(["a"] * num_columns, ["b"], [[1 / num_columns] * num_columns])
        figure = ElementTree.fromstring(draw_alignment(wide, "a title", given=wide))
        return float(figure.attrib["width"]), float(figure.attrib["height"])

    beside, below = size(5), size(15)
    assert beside[0] < 900
    assert below[0] < 900
    assert below[1] > beside[1] + CELL


def test_units_that_there_are_not_and_models_without_attention_are_refused(
    translator: Translator, member_directory
) -> None:
    translation = translator.translate(SOURCES[0], with_details=True)
    with pytest.raises(ConfigurationError, match="`units` must be one of pieces, words, but is"):
        find_alignment(translation, "letters")
    without = Translator.load(member_directory, precision="float32")
    with pytest.raises(ConfigurationError, match=r"`model\.attention` none has no alignment"):
        find_given_alignment(without, SOURCES[0], TARGETS[0])


def test_words_come_with_a_word_on_what_is_left_out(alignment: Alignment) -> None:
    words = Alignment(["나는", "고양이"], ["I"], [[0.3, 0.4]], "words")
    drawn = draw_alignment(words, "a title")
    assert "source words" in drawn
    assert "output words" in drawn
    assert "&lt;/s&gt; is left out" in drawn
    assert "left out" not in draw_alignment(alignment, "a title")


def test_the_legend_fits_beside_long_pieces() -> None:
    few = Alignment(["a"], ["▁a piece of many letters"], [[1.0]])
    figure = ElementTree.fromstring(draw_alignment(few, "a title"))
    ends = [
        float(one.attrib["x"]) + float(one.attrib["width"])
        for one in figure.iter(f"{SVG}rect")
        if one.attrib["class"] == "frame"
    ]
    assert len(ends) == 6, "the heat map and five steps of the legend"
    assert max(ends) <= float(figure.attrib["width"]) - 16


def test_marks_in_pieces_are_explained_where_there_are_any(alignment: Alignment) -> None:
    assert "▁ begins a word; &lt;/s&gt; is the end." in draw_alignment(alignment, "a title")
    plain = Alignment(["a"], ["bc"], [[1.0]])
    assert "begins a word" not in draw_alignment(plain, "a title")
    ended = draw_alignment(plain, "a title", given=Alignment(["a"], ["bc", "</s>"], [[1.0]] * 2))
    assert "&gt; is the end." in ended
    assert "begins a word" not in ended
