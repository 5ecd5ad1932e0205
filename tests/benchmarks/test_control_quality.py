"""Its tables, of a network that knows a dozen sentences by heart."""

import json
import random
import sys

import control_quality
import pytest
from tiny_translator import SOURCES, TARGETS


@pytest.fixture
def rows(tiny_directory, tmp_path, monkeypatch):
    """The rows of a table."""
    for language, lines in (("de", SOURCES), ("en", TARGETS)):
        (tmp_path / f"a.{language}").write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def run(table, *options):
        file = tmp_path / "result.json"
        files = ["--source", tmp_path / "a.de", "--reference", tmp_path / "a.en", "--json", file]
        argv = ["", table, "--model", tiny_directory, *files, "--threads", "1", *options]
        monkeypatch.setattr(sys, "argv", list(map(str, argv)))
        control_quality.main()
        (found,) = json.loads(file.read_text("utf-8"))["tables"]
        return found["rows"]

    return run


def test_unknown_words_are_counted_and_put_aside(rows):
    plain, lost, copied = rows("unknown")
    assert plain["BLEU"] > 99.9 and plain["kept"] is None
    assert lost["kept"] < copied["kept"] == len(SOURCES)


def test_an_unknown_word_is_not_the_first():
    found = {control_quality._insert("a b c", "X", random.Random(seed)) for seed in range(20)}
    assert found == {"a X b c", "a b X c"}
    assert control_quality._without("a X, b", "X") == "a b"


def test_capitals_count_alike(rows):
    found = {row["sentences"]: row for row in rows("capitals")}
    assert len(found) == 6
    assert found["as they are"]["BLEU"] > 99.9
    assert found["as they are, --keep_case"]["taken for capitals or a title"] == 0
    assert found["IN CAPITALS, --keep_case"]["taken for capitals or a title"] == len(SOURCES)
    assert found["IN CAPITALS"]["BLEU"] < found["IN CAPITALS, --keep_case"]["BLEU"]


def test_searches_are_compared(rows, monkeypatch):
    searches = {"greedy": {"beam_size": 1}, "minimum risk": {"beam_size": 5, "mbr": True}}
    monkeypatch.setattr(control_quality, "SEARCHES", searches)
    greedy, risk = rows("mbr", "--sentences", "4")
    assert greedy["search"] == "greedy" and greedy["BLEU"] > 99.9
    assert 0 < risk["chrF2"] <= 100


def test_weights_are_chosen_on_other_sentences(rows, reverse_directory, monkeypatch):
    monkeypatch.setattr(control_quality, "REVERSE_WEIGHTS", (0.0, 50.0))
    monkeypatch.setattr(control_quality, "LENGTH_WEIGHTS", (0.0,))
    plain, crossed, oracle = rows("reranking", "--reverse", reverse_directory)
    assert plain["BLEU"] > 99.9
    # Where all is right by itself, the weights that change nothing are as good as any.
    assert crossed["BLEU"] == plain["BLEU"] and crossed["p of BLEU"] == 1
    assert crossed["BLEU won where weights were chosen"] == "+0.00, +0.00"
    assert oracle["chrF2"] == pytest.approx(100)


def test_halves_get_the_weights_of_the_other(rows, reverse_directory, monkeypatch):
    """Even sentences like what the model says and odd ones its second: crossed, all lose."""
    first, second = [0] * len(SOURCES), [1] * len(SOURCES)
    monkeypatch.setattr(control_quality, "REVERSE_WEIGHTS", (0.0, 1.0))
    monkeypatch.setattr(control_quality, "LENGTH_WEIGHTS", (0.0,))

    class Beams:
        def __init__(self, translator, pairs):
            pass

        def choose(self, reverse_weight, length_weight):
            return second if reverse_weight else first

        def bleu(self, chosen, sentences):
            return float(sum(chosen[index] == index % 2 for index in sentences))

        def oracle(self):
            return first

        def scores(self, chosen, against=None):
            return {"chosen": chosen}

    monkeypatch.setattr(control_quality, "Beams", Beams)
    _, crossed, _ = rows("reranking", "--reverse", reverse_directory)
    assert crossed["chosen"] == [1 - index % 2 for index in range(len(SOURCES))]
    assert crossed["BLEU won where weights were chosen"] == "+0.00, +6.00"


def test_only_reranking_needs_a_reverse_model(rows, reverse_directory, capsys):
    for options in (("reranking",), ("mbr", "--reverse", reverse_directory)):
        with pytest.raises(SystemExit):
            rows(*options)
        assert "reranking, and nothing else, needs --reverse" in capsys.readouterr().err
