"""What a language model brings to translation, and how fast it writes: a table each.

    python benchmarks/language_models.py quality --model DIR --language_model DIR --source FILE \\
        --reference FILE
    python benchmarks/language_models.py speed --model DIR --language_model DIR --source FILE \\
        --reference FILE
    python benchmarks/language_models.py writing --language_model DIR

Files are best those of a development set.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from measure import Result, Row, add_options, per_second, prepare, report, take_turns

from seq2seq.data.corpus import Pairs
from seq2seq.evaluate import clean_pairs, read_test_pairs
from seq2seq.evaluation.metrics import Statistics
from seq2seq.evaluation.metrics import measure as count
from seq2seq.evaluation.significance import compare_statistics
from seq2seq.language_model import LanguageModel
from seq2seq.translator import Translator

METRICS = {"bleu": "BLEU", "chrf": "chrF2"}
WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
WAYS = {"in the search": "fusion_weight", "in the order of the beam": "language_weight"}
"""How the language model takes part, and the setting that says how much."""


def quality(arguments: argparse.Namespace) -> list[Row]:
    """Scores by weight, and of weights that were chosen by BLEU on the other half."""
    translator, pairs = _load(arguments)
    rows = []
    alone = _count(translator, pairs)
    rows.append({"language model": "none", "weight": None, **_scores(alone)})
    for way, name in WAYS.items():
        found = {w: _count(translator, pairs, **{name: w}) for w in WEIGHTS if w}
        choices = {0.0: alone, **found}
        rows += [
            {"language model": way, "weight": str(weight), **_scores(counted, alone)}
            for weight, counted in found.items()
        ]
        even, odd = range(0, len(pairs), 2), range(1, len(pairs), 2)
        best = {half: _best(choices, half) for half in (even, odd)}
        crossed = {
            metric: _cross(choices[best[odd]][metric], choices[best[even]][metric])
            for metric in METRICS
        }
        weights = f"that of the other half: {best[odd]}, {best[even]}"
        rows.append({"language model": way, "weight": weights, **_scores(crossed, alone)})
    return rows


def speed(arguments: argparse.Namespace) -> list[Row]:
    """Sentences per second, in turns."""
    translator, pairs = _load(arguments)
    plain = Translator.load(arguments.model, precision=arguments.precision)
    searches: dict[str, tuple[Translator, dict[str, Any]]] = {
        "none": (plain, {}),
        "in the search": (translator, {"fusion_weight": 0.1}),
        "in the order of the beam": (translator, {"language_weight": 0.1}),
    }
    times = take_turns(
        {
            name: functools.partial(
                own.translate, list(pairs.sources), with_alignment=False, **search
            )
            for name, (own, search) in searches.items()
        },
        arguments.rounds,
    )
    return per_second(times, dict.fromkeys(times, len(pairs)))


def writing(arguments: argparse.Namespace) -> list[Row]:
    """Pieces per second of generated text, one text and 16 together, against a plain loop."""
    model = LanguageModel.load(arguments.language_model)
    length = arguments.length
    ways: dict[str, Callable[[], Any]] = {
        "a loop over the network's step": lambda: _write_plainly(model, length),
        "generate, one text": lambda: model.generate(length=length),
        "generate, 16 texts": lambda: model.generate(length=length, n=16),
    }
    times = take_turns(ways, arguments.rounds)
    return per_second(times, {name: length * (16 if "16" in name else 1) for name in times})


def _write_plainly(model: LanguageModel, length: int) -> None:
    """Samples as one would write it first."""
    generator = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        state, id_ = model.network.start(1), torch.tensor([model.first_id])
        for _ in range(length):
            logits, state = model.network.step(id_, state)
            id_ = torch.multinomial(logits.softmax(1), 1, generator=generator).flatten()


def _load(arguments: argparse.Namespace) -> tuple[Translator, Pairs]:
    translator = Translator.load(
        arguments.model,
        precision=arguments.precision,
        threads=arguments.threads,
        language_model=arguments.language_model,
    )
    files = str(arguments.source), str(arguments.reference)
    pairs = clean_pairs(read_test_pairs(*files), translator.recipe)
    number = arguments.sentences
    return translator, Pairs(pairs.sources[:number], pairs.targets[:number])


def _count(translator: Translator, pairs: Pairs, **search: Any) -> dict[str, Statistics]:
    """What a search finds, counted by all metrics."""
    found = translator.translate(list(pairs.sources), with_alignment=False, **search)
    texts, language = [translation.text for translation in found], translator.recipe.target_language
    return {metric: count(metric, texts, pairs.targets, language) for metric in METRICS}


def _best(choices: dict[float, dict[str, Statistics]], half: Sequence[int]) -> float:
    """The weight with the highest BLEU on some sentences, the smallest of equal ones."""
    return max(sorted(choices), key=lambda w: choices[w]["bleu"].select(half).score().value)


def _cross(even: Statistics, odd: Statistics) -> Statistics:
    """Even sentences as one search found them, odd ones as another."""
    counts = even.counts.copy()
    counts[1::2] = odd.counts[1::2]
    return type(even)(**{**vars(even), "counts": counts})


def _scores(own: dict[str, Statistics], against: dict[str, Statistics] | None = None) -> Row:
    row: Row = {}
    for metric, name in METRICS.items():
        row[name] = own[metric].score().value
        row[f"p of {name}"] = against and compare_statistics(own[metric], against[metric]).p_value
    return row


TABLES = {table.__name__: table for table in (quality, speed, writing)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("table", choices=TABLES, help="what is measured")
    parser.add_argument("--language_model", required=True, metavar="DIR")
    parser.add_argument("--model", type=Path, metavar="DIR")
    parser.add_argument("--source", type=Path, metavar="FILE")
    parser.add_argument("--reference", type=Path, metavar="FILE")
    parser.add_argument("--sentences", type=int, default=1_000_000, help="at most")
    parser.add_argument("--length", type=int, default=1000, help="pieces that are written")
    parser.add_argument("--precision", default="float32")
    add_options(parser, rounds=3)
    arguments = parser.parse_args()
    files = (arguments.model, arguments.source, arguments.reference)
    if arguments.table != "writing" and None in files:
        parser.error(f"{arguments.table} needs --model, --source and --reference.")
    prepare(arguments)
    result = Result("language_models")
    result.table(arguments.table, TABLES[arguments.table](arguments))
    report(result, arguments)


if __name__ == "__main__":
    main()
