"""Text in, `Translation` out: a loaded model directory that translates and scores sentences."""

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import torch
from torch import Tensor

from seq2seq.config import (
    EOS_ID,
    ConfigurationError,
    Recipe,
    SearchConfig,
    check_threads,
    choose,
)
from seq2seq.data.batch import make_batch
from seq2seq.data.corpus import clean_sentence
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.beam_search import Hypothesis, beam_search
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
from seq2seq.decoding.scoring import score_targets
from seq2seq.devices import find_device, is_bfloat16_fast
from seq2seq.model_directory import load_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.recipe_yaml import suggestion

# Batches from which a window is made: enough for like lengths to meet, little enough to wait for.
WINDOW_BATCHES = 16
# Longer sentences share a batch with fewer others; the average sentence has far fewer pieces.
_PIECES_PER_SENTENCE = 64


@dataclass(frozen=True)
class Translation:
    """What became of one source sentence."""

    text: str
    """One line without control characters."""
    score: float
    """`log_probability` divided by the length penalty; the search ranks by it."""
    log_probability: float
    """Natural-log sum over `pieces`."""
    pieces: list[str]
    """Target pieces, `</s>` included unless truncated."""
    source_pieces: list[str]
    """Source pieces, `</s>` included."""
    alignment: Tensor | None = field(default=None, repr=False)
    """[target_length, source_length], each row sums to 1; None without attention, or if not asked
    for."""
    alternatives: "tuple[Translation, ...]" = field(default=(), repr=False)
    """The n-best, best first: the first one is this translation; theirs are empty."""
    truncated: bool = False
    """The search reached the maximum length before the sentence ended."""


class Translator:
    """Translates sentences with a trained network.

    `Translator.load(path)` makes one from a model directory. The network must be in evaluation
    mode; it is moved to `device` and, if so asked, turned to bfloat16.

    Args:
        model: A network with `start` and `step`.
        recipe: Its `search` section holds the defaults of `translate`.
        bfloat16: Computes products in bfloat16, sums and states in float32.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        tokenizers: Tokenizers,
        recipe: Recipe,
        *,
        device: torch.device | str = "cpu",
        bfloat16: bool = False,
    ) -> None:
        self.recipe = recipe
        self.tokenizers = tokenizers
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if bfloat16 else torch.float32
        self._model = model.to(self.device, self.dtype)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> "Translator":
        """Opens a model directory; executes nothing that stands in it.

        Args:
            device: auto, cpu, cuda or cuda:N.
            precision: float32, bfloat16, or auto: bfloat16 where the device is fast in it and
                training found that it loses no quality.
            threads: Processor threads of the whole process; as torch chooses if not given.

        Raises:
            ModelDirectoryError: If the folder is no sound model directory.
            ConfigurationError: If an argument is out of range or the device is not there.
        """
        prefers_bfloat16 = choose(
            {"auto": None, "float32": False, "bfloat16": True}, precision, field="precision"
        )
        found = find_device(device)
        if threads is not None:
            check_threads(threads, field="threads")
            torch.set_num_threads(threads)
        loaded = load_model_directory(path)
        if prefers_bfloat16 is None:
            prefers_bfloat16 = loaded.decode.get("bfloat16", False) and is_bfloat16_fast(found)
        return cls(
            loaded.model,
            loaded.tokenizers,
            loaded.recipe,
            device=found,
            bfloat16=prefers_bfloat16,
        )

    @overload
    def translate(
        self, sentences: str, *, with_alignment: bool = True, **overrides: Any
    ) -> Translation: ...
    @overload
    def translate(
        self, sentences: Sequence[str], *, with_alignment: bool = True, **overrides: Any
    ) -> list[Translation]: ...
    def translate(
        self, sentences: str | Sequence[str], *, with_alignment: bool = True, **overrides: Any
    ) -> Translation | list[Translation]:
        """Translates one sentence, or many at once.

        A blank sentence has a blank translation. A line break or another control character inside
        a sentence counts as a space.

        Args:
            with_alignment: False spares memory, which grows as source x target pieces.
            overrides: Fields of `SearchConfig` in place of the recipe's, such as `beam_size=5`.

        Returns:
            A Translation for a string, a list in the same order for a list.

        Raises:
            ConfigurationError: If an override is unknown or out of range.
        """
        search = self.search_settings(**overrides)
        if isinstance(sentences, str):
            return self._translate([sentences], search, with_alignment)[0]
        return self._translate(list(sentences), search, with_alignment)

    def stream(
        self, sentences: Iterable[str], *, with_alignment: bool = True, **overrides: Any
    ) -> Iterator[Translation]:
        """Translates any number of sentences in constant memory, in the same order.

        Reads a window of sentences ahead, so that those of like length share a batch.

        Args:
            with_alignment: As in `translate`.
            overrides: As in `translate`.
        """
        search = self.search_settings(**overrides)
        if isinstance(sentences, str):
            raise ValueError("`sentences` must be an iterable of sentences, but is one string.")
        return self._stream(iter(sentences), search, with_alignment)

    def score(self, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Natural-log probability of each target given its source, `</s>` included.

        Both sides are cleaned as for training: spaces at their ends do not count.

        Raises:
            ValueError: If there are not as many targets as sources.
        """
        if isinstance(sources, str) or isinstance(targets, str):
            raise ValueError("`sources` and `targets` must be lists of sentences, but one is text.")
        if len(sources) != len(targets):
            raise ValueError(
                f"`targets` must have as many sentences as `sources` ({len(sources)}), "
                f"but has {len(targets)}."
            )
        source_ids = self.tokenizers.source.encode_batch(
            [clean_sentence(source) for source in sources]
        )
        target_ids = self.tokenizers.target.encode_batch(
            [clean_sentence(target) for target in targets]
        )
        scores = [0.0] * len(sources)
        lengths = [max(len(s), len(t)) + 1 for s, t in zip(source_ids, target_ids, strict=True)]
        for batch in _group(lengths, self.recipe.search.batch_size):
            found = self._score_ids([source_ids[i] for i in batch], [target_ids[i] for i in batch])
            for index, score in zip(batch, found, strict=True):
                scores[index] = score
        return scores

    def search_settings(self, **overrides: Any) -> SearchConfig:
        """The recipe's search settings with some in place of its own; None keeps the recipe's.

        Raises:
            ConfigurationError: If an override is unknown or out of range.
        """
        known = [setting.name for setting in dataclasses.fields(SearchConfig)]
        for name in overrides:
            if name not in known:
                raise ConfigurationError(
                    f"unknown search setting `{name}`{suggestion(name, known)}"
                )
        given = {name: value for name, value in overrides.items() if value is not None}
        search = dataclasses.replace(self.recipe.search, **given)
        choose(LENGTH_PENALTIES, search.length_penalty_kind, field="search.length_penalty_kind")
        return search

    def _stream(
        self, sentences: Iterator[str], search: SearchConfig, with_alignment: bool
    ) -> Iterator[Translation]:
        while window := list(itertools.islice(sentences, WINDOW_BATCHES * search.batch_size)):
            yield from self._translate(window, search, with_alignment)

    def _translate(
        self, sentences: list[str], search: SearchConfig, with_alignment: bool
    ) -> list[Translation]:
        cleaned = [clean_sentence(sentence) for sentence in sentences]
        source_ids = self.tokenizers.source.encode_batch(cleaned)
        blank = [index for index, sentence in enumerate(cleaned) if not sentence.strip()]
        found: dict[int, Translation] = {}
        if blank:
            found = dict.fromkeys(blank, self._translate_blank(search, with_alignment))
        indices = [index for index in range(len(sentences)) if index not in found]
        lengths = [len(source_ids[index]) + 1 for index in indices]
        for batch in _group(lengths, search.batch_size):
            batch_ids = [source_ids[indices[position]] for position in batch]
            found_ids = self._find(batch_ids, search, with_alignment)
            for position, ids, hypotheses in zip(batch, batch_ids, found_ids, strict=True):
                found[indices[position]] = self._describe(ids, hypotheses)
        return [found[index] for index in range(len(sentences))]

    def _find(
        self, source_ids: list[list[int]], search: SearchConfig, with_alignment: bool
    ) -> list[list[Hypothesis]]:
        """The n-best target ids of each source."""
        with torch.inference_mode():
            batch = make_batch(source_ids, [[] for _ in source_ids]).to(self.device)
            return beam_search(
                self._model.step,
                self._model.start(batch.source_ids, batch.source_lengths),
                beam_size=search.beam_size,
                max_lengths=[
                    int(search.max_length_ratio * (len(ids) + 1)) + 10 for ids in source_ids
                ],
                min_lengths=search.min_length,
                length_penalty=search.length_penalty,
                length_penalty_kind=search.length_penalty_kind,
                n_best=search.n_best,
                keep_alignment=with_alignment,
                device=self.device,
            )

    def _translate_blank(self, search: SearchConfig, with_alignment: bool) -> Translation:
        """What a blank source becomes, whatever the network would say: nothing."""
        (log_probability,) = self._score_ids([[]], [[]])
        penalize = LENGTH_PENALTIES[search.length_penalty_kind]
        has_alignment = with_alignment and self.recipe.model.attention != "none"
        hypothesis = Hypothesis(
            ids=[EOS_ID],
            log_probability=log_probability,
            score=log_probability / penalize(1, search.length_penalty),
            alignment=torch.ones(1, 1) if has_alignment else None,
            truncated=False,
        )
        return self._describe([], [hypothesis])

    def _describe(self, source_ids: list[int], hypotheses: list[Hypothesis]) -> Translation:
        """Turns ids into text and pieces, best first."""
        source_pieces = self.tokenizers.source.pieces([*source_ids, EOS_ID])
        target = self.tokenizers.target
        alternatives = tuple(
            Translation(
                text=target.decode(hypothesis.ids),
                score=hypothesis.score,
                log_probability=hypothesis.log_probability,
                pieces=target.pieces(hypothesis.ids),
                source_pieces=source_pieces,
                alignment=_without_padding(hypothesis.alignment, len(source_pieces)),
                truncated=hypothesis.truncated,
            )
            for hypothesis in hypotheses
        )
        return dataclasses.replace(alternatives[0], alternatives=alternatives)

    def _score_ids(self, source_ids: list[list[int]], target_ids: list[list[int]]) -> list[float]:
        with torch.inference_mode():
            batch = make_batch(source_ids, target_ids).to(self.device)
            state = self._model.start(batch.source_ids, batch.source_lengths)
            return score_targets(
                self._model.step,
                state,
                [[*ids, EOS_ID] for ids in target_ids],
                device=self.device,
            )


def _group(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Batches of indices of like lengths, bounded in sentences and in padded pieces."""
    limit = batch_size * _PIECES_PER_SENTENCE
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == batch_size or (len(batch) + 1) * lengths[index] > limit):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _without_padding(alignment: Tensor | None, source_length: int) -> Tensor | None:
    """Alignment [target_length, source_length] of the batch's longest source, cut to one's own."""
    return None if alignment is None else alignment[:, :source_length].float()
