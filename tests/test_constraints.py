import dataclasses
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_translator import SOURCES, TARGETS, train_tiny

from seq2seq import Translator
from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.constraints import ConstraintError, RuleMaker
from seq2seq.data.cleaning import clean_sentence
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.model_directory import load_model_directory
from seq2seq.preparation import share
from seq2seq.source import Source

SENTENCE = "ein Hund schläft ."
WORDS = ["dog", "cat", "the", "park", "in the park", "Miller", "bread", "runs", "a dog", "Zürich"]


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, device="cpu", precision="float32")


def maker_of(translator, language="en", *, without_spaces=False):
    return RuleMaker(
        translator.tokenizers.target,
        language,
        lambda text: clean_sentence(text, without_spaces=without_spaces),
    )


def says(text, phrase):
    return len(re.findall(rf"(?<!\w){re.escape(phrase)}(?!\w)", text))


@settings(max_examples=40)
@given(
    prefix=st.sampled_from(
        ["t", "the", "the c", "The", "a d", "x(", "é", "서울", "a  b", "▁a", "🦊"]
    ),
    beam_size=st.integers(1, 4),
)
def test_a_translation_begins_with_its_prefix(translator, prefix, beam_size):
    translation = translator.translate(SENTENCE, prefix=prefix, beam_size=beam_size)
    assert translation.text.startswith(prefix)
    assert translation.source_pieces == translator.translate(SENTENCE).source_pieces


def test_what_follows_a_prefix_is_the_best_that_fits_the_source(translator):
    assert translator.translate("eine Katze schläft .", prefix="a ca").text == "a cat sleeps ."
    assert translator.translate("eine Katze schläft .", prefix="a cat").text == "a cat sleeps ."


def test_a_space_at_the_end_of_a_prefix_ends_its_word(translator):
    assert translator.translate(SENTENCE, prefix="the ").text.startswith("the ")
    assert translator.translate(SENTENCE, prefix=" the").text.startswith("the")


@settings(max_examples=30)
@given(
    terms=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
    beam_size=st.integers(1, 4),
    source=st.sampled_from(SOURCES),
)
def test_terms_stand_in_the_text_as_often_as_they_are_given(translator, terms, beam_size, source):
    translation = translator.translate(source, terms=terms, beam_size=beam_size)
    for term in terms:
        assert says(translation.text, term) >= terms.count(term)
    assert not translation.truncated


@settings(max_examples=30)
@given(
    forbidden=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
    beam_size=st.integers(1, 4),
    source=st.sampled_from(SOURCES),
)
def test_forbidden_phrases_do_not_stand_in_the_text(translator, forbidden, beam_size, source):
    text = translator.translate(source, forbidden=forbidden, beam_size=beam_size).text
    assert not any(says(text.casefold(), phrase.casefold()) for phrase in forbidden)


def test_all_kinds_hold_together_with_all_ways_of_searching(translator):
    source = Source(SENTENCE, prefix="the", terms=("bread", "park"), forbidden=("sleeps",))
    ways = [
        {"samples": 4, "seed": 3},
        {"diversity_groups": 2, "beam_size": 4, "n_best": 3},
        {"mbr": True, "samples": 6},
        {"no_repeat_ngram": 2},
        {"word_reward": 0.3, "coverage_penalty": 0.2},
        {"length_penalty_kind": "gnmt", "min_length_ratio": 1.5},
    ]
    for way in ways:
        found = translator.translate(source, **way)
        for each in found.alternatives:
            assert each.text.startswith("the"), way
            assert says(each.text, "bread"), way
            assert says(each.text, "park"), way
            assert not says(each.text, "sleeps"), way


def test_a_shortlist_gets_what_rules_need(tiny_directory):
    translator = Translator.load(tiny_directory, device="cpu", precision="float32")
    size = translator.tokenizers.target.vocabulary_size
    frequent = [id_ for id_ in range(4, size) if id_ % 3]
    lexicon = Lexicon(
        torch.zeros(size, 1, dtype=torch.int32), torch.tensor(frequent, dtype=torch.int32)
    )
    few = Translator(
        load_model_directory(tiny_directory).model,
        translator.tokenizers,
        translator.recipe,
        lexicon=lexicon,
    )
    for beam_size in (1, 3):
        found = few.translate(
            SENTENCE, prefix="the b", terms=["Zürich", "park"], shortlist=1, beam_size=beam_size
        )
        assert found.text.startswith("the b")
        assert says(found.text, "Zürich")
        assert says(found.text, "park")


def test_neighbours_and_batches_change_nothing(translator):
    sources = [
        SOURCES[0],
        Source(SOURCES[1], terms=("bread",)),
        Source(SOURCES[2], prefix="the m"),
        Source(SOURCES[3], forbidden=("cat",)),
        SOURCES[4],
    ]
    together = translator.translate(sources)
    for source, found in zip(sources, together, strict=True):
        alone = translator.translate(source)
        assert found.text == alone.text
        assert found.score == pytest.approx(alone.score, abs=1e-5)


def test_samples_have_no_half_characters(translator):
    found = translator.translate(SENTENCE, samples=20, n_best=20, beam_size=20, temperature=9.0)
    assert not any("\ufffd" in each.text for each in found.alternatives)
    assert any(not each.text.isascii() for each in found.alternatives)


def test_blank_sentences_stay_blank(translator):
    assert translator.translate("  ", prefix="the", terms=["dog"]).text == ""


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"terms": ["bread", "Zürich"]},
        {"prefix": "the c"},
        {"prefix": "the ca", "terms": ["bread"], "forbidden": ["cat"]},
    ],
    ids=["plain", "terms", "prefix", "all"],
)
def test_sources_in_parts_obey_as_a_whole(tiny_directory, asked):
    translator = Translator.load(tiny_directory, device="cpu", precision="float32")
    translator.sentences_per_source = 1
    source = "ein Hund schläft . Müller rennt im Park ."
    found = translator.translate(source, **asked)
    assert found.pieces.count("</s>") == 2
    assert found.text.startswith(asked.get("prefix", ""))
    assert all(says(found.text, term) == 1 for term in asked.get("terms", ()))
    assert not any(says(found.text, word) for word in asked.get("forbidden", ()))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"terms": ("cat", "dog")}, [(), (), ("cat", "dog")]),
        ({"terms": ("Müller", "7", "dog")}, [("Müller",), ("7",), ("dog",)]),
        ({"terms": ("7", "7", "7")}, [(), ("7", "7", "7"), ()]),
        ({"terms": ("ein", "ein", "ein")}, [("ein", "ein"), (), ("ein",)]),
        (
            {"terms": ("meadow", "dog"), "glossed": (("wiese", "meadow"), ("hund", "dog"))},
            [("meadow",), ("dog",), ("meadow",)],
        ),
        (
            {"terms": ("meadow", "green"), "glossed": (("wiese", "meadow"),)},
            [("meadow",), (), ("meadow", "green")],
        ),
        ({"terms": ("meadow",), "glossed": (("haus", "meadow"),)}, [(), (), ("meadow",)]),
    ],
    ids=["unknown", "as-they-are", "repeated", "in-turn", "glossary", "both", "not-there"],
)
def test_terms_belong_to_the_parts_that_hold_them(asked, expected):
    texts = ["Ein Müller auf der Wiese.", "Ihre 7 Hunde, sein Hund.", "Nur ein Mann, die Wiese."]
    source = Source(" ".join(texts), prefix="A", not_next=("b",), forbidden=("no",), **asked)
    shared = share(source, texts, "de")
    assert [each.terms for each in shared] == expected
    assert [each.prefix for each in shared] == ["A", "", ""]
    assert [each.not_next for each in shared] == [("b",), (), ()]
    assert all(each.forbidden == ("no",) for each in shared)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"terms": ["a dog"], "forbidden": ["Dog"]}, "`terms` asks for 'a dog', but `forbidden`"),
        ({"prefix": "the dog s", "forbidden": ["dog"]}, "`prefix` asks for 'the dog s', but"),
        ({"prefix": "the dog ", "forbidden": ["dog"]}, "`prefix` asks for 'the dog ', but"),
        ({"terms": ["dog", " "]}, "`terms` must hold words or phrases, but one is blank"),
        ({"forbidden": [""]}, "`forbidden` must hold words or phrases, but one is blank"),
    ],
    ids=["term", "prefix", "prefix-ended", "blank-term", "blank-forbidden"],
)
def test_contradictions_are_refused(translator, asked, message):
    with pytest.raises(ConstraintError, match=message) as caught:
        translator.translate(["ein Hund", "eine Katze"], **asked)
    assert caught.value.index == 0
    assert str(caught.value).startswith("sentence 1: ")


def test_a_prefix_may_go_on_where_a_forbidden_word_would_end(translator):
    text = translator.translate(SENTENCE, prefix="the dog", forbidden=["dog"]).text
    assert text.startswith("the dog")
    assert not says(text, "dog")


def test_a_vocabulary_without_bytes_says_what_it_cannot_write(
    tiny_recipe, known_pairs, tmp_path_factory
):
    tokenizer = dataclasses.replace(
        tiny_recipe.tokenizer, vocabulary_size=None, byte_fallback=False, character_coverage=1.0
    )
    path = tmp_path_factory.mktemp("models") / "no-bytes"
    recipe = dataclasses.replace(tiny_recipe, tokenizer=tokenizer)
    train_tiny(recipe, known_pairs, path, num_steps=2)
    translator = Translator.load(path, device="cpu", precision="float32")
    assert translator.translate(SENTENCE, prefix="the").text.startswith("the")
    with pytest.raises(
        ConfigurationError, match="`prefix` asks for '서울', which the pieces of the"
    ):
        translator.translate(SENTENCE, prefix="서울")
    with pytest.raises(
        ConfigurationError, match="`terms` asks for '서울', which the pieces of the"
    ):
        translator.translate(SENTENCE, terms=["서울"])


def test_where_no_spaces_are_written_phrases_stand_anywhere(translator):
    maker = maker_of(translator, "ja")
    rules = maker.rules(Source("x", terms=("dog",), forbidden=("cat",)), SearchConfig())
    tokenizer = translator.tokenizers.target
    state = rules.start
    for id_ in maker.spelling.split(" xdogx"):
        state = rules.advance(state, id_)
    assert rules.may_end(state)
    assert tokenizer.decode(rules.terms.pieces[0]) == "dog"
    (barred,) = rules.forbidden
    seen = barred.phrases.start
    for id_ in maker.spelling.split("xca"):
        seen, _ = barred.phrases.advance(seen, id_)
    assert maker.spelling.by_text["t"] in barred.blocked(seen)


def test_without_rules_there_are_none(translator):
    assert maker_of(translator).rules(Source("x"), SearchConfig()) is None


class TestCompletions:
    def test_each_has_another_next_word(self, translator):
        found = translator.complete(SENTENCE, "the", n=4)
        words = [re.match(r"the( ?\w*|.)", each.text)[0] for each in found]
        assert len(found) == 4
        assert len(set(words)) == 4

    def test_the_best_one_comes_first(self, translator):
        best = translator.translate(SENTENCE, prefix="a")
        assert translator.complete(SENTENCE, "a", n=1)[0].text == best.text
        assert translator.complete(SENTENCE, "a do", n=3)[0].text == TARGETS[0]

    def test_a_prefix_that_is_all_may_be_followed_by_nothing_once(self, translator):
        texts = [each.text for each in translator.complete(SENTENCE, TARGETS[0], n=3)]
        assert texts.count(TARGETS[0]) == 1
        assert len(set(texts)) == 3

    @pytest.mark.parametrize("name", ["preserve", "keep_case"])
    def test_what_changes_texts_afterwards_is_refused(self, translator, name):
        with pytest.raises(ConfigurationError, match=f"`search.{name}` changes translations"):
            translator.complete(SENTENCE, "a", **{name: True})

    def test_what_is_withheld_is_no_completion(self, translator, monkeypatch):
        monkeypatch.setattr(translator, "quality", object())
        settings = {"min_confidence": 0.5, "low_confidence": "withhold"}
        with pytest.raises(ConfigurationError, match="low_confidence` withhold changes"):
            translator.complete(SENTENCE, "a", **settings)

    def test_a_blank_source_has_none(self, translator):
        assert translator.complete(" ", "a") == []

    @pytest.mark.parametrize(
        ("text", "prefix", "word"),
        [
            ("the dog sleeps", "the do", "g"),
            ("the dog sleeps", "the", " dog"),
            ("the dog sleeps", "the ", "dog"),
            ("the dog.", "the dog", "."),
            ("the dog", "the dog", ""),
            ("a dog", "the", None),
        ],
        ids=["within", "space", "after-space", "mark", "end", "other"],
    )
    def test_the_next_word(self, translator, text, prefix, word):
        assert maker_of(translator).next_word(text, prefix) == word

    def test_the_next_character_where_words_have_no_spaces(self, translator):
        assert maker_of(translator, "zh").next_word("我们看书", "我们") == "看"


def test_samples_have_no_groups():
    with pytest.raises(ConfigurationError, match="diversity_groups` are of a beam, which"):
        SearchConfig(samples=4, beam_size=4, diversity_groups=2)
