"""Sizes of network and batches that fit the amount of text, for who gives two files and no more."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seq2seq.config import Recipe


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
    sections = {}
    for section, values in chosen.items():
        kept = {k: v for k, v in values.items() if k not in given.get(section, {})}
        sections[section] = dataclasses.replace(getattr(recipe, section), **kept)
    return dataclasses.replace(recipe, **sections)


def describe_sizes(recipe: Recipe, num_pairs: int, vocabulary_size: int) -> str:
    """One line that says what fits how much text."""
    model, training = recipe.model, recipe.training
    return (
        f"sizes, chosen for {num_pairs:,} training pairs where none were given: "
        f"{vocabulary_size:,} pieces, embeddings of {model.embedding_size}, states of "
        f"{model.hidden_size}, dropout {model.dropout:g}, batches of {training.batch_tokens:,} "
        f"pieces, at most {training.max_epochs} epochs"
    )
