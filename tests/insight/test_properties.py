import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.phrasebook.corpus import load_phrasebook
from seq2seq.insight.properties import PROPERTIES

# Where a property holds, below the text.
MARKED = {
    'x = "a b" + y\n': '    ^^^^      ',
    'x = "a \\" b"\n': "    ^^^^^^^  ",
    "don't 'say' it's\n": "      ^^^^       ",
    '"""A "text" of two\nlines.""" +\n': "^" * 27 + "    ",
    'open "quote\nand end" of it\n': " " * 27,
    "er sagt „ja“ und “no”\n": "        ^^^      ^^^  ",
    '""\n': "^  ",
    "f'{a}' r'\\d'\n": " ^^^^   ^^^  ",
    "x = rb'a' + Fr'b'\n": "      ^^      ^^  ",
    "f'''a'b\nc''' + ''\n": " ^^^^^^^^^^    ^  ",
    "if'a' b\n": "        ",
}  # fmt: skip


@pytest.mark.parametrize("text", MARKED, ids=range(len(MARKED)))
def test_quotes_reach_from_the_opening_mark_to_before_the_closing_one(text: str) -> None:
    marks = "".join(" ^"[int(value)] for value in PROPERTIES["quotes"](text))
    assert marks == MARKED[text]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("brackets", "f(a[1], {2})\n", "0112211122100"),
        ("brackets", "((\n\n)(\n", "1220011"),
        ("line_length", "ab\n\nabc\n", "12311234"),
        ("indentation", "  a\nb\n   \n", "1222001233"),
        ("word_end", "I can, e3.\n", "10001000100"),
    ],
    ids=["brackets", "unclosed", "line_length", "indentation", "word_end"],
)
def test_properties_are_counted_letter_by_letter(name: str, text: str, expected: str) -> None:
    assert list(PROPERTIES[name](text)) == [float(digit) for digit in expected]


def test_the_position_is_a_share_of_each_line() -> None:
    assert list(PROPERTIES["position"]("abc\n\n")) == [0.25, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize(
    ("korean", "is_polite"),
    [
        ("나는 갑니다.", True),
        ("어디에 갑니까?", True),
        ("같이 갑시다.", True),
        ("저는 가요.", True),
        ("가십시오.", True),
        ("좋죠!", True),
        ("나는 늑대가 아니다.", False),
        ("눈이 오니까 간다.", False),
        ("요리를 한다.", False),
        ("나는 고양이로소이다.", False),
    ],
    ids=range(10),
)
def test_politeness_is_told_by_the_end_of_a_korean_line(korean: str, is_polite: bool) -> None:
    text = f"{korean}\n"
    assert list(PROPERTIES["politeness"](text)) == [float(is_polite)] * len(text)


@pytest.mark.slow
def test_politeness_is_that_of_every_sentence_of_the_phrasebook() -> None:
    for pair in load_phrasebook()["test"]:
        is_polite = pair.speech_level in ("polite", "formal")
        assert PROPERTIES["politeness"](pair.korean)[0] == is_polite, pair


@given(st.sampled_from(sorted(PROPERTIES)), st.text("ab \n\"'([{}])“”요", max_size=40))
def test_every_letter_has_a_number(name: str, text: str) -> None:
    values = np.array(PROPERTIES[name](text))
    assert values.shape == (len(text),)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
