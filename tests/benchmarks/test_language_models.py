"""Its tables, of networks that know a dozen sentences by heart."""

import json
import sys

import language_models
import pytest
from tiny_translator import SOURCES, TARGETS

from seq2seq.evaluation.metrics import measure
from seq2seq.translator import Translator


@pytest.fixture
def rows(tiny_directory, language_directory, tmp_path, monkeypatch):
    """The rows of a table."""
    for language, lines in (("de", SOURCES), ("en", reversed(TARGETS))):
        (tmp_path / f"a.{language}").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    monkeypatch.setattr(language_models, "WEIGHTS", (0.0, 3.0))

    def run(table, *options):
        file = tmp_path / "result.json"
        files = ["--source", tmp_path / "a.de", "--reference", tmp_path / "a.en", "--json", file]
        models = ["--model", tiny_directory, "--language_model", language_directory]
        argv = ["", table, *models, *files, "--threads", "1", "--rounds", "1", *options]
        monkeypatch.setattr(sys, "argv", list(map(str, argv)))
        language_models.main()
        (found,) = json.loads(file.read_text("utf-8"))["tables"]
        return found["rows"]

    return run


def test_scores_are_those_of_searches_and_weights_come_from_the_other_half(
    rows, tiny_directory, language_directory
):
    none, fused, crossed, ranked, _ = rows("quality")
    translator = Translator.load(
        tiny_directory, "cpu", "float32", language_model=language_directory
    )
    references = TARGETS[::-1]
    for row, search in ((none, {}), (fused, {"fusion_weight": 3.0}),
                        (ranked, {"language_weight": 3.0})):  # fmt: skip
        texts = [each.text for each in translator.translate(SOURCES, **search)]
        for metric, name in language_models.METRICS.items():
            expected = measure(metric, texts, references, "en").score().value
            assert row[name] == pytest.approx(expected)
    assert none["p of BLEU"] is None and 0 < fused["p of BLEU"] <= 1
    assert crossed["weight"].startswith("that of the other half: ")


def test_speeds_are_of_the_same_sentences(rows):
    found = rows("speed", "--sentences", "4")
    assert [row["variant"] for row in found] == [
        "none",
        "in the search",
        "in the order of the beam",
    ]
    assert all(row["per second"] > 0 for row in found)


def test_writing_is_timed(rows):
    plain, one, many = rows("writing", "--length", "12")
    assert plain["variant"] == "a loop over the network's step"
    assert one["per second"] > 0 and many["per second"] > 0


def test_files_are_needed(monkeypatch, language_directory, capsys):
    argv = ["", "quality", "--language_model", str(language_directory)]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit):
        language_models.main()
    assert "quality needs --model, --source and --reference." in capsys.readouterr().err
