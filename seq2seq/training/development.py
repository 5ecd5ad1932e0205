"""How good a network is on the development set: its loss, its translations and their scores."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from seq2seq.config import Recipe
from seq2seq.data.batch import Batch
from seq2seq.data.corpus import Pairs
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.evaluation.metrics import Score, measure
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.training.hardware import Hardware
from seq2seq.training.module import TrainingError
from seq2seq.translator import Translator

SENTENCES_PER_BATCH = 128

# What may pick the best checkpoints: name in the recipe, and the sign that makes higher better.
MONITORS = {"bleu": 1, "chrf": 1, "loss": -1}


@dataclass(frozen=True)
class DevelopmentScores:
    """What one evaluation found."""

    loss: float
    """Natural-log negative log-likelihood per target piece, over all pairs."""
    bleu: Score
    chrf: Score
    translations: list[str]
    """Greedy translations of the sentences that are translated, in their order."""

    def value(self, monitor: str) -> float:
        """The number that `training.monitor` names, turned so that higher is better."""
        numbers = {"bleu": self.bleu.value, "chrf": self.chrf.value, "loss": self.loss}
        return MONITORS[monitor] * numbers[monitor]


class Development:
    """The development set, ready to be evaluated again and again.

    Args:
        pairs: All pairs; `training.dev_sentences` of them are translated.
        batches: All pairs as batches, for the loss.
        longest_source: Pieces of the longest training source; see `Translator`.
        sentences_per_source: Sentences that training sources usually have at most, likewise.
    """

    def __init__(
        self,
        pairs: Pairs,
        batches: Iterable[Batch],
        *,
        tokenizers: Tokenizers,
        recipe: Recipe,
        hardware: Hardware,
        longest_source: int | None = None,
        sentences_per_source: int | None = None,
    ) -> None:
        translated = pairs.select(_spread(len(pairs), recipe.training.dev_sentences))
        self.sources = translated.sources
        self.references = translated.targets
        self._batches = list(batches)
        self._tokenizers = tokenizers
        self._recipe = recipe
        self._hardware = hardware
        self._longest_source = longest_source
        self._sentences_per_source = sentences_per_source

    def evaluate(self, network: EncoderDecoder) -> DevelopmentScores:
        """Scores a network in the precision of training; leaves it in the mode it was in.

        Raises:
            TrainingError: If its numbers are not finite.
        """
        was_training = network.training
        network.to(self._hardware.device).eval()
        try:
            loss = self._loss(network)
            if not math.isfinite(loss):
                raise ValueError(f"The development loss is {loss}.")
            translations = self.translate(
                network,
                bfloat16=self._hardware.bfloat16,
                beam_size=1,
                n_best=1,
                batch_size=SENTENCES_PER_BATCH,
            )
        except ValueError as error:  # of the search, too: it refuses such numbers
            raise TrainingError(
                f"The network broke down ({str(error).rstrip('.')}); lower "
                f"`training.learning_rate` or `training.gradient_clip`, or raise "
                f"`training.warmup_steps`."
            ) from error
        finally:
            network.train(was_training)
        return DevelopmentScores(
            loss, self.score("bleu", translations), self.score("chrf", translations), translations
        )

    def translate(self, network: EncoderDecoder, *, bfloat16: bool, **search: Any) -> list[str]:
        """Translates the development sentences with a network in evaluation mode.

        Args:
            search: Fields of `SearchConfig` in place of the recipe's. There are no shortlists: they
                are learnt of the network that is the best.
        """
        translator = Translator(
            network,
            self._tokenizers,
            self._recipe,
            device=self._hardware.device,
            precision="bfloat16" if bfloat16 else "float32",
            longest_source=self._longest_source,
            sentences_per_source=self._sentences_per_source,
        )
        translations = translator.translate(
            self.sources, with_alignment=False, shortlist=0, **search
        )
        return [translation.text for translation in translations]

    def score(self, metric: str, translations: list[str]) -> Score:
        """Compares translations of the development sentences with the references."""
        language = self._recipe.target_language
        return measure(metric, translations, self.references, language).score()

    def _loss(self, network: EncoderDecoder) -> float:
        nll, pieces = 0.0, 0
        with torch.inference_mode(), self._hardware.autocast():
            for batch in self._batches:
                batch = batch.to(self._hardware.device)
                output = network.loss(
                    batch.source_ids,
                    batch.source_lengths,
                    batch.target_input_ids,
                    batch.target_output_ids,
                )
                nll += float(output.nll)
                pieces += int(output.num_tokens)
        return nll / pieces


def _spread(total: int, count: int) -> range | list[int]:
    """`count` of `total` indices, evenly, as a set of several corpora has one after another."""
    if count >= total:
        return range(total)
    return [index * total // count for index in range(count)]
