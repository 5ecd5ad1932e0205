import json
import subprocess
import sys

import pytest

from seq2seq.evaluation import metrics
from seq2seq.evaluation.metrics import METRICS, bleu_tokenizer

CASES = {
    "en": (
        ["The cat sat on the mat .", "He is n't here, is he?", "A dog runs through a field ."],
        ["The cat sits on the mat .", "He isn't here, is he?", "A brown dog runs in the field ."],
    ),
    "zh": (["我是一只猫。", "他在家。"], ["我是一只小猫。", "他今天在家。"]),
}


@pytest.mark.parametrize("language", CASES)
@pytest.mark.parametrize("name", METRICS)
def test_scores_are_those_of_the_command_line_of_sacrebleu(tmp_path, name, language):
    hypotheses, references = CASES[language]
    files = {"hypotheses": hypotheses, "references": references}
    for file, lines in files.items():
        (tmp_path / file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    options = ["--language-pair", f"xx-{language}"] if name == "bleu" else []
    if name == "ter" and language == "zh":
        options = ["--ter-normalized", "--ter-asian-support"]
    command = [sys.executable, "-m", "sacrebleu", "references", "-i", "hypotheses", "-m", name]
    found = subprocess.run(
        [*command, *options, "--width", "10"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    expected = json.loads(found.stdout)
    score = METRICS[name](hypotheses, references, language)
    assert score.value == pytest.approx(expected["score"], abs=1e-9)
    assert (score.name, score.signature) == (expected["name"], expected["signature"])
    assert str(score) == f"{score.name} {score.value:.2f} ({score.signature})"


@pytest.mark.parametrize(
    ("language", "installed", "expected"),
    [
        ("en", True, "13a"),
        ("de", False, "13a"),
        ("ja", True, "ja-mecab"),
        ("ja", False, "char"),
        ("ja_JP", False, "char"),
        ("ko", True, "ko-mecab"),
        ("ko", False, "char"),
        ("zh", False, "zh"),
        ("zh-Hant", True, "zh"),
    ],
)
def test_the_tokenizer_of_bleu_fits_the_language(monkeypatch, language, installed, expected):
    bleu_tokenizer.cache_clear()
    monkeypatch.setattr(
        metrics, "_is_installed", lambda name: installed or not name.endswith("-mecab")
    )
    assert bleu_tokenizer(language) == expected
    bleu_tokenizer.cache_clear()


@pytest.mark.parametrize("error", [ImportError, RuntimeError, AssertionError])
def test_an_analyser_that_is_not_there_is_not_used(monkeypatch, error):
    def fail(tokenize):
        raise error

    monkeypatch.setattr(metrics, "BLEU", fail)
    bleu_tokenizer.cache_clear()
    assert bleu_tokenizer("ja") == "char"
    bleu_tokenizer.cache_clear()


def test_korean_particles_count_by_themselves():
    right = METRICS["bleu"](["나는 집에 간다"], ["나는 집에 간다"], "ko").value
    particle = METRICS["bleu"](["나는 집을 간다"], ["나는 집에 간다"], "ko").value
    word = METRICS["bleu"](["나는 섬을 간다"], ["나는 집에 간다"], "ko").value
    assert right == pytest.approx(100)
    assert right > particle > word


def test_the_signature_names_the_tokenizer():
    score = METRICS["bleu"](["我"], ["我"], "zh")
    assert "|tok:zh|" in score.signature


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], ["a", "b"])])
@pytest.mark.parametrize("name", METRICS)
def test_unequal_or_empty_lists_have_no_score(name, hypotheses, references):
    with pytest.raises(ValueError, match=f"there are {len(hypotheses)} hypotheses and "):
        METRICS[name](hypotheses, references, "en")
