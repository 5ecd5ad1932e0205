"""A translator small enough to learn a dozen sentences by heart in about a second."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
import torch

from seq2seq.config import CorpusConfig, ModelConfig, Recipe, SearchConfig, TokenizerConfig
from seq2seq.data.batch import make_batch
from seq2seq.data.corpus import Pairs
from seq2seq.data.tokenizer import train_tokenizers
from seq2seq.model_directory import save_model_directory
from seq2seq.models.encoder_decoder import build_model

torch.set_num_threads(1)  # for tensors of this size more threads only wait for one another

SUBJECTS = {"ein Hund": "a dog", "eine Katze": "a cat", "der Mann": "the man", "Müller": "Miller"}
VERBS = {
    "schläft .": "sleeps .",
    "rennt im Park .": "runs in the park .",
    "isst Brot .": "eats bread .",
}
SOURCES = [f"{subject} {verb}" for subject in SUBJECTS for verb in VERBS]
TARGETS = [f"{subject} {verb}" for subject in SUBJECTS.values() for verb in VERBS.values()]


@pytest.fixture(scope="session")
def known_pairs() -> Pairs:
    """What the tiny translator knows by heart."""
    return Pairs(SOURCES, TARGETS)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return Recipe(
        name="tiny",
        source_language="de",
        target_language="en",
        corpus=CorpusConfig(train="my/train"),
        tokenizer=TokenizerConfig(vocabulary_size=300),
        model=ModelConfig(
            cell="gru", embedding_size=24, hidden_size=40, attention_size=28, dropout=0.0
        ),
        search=SearchConfig(beam_size=3, batch_size=5),
    )


@pytest.fixture(scope="session")
def tiny_directory(
    tiny_recipe: Recipe, known_pairs: Pairs, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model directory that all tests share and none may change."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    train_tiny(tiny_recipe, known_pairs, path)
    return path


@pytest.fixture(scope="session")
def reverse_directory(
    tiny_recipe: Recipe, known_pairs: Pairs, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model directory of the other direction, which none may change either."""
    path = tmp_path_factory.mktemp("models") / "reverse"
    recipe = dataclasses.replace(
        tiny_recipe, name="reverse", source_language="en", target_language="de"
    )
    train_tiny(recipe, Pairs(known_pairs.targets, known_pairs.sources), path, num_steps=40)
    return path


@pytest.fixture(scope="session")
def member_directory(
    tiny_recipe: Recipe, known_pairs: Pairs, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Another network for the same vocabulary, with a fixed context and other cells."""
    path = tmp_path_factory.mktemp("models") / "member"
    model = dataclasses.replace(tiny_recipe.model, cell="lstm", attention="none", hidden_size=32)
    train_tiny(dataclasses.replace(tiny_recipe, name="member", model=model), known_pairs, path, 40)
    return path


@pytest.fixture
def own_directory(tiny_directory: Path, tmp_path: Path) -> Path:
    """A copy of the model directory, to be damaged."""
    return Path(shutil.copytree(tiny_directory, tmp_path / "model"))


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For commands that run as processes of their own."""
    root = str(Path(__file__).parents[1])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}


def train_tiny(recipe: Recipe, pairs: Pairs, path: Path, num_steps: int = 80) -> None:
    """Learns the pairs by heart and saves a model directory."""
    tokenizers = train_tokenizers(pairs, recipe.tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = build_model(
            recipe.model,
            tokenizers.source.vocabulary_size,
            tokenizers.target.vocabulary_size,
        )
    batch = make_batch(
        tokenizers.source.encode_batch(pairs.sources), tokenizers.target.encode_batch(pairs.targets)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(num_steps):
        output = model.loss(
            batch.source_ids, batch.source_lengths, batch.target_input_ids, batch.target_output_ids
        )
        optimizer.zero_grad()
        (output.loss / output.num_tokens).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    scores = {"dev": {"bleu": {"name": "BLEU", "value": 99.0, "signature": "none"}}}
    save_model_directory(
        path, recipe, model.state_dict(), tokenizers, scores=scores, extra={"bfloat16": False}
    )
