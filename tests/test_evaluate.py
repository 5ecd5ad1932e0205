from dataclasses import replace

import pytest

from seq2seq.evaluate import evaluate_set, write_translations
from seq2seq.translator import Translator


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def result(translator, known_pairs):
    return evaluate_set(translator, known_pairs.sources[:3], known_pairs.targets[:3])


def test_scores_say_how_they_came_about(result):
    plain = result.to_plain()
    assert plain["sentences"] == 3
    assert plain["precision"] == "float32"
    assert (plain["beam_size"], plain["length_penalty"]) == (3, 1.0)
    assert plain["length_penalty_kind"] == "power"


def test_scores_in_bfloat16_say_so(tiny_directory, known_pairs):
    translator = Translator.load(tiny_directory, device="cpu", precision="bfloat16")
    result = evaluate_set(translator, known_pairs.sources[:1], known_pairs.targets[:1])
    assert result.to_plain()["precision"] == "bfloat16"


def test_an_interruption_leaves_the_old_translations(result, translator, tmp_path, monkeypatch):
    write_translations(tmp_path, {"test": result}, translator.recipe)
    output = tmp_path / "test.output.en"
    before = output.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    other = replace(result, hypotheses=["another", "translation", "now"])
    with pytest.raises(OSError, match="disk full"):
        write_translations(tmp_path, {"test": other}, translator.recipe)
    assert output.read_bytes() == before
    names = ["test.de", "test.en", "test.output.en"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
