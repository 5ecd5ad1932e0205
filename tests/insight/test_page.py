import copy
import dataclasses
import re

import pytest
from tiny_translator import SOURCES, TARGETS

from seq2seq.config import ConfigurationError, Recipe
from seq2seq.insight import page
from seq2seq.insight.labelled_sentences import LabelledSentences
from seq2seq.insight.page import inspect_sentence, known_sentences
from seq2seq.translator import Translator

SECTIONS = [
    "Where the decoder looked",
    "How far the gates open",
    "Units that vary most",
    "The sentence among others",
    "The beam as a tree",
]


@pytest.fixture(scope="module")
def translator(tiny_directory) -> Translator:
    return Translator.load(tiny_directory, precision="float32", plain=True)


@pytest.fixture(scope="module")
def known() -> LabelledSentences:
    subjects = [sentence.rsplit(" ", 2)[0] for sentence in SOURCES]
    return LabelledSentences(SOURCES, {"subject": subjects}, [i % 2 == 1 for i in range(12)])


def sections_of(html: str) -> dict[str, str]:
    return dict(re.findall(r"<section>\s*<h2>(.*?)</h2>(.*?)</section>", html, re.DOTALL))


def test_a_page_shows_the_sentence_its_translation_and_all_pictures(translator, known):
    translation, html = inspect_sentence(translator, SOURCES[3], known=known, name="tiny")
    expected = translator.translate(SOURCES[3])
    assert (translation.text, translation.score) == (expected.text, expected.score)
    assert f">{SOURCES[3]}</h1>" in html
    assert f">{translation.text}</p>" in html
    assert f"score {translation.score:.3f} " in html
    sections = sections_of(html)
    assert list(sections) == SECTIONS
    kinds = [re.findall(r'<svg [^>]*class="figure (\w+)"', own) for own in sections.values()]
    # Of the encoder's two directions and the decoder: three layers.
    assert kinds == [["alignment"], ["gates"] * 3, ["unit"] * 6, ["summary"], ["beam_tree"]]


def test_a_sentence_that_is_not_among_the_known_ones_joins_them(translator, known):
    new = "der Hund schläft im Park ."
    for sentence, number in ((new, 13), (SOURCES[3], 12)):
        _, html = inspect_sentence(translator, sentence, known=known)
        summary = sections_of(html)["The sentence among others"]
        assert f"Nearest of {number} states" in summary
        assert summary.count(sentence) > 1, "in the title, and where its nearest are listed"


def test_a_page_is_one_file_that_runs_and_loads_nothing(translator, known):
    _, html = inspect_sentence(translator, SOURCES[0], known=known)
    assert "default-src 'none'" in html
    assert "<script" not in html
    outside = html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"https?:|src=|@import|url\(", outside)


def test_what_does_not_apply_is_left_out_with_a_reason(member_directory):
    without = Translator.load(member_directory, precision="float32", plain=True)
    _, html = inspect_sentence(without, SOURCES[0])
    sections = sections_of(html)
    assert list(sections) == SECTIONS
    left_out = {title: own for title, own in sections.items() if "Left out: " in own}
    assert list(left_out) == ["Where the decoder looked", "The sentence among others"]
    assert (
        "<code>model.attention</code> none has no alignment" in left_out["Where the decoder looked"]
    )
    assert "<code>--sentences</code>" in left_out["The sentence among others"]
    assert not any("<svg" in own for own in left_out.values())
    assert all("<svg" in own for title, own in sections.items() if title not in left_out)


def test_a_source_of_several_sentences_has_no_tree(translator):
    short_sighted = copy.copy(translator)
    short_sighted.sentences_per_source = 1
    _, html = inspect_sentence(short_sighted, "Ein Hund rennt im Park. Der Mann isst Brot.")
    assert "Left out: the source is searched in 2 parts" in sections_of(html)["The beam as a tree"]


def test_a_source_that_is_searched_in_parts_is_said_to_be_so(translator):
    short_sighted = copy.copy(translator)
    short_sighted.sentences_per_source = 1
    sentence = "Ein Hund rennt im Park. Der Mann isst Brot."
    for each, is_said in ((translator, False), (short_sighted, True)):
        translation, html = inspect_sentence(each, sentence)
        assert translation.pieces.count("</s>") == 1 + is_said
        assert ("The source is searched in 2 parts" in html) is is_said
        assert "divides this translation otherwise" not in html


def test_a_translation_that_the_tokenizer_divides_otherwise_is_said_to_be_so(
    translator, monkeypatch
):
    usual = translator.translate(SOURCES[0], with_details=True)
    letters = [*"".join(usual.pieces[:-1]), "</s>"]
    assert len(letters) > len(usual.pieces)
    for pieces, is_said in ((usual.pieces, False), (letters, True)):
        found = dataclasses.replace(usual, pieces=pieces, alignment=None)
        monkeypatch.setattr(translator, "translate", lambda *_, found=found, **__: found)
        _, html = inspect_sentence(translator, SOURCES[0])
        assert ("divides this translation otherwise" in html) is is_said
        assert "searched in" not in html


def test_text_is_escaped(translator):
    _, html = inspect_sentence(translator, "<script>alert(1)</script> & 'quoted'")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_the_beam_of_the_page_can_be_chosen(translator):
    for beam_size in (1, 4):
        _, html = inspect_sentence(translator, SOURCES[0], beam_size=beam_size)
        assert f"Beam of {beam_size}: " in html


@pytest.mark.parametrize(
    ("sentence", "options", "message"),
    [
        (" \t", {}, "the sentence is blank; give one with words"),
        ("ein Hund", {"colour_by": "tense"}, "`colour_by` needs sentences of which something"),
        ("ein Hund", {"beam_size": 0}, "`search.beam_size` must be"),
    ],
    ids=["blank", "colour_by", "beam_size"],
)
def test_what_makes_no_page_is_refused(translator, sentence, options, message):
    with pytest.raises(ConfigurationError, match=message):
        inspect_sentence(translator, sentence, **options)


def test_a_property_that_is_not_known_is_named(translator, known):
    with pytest.raises(ConfigurationError, match="`colour_by` must be one of subject, but is 'a'"):
        inspect_sentence(translator, SOURCES[0], known=known, colour_by="a")


def test_korean_and_english_have_the_sentences_of_the_phrasebook(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "phrasebook_sentences", lambda language: f"phrasebook in {language}")

    def find(source: str, target: str, file: str | None = None) -> LabelledSentences | None:
        return known_sentences(file, Recipe(source_language=source, target_language=target))

    assert find("ko", "en") == "phrasebook in ko"
    assert find("en", "ko-KR") == "phrasebook in en"
    assert find("de", "en") is None
    table = tmp_path / "table.tsv"
    rows = [f"{source}\t{target}" for source, target in zip(SOURCES * 2, TARGETS * 2, strict=True)]
    table.write_text("\n".join(["sentence\tkind", *rows]) + "\n", "utf-8")
    for languages in (("de", "en"), ("ko", "en")):
        found = find(*languages, str(table))
        assert found is not None
        assert list(found.labels) == ["kind"]
