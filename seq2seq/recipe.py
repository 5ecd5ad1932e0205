"""What a recipe script calls: reads the options, trains, evaluates the test sets, reports."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe
from seq2seq.exits import run_command
from seq2seq.options import Options
from seq2seq.recipe_yaml import recipe_from_yaml, update_recipe


def run(recipe: Recipe, argv: Sequence[str] | None = None) -> None:
    """Trains and evaluates a recipe; the last line of a recipe script.

    Every value of the recipe is an option of the script, beside `--config`, `--resume`,
    `--overwrite` and `--runs_dir`.

    Args:
        argv: Options; those of the command line if not given.

    Raises:
        SystemExit: If something went wrong, after one sentence on standard error.
    """
    arguments = sys.argv[1:] if argv is None else argv
    command = Path(sys.argv[0]).name if argv is None else recipe.name
    code = run_command(lambda: run_with_options(recipe, arguments, command=command))
    if code:
        raise SystemExit(code)


def run_with_options(
    recipe: Recipe, argv: Sequence[str], *, command: str, derive_name: bool = False
) -> Path:
    """Does what `run` does and raises errors instead of printing them.

    Args:
        command: How the user called it, for `--help`.
        derive_name: A run that nobody named gets its name from its languages.

    Returns:
        The finished model directory.
    """
    recipe, run_options = parse_recipe(recipe, argv, command=command, derive_name=derive_name)
    return train_and_report(recipe, **run_options)


def parse_recipe(
    recipe: Recipe, argv: Sequence[str], *, command: str, derive_name: bool = False
) -> tuple[Recipe, dict[str, Any]]:
    """Reads options over a recipe, and over that of `--config` if it is given.

    Returns:
        The recipe, and those arguments of `train_and_report` that were given.

    Raises:
        ConfigurationError: If an option or a value is wrong.
    """
    options = Options(command, "Trains a translator, evaluates it and prints the scores.")
    options.add_function(train_and_report, skip=["recipe"])
    options.add_function(_read_config)
    options.add_settings(recipe)
    values = options.parse(argv)
    names = ["resume", "overwrite", "runs_dir"]
    run_options = {name: values.pop(name) for name in names if name in values}
    if config := values.pop("config", None):
        recipe, derive_name = _read_config(config=config), False
    if derive_name and "name" not in values:
        values |= _derived_name(recipe, values)
    if "corpus" in values:
        values["corpus"] = _replace_corpus(values["corpus"])
    return update_recipe(recipe, values), run_options


def train_and_report(
    recipe: Recipe,
    *,
    resume: bool = False,
    overwrite: bool = False,
    runs_dir: str = "runs",
) -> Path:
    """The run.

    Args:
        resume: Continue the run that stands in the folder.
        overwrite: Delete the run that stands in the folder.
        runs_dir: Where the folder of the run is made.
    """
    from seq2seq.evaluate import evaluate_set, print_results, write_translations
    from seq2seq.model_directory import update_scores
    from seq2seq.training.train import train
    from seq2seq.translator import Translator

    trained = train(recipe, Path(runs_dir) / recipe.name, resume=resume, overwrite=overwrite)
    path, corpus = trained.path, trained.corpus
    translator = Translator.load(path, recipe.training.device, threads=recipe.training.threads)
    results = {
        name: evaluate_set(translator, pairs.sources, pairs.targets)
        for name, pairs in {"test": corpus.test, **corpus.extra_tests}.items()
    }
    write_translations(path / "translations", results, recipe)
    update_scores(path, recipe, {name: result.to_plain() for name, result in results.items()})
    print_results(results, path, recipe)
    return path


def _read_config(*, config: str | None = None) -> Recipe:
    """A recipe file.

    Args:
        config: YAML with a recipe, such as the recipe.yaml of a run; other options override its
            values.
    """
    file = Path(str(config))
    try:
        return recipe_from_yaml(file.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: the text is not UTF-8.") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _derived_name(recipe: Recipe, values: Mapping[str, Any]) -> dict[str, str]:
    """A name made of the languages, for a run whose corpus or languages were given."""
    if not values.keys() & {"corpus", "source_language", "target_language"}:
        return {}
    source = values.get("source_language", recipe.source_language)
    target = values.get("target_language", recipe.target_language)
    given = values.get("corpus", {})
    is_own = any(given.get(kind) is not None for kind in ("train", "hub"))
    prefix = "" if is_own else "phrasebook-"
    return {"name": f"{prefix}{source}-{target}"}


def _replace_corpus(given: Mapping[str, Any]) -> dict[str, Any]:
    """A corpus that was given takes the place of the recipe's, whatever kind that was.

    Nothing that told where the other one stood is left, such as its columns.
    """
    if all(given.get(kind) is None for kind in ("train", "hub", "embedded")):
        return dict(given)
    others = dataclasses.asdict(CorpusConfig())
    del others["max_length"]  # of sentences, not of a corpus
    return {**others, **given}
