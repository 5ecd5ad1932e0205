"""Guided attention from a recipe to the weights."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from copy_corpus import make_recipe
from safetensors.torch import load_file
from test_train import at_step

from seq2seq.config import ConfigurationError, Recipe, TokenizerConfig
from seq2seq.data.text_files import read_lines
from seq2seq.training.errors import TrainingInterrupted
from seq2seq.training.train import train
from seq2seq.translator import Translator


def guided_recipe(corpus: Path, weight: float = 1.0, *, backwards: bool, **training: Any) -> Recipe:
    """Digits to copy, each linked with itself, or the first with the last and so on."""
    with open(corpus / "train.align", "w", encoding="utf-8") as file:
        for sentence in read_lines(corpus / "train.aa"):
            sources = range(len(sentence.split()))[:: -1 if backwards else 1]
            links = (f"{source}-{target}" for target, source in enumerate(sources))
            file.write(" ".join(links) + "\n")
    recipe = make_recipe(corpus, **training)
    return replace(
        recipe,
        tokenizer=TokenizerConfig("word", byte_fallback=False),  # a piece for each digit
        corpus=replace(recipe.corpus, alignments=str(corpus / "train.align")),
        training=replace(recipe.training, guided_attention=weight),
    )


@pytest.fixture
def corpus(tiny_corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def test_attention_looks_where_it_is_told_to(corpus: Path, tmp_path: Path) -> None:
    """Also where nobody would look by himself: the first digit is given by the last one's place."""
    settings = {"max_epochs": 40, "learning_rate": 2e-2, "average_best": 1, "validate_every": 40}
    train(guided_recipe(corpus, 3.0, backwards=True, **settings), tmp_path / "run")
    translator = Translator.load(tmp_path / "run", device="cpu")
    right = []
    for translation in translator.translate(read_lines(corpus / "test.aa")):
        sources = reversed(range(len(translation.source_pieces) - 1))
        looks = translation.alignment[:-1].argmax(1).tolist()
        right += [look == source for look, source in zip(looks, sources, strict=False)]
    assert sum(right) > 0.9 * len(right) > 10


def test_an_interrupted_run_continues_to_the_same_weights(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = guided_recipe(corpus, backwards=False)
    straight = train(recipe, tmp_path / "straight")
    with monkeypatch.context() as patch:
        at_step(patch, 8, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(TrainingInterrupted):
            train(recipe, tmp_path / "interrupted")
    resumed = train(recipe, tmp_path / "interrupted", resume=True)
    weights = weights_of(resumed.path)
    assert all(torch.equal(tensor, weights[n]) for n, tensor in weights_of(straight.path).items())
    plain = make_recipe(corpus)
    unguided = weights_of(train(plain, tmp_path / "unguided").path)
    assert any(not torch.equal(tensor, weights[n]) for n, tensor in unguided.items())


def test_other_alignments_are_another_corpus(corpus: Path, tmp_path: Path) -> None:
    train(guided_recipe(corpus, backwards=False, max_epochs=1), tmp_path / "run")
    other = guided_recipe(corpus, backwards=True, max_epochs=2)
    with pytest.raises(ConfigurationError, match="training corpus has changed since the run"):
        train(other, tmp_path / "run", resume=True)
    with pytest.raises(ConfigurationError, match=r"`training\.guided_attention` was 1\.0 when"):
        train(guided_recipe(corpus, 2.0, backwards=False), tmp_path / "run", resume=True)
