import pytest

from seq2seq.data.long_sources import SourceSplitter, Split
from seq2seq.data.tokenizer import Tokenizer

SENTENCES = ["I buy bread .", "You sell milk today ."]


@pytest.fixture
def encode(tiny_tokenizer: Tokenizer):
    return tiny_tokenizer.encode


def split(tokenizer: Tokenizer, source: str, **limits: int) -> Split:
    return SourceSplitter(tokenizer, "en", **limits).split(source, tokenizer.encode(source))


def test_without_limits_a_source_stays_whole(tiny_tokenizer, encode):
    source = " ".join(SENTENCES * 9)
    assert split(tiny_tokenizer, source) == Split([encode(source)], cut=False)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_source_has_no_parts(tiny_tokenizer, blank):
    assert split(tiny_tokenizer, blank, longest_source=1) == Split([], cut=False)


def test_a_long_source_becomes_its_sentences(tiny_tokenizer, encode):
    source = " ".join(SENTENCES)
    limit = len(encode(source))
    assert split(tiny_tokenizer, source, longest_source=limit).parts == [encode(source)]
    parts = [encode(sentence) for sentence in SENTENCES]
    assert split(tiny_tokenizer, source, longest_source=limit - 1) == Split(parts, cut=False)
    assert split(tiny_tokenizer, source, sentences_per_source=1) == Split(parts, cut=False)
    assert split(tiny_tokenizer, source, sentences_per_source=2).parts == [encode(source)]


def test_a_long_sentence_is_cut_into_parts_of_half_the_length(tiny_tokenizer, encode):
    source = " ".join(["bread"] * 40)
    found = split(tiny_tokenizer, source, longest_source=20)
    assert found.cut
    assert all(0 < len(part) <= 10 for part in found.parts)
    text = " ".join(tiny_tokenizer.decode(part) for part in found.parts)
    assert text == source
