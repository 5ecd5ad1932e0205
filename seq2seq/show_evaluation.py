"""Prints evaluations for people: scores, faults, tables by length and rare words, comparisons."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from seq2seq.calibrate import Calibration
from seq2seq.config import Recipe
from seq2seq.data.corpus import Pairs
from seq2seq.evaluate import ALWAYS_DESCRIBED, WORDS_FILE, SetResult
from seq2seq.evaluation.analysis import length_unit
from seq2seq.evaluation.metrics import (
    LOWER_IS_BETTER,
    NUM_RESAMPLES,
    Score,
    Statistics,
    explain_tokenizer,
)
from seq2seq.evaluation.significance import FEWEST_SENTENCES, compare_statistics
from seq2seq.tune import Tuned

NUM_EXAMPLES = 10
_QUANTILES = (0.02, 0.05, 0.1, 0.2, 0.5)  # of confidences
_FAULT_MEANINGS = {
    "empty": "nothing, where the reference says something",
    "truncated": "cut off at the maximum length",
    "repeated": "something stands three times or more in a row, but not in the reference",
    "copied": "the source, left as it is",
}


def print_results(results: Mapping[str, SetResult], path: Path, recipe: Recipe) -> None:
    """Prints the scores of a run with signatures, the first translations and the folder."""
    console = _console()
    search = recipe.search
    console.print(f"\nTest sets of {recipe.name}", style="bold")
    console.print(
        f"beam size {search.beam_size}, length penalty {search.length_penalty} "
        f"({search.length_penalty_kind})\n"
    )
    _print_sets(console, results)
    name, result = next(iter(results.items()))
    count = min(NUM_EXAMPLES, len(result))
    console.print(f"\nThe first {count} sentences of {name}", style="bold")
    triples = zip(result.sources, result.references, result.hypotheses, strict=True)
    for number, (source, reference, output) in zip(range(1, count + 1), triples, strict=False):
        console.print(f"\n{number:>3}  source     {source}")
        console.print(f"     reference  {reference}")
        console.print(f"     output     {output}", style="bold")
    console.print("\nModel directory and report", style="bold")
    console.print(f"{path}\n{path / 'report.html'}")
    source, target = recipe.source_language, recipe.target_language
    console.print(f"seq2seq translate {path} < input.{source} > output.{target}")


def print_evaluation(result: SetResult, model: str, source: str) -> None:
    """Prints all that is known of the translations of one file.

    Args:
        model: The model directory, as the user called it.
        source: The file, as the user called it.
    """
    console = _console()
    settings = result.settings
    console.print(f"Translations of {source} by {model}", style="bold")
    console.print(
        f"{len(result):,} sentences, {_speed(result)} per second, "
        f"{settings['precision']}, beam size {settings['beam_size']}, "
        f"length penalty {settings['length_penalty']} ({settings['length_penalty_kind']})"
        f"{_others(settings)}\n"
    )
    _print_scores(console, result.scores)
    console.print(
        f"\nLength ratio {result.length_ratio:.3f}: tokens of the translations for each token of "
        f"the references."
    )
    _print_signatures(console, result)
    console.print("\nFaults     sentences   share", style="bold")
    for fault, share in result.shares.items():
        console.print(
            f"{fault:<9}  {round(share * len(result)):>9,}  {share:>6.1%}  {_FAULT_MEANINGS[fault]}"
        )
    unit = length_unit(result.source_language)
    console.print(f"\nBy length of the source in {unit}", style="bold")
    _print_groups(console, unit, result.by_source_length)
    word = "character" if unit == "characters" else "word"
    console.print(f"\nBy the rarest {word} of the source", style="bold")
    if result.by_rarest_word is None:
        console.print(f"Unknown, since {Path(model, WORDS_FILE)} is not there.")
    else:
        _print_groups(console, "in training", result.by_rarest_word)


def print_comparisons(
    ours: Mapping[str, Statistics], theirs: Mapping[str, Statistics], names: tuple[str, str]
) -> None:
    """Prints the scores of two systems side by side, and which differences are no accident.

    Args:
        ours: Of the first system, by the name of the metric.
        theirs: Of the second.
        names: The paths of both, as the user called them; they are shown without folders.
    """
    first, second = (Path(name).name or name for name in names)
    if first == second:
        first, second = names
    widths = [max(len(name), 6) for name in (first, second)]
    console = _console()
    console.print(f"\n{first} against {second}", style="bold")
    console.print(f"score   {first:>{widths[0]}}  {second:>{widths[1]}}  difference")
    comparisons = [
        compare_statistics(ours[metric], theirs[metric], names=(first, second)) for metric in ours
    ]
    for comparison in comparisons:
        value, other = comparison.values
        console.print(
            f"{comparison.metric_name:<6}  {value:>{widths[0]}.2f}  {other:>{widths[1]}.2f}"
            f"  {comparison.difference:>+10.2f}"
        )
    console.print()
    for comparison in comparisons:
        console.print(f"{comparison}")
    console.print(f"Tested by the two-sided paired bootstrap with {NUM_RESAMPLES:,} resamples.")


def print_tuning(tuned: Tuned, pairs: Pairs, model: str, given: Mapping[str, Any]) -> None:
    """Prints what was tried, whether the best is better, and the command to use it.

    Args:
        pairs: What was translated.
        model: The model directory, as the user called it.
        given: Options with which it was tuned; None for those that were not given.
    """
    console = _console()
    name = tuned.best.statistics.score().name
    rows = [(" ".join(_options(trial.changes)) or "the defaults", trial) for trial in tuned.trials]
    width = max(len(options) for options, _ in rows)
    console.print(f"{'settings':<{width}}  {name:>6}  difference      p", style="bold")
    for options, trial in rows:
        difference = ""
        if trial.comparison is not None:
            p_value = trial.comparison.p_value
            difference = f"  {trial.comparison.difference:>+10.2f}  {p_value:>5.3f}"
        style = "bold" if trial is tuned.best else None
        console.print(f"{options:<{width}}  {trial.score:>6.2f}{difference}", style=style)
    console.print(
        f"\n{len(pairs):,} sentences. Each p of the table is of one comparison with the defaults, "
        f"by the two-sided paired bootstrap with {NUM_RESAMPLES:,} resamples; the best of many has "
        f"a small one by chance, so it proves nothing."
    )
    console.print(
        f"Chosen by one half of the sentences and tested on the other, both ways: {tuned.held_out}"
    )
    if tuned.is_better:
        found = _options({**given, **tuned.best.changes})
        console.print(f"\n{shlex.join(['seq2seq', 'translate', model, *found])}")
    else:
        console.print("The defaults stay.")


def print_calibration(calibration: Calibration) -> None:
    """Prints how well confidence tells good translations from bad, and what it would hold back."""
    console = _console()
    measured, chrf = calibration.quality.measured, calibration.chrf
    console.print(
        f"\n{len(chrf):,} sentences with a mean chrF2 of {chrf.mean():.1f}. Correlation with the "
        f"chrF2 of sentences that nothing was learnt from:\n"
    )
    console.print(f"{'':<20}  Pearson  Spearman", style="bold")
    for name, suffix in (("confidence", ""), ("mean log-probability", "_of_mean_log_probability")):
        linear, ranked = (measured[f"{kind}{suffix}"] for kind in ("pearson", "spearman"))
        console.print(f"{name:<20}  {linear:>7.3f}  {ranked:>8.3f}")
    if any(measured[kind] < measured[f"{kind}{suffix}"] for kind in ("pearson", "spearman")):
        console.print(
            "\nThe confidence tells less than the mean log-probability alone; it needs more "
            "sentences to learn from."
        )
    console.print("\nWhat `seq2seq translate --min_confidence` would mark or withhold:\n")
    console.print("below  sentences  their chrF2  chrF2 of the others", style="bold")
    for quantile in _QUANTILES:
        limit = round(float(np.quantile(calibration.confidence, quantile)), 2)
        is_below = calibration.confidence < limit
        if is_below.any():
            means = chrf[is_below].mean(), chrf[~is_below].mean()
            console.print(
                f"{limit:>5.2f}  {is_below.mean():>9.1%}  {means[0]:>11.1f}  {means[1]:>19.1f}"
            )


def _options(settings: Mapping[str, Any]) -> list[str]:
    """As the user would type them, each value of a list by itself."""
    options = []
    for name, value in settings.items():
        if value is not None:
            options += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return options


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False, emoji=False)


def _print_sets(console: Console, results: Mapping[str, SetResult]) -> None:
    first = next(iter(results.values()))
    width = max(len(name) for name in (*results, "set"))
    console.print(
        f"{'set':<{width}}  {'sentences':>9}"
        + "".join(f"  {score.name:>7}" for score in first.scores.values())
        + "  95 % of BLEU    sentences/s",
        style="bold",
    )
    for name, result in results.items():
        values = "".join(f"  {score.value:>7.2f}" for score in result.scores.values())
        console.print(
            f"{name:<{width}}  {len(result):>9,}{values}"
            f"  {_interval(result.scores['bleu']):<14}  {_speed(result):>11}".rstrip()
        )
        if result.num_truncated:
            console.print(f"{result.num_truncated:,} of {name} reached the maximum length.")
    console.print()
    _print_signatures(console, first)


def _print_scores(console: Console, scores: Mapping[str, Score]) -> None:
    console.print("score    value  95 % interval", style="bold")
    for metric, score in scores.items():
        note = "  lower is better" if metric in LOWER_IS_BETTER else ""
        console.print(
            f"{score.name:<6}  {score.value:>6.2f}  {_interval(score):<14}{note}".rstrip()
        )


def _print_signatures(console: Console, result: SetResult) -> None:
    console.print(explain_tokenizer(result.target_language))
    for score in result.scores.values():
        console.print(f"{score.name:>5}  {score.signature}")


def _print_groups(console: Console, unit: str, groups: Sequence[Mapping[str, Any]]) -> None:
    width = max(len(unit), *(len(group["label"]) for group in groups))
    console.print(f"{unit:<{width}}  sentences    BLEU   chrF2")
    for group in groups:
        note = "  few sentences, little meaning" if group["sentences"] < FEWEST_SENTENCES else ""
        console.print(
            f"{group['label']:<{width}}  {group['sentences']:>9,}"
            f"  {group['bleu']:>6.2f}  {group['chrf']:>6.2f}{note}"
        )


def _others(settings: Mapping[str, Any]) -> str:
    others = [name for name in settings if name not in ("precision", *ALWAYS_DESCRIBED)]
    return "".join(f", {name} {settings[name]}" for name in others)


def _speed(result: SetResult) -> str:
    rate = result.sentences_per_second
    return "" if rate is None else f"{rate:,.0f}"


def _interval(score: Score) -> str:
    return "" if score.low is None else f"{score.low:.2f} to {score.high:.2f}"
