"""The report of several runs side by side as one HTML page: prepares what its template shows."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq.evaluation.analysis import length_unit, show_sentences
from seq2seq.evaluation.charts import Interval, Series, interval_chart, line_chart
from seq2seq.evaluation.metrics import LOWER_IS_BETTER, METRICS
from seq2seq.evaluation.report import GROUPS, Example, make_example, render, sentence_chrf
from seq2seq.evaluation.run_record import (
    RunRecord,
    breakdown,
    direction,
    interval,
    minutes,
    network,
    score_of,
    signatures,
    speed,
    weights,
)
from seq2seq.evaluation.significance import FEWEST_SENTENCES, Comparison, compare

NUM_DIFFERENT = 3


@dataclass(frozen=True)
class SharedExample:
    """A sentence with what each run made of it."""

    number: int
    source: str
    reference: str
    outputs: Sequence[tuple[str, Example]]
    """Names of the runs and their translations."""


def render_comparison(runs: Sequence[RunRecord], *, version: str) -> str:
    """The page of several runs, self-contained HTML.

    Runs are tested and read beside the first one where they translated the same test sentences.

    Args:
        runs: At least two, with names of their own.
        version: Of seq2seq, for the foot of the page.
    """
    first, set_name = runs[0], runs[0].first_set
    rivals = [run for run in runs[1:] if _same_sentences(run, first, set_name)]
    compared = {run.name for run in (first, *rivals)}
    directions = list(dict.fromkeys(direction(run) for run in runs))
    tests = [_compare(first, run, set_name) for run in rivals]
    return render(
        "comparison.html",
        runs=runs,
        first=first,
        title=directions[0] if len(directions) == 1 else "Runs side by side",
        version=version,
        set_name=set_name,
        others=[run.name for run in runs[1:] if run not in rivals],
        tests=tests,
        scores=_score_intervals(runs, compared, set_name),
        table=list(_table(runs, set_name)),
        signatures=_signatures(runs),
        settings=_differing_settings(runs),
        curves=list(_curves(runs)),
        lengths=length_chart(runs, compared, set_name),
        groups=_groups([first, *rivals], set_name),
    )


def _same_sentences(run: RunRecord, first: RunRecord, set_name: str) -> bool:
    """Whether both runs translated the same sources and have the same references."""
    if set_name not in first.sentences or set_name not in run.sentences:
        return False
    mine, others = (
        [(sentence["source"], sentence["reference"]) for sentence in one.sentences[set_name]]
        for one in (run, first)
    )
    return mine == others and run.target_language == first.target_language


def _compare(first: RunRecord, other: RunRecord, set_name: str) -> list[Comparison]:
    """The paired test of two runs by each of its metrics."""
    sentences = first.sentences[set_name]
    return compare(
        [sentence["hypothesis"] for sentence in sentences],
        [sentence["hypothesis"] for sentence in other.sentences[set_name]],
        [sentence["reference"] for sentence in sentences],
        first.target_language,
        names=(first.name, other.name),
    )


def _score_intervals(runs: Sequence[RunRecord], compared: Collection[str], set_name: str) -> str:
    """BLEU of the first run, and of those that may be compared with it."""
    shown = [score_of(run, set_name, "bleu") if run.name in compared else None for run in runs]
    rows = [
        Interval(run.name, score["value"], score.get("low"), score.get("high"))
        if score
        else Interval(run.name, None, None, None)
        for run, score in zip(runs, shown, strict=True)
    ]
    return interval_chart(
        rows, title=f"BLEU on {set_name}", x_label="BLEU, with its 95 % interval where it is known"
    )


def _signatures(runs: Sequence[RunRecord]) -> list[tuple[str, str, str]]:
    """Name of the metric, signature, and the runs that have it; no runs where all have it."""
    found: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        for name, signature in signatures(run).items():
            found.setdefault(name, {}).setdefault(signature, []).append(run.name)
    return [
        (name, signature, "" if len(names) == len(runs) else ", ".join(names))
        for name, by_signature in found.items()
        for signature, names in by_signature.items()
    ]


def _table(runs: Sequence[RunRecord], set_name: str) -> Iterator[tuple[str, list[Any]]]:
    """Labels with one value and a note for each run."""
    yield "languages", [(f"{run.source_language} → {run.target_language}", "") for run in runs]
    yield "network", [(network(run), "") for run in runs]
    others = [name for name in runs[0].test_sets if name != set_name]
    for name, metric in [
        *((set_name, metric) for metric in METRICS),
        *((o, "bleu") for o in others),
    ]:
        scores = [score_of(run, name, metric) for run in runs]
        if any(scores):
            label = next(str(score.get("name", metric)) for score in scores if score)
            arrow = " ↓" if metric in LOWER_IS_BETTER else ""
            yield (
                f"{label}{arrow} on {name}",
                [(f"{s['value']:.2f}", interval(s)) if s else ("–", "") for s in scores],
            )
    yield "training time", [(minutes(run) or "–", "") for run in runs]
    yield "hardware", [(str(run.training.get("hardware", "–")), "") for run in runs]
    yield "weights", [(weights(run) or "–", "") for run in runs]
    sizes = [run.megabytes for run in runs]
    yield "size on disk", [(f"{size:.1f} MB" if size else "–", "") for size in sizes]
    rates = [speed(run) for run in runs]
    yield "sentences per second", [(f"{rate:,.0f}" if rate else "–", "") for rate in rates]


def _differing_settings(runs: Sequence[RunRecord]) -> list[tuple[str, list[Any]]]:
    rows = [(name, [run.settings.get(name) for run in runs]) for name in runs[0].settings]
    return [
        (name, values)
        for name, values in rows
        if name != "name" and any(value != values[0] for value in values)
    ]


def _curves(runs: Sequence[RunRecord]) -> Iterator[str]:
    """The curves of all runs over one another, those that some run has."""
    for column, title, unit in (
        ("dev_bleu", "Score on the development set", "BLEU"),
        ("dev_loss", "Loss on the development set", "nats per piece"),
        ("loss", "Training loss", "nats per piece"),
        ("learning_rate", "Learning rate", "per step"),
        ("gradient_norm", "Gradient norm", "L2, before clipping"),
        ("pieces_per_second", "Training speed", "pieces per second"),
    ):
        series = [Series(run.name, run.curves.get(column, [])) for run in runs]
        if chart := line_chart(series, title=title, x_label="optimiser step", y_label=unit):
            yield chart


def length_chart(runs: Sequence[RunRecord], compared: Collection[str], set_name: str) -> str:
    """BLEU by length of the source, in one chart; tiny groups would only mislead.

    Args:
        compared: Names of the runs with the same sentences; others are left out.
    """
    rows = {
        run.name: [
            row
            for row in breakdown(run, set_name, "by_source_length")
            if run.name in compared and row["sentences"] >= FEWEST_SENTENCES
        ]
        for run in runs
    }
    labels = list(dict.fromkeys(str(row["label"]) for run in rows.values() for row in run))
    series = [
        Series(name, [(labels.index(str(row["label"])), float(row["bleu"])) for row in run])
        for name, run in rows.items()
    ]
    return line_chart(
        series,
        title="Score by length of the source",
        x_label=(
            f"{length_unit(runs[0].source_language)} of the source "
            f"(groups of at least {FEWEST_SENTENCES} sentences)"
        ),
        y_label=f"BLEU on {set_name}",
        categories=labels,
    )


def _groups(runs: Sequence[RunRecord], set_name: str) -> list[tuple[str, list[SharedExample]]]:
    """Sentences where the runs differ most, where all are good or bad, and random ones."""
    if set_name not in runs[0].sentences or len(runs) < 2:
        return []
    chrf = [sentence_chrf(run, set_name) for run in runs]
    columns = list(zip(*chrf, strict=True))
    spread = [max(column) - min(column) for column in columns]
    widest = sorted(range(len(spread)), key=lambda index: (-spread[index], index))[:NUM_DIFFERENT]
    groups = {"Where they differ most": widest}
    references = [sentence["reference"] for sentence in runs[0].sentences[set_name]]
    chosen = show_sentences([sum(column) / len(column) for column in columns], references)
    groups |= {GROUPS[group]: indices for group, indices in chosen.items()}
    return [
        (title, [_share(runs, set_name, index, columns[index]) for index in indices])
        for title, indices in groups.items()
        if indices
    ]


def _share(
    runs: Sequence[RunRecord], set_name: str, index: int, chrf: Sequence[float]
) -> SharedExample:
    sentence = runs[0].sentences[set_name][index]
    outputs = [
        (run.name, make_example(run, set_name, index, value))
        for run, value in zip(runs, chrf, strict=True)
    ]
    return SharedExample(index + 1, sentence["source"], sentence["reference"], outputs)
