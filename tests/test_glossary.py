from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq import glossary
from seq2seq.config import ConfigurationError
from seq2seq.data.sentences import find_phrase
from seq2seq.glossary import Glossary, read_glossary, read_phrases


def terms(sentence, *pairs, language="de"):
    return Glossary(pairs, language).terms(sentence)


def test_terms_stand_as_whole_words_case_aside():
    pairs = [("hund", "hound"), ("Wiese", "meadow")]
    assert terms("Ein HUND auf der Wiese.", *pairs) == ("hound", "meadow")
    assert terms("Hunde auf Wiesen", *pairs) == ()
    assert terms("Der Wiese-Hund", *pairs) == ("meadow", "hound")


def test_a_longer_term_leaves_nothing_of_itself_to_a_shorter_one():
    pairs = [("Hund", "hound"), ("brauner Hund", "brown dog")]
    assert terms("ein brauner Hund", *pairs) == ("brown dog",)
    assert terms("ein brauner Hund und ein Hund", *pairs) == ("brown dog", "hound")


def test_of_several_translations_the_first_counts():
    assert terms("ein Hund", ("Hund", "hound"), ("hund", "dog")) == ("hound",)


def test_without_spaces_terms_stand_anywhere():
    assert terms("白い犬が走る", ("犬", "dog"), language="ja") == ("dog",)
    assert terms("白い犬が走る", ("犬", "dog"), language="ko") == ()


def test_a_translation_is_asked_for_once():
    assert terms("Hund und Köter", ("Hund", "dog"), ("Köter", "dog")) == ("dog",)


def plainly_found(sentence, pairs, *, whole_words):
    """The same, term by term through the whole glossary, the longest first."""
    translations = {}
    for source, target in pairs:
        translations.setdefault(source.casefold(), target)
    text, found = sentence.casefold(), []
    for source, target in sorted(translations.items(), key=lambda pair: -len(pair[0])):
        for count, place in enumerate(find_phrase(source, text, whole_words=whole_words)):
            found += [(place, target)] if not count else []
            text = f"{text[:place]}{' ' * len(source)}{text[place + len(source) :]}"
    return tuple(dict.fromkeys(target for _, target in sorted(found)))


PHRASES = st.text(st.sampled_from("abcß-.犬"), min_size=1, max_size=4)


@pytest.mark.parametrize("language", ["de", "ja"])
@given(st.lists(st.tuples(PHRASES, PHRASES), max_size=12), st.lists(PHRASES, max_size=8))
def test_no_term_is_overlooked(language, pairs, words):
    pairs += [(f"{one[0]} {two[0]}", one[1]) for one, two in pairwise(pairs)]
    sentence = " ".join(words)
    expected = plainly_found(sentence, pairs, whole_words=language == "de")
    assert terms(sentence, *pairs, language=language) == expected


@pytest.mark.parametrize("language", ["de", "ja"])
def test_few_terms_of_a_large_glossary_are_looked_for(language, monkeypatch):
    pairs = [(f"{number:04x} wort", str(number)) for number in range(0x3000, 0x5000)]
    compared = []
    monkeypatch.setattr(
        glossary,
        "find_phrase",
        lambda phrase, *args, **kwargs: (
            compared.append(phrase) or find_phrase(phrase, *args, **kwargs)
        ),
    )
    found = terms("x 3456 wort und 4abc wort.", *pairs, language=language)
    assert found == (str(0x3456), str(0x4ABC))
    assert len(compared) <= (2 if language == "de" else 50)


def test_files_are_read(tmp_path):
    path = tmp_path / "glossary.tsv"
    path.write_text("Hund\thound\n\n große Wiese \tmeadow\r\n", "utf-8")
    assert read_glossary(path) == [("Hund", "hound"), ("große Wiese", "meadow")]
    path.write_text("dog\n\n  big cat \ndog\n", "utf-8")
    assert read_phrases(path) == ("dog", "big cat")


@pytest.mark.parametrize("line", ["Hund", "Hund\t", "\thound", "a\tb\tc"], ids=range(4))
def test_a_line_that_is_no_pair_is_named(tmp_path, line):
    path = tmp_path / "glossary.tsv"
    path.write_text(f"Wiese\tmeadow\n{line}\n", "utf-8")
    with pytest.raises(
        ConfigurationError, match=r"glossary\.tsv, line 2: a line must be a term of"
    ):
        read_glossary(path)


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(ConfigurationError, match="nothing"):
        read_glossary(tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="nothing"):
        read_phrases(tmp_path / "nothing")
