"""Model directories of earlier versions load, and translate as they did."""

import json
from pathlib import Path

import pytest

from seq2seq import Translator

MODELS = Path(__file__).parent / "old_models"


def model_directories() -> list[Path]:
    return sorted(recipe.parent for recipe in MODELS.glob("*/recipe.yaml"))


@pytest.mark.parametrize("directory", model_directories(), ids=lambda path: path.name)
@pytest.mark.parametrize("plain", [False, True])
def test_an_older_model_translates_as_it_did(directory: Path, plain: bool) -> None:
    lines = (directory / "expected.jsonl").read_text("utf-8").splitlines()
    expected = [json.loads(line) for line in lines]
    assert len(expected) == 16
    translator = Translator.load(directory, device="cpu", precision="float32", plain=plain)
    sources = [each["source"] for each in expected]
    translations = translator.translate(sources)
    assert [each.text for each in translations] == [each["text"] for each in expected]
    assert [each.log_probability for each in translations] == pytest.approx(
        [each["log_probability"] for each in expected], abs=1e-3
    )
    assert translator.score(sources, [each["reference"] for each in expected]) == pytest.approx(
        [each["reference_log_probability"] for each in expected], abs=1e-3
    )


def test_an_older_model_keeps_its_shortlists() -> None:
    translator = Translator.load(MODELS / "0.1.0-attention", device="cpu", precision="float32")
    text = translator.translate("그 책상은 아주 낡습니다.", shortlist=20).text
    assert text == "That desk is very old."
