import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq.config import (
    CorpusConfig,
    ModelConfig,
    Recipe,
    SearchConfig,
    TokenizerConfig,
    TrainingConfig,
)


@pytest.fixture(autouse=True)
def one_thread():
    """More threads than cores make tiny products slow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_copy_corpus(folder: Path, num_train: int, num_dev: int) -> Path:
    """Digits to copy: distinct sentences in train, dev and test, alike in the languages aa, bb."""
    generator = random.Random(1)
    sentences: dict[str, None] = {}
    while len(sentences) < num_train + 2 * num_dev:
        length = generator.randint(2, 6)
        sentences[" ".join(str(generator.randrange(10)) for _ in range(length))] = None
    lines = list(sentences)
    parts = {
        "train": lines[: -2 * num_dev],
        "dev": lines[-2 * num_dev : -num_dev],
        "test": lines[-num_dev:],
    }
    for name, part in parts.items():
        for language in ("aa", "bb"):
            text = "".join(f"{line}\n" for line in part)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_copy_corpus(tmp_path_factory.mktemp("corpus"), num_train=60, num_dev=7)


@pytest.fixture
def make_recipe(tiny_corpus: Path) -> Callable[..., Recipe]:
    """A recipe that trains in a second; keyword arguments change its `training` section."""

    def make(corpus: Path = tiny_corpus, model: ModelConfig | None = None, **training: Any):
        settings = {
            "max_epochs": 2,
            "batch_tokens": 64,
            "warmup_steps": 3,
            "precision": "float32",
            "device": "cpu",
        }
        return Recipe(
            name="copy",
            source_language="aa",
            target_language="bb",
            corpus=CorpusConfig(
                train=str(corpus / "train"), dev=str(corpus / "dev"), test=str(corpus / "test")
            ),
            tokenizer=TokenizerConfig(kind="bpe", vocabulary_size=16, byte_fallback=False),
            model=model
            or ModelConfig(
                cell="gru", embedding_size=8, hidden_size=16, attention_size=12, dropout=0.2
            ),
            training=replace(TrainingConfig(), **{**settings, **training}),
            search=SearchConfig(beam_size=2, batch_size=16),
        )

    return make
