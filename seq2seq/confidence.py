"""How good a translation probably is: a ridge regression of chrF on what the network thought of it.

Specia et al. (2018), Quality Estimation for Machine Translation, with features of the network
itself alone (Fomicheva et al., 2020, https://aclanthology.org/2020.tacl-1.35). To add a feature,
write a function and one line of `FEATURES`; models are calibrated anew then.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from torch import Tensor

from seq2seq.config import ConfigurationError, SearchConfig, shown
from seq2seq.files import replacing
from seq2seq.model_directory import QUALITY_FILE
from seq2seq.reading import check_file
from seq2seq.recipe_yaml import values_from_yaml
from seq2seq.translation import Translation, with_best

LEAST_SCALE = 1e-9
"""A feature that varies less says nothing."""
_FORMAT_VERSION = 1
_MOST_BYTES = 1_000_000
_MOST = 1e9  # of a number in the file
_DIGITS = 4  # of a confidence: more of them hang on the batch
_LEAST, _DOUBTFUL = -100.0, -1.0  # log-probabilities
_ANEW = "write it anew with `seq2seq calibrate`"
# Settings that neither change what is searched nor how its hypotheses are ordered.
_IRRELEVANT = {
    "n_best",
    "batch_size",
    "seed",
    "preserve",
    "copy_unknown",
    "keep_case",
    "min_confidence",
    "low_confidence",
}


@dataclass(frozen=True)
class Feature:
    """What a feature tells of chrF."""

    mean: float
    """Of the development set, and so is `scale`."""
    scale: float
    """Standard deviation."""
    weight: float
    """chrF, 0 to 100, for each `scale` above the mean."""


@dataclass(frozen=True)
class Quality:
    """A calibrated regression."""

    intercept: float
    """chrF of the average translation, 0 to 100."""
    features: Mapping[str, Feature]
    """By their names in `FEATURES`."""
    weights: Sequence[Mapping[str, str]]
    """Which networks translated together, the model's own first, as `members.identify` says."""
    search: Mapping[str, Any]
    """Settings of the search, for which confidences hold."""
    measured: Mapping[str, float]
    """How well it does, for people."""


def measure_features(translation: Translation) -> dict[str, float]:
    """What there is to see in a translation with details; of a blank source nothing."""
    if translation.piece_log_probabilities is None or len(translation.source_pieces) < 2:
        return {}
    found = {name: feature(translation) for name, feature in FEATURES.items()}
    return {name: value for name, value in found.items() if value is not None}


def estimate_chrf(quality: Quality, features: Mapping[str, float]) -> float:
    """The chrF that a translation probably has, 0 to 100; features that are missing are average."""
    estimate = quality.intercept + sum(
        known.weight * (features[name] - known.mean) / known.scale
        for name, known in quality.features.items()
        if name in features
    )
    return min(max(estimate, 0.0), 100.0)


def with_confidence(translation: Translation, quality: Quality) -> Translation:
    """A translation with details and its confidence; a blank source is translated for certain."""
    features = measure_features(translation)
    confidence = round(estimate_chrf(quality, features) / 100, _DIGITS) if features else 1.0
    return with_best(translation, confidence=confidence)


def judge(translation: Translation, search: SearchConfig) -> Translation:
    """Says whether a translation is below the least confidence, and blanks it if that is asked."""
    confidence = translation.confidence
    if confidence is None or confidence >= search.min_confidence:
        return translation
    if search.low_confidence == "mark":
        return with_best(translation, is_doubtful=True)
    blank = [dataclasses.replace(other, text="") for other in translation.alternatives[1:]]
    withheld = dataclasses.replace(translation, alternatives=(translation, *blank))
    return with_best(withheld, text="", is_doubtful=True, is_withheld=True)


def find_other_settings(quality: Quality, search: SearchConfig) -> dict[str, Any]:
    """Settings of the search with which confidence was learnt, where other ones are used now."""
    return {
        name: known
        for name, value in dataclasses.asdict(search).items()
        if name not in _IRRELEVANT and (known := quality.search.get(name, value)) != value
    }


def write_quality(path: str | os.PathLike[str], quality: Quality) -> Path:
    """Writes quality.yaml into a model directory; returns the file.

    Those of ensembles that the same weights take part in stay beside it.
    """
    file = Path(path, QUALITY_FILE)
    try:
        known = _read_all(file)
    except ConfigurationError:
        known = []  # a damaged one is written anew
    others = [
        dataclasses.asdict(other)
        for other in known
        if other.weights[:1] == quality.weights[:1] and other.weights != quality.weights
    ]
    values = {"format_version": _FORMAT_VERSION, **dataclasses.asdict(quality), "others": others}
    with replacing(file) as (part,):
        part.write_text(yaml.safe_dump(values, sort_keys=False, width=100), "utf-8")
    return file


def read_quality(
    path: str | os.PathLike[str], weights: Sequence[Mapping[str, str]]
) -> Quality | None:
    """The regression of a model directory; None if it has none, or only those of other weights.

    Args:
        weights: Which networks translate together, as in `Quality`.

    Raises:
        ConfigurationError: If there is one that is damaged.
    """
    found = _read_all(Path(path, QUALITY_FILE))
    return next((each for each in found if each.weights == list(weights)), None)


def _read_all(file: Path) -> list[Quality]:
    """All regressions of a file; none if there is no file."""
    try:
        check_file(file, most_bytes=_MOST_BYTES)
        values = values_from_yaml(file.read_bytes().decode())
        others = values.get("others", [])
        if not isinstance(others, list) or not all(isinstance(each, dict) for each in others):
            raise ConfigurationError("`others` is of another kind.")
        version = values.get("format_version")
        if version != _FORMAT_VERSION or isinstance(version, bool):
            raise ConfigurationError(
                f"`format_version` must be {_FORMAT_VERSION}, but is {shown(version)}."
            )
        return [_from_values(each) for each in (values, *others)]
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: the text is not UTF-8; {_ANEW}.") from error
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {str(error).removesuffix('.')}; {_ANEW}.") from error


def _from_values(values: Mapping[str, Any]) -> Quality:
    sections = {
        "features": dict,
        "weights": list,
        "search": dict,
        "measured": dict,
    }
    for name, kind in sections.items():
        if not isinstance(values.get(name), kind):
            raise ConfigurationError(f"`{name}` is missing or of another kind.")
    features = {}
    for name, known in values["features"].items():
        if name not in FEATURES or not isinstance(known, dict):
            raise ConfigurationError(f"`features` holds {shown(name)}, which is none.")
        numbers = {part.name: known.get(part.name) for part in dataclasses.fields(Feature)}
        features[name] = Feature(
            **{part: _number(f"features.{name}.{part}", value) for part, value in numbers.items()}
        )
        if features[name].scale < LEAST_SCALE:
            raise ConfigurationError(f"`features.{name}.scale` must be above 0.")
    return Quality(
        _number("intercept", values.get("intercept")),
        features,
        values["weights"],
        values["search"],
        values["measured"],
    )


def _number(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _MOST:
        raise ConfigurationError(f"`{name}` must be a number, but is {shown(value)}.")
    return float(value)


def _log_probabilities(translation: Translation) -> "np.ndarray[Any, Any]":
    return np.maximum(np.array(translation.piece_log_probabilities), _LEAST)


def _alignment(translation: Translation) -> Tensor | None:
    """[target_length, source_length], nothing of it 0."""
    found = translation.alignment
    return None if found is None else found.double().clamp_min(1e-9)


def _alignment_entropy(translation: Translation) -> float | None:
    """Nats, over how many source pieces the attention is spread, on average."""
    found = _alignment(translation)
    return None if found is None else float(-(found * found.log()).sum(dim=1).mean())


def _coverage(translation: Translation) -> float | None:
    """How much of the source was attended to (the penalty of Wu et al., 2016, equation 14)."""
    found = _alignment(translation)
    return None if found is None else float(found.sum(dim=0).clamp_max(1).log().mean())


def _byte_share(translation: Translation) -> float:
    """Share of the pieces of both sides that are bytes, of characters that were rare."""
    pieces = [*translation.source_pieces, *translation.pieces]
    return sum(len(piece) == 6 and piece.startswith("<0x") for piece in pieces) / len(pieces)


FEATURES: dict[str, Callable[[Translation], float | None]] = {
    "mean_log_probability": lambda t: float(_log_probabilities(t).mean()),
    "probability": lambda t: math.exp(_log_probabilities(t).mean()),
    "mean_probability": lambda t: float(np.exp(_log_probabilities(t)).mean()),
    "lowest_log_probability": lambda t: float(_log_probabilities(t).min()),
    "doubtful_pieces": lambda t: float((_log_probabilities(t) < _DOUBTFUL).mean()),
    "mean_entropy": lambda t: float(np.mean(t.piece_entropies or 0.0)),
    "highest_entropy": lambda t: float(np.max(t.piece_entropies or 0.0)),
    "length_ratio": lambda t: math.log(len(t.pieces) / len(t.source_pieces)),
    "source_length": lambda t: math.log(len(t.source_pieces)),
    "byte_share": _byte_share,
    "alignment_entropy": _alignment_entropy,
    "coverage": _coverage,
}
