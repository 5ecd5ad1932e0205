import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny_translator import train_tiny

from seq2seq.cli import main
from seq2seq.config import ConfigurationError, Recipe
from seq2seq.data.corpus import Pairs
from seq2seq.insight.gates import Gates, draw_gates, find_gates
from seq2seq.insight.recording import LayerRecording, Recording

SVG = "{http://www.w3.org/2000/svg}"
PIECES = ["▁나는", "▁<가>", "다", ".", "</s>"]


def recording(
    seed: int = 1, pieces: Sequence[str] = PIECES, hidden_size: int = 7, name: str = "layer 1"
) -> Recording:
    """Gates that are often saturated."""
    generator = torch.Generator().manual_seed(seed)
    shape = len(pieces), hidden_size
    gates = {
        gate: torch.sigmoid(4 * torch.randn(shape, generator=generator))
        for gate in ("reset", "update")
    }
    return Recording({name: LayerRecording(pieces, torch.zeros(shape), None, gates)})


def drawn(gates: Gates, layers: Sequence[str] = ("layer 1",)) -> ElementTree.Element:
    return ElementTree.fromstring(draw_gates(gates, layers, "a <title>"))


def heat(figure: ElementTree.Element, number: int) -> dict[tuple[float, float], float]:
    """Depth by place of each row and column of a heat map, from its strokes; 0 is not drawn."""
    group = [g for g in figure.iter(f"{SVG}g") if g.attrib.get("class") == "heat"][number]
    cells = {}
    for path in group:
        depth = float(path.attrib["stroke-opacity"])
        column = 48
        for x, y, width in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)", path.attrib["d"]):
            for step in range(int(width) // column):
                cells[float(y), float(x) + step * column] = depth
    return cells


def test_saturation_is_counted_step_by_step() -> None:
    shown, others = recording(), [recording(2), recording(3, ["▁a", "b", "</s>"])]
    gates = find_gates(shown, iter(others)).layers["layer 1"]
    assert gates.num_steps == 8
    for name, gate in gates.gates.items():
        assert torch.equal(gate.values, shown.layers["layer 1"].gates[name])
        for unit in range(7):
            values = [
                step[unit].item()
                for other in others
                for step in other.layers["layer 1"].gates[name]
            ]
            assert gate.closed[unit].item() == pytest.approx(sum(v < 0.1 for v in values) / 8)
            assert gate.open[unit].item() == pytest.approx(sum(v > 0.9 for v in values) / 8)


def test_the_sentence_itself_is_counted_where_there_are_no_others() -> None:
    alone, given = find_gates(recording()), find_gates(recording(), [recording()])
    for name, gate in alone.layers["layer 1"].gates.items():
        assert torch.equal(gate.closed, given.layers["layer 1"].gates[name].closed)
        assert gate.open.sum() > 0


def test_a_network_without_gates_has_nothing_to_draw() -> None:
    layer = LayerRecording(PIECES, torch.zeros(5, 7), None, {})
    with pytest.raises(ConfigurationError, match="a tanh RNN has no gates to draw"):
        find_gates(Recording({"layer 1": layer}))


def test_the_depth_of_each_cell_is_the_gate_of_unit_and_piece() -> None:
    gates = find_gates(recording())
    figure = drawn(gates)
    for number, gate in enumerate(gates.layers["layer 1"].gates.values()):
        order = gate.values.mean(0).argsort(descending=True)
        expected = gate.values[:, order].T  # [units, pieces]
        cells = heat(figure, number)
        rows = sorted({y for y, _ in cells})
        columns = sorted({x for _, x in cells})
        assert (len(rows), len(columns)) == (7 + 1, 5)
        for row, y in enumerate(rows[:-1]):
            for column, x in enumerate(columns):
                depth = cells.get((y, x), 0.0)
                assert depth == pytest.approx(expected[row, column].item(), abs=1 / 32 + 0.01)
        for column, x in enumerate(columns):
            mean = gate.values[column].mean().item()
            assert cells[rows[-1], x] == pytest.approx(mean, abs=1 / 32 + 0.01)


def test_of_many_units_as_many_are_drawn_as_can_be_seen() -> None:
    gates = find_gates(recording(hidden_size=300))
    figure = drawn(gates)
    assert len({y for y, _ in heat(figure, 0)}) == 64 + 1
    texts = [element.text for element in figure.iter(f"{SVG}text")]
    assert "layer 1: 300 units, 64 of them shown" in texts
    few = [element.text for element in drawn(find_gates(recording())).iter(f"{SVG}text")]
    assert "layer 1: 7 units" in few


def test_notes_and_a_single_step_are_said() -> None:
    gates = find_gates(recording(pieces=["</s>"]))
    figure = ElementTree.fromstring(draw_gates(gates, ["layer 1"], "Title", notes=["One.", "Two."]))
    texts = [element.text for element in figure.iter(f"{SVG}text")]
    assert "over 1 step" in texts
    saturation = texts.index("Saturation is counted over this sentence.")
    assert texts[:saturation] == ["Title", "One.", "Two."]


def test_pieces_tell_their_gates_on_hover() -> None:
    gates = find_gates(recording())
    titles = [element.text or "" for element in drawn(gates).iter(f"{SVG}title")]
    values = gates.layers["layer 1"].gates["update"].values[1]
    low, middle, high = (values.sort().values[i].item() for i in (1, 3, 5))
    (told,) = [title for title in titles if title.startswith("▁<가>: update gate")]
    assert f"mean {values.mean():.2f}, median {middle:.2f}" in told
    quarter = (values.sort().values[1] + values.sort().values[2]).item() / 2
    assert f"middle half {quarter:.2f}" in told
    assert low <= quarter <= high


def test_every_unit_is_a_dot_of_its_scatter_or_part_of_one() -> None:
    gates = find_gates(recording(hidden_size=300))
    titles = [c.findtext(f"{SVG}title") or "" for c in drawn(gates).iter(f"{SVG}circle")]
    numbers = [int(re.match(r"(\d+) units?: below 0.1 in", title)[1]) for title in titles]  # type: ignore[index]
    assert sum(numbers) == 2 * 300


def test_nothing_is_drawn_outside_the_picture() -> None:
    two = Recording(
        {
            **recording(name="encoder layer 1 forward", pieces=["▁piece"] * 40).layers,
            **recording(name="decoder layer 1").layers,
        }
    )
    figure = drawn(find_gates(two), ["encoder layer 1 forward", "decoder layer 1"])
    width, height = float(figure.attrib["width"]), float(figure.attrib["height"])
    places = [e for e in figure.iter() if "x" in e.attrib and e.attrib["x"] != "0"]
    assert len(places) > 80
    for element in places:
        assert 0 <= float(element.attrib["x"]) + float(element.attrib.get("width", 0)) <= width
        assert 0 <= float(element.attrib["y"]) + float(element.attrib.get("height", 0)) <= height
    assert [e.text for e in figure.iter(f"{SVG}text")].count("written") == 1


def test_pieces_lie_on_their_side_unless_they_are_letters() -> None:
    for pieces, turned in ((["▁", "a", "</s>"], 0), (["▁ab", "a", "</s>"], 3)):
        figure = drawn(find_gates(recording(pieces=pieces)))
        groups = [g for g in figure.iter(f"{SVG}g") if "rotate" in g.attrib.get("transform", "")]
        labels = [g.findtext(f"{SVG}text") for g in groups]
        assert sum(label in pieces for label in labels) == turned
    upright = drawn(find_gates(recording(pieces=["▁", "a", "</s>"])))
    assert {"▁", "a", "↵"} <= {text.text for text in upright.iter(f"{SVG}text")}


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="`layers` must be one of layer 1, but is 'layer 2'"
    ):
        drawn(find_gates(recording()), ["layer 2"])


def test_the_command_counts_over_a_file_and_draws_the_layers_it_is_asked_for(
    member_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, output = tmp_path / "text.de", tmp_path / "gates.svg"
    text.write_text("ein Hund schläft .\nder Mann isst Brot .\n")
    argv = ["gates", member_directory, "ein Hund rennt im Park .", "--text", text]
    options = ["--layers", "decoder layer 1", "--output", output]
    assert main(["picture", *map(str, argv), *map(str, options)]) == 0
    assert capsys.readouterr().out == f"picture: {output}\n"
    texts = [e.text or "" for e in ElementTree.parse(output).iter(f"{SVG}text")]
    assert "Saturation is counted over 2 lines of text.de and their translations." in texts
    assert {"input gate", "forget gate", "output gate", "▁park"} & {t.lower() for t in texts}
    assert not any(text.startswith("encoder layer") for text in texts)


def test_a_command_about_a_network_without_gates_ends_in_a_sentence(
    tiny_recipe: Recipe,
    known_pairs: Pairs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = dataclasses.replace(tiny_recipe.model, cell="rnn")
    recipe = dataclasses.replace(tiny_recipe, model=model)
    train_tiny(recipe, known_pairs, tmp_path / "rnn", num_steps=1)
    assert main(["picture", "gates", str(tmp_path / "rnn"), "ein Hund"]) == 2
    assert "a tanh RNN has no gates to draw" in capsys.readouterr().err


def test_a_layer_that_is_none_is_told_with_those_that_there_are(
    tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["picture", "gates", str(tiny_directory), "ein Hund", "--layers", "layer 3"]
    assert main(argv) == 2
    assert "must be one of encoder layer 1 forward, encoder" in capsys.readouterr().err


def test_it_is_said_which_units_are_rows_and_what_is_meant_by_the_mean() -> None:
    def said(hidden_size: int) -> str:
        figure = drawn(find_gates(recording(hidden_size=hidden_size)))
        labels = [t for t in figure.iter(f"{SVG}text") if t.attrib["class"] == "label"]
        return " ".join(label.text or "" for label in labels)

    assert "Rows are 64 units at even distances in the order of their means; " in said(300)
    assert "the mean row is of all units." in said(300)
    assert "Rows are all units in the order of their means; " in said(64)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (PIECES, "▁ begins a word; </s> is the end."),
        (["▁", "a", "</s>"], "▁ is a space; ↵ is the end."),
        (["ab", "c"], None),
    ],
    ids=["words", "letters", "neither"],
)
def test_marks_in_pieces_are_explained(pieces: Sequence[str], expected: str | None) -> None:
    texts = [text.text or "" for text in drawn(find_gates(recording(pieces=pieces))).iter()]
    assert [text for text in texts if text.endswith("is the end.")] == (
        [] if expected is None else [expected]
    )
