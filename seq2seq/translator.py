"""Text in, `Translation` out: a loaded model directory that translates and scores sentences."""

import dataclasses
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, overload

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
from seq2seq.data.sentences import (
    count_words,
    join_sentences,
    pack,
    split_clauses,
    split_sentences,
    split_words,
)
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
    """What became of one source sentence.

    Of a source that was translated in parts it holds what became of them, one after another: texts,
    pieces with the `</s>` of each part, the alignments as blocks along the diagonal.
    """

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
    """The n-best, best first: the first one is this translation; theirs are empty. Of a source in
    parts the k-th has the k-th best of each."""
    truncated: bool = False
    """The search reached the maximum length before the sentence ended."""
    cut: bool = False
    """The source held a sentence that is longer than all that were learnt from, so it was cut."""


@dataclass(frozen=True)
class TargetScore:
    """How probable a target is given its source; added up, how probable all are together."""

    log_probability: float = 0.0
    """Natural-log sum over the pieces."""
    num_pieces: int = 0
    """`</s>` counted."""
    num_words: int = 0
    """`</s>` counted; characters if the target language writes no spaces between words."""

    def __add__(self, other: "TargetScore") -> "TargetScore":
        return TargetScore(
            self.log_probability + other.log_probability,
            self.num_pieces + other.num_pieces,
            self.num_words + other.num_words,
        )

    @property
    def perplexity(self) -> float:
        """Among how many equally probable pieces the network was in doubt at each place."""
        return _perplexity(self.log_probability, self.num_pieces)

    @property
    def word_perplexity(self) -> float:
        """The same for words: it compares networks with different pieces."""
        return _perplexity(self.log_probability, self.num_words)


class Translator:
    """Translates sentences with a trained network.

    `Translator.load(path)` makes one from a model directory. The network must be in evaluation
    mode; it is moved to `device` and, if so asked, turned to bfloat16.

    Args:
        model: A network with `start` and `step`.
        recipe: Its `search` section holds the defaults of `translate`.
        bfloat16: Computes products in bfloat16, sums and states in float32.
        longest_source: Pieces, without `</s>`, of the longest source that the network has learnt
            from; longer ones are split at the ends of sentences, and sentences that are longer
            themselves are cut, at commas or spaces if possible. None: any length is left whole.
        sentences_per_source: How many sentences a source has at most, but for rare ones, among
            those that the network has learnt from; sources with more are split into all of their
            sentences. None: any number is left together.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        tokenizers: Tokenizers,
        recipe: Recipe,
        *,
        device: torch.device | str = "cpu",
        bfloat16: bool = False,
        longest_source: int | None = None,
        sentences_per_source: int | None = None,
    ) -> None:
        self.recipe = recipe
        self.tokenizers = tokenizers
        self.longest_source = longest_source
        self.sentences_per_source = sentences_per_source
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
            longest_source=loaded.decode.get("longest_source"),
            sentences_per_source=loaded.decode.get("sentences_per_source"),
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
        a sentence counts as a space. A source that is longer than all that the network has learnt
        from, or has more sentences than they usually have, is translated sentence by sentence.

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

        Both sides are cleaned as for training: spaces at their ends do not count. No source is
        split, however long.

        Raises:
            ValueError: If there are not as many targets as sources.
        """
        return [scored.log_probability for scored in self.score_targets(sources, targets)]

    def score_targets(self, sources: Sequence[str], targets: Sequence[str]) -> list[TargetScore]:
        """What `score` gives, with the counts from which perplexities come.

        Raises:
            ValueError: As `score`.
        """
        if isinstance(sources, str) or isinstance(targets, str):
            raise ValueError("`sources` and `targets` must be lists of sentences, but one is text.")
        if len(sources) != len(targets):
            raise ValueError(
                f"`targets` must have as many sentences as `sources` ({len(sources)}), "
                f"but has {len(targets)}."
            )
        source_ids = self.tokenizers.source.encode_batch(self._clean(sources, "source"))
        cleaned = self._clean(targets, "target")
        target_ids = self.tokenizers.target.encode_batch(cleaned)
        scores = [0.0] * len(sources)
        lengths = [max(len(s), len(t)) + 1 for s, t in zip(source_ids, target_ids, strict=True)]
        for batch in _group(lengths, self.recipe.search.batch_size):
            found = self._score_ids([source_ids[i] for i in batch], [target_ids[i] for i in batch])
            for index, score in zip(batch, found, strict=True):
                scores[index] = score
        language = self.recipe.target_language
        return [
            TargetScore(score, len(ids) + 1, count_words(target, language) + 1)
            for score, ids, target in zip(scores, target_ids, cleaned, strict=True)
        ]

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
        cleaned = self._clean(sentences, "source")
        source_ids = self.tokenizers.source.encode_batch(cleaned)
        splits = [self._split(*source) for source in zip(cleaned, source_ids, strict=True)]
        has_blank = not all(split.parts for split in splits)
        blank = [self._translate_blank(search, with_alignment)] if has_blank else []
        parts = [part for split in splits for part in split.parts]
        found = iter(self._translate_ids(parts, search, with_alignment))
        return [
            self._join(list(itertools.islice(found, len(split.parts))) or blank, split.cut, search)
            for split in splits
        ]

    def _clean(self, sentences: Iterable[str], side: str) -> list[str]:
        """Sentences as those of the training corpus were cleaned."""
        without_spaces = self.recipe.corpus.remove_spaces in (side, "both")
        return [clean_sentence(s, without_spaces=without_spaces) for s in sentences]

    def _split(self, source: str, ids: list[int]) -> "_Split":
        """The parts in which a source is translated; a blank one has none."""
        if not source.strip():
            return _Split([])
        sentences = split_sentences(source, self.recipe.source_language)
        longest, most = self.longest_source, self.sentences_per_source
        is_short = longest is None or len(ids) <= longest
        if is_short and (most is None or len(sentences) <= most):
            return _Split([ids])
        # Each sentence alone: as many as fit into `longest_source` together are worse by far where
        # a network has learnt from single sentences (captions six at a time: 21 BLEU, alone 44).
        encoded = self.tokenizers.source.encode_batch([part.strip() for part in sentences])
        if longest is None or max(map(len, encoded)) <= longest:
            return _Split(encoded)
        parts = [
            part
            for sentence, ids in zip(sentences, encoded, strict=True)
            for part in ([ids] if len(ids) <= longest else self._cut(sentence, longest))
        ]
        return _Split(parts, cut=True)

    def _cut(self, sentence: str, longest: int) -> Iterator[list[int]]:
        """Ids of the parts of a sentence of more than `longest` pieces."""
        encode = self.tokenizers.source.encode
        # Few sources were as long as the longest: of six captions with commas between them, parts
        # of that length had 21.8 BLEU, those of half of it 28.6.
        longest = max(longest // 2, 1)

        def fits(text: str) -> bool:
            return len(encode(text.strip())) <= longest

        for clause in pack(split_clauses(sentence), fits):
            for part in [clause] if fits(clause) else pack(split_words(clause), fits):
                ids = encode(part.strip())
                for start in range(0, len(ids), longest):
                    yield ids[start : start + longest]

    def _translate_ids(
        self, source_ids: list[list[int]], search: SearchConfig, with_alignment: bool
    ) -> list[Translation]:
        """Translates sources of like lengths together; none may be blank."""
        found: dict[int, Translation] = {}
        for batch in _group([len(ids) + 1 for ids in source_ids], search.batch_size):
            batch_ids = [source_ids[index] for index in batch]
            found_ids = self._find(batch_ids, search, with_alignment)
            for index, ids, hypotheses in zip(batch, batch_ids, found_ids, strict=True):
                found[index] = self._describe(ids, hypotheses)
        return [found[index] for index in range(len(source_ids))]

    def _join(self, parts: list[Translation], cut: bool, search: SearchConfig) -> Translation:
        """One translation of those of a source's parts."""
        if len(parts) == 1:
            return parts[0]
        rankings = zip(*(part.alternatives for part in parts), strict=False)
        alternatives = tuple(self._join_hypotheses(kth_best, cut, search) for kth_best in rankings)
        return dataclasses.replace(alternatives[0], alternatives=alternatives)

    def _join_hypotheses(
        self, parts: Sequence[Translation], cut: bool, search: SearchConfig
    ) -> Translation:
        pieces = [piece for part in parts for piece in part.pieces]
        log_probability = sum(part.log_probability for part in parts)
        penalize = LENGTH_PENALTIES[search.length_penalty_kind]
        alignments = [part.alignment for part in parts if part.alignment is not None]
        return Translation(
            text=join_sentences([part.text for part in parts], self.recipe.target_language),
            score=log_probability / penalize(len(pieces), search.length_penalty),
            log_probability=log_probability,
            pieces=pieces,
            source_pieces=[piece for part in parts for piece in part.source_pieces],
            alignment=torch.block_diag(*alignments) if alignments else None,
            truncated=any(part.truncated for part in parts),
            cut=cut,
        )

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


class _Split(NamedTuple):
    """How a source is translated."""

    parts: list[list[int]]
    """Ids of each part."""
    cut: bool = False
    """Whether a sentence had to be cut."""


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


def _perplexity(log_probability: float, count: int) -> float:
    """Infinite where no float is large enough.

    Raises:
        ValueError: If nothing was counted.
    """
    if not count:
        raise ValueError("There is no perplexity of no targets.")
    try:
        return math.exp(-log_probability / count)
    except OverflowError:
        return math.inf


def _without_padding(alignment: Tensor | None, source_length: int) -> Tensor | None:
    """Alignment [target_length, source_length] of the batch's longest source, cut to one's own."""
    return None if alignment is None else alignment[:, :source_length].float()
