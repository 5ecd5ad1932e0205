"""Settings of a search in place of a recipe's, held to what a translator has."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from seq2seq.config import ConfigurationError, SearchConfig, choose
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
from seq2seq.decoding.shortlist import require_lexicon
from seq2seq.recipe_yaml import suggestion, update_settings
from seq2seq.reranking import is_ranked_anew

# Settings that say more of another one.
_ONLY_WITH = {
    "temperature": "samples",
    "top_k": "samples",
    "top_p": "samples",
    "diversity_strength": "diversity_groups",
    "low_confidence": "min_confidence",
}

# Weights of models that are loaded beside a translator: each needs one of these abilities.
_WEIGHTS_OF = {
    "reverse_weight": ("has_reverse",),
    "language_weight": ("has_language_model",),
    "fusion_weight": ("has_language_model",),
    "length_weight": ("has_reverse", "has_language_model"),
}
_MODELS = {
    "has_reverse": "a model of the other direction; give it as `reverse`",
    "has_language_model": "a language model; give it as `language_model`",
}


class Abilities(NamedTuple):
    """What a translator has that settings may need."""

    attention: str
    """`model.attention` of the recipe."""
    has_attention: bool
    """Whether one of its networks has some."""
    has_lexicon: bool
    has_quality: Callable[[], bool]
    """Looks only when it is called."""
    has_reverse: bool
    has_language_model: bool
    ensemble_kind: str | None
    """A name in `decoding.ensemble.KINDS`; None for a model alone."""


def override_search(
    search: SearchConfig, overrides: Mapping[str, Any], abilities: Abilities
) -> SearchConfig:
    """The settings with some in place of their own; None keeps one.

    Raises:
        ConfigurationError: If an override is unknown, of the wrong type or out of range, needs what
            is not there, or changes nothing.
    """
    known = [setting.name for setting in dataclasses.fields(SearchConfig)]
    for name in overrides:
        if name not in known:
            raise ConfigurationError(f"unknown search setting `{name}`{suggestion(name, known)}")
    given = {name: value for name, value in overrides.items() if value is not None}
    search, own = update_settings(search, given, prefix="search."), search
    choose(LENGTH_PENALTIES, search.length_penalty_kind, field="search.length_penalty_kind")
    _check_parts(search, abilities)
    search = _without_idle_weights(search, given, abilities)
    _check_order(search)
    _refuse_idle(search, own, given)
    return search


def refuse_later_changes(search: SearchConfig) -> None:
    """Refuses settings that change what the search has found, so that rules of it no longer hold.

    Raises:
        ConfigurationError: If there is one.
    """
    changing = [name for name in ("preserve", "keep_case") if getattr(search, name)]
    named = [f"`search.{name}`" for name in changing]
    if search.min_confidence and search.low_confidence == "withhold":
        named.append("`search.low_confidence` withhold")
    if named:
        raise ConfigurationError(
            f"{named[0]} changes translations after the search, so they would not go on from a "
            f"given beginning; complete without it."
        )


def _refuse_idle(search: SearchConfig, own: SearchConfig, given: Mapping[str, Any]) -> None:
    """Refuses settings that say more of what is off.

    Args:
        own: What the recipe says, which may wait until it is on.
        given: Overrides.
    """
    is_on = {
        "samples": search.samples > 0,
        "diversity_groups": search.diversity_groups > 1,
        "min_confidence": search.min_confidence > 0,
    }
    for name, other in _ONLY_WITH.items():
        if not is_on[other] and name in given and given[name] != getattr(own, name):
            raise ConfigurationError(
                f"`search.{name}` changes nothing without `search.{other}`; give both."
            )


def _check_parts(search: SearchConfig, abilities: Abilities) -> None:
    """Refuses settings that need a part that the translator lacks."""
    if search.shortlist and not abilities.has_lexicon:
        require_lexicon(None, attention=abilities.attention)
    if search.shortlist and abilities.ensemble_kind == "arithmetic":
        raise ConfigurationError(
            "`search.shortlist` leaves out pieces whose probabilities an arithmetic ensemble "
            "needs; set it to 0, or `ensemble_kind` to log_linear."
        )
    if search.coverage_penalty and not abilities.has_attention:
        raise ConfigurationError(
            "`search.coverage_penalty` needs a model with attention, but `model.attention` is "
            "none; set it to 0."
        )
    if search.copy_unknown and not abilities.has_attention:
        raise ConfigurationError(
            "`search.copy_unknown` needs a model with attention, but `model.attention` is none."
        )
    if search.min_confidence and not abilities.has_quality():
        raise ConfigurationError(
            "`search.min_confidence` needs a model with a quality.yaml of its weights; write "
            "one with `seq2seq calibrate`, from a development set."
        )


def _without_idle_weights(
    search: SearchConfig, given: Mapping[str, Any], abilities: Abilities
) -> SearchConfig:
    """The search in which weights of a recipe are 0 where the models that they are of are missing.

    Args:
        given: Overrides, which are refused there.
    """
    idle: dict[str, Any] = {}
    for name, needed in _WEIGHTS_OF.items():
        if not any(getattr(abilities, ability) for ability in needed):
            if given.get(name):
                raise ConfigurationError(f"`search.{name}` needs {_MODELS[needed[0]]}.")
            idle[name] = 0.0
    return dataclasses.replace(search, **idle)


def _check_order(search: SearchConfig) -> None:
    """Refuses settings that order hypotheses in two ways."""
    if search.mbr and is_ranked_anew(search):
        name = "reverse_weight" if search.reverse_weight else "language_weight"
        raise ConfigurationError(
            f"`search.mbr` and `search.{name}` order hypotheses, each by its own rule; "
            f"give one of them."
        )
