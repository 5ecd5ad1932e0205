"""Sentences of digits to copy, and recipes that train on them within a second."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from seq2seq.config import (
    CorpusConfig,
    ModelConfig,
    Recipe,
    SearchConfig,
    TokenizerConfig,
    TrainingConfig,
)

TINY_MODEL = ModelConfig(
    cell="gru", embedding_size=8, hidden_size=16, attention_size=12, dropout=0.2
)


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


def make_recipe(corpus: Path, model: ModelConfig = TINY_MODEL, **training: Any) -> Recipe:
    """Keyword arguments change the `training` section."""
    settings: dict[str, Any] = {
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
        model=model,
        training=replace(TrainingConfig(), **{**settings, **training}),
        search=SearchConfig(batch_size=16),
    )
