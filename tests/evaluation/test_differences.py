import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.evaluation.differences import Stretch, mark_differences


def shown(stretches: list[Stretch]) -> str:
    return "".join(f"[{one.text}]" if one.differs else one.text for one in stretches)


@pytest.mark.parametrize(
    ("hypothesis", "reference", "language", "expected"),
    [
        (
            "A big dog runs.",
            "A dog is running.",
            "en",
            ("A [big] dog [runs].", "A dog [is running]."),
        ),
        ("The cat", "The cat.", "en", ("The cat", "The cat[.]")),
        ("same here", "same here", "en", ("same here", "same here")),
        ("", "all of it", "en", ("", "[all of it]")),
        ("I don't know", "I do know", "en", ("I [don't] know", "I [do] know")),
        ("나는 개다.", "나는 고양이다.", "ko", ("나는 [개다].", "나는 [고양이다].")),
        ("私は犬です。", "私は猫です。", "ja", ("私は[犬]です。", "私は[猫]です。")),
        ("他走了", "她走了", "zh-Hant", ("[他]走了", "[她]走了")),
    ],
)
def test_words_or_characters_that_differ_are_marked(hypothesis, reference, language, expected):
    marked = mark_differences(hypothesis, reference, language)
    assert tuple(shown(stretches) for stretches in marked) == expected


def test_endless_sentences_are_left_unmarked():
    (hypothesis, reference) = mark_differences("a " * 1001, "b", "en")
    assert hypothesis == [Stretch("a " * 1001, False)]
    assert reference == [Stretch("b", False)]


TEXT = st.text(alphabet="ab .'犬\t", max_size=20)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(TEXT, TEXT, st.sampled_from(["en", "ja"]))
def test_no_letter_is_lost_and_equal_sentences_have_no_marks(first, second, language):
    marked = mark_differences(first, second, language)
    assert ["".join(one.text for one in stretches) for stretches in marked] == [first, second]
    assert not any(one.differs for side in mark_differences(first, first, language) for one in side)
