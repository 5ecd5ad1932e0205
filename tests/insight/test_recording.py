import dataclasses
import functools
import unicodedata
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_translator import train_tiny
from torch import Tensor, nn

from seq2seq.config import BOS_ID, EOS_ID, ConfigurationError, Recipe, TokenizerConfig
from seq2seq.data.corpus import Pairs
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.insight.recording import (
    LayerRecording,
    join_recordings,
    plain_network,
    record_lines,
    record_text,
    record_translation,
    spell,
)
from seq2seq.language_config import LanguageNetworkConfig, LanguageRecipe, TextConfig
from seq2seq.language_model import LanguageModel
from seq2seq.models.cells import CELLS, Cell
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.translator import Translator

SOURCE, TARGET = "eine Katze isst Brot .", "a dog sleeps ."
LINES = ["def f(x):", '    return "é"', "", "x = f(2)"]


@pytest.fixture(scope="module")
def gru(tiny_directory: Path) -> Translator:
    """With attention."""
    return Translator.load(tiny_directory, "cpu", "float32", plain=True)


@pytest.fixture(scope="module")
def lstm(member_directory: Path) -> Translator:
    """With a fixed context."""
    return Translator.load(member_directory, "cpu", "float32", plain=True)


@pytest.fixture(scope="module")
def characters() -> Tokenizer:
    return Tokenizer.train(LINES[:2] + LINES[3:], TokenizerConfig(kind="character"))


def language_model(
    tokenizer: Tokenizer, cell: str, lines: str = "text", num_layers: int = 3
) -> LanguageModel:
    config = LanguageNetworkConfig(cell, embedding_size=6, hidden_size=9, num_layers=num_layers)
    recipe = LanguageRecipe(text=TextConfig(lines=lines), model=config)  # type: ignore[arg-type]
    torch.manual_seed(1)
    network = LanguageNetwork(config, tokenizer.vocabulary_size)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.4)
    return LanguageModel(network, tokenizer, recipe)


def by_hand(kind: str, cell: Cell, inputs: Tensor) -> dict[str, Tensor]:
    """States and gates in float64, from the equations as papers print them."""
    weights = {name: weight.detach().double() for name, weight in cell.named_parameters()}
    size = cell.hidden_size
    hidden = memory = torch.zeros(size, dtype=torch.float64)
    found: dict[str, list[Tensor]] = {}
    for x in inputs.double():
        of_input = weights["weight_ih"] @ x + weights["bias_ih"]
        of_state = weights["weight_hh"] @ hidden + weights["bias_hh"]
        parts = list(zip(of_input.split(size), of_state.split(size), strict=True))
        step: dict[str, Tensor] = {}
        if kind == "lstm":
            step = {
                name: 1 / (1 + torch.exp(-a - b))
                for name, (a, b) in zip(["input", "forget", "", "output"], parts, strict=True)
            }
            del step[""]
            memory = step["forget"] * memory + step["input"] * torch.tanh(sum(parts[2]))
            hidden = step["output"] * torch.tanh(memory)
            step["memory"] = memory
        elif kind == "gru":
            step = {
                name: 1 / (1 + torch.exp(-a - b))
                for name, (a, b) in zip(["reset", "update"], parts, strict=False)
            }
            new = torch.tanh(parts[2][0] + step["reset"] * parts[2][1])
            hidden = (1 - step["update"]) * new + step["update"] * hidden
        else:
            hidden = torch.tanh(sum(parts[0]))
        for name, value in {**step, "hidden": hidden}.items():
            found.setdefault(name, []).append(value)
    return {name: torch.stack(values) for name, values in found.items()}


def assert_recorded(layer: LayerRecording, expected: dict[str, Tensor]) -> None:
    actual = {"hidden": layer.hidden_states, **layer.gates}
    if layer.memory_cells is not None:
        actual["memory"] = layer.memory_cells
    assert actual.keys() == expected.keys()
    for name, values in actual.items():
        torch.testing.assert_close(values.double(), expected[name], atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_the_encoder_is_recorded_as_its_equations_say(
    kind: str, request: pytest.FixtureRequest
) -> None:
    translator = request.getfixturevalue(kind)
    recording = record_translation(translator, SOURCE, TARGET)
    encoder = translator.engine.network.encoder
    ids = [*translator.tokenizers.source.encode(SOURCE), EOS_ID]
    embedded = encoder.embedding.weight[ids].detach()
    forward, backward = encoder.layers[0]
    assert_recorded(recording.layer("encoder layer 1 forward"), by_hand(kind, forward, embedded))
    turned = by_hand(kind, backward, embedded.flip(0))
    assert_recorded(
        recording.layer("encoder layer 1 backward"),
        {name: values.flip(0) for name, values in turned.items()},
    )
    for direction in ("forward", "backward"):
        pieces = recording.layer(f"encoder layer 1 {direction}").pieces
        assert pieces == translator.tokenizers.source.pieces(ids)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_the_decoder_has_the_states_of_the_fast_path(
    kind: str, tiny_directory: Path, member_directory: Path, request: pytest.FixtureRequest
) -> None:
    layer = record_translation(request.getfixturevalue(kind), SOURCE, TARGET).layer(
        "decoder layer 1"
    )
    fast = Translator.load(
        {"gru": tiny_directory, "lstm": member_directory}[kind], "cpu", "float32"
    )
    source_ids = torch.tensor([[*fast.tokenizers.source.encode(SOURCE), EOS_ID]])
    target_ids = [*fast.tokenizers.target.encode(TARGET), EOS_ID]
    state = fast.engine.network.start(source_ids, torch.tensor([source_ids.shape[1]]), None)
    assert layer.pieces == fast.tokenizers.target.pieces(target_ids)
    for step, previous in enumerate([BOS_ID, *target_ids[:-1]]):
        _, state = fast.engine.network.step(torch.tensor([previous]), state)
        (after,) = state.layers
        torch.testing.assert_close(after[0][0], layer.hidden_states[step], atol=1e-5, rtol=0)
        if kind == "lstm":
            assert layer.memory_cells is not None
            torch.testing.assert_close(after[1][0], layer.memory_cells[step], atol=1e-5, rtol=0)


def test_layers_are_named_by_the_way_they_run(
    tiny_recipe: Recipe, known_pairs: Pairs, tmp_path: Path
) -> None:
    deep = dataclasses.replace(
        tiny_recipe.model, bidirectional=False, reverse_source=True, encoder_layers=3,
        decoder_layers=2,
    )  # fmt: skip
    recipe = dataclasses.replace(tiny_recipe, model=deep)
    train_tiny(recipe, known_pairs, tmp_path, num_steps=1)
    translator = Translator.load(tmp_path, "cpu", "float32", plain=True)
    recording = record_translation(translator, SOURCE, TARGET)
    assert list(recording.layers) == [
        *(f"encoder layer {number} backward" for number in (1, 2, 3)),
        "decoder layer 1",
        "decoder layer 2",
    ]
    ids = torch.tensor([[*translator.tokenizers.source.encode(SOURCE), EOS_ID]])
    with torch.no_grad():
        encoded = plain_network(translator).encoder(ids, torch.tensor([ids.shape[1]]))
    second, third = (recording.layer(f"encoder layer {n} backward") for n in (2, 3))
    # The third layer adds its input to its output.
    expected = second.hidden_states + third.hidden_states
    torch.testing.assert_close(encoded.encoder_outputs[0], expected, atol=1e-6, rtol=1e-5)
    for layer, final in zip((second, third), encoded.final_state[0][1:, 0], strict=True):
        torch.testing.assert_close(layer.hidden_states[0], final, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", list(CELLS))
def test_a_running_text_is_recorded_with_the_state_carried_from_line_to_line(
    kind: str, characters: Tokenizer
) -> None:
    model = language_model(characters, kind)
    recording = record_text(model, LINES)
    assert list(recording.layers) == ["layer 1", "layer 2", "layer 3"]
    ids = [each for line in LINES for each in (*characters.encode(line), EOS_ID)]
    bottom = model.network.layers[0]
    embedded = model.network.embedding.weight[[EOS_ID, *ids]].detach()
    by_equations = by_hand(kind, bottom, embedded)  # type: ignore[arg-type]
    assert_recorded(
        recording.layer("layer 1"), {name: values[1:] for name, values in by_equations.items()}
    )
    # The other layers: those of the fast path, one chunk of one piece after another.
    state = model.network.start(1)
    for step, id_ in enumerate([EOS_ID, *ids]):
        with torch.no_grad():
            _, state = model.network(torch.tensor([[id_]]), state)
        for layer, after in zip(recording.layers.values(), state.layers, strict=True):
            if step:
                torch.testing.assert_close(after[0][0], layer.hidden_states[step - 1])


def test_sentences_are_recorded_each_from_the_beginning(characters: Tokenizer) -> None:
    model = language_model(characters, "lstm", "sentences")
    together = record_text(model, LINES)
    apart = [record_text(model, [line]) for line in LINES]
    for name, layer in together.layers.items():
        joined = join_recordings(apart).layer(name)
        torch.testing.assert_close(layer.hidden_states, joined.hidden_states, atol=0, rtol=0)
        assert layer.texts == joined.texts
    first, last = apart[0].layer("layer 1"), together.layer("layer 1")
    assert not torch.equal(
        record_text(language_model(characters, "lstm"), LINES).layer("layer 1").hidden_states,
        last.hidden_states,
    )
    torch.testing.assert_close(first.hidden_states, last.hidden_states[: len(first.pieces)])


def test_the_lines_of_a_translator_come_with_its_own_translations(gru: Translator) -> None:
    sources = ["ein Hund schläft .", "der Mann rennt im Park ."]
    recordings = list(record_lines(gru, sources))
    translations = gru.translate(sources)
    for recording, source, translation in zip(recordings, sources, translations, strict=True):
        assert "".join(recording.layer("decoder layer 1").texts) == f"{translation.text}\n"
        assert "".join(recording.layer("encoder layer 1 forward").texts) == f"{source}\n"


def test_no_hook_stays_behind(gru: Translator) -> None:
    record_translation(gru, SOURCE, TARGET)
    assert not any(module._forward_hooks for module in plain_network(gru).modules())


def test_a_network_that_is_rearranged_for_search_is_refused(tiny_directory: Path) -> None:
    translator = Translator.load(tiny_directory, "cpu", "float32")
    with pytest.raises(ValueError, match=r"load it with `plain=True`"):
        record_translation(translator, SOURCE, TARGET)


def test_an_unknown_layer_is_refused_with_those_that_there_are(gru: Translator) -> None:
    recording = record_translation(gru, SOURCE, TARGET)
    with pytest.raises(ConfigurationError, match="`layer` must be one of encoder layer 1 forward"):
        recording.layer("layer 7")


def test_pieces_spell_their_text() -> None:
    pieces = ["▁", "▁", "<0xC3>", "<0xA9>", "t", "▁é", "</s>", "▁a", "<unk>", "</s>", "▁", "</s>"]
    expected = ["", " ", "", "é", "t", " é", "\n", "a", "\u2047", "\n", "", "\n"]
    assert spell(pieces) == expected


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])), max_size=4))
def test_the_pieces_of_any_text_spell_it_again(lines: list[str]) -> None:
    tokenizer = _byte_tokenizer()
    lines = [unicodedata.normalize("NFC", line).replace("▁", "") for line in lines]
    ids = [each for line in lines for each in (*tokenizer.encode(line), EOS_ID)]
    assert "".join(spell(tokenizer.pieces(ids))) == "".join(f"{line}\n" for line in lines)


@functools.cache
def _byte_tokenizer() -> Tokenizer:
    return Tokenizer.train(LINES[:1], TokenizerConfig(kind="character"))
