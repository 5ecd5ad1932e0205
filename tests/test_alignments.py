import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_translator import SOURCES, TARGETS

from seq2seq import Translator
from seq2seq.alignments import (
    Span,
    align_words,
    describe_words,
    find_words,
    hard_links,
    soft_alignment,
)
from seq2seq.config import TokenizerConfig
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.translation import Translation

DE_EN = ("de", "en")


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train([*SOURCES, *TARGETS], TokenizerConfig(vocabulary_size=300))


@pytest.fixture(scope="module")
def without_bytes():
    config = TokenizerConfig(kind="character", byte_fallback=False, vocabulary_size=20)
    return Tokenizer.train([*SOURCES, *TARGETS], config)


def words(text, pieces, language="en"):
    return [text[word.start : word.end] for word in find_words(text, pieces, language)]


def test_words_stand_between_spaces_and_own_their_pieces():
    pieces = ["▁a", "▁", "<0xF0>", "<0x9F>", "<0x90>", "<0xB6>", "▁do", "g", ".", "</s>"]
    assert find_words("a 🐶 dog.", pieces, "en") == [
        Span(0, 1, 0, 1),
        Span(2, 3, 1, 6),
        Span(4, 8, 6, 9),
    ]


def test_words_of_several_parts_leave_their_end_symbols_out():
    pieces = ["▁a", "</s>", "▁b", ".", "</s>"]
    assert find_words("a b.", pieces, "en") == [Span(0, 1, 0, 1), Span(2, 4, 2, 4)]


def test_unspaced_words_are_what_pieces_hold_together():
    pieces = ["▁", "東京", "に", "<0xE9>", "<0xA7>", "<0x85>", "▁", "。", "</s>"]
    assert words("東京に駅 。", pieces, "ja") == ["東京", "に", "駅", "。"]
    assert find_words("東京に駅 。", pieces, "ja")[2] == Span(3, 4, 3, 6)


def test_an_unknown_piece_stands_for_what_is_between_its_neighbours():
    pieces = ["▁a", "▁", "<unk>", "▁b", "<unk>", "</s>"]
    assert find_words("a Ωmega b!", pieces, "en") == [
        Span(0, 1, 0, 1),
        Span(2, 7, 1, 3),
        Span(8, 10, 3, 5),
    ]


def test_bytes_that_are_no_character_do_not_lose_what_follows():
    pieces = ["▁a", "<0xE9>", "<0xA7>", "▁b", "</s>"]
    assert find_words("a\ufffd\ufffd b", pieces, "en") == [Span(0, 3, 0, 3), Span(4, 5, 3, 4)]


@given(st.text())
def test_words_of_any_text_are_those_between_spaces(tokenizer, without_bytes, text):
    for each in (tokenizer, without_bytes):
        ids = each.encode(text)
        read = text if each is without_bytes else each.decode(ids)
        found = find_words(read, each.pieces(ids), "en")
        assert [read[word.start : word.end] for word in found] == read.split()
        assert all(0 <= word.first <= word.last <= len(ids) for word in found)


@given(st.data())
def test_words_of_any_ids_are_those_of_their_text(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocabulary_size - 1), max_size=30))
    text = tokenizer.decode(ids)
    found = find_words(text, tokenizer.pieces(ids), "en")
    assert [text[word.start : word.end] for word in found] == text.split()
    unspaced = find_words(text, tokenizer.pieces(ids), "zh")
    assert "".join(text[word.start : word.end] for word in unspaced) == "".join(text.split())


@given(st.text(st.sampled_from("abHund schläft 東京Ω🐶\ufffd"), max_size=30))
def test_the_pieces_of_each_word_say_it(tokenizer, text):
    ids = tokenizer.encode(text)
    read = tokenizer.decode(ids)
    for word in find_words(read, tokenizer.pieces(ids), "en"):
        assert tokenizer.decode(ids[word.first : word.last]).strip() == read[word.start : word.end]


def test_soft_alignment_is_a_mean_over_target_and_a_sum_over_source_pieces():
    alignment = torch.tensor([[0.5, 0.1, 0.2, 0.2], [0.1, 0.3, 0.4, 0.2], [0.2, 0.2, 0.2, 0.4]])
    sources = [Span(0, 1, 0, 1), Span(2, 4, 1, 3)]  # the last column is `</s>`
    targets = [Span(0, 3, 0, 2)]
    torch.testing.assert_close(
        soft_alignment(alignment, sources, targets), torch.tensor([[0.3, 0.5]])
    )


def test_a_target_word_is_linked_with_what_it_attended_to_most():
    soft = torch.tensor([[0.3, 0.6], [0.9, 0.1], [0.3, 0.1]])  # the last one: `</s>` above all
    assert hard_links(soft) == [(1, 0), (0, 1)]
    assert hard_links(torch.zeros(0, 2)) == hard_links(torch.zeros(2, 0)) == []


def test_links_are_source_first():
    alignment = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = align_words(
        alignment, ("a b", ["▁a", "▁b", "</s>"]), ("B A", ["▁B", "▁A", "</s>"]), DE_EN
    )
    assert found.links == [(1, 0), (0, 1)]
    assert (found.source_words, found.target_words) == (["a", "b"], ["B", "A"])


def test_links_count_characters_where_words_are_not_separated():
    alignment = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = align_words(
        alignment,
        ("東京 駅", ["▁東京", "▁駅", "</s>"]),
        ("S T", ["▁S", "▁T", "</s>"]),
        ("ja", "en"),
    )
    assert found.links == [(2, 0), (0, 1), (1, 1)]


def test_details_of_words_add_up_to_those_of_pieces():
    translation = Translation(
        text="B Aa",
        score=-1.0,
        log_probability=-1.0,
        pieces=["▁B", "▁A", "a", "</s>"],
        source_pieces=["▁a", "▁b", "</s>"],
        alignment=torch.tensor([[0.0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]]),
        piece_log_probabilities=(-0.5, -0.25, -0.125, -0.1),
        piece_entropies=(0.5, 0.75, 0.25, 0.0),
    )
    described = describe_words(translation, "a b", DE_EN)
    assert described.links == ((1, 0), (0, 1))
    assert described.source_words == ("a", "b")
    first, second = described.words
    assert (first.text, first.start, first.log_probability, first.sources) == ("B", 0, -0.5, (1,))
    assert (second.text, second.start, second.log_probability) == ("Aa", 2, -0.375)
    assert (second.entropy, second.sources) == (0.75, (0,))
    assert (first.weights, second.weights) == ((0.0, 1.0), (1.0, 0.0))


def test_translations_have_their_words_if_details_are_asked_for(tiny_directory):
    translator = Translator.load(tiny_directory, device="cpu", precision="float32")
    assert translator.translate(SOURCES[0]).words is None
    for source, found in zip(
        SOURCES, translator.translate(SOURCES, with_details=True), strict=True
    ):
        assert [word.text for word in found.words] == found.text.split()
        assert list(found.source_words) == source.split()
        assert found.alternatives[0].words == found.words
        end = found.piece_log_probabilities[-1]
        in_words = math.fsum(word.log_probability for word in found.words)
        assert in_words + end == pytest.approx(found.log_probability, abs=1e-4)
