from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.evaluation.analysis import (
    group_by_length,
    group_by_rarest_word,
    is_copied,
    is_empty,
    is_repeated,
    length_unit,
    show_sentences,
    split_words,
)


def test_the_best_the_worst_and_some_others_are_shown():
    chrf = [50.0, 90.0, 10.0, 70.0, 30.0, 80.0, 20.0, 60.0, 40.0, 55.0, 45.0, 65.0]
    references = ["words"] * len(chrf)
    shown = show_sentences(chrf, references)
    assert list(shown) == ["best", "worst", "random"]
    assert shown["best"] == [1, 5, 3]
    assert shown["worst"] == [2, 6, 4]
    assert len(shown["random"]) == 4
    assert shown == show_sentences(chrf, references)


def test_of_sentences_that_are_as_good_longer_ones_are_shown():
    references = ["Yes.", "A longer sentence.", "No.", "bad", "even worse", "The longest sentence."]
    shown = show_sentences([100.0, 100.00000001, 100.0, 0.0, 0.0, 100.0], references)
    assert shown["best"] == [5, 1, 0]
    assert shown["worst"] == [4, 3, 2]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([0.0, 20.0, 50.0, 50.5, 100.0]), max_size=30))
def test_no_sentence_is_shown_twice(chrf):
    shown = show_sentences(chrf, ["word"] * len(chrf))
    indices = [index for chosen in shown.values() for index in chosen]
    assert len(indices) == len(set(indices)) == min(len(chrf), 10)
    assert set(indices) <= set(range(len(chrf)))
    if chrf:
        assert chrf[shown["best"][0]] == max(chrf)
    if len(chrf) > 3:
        assert chrf[shown["worst"][0]] == min(chrf)


def test_sentences_are_grouped_by_their_words():
    sentences = ["w " * length for length in (7, 1, 5, 51, 6, 300, 0, 30, 31)]
    assert group_by_length(sentences, "en") == {
        "0": [6],
        "1-5": [1, 2],
        "6-10": [0, 4],
        "26-30": [7],
        "31-40": [8],
        "51+": [3, 5],
    }


@pytest.mark.parametrize("language", ["ja", "zh-Hant", "th", "ja_JP"])
def test_sentences_without_spaces_are_grouped_by_their_characters(language):
    sentences = ["猫" * 10, "猫" * 11, "猫 " * 10, "猫" * 101]
    groups = group_by_length(sentences, language)
    assert groups == {"1-10": [0, 2], "11-20": [1], "101+": [3]}
    assert length_unit(language) == "characters"
    assert length_unit("ko") == "words"


def test_sentences_are_grouped_by_their_rarest_word():
    counts = {"a": 5000, "dog": 100, "runs": 99, "away": 10, "from": 9, "old": 2, "mill": 1}
    sentences = ["A dog!", "a mill", "a dog runs", "a zebra", "old dog", "from away", "Away."]
    assert group_by_rarest_word([*sentences, "?"], counts, "en") == {
        "never seen": [3],
        "seen once": [1],
        "seen 2-9 times": [4, 5],
        "seen 10-99 times": [2, 6],
        "seen 100+ times": [0],
        "no words": [7],
    }


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.text("ab 猫.", max_size=60), max_size=8), st.sampled_from(["en", "ja"]))
def test_every_sentence_is_in_one_group(sentences, language):
    for groups in (
        group_by_length(sentences, language),
        group_by_rarest_word(sentences, {"a": 3, "猫": 50}, language),
    ):
        assert sorted(chain(*groups.values())) == list(range(len(sentences)))
        assert all(groups.values())


@pytest.mark.parametrize(
    ("sentence", "language", "expected"),
    [
        ("Ein Hut, der STRASSE-Kante.", "de", ["ein", "hut", "der", "strasse", "kante"]),
        ("그는 “집”에 간다.", "ko", ["그는", "집", "에", "간다"]),
        ("हिन्दी भाषा।", "hi", ["हिन्दी", "भाषा"]),
        ("猫が 好き。", "ja", ["猫", "が", "好", "き"]),
        ("5 € + a", "en", ["5", "a"]),
        ("?!", "en", []),
    ],
)
def test_words_have_no_case_and_no_punctuation(sentence, language, expected):
    assert split_words(sentence, language) == expected


@pytest.mark.parametrize(
    ("hypothesis", "reference", "language", "expected"),
    [
        ("a a a dog", "a dog", "en", True),
        ("a a dog", "a dog", "en", False),
        ("in the park in the park in the park .", "in the park .", "en", True),
        ("one two three four " * 3, "one two three four", "en", True),
        ("one two three four five " * 3, "one two three four five", "en", False),
        ("no no no", "no no no !", "en", False),
        ("no no no", "yes yes yes", "en", True),
        ("a b a c a", "a b c", "en", False),
        ("猫猫猫がいる", "猫がいる", "ja", True),
        ("猫が猫が猫がいる", "猫がいる", "ja", True),
        ("ははは", "ははは", "ja", False),
        ("1000円", "千円", "ja", False),
        ("aaa bbb", "a b", "en", False),
        ("", "a", "en", False),
    ],
)
def test_repetitions(hypothesis, reference, language, expected):
    assert is_repeated(hypothesis, reference, language) is expected


@pytest.mark.parametrize(
    ("hypothesis", "source", "reference", "expected"),
    [
        ("Ein Hund.", "Ein Hund.", "A dog.", True),
        ("ein  hund .", "Ein Hund.", "A dog.", True),
        ("Berlin", "Berlin", "Berlin", False),
        ("berlin", "Berlin", "BERLIN ", False),
        ("A dog.", "Ein Hund.", "A dog.", False),
        ("", "", "A dog.", False),
    ],
)
def test_copies(hypothesis, source, reference, expected):
    assert is_copied(hypothesis, source, reference) is expected


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [("", "a", True), (" ", "a", True), ("", "", False), ("a", "a", False), ("a", "", False)],
)
def test_empty_translations(hypothesis, reference, expected):
    assert is_empty(hypothesis, reference) is expected
