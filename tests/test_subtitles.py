import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError
from seq2seq.line_breaks import share_out
from seq2seq.subtitles import Subtitles, may_end

TIMES = "00:00:{:02},000 --> 00:00:{:02},900"


def lines_of(*cues, language=None):
    """Cues of text lines, a second each."""
    lines = []
    for number, cue in enumerate(cues, 1):
        lines += [str(number), TIMES.format(number, number), *cue.splitlines(), ""]
    return lines


def sentences(*cues, language="de"):
    found = Subtitles(lines_of(*cues), 1, language).to_translate()
    return [sentence for _, sentence in found]


def translated(cues, translations, languages=("de", "en")):
    """The texts of the cues after translation, given those of their sentences."""
    lines = lines_of(*cues)
    subtitles = Subtitles(lines, 1, languages[0])
    written = subtitles.join(iter(translations), languages[1])
    assert len(written) == len(lines)
    text = "\n".join(written)
    found = re.split(r"(?:^|\n\n+)\d+\n00:.*\n?", text)[1:]
    return [cue.strip("\n") for cue in found]


def test_a_sentence_that_runs_over_cues_is_one():
    cues = ["Ein Mann, der", "auf einer Leiter\nsteht, winkt.", "Er lacht. Dann", "geht er."]
    assert sentences(*cues) == [
        "Ein Mann, der auf einer Leiter steht, winkt.",
        "Er lacht.",
        "Dann geht er.",
    ]
    assert translated(
        cues, ["A man standing on a ladder waves.", "He laughs.", "Then he goes."]
    ) == ["A man standing", "on a ladder\nwaves.", "He laughs. Then", "he goes."]


@pytest.mark.parametrize(
    "cues",
    [
        pytest.param(("Er sagt", "- Nein.", "- Doch."), id="speakers"),
        pytest.param(("Er sagt", "[Musik]", "Ja."), id="noises"),
        pytest.param(("Er sagt", "♪ la la", "Ja."), id="songs"),
        pytest.param(("Er sagt", "BERLIN.", "Ja."), id="signs"),
        pytest.param(("eins", "zwei", "drei", "vier", "fünf", "sechs."), id="no full stops"),
        pytest.param(("Er sagt", "nichts mehr"), id="no end"),
    ],
)
def test_what_does_not_go_on_stays_apart(cues):
    assert sentences(*cues) == [cue.removeprefix("- ").removeprefix("♪ ") for cue in cues]


def test_a_long_pause_ends_a_sentence():
    lines = ["1", "00:00:01,000 --> 00:00:02,000", "Er sagt", ""]
    later = ["2", "00:00:{},000 --> 00:00:09,500", "nichts.", ""]
    for second, expected in (("04", 1), ("09", 2)):
        cues = [*lines, *(line.format(second) for line in later)]
        assert len(Subtitles(cues, 1, "de").to_translate()) == expected


def test_speakers_of_a_cue_keep_their_lines():
    (cue,) = translated(["<i>- Ja, gut.</i>\n– Nein,\nnie!"], ["Yes, fine.", "No, not at all!"])
    assert cue == "<i>- Yes, fine.</i>\n– No, not\nat all!"


def test_tags_stay_where_they_were():
    cues = ["{\\an8}Das <i>große</i> Haus", "<b>brennt.</b>", "- ♪ Sie singt ♪"]
    assert translated(cues, ["The large house burns.", "She sings"]) == [
        "{\\an8}The <i>large</i> house",
        "<b>burns.</b>",
        "- ♪ She sings ♪",
    ]


def test_tags_around_nothing_stay_in_order():
    assert translated(["Der große <i>Hund</i>"], ["Dog"]) == ["Dog <i></i>"]


def test_tags_within_a_word_part_none():
    assert sentences("Er sah die „<i>Titanic</i>“ sinken.") == ["Er sah die „Titanic“ sinken."]


def test_what_holds_no_letters_stays_as_it_is():
    cues = ["♪  ♪", "- ...\n-  ?", "1984"]
    assert sentences(*cues) == []
    assert translated(cues, []) == cues


def test_fewer_words_than_lines_leave_blank_lines_after_the_cue():
    cues = ["Auf\nWiedersehen!", "Ja."]
    lines = lines_of(*cues)
    written = Subtitles(lines, 1, "de").join(iter(["Bye!", ""]), "en")
    assert written == [*lines[:2], "Bye!", "", "", *lines[5:7], "", ""]


def test_languages_without_spaces_are_shared_out_by_characters():
    cues = ["彼は昨日", "東京に行った。"]
    assert sentences(*cues, language="ja") == ["彼は昨日東京に行った。"]
    assert translated(
        ["He went to Tokyo", "with IBM, ok?"], ["東京へIBMと、行った。"], ("en", "ja")
    ) == ["東京へIBMと、", "行った。"]


@pytest.mark.parametrize(
    ("cues", "text", "expected"),
    [
        (["Er ist nett\nzu uns."], "彼は私たちに親切です。", "彼は私たちに\n親切です。"),
        (["Ja, ich gehe\nmorgen nach Hause."], "はい、明日帰ります。", "はい、\n明日帰ります。"),
        (
            ["<i>Er geht heute\nnach Tokio.</i>"],
            "彼は今日東京へ行く。",
            "<i>彼は今日東京へ\n行く。</i>",
        ),
    ],
    ids=["phrases", "clauses", "tags around all"],
)
def test_lines_without_spaces_begin_with_phrases(cues, text, expected):
    assert translated(cues, [text], ("de", "ja")) == [expected]


def test_lines_without_spaces_part_no_words_that_are_known():
    lines = lines_of("Der Mann geht\nnach Hause.")
    begins = [0, 2, 4, 6]
    written = Subtitles(lines, 1, "de").join(iter(["男人正在回家去"]), "zh", iter([begins]))
    assert len(written[2]) in begins and "".join(written[2:4]) == "男人正在回家去"


def test_tags_part_no_words_that_are_known():
    lines = lines_of("Er ist <i>sehr nett</i>\nzu uns.")
    begins = [0, 1, 2, 4, 6]
    written = Subtitles(lines, 1, "de").join(iter(["彼は親切ですね。"]), "ja", iter([begins]))
    assert written[2:4] == ["彼は", "<i>親切です</i>ね。"]


def test_cues_without_spaces_part_no_phrase():
    cues = ["Der Mann ist", "<i>nett</i>."]
    assert translated(cues, ["彼は親切ですね。"], ("de", "ja")) == ["彼は", "<i>親切です</i>ね。"]


def test_of_a_blank_translation_no_tags_are_left():
    cues = ["<i>Ein Mann</i>", "<b>geht.</b>", "- Ja.\n- Nein."]
    assert translated(cues, ["", "", "No."]) == ["", "", "- No."]


def test_vowel_signs_stay_with_their_letters():
    (cue,) = translated(["Eins zwei\ndrei."], ["กินข้าวแล้ว"], ("de", "th"))
    assert not any(line.startswith(("้", "ิ")) for line in cue.splitlines())
    assert cue.replace("\n", "") == "กินข้าวแล้ว"


@pytest.mark.parametrize(
    "lines, number",
    [
        pytest.param(["Hallo"], 7, id="no times"),
        pytest.param(["1", "Hallo"], 7, id="a number without times"),
        pytest.param(["1", TIMES, "Hallo", "", "Welt"], 11, id="a blank line in a cue"),
        pytest.param(["1", "00:01 -> 00:02", "Hallo"], 7, id="times of another kind"),
        pytest.param(["1", TIMES, "Hallo", "2", "0:1 --> x"], 11, id="damaged times"),
    ],
)
def test_a_line_of_no_cue_is_named(lines, number):
    lines = [line.format(1, 2) for line in lines]
    with pytest.raises(ConfigurationError, match=f"^line {number} of the input, .*no subtitle"):
        Subtitles(lines, 7, "de")


def test_odd_cues_are_read():
    lines = ["0:01.5 --> 0:02 X1:5", "Hallo.", "2", TIMES.format(3, 4), "", "3", "00:05 --> 00:06"]
    subtitles = Subtitles(lines, 5, "de")
    assert subtitles.to_translate() == [(6, "Hallo.")]
    assert subtitles.join(iter(["Hello."]), "en") == [lines[0], "Hello.", *lines[2:]]


def test_windows_end_between_cues_and_best_between_sentences():
    lines = lines_of("Er", "geht.", "<i>Ja</i>")
    assert [n for n in range(1, 13) if may_end(lines[:n], late=False)] == [8]
    assert [n for n in range(1, 13) if may_end(lines[:n], late=True)] == [4, 8, 12]
    assert may_end([""], late=False)
    assert may_end(["1", TIMES.format(1, 2), ""], late=False)


words = st.text("abä.", min_size=1, max_size=9)


@given(st.lists(words, max_size=12), st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_shares_are_in_proportion(given_words, sizes):
    parts = share_out(given_words, sizes)
    assert [word for part in parts for word in part] == given_words
    assert len(parts) == len(sizes)
    if len(given_words) >= len(sizes):
        assert all(parts)
    # No border would lie nearer to its place if it alone moved by a word.
    lengths = [sum(len(word) + 1 for word in part) for part in parts]
    total = sum(lengths)
    for k in range(1, len(sizes)):
        off = sum(lengths[:k]) - sum(sizes[:k]) * total / sum(sizes)
        neighbour = parts[k - 1][-1:] if off > 0 else parts[k][:1]
        is_free = len(parts[k - 1] if off > 0 else parts[k]) > 1
        if neighbour and is_free:
            assert abs(off) <= (len(neighbour[0]) + 1) / 2 + 1e-9


texts = st.lists(st.sampled_from(["er", "Ein", "Mann,", "geht.", "Ja!", "3", "lange"]), min_size=1)
cues = st.lists(st.lists(texts.map(" ".join), min_size=1, max_size=3).map("\n".join), max_size=8)


@given(cues)
def test_a_translation_that_is_the_source_changes_no_cue(given_cues):
    found = translated(given_cues, sentences(*given_cues))
    assert [cue.split() for cue in found] == [cue.split() for cue in given_cues]
    for cue, before in zip(found, given_cues, strict=True):
        assert cue.count("\n") <= before.count("\n")
