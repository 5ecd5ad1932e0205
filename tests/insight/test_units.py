import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.cli import main
from seq2seq.commands.pictures_of_states import unit
from seq2seq.config import ConfigurationError
from seq2seq.data.running_text import checksum_of
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.insight.properties import PROPERTIES
from seq2seq.insight.recording import LayerRecording, Recording
from seq2seq.insight.units import (
    correlate,
    describe_search,
    draw_activations,
    find_activations,
    held_out_excerpt,
    liveliest_units,
    measure_pieces,
    search_units,
)
from seq2seq.language_config import LanguageNetworkConfig, LanguageRecipe, TextConfig
from seq2seq.language_model_directory import save_language_model
from seq2seq.models.language_model import LanguageNetwork

SVG = "{http://www.w3.org/2000/svg}"
LINES = ['say("yes", "no")', "x = 1", '  f("text of some length") + y', "", "z = (a + b)"]
FOLLOWER = 3  # of the five units, the one that follows what is quoted


def recording(num_lines: int = 60, memory: bool = True) -> Recording:
    """Letters as pieces; all units but one are noise, and without memory a layer below, too."""
    rng = np.random.default_rng(1)
    text = "".join(f"{LINES[i]}\n" for i in rng.integers(0, len(LINES), num_lines))
    pieces = ["</s>" if letter == "\n" else letter.replace(" ", "▁") for letter in text]
    pieces = [
        each
        for before, piece in zip(["</s>", *pieces], pieces, strict=False)
        for each in (["▁"] if before == "</s>" else []) + [piece]
    ]
    shape = len(pieces), 5
    noise = LayerRecording(pieces, torch.tensor(rng.normal(size=shape)).tanh(), None, {})
    states = torch.tensor(rng.normal(size=shape))
    truth = measure_pieces(noise.texts, "quotes")
    states[:, FOLLOWER] = torch.tensor(0.3 - truth) + 0.1 * states[:, FOLLOWER]
    layer = LayerRecording(pieces, states.tanh(), states if memory else None, {})
    return Recording({"layer 1": layer} if memory else {"layer 1": noise, "layer 2": layer})


def test_a_property_of_a_piece_is_that_of_its_last_letter() -> None:
    texts = ["", "ab", ' "c', "", "d", '"', "\n", "", "e", "\n"]
    by_letter = PROPERTIES["line_length"]("".join(texts))
    ends = [0, 2, 5, 5, 6, 7, 8, 8, 9, 10]
    expected = [by_letter[end - 1] if end else 0 for end in ends]
    assert measure_pieces(texts, "line_length").tolist() == expected
    assert measure_pieces(texts, "quotes").tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0]


@given(st.integers(0, 1000))
def test_correlation_is_that_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    states, truth = rng.normal(size=(20, 3)), rng.normal(size=20)
    expected = [np.corrcoef(column, truth)[0, 1] for column in states.T]
    np.testing.assert_allclose(correlate(states, truth), expected, atol=1e-12)


def test_a_unit_that_never_changes_follows_nothing() -> None:
    assert correlate(np.full((5, 2), 0.1), np.arange(5.0)).tolist() == [0, 0]


def test_the_search_finds_the_unit_that_follows_on_text_it_has_not_seen() -> None:
    found = recording()
    search = search_units(found, "quotes")
    best = search.found[0]
    assert (best.layer, best.unit, search.state) == ("layer 1", FOLLOWER, "memory")
    layer = found.layers["layer 1"]
    truth, states = measure_pieces(layer.texts, "quotes"), layer.memory_cells
    assert states is not None
    values, half = states.tanh().numpy()[:, FOLLOWER], search.num_searched
    assert half + search.num_held_out == len(truth)
    for correlation, part in ((best.correlation, slice(half)), (best.held_out, slice(half, None))):
        assert correlation == pytest.approx(np.corrcoef(values[part], truth[part])[0, 1])
        assert correlation < -0.9
    assert len(search.found) == 5
    strengths = [abs(unit.correlation) for unit in search.found]
    assert strengths == sorted(strengths, reverse=True)


def test_the_control_finds_little_where_the_search_finds_much() -> None:
    search = search_units(recording(), "quotes", num_controls=30)
    assert len(search.control) == 30
    assert max(abs(unit.held_out) for unit in search.control) < 0.5 < 0.9
    again = search_units(recording(), "quotes", num_controls=30)
    assert again == search
    other = search_units(recording(), "quotes", num_controls=30, seed=2)
    assert (other.found, other.control == search.control) == (search.found, False)


def test_a_search_among_noise_finds_no_more_than_its_control() -> None:
    noise = recording()
    layer = noise.layers["layer 1"]
    layer.hidden_states[:, FOLLOWER] = layer.hidden_states[:, 0].flip(0)
    search = search_units(noise, "quotes", state="hidden", num_controls=50)
    strongest = [abs(unit.correlation) for unit in search.control]
    assert np.quantile(strongest, 0.02) <= abs(search.found[0].correlation) <= max(strongest)


def test_one_layer_or_all_are_searched() -> None:
    both = recording(memory=False)
    assert len(search_units(both, "quotes").found) == 10
    assert search_units(both, "quotes").found[0].layer == "layer 2"
    assert {unit.layer for unit in search_units(both, "quotes", layers=["layer 1"]).found} == {
        "layer 1"
    }


def test_a_search_tells_what_it_found_beside_its_control() -> None:
    search = search_units(recording(), "quotes", num_controls=7)
    first, control = describe_search(search)
    assert "follows quotes best, of 5 units" in first
    assert f"r = {search.found[0].held_out:.2f}" in first
    assert "by a random distance, 7 times" in control
    assert f"up to {max(abs(unit.correlation) for unit in search.control):.2f}" in control


@pytest.mark.parametrize(
    ("property", "message"),
    [("quote", "`find` must be one of quotes"), ("politeness", "politeness is the same all")],
    ids=["unknown", "constant"],
)
def test_what_cannot_be_searched_for_is_refused(property: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        search_units(recording(), property)


def test_the_state_of_a_unit_is_shown_as_it_is_or_as_the_tanh_of_its_memory() -> None:
    layer = recording().layers["layer 1"]
    found = find_activations(recording(), "layer 1", 2)
    assert layer.memory_cells is not None
    assert found.values == layer.memory_cells[:, 2].tanh().tolist()
    hidden = find_activations(recording(), "layer 1", 2, "hidden")
    assert hidden.values == layer.hidden_states[:, 2].tolist()
    assert found.texts == layer.texts
    assert find_activations(recording(memory=False), "layer 1", 2).state == "hidden"


def test_units_and_states_that_are_not_there_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"`unit` must be in \[0, 5\) for layer 1, but"):
        find_activations(recording(), "layer 1", 5)
    with pytest.raises(ConfigurationError, match="`state` memory needs an LSTM; take hidden"):
        find_activations(recording(memory=False), "layer 1", 0, "memory")


def test_the_liveliest_units_vary_most() -> None:
    found = recording()
    layer = found.layers["layer 1"]
    assert layer.memory_cells is not None
    layer.memory_cells[:, 4] *= 3
    assert liveliest_units(found, "layer 1") == [4]
    variances = layer.memory_cells.tanh().var(0).argsort(descending=True).tolist()
    assert liveliest_units(found, "layer 1", n=5) == variances


def test_the_excerpt_begins_with_a_line_of_the_part_that_was_not_searched() -> None:
    found = recording()
    whole = find_activations(found, "layer 1", FOLLOWER)
    excerpt = held_out_excerpt(whole, "quotes", 60)
    size = len(excerpt.values)
    (begin,) = [
        i
        for i in range(len(whole.values))
        if list(whole.values[i : i + size]) == list(excerpt.values)
    ]
    assert begin >= len(whole.values) / 2
    assert whole.pieces[begin - 1] == excerpt.pieces[-1] == "</s>"
    assert "</s>" not in whole.pieces[begin + size : begin + 60]
    truth = measure_pieces(whole.texts, "quotes")
    assert excerpt.truth == truth[begin : begin + size].tolist()

    def changes(first: int) -> int:
        return sum(truth[i] != truth[i - 1] for i in range(first, first + 60))

    for other in range(len(truth) // 2 + 1, len(truth) - 59):
        if whole.pieces[other - 1] == "</s>":
            assert changes(other) <= changes(begin)


def test_the_figure_has_a_cell_for_each_piece_in_the_colour_of_its_sign() -> None:
    found = held_out_excerpt(find_activations(recording(), "layer 1", 1), "quotes", 80)
    figure = ElementTree.fromstring(draw_activations(found, "a <title>", ["a note"]))
    cells = [r for r in figure.iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    largest = max(map(abs, found.values))
    for cell, piece, value in zip(cells, found.pieces, found.values, strict=True):
        assert cell.attrib["class"] == ("negative" if value < 0 else "positive")
        depth = float(cell.attrib["fill-opacity"])
        assert depth == pytest.approx(0.65 * abs(value) / largest, abs=0.006)
        assert cell.findtext(f"{SVG}title") == f"{piece}: {value:.3f}"
    letters = [t.text for t in figure.iter(f"{SVG}text") if t.attrib["class"] == "letter"]
    assert letters == [
        "↵" if text == "\n" else text for text in found.texts if text == "\n" or text.strip()
    ]
    lines = [p for p in figure.iter(f"{SVG}path") if "stroke-opacity" in p.attrib]
    own, legend = lines[2:], lines[:2]
    assert [line.attrib["stroke-opacity"] for line in legend] == ["0.00", "1.00"]
    assert len(own) == sum(share > 0 for share in found.truth or [])
    texts = [text.text for text in figure.iter(f"{SVG}text")]
    assert {"a <title>", "a note", "tanh of the memory cell", "quotes"} <= set(texts)


def test_lines_of_text_stand_one_below_the_other_and_long_ones_are_broken() -> None:
    pieces = [*"ab", "</s>", "c", *"▁나" * 60, "</s>", "d"]
    layer = LayerRecording(pieces, torch.ones(len(pieces), 1), None, {})
    found = find_activations(Recording({"layer 1": layer}), "layer 1", 0)
    figure = ElementTree.fromstring(draw_activations(found, "a title"))
    cells = [r for r in figure.iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    tops = [float(cell.attrib["y"]) for cell in cells]
    assert tops[0] == tops[2] < tops[3] < tops[-2] < tops[-1]
    width = float(figure.attrib["width"])
    assert all(float(c.attrib["x"]) + float(c.attrib["width"]) <= width - 32 for c in cells)
    assert max(tops) + 26 < float(figure.attrib["height"])


def test_the_figure_is_written_where_nobody_reads_the_table(
    member_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    text, output = tmp_path / "text.de", tmp_path / "unit.svg"
    text.write_text("ein Hund schläft .\nder Mann isst Brot .\n" * 3)
    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError):
        unit(str(member_directory), text=str(text), find="position", output=str(output))
    assert ElementTree.parse(output).getroot().tag == f"{SVG}svg"


def test_the_command_searches_and_draws(
    member_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, output = tmp_path / "text.de", tmp_path / "unit.svg"
    text.write_text("ein Hund schläft .\nder Mann isst Brot .\n" * 3)
    argv = ["picture", "unit", str(member_directory), "--text", str(text), "--output", str(output)]
    assert main([*argv, "--find", "position", "--layer", "decoder layer 1"]) == 0
    heading, *table, last = capsys.readouterr().out.splitlines()
    assert heading == "layer\tunit\tcorrelation\theld out"
    assert len(table) == 10
    assert last == f"picture: {output}"
    best = table[0].split("\t")
    texts = [e.text or "" for e in ElementTree.parse(output).iter(f"{SVG}text")]
    assert texts[0] == f"Unit {best[1]} of decoder layer 1 of member over text.de"

    assert main([*argv, "--unit", "5"]) == 0
    texts = [e.text or "" for e in ElementTree.parse(output).iter(f"{SVG}text")]
    assert texts[0] == "Unit 5 of encoder layer 1 forward of member over text.de"
    capsys.readouterr()
    assert main([*argv, "--unit", "5", "--find", "quotes"]) == 2
    assert "give `--find` or `--unit`, not both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "`--text` must name a file of source sentences"),
        (["--text", "empty"], "empty is empty; give a file with text."),
        (["--text", "lines", "--find", "quote"], "`--find` must be one of quotes"),
        (["--text", "lines", "--layer", "layer 9"], "`--layer` must be one of encoder layer 1"),
        (["--text", "lines", "--unit", "-1"], "`--unit` must be in [0, 16) for encoder layer 1"),
        (["--text", "lines", "--shown", "0"], "`--shown` must be at least 1"),
    ],
    ids=["no text", "empty text", "find", "layer", "unit", "shown"],
)
def test_what_cannot_be_drawn_is_told_in_a_sentence(
    options: list[str],
    message: str,
    member_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").touch()
    Path("lines").write_text("ein Hund schläft .\n")
    assert main(["picture", "unit", str(member_directory), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_language_model_reads_its_development_text_unless_it_is_given_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, text, output = tmp_path / "model", tmp_path / "text.txt", tmp_path / "unit.svg"
    text.write_text("one\ntwo three\n" * 40)
    recipe = LanguageRecipe(
        text=TextConfig(train=str(text)),
        model=LanguageNetworkConfig("gru", embedding_size=6, hidden_size=9),
    )
    tokenizer = Tokenizer.train(text.read_text().splitlines(), recipe.tokenizer)
    network = LanguageNetwork(recipe.model, tokenizer.vocabulary_size)
    texts = {"dev": checksum_of(["one", "two three"] * 2)}  # a twentieth of the lines
    save_language_model(model, recipe, network.state_dict(), tokenizer, texts=texts)
    argv = ["picture", "unit", str(model), "--output", str(output)]
    assert main(argv) == 0
    assert capsys.readouterr().err == ""
    texts = [e.text or "" for e in ElementTree.parse(output).iter(f"{SVG}text")]
    assert texts[0].endswith("of layer 1 of model over its development text")
    assert "".join(texts).count("↵") == 4

    assert main([*argv, "--text", str(text), "--find", "line_length"]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("layer 1\t")
    texts = [e.text or "" for e in ElementTree.parse(output).iter(f"{SVG}text")]
    assert texts[0].endswith("of layer 1 of model over text.txt")

    text.write_text("three\n" * 40)
    assert main([*argv, "--text", str(text)]) == 0
    assert capsys.readouterr().err == ""
    assert main(argv) == 0
    assert "the development text has changed since this model was" in capsys.readouterr().err


def test_a_property_with_depth_has_a_scale_and_no_line_that_is_too_pale() -> None:
    pieces = ["</s>", *"a(b(c(d(e(f))))", "</s>"] * 4
    layer = LayerRecording(pieces, torch.linspace(-1, 1, len(pieces)).unsqueeze(1), None, {})
    whole = find_activations(Recording({"layer 1": layer}), "layer 1", 0)
    for property, labels in (("brackets", ["0", "5"]), ("line_length", ["0", "16"])):
        found = held_out_excerpt(whole, property, 20)
        assert f"{found.highest:g}" == labels[-1]
        figure = ElementTree.fromstring(draw_activations(found, "a title"))
        lines = [p for p in figure.iter(f"{SVG}path") if "stroke-opacity" in p.attrib]
        depths = [float(line.attrib["stroke-opacity"]) for line in lines]
        assert depths[0] == 0
        assert 0.4 <= depths[1] < depths[2] < depths[3] < depths[4] == 1, "the legend"
        assert 0.4 <= min(depths[5:]) < max(depths[5:]) <= 1
        ticks = [t.text for t in figure.iter(f"{SVG}text") if t.attrib["class"] == "tick"]
        assert ticks[-2:] == labels
