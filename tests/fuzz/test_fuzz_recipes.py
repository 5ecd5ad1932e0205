"""Recipes and options: whatever stands in them becomes a recipe or one sentence."""

import dataclasses
import random
import typing
from pathlib import Path
from typing import Any

import pytest
from fuzzing import CASES, TEXTS, damage_file, damaged, fuzz, or_error
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq import cli
from seq2seq.config import ConfigurationError, Recipe, SearchConfig
from seq2seq.loading import Loading
from seq2seq.options import Options
from seq2seq.recipe import _read_config as read_config
from seq2seq.recipe_yaml import recipe_from_yaml, recipe_to_yaml, update_recipe

WHOLE = recipe_to_yaml(Recipe(), decode={"bfloat16": True})
WRITTEN = """\
name: mine
source_language: de
target_language: en
corpus: {train: [a/train, "b/train.tsv[:50%]"], max_length: 100, filters: {script: 0.5}}
model: {hidden_size: 64, dropout: 1e-1, bidirectional: no}
training:
  seed: 3
  device: 'cpu'
"""


@CASES
def test_damaged_recipes_are_recipes_or_refused(cases: int) -> None:
    def read(rng: random.Random) -> None:
        data = damaged(rng.choice((WHOLE, *[WRITTEN] * 4)).encode(), rng)
        recipe = recipe_from_yaml(data.decode(errors="replace"))
        assert recipe_from_yaml(recipe_to_yaml(recipe)) == recipe

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 20


@CASES
def test_damaged_recipe_files_are_recipes_or_refused(cases: int, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"

    def read(rng: random.Random) -> None:
        file.write_text(WRITTEN)
        damage_file(file, rng)
        read_config(config=str(file))

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 20


def leaves(cls: type, prefix: str = "") -> dict[str, Any]:
    """Annotations of all settings by their dotted names."""
    found: dict[str, Any] = {}
    for name, annotation in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
            found |= leaves(annotation, f"{prefix}{name}.")
        else:
            found[prefix + name] = annotation
    return found


SETTINGS = leaves(Recipe)
VALUES = {
    int: st.integers() | st.integers(0, 1000),
    float: st.floats() | st.floats(0, 1),
    bool: st.booleans(),
    str: st.text() | st.sampled_from(TEXTS),
    type(None): st.none(),
    list[str]: st.lists(st.text(min_size=1), max_size=3),
}


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        return st.sampled_from(typing.get_args(annotation))
    if annotation in VALUES:
        return VALUES[annotation]
    return st.one_of(*map(values_of, typing.get_args(annotation)))


def tree(name: str, value: Any) -> dict[str, Any]:
    first, dot, rest = name.partition(".")
    return {first: tree(rest, value) if dot else value}


@given(st.data())
@settings(max_examples=200)
def test_what_is_accepted_is_written_and_read_as_it_was(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SETTINGS)))
    value = data.draw(values_of(SETTINGS[name]))
    recipe = or_error(lambda: update_recipe(Recipe(), tree(name, value)))
    if recipe is not None:
        assert recipe_from_yaml(recipe_to_yaml(recipe)) == recipe
        recipe_to_yaml(recipe).encode()


def make_options() -> dict[str, tuple[Options, list[str]]]:
    """How each command reads its options, and their names."""
    train = Options("seq2seq train", "")
    train.add_settings(Recipe())
    found = {"train": (train, list(SETTINGS))}
    for command in (cli.translate, cli.evaluate, cli.score, cli.inspect_sentence, cli.report):
        options = Options(command.__name__, "")
        options.add_function(command, skip=["loading", "search"])
        hints = typing.get_type_hints(command)
        groups = {"loading": Loading(), "search": SearchConfig()}
        names = [name for name in hints if name not in (*groups, "return")]
        for group, default in groups.items():
            if group in hints:
                options.add_settings(default, show_defaults=False)
                names += leaves(type(default))
        found[command.__name__] = options, names
    return found


@CASES
def test_any_options_are_read_or_refused(cases: int) -> None:
    commands = make_options()

    def read(rng: random.Random) -> None:
        command, (options, names) = rng.choice(list(commands.items()))
        argv = ["a", "b"][: rng.randrange(3)]
        for _ in range(rng.randint(1, 3)):
            name = rng.choice([*names, rng.choice(TEXTS)])
            if rng.random() < 0.2:
                name = rng.choice((name.replace("_", "-"), name[:-1], f"{name}+", name.upper()))
            value = rng.choice([*TEXTS, "\udcff", "5", "0.5", "false", "a", "[a, b]", "{a: 1}"])
            separate = [f"--{name}", value], [f"--{name}={value}"], [value], [f"--{name}"], ["--"]
            argv += rng.choice(separate)
        values = options.parse(argv)
        if command == "train":
            update_recipe(Recipe(), values)

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 20


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_takes_or_refuses_whatever_is_nasty(name: str) -> None:
    for text in (*TEXTS, "\udcff", "\ud800", 1e400, 10**400, -(10**400), {}, [[]], b"", object()):
        for value in (text, [text]):
            or_error(lambda value=value: update_recipe(Recipe(), tree(name, value)))


@pytest.mark.parametrize("value", ["a\udcff", ["a", "\ud800"]])
def test_text_that_is_no_utf8_is_refused_before_a_run_ends_with_it(value: Any) -> None:
    """As of a file name in Latin-1: recipe, model card and report are UTF-8."""
    for name in ("corpus.train", "corpus.dev"):
        with pytest.raises(ConfigurationError, match=f"`{name}` must be text in UTF-8, but is "):
            update_recipe(Recipe(), tree(name, value))
