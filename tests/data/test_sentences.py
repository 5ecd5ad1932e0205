import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.sentences import (
    count_words,
    join_sentences,
    pack,
    split_clauses,
    split_sentences,
    split_words,
)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Er kam. |Sie ging! |Warum denn? |Keiner weiß es"),
        ("de", "Ein Hund schläft . |Eine Katze rennt ."),
        ("de", "„Komm!“ rief er. |«Wirklich er?» |„Ja doch.“ |Gut."),
        ("de", "Am 3. Mai kam z. B. J. Smith, um 10. Uhr. |Na ja."),
        ("de", "Äpfel, Birnen usw. Sie kosten ca. 3 Euro bzw. 4 Euro."),
        ("en", 'He said "Stop." |She did not. |(But why?) |So.'),
        ("en", "Wait for me... |Really now?! |Oh yes…  |No."),
        ("en", "Prof. Dr. Kim came. |St. Mary. |Yes."),
        ("en", "Gen. Lee vs. Grant. |No. 5 came. |So did Watson Jr. and Inc. Magazine."),
        ("en", "See Fig. 3. |Is it No. 4? |No. |It is my fig. |Eat it."),
        ("en", "I am 5. |You are 6. |In 1999. |Then 2001. |End."),
        ("en", "1. Open the door. |2. Go in."),
        ("en", "Section 3. 2 says so."),
        ("en", "Version 2.0 of example.com, etc. and so on... or not"),
        ("en", "all is small. |even where it begins."),
        ("en", 'They go home . "'),
        ("en", "no end at all"),
        ("en", ""),
        ("en", "..."),
        ("ja", "今日は晴れ。|明日は雨？|そうだ！|「はい。」|終わり"),
        (
            "ja",
            "「はい。」と言った。|「やめて！」って叫んだ。|「なに？」などと聞く。|「え。」の一言。",
        ),
        ("ja", "「はい。」|とても良い。|「行く。」|ところで、明日は？"),
        ("ko", "그는 왔다. |그녀는 갔다! |왜 갔지? |모른다."),
        ("ko", '"네."라고 말했다. |2020. 5. 3. 출발.'),
        ("zh", "他来了。|她走了？|是的。"),
    ],
)
def test_sentences_end_at_their_marks(language: str, text: str) -> None:
    assert split_sentences(text.replace("|", ""), language) == text.split("|")


PIECES = st.sampled_from(
    [*'ab1.?!…。！？"”」) \u3000', "다", ". ", "A b", "12.", "Dr.", "No. ", "。」と", ", ", "、"]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join).map(str.strip)


@given(text=TEXTS, language=st.sampled_from(["en", "de", "ja"]))
def test_sentences_joined_are_the_text(text: str, language: str) -> None:
    sentences = split_sentences(text, language)
    assert "".join(sentences) == text
    assert all(sentence.strip() for sentence in sentences) or not text


@given(text=TEXTS, limit=st.integers(1, 9))
def test_clauses_and_words_joined_are_the_text_and_packed_ones_fit(text: str, limit: int) -> None:
    for split in (split_clauses, split_words):
        parts = split(text)
        assert "".join(parts) == text
        packed = pack(parts, lambda part: len(part) <= limit)
        assert "".join(packed) == text
        assert all(len(one) <= limit or one in parts for one in packed)


def test_clauses_end_at_commas_and_words_at_spaces() -> None:
    assert split_clauses("Yes, at 12:30, 1,5 km; go") == ["Yes, ", "at 12:30, ", "1,5 km; ", "go"]
    assert split_clauses("はい、そう，ね") == ["はい、", "そう，", "ね"]
    assert split_words("a  dog .") == ["a  ", "dog ", "."]
    assert pack(["a ", "b ", "cdefg ", "h"], lambda part: len(part) <= 4) == ["a b ", "cdefg ", "h"]


@pytest.mark.parametrize(
    "text",
    ["." * 100_000, ".)" * 50_000, "a." * 50_000, "。" * 100_000, ". " * 50_000, "a. " * 30_000],
)
def test_the_time_is_linear(text: str) -> None:
    started = time.process_time()
    split_sentences(text, "en")
    split_clauses(text)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("language", "text"), [("en", "a. b."), ("ja", "a.b."), ("zh-TW", "a.b."), ("ko", "a. b.")]
)
def test_translations_are_joined_as_the_language_writes(language: str, text: str) -> None:
    assert join_sentences(["a.", "", "b."], language) == text


def test_words_are_counted_as_the_language_writes() -> None:
    assert count_words("a  dog .", "en") == 3
    assert count_words("犬 がいる。", "ja") == 5
    assert count_words("", "en") == count_words(" ", "zh") == 0
