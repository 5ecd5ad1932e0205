"""Text in, `Translation` out: a loaded model directory that translates and scores sentences."""

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor

from seq2seq.batches import TooLongError
from seq2seq.config import (
    EOS_ID,
    ConfigurationError,
    Recipe,
    SearchConfig,
    check_threads,
    choose,
)
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.long_sources import SourceSplitter
from seq2seq.data.sentences import count_words
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
from seq2seq.decoding.shortlist import Lexicon, require_lexicon
from seq2seq.devices import describe_device, find_device, is_bfloat16_fast, keep_freed_memory
from seq2seq.engine import Engine, Network, Part
from seq2seq.lines import WINDOW_CHARACTERS
from seq2seq.model_directory import load_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.inference import InferenceModel
from seq2seq.models.packed import ARITHMETICS, is_int8_there
from seq2seq.recipe_yaml import suggestion
from seq2seq.source import Source
from seq2seq.translation import TargetScore, Translation, join_translations

# Batches from which a window is made: enough for like lengths to meet, little enough to wait for.
WINDOW_BATCHES = 16


class _Wants(NamedTuple):
    """What is asked for beside the text."""

    with_alignment: bool
    with_details: bool


class Translator:
    """Translates sentences with a trained network.

    `Translator.load(path)` makes one from a model directory. The network must be in evaluation
    mode; it is moved to `device` and, on the plain path, to the precision.

    Args:
        model: In float32. It may be dropped: what is needed of it is kept in another form.
        recipe: Its `search` section holds the defaults of `translate`.
        precision: Of products, a name in `ARITHMETICS`; sums and states are float32.
        plain: Searches with the network as it stands, the slow reference of the faster code.
        lexicon: What shortlists are made of.
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
        precision: str = "float32",
        plain: bool = False,
        longest_source: int | None = None,
        sentences_per_source: int | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        self.recipe = recipe
        self.tokenizers = tokenizers
        self.longest_source = longest_source
        self.sentences_per_source = sentences_per_source
        self.device = torch.device(device)
        self.precision = precision
        self.plain = plain
        self.lexicon = lexicon
        model = model.to(self.device)
        network: Network = (
            _turn(model, precision)
            if plain
            else InferenceModel(model, precision, with_shortlists=lexicon is not None)
        )
        self.engine = Engine(network, self.device, plain=plain, lexicon=lexicon)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        plain: bool = False,
    ) -> "Translator":
        """Opens a model directory; executes nothing that stands in it.

        Args:
            device: auto, cpu, cuda or cuda:N.
            precision: float32, bfloat16, int8, or auto: bfloat16 where the device is fast in it and
                training found that it loses no quality. Where there is no int8, what is fastest.
            threads: Processor threads of the whole process; as torch chooses if not given.
            plain: As in `Translator`; there is no int8 then.

        Raises:
            ModelDirectoryError: If the folder is no sound model directory.
            ConfigurationError: If an argument is out of range or the device is not there.
        """
        choose({"auto": None, **ARITHMETICS}, precision, field="precision")
        if plain and precision == "int8":
            raise ConfigurationError("`plain` has no `precision` int8; give float32 or bfloat16.")
        found = find_device(device)
        if threads is not None:
            check_threads(threads, field="threads")
            torch.set_num_threads(threads)
        keep_freed_memory()
        loaded = load_model_directory(path)
        return cls(
            loaded.model,
            loaded.tokenizers,
            loaded.recipe,
            device=found,
            precision=_find_precision(precision, found, loaded.decode.get("bfloat16", False)),
            plain=plain,
            longest_source=loaded.decode.get("longest_source"),
            sentences_per_source=loaded.decode.get("sentences_per_source"),
            lexicon=loaded.lexicon,
        )

    @overload
    def translate(
        self,
        sentences: str | Source,
        *,
        prefix: str = "",
        terms: Sequence[str] = (),
        forbidden: Sequence[str] = (),
        with_alignment: bool = True,
        with_details: bool = False,
        **overrides: Any,
    ) -> Translation: ...
    @overload
    def translate(
        self,
        sentences: Sequence[str | Source],
        *,
        prefix: str = "",
        terms: Sequence[str] = (),
        forbidden: Sequence[str] = (),
        with_alignment: bool = True,
        with_details: bool = False,
        **overrides: Any,
    ) -> list[Translation]: ...
    def translate(
        self,
        sentences: str | Source | Sequence[str | Source],
        *,
        prefix: str = "",
        terms: Sequence[str] = (),
        forbidden: Sequence[str] = (),
        with_alignment: bool = True,
        with_details: bool = False,
        **overrides: Any,
    ) -> Translation | list[Translation]:
        """Translates one sentence, or many at once.

        A blank sentence has a blank translation. A line break or another control character inside
        a sentence counts as a space. A source that is longer than all that the network has learnt
        from, or has more sentences than they usually have, is translated sentence by sentence.

        Args:
            sentences: Each a text, or a `Source` with what its own translation must obey.
            prefix: How each translation begins; it may end within a word.
            terms: Words and phrases that must stand in each translation.
            forbidden: Words and phrases that must not.
            with_alignment: False spares memory, which grows as source x target pieces.
            with_details: Also gives the probability of each piece, and the entropy before it.
            overrides: Fields of `SearchConfig` in place of the recipe's, such as `beam_size=5`.

        Returns:
            A Translation for a string, a list in the same order for a list.

        Raises:
            ConfigurationError: If an override is unknown or out of range.
            TooLongError: If memory does not suffice for one of the sentences alone.
        """
        search = self.search_settings(**overrides)
        wants = _Wants(with_alignment, with_details)
        obey = Source("", prefix, tuple(terms), tuple(forbidden))
        if isinstance(sentences, str | Source):
            return self._translate([_as_source(sentences, obey)], search, wants)[0]
        sources = [_as_source(sentence, obey) for sentence in sentences]
        return self._translate(sources, search, wants)

    def stream(
        self,
        sentences: Iterable[str | Source],
        *,
        prefix: str = "",
        terms: Sequence[str] = (),
        forbidden: Sequence[str] = (),
        with_alignment: bool = True,
        with_details: bool = False,
        **overrides: Any,
    ) -> Iterator[Translation]:
        """Translates any number of sentences in constant memory, in the same order.

        Reads a window of sentences ahead, so that those of like length share a batch. Arguments are
        those of `translate`.
        """
        search = self.search_settings(**overrides)
        if isinstance(sentences, str):
            raise ValueError("`sentences` must be an iterable of sentences, but is one string.")
        obey = Source("", prefix, tuple(terms), tuple(forbidden))
        sources = (_as_source(sentence, obey) for sentence in sentences)
        return self._stream(sources, search, _Wants(with_alignment, with_details))

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
        scores = self.engine.score(source_ids, target_ids, self.recipe.search)
        language = self.recipe.target_language
        return [
            TargetScore(score, len(ids) + 1, count_words(target, language) + 1)
            for score, ids, target in zip(scores, target_ids, cleaned, strict=True)
        ]

    def search_settings(self, **overrides: Any) -> SearchConfig:
        """The recipe's search settings with some in place of its own; None keeps the recipe's.

        Raises:
            ConfigurationError: If an override is unknown or out of range, or a shortlist is asked
                for and the model has no lexicon.
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
        if search.shortlist:
            require_lexicon(self.lexicon, attention=self.recipe.model.attention)
        return search

    def describe(self, search: SearchConfig) -> str:
        """How sentences are translated with such settings, in a few words."""
        pieces = f"{search.shortlist} for each source piece" if search.shortlist else "all of them"
        path = " on the plain path" if self.plain else ""
        return (
            f"{describe_device(self.device)} in {self.precision}{path}, beam {search.beam_size}, "
            f"target pieces: {pieces}"
        )

    def _stream(
        self, sources: Iterator[Source], search: SearchConfig, wants: _Wants
    ) -> Iterator[Translation]:
        window: list[Source] = []
        num_characters = 0
        for source in sources:
            window.append(source)
            num_characters += len(source.text)
            is_full = len(window) == WINDOW_BATCHES * search.batch_size
            if is_full or num_characters >= WINDOW_CHARACTERS:
                yield from self._translate(window, search, wants)
                window, num_characters = [], 0
        yield from self._translate(window, search, wants)

    def _translate(
        self, sources: list[Source], search: SearchConfig, wants: _Wants
    ) -> list[Translation]:
        cleaned = self._clean([source.text for source in sources], "source")
        source_ids = self.tokenizers.source.encode_batch(cleaned)
        splitter = SourceSplitter(
            self.tokenizers.source,
            self.recipe.source_language,
            self.longest_source,
            self.sentences_per_source,
        )
        splits = [splitter.split(*source) for source in zip(cleaned, source_ids, strict=True)]
        has_blank = not all(split.parts for split in splits)
        blank = [self._translate_blank(search, wants)] if has_blank else []
        parts = [Part(ids) for split in splits for ids in split.parts]
        try:
            hypotheses = self.engine.search(parts, search, with_alignment=wants.with_alignment)
        except TooLongError as error:
            owners = [index for index, split in enumerate(splits) for _ in split.parts]
            raise TooLongError(owners[error.index], error.what) from error
        found = map(self._describe, parts, hypotheses)
        return [
            join_translations(
                list(itertools.islice(found, len(split.parts))) or blank,
                search,
                self.recipe.target_language,
                cut=split.cut,
            )
            for split in splits
        ]

    def _clean(self, sentences: Iterable[str], side: str) -> list[str]:
        """Sentences as those of the training corpus were cleaned."""
        without_spaces = self.recipe.corpus.remove_spaces in (side, "both")
        return [clean_sentence(s, without_spaces=without_spaces) for s in sentences]

    def _translate_blank(self, search: SearchConfig, wants: _Wants) -> Translation:
        """What a blank source becomes, whatever the network would say: nothing."""
        (log_probability,) = self.engine.score([[]], [[]], search)
        penalize = LENGTH_PENALTIES[search.length_penalty_kind]
        has_alignment = wants.with_alignment and self.recipe.model.attention != "none"
        hypothesis = Hypothesis(
            ids=[EOS_ID],
            log_probability=log_probability,
            score=log_probability / penalize(1, search.length_penalty),
            alignment=torch.ones(1, 1) if has_alignment else None,
            truncated=False,
        )
        return self._describe(Part([]), [hypothesis])

    def _describe(self, part: Part, hypotheses: list[Hypothesis]) -> Translation:
        """Turns ids into text and pieces, best first."""
        source_pieces = self.tokenizers.source.pieces([*part.ids, EOS_ID])
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


def _as_source(sentence: str | Source, obey: Source) -> Source:
    """A source that obeys what all must obey, and what is its own."""
    if isinstance(sentence, str):
        return dataclasses.replace(obey, text=sentence)
    return Source(
        sentence.text,
        sentence.prefix or obey.prefix,
        sentence.terms + obey.terms,
        sentence.forbidden + obey.forbidden,
    )


def _turn(model: EncoderDecoder, precision: str) -> EncoderDecoder:
    return model.to(torch.bfloat16 if precision == "bfloat16" else torch.float32)


def _find_precision(wish: str, device: torch.device, is_bfloat16_recorded: bool) -> str:
    """The precision to compute in, where a wish cannot or need not be taken literally."""
    fastest = "bfloat16" if is_bfloat16_fast(device) else "float32"
    if wish == "auto":
        return fastest if is_bfloat16_recorded else "float32"
    if wish == "int8" and (device.type != "cpu" or not is_int8_there()):
        return fastest
    return wish


def _without_padding(alignment: Tensor | None, source_length: int) -> Tensor | None:
    """Alignment [target_length, source_length] of the batch's longest source, cut to one's own."""
    return None if alignment is None else alignment[:, :source_length].float()
