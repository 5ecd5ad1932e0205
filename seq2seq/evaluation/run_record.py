"""What a run folder tells, as plain values, and how reports put it in words.

Whatever is missing or no number is left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seq2seq.evaluation.metrics import METRICS
from seq2seq.languages import language_name

CONTEXTS = {"bahdanau": "Bahdanau attention", "none": "a fixed-length context"}
UNITS = {
    "13a": "words and punctuation marks",
    "char": "characters",
    "ja-mecab": "the words that MeCab finds",
    "ko-mecab": "the words and particles that MeCab finds",
    "zh": "Chinese characters and other words",
}


@dataclass(frozen=True)
class SetCounts:
    """What became of the pairs of one set."""

    read: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    moved: Mapping[str, int] = field(default_factory=dict)
    """By the set that they went to."""
    cleaned: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Pairs read of each corpus, if there are several."""
    kept_parts: Mapping[str, int] = field(default_factory=dict)
    """Those of them that were kept, if the run counted them."""
    examples: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    """Sources and targets that were dropped, by reason."""
    note: str = ""
    """Where the pairs stand, if not where the recipe says."""


@dataclass(frozen=True)
class RunRecord:
    """What the files of a run folder tell, as plain values; what is missing is empty."""

    name: str
    source_language: str
    target_language: str
    settings: Mapping[str, Any]
    """The recipe by dotted name."""
    again: str = ""
    """The command that runs the recipe anew."""
    changed: frozenset[str] = frozenset()
    """Names of the settings that are not the defaults."""
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By set, as `scores.json` has them."""
    corpus: Mapping[str, SetCounts] = field(default_factory=dict)
    """By set."""
    revision: str | None = None
    """Of the data set on the hub."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """As `training.json` has it."""
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """Steps and values of each column of the log."""
    sentences: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By test set: source, reference and hypothesis of each sentence, with or without scores."""
    alignments: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """Figures (SVG) by set and index of the sentence."""
    num_weights: int | None = None
    megabytes: float | None = None
    """Size of the weights on disk."""

    @property
    def has_ended(self) -> bool:
        """Whether there is a model, or what only a finished run leaves."""
        return self.megabytes is not None or bool(self.training or self.scores)

    @property
    def test_sets(self) -> list[str]:
        """Names of the sets with scores, the development set left out."""
        return [name for name in self.scores if name != "dev"]

    @property
    def first_set(self) -> str:
        """The set that the report looks at sentence by sentence; empty if there is none."""
        return next(iter(self.sentences), next(iter(self.test_sets), ""))


def direction(run: RunRecord) -> str:
    """What is translated into what, in words."""
    return f"{language_name(run.source_language)} to {language_name(run.target_language)}"


def network(run: RunRecord) -> str:
    """The network in a few words."""
    model = {key.removeprefix("model."): value for key, value in run.settings.items()}
    context = CONTEXTS.get(str(model["attention"]), str(model["attention"]))
    if model["attention"] == "none":
        context += f" ({model['context_steps']} step)"
    layers = f"{model['encoder_layers']} + {model['decoder_layers']} layers"
    return f"{str(model['cell']).upper()}, {context}, {layers} of {model['hidden_size']} units"


def score_of(run: RunRecord, set_name: str, metric: str) -> Mapping[str, Any] | None:
    """One score with its name, value, signature and interval, if the run has it."""
    score = run.scores.get(set_name, {}).get(metric)
    is_score = isinstance(score, Mapping) and number(score.get("value")) is not None
    return score if is_score else None


def breakdown(run: RunRecord, set_name: str, key: str) -> list[Mapping[str, Any]]:
    """The rows of a table by length or by rarest word that have all their numbers."""
    rows = run.scores.get(set_name, {}).get(key)
    columns = ("sentences", "bleu", "chrf")
    return [
        row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, Mapping)
        and all(number(row.get(column)) is not None for column in columns)
    ]


def signatures(run: RunRecord) -> dict[str, str]:
    """The signature of each metric of the test sets, by its name."""
    found = {}
    for set_name in run.test_sets or list(run.scores):
        for metric in METRICS:
            if score := score_of(run, set_name, metric):
                found[str(score.get("name", metric))] = str(score.get("signature", ""))
    return found


def counted_units(signature: str) -> str:
    """What BLEU counted, from its signature; empty if that is not known."""
    for part in signature.split("|"):
        if part.startswith("tok:"):
            return UNITS.get(part.removeprefix("tok:"), part.removeprefix("tok:"))
    return ""


def interval(score: Mapping[str, Any]) -> str:
    """The range of a score, empty without one."""
    low, high = number(score.get("low")), number(score.get("high"))
    return "" if low is None or high is None else f"{low:.1f}–{high:.1f}"


def speed(run: RunRecord) -> float | None:
    """Sentences per second of the first test set."""
    return number(run.scores.get(run.first_set, {}).get("sentences_per_second"))


def minutes(run: RunRecord) -> str | None:
    """Training time in words."""
    value = number(run.training.get("minutes"))
    if value is None:
        return None
    if value < 90:
        return f"{value:.0f} min" if value >= 10 else f"{value:.1f} min"
    return f"{value / 60:.1f} h"


def weights(run: RunRecord) -> str | None:
    """Number of weights in words."""
    value = run.num_weights or number(run.training.get("weights"))
    if not value:
        return None
    return f"{value / 1e6:.1f} million" if value >= 1e6 else f"{value:,.0f}"


def number(value: Any) -> float | None:
    """The value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:  # of hundreds of digits
        return None
    return converted if math.isfinite(converted) else None
