"""A corpus small enough to read, and tokenizers trained on it, for every test that needs text."""

from itertools import product

import pytest
from hypothesis import settings
from tiny_language_model import language_directory, text_directory  # noqa: F401
from tiny_translator import (  # noqa: F401 -- fixtures of the tests of whole translators
    environment,
    known_pairs,
    member_directory,
    own_directory,
    reverse_directory,
    tiny_directory,
    tiny_recipe,
)

from seq2seq.config import TokenizerConfig
from seq2seq.data.corpus import Pairs
from seq2seq.data.tokenizer import Tokenizer, Tokenizers, train_tokenizers

# The same cases in every run, and no test fails because its machine is busy.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

SUBJECTS = [
    ("ein hund", "a dog"),
    ("die katze", "the cat"),
    ("mein bruder", "my brother"),
    ("das kleine kind", "the little child"),
    ("eine alte frau", "an old woman"),
    ("er", "he"),
]
VERBS = [("sieht", "sees"), ("sucht", "looks for"), ("findet", "finds"), ("malt", "paints")]
OBJECTS = [
    ("den ball", "the ball"),
    ("ein rotes haus", "a red house"),
    ("den weg nach hause", "the way home"),
    ("einen vogel", "a bird"),
]
TIMES = [("", ""), (" heute", " today"), (" am frühen morgen", " early in the morning")]


@pytest.fixture(scope="session")
def tiny_pairs() -> Pairs:
    """288 distinct German and English sentences of 3 to 9 words."""
    phrases = list(product(SUBJECTS, VERBS, OBJECTS, TIMES))
    return Pairs(
        [f"{who[0]} {verb[0]} {what[0]}{when[0]} ." for who, verb, what, when in phrases],
        [f"{who[1]} {verb[1]} {what[1]}{when[1]} ." for who, verb, what, when in phrases],
    )


@pytest.fixture(scope="session")
def tiny_config() -> TokenizerConfig:
    """Settings of a tokenizer that fits `tiny_pairs`: 256 byte pieces and some 60 others."""
    return TokenizerConfig(kind="bpe", vocabulary_size=320)


@pytest.fixture(scope="session")
def tiny_tokenizers(tiny_pairs: Pairs, tiny_config: TokenizerConfig) -> Tokenizers:
    """One tokenizer for both sides."""
    return train_tokenizers(tiny_pairs, tiny_config)


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_tokenizers: Tokenizers) -> Tokenizer:
    return tiny_tokenizers.source
