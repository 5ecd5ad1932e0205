"""Whether one system translates a set better than another: the paired bootstrap of sacreBLEU."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.evaluation.metrics import LOWER_IS_BETTER, NUM_RESAMPLES, Statistics, measure

SIGNIFICANCE_LEVEL = 0.05
# Resamples of a handful of sentences are so much alike that the test would always find something.
FEWEST_SENTENCES = 30


@dataclass(frozen=True)
class Comparison:
    """Two systems, A and B, by one metric on one set of sentences."""

    metric: str
    """Name in `METRICS`."""
    metric_name: str
    """As its authors write it, such as BLEU."""
    names: tuple[str, str]
    """Of the systems."""
    values: tuple[float, float]
    """Scores of A and B."""
    p_value: float
    """How probable such a difference is if there is none; 1 if the scores are equal."""
    num_sentences: int

    @property
    def is_significant(self) -> bool:
        """Whether one of the systems may be called better."""
        return self.p_value < SIGNIFICANCE_LEVEL and self.num_sentences >= FEWEST_SENTENCES

    @property
    def difference(self) -> float:
        """Score of A less that of B."""
        return self.values[0] - self.values[1]

    def __str__(self) -> str:
        first, second = self.names
        p_value = f"p = {self.p_value:.{3 if self.p_value < 0.1 else 2}f}"
        if self.is_significant:
            if (self.difference < 0) != (self.metric in LOWER_IS_BETTER):
                first, second = second, first
            size = f"{abs(self.difference):.{1 if abs(self.difference) >= 0.1 else 2}f}"
            return f"{first} is better than {second} by {size} {self.metric_name} ({p_value})."
        start = f"No difference in {self.metric_name} can be claimed between {first} and {second}"
        if self.num_sentences < FEWEST_SENTENCES:
            return f"{start} with so few sentences ({self.num_sentences})."
        return f"{start} ({p_value})."


def compare(
    hypotheses: Sequence[str],
    others: Sequence[str],
    references: Sequence[str],
    target_language: str,
    *,
    names: tuple[str, str] = ("A", "B"),
    metrics: Sequence[str] = ("bleu", "chrf"),
) -> list[Comparison]:
    """Compares the translations of two systems, one `Comparison` for each metric.

    Koehn (2004), https://aclanthology.org/W04-3250, as `sacrebleu --paired-bs` computes it.

    Args:
        hypotheses: Of system A.
        others: Of system B, line by line for the same sources.
        names: What the systems are called in the sentences.

    Raises:
        ValueError: If the lists are not equally long, or empty.
    """
    return [
        compare_statistics(
            measure(metric, hypotheses, references, target_language),
            measure(metric, others, references, target_language),
            names=names,
        )
        for metric in metrics
    ]


def compare_statistics(
    first: Statistics, second: Statistics, *, names: tuple[str, str] = ("A", "B")
) -> Comparison:
    """What `compare` says of one metric whose statistics are there already."""
    scores = first.score(), second.score()
    values = scores[0].value, scores[1].value
    if values[0] == values[1]:
        p_value = 1.0  # sacreBLEU counts larger differences only, and would find the smallest p
    else:
        sampled = np.abs(first.resampled() - second.resampled())
        by_chance = sampled - sampled.mean() > abs(values[0] - values[1])
        p_value = (int(by_chance.sum()) + 1) / (NUM_RESAMPLES + 1)
    return Comparison(first.metric, scores[0].name, names, values, p_value, len(first))
