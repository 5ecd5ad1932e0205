"""What the recipe script of a language model calls: reads the options, trains, says how good it is.

As `recipe.py` does for translators.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.evaluation.text_loss import describe_unknown, show_perplexity
from seq2seq.language_config import LanguageRecipe, TextConfig
from seq2seq.options import Options
from seq2seq.recipe import read_config, run_script
from seq2seq.recipe_yaml import language_recipe_from_yaml, update_settings
from seq2seq.sizes import suit_language_model


def run_language_model(recipe: LanguageRecipe, argv: Sequence[str] | None = None) -> None:
    """Trains and evaluates a language model; the last line of a recipe script.

    Every value of the recipe is an option of the script, beside `--config`, `--resume`,
    `--overwrite` and `--runs_dir`.

    Args:
        argv: Options; those of the command line if not given.

    Raises:
        SystemExit: If something went wrong, after one sentence on standard error.
    """
    run_script(functools.partial(train_with_options, recipe), argv, name=recipe.name)


def train_with_options(
    recipe: LanguageRecipe, argv: Sequence[str], *, command: str, from_scratch: bool = False
) -> Path:
    """Does what `run_language_model` does and raises errors instead of printing them.

    Args:
        command: How the user called it, for `--help`.
        from_scratch: Nobody wrote the recipe: sizes that are not given are fitted to the text.

    Returns:
        The finished language model's folder.
    """
    recipe, run_options = parse_language_recipe(
        recipe, argv, command=command, from_scratch=from_scratch
    )
    return train_and_evaluate(recipe, **run_options)


def parse_language_recipe(
    recipe: LanguageRecipe, argv: Sequence[str], *, command: str, from_scratch: bool = False
) -> tuple[LanguageRecipe, dict[str, Any]]:
    """Reads options over a recipe, and over that of `--config` if it is given.

    Returns:
        The recipe, and those arguments of `train_and_evaluate` that were given.

    Raises:
        ConfigurationError: If an option or a value is wrong.
    """
    options = Options(command, "Trains a language model on a text and says how good it is.")
    options.add_function(train_and_evaluate, skip=["recipe", "suit"])
    options.add_function(_read_language_config)
    options.add_settings(recipe)
    values = options.parse(argv)
    names = ["resume", "overwrite", "runs_dir"]
    run_options = {name: values.pop(name) for name in names if name in values}
    if config := values.pop("config", None):
        recipe, from_scratch = _read_language_config(config=config), False
    if "text" in values:
        values["text"] = _replace_text(values["text"])
    recipe = update_settings(recipe, values, prefix="")
    if from_scratch:
        run_options["suit"] = functools.partial(suit_language_model, given=values)
    return recipe, run_options


def train_and_evaluate(
    recipe: LanguageRecipe,
    *,
    resume: bool = False,
    overwrite: bool = False,
    runs_dir: str = "runs",
    suit: Callable[[LanguageRecipe, int], LanguageRecipe] | None = None,
) -> Path:
    """The run.

    Args:
        resume: Continue the run that stands in the folder, or begin one if there is none.
        overwrite: Delete the run that stands in the folder.
        runs_dir: Where the folder of the run is made.
        suit: Fits the recipe to the number of characters of the training text.
    """
    from seq2seq.training.train_language_model import train_language_model

    run_dir = Path(runs_dir) / recipe.name
    trained = train_language_model(recipe, run_dir, resume=resume, overwrite=overwrite, suit=suit)
    for name, loss in trained.scores.items():
        print(
            f"{name}: {loss.bits_per_character:.3f} bits per character, perplexity "
            f"{show_perplexity(loss.perplexity)} per piece and "
            f"{show_perplexity(loss.word_perplexity, 1)} per word"
        )
        if told := describe_unknown(loss):
            print(f"{name}: {told}")
    print(f"language model: {trained.path}")
    return trained.path


def _read_language_config(*, config: str | None = None) -> LanguageRecipe:
    """A recipe file.

    Args:
        config: YAML with a recipe, such as the language_model.yaml of a run; other options
            override its values.
    """
    return read_config(str(config), language_recipe_from_yaml)


def _replace_text(given: Mapping[str, Any]) -> dict[str, Any]:
    """A text that was given takes the place of the recipe's, with its development and test text."""
    if given.get("train") is None and given.get("embedded") is None:
        return dict(given)
    others = dataclasses.asdict(TextConfig())
    del others["lines"]
    return {**others, **given}
