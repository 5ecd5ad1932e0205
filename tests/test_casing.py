import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_translator import SOURCES, TARGETS

from seq2seq import Translator
from seq2seq.alignments import describe_words
from seq2seq.casing import EVERY_LETTER, EVERY_WORD, Caser, Recased, restore_case
from seq2seq.config import TokenizerConfig
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.source import Source
from seq2seq.translation import Translation

TEXTS = [
    *("Der Hund läuft auf der Straße .", "Ein Mann und ein Hund spielen im Garten ."),
    *("Die Frau liest im Garten .", "Auf der Straße spielt der Mann mit Anna ."),
]
FULL_OF_NOUNS = "Die Mann Frau Hund Garten Straße Anna Läuft Im"


@pytest.fixture(scope="module")
def caser():
    tokenizer = Tokenizer.train(TEXTS * 3, TokenizerConfig(kind="word", byte_fallback=True))
    return Caser(tokenizer, "de")


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, device="cpu", precision="float32")


@pytest.mark.parametrize("text", TEXTS)
def test_capitals_are_written_as_the_vocabulary_knows_them(caser, text):
    recased = caser.recase(text.upper())
    assert recased.text == text
    assert recased.style == EVERY_LETTER


@pytest.mark.parametrize("text", TEXTS)
def test_titles_are_written_as_the_vocabulary_knows_them(caser, text):
    assert caser.recase(text.title()).text == text
    assert caser.recase(text.title()).style == EVERY_WORD


@pytest.mark.parametrize("text", [*TEXTS, "", "Liest Im Garten Anna .", FULL_OF_NOUNS, "a 1"])
def test_ordinary_sentences_stay_as_they_are(caser, text):
    assert caser.recase(text) == Recased(text, None, ())


@pytest.mark.parametrize(
    ("text", "expected", "capitals"),
    [
        ("Der HUND läuft .", "Der Hund läuft .", ["Hund"]),
        ("Die Frau LIEST, im „GARTEN“ .", "Die Frau liest, im „Garten“ .", ["liest,", "„Garten“"]),
        ("Der Mann liest HTTP://X.DE und {NAME} und J.P. und A4 .", None, []),
        ("これは HUND の写真です。", "これは Hund の写真です。", ["Hund"]),
        ("これはHUNDの写真です。", "これはHundの写真です。", ["Hund"]),
        ("저는 HUND의 주인입니다.", "저는 Hund의 주인입니다.", ["Hund"]),
        ("これは写真です。", None, []),
    ],
)
def test_single_words_in_capitals_are_found(caser, text, expected, capitals):
    recased = caser.recase(text)
    assert (recased.text, recased.style) == (expected or text, None)
    assert [recased.text[slice(*place)] for place in recased.capitals] == capitals


@given(st.text(st.sampled_from("abÄßÉ İıﬁ.,'-{}1Ⅷ東"), max_size=20))
def test_no_text_loses_a_word(caser, text):
    for way in (text, text.upper(), text.title()):
        assert len(caser.recase(way).text.split()) == len(way.split())


def plain(text, alignment=None, source_pieces=()):
    pieces = [f"▁{word}" for word in text.split()] + ["</s>"]
    alone = Translation(text, -1.0, -1.0, pieces, list(source_pieces), alignment)
    return dataclasses.replace(alone, alternatives=(alone,))


def restored(translation, source, recased):
    return restore_case(translation, source, recased, ("de", "en")).text


def test_a_whole_sentence_gets_its_capitals_back():
    recased = Recased("ein Hund", EVERY_LETTER, ((0, 3), (4, 8)))
    assert restored(plain("a dog's b4 x ."), Source("EIN HUND"), recased) == "A DOG'S b4 X ."
    recased = Recased("ein Hund", EVERY_WORD, ())
    assert restored(plain("a “little dog”"), Source("Ein Hund"), recased) == "A “Little Dog”"


def test_what_was_asked_for_stays_as_it_was_asked_for():
    source = Source("EIN HUND RENNT", prefix="a do", terms=("quickly by",))
    recased = Recased("ein Hund rennt", EVERY_LETTER, ((0, 3), (4, 8), (9, 14)))
    translation = plain("a dog runs quickly by here")
    assert restored(translation, source, recased) == "a dog RUNS quickly by HERE"


def test_words_get_the_capitals_of_the_words_that_they_came_from():
    alignment = torch.tensor([[0.6, 0.4, 0.0, 0.0], [0.1, 0.9, 0.0, 0.0], [0.0, 0.2, 0.8, 0.0]])
    alignment = torch.cat([alignment, torch.tensor([[0.0, 0.0, 0.0, 1.0]])])
    translation = plain("a dog runs", alignment, ["▁ein", "▁Hund", "▁rennt", "</s>"])
    recased = Recased("ein Hund rennt", None, ((4, 8),))
    assert restored(translation, Source("ein HUND rennt"), recased) == "a DOG runs"


@pytest.mark.parametrize("space", [" ", ""], ids=["spaces", "none"])
def test_words_get_their_capitals_where_the_source_has_no_spaces(space):
    spaced = "▁" if space else ""
    pieces = ["▁", "これは", "</s>", "▁", "nasa", f"{spaced}の", "写真", "です。", "</s>"]
    rows = [(1, 0.9), (2, 0.9), (6, 0.8), (5, 0.6), (3, 0.3), (8, 1.0)]
    alignment = torch.full((6, 9), 0.01)
    alignment[4, 4] = 0.4
    for row, (column, weight) in enumerate(rows):
        alignment[row, column] = weight
    translation = plain("this is photo of nasa", alignment, pieces)
    text = f"これは{space}nasa{space}の写真です。"
    recased = Recased(text, None, ((3 + len(space), 7 + len(space)),))
    found = restore_case(translation, Source(text.upper()), recased, ("ja", "en"))
    assert found.text == "this is photo of NASA"


def test_translations_of_capitals_are_those_of_small_letters(translator):
    loud = [source.upper() for source in SOURCES]
    found = translator.translate(loud, keep_case=True)
    assert [each.text for each in found] == [target.upper() for target in TARGETS]
    assert [each.alternatives[0].text for each in found] == [each.text for each in found]
    untouched = translator.translate(SOURCES, keep_case=True)
    assert [each.text for each in untouched] == TARGETS


def test_words_stand_where_the_text_has_them(translator):
    found = translator.translate("EIN HUND ISST BROT .", keep_case=True, with_details=True)
    assert [word.text for word in found.words] == ["A", "DOG", "EATS", "BREAD", "."]
    assert all(found.text[w.start : w.start + len(w.text)] == w.text for w in found.words)


def test_words_move_where_capitals_take_more_letters():
    translation = plain("straße eins")
    described = describe_words(translation, "street one", ("en", "de"))
    recased = Recased("street one", EVERY_LETTER, ((0, 6), (7, 10)))
    found = restore_case(described, Source("STREET ONE"), recased, ("en", "de"))
    assert found.text == "STRASSE EINS"
    assert [(word.text, word.start) for word in found.words] == [("STRASSE", 0), ("EINS", 8)]


def test_all_hypotheses_get_their_capitals(translator):
    found = translator.translate(SOURCES[0].upper(), keep_case=True, n_best=3)
    assert len(found.alternatives) == 3
    assert all(each.text == each.text.upper() for each in found.alternatives)


def test_alignments_are_kept_only_if_asked_for(translator):
    loud = SOURCES[0].upper()
    without = translator.translate(loud, keep_case=True, with_alignment=False)
    assert without.alignment is None
    assert without.alternatives[0].alignment is None
    assert translator.translate(loud, keep_case=True).alignment is not None
    details = translator.translate(loud, keep_case=True, with_alignment=False, with_details=True)
    assert details.alignment is not None


@pytest.fixture(scope="module")
def with_one_loud():
    """The sources with each of their words in capitals."""
    return [
        " ".join(word.upper() if index == place else word for index, word in enumerate(words))
        for words in map(str.split, SOURCES)
        for place in range(len(words) - 1)
    ]


def test_single_words_get_the_same_capitals_whether_alignments_are_asked_for_or_not(
    translator, with_one_loud
):
    aligned, unaligned = (
        [
            each.text
            for each in translator.translate(with_one_loud, keep_case=True, with_alignment=given)
        ]
        for given in (True, False)
    )
    assert unaligned == aligned
    assert any(word.isupper() for text in aligned for word in text.split()[:-1])


def test_capitals_are_counted_in_the_clean_source(translator, with_one_loud):
    unclean = [f" {source.replace(' ', chr(1), 1)}" for source in with_one_loud]
    found = translator.translate([*with_one_loud, *unclean], keep_case=True, with_alignment=False)
    texts = [each.text for each in found]
    assert texts[len(unclean) :] == texts[: len(unclean)]
