"""Whether one system translates a set better than another: a paired bootstrap test.

The resamples are those of sacreBLEU; its p-values claim differences too often, so they are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seq2seq.evaluation.metrics import LOWER_IS_BETTER, NUM_RESAMPLES, Statistics, measure

SIGNIFICANCE_LEVEL = 0.05
# Resamples of a handful of sentences are so much alike that the test would always find something.
FEWEST_SENTENCES = 20
_SMALLEST_P = 1 / (NUM_RESAMPLES + 1)


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
    """How probable a difference as large as this one is if there is none."""
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
        sign = "≤" if self.p_value <= _SMALLEST_P else "="  # the resamples show no smaller one
        p_value = f"p {sign} {self.p_value:.{3 if self.p_value < 0.1 else 2}f}"
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

    Koehn (2004), https://aclanthology.org/W04-3250, made two-sided: see `find_p_value`.

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
    p_value = find_p_value(first.resampled() - second.resampled(), values[0] - values[1])
    return Comparison(first.metric, scores[0].name, names, values, p_value, len(first))


def find_p_value(sampled: NDArray[np.float64], difference: float) -> float:
    """How often chance alone makes a difference as large as the one that was found, either way.

    Without a true difference, those of the resamples would lie around zero as they now lie around
    their mean. sacreBLEU takes the absolute values first, whose mean is not zero then either; its p
    is about half as large as it should be.

    Args:
        sampled: Differences between the two systems in each resample, with their signs.
        difference: That of the whole set; with 0 the answer is 1.
    """
    by_chance = np.abs(sampled - sampled.mean()) >= abs(difference)
    return (int(by_chance.sum()) + 1) / (len(sampled) + 1)
