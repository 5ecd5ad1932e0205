import json
import subprocess
import sys

import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from seq2seq.evaluation import metrics
from seq2seq.evaluation.metrics import (
    METRICS,
    bleu_tokenizer,
    explain_tokenizer,
    length_ratio,
    measure,
)

CASES = {
    "en": (
        ["The cat sat on the mat .", "He is n't here, is he?", "A dog runs through a field ."],
        ["The cat sits on the mat .", "He isn't here, is he?", "A brown dog runs in the field ."],
    ),
    "zh": (["我是一只猫。", "他在家。"], ["我是一只小猫。", "他今天在家。"]),
}


def run_sacrebleu(tmp_path, hypotheses, references, *options):
    """What the command line of sacreBLEU says, as JSON."""
    files = {"hypotheses": hypotheses, "references": references}
    for file, lines in files.items():
        (tmp_path / file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "references", "-i", "hypotheses"]
    found = subprocess.run(
        [*command, *options, "--width", "10"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    return json.loads(found.stdout)


@pytest.mark.parametrize("language", CASES)
@pytest.mark.parametrize("name", METRICS)
def test_scores_are_those_of_the_command_line_of_sacrebleu(tmp_path, name, language):
    options = ["-m", name]
    if name == "bleu":
        options += ["--language-pair", f"xx-{language}"]
    if name == "ter" and language == "zh":
        options += ["--ter-normalized", "--ter-asian-support"]
    expected = run_sacrebleu(tmp_path, *CASES[language], *options)
    score = measure(name, *CASES[language], language).score()
    assert score.value == pytest.approx(expected["score"], abs=1e-9)
    assert (score.name, score.signature) == (expected["name"], expected["signature"])
    assert str(score) == f"{score.name} {score.value:.2f} ({score.signature})"
    assert (score.low, score.high) == (None, None)


@pytest.mark.parametrize("name", METRICS)
def test_intervals_are_those_of_the_command_line_of_sacrebleu(tmp_path, name):
    expected = run_sacrebleu(tmp_path, *CASES["en"], "-m", name, "--confidence")
    score = measure(name, *CASES["en"], "en").score(with_interval=True)
    assert score.value == pytest.approx(expected["score"], abs=1e-9)
    assert score.signature == expected["signature"]
    assert "|bs:1000|seed:12345|" in score.signature
    middle, half = expected["confidence_mean"], expected["confidence_var"]
    # sacreBLEU sums in single precision
    assert (score.low, score.high) == pytest.approx((middle - half, middle + half), abs=1e-4)
    assert score.low < middle < score.high


@pytest.mark.parametrize(
    ("name", "metric"), [("bleu", BLEU(effective_order=True)), ("chrf", CHRF()), ("ter", TER())]
)
def test_scores_of_single_sentences_are_those_of_sacrebleu(name, metric):
    hypotheses, references = map(list, CASES["en"])
    hypotheses, references = [*hypotheses, "Yes", ""], [*references, "Yes !", "No"]
    expected = [
        metric.sentence_score(hypothesis, [reference]).score
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    found = measure(name, hypotheses, references, "en").sentence_scores()
    assert found == pytest.approx(expected, abs=1e-9)
    assert len(set(found)) > 3


@pytest.mark.parametrize("name", METRICS)
def test_a_part_scores_as_if_it_were_alone(name):
    hypotheses, references = CASES["en"]
    part = measure(name, hypotheses, references, "en").select([2, 0])
    alone = measure(name, [hypotheses[2], hypotheses[0]], [references[2], references[0]], "en")
    assert len(part) == 2
    assert part.score(with_interval=True) == alone.score(with_interval=True)
    assert part.score().value != measure(name, hypotheses, references, "en").score().value


@pytest.mark.parametrize(
    ("language", "hypothesis", "reference", "edits", "length"),
    [
        ("ja", "私は猫を見た。", "私は犬を見た。", 1, 7),
        ("zh", "我是猫。", "我 是 猫。", 0, 4),
        ("en", "a cat", "A dog", 1, 2),
        ("th", "แมวดำ", "แมวขาว", 1, 1),
    ],
)
def test_edits_are_of_han_characters_or_of_what_stands_between_spaces(
    language, hypothesis, reference, edits, length
):
    score = measure("ter", [hypothesis], [reference], language).score()
    assert score.value == pytest.approx(100 * edits / length)
    assert ("|asian:yes|" in score.signature) is (language in ("ja", "zh"))
    assert "|case:lc|" in score.signature


def test_an_interval_does_not_reach_below_zero():
    hypotheses, references = ["a b c d e"] * 10, ["v w x y z"] * 9 + ["a b c d e"]
    score = measure("bleu", hypotheses, references, "en").score(with_interval=True)
    assert score.low == 0 < score.value < score.high


def test_the_length_ratio_is_that_of_bleu():
    hypotheses, references = CASES["en"][0], ["The cat.", "He is n't here!", "A dog."]
    expected = BLEU().corpus_score(hypotheses, [references]).ratio
    found = length_ratio(measure("bleu", hypotheses, references, "en"))
    assert found == pytest.approx(expected)
    assert found > 1.5
    assert length_ratio(measure("bleu", [""], [""], "en")) == 0


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
        ("th", True, "char"),
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


@pytest.mark.parametrize(
    ("language", "tokenizer", "expected"),
    [
        ("de", "13a", "BLEU counts words and punctuation marks (tokenisation 13a, case kept)."),
        ("ja", "char", "BLEU counts characters, since the words of Japanese are not separated; "),
        ("th", "char", "BLEU counts characters, since the words of Thai are not separated (token"),
        ("ko_KR", "char", "BLEU counts characters, since particles and endings hang on the words "),
        ("zh", "zh", "BLEU counts characters, since the words of Chinese are not separated (tok"),
        ("ko", "ko-mecab", "BLEU counts the words that MeCab finds in Korean (tokenisation ko-m"),
    ],
)
def test_the_tokenizer_is_named_with_its_reason(monkeypatch, language, tokenizer, expected):
    monkeypatch.setattr(metrics, "bleu_tokenizer", lambda language: tokenizer)
    assert explain_tokenizer(language).startswith(expected)
    assert f"(tokenisation {tokenizer}, case kept). TER counts" in explain_tokenizer(language)


@pytest.mark.parametrize(
    ("language", "units"),
    [
        ("en", "what stands between spaces"),
        ("ko", "what stands between spaces"),
        ("th", "what stands between spaces, which says little in Thai"),
        ("ja", "Han characters and of what stands between them"),
    ],
)
def test_what_ter_counts_is_told(language, units):
    assert explain_tokenizer(language).endswith(f" TER counts edits of {units}, case aside.")


@pytest.mark.parametrize("error", [ImportError, RuntimeError, AssertionError])
def test_an_analyser_that_is_not_there_is_not_used(monkeypatch, error):
    def fail(tokenize):
        raise error

    monkeypatch.setattr(metrics, "BLEU", fail)
    bleu_tokenizer.cache_clear()
    assert bleu_tokenizer("ja") == "char"
    bleu_tokenizer.cache_clear()


def test_korean_particles_count_by_themselves():
    right, particle, word = (
        measure("bleu", [hypothesis], ["나는 집에 간다"], "ko").score().value
        for hypothesis in ("나는 집에 간다", "나는 집을 간다", "나는 섬을 간다")
    )
    assert right == pytest.approx(100)
    assert right > particle > word


def test_the_signature_names_the_tokenizer():
    assert "|tok:zh|" in measure("bleu", ["我"], ["我"], "zh").score().signature


@pytest.mark.parametrize(
    "lists", [([], []), (["a"], ["a", "b"]), (["a", "b"], ["a"])], ids=["none", "less", "more"]
)
@pytest.mark.parametrize("name", METRICS)
def test_unequal_or_empty_lists_have_no_score(name, lists):
    with pytest.raises(ValueError, match=f"there are {len(lists[0])} hypotheses and "):
        measure(name, *lists, "en")
