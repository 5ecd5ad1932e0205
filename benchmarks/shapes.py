"""Networks of the sizes that are measured, with random weights, and random text to feed them.

A network by itself takes random ids. For what works on text there is a whole model directory, whose
pieces are the words w0, w1, ...: a sentence of n of these words has n pieces.
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from measure import Result, prepare, report
from torch import Tensor

from seq2seq.config import ModelConfig, Recipe, SearchConfig, TokenizerConfig
from seq2seq.data.tokenizer import Tokenizer, Tokenizers
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.model_directory import load_model_directory, save_model_directory
from seq2seq.models.encoder_decoder import build_model

VOCABULARY_SIZE = 8000
NUM_SPECIAL = 4  # ids of padding, unknown, begin and end
LEXICON_WIDTH, NUM_FREQUENT = 50, 200  # of the random table that shortlists are made of

COMMON = ModelConfig(attention_size=512, tie_embeddings=False, dropout=0.0)

SHAPES = {
    "tiny": replace(COMMON, embedding_size=16, hidden_size=32, attention_size=16),
    "common": COMMON,
    "large": replace(
        COMMON,
        embedding_size=512,
        hidden_size=1024,
        attention_size=1024,
        encoder_layers=2,
        decoder_layers=2,
    ),
    "gru": replace(COMMON, cell="gru"),
    "rnn": replace(COMMON, cell="rnn"),
    "fixed": replace(COMMON, attention="none"),
}
"""`common` with one change each, but for `tiny`, which is for trying the scripts."""


@dataclass(frozen=True)
class Text:
    """A model directory and what it translates."""

    name: str
    model: Path
    sources: list[str]
    target_language: str
    references: list[str] | None = None


def add_text_options(parser: argparse.ArgumentParser, *, sentences: int = 1000) -> None:
    """The options of `open_text`."""
    parser.add_argument("--model", type=Path, metavar="DIR", help="a trained model directory")
    parser.add_argument("--source", type=Path, metavar="FILE", help="one sentence per line")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="for BLEU")
    parser.add_argument("--sentences", type=int, default=sentences, help="at most")
    parser.add_argument("--shape", choices=SHAPES, default="common", help="without a model")
    parser.add_argument("--length", type=int, default=16, help="pieces, </s> counted")


@contextmanager
def open_text(arguments: argparse.Namespace) -> Iterator[Text]:
    """What the options ask for; a random model directory is there until the context ends."""
    if arguments.model:
        if arguments.source is None:
            raise SystemExit("--model needs --source, a file with a sentence in each line.")
        recipe = load_model_directory(arguments.model).recipe
        sources = _first_lines(arguments.source, arguments.sentences)
        references = arguments.reference and _first_lines(arguments.reference, len(sources))
        name = f"{arguments.model.name}, {len(sources)} sentences of {arguments.source.name}"
        yield Text(name, arguments.model, sources, recipe.target_language, references)
        return
    with tempfile.TemporaryDirectory() as folder:
        length, shape = arguments.length, arguments.shape
        make_model_directory(
            Path(folder), SHAPES[shape], source_length=length, target_length=length
        )
        sources = random_sentences(arguments.sentences, length - 1, arguments.seed)
        name = f"{shape} with random weights, {len(sources)} random sentences of {length} pieces"
        yield Text(name, Path(folder), sources, "yy")


def run_on_text(
    measure: Callable[[Text, argparse.Namespace], Result], parser: argparse.ArgumentParser
) -> None:
    """What a script does that measures a model on text: reads its options, and reports."""
    arguments = parser.parse_args()
    prepare(arguments)
    with open_text(arguments) as text:
        report(measure(text, arguments), arguments)


def _first_lines(file: Path, count: int) -> list[str]:
    return file.read_text("utf-8").splitlines()[:count]


def random_ids(shape: tuple[int, ...], vocabulary_size: int = VOCABULARY_SIZE) -> Tensor:
    """Ids of real pieces."""
    return torch.randint(NUM_SPECIAL, vocabulary_size, shape)


def random_sentences(
    count: int, length: int, seed: int, vocabulary_size: int = VOCABULARY_SIZE
) -> list[str]:
    """Sentences of `length` words that a random model directory knows."""
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(vocabulary_size - NUM_SPECIAL)]
    return [" ".join(draw.choices(words, k=length)) for _ in range(count)]


def make_model_directory(
    path: Path,
    shape: ModelConfig,
    *,
    source_length: int,
    target_length: int,
    vocabulary_size: int = VOCABULARY_SIZE,
) -> None:
    """Writes a model directory with random weights.

    Such a network hardly ever ends a sentence, so every translation takes as many steps as the
    recipe's search allows: `target_length` for sources of `source_length` pieces, `</s>` counted.
    """
    words = " ".join(f"w{number}" for number in range(vocabulary_size - NUM_SPECIAL))
    config = TokenizerConfig(
        kind="word", vocabulary_size=vocabulary_size, byte_fallback=False, character_coverage=1.0
    )
    tokenizer = Tokenizer.train([words], config)
    # The longest translation is ratio x source pieces + 10; a bit more, so that int() rounds well.
    ratio = max(target_length - 10 + 0.01, 0.01) / source_length
    recipe = Recipe(
        name="random",
        source_language="xx",
        target_language="yy",
        tokenizer=config,
        model=shape,
        search=SearchConfig(max_length_ratio=ratio),
    )
    model = build_model(shape, vocabulary_size, vocabulary_size)
    width = min(LEXICON_WIDTH, vocabulary_size)
    translations = random_ids((vocabulary_size, width), vocabulary_size)
    frequent = torch.arange(vocabulary_size)[NUM_SPECIAL : NUM_SPECIAL + NUM_FREQUENT]
    lexicon = Lexicon(translations.int(), frequent.int()) if shape.attention != "none" else None
    tokenizers = Tokenizers(tokenizer, tokenizer)
    save_model_directory(path, recipe, model.state_dict(), tokenizers, lexicon=lexicon)
