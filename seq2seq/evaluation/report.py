"""The report of a run as one HTML page: prepares what the templates show.

Gets everything as plain values; reads no file and loads no network. Whatever a run folder lacks is
named on the page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from seq2seq.evaluation.analysis import length_unit, show_sentences
from seq2seq.evaluation.charts import Series, bar_chart, line_chart
from seq2seq.evaluation.differences import Stretch, mark_differences
from seq2seq.evaluation.metrics import LOWER_IS_BETTER, METRICS, measure
from seq2seq.evaluation.run_record import (
    CONTEXTS,
    RunRecord,
    breakdown,
    counted_units,
    direction,
    interval,
    minutes,
    number,
    score_of,
    signatures,
    speed,
    weights,
)
from seq2seq.evaluation.significance import FEWEST_SENTENCES

GROUPS = {
    "best": "Best",
    "worst": "Worst",
    "random": "Drawn at random",
}
SHARES = {
    "empty": "empty",
    "truncated": "cut off",
    "repeated": "with repetitions",
    "copied": "copied from the source",
}


@dataclass(frozen=True)
class Example:
    """A sentence as the page shows it."""

    number: int
    source: str
    reference: Sequence[Stretch]
    hypothesis: Sequence[Stretch]
    scores: Sequence[str]
    flags: Sequence[str]
    alignment: str | None


def render_report(run: RunRecord, *, version: str) -> str:
    """The page of one run, self-contained HTML.

    Args:
        version: Of seq2seq, for the foot of the page.
    """
    return render(
        "run.html",
        run=run,
        title=direction(run),
        version=version,
        headline=_headline(run),
        lead=_lead(run),
        facts=_facts(run),
        metrics=_metric_names(run),
        score_rows=[_score_row(run, name) for name in run.scores],
        signatures=signatures(run),
        search=_search(run),
        breakdowns=list(_breakdowns(run)),
        fewest=FEWEST_SENTENCES,
        groups=_groups(run),
        curves=list(_curve_charts(run)),
        dropped=_dropped(run),
        moved=any(counts.moved for counts in run.corpus.values()),
        training=_training_rows(run),
    )


def render(template: str, **values: Any) -> str:
    """Fills a template of this folder; text from corpora is escaped."""
    environment = Environment(
        loader=PackageLoader("seq2seq.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "value": plain_value}
    page = environment.get_template(template).render(**values)
    return page if page.endswith("\n") else f"{page}\n"


def count(value: Any) -> str:
    """A whole number with thousands separated."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def plain_value(value: Any) -> str:
    """A setting as YAML would have it, lists in one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def sentence_chrf(run: RunRecord, set_name: str) -> list[float]:
    """chrF of each sentence of a set; counted here if the run did not keep it."""
    sentences = run.sentences[set_name]
    kept = [number(sentence.get("chrf")) for sentence in sentences]
    known = [value for value in kept if value is not None]
    if len(known) == len(sentences):
        return known
    hypotheses, references = (
        [sentence[side] for sentence in sentences] for side in ("hypothesis", "reference")
    )
    return measure("chrf", hypotheses, references, run.target_language).sentence_scores()


def make_example(run: RunRecord, set_name: str, index: int, chrf: float) -> Example:
    """One sentence with its differences marked."""
    sentence = run.sentences[set_name][index]
    hypothesis, reference = mark_differences(
        sentence["hypothesis"], sentence["reference"], run.target_language
    )
    bleu = number(sentence.get("bleu"))
    scores = [f"chrF {chrf:.0f}", *([] if bleu is None else [f"BLEU {bleu:.0f}"])]
    flags = [words for name, words in SHARES.items() if sentence.get(name) is True]
    figure = run.alignments.get((set_name, index))
    return Example(index + 1, sentence["source"], reference, hypothesis, scores, flags, figure)


def _headline(run: RunRecord) -> dict[str, str] | None:
    """The score that stands at the top: BLEU of the first test set, or what there is."""
    for set_name in (run.first_set, *run.test_sets, "dev"):
        if score := score_of(run, set_name, "bleu"):
            sentences = run.scores[set_name].get("sentences")
            where = f"on {set_name}" + (f", {count(sentences)} sentences" if sentences else "")
            return {
                "name": str(score.get("name", "BLEU")),
                "value": f"{score['value']:.1f}",
                "interval": interval(score),
                "where": where,
                "counted": counted_units(str(score.get("signature", ""))),
            }
    return None


def _lead(run: RunRecord) -> str:
    """What was trained on what, in one sentence."""
    cell = str(run.settings["model.cell"]).upper()
    attention = str(run.settings["model.attention"])
    article = "An" if cell[0] in "AEIOLMNRS" else "A"  # as the letters are read out
    training = []
    if "train" in run.corpus:
        training.append(f"on {run.corpus['train'].kept:,} pairs of sentences")
    if time := minutes(run):
        training.append(f"in {time}{_hardware(run)}")
    trained = " ".join([", trained", *training]) if training else ""
    return f"{article} {cell} network with {CONTEXTS.get(attention, attention)}{trained}."


def _hardware(run: RunRecord) -> str:
    hardware, threads = run.training.get("hardware"), run.training.get("threads")
    if not hardware:
        return ""
    used = f", {threads} thread{'s' if threads != 1 else ''}" if threads else ""
    processes = run.settings["training.devices"]
    return f" on {hardware}{used}" + (f", {processes} processes" if processes > 1 else "")


def _facts(run: RunRecord) -> list[tuple[str, str, str]]:
    """Label, value and note of the numbers at the top."""
    facts = []
    for metric in ("chrf", "ter"):
        if score := score_of(run, run.first_set, metric):
            better = "lower is better" if metric in LOWER_IS_BETTER else "of letter sequences"
            facts.append((str(score.get("name", metric)), f"{score['value']:.1f}", better))
    if time := minutes(run):
        epochs = number(run.training.get("epochs"))
        facts.append(("training", time, f"{epochs:g} epochs" if epochs else ""))
    if size := weights(run):
        disk = f"{run.megabytes:.1f} MB on disk" if run.megabytes else ""
        facts.append(("weights", size, disk))
    if rate := speed(run):
        facts.append(("speed", f"{rate:,.0f}", "sentences per second"))
    return facts


def _metric_names(run: RunRecord) -> dict[str, str]:
    """Metrics that some set has, with the names that the tables show."""
    return {
        metric: str(score.get("name", metric)) + (" ↓" if metric in LOWER_IS_BETTER else "")
        for set_name in run.scores
        for metric in METRICS
        if (score := score_of(run, set_name, metric))
    }


def _score_row(run: RunRecord, set_name: str) -> dict[str, Any]:
    values = run.scores[set_name]
    shares = values.get("shares")
    shares = shares if isinstance(shares, Mapping) else {}
    ratio = number(values.get("length_ratio"))
    return {
        "set": set_name,
        "sentences": values.get("sentences", ""),
        "scores": [
            (f"{score['value']:.2f}", interval(score))
            if (score := score_of(run, set_name, metric))
            else ("–", "")
            for metric in _metric_names(run)
        ],
        "length_ratio": "–" if ratio is None else f"{ratio:.3f}",
        "shares": [
            "–" if (share := number(shares.get(name))) is None else _percent(share)
            for name in SHARES
        ],
    }


def _search(run: RunRecord) -> str:
    """How the sentences were searched."""
    values = run.scores.get(run.first_set, {})
    if "beam_size" not in values:
        return ""
    return (
        f"Beam of {values['beam_size']}, length penalty {values.get('length_penalty')} "
        f"({values.get('length_penalty_kind')}), {values.get('precision')}."
    )


def _breakdowns(run: RunRecord) -> Iterator[dict[str, Any]]:
    """A chart and a table for each way of sorting the sentences."""
    unit = length_unit(run.source_language)
    for key, title, x_label in (
        ("by_source_length", "Score by length of the source", f"{unit} of the source"),
        (
            "by_rarest_word",
            "Score by rarest word of the source",
            "times it was seen in training",
        ),
    ):
        rows = breakdown(run, run.first_set, key)
        # On the axis "seen 2-9 times" is too long, and its label says the rest.
        labels = [
            str(row.get("label", "")).removeprefix("seen ").removesuffix(" times") for row in rows
        ]
        series = [
            ("BLEU", [float(row["bleu"]) for row in rows]),
            ("chrF2", [float(row["chrf"]) for row in rows]),
        ]
        chart = bar_chart(
            labels,
            series,
            title=title,
            x_label=f"{x_label}; below: sentences",
            y_label="score, 0 to 100",
            notes=[count(row["sentences"]) for row in rows],
        )
        has_few = any(row["sentences"] < FEWEST_SENTENCES for row in rows)
        yield {"title": title, "rows": rows, "chart": chart, "has_few": has_few}


def _groups(run: RunRecord) -> list[tuple[str, list[Example]]]:
    """The best, the worst and random translations of the first set."""
    if run.first_set not in run.sentences:
        return []
    chrf = sentence_chrf(run, run.first_set)
    references = [sentence["reference"] for sentence in run.sentences[run.first_set]]
    return [
        (GROUPS[group], [make_example(run, run.first_set, i, chrf[i]) for i in indices])
        for group, indices in show_sentences(chrf, references).items()
        if indices
    ]


def _curve_charts(run: RunRecord) -> Iterator[str]:
    """The learning curves, those that the log has."""
    loss = [
        Series(name, run.curves.get(column, []))
        for name, column in (("training", "loss"), ("development", "dev_loss"))
    ]
    metric = str(run.settings["training.monitor"])
    metric = "bleu" if metric == "loss" else metric
    name = {"bleu": "BLEU", "chrf": "chrF2"}.get(metric, metric)
    panels = [
        ("Loss", "nats per piece", loss),
        *(
            (title, unit, [Series(title.lower(), run.curves.get(column, []))])
            for title, unit, column in (
                ("Score on the development set", f"{name}, 0 to 100", f"dev_{metric}"),
                ("Learning rate", "per step", "learning_rate"),
                ("Gradient norm", "L2, before clipping", "gradient_norm"),
                ("Training speed", "pieces per second", "pieces_per_second"),
            )
        ),
    ]
    for title, unit, series in panels:
        present = [one for one in series if one.points]
        if chart := line_chart(present, title=title, x_label="optimiser step", y_label=unit):
            yield chart


def _dropped(run: RunRecord) -> list[dict[str, Any]]:
    """What the filters left out, with examples, the most frequent reason first."""
    rows = [
        {
            "set": set_name,
            "reason": reason,
            "count": dropped,
            "share": _percent(dropped / max(counts.read, 1)),
            "examples": counts.examples.get(reason, []),
        }
        for set_name, counts in run.corpus.items()
        for reason, dropped in counts.dropped.items()
    ]
    return sorted(rows, key=lambda row: -row["count"])


def _percent(share: float) -> str:
    """A share that is not zero is not shown as zero."""
    return "under 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def _training_rows(run: RunRecord) -> list[tuple[str, str]]:
    """How the run went, as label and value."""
    rows = []
    for name, value in run.training.items():
        if isinstance(value, Mapping):
            rows += [(f"{name} of {part}", plain_value(text)) for part, text in value.items()]
        else:
            rows.append(
                (name, count(value) if name in ("steps", "weights") else plain_value(value))
            )
    return rows
