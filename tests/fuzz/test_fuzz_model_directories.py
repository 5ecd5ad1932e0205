"""Model directories: damage is noticed, nothing is executed, and no file is read for ever."""

import dataclasses
import random
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from fuzzing import CASES, damage_file, fuzz
from tiny_translator import train_tiny

from seq2seq.config import Recipe
from seq2seq.data.corpus import Pairs
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.model_directory import (
    LoadedModel,
    add_lexicon,
    load_model_directory,
    read_scores,
)
from seq2seq.tensor_files import open_tensors, read_metadata
from seq2seq.translator import Translator

FILES = ("recipe.yaml", "model.safetensors", "shared.model", "lexicon.safetensors")
TENSOR_FILES = ("model.safetensors", "lexicon.safetensors")


@pytest.fixture(scope="module")
def small_directory(
    tiny_recipe: Recipe, known_pairs: Pairs, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model directory of some 40 kB with a lexicon, which no test may change."""
    path = tmp_path_factory.mktemp("models") / "small"
    sizes = dataclasses.replace(
        tiny_recipe.model, embedding_size=4, hidden_size=6, attention_size=5
    )
    train_tiny(dataclasses.replace(tiny_recipe, model=sizes), known_pairs, path, num_steps=1)
    translations = torch.arange(300, dtype=torch.int32).view(300, 1)
    add_lexicon(
        path,
        Lexicon(translations, torch.tensor([3, 9], dtype=torch.int32)),
        load_model_directory(path).tokenizers,
    )
    return path


@pytest.fixture
def directory(small_directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_directory, tmp_path / "model"))


def forget_checksums(directory: Path) -> None:
    """Makes it a directory of an older version, whose files of tensors hold tensors alone."""
    for name in TENSOR_FILES:
        file = directory / name
        with open_tensors(file) as entries:
            tensors = {key: entries.get_tensor(key) for key in entries.keys()}  # noqa: SIM118
            kept = read_metadata(file, entries) if name == "lexicon.safetensors" else {}
        kept.pop("crc32", None)
        data = safetensors.torch.save(tensors, metadata=kept or None)
        file.write_bytes(data)


def same_model(first: LoadedModel, second: LoadedModel) -> bool:
    assert first.lexicon and second.lexicon
    states = first.model.state_dict(), second.model.state_dict()
    return (
        all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        and first.tokenizers.source.to_bytes() == second.tokenizers.source.to_bytes()
        and torch.equal(first.lexicon.translations, second.lexicon.translations)
        and torch.equal(first.lexicon.frequent, second.lexicon.frequent)
    )


@CASES
def test_damage_is_noticed_or_changes_nothing(cases: int, directory: Path) -> None:
    whole = {name: (directory / name).read_bytes() for name in FILES}
    expected = load_model_directory(directory)

    def read(rng: random.Random) -> None:
        name = rng.choice(FILES)
        damage_file(directory / name, rng)
        try:
            assert same_model(load_model_directory(directory), expected), name
        finally:
            (directory / name).write_bytes(whole[name])

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 50


@CASES
def test_damaged_directories_without_checksums_translate_or_are_refused(
    cases: int, directory: Path
) -> None:
    forget_checksums(directory)
    whole = {name: (directory / name).read_bytes() for name in FILES}

    def read(rng: random.Random) -> None:
        name = rng.choice(FILES)
        damage_file(directory / name, rng)
        try:
            loaded = load_model_directory(directory)
            assert all(weights.isfinite().all() for weights in loaded.model.parameters())
            if rng.random() < 0.2:
                search = {"beam_size": 2, "batch_size": 2, "n_best": 1, "max_length_ratio": 0.1}
                translator = Translator(
                    loaded.model, loaded.tokenizers, loaded.recipe, lexicon=loaded.lexicon
                )
                translator.translate(["ein Hund schläft .", ""], shortlist=1, **search)
        finally:
            (directory / name).write_bytes(whole[name])

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 50


@CASES
def test_damaged_scores_are_no_scores(cases: int, directory: Path) -> None:
    whole = (directory / "scores.json").read_bytes()

    def read(rng: random.Random) -> None:
        damage_file(directory / "scores.json", rng)
        try:
            assert isinstance(read_scores(directory), dict)
        finally:
            (directory / "scores.json").write_bytes(whole)

    assert fuzz(read, cases)["worked"] == cases
