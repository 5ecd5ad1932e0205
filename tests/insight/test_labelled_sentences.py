from dataclasses import replace

import pytest

from seq2seq.config import ConfigurationError
from seq2seq.data.phrasebook.corpus import PhrasebookPair
from seq2seq.insight import labelled_sentences
from seq2seq.insight.labelled_sentences import phrasebook_sentences, read_labelled


def pair(korean, english, level):
    return PhrasebookPair(korean, english, "being", "present", level, "third", (), ())


@pytest.fixture
def splits(monkeypatch):
    """Two English sentences, of which one has two Korean ones, and a third for the tests."""
    found = {
        "train": [pair("비가 온다.", "It rains.", "plain")],
        "dev": [
            pair("그는 잔다.", "He sleeps.", "plain"),
            pair("그는 자요.", "He sleeps.", "polite"),
            pair("그는 왔다.", "He came.", "plain"),
        ],
        "test": [replace(pair("그는 갔습니다.", "He went.", "formal"), tense="past")],
    }
    monkeypatch.setattr(labelled_sentences, "load_phrasebook", lambda: found)
    return found


def test_sentences_of_the_phrasebook_have_their_labels_and_test_is_held_out(splits):
    found = phrasebook_sentences("ko")
    pairs = [*splits["dev"], *splits["test"]]
    assert list(found.sentences) == [each.korean for each in pairs]
    assert found.labels == {
        "tense": ["present", "present", "present", "past"],
        "person": ["third"] * 4,
        "politeness": ["plain", "polite", "plain", "formal"],
        "pattern": ["being"] * 4,
    }
    assert list(found.is_held_out) == [False, False, False, True]


def test_no_english_sentence_stands_there_twice(splits):
    found = phrasebook_sentences("en-GB")
    assert sorted(found.sentences) == ["He came.", "He sleeps.", "He went."]
    politeness = dict(zip(found.sentences, found.labels["politeness"], strict=True))
    assert politeness["He sleeps."] == "plain", "that of the first Korean one"
    assert dict(zip(found.sentences, found.is_held_out, strict=True)) == {
        "He sleeps.": False,
        "He came.": False,
        "He went.": True,
    }


def test_other_languages_need_a_table(splits):
    with pytest.raises(ConfigurationError, match="translates from de; give `sentences`"):
        phrasebook_sentences("de")


def write(tmp_path, *lines):
    file = tmp_path / "sentences.tsv"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(file)


def test_a_table_gives_sentences_and_labels_and_half_of_them_are_held_out(tmp_path):
    rows = [
        f"sentence {number % 15}\t{number % 3}\t{'' if number else 'x'}" for number in range(30)
    ]
    found = read_labelled(write(tmp_path, "sentence\tkind\trest", *rows))
    assert list(found.sentences) == [f"sentence {number % 15}" for number in range(30)]
    assert list(found.labels) == ["kind", "rest"]
    assert list(found.labels["kind"]) == [str(number % 3) for number in range(30)]
    assert list(found.labels["rest"]) == ["x"] + [""] * 29
    sides = dict(zip(found.sentences, found.is_held_out, strict=True))
    assert sum(sides.values()) == 7, "of fifteen different ones"
    assert all(
        sides[sentence] == side
        for sentence, side in zip(found.sentences, found.is_held_out, strict=True)
    ), "the same sentence is never on both sides"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the first line must name"),
        (["sentence", "one"], "the first line must name"),
        (["sentence\tkind", "one\ta", "two"], "line 3 must have 2 columns, .* but has 1"),
        (["sentence\tkind", "one\ta"], "must have at least 10 different sentences, but has 1"),
        (["sentence\tkind", *["one\ta"] * 20], "at least 10 different sentences, but has 1"),
        (["sentence\tkind"], "must have at least 10 different sentences, but has 0"),
        (["sentence\tkind\tx\tkind"], "the first line names 2 columns 'kind'; give each a name"),
    ],
    ids=["empty", "no labels", "a column is missing", "too short", "alike", "header", "two names"],
)
def test_what_is_no_table_is_refused(tmp_path, lines, message):
    with pytest.raises(ConfigurationError, match=message):
        read_labelled(write(tmp_path, *lines))
