"""Sizes of network and batches that fit the amount of text, for who gives two files and no more."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seq2seq.config import Recipe
from seq2seq.language_config import LanguageRecipe


@dataclass(frozen=True)
class Sizes:
    """Settings for corpora of up to so many training pairs."""

    most_pairs: float
    model: dict[str, Any]
    training: dict[str, Any]


# Little text wants a small network, much dropout, and small batches for enough steps per epoch.
SIZES = (
    Sizes(
        10_000,
        {"embedding_size": 128, "hidden_size": 256, "attention_size": 128, "dropout": 0.4},
        {"batch_tokens": 500},
    ),
    Sizes(
        50_000,
        {"embedding_size": 256, "hidden_size": 512, "attention_size": 256, "dropout": 0.4},
        {"batch_tokens": 1500},
    ),
    Sizes(
        250_000,
        {"embedding_size": 256, "hidden_size": 512, "attention_size": 256, "dropout": 0.2},
        {"batch_tokens": 2000},
    ),
    Sizes(
        float("inf"),
        {"embedding_size": 512, "hidden_size": 768, "attention_size": 512, "dropout": 0.1},
        {"batch_tokens": 4000},
    ),
)
# Pairs that a training sees in all, about an hour of short sentences on two cores.
_PAIRS_SEEN, _FEWEST_EPOCHS, _MOST_EPOCHS = 500_000, 3, 40


def suit(recipe: Recipe, num_pairs: int, given: Mapping[str, Any]) -> Recipe:
    """The recipe with sizes for `num_pairs` training pairs.

    Args:
        given: A tree of the values that somebody chose; they stay.
    """
    sizes = next(sizes for sizes in SIZES if num_pairs <= sizes.most_pairs)
    epochs = min(max(round(_PAIRS_SEEN / num_pairs), _FEWEST_EPOCHS), _MOST_EPOCHS)
    chosen = {"model": sizes.model, "training": {**sizes.training, "max_epochs": epochs}}
    return dataclasses.replace(recipe, **_chosen_sections(recipe, chosen, given))


def _chosen_sections(
    recipe: Recipe | LanguageRecipe, chosen: Mapping[str, dict[str, Any]], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The sections of a recipe with the values that were chosen, where none were given."""
    sections = {}
    for section, values in chosen.items():
        kept = {k: v for k, v in values.items() if k not in given.get(section, {})}
        sections[section] = dataclasses.replace(getattr(recipe, section), **kept)
    return sections


def describe_sizes(recipe: Recipe, num_pairs: int, vocabulary_size: int) -> str:
    """One line that says what fits how much text."""
    model, training = recipe.model, recipe.training
    return (
        f"sizes, chosen for {num_pairs:,} training pairs where none were given: "
        f"{vocabulary_size:,} pieces, embeddings of {model.embedding_size}, states of "
        f"{model.hidden_size}, dropout {model.dropout:g}, batches of {training.batch_tokens:,} "
        f"pieces, at most {training.max_epochs} epochs"
    )


@dataclass(frozen=True)
class LanguageSizes:
    """Settings of language models for texts of up to so many characters."""

    most_characters: float
    model: dict[str, Any]
    training: dict[str, Any]


LANGUAGE_SIZES = (
    LanguageSizes(
        300_000,
        {"embedding_size": 64, "hidden_size": 128, "dropout": 0.2},
        {"streams": 8, "learning_rate": 5e-3},
    ),
    LanguageSizes(
        5_000_000,
        {"embedding_size": 64, "hidden_size": 256, "dropout": 0.1},
        {"streams": 16, "learning_rate": 5e-3},
    ),
    LanguageSizes(
        float("inf"),
        {"embedding_size": 128, "hidden_size": 512, "dropout": 0.1},
        {"streams": 32, "learning_rate": 3e-3},
    ),
)
# Characters that a training sees in all: some minutes on two cores.
_CHARACTERS_SEEN, _MOST_LANGUAGE_EPOCHS = 8_000_000, 50


def suit_language_model(
    recipe: LanguageRecipe, num_characters: int, given: Mapping[str, Any]
) -> LanguageRecipe:
    """The recipe with sizes for a training text of `num_characters`.

    Args:
        given: A tree of the values that somebody chose; they stay.
    """
    sizes = next(sizes for sizes in LANGUAGE_SIZES if num_characters <= sizes.most_characters)
    epochs = min(max(round(_CHARACTERS_SEEN / num_characters), 1), _MOST_LANGUAGE_EPOCHS)
    chosen = {"model": sizes.model, "training": {**sizes.training, "max_epochs": epochs}}
    return dataclasses.replace(recipe, **_chosen_sections(recipe, chosen, given))
