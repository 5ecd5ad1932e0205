import shutil

import pytest
import torch
from tiny_language_model import RUNNING_TEXT

from seq2seq.config import ConfigurationError, TokenizerConfig
from seq2seq.language_config import (
    LanguageNetworkConfig,
    LanguageRecipe,
    LanguageTrainingConfig,
    TextConfig,
)
from seq2seq.language_model_directory import (
    is_language_model,
    load_language_model_directory,
    save_language_model,
)
from seq2seq.model_directory import load_model_directory
from seq2seq.model_files import ModelDirectoryError
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.recipe_yaml import language_recipe_from_yaml, recipe_to_yaml


@pytest.fixture
def folder(text_directory, tmp_path):
    """A folder of a language model that a test may change."""
    return shutil.copytree(text_directory, tmp_path / "own")


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_saved_is_loaded(tmp_path, text_directory, tied):
    tokenizer = load_language_model_directory(text_directory).tokenizer
    model = LanguageNetworkConfig(
        cell="lstm", embedding_size=6, hidden_size=9, num_layers=3, tie_embeddings=tied
    )
    recipe = LanguageRecipe(
        name="x", language="ko", text=TextConfig(embedded="source"), model=model
    )
    network = LanguageNetwork(model, tokenizer.vocabulary_size)
    save_language_model(tmp_path / "x", recipe, network.state_dict(), tokenizer)
    loaded = load_language_model_directory(tmp_path / "x")
    assert loaded.recipe == recipe
    assert loaded.tokenizer.to_bytes() == tokenizer.to_bytes()
    assert not loaded.network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.network.state_dict()[name]), name
    shared = loaded.network.vocabulary.weight is loaded.network.embedding.weight
    assert shared is tied
    card = (tmp_path / "x/README.md").read_text("utf-8")
    assert "3 layer(s) of 9\nLSTM units" in card
    assert "The Python source of seq2seq itself." in card
    assert "Not evaluated yet." in card


def test_a_folder_says_of_which_texts_it_is(tmp_path, text_directory):
    kept = load_language_model_directory(text_directory)
    assert kept.texts == {}
    save_language_model(
        tmp_path / "x", kept.recipe, kept.network.state_dict(), kept.tokenizer, texts={"dev": "a1"}
    )
    assert load_language_model_directory(tmp_path / "x").texts == {"dev": "a1"}


def test_a_folder_says_what_it_holds(text_directory, tiny_directory, tmp_path):
    assert is_language_model(text_directory)
    assert not is_language_model(tiny_directory)
    assert not is_language_model(tmp_path)


def test_a_translator_is_none(tiny_directory):
    with pytest.raises(ModelDirectoryError, match="holds a translator, not a language model"):
        load_language_model_directory(tiny_directory)


def test_a_language_model_is_no_translator(text_directory):
    with pytest.raises(ModelDirectoryError, match="holds a language model, not a translator"):
        load_model_directory(text_directory)


def replace_in(file, old, new):
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def lose(file):
    file.unlink()


def damage(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("language_model.yaml", lose, r"language_model\.yaml is missing"),
        ("model.safetensors", lose, r"model\.safetensors is missing"),
        ("text.model", lose, r"text\.model is missing"),
        ("model.safetensors", damage, "damaged"),
        ("text.model", damage, "does not fit model"),
    ],
    ids=["no-recipe", "no-weights", "no-pieces", "weights", "pieces"],
)
def test_what_is_missing_or_damaged_is_named(folder, name, change, message):
    change(folder / name)
    with pytest.raises(ModelDirectoryError, match=message):
        load_language_model_directory(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format_version: 1", "format_version: 2", "`format_version` must be 1, but is 2"),
        ("hidden_size: 20", "hidden_size: 21", "has the shape"),
        ("cell: gru", "cell: grus", r"`model\.cell` must be one of"),
        ("cell: gru", "cells: gru", r"unknown key `model\.cells`"),
        ("name: text", "name: ../text", "`name` must be a plain folder name"),
        ("weights:\n", "weights: 3\nname:\n", "doubled|duplicate|stands there twice|key"),
    ],
    ids=["version", "size", "cell", "key", "name", "twice"],
)
def test_a_recipe_that_does_not_fit_is_one_sentence(folder, old, new, message):
    replace_in(folder / "language_model.yaml", old, new)
    with pytest.raises(ModelDirectoryError, match=message):
        load_language_model_directory(folder)


def test_a_recipe_of_other_weights_is_refused(folder, language_directory):
    shutil.copy(language_directory / "language_model.yaml", folder)
    with pytest.raises(ModelDirectoryError, match=r"belongs to other weights than model\.safet"):
        load_language_model_directory(folder)


def test_a_recipe_survives_its_yaml():
    assert language_recipe_from_yaml(recipe_to_yaml(RUNNING_TEXT, weights={"x": "y"})) == (
        RUNNING_TEXT
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TextConfig(train=[]), r"`text\.train` must not be empty"),
        (lambda: TextConfig(dev=["a", ""]), r"`text\.dev` must not be empty"),
        (lambda: LanguageNetworkConfig(num_layers=5), r"`model\.num_layers` must be from 1 to 4"),
        (lambda: LanguageNetworkConfig(hidden_size=0), r"`model\.hidden_size` must be from 1"),
        (lambda: LanguageNetworkConfig(dropout=1.0), r"`model\.dropout` must be in \[0, 1\)"),
        (lambda: LanguageTrainingConfig(streams=0), r"`training\.streams` must be at least 1"),
        (lambda: LanguageTrainingConfig(learning_rate=0), r"`training\.learning_rate` must be ab"),
        (lambda: LanguageTrainingConfig(max_minutes=0), r"`training\.max_minutes` must be above 0"),
        (lambda: LanguageRecipe(name="a/b"), "`name` must be a plain folder name"),
        (lambda: LanguageRecipe(language="e n"), "`language` must be a language code"),
        (
            lambda: LanguageRecipe(tokenizer=TokenizerConfig(kind="bpe", sampling=0.1)),
            r"`tokenizer\.sampling` has no meaning for running text",
        ),
    ],
    ids=[
        "train",
        "dev",
        "layers",
        "size",
        "dropout",
        "streams",
        "rate",
        "minutes",
        "name",
        "language",
        "sampling",
    ],
)
def test_settings_that_cannot_work_are_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
