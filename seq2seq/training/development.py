"""How good a network is on the development set: its loss, its translations and their scores."""

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from seq2seq.config import Recipe
from seq2seq.data.batch import Batch
from seq2seq.data.corpus import Pairs
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.evaluation.metrics import METRICS, Score
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
    """Greedy translations of the first sentences, in their order."""

    def value(self, monitor: str) -> float:
        """The number that `training.monitor` names, turned so that higher is better."""
        numbers = {"bleu": self.bleu.value, "chrf": self.chrf.value, "loss": self.loss}
        return MONITORS[monitor] * numbers[monitor]


class Development:
    """The development set, ready to be evaluated again and again.

    Args:
        pairs: All pairs; the first `training.dev_sentences` are translated.
        batches: All pairs as batches, for the loss.
    """

    def __init__(
        self,
        pairs: Pairs,
        batches: Iterable[Batch],
        *,
        tokenizers: Tokenizers,
        recipe: Recipe,
        hardware: Hardware,
    ) -> None:
        count = recipe.training.dev_sentences
        self.sources = pairs.sources[:count]
        self.references = pairs.targets[:count]
        self._batches = list(batches)
        self._tokenizers = tokenizers
        self._recipe = recipe
        self._hardware = hardware

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
        """Translates the first sentences with a network in evaluation mode.

        Args:
            search: Fields of `SearchConfig` in place of the recipe's.
        """
        if bfloat16:
            network = copy.deepcopy(network)  # the translator turns the weights themselves
        translator = Translator(
            network,
            self._tokenizers,
            self._recipe,
            device=self._hardware.device,
            bfloat16=bfloat16,
        )
        translations = translator.translate(self.sources, with_alignment=False, **search)
        return [translation.text for translation in translations]

    def score(self, metric: str, translations: list[str]) -> Score:
        """Compares translations of the first sentences with the references."""
        return METRICS[metric](translations, self.references, self._recipe.target_language)

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
