"""How good a network is on the development set: its loss, its translations and their scores."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

from seq2seq.config import Recipe
from seq2seq.data.batch import Batch
from seq2seq.data.datamodule import TranslationDataModule
from seq2seq.evaluation.metrics import Score, measure
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.training.errors import TrainingError
from seq2seq.training.hardware import Hardware
from seq2seq.training.world import World
from seq2seq.translator import Translator

SENTENCES_PER_BATCH = 128

# What may pick the best checkpoints: name in the recipe, and the sign that makes higher better.
MONITORS = {"bleu": 1, "chrf": 1, "loss": -1}


class Examination(NamedTuple):
    """What an evaluation tells of a network, whatever that does."""

    numbers: dict[str, float]
    """By column of the log; `dev_loss` and `dev_perplexity` are among them."""
    value: float
    """What ranks the weights, higher is better."""
    samples: list[str]
    """What the network has written."""


class Examiner(Protocol):
    """A development set that a network is evaluated on again and again."""

    def examine(self, network: Any) -> Examination:
        """Evaluates a network and leaves it in the mode it was in."""


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


class _Share(NamedTuple):
    """What one process found in its share of the set."""

    nll: float
    pieces: int
    translations: list[str]


class Development:
    """The development set, ready to be evaluated again and again.

    Args:
        data: All pairs count for the loss; `training.dev_sentences` of them are translated.
        world: The processes that share the work.
    """

    def __init__(
        self, data: TranslationDataModule, recipe: Recipe, hardware: Hardware, world: World
    ) -> None:
        pairs = data.corpus.dev
        translated = pairs.select(_spread(len(pairs), recipe.training.dev_sentences))
        self.sources = translated.sources
        self.references = translated.targets
        self._data = data
        self._recipe = recipe
        self._hardware = hardware
        self._world = world

    def examine(self, network: EncoderDecoder) -> Examination:
        """See `evaluate`."""
        scores = self.evaluate(network)
        numbers = {
            "dev_loss": scores.loss,
            "dev_perplexity": math.exp(min(scores.loss, 700)),
            "dev_bleu": scores.bleu.value,
            "dev_chrf": scores.chrf.value,
        }
        value = scores.value(self._recipe.training.monitor)
        return Examination(numbers, value, scores.translations)

    def evaluate(self, network: EncoderDecoder) -> DevelopmentScores:
        """Scores a network in the precision of training; leaves it in the mode it was in.

        Every process must: each takes a share of the set, and gets the scores of the whole.

        Raises:
            TrainingError: If its numbers are not finite.
        """
        was_training = network.training
        network.to(self._hardware.device).eval()
        try:
            shares = self._world.gather(self._evaluate_share(network))
        finally:
            network.train(was_training)
        for share in shares:
            if isinstance(share, str):
                raise TrainingError(
                    f"The network broke down ({share.rstrip('.')}); lower "
                    f"`training.learning_rate` or `training.gradient_clip`, or raise "
                    f"`training.warmup_steps`."
                )
        found = [share for share in shares if not isinstance(share, str)]
        loss = sum(share.nll for share in found) / sum(share.pieces for share in found)
        translations = [""] * len(self.sources)
        for rank, share in enumerate(found):
            translations[rank :: self._world.size] = share.translations
        return DevelopmentScores(
            loss, self.score("bleu", translations), self.score("chrf", translations), translations
        )

    def _evaluate_share(self, network: EncoderDecoder) -> "_Share | str":
        """What falls to this process, or what is wrong: the others must hear of it."""
        try:
            nll, pieces = self._loss(network)
            if not math.isfinite(nll):
                raise ValueError(f"The development loss is {nll}.")
            translations = self.translate(
                network,
                bfloat16=self._hardware.bfloat16,
                sources=self._world.share(self.sources),
                beam_size=1,
                n_best=1,
                batch_size=SENTENCES_PER_BATCH,
            )
        except ValueError as error:  # of the search, too: it refuses such numbers
            return str(error)
        return _Share(nll, pieces, translations)

    def translate(
        self,
        network: EncoderDecoder,
        *,
        bfloat16: bool,
        sources: Sequence[str] | None = None,
        **search: Any,
    ) -> list[str]:
        """Translates the development sentences with a network in evaluation mode.

        Args:
            sources: Some of the sentences; all if not given.
            search: Fields of `SearchConfig` in place of the recipe's. There are no shortlists and
                no confidence: they are learnt of the network that is the best.
        """
        translator = Translator(
            network,
            self._data.tokenizers,
            self._recipe,
            device=self._hardware.device,
            precision="bfloat16" if bfloat16 else "float32",
            longest_source=self._data.longest_source,
            sentences_per_source=self._data.sentences_per_source,
        )
        translations = translator.translate(
            list(self.sources if sources is None else sources),
            with_alignment=False,
            shortlist=0,
            min_confidence=0.0,
            **search,
        )
        return [translation.text for translation in translations]

    def score(self, metric: str, translations: list[str]) -> Score:
        """Compares translations of the development sentences with the references."""
        language = self._recipe.target_language
        return measure(metric, translations, self.references, language).score()

    @functools.cached_property
    def _batches(self) -> list[Batch]:
        return list(self._world.share(list(self._data.val_dataloader())))

    def _loss(self, network: EncoderDecoder) -> tuple[float, int]:
        """Negative log-likelihood and pieces of this process's batches."""
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
        return nll, pieces


def _spread(total: int, count: int) -> range | list[int]:
    """`count` of `total` indices, evenly, as a set of several corpora has one after another."""
    if count >= total:
        return range(total)
    return [index * total // count for index in range(count)]
