"""Learns from a development set how much a model's translations are to be trusted."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.confidence import LEAST_SCALE, Feature, Quality, measure_features
from seq2seq.config import ConfigurationError
from seq2seq.data.corpus import Pairs
from seq2seq.evaluation.metrics import measure
from seq2seq.translator import Translator

LEAST_PAIRS = 50
"""Below that chance decides."""
_BASELINE = "mean_log_probability"
_NUM_FOLDS = 10
_STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # of the penalty on weights

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What was learnt, and how well it does on sentences that it was not learnt from."""

    quality: Quality
    chrf: Floats
    """Of each sentence, 0 to 100."""
    confidence: Floats
    """Of each sentence, 0 to 1, by a regression to which its tenth of the set was unknown."""


def calibrate(
    translator: Translator,
    pairs: Pairs,
    *,
    advance: Callable[[int], None] = lambda number: None,
    **search: Any,
) -> Calibration:
    """Translates a development set and learns to tell good translations from bad ones.

    Args:
        pairs: Cleaned, as `evaluate.clean_pairs` does; those with a blank side are left out.
        advance: Hears how many sentences have just been translated.
        search: Settings in place of the recipe's.

    Raises:
        ConfigurationError: If there are too few pairs.
    """
    filled = [pair for pair in zip(pairs.sources, pairs.targets, strict=True) if all(pair)]
    if len(filled) < LEAST_PAIRS:
        raise ConfigurationError(
            f"calibration needs at least {LEAST_PAIRS} pairs of sentences, but there are "
            f"{len(filled)}."
        )
    settings = {**search, "min_confidence": 0.0}
    texts, features = [], []
    sources = [source for source, _ in filled]
    for translation in translator.stream(
        sources, with_alignment=False, with_details=True, **settings
    ):
        texts.append(translation.text)
        features.append(measure_features(translation))
        advance(1)
    language = translator.recipe.target_language
    statistics = measure("chrf", texts, [target for _, target in filled], language)
    return fit(
        features,
        statistics.sentence_scores(),
        weights=translator.weights,
        search=dataclasses.asdict(translator.search_settings(**settings)),
    )


def fit(
    features: Sequence[Mapping[str, float]],
    chrf: Sequence[float],
    *,
    weights: Sequence[Mapping[str, str]] = (),
    search: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fits the regression; its strength is the one that does best in cross-validation.

    What is measured comes from folds that had no part in the choice of a strength either.

    Args:
        features: Of each translation; what one of them lacks is left out.
        chrf: Of each translation, 0 to 100.
        weights: See `Quality`, and so is `search`.
    """
    common = set.intersection(*(set(found) for found in features))
    names = [name for name in features[0] if name in common]
    table = np.array([[found[name] for name in names] for found in features])
    scores = np.array(chrf)
    intercept, solved = _solve(table, scores, _find_strength(table, scores))
    held_out = _cross_validate(table, scores, _find_strength)
    baseline = table[:, names.index(_BASELINE)]
    measured = {
        "sentences": len(scores),
        "pearson": pearson(held_out, scores),
        "spearman": spearman(held_out, scores),
        f"pearson_of_{_BASELINE}": pearson(baseline, scores),
        f"spearman_of_{_BASELINE}": spearman(baseline, scores),
    }
    quality = Quality(
        intercept,
        {name: feature for name, feature in zip(names, solved, strict=True) if feature.weight},
        list(weights),
        search or {},
        {name: round(value, 4) for name, value in measured.items()},
    )
    return Calibration(quality, scores, held_out / 100)


def pearson(first: Floats, second: Floats) -> float:
    """The linear correlation; 0 where one side does not vary."""
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm > LEAST_SCALE else 0.0


def spearman(first: Floats, second: Floats) -> float:
    """The correlation of ranks; equal values share the mean of theirs."""
    return pearson(_ranks(first), _ranks(second))


def _ranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[places].astype(np.float64)


def _cross_validate(
    table: Floats, scores: Floats, choose: Callable[[Floats, Floats], float]
) -> Floats:
    """Estimates of each sentence by a regression on the folds that it is not in.

    Args:
        choose: Gives the strength for those folds, from them alone.
    """
    folds = np.arange(len(scores)) % _NUM_FOLDS
    estimates = np.empty_like(scores)
    for fold in range(_NUM_FOLDS):
        known = table[folds != fold], scores[folds != fold]
        intercept, features = _solve(*known, choose(*known))
        means, scales, weights = np.array([dataclasses.astuple(each) for each in features]).T
        found = intercept + (table[folds == fold] - means) / scales @ weights
        estimates[folds == fold] = found.clip(0.0, 100.0)
    return estimates


def _find_strength(table: Floats, scores: Floats) -> float:
    """The strength that does best on folds that nothing was learnt from."""

    def error(strength: float) -> float:
        estimates = _cross_validate(table, scores, lambda *known: strength)
        return float(((estimates - scores) ** 2).mean())

    return min(_STRENGTHS, key=error)


def _solve(table: Floats, scores: Floats, strength: float) -> tuple[float, list[Feature]]:
    """Ridge regression (Hoerl and Kennard, 1970) on standardised features."""
    means, scales = table.mean(axis=0), table.std(axis=0)
    varies = scales > LEAST_SCALE
    standard = (table - means) / np.where(varies, scales, 1.0) * varies
    gram = standard.T @ standard + strength * np.eye(table.shape[1])
    solved = np.linalg.solve(gram, standard.T @ (scores - scores.mean()))
    features = [
        Feature(float(mean), float(scale) if varied else 1.0, float(weight) if varied else 0.0)
        for mean, scale, weight, varied in zip(means, scales, solved, varies, strict=True)
    ]
    return float(scores.mean()), features
