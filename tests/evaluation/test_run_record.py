import pytest

from seq2seq.evaluation.run_record import (
    RunRecord,
    counted_units,
    interval,
    language_name,
    minutes,
    number,
    score_of,
    weights,
)


def record(**values):
    return RunRecord("a", "ko", "en", {}, **values)


@pytest.mark.parametrize(
    ("code", "name"),
    [("ko", "Korean"), ("zh-Hant", "Chinese"), ("pt_BR", "Portuguese"), ("tlh", "tlh")],
)
def test_languages_have_their_names_where_they_are_known(code, name):
    assert language_name(code) == name


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.71, "0.7 min"), (37.4, "37 min"), (89.9, "90 min"), (150, "2.5 h"), (None, None)],
)
def test_times_are_in_words(value, words):
    assert minutes(record(training={"minutes": value})) == words


@pytest.mark.parametrize(
    ("count", "words"), [(7_872_744, "7.9 million"), (80, "80"), (999_999, "999,999"), (0, None)]
)
def test_sizes_are_in_words(count, words):
    assert weights(record(num_weights=count)) == words


def test_the_weights_of_the_log_stand_in_for_those_of_a_missing_file():
    assert weights(record(training={"weights": 2_000_000})) == "2.0 million"


@pytest.mark.parametrize("value", [None, True, "3", float("nan"), float("inf"), [1], 10**400])
def test_what_is_no_finite_number_is_none(value):
    assert number(value) is None
    assert score_of(record(scores={"test": {"bleu": {"value": value}}}), "test", "bleu") is None


def test_a_range_needs_both_ends():
    assert interval({"low": 40.04, "high": 42.06}) == "40.0–42.1"
    assert interval({"low": 40.0, "high": None}) == interval({}) == ""


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("nrefs:1|case:mixed|tok:char|smooth:exp", "characters"),
        ("tok:13a", "words and punctuation marks"),
        ("tok:intl", "intl"),
        ("nrefs:1", ""),
    ],
)
def test_what_bleu_counted_is_named(signature, words):
    assert counted_units(signature) == words


def test_the_set_that_is_looked_at_has_sentences_or_at_least_scores():
    scores = {"dev": {}, "test": {}, "test_unseen": {}}
    assert record(scores=scores).first_set == "test"
    assert record(scores=scores, sentences={"test_unseen": [{}]}).first_set == "test_unseen"
    assert record(scores={"dev": {}}).first_set == record().first_set == ""
