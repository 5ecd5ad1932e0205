import dataclasses
import sys

import alignment_error
import pytest
import torch
from alignment_error import RULES, above, count_errors
from tiny_translator import train_tiny

from seq2seq.config import TokenizerConfig
from seq2seq.data.corpus import Pairs
from seq2seq.data.phrasebook.corpus import PhrasebookPair


def test_rates_are_those_of_och_and_ney():
    sure, possible = {(0, 0), (1, 1)}, {(0, 0), (1, 1), (2, 1), (3, 3)}
    found = {(0, 0), (2, 1), (4, 4)}
    errors = count_errors([found, set()], [sure, set()], [possible, set()])
    assert errors.rate == pytest.approx(1 - (1 + 2) / (3 + 2))
    assert errors.precision == pytest.approx(2 / 3)
    assert errors.recall == pytest.approx(1 / 2)


def test_rules_link_by_weight():
    soft = torch.tensor([[0.6, 0.3, 0.0], [0.2, 0.1, 0.1], [0.5, 0.1, 0.4]])
    found = {name: sorted(rule(soft)) for name, rule in RULES.items()}
    assert found == {
        "the most attended word, as `seq2seq align`": [(0, 0), (0, 2)],
        "a source word for every target word": [(0, 0), (0, 1), (0, 2)],
        "both ways": [(0, 0)],
        "either way": [(0, 0), (0, 1), (0, 2), (1, 0), (2, 2)],
    }
    assert above(0.4)(soft) == {(0, 0), (0, 2), (2, 2)}


@pytest.mark.parametrize("source_language", ["ko", "en"])
def test_models_of_either_direction_are_measured(
    tiny_recipe, tmp_path, monkeypatch, capsys, source_language
):
    korean, english = "나는 간다.", "I go."
    target_language = {"ko": "en", "en": "ko"}[source_language]
    pair = (korean, english) if source_language == "ko" else (english, korean)
    recipe = dataclasses.replace(
        tiny_recipe,
        source_language=source_language,
        target_language=target_language,
        tokenizer=TokenizerConfig(),
    )
    train_tiny(recipe, Pairs([pair[0]] * 2, [pair[1]] * 2), tmp_path / "model", num_steps=1)
    links = ((0, 0), (1, 1))
    known = PhrasebookPair(korean, english, "", "", "", "", (), (), links, links)
    splits = {"dev": [known], "test": [known]}
    monkeypatch.setattr(alignment_error, "load_phrasebook", lambda: splits)
    monkeypatch.setattr(sys, "argv", ["", "--model", str(tmp_path / "model"), "--threads", "1"])
    alignment_error.main()
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(RULES) + 1
    assert all(len(row.split("|")) == 7 for row in rows)
