"""What a recipe script calls: reads the options, trains, evaluates the test sets, reports."""

import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe
from seq2seq.exits import run_command
from seq2seq.options import Options
from seq2seq.recipe_yaml import MOST_RECIPE_BYTES, recipe_from_yaml, update_recipe
from seq2seq.sizes import suit

if TYPE_CHECKING:
    from seq2seq.data.corpus import Pairs
    from seq2seq.translator import Translator

T = TypeVar("T")


def run(recipe: Recipe, argv: Sequence[str] | None = None) -> None:
    """Trains and evaluates a recipe; the last line of a recipe script.

    Every value of the recipe is an option of the script, beside `--config`, `--resume`,
    `--overwrite` and `--runs_dir`.

    Args:
        argv: Options; those of the command line if not given.

    Raises:
        SystemExit: If something went wrong, after one sentence on standard error.
    """
    run_script(functools.partial(run_with_options, recipe), argv, name=recipe.name)


def run_script(work: Callable[..., object], argv: Sequence[str] | None, *, name: str) -> None:
    """Does what the script of a recipe asks for.

    Args:
        work: Takes the options and, by `command`, how the user called it.
        argv: Options; those of the command line if not given.
        name: Of the recipe; stands for the script where there is none.

    Raises:
        SystemExit: If something went wrong, after one sentence on standard error.
    """
    arguments = sys.argv[1:] if argv is None else argv
    command = Path(sys.argv[0]).name if argv is None else name
    code = run_command(lambda: work(arguments, command=command))
    if code:
        raise SystemExit(code)


def run_with_options(
    recipe: Recipe, argv: Sequence[str], *, command: str, from_scratch: bool = False
) -> Path:
    """Does what `run` does and raises errors instead of printing them.

    Args:
        command: How the user called it, for `--help`.
        from_scratch: Nobody wrote the recipe: a run that is not named gets its name from its
            languages, and sizes that are not given are fitted to the corpus.

    Returns:
        The finished model directory.
    """
    recipe, run_options = parse_recipe(recipe, argv, command=command, from_scratch=from_scratch)
    return train_and_report(recipe, **run_options)


def parse_recipe(
    recipe: Recipe, argv: Sequence[str], *, command: str, from_scratch: bool = False
) -> tuple[Recipe, dict[str, Any]]:
    """Reads options over a recipe, and over that of `--config` if it is given.

    Returns:
        The recipe, and those arguments of `train_and_report` that were given.

    Raises:
        ConfigurationError: If an option or a value is wrong.
    """
    options = Options(command, "Trains a translator, evaluates it and prints the scores.")
    options.add_function(train_and_report, skip=["recipe", "suit"])
    options.add_function(_read_config)
    options.add_settings(recipe)
    values = options.parse(argv)
    names = ["resume", "overwrite", "runs_dir"]
    run_options = {name: values.pop(name) for name in names if name in values}
    if config := values.pop("config", None):
        recipe, from_scratch = _read_config(config=config), False
    if from_scratch and "name" not in values:
        values |= _derived_name(recipe, values)
    if "corpus" in values:
        values["corpus"] = _replace_corpus(values["corpus"])
    recipe = update_recipe(recipe, values)
    if from_scratch and (recipe.corpus.train or recipe.corpus.hub):
        run_options["suit"] = functools.partial(suit, given=values)
    return recipe, run_options


def train_and_report(
    recipe: Recipe,
    *,
    resume: bool = False,
    overwrite: bool = False,
    runs_dir: str = "runs",
    suit: Callable[[Recipe, int], Recipe] | None = None,
) -> Path:
    """The run.

    Args:
        resume: Continue the run that stands in the folder, or begin one if there is none.
        overwrite: Delete the run that stands in the folder.
        runs_dir: Where the folder of the run is made.
        suit: Fits the recipe to the number of training pairs.
    """
    from seq2seq.evaluate import (
        evaluate_set,
        find_alignments,
        read_word_counts,
        with_parts,
        write_translations,
    )
    from seq2seq.model_directory import update_scores
    from seq2seq.report import write_report
    from seq2seq.show_evaluation import print_results
    from seq2seq.training.train import train
    from seq2seq.translator import Translator

    run_dir = Path(runs_dir) / recipe.name
    trained = train(recipe, run_dir, resume=resume, overwrite=overwrite, suit=suit)
    path, recipe, corpus = trained.path, trained.recipe, trained.corpus
    translator = Translator.load(path, recipe.training.device, threads=recipe.training.threads)
    _calibrate(translator, path, corpus.dev)
    word_counts = read_word_counts(path, recipe.source_language)
    results = {
        name: evaluate_set(translator, pairs.sources, pairs.targets, word_counts=word_counts)
        for name, pairs in {"test": corpus.test, **corpus.extra_tests}.items()
    }
    alignments = find_alignments(translator, "test", results["test"])
    results = with_parts(results, corpus.parts)
    write_translations(path / "translations", results, recipe, alignments)
    update_scores(path, recipe, {name: result.to_plain() for name, result in results.items()})
    write_report([path])
    print_results(results, path, recipe)
    return path


def _calibrate(translator: "Translator", path: Path, dev: "Pairs") -> None:
    """Learns from the development set how much translations are to be trusted, if it is large."""
    from seq2seq.calibrate import LEAST_PAIRS, calibrate
    from seq2seq.confidence import write_quality
    from seq2seq.evaluate import clean_pairs
    from seq2seq.training.logs import say

    every = -(-len(dev) // translator.recipe.training.dev_sentences)
    pairs = clean_pairs(dev.select(range(0, len(dev), every)), translator.recipe)
    if sum(map(all, zip(pairs.sources, pairs.targets, strict=True))) < LEAST_PAIRS:
        say(f"no quality.yaml, as there are fewer than {LEAST_PAIRS} development pairs")
        return
    quality = calibrate(translator, pairs).quality
    write_quality(path, quality)
    say(
        f"confidence: correlation with chrF2 {quality.measured['pearson']:.3f}, of the mean "
        f"log-probability alone {quality.measured['pearson_of_mean_log_probability']:.3f}"
    )


def _read_config(*, config: str | None = None) -> Recipe:
    """A recipe file.

    Args:
        config: YAML with a recipe, such as the recipe.yaml of a run; other options override its
            values.
    """
    return read_config(str(config), recipe_from_yaml)


def read_config(path: str, parse: Callable[[str], T]) -> T:
    """What `parse` makes of a file with a recipe.

    Raises:
        ConfigurationError: If it is too large, no UTF-8, or as `parse` does; names the file.
    """
    file = Path(path)
    with open(file, "rb") as opened:  # it may be a pipe, of which nobody knows the size
        data = opened.read(MOST_RECIPE_BYTES + 1)
    try:
        if len(data) > MOST_RECIPE_BYTES:
            raise ConfigurationError("the file is too large to be a recipe.")
        return parse(data.decode())
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
    for name in ("max_length", "remove_spaces", "filters"):  # of sentences, not of a corpus
        del others[name]
    return {**others, **given}
