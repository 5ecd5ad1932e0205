import sys

import pytest
from corpus_files import fuzz_settings
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError, FilterConfig
from seq2seq.data import filters
from seq2seq.data.cleaning import folded
from seq2seq.data.digests import PairNumbers
from seq2seq.data.filters import (
    FILTERS,
    active_filters,
    different_sides,
    first_of_its_kind,
    in_own_language,
    in_own_script,
    script_of,
    scripts_of,
    short_enough,
    usual_ratio,
)

DE_EN = ("de", "en")


def test_every_setting_has_its_filter_and_none_works_unasked() -> None:
    assert set(FILTERS) == set(vars(FilterConfig()))
    assert list(active_filters(FilterConfig())) == []
    everything = FilterConfig(9, 2.0, True, True, 0.5, True)
    assert list(active_filters(everything)) == [
        ("max_characters", 9),
        ("identical", True),
        ("duplicates", True),
        ("max_ratio", 2.0),
        ("script", 0.5),
        ("language", True),
    ]


def test_reasons_tell_the_setting() -> None:
    config = FilterConfig(max_characters=1500, max_ratio=2.5, script=0.5)
    assert [FILTERS[name].reason.format(setting) for name, setting in active_filters(config)] == [
        "longer than 1,500 characters",
        "with lengths more than 2.5 times off the usual ratio",
        "with less than 50% of letters in the script of the side",
    ]


def test_length_counts_the_characters_of_either_side() -> None:
    pairs = PairNumbers.of(["abc", "abcd", "a"], ["x", "x", "wxyz"])
    assert short_enough(pairs, 3).tolist() == [True, False, False]


def test_sides_are_compared_without_case_width_and_white_space() -> None:
    sources = ["Ein  Hund", "ＡＢＣ", "Straße", "a"]
    targets = ["ein hund", "abc", "STRASSE", "b"]
    assert different_sides(PairNumbers.of(sources, targets), True).tolist() == [
        False,
        False,
        False,
        True,
    ]
    assert folded(" Ｅin\u3000\tHUND ") == "ein hund"


def test_of_duplicates_the_first_one_stays() -> None:
    sources = ["a b", "A  b", "a b", "c"]
    targets = ["x", "X", "y", "x"]
    assert first_of_its_kind(PairNumbers.of(sources, targets), True).tolist() == [
        True,
        False,
        True,
        True,
    ]


def test_the_ratio_is_measured_against_the_corpus() -> None:
    # Usual are targets twice as long, as of Korean and English.
    sources, targets = ["가나다라"] * 5, ["a" * 8, "a" * 8, "a" * 16, "a" * 17, "a" * 3]
    pairs = PairNumbers.of(sources, targets)
    assert usual_ratio(pairs, 2.0).tolist() == [True, True, True, False, False]
    assert usual_ratio(PairNumbers.of([], []), 2.0).tolist() == []


@given(
    pairs=st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1))), factor=st.floats(1.01, 50)
)
@fuzz_settings()
def test_half_of_the_pairs_have_at_least_the_usual_ratio(
    pairs: list[tuple[str, str]], factor: float
) -> None:
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    keep = usual_ratio(PairNumbers.of(sources, targets), factor)
    assert len(keep) == len(pairs)
    swapped = usual_ratio(PairNumbers.of(targets, sources), 1e9)
    assert all(swapped)  # so far off is nothing
    if len(pairs) % 2:
        assert any(keep)  # the pair in the middle is as usual as can be


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        ("a", "LATIN"),
        ("ß", "LATIN"),
        ("ж", "CYRILLIC"),
        ("한", "HANGUL"),
        ("ㄱ", "HANGUL"),
        ("字", "HAN"),
        ("々", "HAN"),
        ("あ", "HIRAGANA"),
        ("ア", "KATAKANA"),
        ("ー", "KATAKANA"),
        ("\U000e0fff", "UNKNOWN"),
    ],
)
def test_letters_have_scripts(letter: str, script: str) -> None:
    assert script_of(letter) == script


def test_languages_have_scripts() -> None:
    assert scripts_of("ja") == {"HIRAGANA", "KATAKANA", "HAN"}
    assert scripts_of("zh-Hant") == scripts_of("ZH_tw") == {"HAN"}
    assert scripts_of("en.tok") == {"LATIN"}
    assert scripts_of("xx") == set()


def test_each_side_is_held_to_its_script() -> None:
    sources = ["나는 간다", "나는 NATO 에", "I go", "1984!", "나는 ｘ"]
    targets = ["I go", "to NATO", "나는 간다", "...", "я"]
    assert in_own_script(sources, targets, 0.5, ("ko", "en")) == [True, False, False, True, False]
    assert in_own_script(sources, targets, 0.3, ("ko", "en")) == [True, True, False, True, False]
    assert in_own_script(sources, targets, 0.5, ("ko", "xx")) == [True, False, False, True, True]
    assert in_own_script(["ｱ、ァ漢ー"], ["ＡＢ"], 1.0, ("ja", "en")) == [True]


def test_script_without_known_scripts_is_an_error() -> None:
    with pytest.raises(
        ConfigurationError, match=r"filters\.script` knows no script of 'xx' or 'q'"
    ):
        in_own_script(["a"], ["b"], 0.5, ("xx", "q"))


def test_sides_in_the_other_language_are_found() -> None:
    german = "Der kleine Hund läuft über die nasse Straße."
    english = "The little dog is running across the wet street."
    sources = [german, english, german, "1984"]
    targets = [english, german, german, "!"]
    assert in_own_language(sources, targets, True, DE_EN) == [True, False, False, True]


def test_a_language_alone_is_held_against_all_that_are_known() -> None:
    french = "Le petit chien traverse la rue mouillée avec sa balle."
    english = "The little dog is running across the wet street."
    assert in_own_language([french, english], [english] * 2, True, ("xx", "en")) == [True, True]
    assert in_own_language([english] * 2, [french, english], True, ("xx", "en")) == [False, True]


def test_languages_that_nobody_knows_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"filters\.language` knows neither 'xx' nor 'qq'"):
        in_own_language(["a"], ["b"], True, ("xx", "qq"))


def test_a_missing_library_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    filters._language_identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    message = r"needs the library py3langid; install it with `pip install py3langid`\.$"
    with pytest.raises(ConfigurationError, match=message):
        in_own_language(["a"], ["b"], True, DE_EN)
