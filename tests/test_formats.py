import dataclasses
import json

import pytest

from seq2seq.config import ConfigurationError
from seq2seq.formats import FORMATS
from seq2seq.translation import Translation

SURE = Translation("A dog.", -1.0, -2.0, ["A", "dog.", "</s>"], ["x", "</s>"], confidence=0.8)
DOUBTFUL = dataclasses.replace(SURE, text="A cat.", confidence=0.2, is_doubtful=True)
WITHHELD = dataclasses.replace(DOUBTFUL, text="", is_withheld=True)
CUES = [
    *("1", "00:00:01,000 --> 00:00:02,000", "Eins.", ""),
    *("2", "00:00:03,000 --> 00:00:04,000", "Zwei.", ""),
    *("3", "00:00:05,000 --> 00:00:06,000", "Drei.", ""),
]


def write(name, lines, *translations):
    found = [dataclasses.replace(each, alternatives=(each,)) for each in translations]
    sources = FORMATS[name].sources(lines, 1, "de")
    assert len(sources) == len(found)
    return FORMATS[name].outputs(lines, found, ("de", "en"))


def test_lines_of_text_are_marked_or_blank():
    assert write("text", ["a", "b", "c"], SURE, DOUBTFUL, WITHHELD) == [
        "A dog.",
        "[?] A cat.",
        "",
    ]


def test_fragments_of_html_are_marked_before_their_tags():
    marked = write("html", ["<b>a</b>", "b"], DOUBTFUL, WITHHELD)
    assert marked[0].startswith("[?] ") and marked[0].count("[?]") == 1
    assert marked[1] == ""


def test_fragments_that_are_kept_stay_as_they_are():
    lines = ['<span translate="no">a</span>.', "<code>b</code>"]
    assert [source.text for _, source in FORMATS["html"].sources(lines, 1, "de")] == ["", ""]
    assert write("html", lines, SURE, WITHHELD) == lines


def test_each_sentence_of_a_document_is_marked_by_itself():
    lines = ["- Eins. Zwei. Drei.", "Vier."]
    translations = (SURE, DOUBTFUL, WITHHELD, WITHHELD)
    assert write("document", lines, *translations) == ["- A dog. [?] A cat.", ""]


def test_each_sentence_of_subtitles_is_marked_by_itself():
    written = write("srt", CUES, SURE, DOUBTFUL, WITHHELD)
    assert [written[place] for place in (2, 6, 10)] == ["A dog.", "[?] A cat.", ""]
    assert [line for n, line in enumerate(written) if n % 4 != 2] == [
        line for n, line in enumerate(CUES) if n % 4 != 2
    ]


def test_tables_have_doubt_in_columns_and_lines_of_json_in_members():
    rows = [line.split("\t") for line in write("tsv", ["a", "b", "c"], SURE, DOUBTFUL, WITHHELD)]
    assert [row[1:] for row in rows] == [
        ["A dog.", "-1.000000", "0.8000", ""],
        ["A cat.", "-1.000000", "0.2000", "doubtful"],
        ["", "-1.000000", "0.2000", "withheld"],
    ]
    lines = write("jsonl", ["a", "b", "c"], SURE, DOUBTFUL, WITHHELD)
    found = [json.loads(line) for line in lines]
    assert [(each["text"], each["confidence"]) for each in found] == [
        ("A dog.", 0.8),
        ("A cat.", 0.2),
        ("", 0.2),
    ]
    assert [each["doubtful"] for each in found] == [False, True, True]
    assert [each["withheld"] for each in found] == [False, False, True]


def test_what_nobody_knows_has_no_column_and_no_member():
    unknown = dataclasses.replace(SURE, confidence=None)
    assert write("tsv", ["a"], unknown) == ["a\tA dog.\t-1.000000"]
    (line,) = write("jsonl", ["a"], unknown)
    assert not json.loads(line).keys() & {"confidence", "doubtful", "withheld"}


@pytest.mark.parametrize("name", ["text", "html", "srt", "document"])
def test_formats_of_texts_have_room_for_one_translation(name):
    FORMATS[name].check(1)
    with pytest.raises(ConfigurationError, match=f"`--n_best` 2 has no room in `--format {name}`"):
        FORMATS[name].check(2)
    with pytest.raises(ConfigurationError, match=f"`--details` has no room in `--format {name}`"):
        FORMATS[name].check(None, details=True)


def test_whoever_needs_a_format_is_not_sent_to_another():
    with pytest.raises(ConfigurationError, match=r"which holds one translation of each sentence"):
        FORMATS["srt"].check(2)


@pytest.mark.parametrize("name", ["text", "tsv", "jsonl", "html", "document"])
def test_lines_can_be_parted_anywhere_but_those_of_subtitles(name):
    assert FORMATS[name].may_end(["Eins,"], late=False)
    assert not FORMATS["srt"].may_end(CUES[:3], late=True)
    assert FORMATS["srt"].may_end(CUES[:4], late=False)


def test_no_control_character_of_a_line_that_stays_is_written():
    (line,) = write("document", ["\x1b[2; 12\t%"])
    assert line == " [2; 12\t%"
