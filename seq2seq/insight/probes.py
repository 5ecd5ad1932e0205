"""Linear probes: what can be read off vectors by a linear map, beside what chance would read.

Knows nothing of networks or sentences.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_SHUFFLES = 10
NUM_FOLDS = 5
# Strengths that are tried, for each training vector and unit of its mean variance.
_STRENGTHS = 10.0 ** np.arange(-6, 3)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """How many held-out vectors have a label that a linear map reads off them, as shares."""

    accuracy: float
    shuffled: Sequence[float]
    """The same with labels in random order, once for each order: what chance would read."""
    majority: float
    """The share of the label that is most frequent in training, which needs no vector at all."""
    num_labels: int
    """Different ones in training."""
    num_training: int
    num_held_out: int


class SummaryProbe(NamedTuple):
    """How well one property can be read off the states of a network."""

    trained: Probe
    untrained: Probe
    """Off those of the same network with fresh weights, which has learnt nothing."""


def probe(
    training: Floats,
    training_labels: Sequence[str],
    held_out: Floats,
    held_out_labels: Sequence[str],
    *,
    num_shuffles: int = NUM_SHUFFLES,
    seed: int = 1,
) -> Probe:
    """Learns to read labels off vectors, and reads those of others.

    Alain and Bengio (2017), https://arxiv.org/abs/1610.01644; the control is of the kind that
    Hewitt and Liang (2019) ask for, https://aclanthology.org/D19-1275.

    Args:
        training: [num_training, size]
        held_out: [num_held_out, size]
        num_shuffles: Random orders of the labels that are tried.
        seed: Of these orders.

    Raises:
        ValueError: If there are fewer training vectors than folds, or none is held out.
    """
    if len(training) < NUM_FOLDS or not len(held_out):
        raise ValueError(
            f"A probe needs at least {NUM_FOLDS} training vectors and a held-out one, but there "
            f"are {len(training)} and {len(held_out)}."
        )
    folds = [_Fold.of(training, rows) for rows in _fold_rows(len(training))]
    whole = _Decomposition.of(training)

    def accuracy(own: Sequence[str], others: Sequence[str]) -> float:
        reader = whole.fit(own, _choose_strength(folds, own))
        return _agreement(reader.read(held_out), others)

    generator = np.random.default_rng(seed)
    frequent = Counter(training_labels).most_common(1)[0][0]
    return Probe(
        accuracy=accuracy(training_labels, held_out_labels),
        shuffled=[
            accuracy(_shuffle(training_labels, generator), _shuffle(held_out_labels, generator))
            for _ in range(num_shuffles)
        ],
        majority=_agreement([frequent] * len(held_out), held_out_labels),
        num_labels=len(set(training_labels)),
        num_training=len(training),
        num_held_out=len(held_out),
    )


class _Reader(NamedTuple):
    """A ridge regression onto one column for each label; the highest column is what it reads."""

    mean: Floats  # [size], of the training vectors
    weights: Floats  # [size, num_labels]
    bias: Floats  # [num_labels]
    labels: Sequence[str]

    def read(self, vectors: Floats) -> list[str]:
        """The label of each vector [num_vectors, size]."""
        scores = (vectors - self.mean) @ self.weights + self.bias
        return [self.labels[index] for index in scores.argmax(1)]


class _Decomposition(NamedTuple):
    """Vectors less their mean, and the axes of their covariance: all strengths share them."""

    mean: Floats
    centred: Floats
    axes: Floats  # [size, size], in columns
    variances: Floats  # [size], sums of squares along each axis

    @classmethod
    def of(cls, vectors: Floats) -> "_Decomposition":
        mean = vectors.mean(0)
        centred = vectors - mean
        variances, axes = np.linalg.eigh(centred.T @ centred)
        return cls(mean, centred, axes, variances.clip(min=0))

    def fit(self, labels: Sequence[str], strength: float) -> _Reader:
        """`W = (X'X + s m I)^-1 X'Y`, with m the mean of the variances, so that s has no unit."""
        known, targets = _one_hot(labels)
        bias = targets.mean(0)
        ridge = strength * max(float(self.variances.mean()), np.finfo(np.float64).tiny)
        along_axes = self.axes.T @ (self.centred.T @ (targets - bias))
        weights = self.axes @ (along_axes / (self.variances + ridge)[:, None])
        return _Reader(self.mean, weights, bias, known)


class _Fold(NamedTuple):
    """One division of the training vectors in what is fitted and what is read."""

    fitted: _Decomposition
    others: Floats
    fitted_rows: NDArray[np.int_]
    other_rows: NDArray[np.int_]

    @classmethod
    def of(cls, vectors: Floats, rows: NDArray[np.int_]) -> "_Fold":
        rest = np.setdiff1d(np.arange(len(vectors)), rows)
        return cls(_Decomposition.of(vectors[rest]), vectors[rows], rest, rows)


def _fold_rows(number: int) -> Iterator[NDArray[np.int_]]:
    yield from np.array_split(np.arange(number), NUM_FOLDS)


def _choose_strength(folds: Sequence[_Fold], labels: Sequence[str]) -> float:
    """The strength that reads most labels right; among equals the greatest.

    The folds are blocks, as neighbours among sentences are often much alike.
    """
    known = np.array(labels)
    right = [
        sum(
            _agreement(
                fold.fitted.fit(known[fold.fitted_rows].tolist(), strength).read(fold.others),
                known[fold.other_rows].tolist(),
            )
            for fold in folds
        )
        for strength in _STRENGTHS
    ]
    return float(_STRENGTHS[len(right) - 1 - int(np.argmax(right[::-1]))])


def _one_hot(labels: Sequence[str]) -> tuple[list[str], Floats]:
    known = sorted(set(labels))
    places = {label: place for place, label in enumerate(known)}
    targets = np.zeros((len(labels), len(known)))
    targets[np.arange(len(labels)), [places[label] for label in labels]] = 1
    return known, targets


def _shuffle(labels: Sequence[str], generator: np.random.Generator) -> list[str]:
    return [labels[index] for index in generator.permutation(len(labels))]


def _agreement(read: Sequence[str], true: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(read, true, strict=True)) / len(true)
