"""Reads run folders and writes report.html: of one run, or of several side by side.

Works from the files alone and loads no network; what an older folder lacks is left out.
"""

import csv
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from seq2seq import __version__
from seq2seq.config import ConfigurationError, Recipe
from seq2seq.evaluation.comparison import render_comparison
from seq2seq.evaluation.report import render_report
from seq2seq.evaluation.run_record import RunRecord, SetCounts
from seq2seq.insight.alignment import Alignment, draw_alignment
from seq2seq.lines import open_output
from seq2seq.model_card import command_again
from seq2seq.reading import check_file
from seq2seq.recipe_yaml import MOST_RECIPE_BYTES, recipe_from_yaml
from seq2seq.tensor_files import open_tensors

REPORT_FILE = "report.html"
_MOST_BYTES = 1_000_000_000  # of a file with text
_CELL = 26  # pixels; smaller than in a figure that stands alone
_TOLD_FROM = 0.1  # weight of cells that tell it on hover; a page has many sentences


def write_report(
    folders: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str] | None = None
) -> Path:
    """Writes the report of one run, or of several side by side.

    Args:
        folders: Of the runs.
        output: The file; report.html in the folder of the one run, or here for several.

    Returns:
        The file.

    Raises:
        ConfigurationError: If a folder is no run, a file in it is damaged, or the page cannot be
            written.
    """
    runs = _with_own_names([read_run(Path(folder)) for folder in folders], folders)
    if len(runs) == 1:
        page = render_report(runs[0], version=__version__)
        place = Path(output or Path(folders[0], REPORT_FILE))
    else:
        page = render_comparison(runs, version=__version__)
        place = Path(output or REPORT_FILE)
    with open_output(os.fspath(place)) as file:
        file.write(page.encode(errors="replace"))  # JSON can hold halves of characters
    return place


def read_run(folder: Path) -> RunRecord:
    """Reads what a run folder tells.

    Raises:
        ConfigurationError: If it is no run, or a file in it is damaged.
    """
    recipe = _read_recipe(folder)
    settings = dict(_leaves(asdict(recipe)))
    defaults = dict(_leaves(asdict(Recipe())))
    scores = _read_object(folder / "scores.json")
    scores = {name: values for name, values in scores.items() if isinstance(values, Mapping)}
    corpus, revision = _read_corpus(folder / "corpus.json")
    file = folder / "model.safetensors"
    return RunRecord(
        name=folder.resolve().name,
        source_language=recipe.source_language,
        target_language=recipe.target_language,
        settings=settings,
        again=command_again(folder),
        changed=frozenset(name for name, value in settings.items() if value != defaults[name]),
        scores=scores,
        corpus=corpus,
        revision=revision,
        training=_read_object(folder / "training.json"),
        curves=_read_curves(folder / "logs" / "metrics.csv"),
        sentences=_read_sentences(folder / "translations", recipe, scores),
        alignments=_read_alignments(folder / "translations" / "alignments.json", recipe),
        num_weights=_count_weights(file) if file.exists() else None,
        megabytes=file.stat().st_size / 1e6 if file.exists() else None,
    )


def _with_own_names(
    runs: Sequence[RunRecord], folders: Sequence[str | os.PathLike[str]]
) -> list[RunRecord]:
    """Runs whose folders have one name are called by their paths instead."""
    names = [run.name for run in runs]
    return [
        replace(run, name=os.fspath(folder)) if names.count(run.name) > 1 else run
        for run, folder in zip(runs, folders, strict=True)
    ]


def _read_recipe(folder: Path) -> Recipe:
    file = folder / "recipe.yaml"
    try:
        check_file(file, most_bytes=MOST_RECIPE_BYTES)
    except FileNotFoundError as error:
        if (folder / "language_model.yaml").exists():
            raise ConfigurationError(
                f"{folder} holds a language model, not a translator; scores.json and "
                f"logs/metrics.csv in it say how it learnt."
            ) from error
        raise ConfigurationError(f"{folder} is no run folder: recipe.yaml is missing.") from error
    try:
        return recipe_from_yaml(file.read_bytes().decode())
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: the text is not UTF-8.") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _read_json(file: Path, kind: type) -> Any:
    """The value in a file, an empty one if there is no file."""
    try:
        check_file(file, most_bytes=_MOST_BYTES)
        value = json.loads(file.read_bytes())
    except ConfigurationError:
        raise
    except FileNotFoundError:
        return kind()
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file} is damaged: the text is no JSON.") from error
    if not isinstance(value, kind):
        raise ConfigurationError(f"{file} is damaged: it holds no {kind.__name__}.")
    return value


def _read_object(file: Path) -> dict[str, Any]:
    value: dict[str, Any] = _read_json(file, dict)
    return value


def _read_corpus(file: Path) -> tuple[dict[str, SetCounts], str | None]:
    """What became of the pairs of each set, and the revision of the data set."""
    value = _read_object(file)
    names = {setting.name for setting in fields(SetCounts)}
    try:
        sets = {
            set_name: SetCounts(**{name: report[name] for name in names & report.keys()})
            for set_name, report in value.get("sets", {}).items()
        }
        for counts in sets.values():
            _check_counts(counts)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{file} is damaged: a set lacks its counts.") from error
    revision = value.get("revision")
    return sets, None if revision is None else str(revision)


def _check_counts(counts: SetCounts) -> None:
    numbers = [counts.read, counts.kept]
    for table in (counts.dropped, counts.moved, counts.cleaned, counts.parts, counts.kept_parts):
        numbers += table.values()
    pairs = [pair for examples in counts.examples.values() for pair in examples]
    if not all(isinstance(one, int) for one in numbers) or not isinstance(counts.note, str):
        raise TypeError
    if not all(isinstance(source, str) and isinstance(target, str) for source, target in pairs):
        raise TypeError


def _read_curves(file: Path) -> dict[str, list[tuple[float, float]]]:
    """Steps and values of each column of the log; cells that hold no number are left out."""
    curves: dict[str, list[tuple[float, float]]] = {}
    try:
        check_file(file, most_bytes=_MOST_BYTES)
        with open(file, encoding="utf-8", errors="replace", newline="") as log:
            for row in csv.DictReader(log):
                step = _to_float(row.pop("step", None))
                for column, cell in row.items():
                    value = _to_float(cell)
                    if step is not None and value is not None:
                        curves.setdefault(column, []).append((step, value))
    except FileNotFoundError:
        return {}
    except csv.Error as error:
        raise ConfigurationError(f"{file} is damaged: {error}.") from error
    return curves


def _to_float(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _read_sentences(
    folder: Path, recipe: Recipe, set_names: Iterable[str]
) -> dict[str, list[dict[str, Any]]]:
    """The test sentences with their translations, by set, in the order of the scores."""
    # A name that leads to another folder is none of a set.
    plain = [name for name in set_names if re.fullmatch(r"[\w.-]{1,100}", name)]
    found = {name: _read_set(folder, name, recipe) for name in plain}
    return {name: sentences for name, sentences in found.items() if sentences}


def _read_set(folder: Path, name: str, recipe: Recipe) -> list[dict[str, Any]]:
    """One set, from the file with scores or from the three line-aligned ones of older runs."""
    file = folder / f"{name}.jsonl"
    if file.exists():
        return [_read_sentence(line, file, number) for number, line in _numbered_lines(file)]
    languages = recipe.source_language, recipe.target_language
    files = [
        folder / f"{name}.{suffix}" for suffix in (*languages, f"output.{recipe.target_language}")
    ]
    if not all(one.exists() for one in files):
        return []
    columns = [[line for _, line in _numbered_lines(one)] for one in files]
    if len({len(column) for column in columns}) > 1:
        raise ConfigurationError(f"{files[0]} and its translations have not as many lines.")
    return [
        {"source": source, "reference": reference, "hypothesis": hypothesis}
        for source, reference, hypothesis in zip(*columns, strict=True)
    ]


def _read_sentence(line: str, file: Path, number: int) -> dict[str, Any]:
    try:
        sentence = json.loads(line)
        texts = [sentence[name] for name in ("source", "reference", "hypothesis")]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigurationError(f"{file} is damaged in line {number}.") from error
    return dict(sentence)


def _numbered_lines(file: Path) -> Iterator[tuple[int, str]]:
    check_file(file, most_bytes=_MOST_BYTES)
    text = file.read_bytes().decode(errors="replace")
    yield from enumerate(text.removesuffix("\n").split("\n") if text else [], 1)


def _read_alignments(file: Path, recipe: Recipe) -> dict[tuple[str, int], str]:
    """Figures by set and index of the sentence."""
    languages = recipe.source_language, recipe.target_language
    figures = {}
    for entry in _read_json(file, list):
        try:
            alignment = Alignment(entry["source_pieces"], entry["target_pieces"], entry["weights"])
            title = f"Alignment of sentence {entry['index'] + 1}"
            figure = draw_alignment(
                alignment, title, cell=_CELL, told_from=_TOLD_FROM, languages=languages
            )
            figures[str(entry["set"]), int(entry["index"])] = figure
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{file} is damaged: an entry lacks its pieces or weights."
            ) from error
    return figures


def _count_weights(file: Path) -> int:
    """From the header of the file; the weights themselves are not read."""
    with open_tensors(file, framework="np") as tensors:
        names = list(tensors.keys())
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
