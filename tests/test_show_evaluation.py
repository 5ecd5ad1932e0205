from dataclasses import replace

import numpy as np
import pytest
from tiny_translator import SOURCES, TARGETS

from seq2seq.calibrate import Calibration
from seq2seq.confidence import Quality
from seq2seq.evaluate import evaluate_set
from seq2seq.show_evaluation import (
    print_calibration,
    print_comparisons,
    print_evaluation,
    print_results,
)
from seq2seq.translator import Translator


@pytest.fixture(scope="module")
def result(tiny_directory):
    translator = Translator.load(tiny_directory, device="cpu", precision="float32")
    references = [*TARGETS[:-1], "something else"]
    return evaluate_set(translator, SOURCES, references, word_counts={"ein": 3})


def test_an_evaluation_shows_all_that_is_known(result, capsys):
    print_evaluation(result, "runs/tiny", "test.de")
    out = capsys.readouterr().out
    plain = result.to_plain()
    assert out.startswith("Translations of test.de by runs/tiny\n12 sentences, ")
    assert "float32, beam size 3, length penalty 1.0 (power)" in out
    for metric in ("bleu", "chrf", "ter"):
        score = plain[metric]
        assert f"{score['value']:.2f}  {score['low']:.2f} to {score['high']:.2f}" in out
        assert f"{score['name']}  {score['signature']}" in out
    assert (
        "BLEU counts words and punctuation marks (tokenisation 13a, case kept). TER counts" in out
    )
    assert f"Length ratio {plain['length_ratio']:.3f}: " in out
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert "truncated 0 0.0% cut off at the maximum length" in rows
    groups = [*plain["by_source_length"], *plain["by_rarest_word"]]
    assert [group["label"] for group in groups] == ["1-5", "6-10", "never seen"]
    for group in groups:
        values = f"{group['sentences']} {group['bleu']:.2f} {group['chrf']:.2f}"
        assert f"{group['label']} {values} few sentences, little meaning" in rows
    assert "\x1b" not in out, "no colours where nobody looks"


def test_faults_are_counted(result, capsys):
    repeated = replace(result.translations[0], text="go go go")
    damaged = replace(result, translations=[repeated, *result.translations[1:]])
    print_evaluation(damaged, "runs/tiny", "test.de")
    assert "repeated           1    8.3%  something stands three" in capsys.readouterr().out


def test_missing_word_counts_are_told(result, capsys):
    print_evaluation(replace(result, word_counts=None), "runs/tiny", "test.de")
    out = capsys.readouterr().out
    assert out.endswith("Unknown, since runs/tiny/source_words.tsv is not there.\n")


def test_sources_without_spaces_are_measured_in_characters(result, capsys):
    print_evaluation(replace(result, source_language="ja"), "runs/tiny", "test.ja")
    out = capsys.readouterr().out
    assert "By length of the source in characters" in out
    assert "By the rarest character of the source" in out


def test_many_sentences_are_not_called_few(result, capsys):
    many = result.select(list(range(12)) * 10)
    print_evaluation(many, "runs/tiny", "test.de")
    assert "few sentences" not in capsys.readouterr().out


def test_a_comparison_shows_both_scores_and_a_verdict(result, capsys):
    many = result.select(list(range(12)) * 3)
    print_comparisons(many.statistics, many.statistics, names=("runs/a", "runs/b.txt"))
    out = capsys.readouterr().out
    value = many.scores["bleu"].value
    assert "\na against b.txt\n" in out
    assert f"{value:.2f}" in out
    assert "No difference in BLEU can be claimed between a and b.txt (p = 1.00).\n" in out
    assert "Tested by the two-sided paired bootstrap with 1,000 resamples." in out


def test_systems_of_one_name_keep_their_folders(result, capsys):
    print_comparisons(result.statistics, result.statistics, names=("new/run", "old/run"))
    assert "between new/run and old/run with so few sentences (12)." in capsys.readouterr().out


def test_the_scores_of_a_run_stand_side_by_side(result, tiny_recipe, tmp_path, capsys):
    results = {"test": result, "test_part": result.select([0, 11])}
    print_results(results, tmp_path, tiny_recipe)
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name, found in results.items():
        values = " ".join(f"{score.value:.2f}" for score in found.scores.values())
        bleu = found.scores["bleu"]
        speed = found.sentences_per_second
        expected = f"{name} {len(found)} {values} {bleu.low:.2f} to {bleu.high:.2f}"
        assert (expected if speed is None else f"{expected} {speed:,.0f}") in rows


@pytest.mark.parametrize("pearson", [0.4, 0.6])
def test_a_calibration_that_is_worth_nothing_says_so(pearson, capsys):
    baseline = "of_mean_log_probability"
    measured = {"pearson": pearson, "spearman": 0.5}
    measured |= {f"{name}_{baseline}": 0.5 for name in measured}
    quality = Quality(50.0, {}, [], {}, measured)
    print_calibration(Calibration(quality, np.arange(10.0), np.arange(10.0) / 10))
    said = (
        "The confidence tells less than the mean log-probability alone" in capsys.readouterr().out
    )
    assert said == (pearson < 0.5)
