import dataclasses
import itertools
import math
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from seq2seq.cli import main
from seq2seq.config import EOS_ID, TokenizerConfig
from seq2seq.data.running_text import EncodedText, StreamChunks
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.insight.truncation import (
    Truncation,
    TruncationPoint,
    draw_truncation,
    find_recall,
    find_truncation,
    kept_bytes,
    recall_text,
)
from seq2seq.language_config import LanguageNetworkConfig
from seq2seq.models.cells import CELLS
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.models.products import plain_path

LINES = ["def f(x):", "    return [x, y]", "", "a = f(1)"] * 6
CHARACTERS = TokenizerConfig(kind="character", character_coverage=1.0)


def small(cell: str = "gru") -> LanguageNetworkConfig:
    return LanguageNetworkConfig(cell=cell, embedding_size=6, hidden_size=10, dropout=0.0)


def test_quality_is_that_of_a_loop_after_the_same_updates(monkeypatch) -> None:
    monkeypatch.setattr("seq2seq.insight.truncation.find_recall", lambda *_, **__: 0.5)
    dev = LINES[:3]
    found = find_truncation(LINES, dev, lengths=[4], characters=64, network=small())
    tokenizer = Tokenizer.train(LINES, CHARACTERS)
    torch.manual_seed(1)
    network = LanguageNetwork(small(), tokenizer.vocabulary_size)
    ids = [EOS_ID, *EncodedText.of(LINES, tokenizer).ids.tolist()]
    length = math.ceil((len(ids) - 1) / 8)  # of each stream
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    state = network.start(8)
    for update in range(2):
        rows = [ids[row * length + 4 * update :][:5] for row in range(8)]
        state, loss = state.detach(), torch.zeros(())
        for step in range(4):
            logits, state = network.step(torch.tensor([row[step] for row in rows]), state)
            following = torch.tensor([row[step + 1] for row in rows])
            loss = loss + torch.nn.functional.cross_entropy(logits, following) / 4
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    assert found.characters == 64
    nats = 0.0
    ids = [EOS_ID, *EncodedText.of(dev, tokenizer).ids.tolist()]
    length = math.ceil((len(ids) - 1) / 8)
    with torch.no_grad():
        for first in range(0, len(ids) - 1, length):
            state = network.start(1)
            stretch = ids[first : first + length + 1]
            for previous, following_id in itertools.pairwise(stretch):
                logits, state = network.step(torch.tensor([previous]), state)
                nats -= logits.log_softmax(1)[0, following_id].item()
    characters = sum(len(line) + 1 for line in dev)
    (point,) = found.points
    assert point.bits_per_character == pytest.approx([nats / math.log(2) / characters], rel=1e-4)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_memory_for_the_gradient_grows_with_the_length_and_not_with_the_text(cell: str) -> None:
    tokenizer = Tokenizer.train(LINES, CHARACTERS)
    network = LanguageNetwork(small(cell), tokenizer.vocabulary_size)

    def measure(length: int, times: int = 1) -> int:
        text = EncodedText.of(LINES * times, tokenizer)
        return kept_bytes(network, next(StreamChunks(text, streams=4, steps=length).plan(0)))

    with plain_path():
        one, two, ten = measure(1), measure(2), measure(10)
        assert ten - one == 9 * (two - one), "so much for each step"
        # At least the scores of the vocabulary, the gates and the states, in float32.
        assert two - one >= 4 * 4 * (tokenizer.vocabulary_size + 10 * (network.layers[0].num_gates))
    assert measure(10) == measure(10, times=3)
    assert measure(40) > 1.5 * measure(20), "also where gradients are written out"


def test_the_letter_is_a_matter_of_chance_before_anything_is_learnt() -> None:
    lines = recall_text(3, seed=1, lines=400)
    assert {line[0] for line in lines} == {"a", "b"}
    assert all(line == f"{line[0]}...{line[0]}" for line in lines)
    bits = find_recall(lines, 2, seed=1, longest=4, updates=2)
    assert bits == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
def test_what_lies_further_back_than_gradients_reach_is_not_learnt() -> None:
    lines = recall_text(10, seed=1)  # the letter comes back after eleven steps
    assert find_recall(lines, 10, seed=1, longest=100) > 0.95
    assert find_recall(lines, 20, seed=1, longest=100) < 0.3


def make_truncation(seeds: int = 2) -> Truncation:
    points = [
        TruncationPoint(1, [3.0, 3.2][:seeds], [1.0, 1.01][:seeds], 2**20, 0.5),
        TruncationPoint(10, [2.5, 2.6][:seeds], [0.9, 1.0][:seeds], 3 * 2**20, 0.1),
        TruncationPoint(100, [2.4, 2.5][:seeds], [0.1, 0.0][:seeds], 30 * 2**20, 0.05),
    ]
    return Truncation(points, small(), 64_000, 10, seeds)


def test_the_figure_shows_means_of_seeds_memory_and_time() -> None:
    figure = ElementTree.fromstring(draw_truncation(make_truncation()))
    svg = "{http://www.w3.org/2000/svg}"
    titles = [one.text for one in figure.iter(f"{svg}title")]
    assert {"GRU, 1: 3.1", "GRU, 10: 2.55", "trained, 100: 0.05"} <= set(titles)
    assert {"GRU, 100: 30", "GRU, 100: 0.05", "by chance, 10: 1"} <= set(titles)
    text = " ".join(figure.itertext())
    assert "64,000 characters" in text and "Means over 2 seeds" in text
    bands = list(figure.iter(f"{svg}polygon"))
    assert len(bands) == 2, "of both qualities"
    assert "does not begin at 0" in text
    assert {"truncation length k, steps, log scale", "MiB, log scale", "bits per character"} <= {
        one.text for one in figure.iter(f"{svg}text")
    }
    assert "One training of each (seed 1)." in draw_truncation(make_truncation(seeds=1))
    from_0 = TruncationPoint(200, [0.0], [0.1], 2**20, 0.5)
    found = make_truncation(seeds=1)
    wide = dataclasses.replace(found, points=[*found.points, from_0])
    assert "does not begin at 0" not in draw_truncation(wide)


def test_the_command_trains_on_a_file(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("seq2seq.insight.truncation.find_recall", lambda *_, **__: 0.5)
    output, text = tmp_path / "truncation.svg", tmp_path / "text.py"
    text.write_text("\n".join(LINES))
    argv = ["picture", "truncation", "--text", str(text), "--lengths", "2", "4", "--cell", "rnn"]
    argv += ["--characters", "100", "--hidden_size", "8", "--output", str(output)]
    assert main(argv) == 0
    assert capsys.readouterr().out == f"picture: {output}\n"
    assert "RNN of 8 units" in output.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lengths", "2", "0"], "`--lengths` must be from 1 to 10000"),
        (["--characters", "0"], "`--characters` must be at least 1"),
        (["--seeds", "0"], "`--seeds` must be at least 1"),
        (["--cell", "mlp"], "`--cell` must be one of rnn, gru, lstm"),
    ],
    ids=["lengths", "characters", "seeds", "cell"],
)
def test_mistakes_are_named_before_anything_is_trained(
    tmp_path, capsys, monkeypatch, options, message
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.py").write_text("\n".join(LINES))
    assert main(["picture", "truncation", "--text", "text.py", *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "truncation.svg").exists()
