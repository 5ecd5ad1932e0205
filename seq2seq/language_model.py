"""A language model for its users: text in, probabilities and new text out."""

import functools
import os
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seq2seq.batches import Batches, most_to_score
from seq2seq.checks import within
from seq2seq.config import (
    BOS_ID,
    EOS_ID,
    UNKNOWN_ID,
    ConfigurationError,
    SearchConfig,
    check_threads,
    shown,
)
from seq2seq.data.tokenizer import Tokenizer, prepare
from seq2seq.decoding.beam_search import StepFunction
from seq2seq.decoding.fusion import Language
from seq2seq.decoding.prefix import Prefix
from seq2seq.decoding.rules import Rules
from seq2seq.decoding.sampling import sample, stream_key
from seq2seq.decoding.scoring import score_targets
from seq2seq.decoding.spelling import Characters, Spelling
from seq2seq.decoding.vocabulary import log_probabilities
from seq2seq.devices import find_device
from seq2seq.evaluation.text_loss import TextLoss, total
from seq2seq.language_config import LanguageRecipe
from seq2seq.language_model_directory import load_language_model_directory
from seq2seq.models.language_inference import LanguageInference
from seq2seq.models.language_model import LanguageNetwork, LanguageState
from seq2seq.search_config import MOST_SAMPLES

_CHUNK = 512  # pieces of running text that are read at once
_NEVER = -1  # in place of an id that would end a text


class LanguageModel:
    """A network in evaluation mode on its device, with its pieces.

    A line of text is its pieces and `</s>`, which stands for the line's end. Running text begins as
    if after a newline, the input `</s>`; a sentence begins after `<s>`.
    """

    def __init__(
        self,
        network: LanguageNetwork,
        tokenizer: Tokenizer,
        recipe: LanguageRecipe,
        *,
        device: torch.device | str = "cpu",
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.network = network.eval().to(self.device)
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.texts = texts or {}
        """Checksums of the lines of train and dev, as far as they are known."""

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], device: str = "auto", threads: int | None = None
    ) -> "LanguageModel":
        """Opens the folder of a language model; executes nothing that stands in it.

        Args:
            device: auto, cpu, cuda or cuda:N.
            threads: Processor threads of the whole process; as torch chooses if not given.

        Raises:
            ModelDirectoryError: If the folder is no sound language model.
            ConfigurationError: If the device is not there.
        """
        found = find_device(device)
        if threads is not None:
            check_threads(threads, field="threads")
            torch.set_num_threads(threads)
        loaded = load_language_model_directory(path)
        return cls(
            loaded.network, loaded.tokenizer, loaded.recipe, device=found, texts=loaded.texts
        )

    @property
    def is_running_text(self) -> bool:
        """Whether lines follow one another; otherwise each stands for itself."""
        return self.recipe.text.lines == "text"

    @property
    def first_id(self) -> int:
        """The input from which the first piece of a text is predicted."""
        return EOS_ID if self.is_running_text else BOS_ID

    def encode(self, lines: Sequence[str]) -> list[int]:
        """The ids of lines that follow one another, each with its `</s>`."""
        return [each for ids in self._encode(lines) for each in ids]

    def stepper(self, *, plain: bool = False) -> Language:
        """The network in the form that takes single steps.

        Args:
            plain: As it stands, the slow reference of the faster code.
        """
        return self.network if plain else self._inference

    def score(self, lines: Sequence[str]) -> list[TextLoss]:
        """How well each line is predicted: in running text after those before it, else by itself.

        Raises:
            ValueError: If `lines` is one text.
            TooLongError: If memory does not suffice for a sentence.
        """
        if isinstance(lines, str):
            raise ValueError("`lines` must be a list of lines, but is one text.")
        encoded = self._encode(lines)
        scores = self._score_text(encoded) if self.is_running_text else self._score_each(encoded)
        return [
            TextLoss(-score, len(ids), len(line) + 1, len(line.split()) + 1, ids.count(UNKNOWN_ID))
            for score, ids, line in zip(scores, encoded, lines, strict=True)
        ]

    def perplexity(self, lines: Sequence[str]) -> float:
        """Per piece, over all lines together; there must be one."""
        return total(self.score(lines)).perplexity

    def generate(
        self,
        prefix: str = "",
        length: int = 500,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        n: int = 1,
    ) -> list[str]:
        """Draws texts that begin with `prefix`, piece by piece.

        They hang on the arguments alone. The prefix is held to by its characters: it may end within
        a piece, which then goes on as the network likes. The pieces know no tab, which reads as a
        space.

        Args:
            length: Pieces of each text after the prefix; a sentence may end before.
            temperature: Divides log-probabilities first; 0 takes the likeliest piece each time.
            top_k: Then only so many of the likeliest pieces may be drawn; 0 for all.
            top_p: Then only the fewest of these that have this share of what is left.
            n: How many texts.

        Returns:
            Of running text with its newlines, of a model for sentences one sentence each: finished
            ones first, then by probability per piece.

        Raises:
            ConfigurationError: If an argument is out of range, or the vocabulary cannot write the
                prefix.
        """
        # Checked as the settings of a search for translations are.
        SearchConfig(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        within("n", n, 1, MOST_SAMPLES)
        within("length", length, 1, 1_000_000)
        *before, last = prefix.split("\n") if self.is_running_text else [prefix]
        rules = self._rules(last)
        begin = self.encode(before)
        if UNKNOWN_ID in begin:
            raise _unwritable(prefix)
        network = self._inference
        with torch.inference_mode():
            state = network.start(1)
            if begin:
                read = torch.tensor([self.first_id, *begin[:-1]], device=self.device)
                _, state = network.read(read, state, rows=1)
            (found,) = sample(
                _after_line(network.step) if self.is_running_text else network.step,
                state,
                num_samples=n,
                keys=[stream_key(seed, self.encode([prefix]))],
                max_lengths=[length + (rules.extra_length if rules else 0)],
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                rules=[rules],
                eos_id=_NEVER if self.is_running_text else EOS_ID,
                device=self.device,
            )
        drawn = [_cut(hypothesis.ids, rules, length) for hypothesis in found]
        return [self._decode([*begin, *ids]) for ids in drawn]

    def _encode(self, lines: Sequence[str]) -> list[list[int]]:
        return [[*ids, EOS_ID] for ids in self.tokenizer.encode_batch(list(lines))]

    def _decode(self, ids: Sequence[int]) -> str:
        """The lines that ids spell."""
        lines: list[list[int]] = [[]]
        for id_ in ids:
            if id_ == EOS_ID and self.is_running_text:
                lines.append([])
            else:
                lines[-1].append(id_)
        return "\n".join(map(self.tokenizer.decode, lines))

    def _score_text(self, encoded: Sequence[list[int]]) -> list[float]:
        """Of each line, after all lines before it: one text, read in one go from its beginning."""
        if not encoded:
            return []
        ids = torch.tensor([each for line in encoded for each in line], device=self.device)
        inputs = torch.cat([ids.new_tensor([self.first_id]), ids[:-1]])
        found = []
        with torch.inference_mode():
            state = self._inference.start(1)
            for chunk, outputs in zip(inputs.split(_CHUNK), ids.split(_CHUNK), strict=True):
                logits, state = self._inference.read(chunk, state, rows=1)
                found.append(log_probabilities(logits, outputs.unsqueeze(1)).squeeze(1))
        by_piece = torch.cat(found).double().cpu()
        return [float(line.sum()) for line in by_piece.split([len(line) for line in encoded])]

    def _score_each(self, encoded: Sequence[list[int]]) -> list[float]:
        """Of each line by itself, lines of like length together."""
        network = self._inference

        def work(batch: list[int]) -> list[float]:
            with torch.inference_mode():
                ids = [encoded[index] for index in batch]
                return score_targets(
                    network.step, network.start(len(batch)), ids, device=self.device
                )

        most = functools.partial(most_to_score, search=SearchConfig())
        return Batches().run([len(ids) for ids in encoded], most, work)

    def _rules(self, prefix: str) -> Rules | None:
        """What a text that begins so obeys, if anything."""
        characters = Characters(self._spelling) if self._spelling.byte_ids.size else None
        if not prefix:
            return Rules(characters=characters) if characters else None
        try:
            begin = Prefix(self._spelling, f" {prepare(prefix)}")
        except ValueError as error:
            raise _unwritable(prefix) from error
        return Rules(begin, characters=characters)

    @functools.cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self.tokenizer.spellings())

    @functools.cached_property
    def _inference(self) -> LanguageInference:
        return LanguageInference(self.network)


def _unwritable(prefix: str) -> ConfigurationError:
    return ConfigurationError(
        f"`prefix` asks for {shown(prefix)}, which the pieces of the model's vocabulary cannot "
        f"write."
    )


def _after_line(step: StepFunction[LanguageState]) -> StepFunction[LanguageState]:
    """A step function that begins after `</s>`, though a search says `<s>` at its beginning."""

    def begin(ids: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        return step(ids.masked_fill(ids == BOS_ID, EOS_ID), state)

    return begin


def _cut(ids: list[int], rules: Rules | None, length: int) -> list[int]:
    """The ids that spell the prefix, and so many after them."""
    begin = place = 0
    while rules and rules.prefix and rules.prefix.is_open(begin) and place < len(ids):
        begin = rules.prefix.advance(begin, ids[place])
        place += 1
    return ids[: place + length]
