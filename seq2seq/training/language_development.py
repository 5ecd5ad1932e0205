"""How well a language network predicts a text, and what it writes itself."""

import math

import torch

from seq2seq.data.running_text import Chunks, EncodedText, make_chunks
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.evaluation.text_loss import TextLoss
from seq2seq.language_config import LanguageRecipe
from seq2seq.language_model import LanguageModel
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.training.development import Examination
from seq2seq.training.errors import TrainingError
from seq2seq.training.hardware import Hardware

SAMPLE_LENGTH = 200  # pieces
# A text is read in one go, a longer one in a few streams of at least so many pieces each: then the
# beginnings, where a stream knows nothing of what came before, weigh nothing.
_STREAM_PIECES, _MOST_STREAMS = 10_000, 32
_SENTENCES, _STEPS = 64, 256  # at once; they change no loss


class TextDevelopment:
    """A development text, ready to be evaluated again and again."""

    def __init__(
        self, text: EncodedText, tokenizer: Tokenizer, recipe: LanguageRecipe, hardware: Hardware
    ) -> None:
        self._text = text
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._hardware = hardware
        self._chunks = _evaluation_chunks(text, recipe.text.lines)

    def examine(self, network: LanguageNetwork) -> Examination:
        """Measures a network in the precision of training and lets it write something.

        Raises:
            TrainingError: If its numbers are not finite.
        """
        was_training = network.training
        network.to(self._hardware.device).eval()
        try:
            found = self.measure(network)
            sample = self._sample(network)
        finally:
            network.train(was_training)
        numbers = {
            "dev_loss": found.per_piece,
            "dev_perplexity": found.perplexity,
            "dev_bits_per_character": found.bits_per_character,
        }
        return Examination(numbers, -found.per_piece, [sample])

    def measure(self, network: LanguageNetwork) -> TextLoss:
        """Perplexities and bits per character, of a network in evaluation mode.

        Raises:
            TrainingError: If they are not finite.
        """
        nats = 0.0
        with torch.inference_mode(), self._hardware.autocast():
            state = None
            for chunk in self._chunks.plan(0):
                chunk = chunk.to(self._hardware.device)
                if chunk.begins or state is None:
                    state = network.start(len(chunk.input_ids))
                output, state = network.loss(chunk.input_ids, chunk.output_ids, state)
                nats += float(output.nll)
        if not math.isfinite(nats):
            raise TrainingError(
                f"The network broke down (the development loss is {nats}); lower "
                f"`training.learning_rate` or `training.gradient_clip`, or raise "
                f"`training.warmup_steps`."
            )
        text = self._text
        return TextLoss(nats, len(text), text.characters, text.words, text.unknown)

    def _sample(self, network: LanguageNetwork) -> str:
        """What the network writes of itself; drawn by the same random numbers every time."""
        model = LanguageModel(network, self._tokenizer, self._recipe, device=self._hardware.device)
        return model.generate(length=SAMPLE_LENGTH, seed=self._recipe.training.seed)[0]


def _evaluation_chunks(text: EncodedText, lines: str) -> Chunks:
    streams = min(_MOST_STREAMS, max(1, len(text) // _STREAM_PIECES))
    rows = _SENTENCES if lines == "sentences" else streams
    return make_chunks(text, lines, rows=rows, steps=_STEPS)
