import sys

import pytest
import shortlist_quality
import torch
from tiny_translator import SOURCES, TARGETS

from seq2seq.data.corpus import Pairs
from seq2seq.training.lexicon import learn_lexicon_of_directory


@pytest.fixture
def arguments(own_directory, tmp_path):
    """Of the script, for a model with a lexicon and the sentences that it knows by heart."""
    learn_lexicon_of_directory(own_directory, Pairs(SOURCES, TARGETS), max_pairs=100)
    for language, lines in (("de", SOURCES), ("en", TARGETS)):
        (tmp_path / f"a.{language}").write_text("".join(f"{line}\n" for line in lines))
    files = ["--source", tmp_path / "a.de", "--reference", tmp_path / "a.en"]
    return list(map(str, ["--model", own_directory, *files]))


def test_a_row_for_each_length_says_what_is_left(arguments, capsys, monkeypatch):
    argv = ["shortlist_quality.py", *arguments, "--per_piece", "1", "100"]
    monkeypatch.setattr(sys, "argv", argv)
    shortlist_quality.main()
    header, _, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["all", "1", "100"]
    assert {len(row) for row in cells} == {header.count("|") - 1}
    # Of a few sentences, all pieces are frequent ones or translations.
    assert cells[0][1:] == ["300", "300", "100.0%", "100.0%", "100.0%", "100.00"]
    assert cells[2][3:] == ["100.0%", "100.0%", "100.0%", "100.00"]


def test_shares_count_the_end_symbol():
    candidates = torch.tensor([[3, 7, 9], [3, 8, 0]])
    assert shortlist_quality.covered(candidates, [[7, 7, 8], [8]]) == 5 / 6
