"""What clipping is for: the same training with and without it, at several learning rates.

Pascanu et al. (2013), section 3.2, https://proceedings.mlr.press/v28/pascanu13.html. By plain
gradient descent, whose steps are as long as the gradients are.
"""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2seq.data.running_text import EncodedText, StreamChunks
from seq2seq.insight.bare_training import Update, train_bare
from seq2seq.insight.gradients import as_initialised
from seq2seq.language_model import LanguageModel

LEARNING_RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
SEEDS = (1, 2, 3)
_LARGEST_NORM = 1.0  # of all gradients together, where they are clipped
_LAST = 0.1  # share of the updates over which the last loss is a mean


@dataclass(frozen=True)
class Trial:
    """One training."""

    is_clipped: bool
    learning_rate: float
    seed: int
    updates: Sequence[Update]

    @property
    def last_loss(self) -> float:
        """Nats per piece, mean over the last tenth of the updates."""
        return statistics.fmean(
            update.loss for update in self.updates[-max(1, int(_LAST * len(self.updates))) :]
        )


@dataclass(frozen=True)
class Clipping:
    """Trainings of one network on one text, with and without clipping."""

    name: str
    """Of the network."""
    trials: Sequence[Trial]
    """Each learning rate and each seed, clipped and not."""
    num_updates: int


def find_clipping(
    name: str,
    model: LanguageModel,
    lines: Sequence[str],
    *,
    num_updates: int = 100,
    learning_rates: Sequence[float] = LEARNING_RATES,
    seeds: Sequence[int] = SEEDS,
) -> Clipping:
    """Trains a model anew from its initialisation, every rate and every seed.

    Args:
        name: What the model is called.
        model: Gives its shape, pieces, streams and truncation.
        lines: The text to learn from.
    """
    text = EncodedText.of(lines, model.tokenizer)
    return Clipping(
        name,
        [
            _try(model, text, is_clipped, rate, seed, num_updates)
            for rate in learning_rates
            for seed in seeds
            for is_clipped in (True, False)
        ],
        num_updates,
    )


def _try(
    model: LanguageModel,
    text: EncodedText,
    is_clipped: bool,
    learning_rate: float,
    seed: int,
    num_updates: int,
) -> Trial:
    config = model.recipe.training
    network = as_initialised(model, seed=seed).network
    chunks = StreamChunks(text, streams=config.streams, steps=config.truncation_steps)
    epochs = itertools.chain.from_iterable(map(chunks.plan, itertools.count()))
    updates = train_bare(
        network,
        itertools.islice(epochs, num_updates),
        torch.optim.SGD(network.parameters(), lr=learning_rate),
        truncation_steps=config.truncation_steps,
        gradient_clip=_LARGEST_NORM if is_clipped else 0.0,
    )
    return Trial(is_clipped, learning_rate, seed, list(updates))
