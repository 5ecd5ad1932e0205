"""Translates sets of sentence pairs, scores them with sacreBLEU, writes and shows the results."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from seq2seq.config import Recipe, SearchConfig
from seq2seq.evaluation.metrics import METRICS, Score
from seq2seq.files import replacing
from seq2seq.translator import Translator

NUM_EXAMPLES = 10
_METRICS = ("bleu", "chrf")


@dataclass(frozen=True)
class SetResult:
    """How one set of sentence pairs was translated."""

    sources: Sequence[str]
    references: Sequence[str]
    hypotheses: Sequence[str]
    scores: Mapping[str, Score]
    """By the name of the metric."""
    seconds: float
    """Of the translation; loading is not counted."""
    num_truncated: int
    settings: Mapping[str, Any]
    """What `describe_search` says of the search."""

    @property
    def sentences_per_second(self) -> float:
        """Speed of the translation."""
        return len(self.hypotheses) / max(self.seconds, 1e-9)

    def to_plain(self) -> dict[str, Any]:
        """What `scores.json` and the model card keep."""
        return {
            **{
                metric: {"name": score.name, "value": score.value, "signature": score.signature}
                for metric, score in self.scores.items()
            },
            "sentences": len(self.hypotheses),
            "truncated": self.num_truncated,
            "sentences_per_second": round(self.sentences_per_second, 1),
            **self.settings,
        }


def evaluate_set(
    translator: Translator, sources: Sequence[str], references: Sequence[str]
) -> SetResult:
    """Translates with the recipe's search settings and scores against the references."""
    started = time.perf_counter()
    translations = translator.translate(list(sources), with_alignment=False)
    seconds = time.perf_counter() - started
    hypotheses = [translation.text for translation in translations]
    language = translator.recipe.target_language
    scores = {metric: METRICS[metric](hypotheses, references, language) for metric in _METRICS}
    num_truncated = sum(translation.truncated for translation in translations)
    settings = describe_search(
        translator.search_settings(), bfloat16=translator.dtype == torch.bfloat16
    )
    return SetResult(sources, references, hypotheses, scores, seconds, num_truncated, settings)


def describe_search(search: SearchConfig, *, bfloat16: bool) -> dict[str, Any]:
    """Plain values of what decides the translations, to stand beside their scores."""
    return {
        "precision": "bfloat16" if bfloat16 else "float32",
        "beam_size": search.beam_size,
        "length_penalty": search.length_penalty,
        "length_penalty_kind": search.length_penalty_kind,
        "min_length": search.min_length,
        "max_length_ratio": search.max_length_ratio,
    }


def write_translations(
    folder: str | os.PathLike[str], results: Mapping[str, SetResult], recipe: Recipe
) -> None:
    """Writes line-aligned files: <set>.<language> of sources and references, <set>.output.<...>."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, result in results.items():
        for suffix, lines in (
            (recipe.source_language, result.sources),
            (recipe.target_language, result.references),
            (f"output.{recipe.target_language}", result.hypotheses),
        ):
            text = "".join(f"{line}\n" for line in lines)
            with replacing(Path(folder, f"{name}.{suffix}")) as (part,):
                part.write_bytes(text.encode())


def print_results(results: Mapping[str, SetResult], path: Path, recipe: Recipe) -> None:
    """Prints scores with signatures, the first translations and the folder."""
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    search = recipe.search
    console.print(f"\nTest sets of {recipe.name}", style="bold")
    console.print(
        f"beam size {search.beam_size}, length penalty {search.length_penalty} "
        f"({search.length_penalty_kind})\n"
    )
    _print_scores(console, results)
    name, result = next(iter(results.items()))
    count = min(NUM_EXAMPLES, len(result.sources))
    console.print(f"\nThe first {count} sentences of {name}", style="bold")
    triples = zip(result.sources, result.references, result.hypotheses, strict=True)
    for number, (source, reference, output) in zip(range(1, count + 1), triples, strict=False):
        console.print(f"\n{number:>3}  source     {source}")
        console.print(f"     reference  {reference}")
        console.print(f"     output     {output}", style="bold")
    console.print("\nModel directory", style="bold")
    console.print(f"{path}")
    source, target = recipe.source_language, recipe.target_language
    console.print(f"seq2seq translate {path} < input.{source} > output.{target}")


def _print_scores(console: Console, results: Mapping[str, SetResult]) -> None:
    first = next(iter(results.values()))
    width = max(len(name) for name in (*results, "set"))
    names = [score.name for score in first.scores.values()]
    console.print(
        f"{'set':<{width}}  {'sentences':>9}"
        + "".join(f"  {name:>7}" for name in names)
        + "  sentences/s",
        style="bold",
    )
    for name, result in results.items():
        values = "".join(f"  {score.value:>7.2f}" for score in result.scores.values())
        console.print(
            f"{name:<{width}}  {len(result.hypotheses):>9,}{values}"
            f"  {result.sentences_per_second:>11,.0f}"
        )
        if result.num_truncated:
            console.print(f"{result.num_truncated:,} of {name} reached the maximum length.")
    console.print()
    for score in first.scores.values():
        console.print(f"{score.name}  {score.signature}")
