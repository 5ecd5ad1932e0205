"""Every recipe builds, says what it is, and trains what its file name says."""

import ast
import importlib.util
import json
import re
import shlex
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
import torch

from seq2seq import CorpusConfig, Recipe
from seq2seq.language_config import LanguageRecipe
from seq2seq.models.encoder_decoder import build_model
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.recipe import parse_recipe

FOLDER = Path(__file__).parents[1] / "recipes"
LANGUAGE_FILES = sorted(FOLDER.glob("characters_*.py"))
ALL_FILES = sorted(FOLDER.glob("*.py"))
FILES = [file for file in ALL_FILES if file not in LANGUAGE_FILES]


def load(file):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_recipes():
    assert {file.stem for file in FILES} >= {
        "phrasebook_ko_en",
        "phrasebook_en_ko",
        "multi30k_de_en",
        "multi30k_en_de",
        "multi30k_en_fr",
        "tatoeba_ko_en",
        "tatoeba_de_en",
        "kaist_tatoeba_bible_ko_en",
        "kaist_tatoeba_bible_en_ko",
        "small_parallel_enja_en_ja",
    }
    assert {file.stem for file in LANGUAGE_FILES} >= {"characters_python", "characters_bible_ko"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_named_like_its_file(file):
    recipe = load(file).recipe
    assert isinstance(recipe, Recipe)
    corpus, source, target = re.fullmatch(r"(.+)_(\w{2,3})_(\w{2,3})", file.stem).groups()
    assert recipe.name == file.stem.replace("_", "-")
    assert recipe.name.startswith(corpus.replace("_", "-"))
    assert (recipe.source_language, recipe.target_language) == (source, target)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_builds(file):
    recipe = load(file).recipe
    size = recipe.tokenizer.vocabulary_size
    with torch.device("meta"):
        build_model(recipe.model, size, size)


@pytest.mark.parametrize("file", LANGUAGE_FILES, ids=lambda file: file.stem)
def test_a_recipe_of_a_language_model_is_named_like_its_file_and_builds(file):
    recipe = load(file).recipe
    assert isinstance(recipe, LanguageRecipe)
    assert recipe.name == file.stem.replace("_", "-")
    with torch.device("meta"):
        LanguageNetwork(recipe.model, vocabulary_size=8)


@pytest.mark.parametrize("file", ALL_FILES, ids=lambda file: file.stem)
def test_a_recipe_states_corpus_and_licence(file):
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8")))
    assert "Corpus: " in docstring
    assert "Licence: " in docstring


@pytest.mark.parametrize("file", ALL_FILES, ids=lambda file: file.stem)
def test_a_recipe_is_values_and_one_call(file):
    tree = ast.parse(file.read_text("utf-8"))
    kinds = [type(node).__name__ for node in tree.body]
    assert [kind for kind, _ in groupby(kinds)] == ["Expr", "ImportFrom", "Assign", "If"]
    call = "run_language_model(recipe)" if file in LANGUAGE_FILES else "run(recipe)"
    assert ast.unparse(tree.body[-1].body[0]) == call


def test_the_tables_of_results_are_what_the_result_files_give():
    script = load(FOLDER.parent / "benchmarks" / "recipe_results.py")
    documents = script.documents()
    assert {path.relative_to(script.ROOT).as_posix() for path in documents} == {
        "README.md",
        "README.ko.md",
        "recipes/README.md",
    }
    for path, text in documents.items():
        assert path.read_text("utf-8") == text


def test_results_are_of_recipes_that_are_there():
    script = load(FOLDER.parent / "benchmarks" / "recipe_results.py")
    results = [json.loads(file.read_text("utf-8")) for file in script.RESULTS.glob("*.json")]
    assert results
    for result in results:
        assert (FOLDER / f"{result['recipe']}.py").exists()
        assert result["command"].startswith(f"python recipes/{result['recipe']}.py")


def test_a_command_holds_what_a_run_set_otherwise_than_its_recipe():
    script = load(FOLDER.parent / "benchmarks" / "recipe_results.py")
    file = FOLDER / "multi30k_de_en.py"
    assert script.script_of("multi30k-de-en-fixed") == file
    recipe = load(file).recipe
    assert script.options(file, recipe) == []
    changed = replace(
        recipe,
        name="multi30k-de-en-fixed",
        corpus=CorpusConfig(train="data/train", dev="data/dev"),
        model=replace(recipe.model, attention="none"),
    )
    assert script.options(file, changed) == [
        "--name multi30k-de-en-fixed",
        "--corpus.train data/train",
        "--corpus.dev data/dev",
        "--model.attention none",
    ]


def test_a_command_gives_the_run_again():
    script = load(FOLDER.parent / "benchmarks" / "recipe_results.py")
    file = FOLDER / "multi30k_de_en.py"
    recipe = load(file).recipe
    changed = replace(
        recipe,
        corpus=CorpusConfig(train=["my data/a", "it's/b"]),
        model=replace(recipe.model, reverse_source=True),
        training=replace(recipe.training, max_minutes=None, learning_rate=1e-5),
    )
    argv = shlex.split(" ".join(script.options(file, changed)))
    assert parse_recipe(recipe, argv, command="test")[0] == changed
