import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.sentences import count_words, join_sentences, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Er kam. Sie ging! Warum denn? Keiner weiß es", 4),
        ("Ein Hund schläft . Eine Katze rennt .", 2),
        ("„Komm!“ rief er. «Wirklich er?» „Ja doch.“ Gut.", 4),
        ('He said "Stop." She did not. (But why?) So.', 4),
        ("Wait for me... Really now?! Oh yes…  No.", 4),
        ("Prof. Dr. Kim came. St. Mary. Yes.", 3),
        ("今日は晴れ。明日は雨？そうだ！「はい。」終わり", 5),
        ("그는 왔다. 그녀는 갔다! 왜 갔지? 모른다.", 4),
        ("他来了。她走了？是的。", 3),
        ("Am 3. Mai kam z. B. J. Smith, um 10. Uhr", 1),
        ("In 1999. Then 2001. End.", 3),
        ("Version 2.0 of example.com, etc. and so on... or not", 1),
        ("all is small. even where it begins.", 2),
        ("no end at all", 1),
        ("", 1),
        ("...", 1),
    ],
)
def test_sentences_end_at_their_marks(text: str, sentences: int) -> None:
    found = split_sentences(text)
    assert len(found) == sentences
    assert "".join(found) == text


PIECES = st.sampled_from([*'ab1.?!…。！？"”」) \u3000', "다", ". ", "A b", "12."])


@given(text=st.lists(PIECES, max_size=40).map("".join).map(str.strip))
def test_sentences_joined_are_the_text(text: str) -> None:
    sentences = split_sentences(text)
    assert "".join(sentences) == text
    assert all(sentence.strip() for sentence in sentences) or not text


@pytest.mark.parametrize("text", ["." * 100_000, ".)" * 50_000, "a." * 50_000, "。" * 100_000])
def test_the_time_is_linear(text: str) -> None:
    started = time.process_time()
    split_sentences(text)
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
