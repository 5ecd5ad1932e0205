"""Text in, `Translation` out: a loaded model directory that translates and scores sentences."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import torch

from seq2seq.alignments import WordAlignment, align_words
from seq2seq.casing import Caser
from seq2seq.checks import at_least
from seq2seq.confidence import Quality, read_quality
from seq2seq.config import (
    EOS_ID,
    ConfigurationError,
    Recipe,
    SearchConfig,
    check_threads,
    choose,
)
from seq2seq.constraints import RuleMaker
from seq2seq.data.long_sources import SourceSplitter
from seq2seq.data.sentences import count_words
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.decoding.trace import Trace
from seq2seq.devices import describe_device, find_device, keep_freed_memory
from seq2seq.engine import Engine
from seq2seq.language_model import LanguageModel
from seq2seq.lines import WINDOW_CHARACTERS
from seq2seq.members import (
    check_language_model,
    check_reverse,
    find_lexicon,
    find_precision,
    has_twins,
    identify,
    join_decode,
    join_networks,
    load_members,
    prepare_network,
)
from seq2seq.model_directory import LoadedModel
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.packed import ARITHMETICS
from seq2seq.pipeline import Pipeline, Wants
from seq2seq.preparation import Preparation, clean_side
from seq2seq.search_settings import Abilities, override_search, refuse_later_changes
from seq2seq.source import Source, as_sources
from seq2seq.translation import TargetScore, Translation

# Batches from which a window is made: enough for like lengths to meet, little enough to wait for.
WINDOW_BATCHES = 16


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
        further: Models of the same vocabulary that translate together with this one.
        ensemble_weights: As in `load`, and so is `ensemble_kind`.
        weights: Which networks these are, as `members.identify` says.
        find_quality: Gives what tells the confidence of translations, once that is asked for.
        reverse: Of the other direction; ranks hypotheses anew, as `SearchConfig.reverse_weight` and
            `length_weight` say.
        language: A language model for sentences in the target's pieces, on the same device; takes
            part as `fusion_weight` and `language_weight` say.
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
        reverse: "Translator | None" = None,
        language: LanguageModel | None = None,
        further: Sequence[LoadedModel] = (),
        ensemble_weights: Sequence[float] | None = None,
        ensemble_kind: str = "log_linear",
        weights: Sequence[Mapping[str, str]] = (),
        find_quality: Callable[[], Quality | None] = lambda: None,
    ) -> None:
        self.recipe = recipe
        self.tokenizers = tokenizers
        self.longest_source = longest_source
        self.sentences_per_source = sentences_per_source
        self.device = torch.device(device)
        self.precision = precision
        self.plain = plain
        self.lexicon = lexicon
        self.reverse = reverse
        self.language = language
        self.weights = weights
        self._find_quality = find_quality
        self.ensemble_kind = ensemble_kind if further else None
        recipes = [recipe, *(member.recipe for member in further)]
        self.has_attention = any(each.model.attention != "none" for each in recipes)
        models = [model, *(member.model for member in further)]
        self._has_twins = has_twins(models)
        networks = [
            prepare_network(
                each.to(self.device), precision, plain=plain, with_shortlists=lexicon is not None
            )
            for each in models
        ]
        network = join_networks(networks, ensemble_weights, ensemble_kind)
        self.engine = Engine(
            network,
            self.device,
            plain=plain,
            lexicon=lexicon,
            language=None if language is None else language.stepper(plain=plain),
        )
        self.rule_maker = RuleMaker(
            tokenizers.target,
            recipe.target_language,
            lambda text: self._clean([text], "target")[0],
        )
        self.caser = Caser(tokenizers.source, recipe.source_language)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        plain: bool = False,
        reverse: str | os.PathLike[str] | None = None,
        ensemble: Sequence[str | os.PathLike[str]] = (),
        ensemble_weights: Sequence[float] | None = None,
        ensemble_kind: str = "log_linear",
        language_model: str | os.PathLike[str] | None = None,
    ) -> "Translator":
        """Opens a model directory; executes nothing that stands in it.

        Args:
            device: auto, cpu, cuda or cuda:N.
            precision: float32, bfloat16, int8, or auto: bfloat16 where the device is fast in it and
                training found that it loses no quality. Where there is no int8, what is fastest.
            threads: Processor threads of the whole process; as torch chooses if not given.
            plain: As in `Translator`; there is no int8 then.
            reverse: Model directory of the other direction, which can rank hypotheses anew.
            ensemble: Model directories that translate together with this one, whose recipe holds.
            ensemble_weights: How much each model counts, the first one first; all the same if not
                given.
            ensemble_kind: log_linear joins log-probabilities, arithmetic probabilities.
            language_model: Folder of a language model for sentences in the same target pieces.

        Raises:
            ModelDirectoryError: If the folder is no sound model directory.
            ConfigurationError: If an argument is out of range or the device is not there.
        """
        choose({"auto": None, **ARITHMETICS}, precision, field="precision")
        if not ensemble and (ensemble_weights is not None or ensemble_kind != "log_linear"):
            name = "ensemble_kind" if ensemble_weights is None else "ensemble_weights"
            raise ConfigurationError(f"`{name}` changes nothing without `ensemble`; give both.")
        if plain and precision == "int8":
            raise ConfigurationError("`plain` has no `precision` int8; give float32 or bfloat16.")
        found = find_device(device)
        if threads is not None:
            check_threads(threads, field="threads")
            torch.set_num_threads(threads)
        keep_freed_memory()
        members = load_members(path, ensemble)
        loaded, decode = members[0], join_decode(members)
        weights = identify(members, ensemble_weights, ensemble_kind)
        opposite = None
        if reverse is not None:
            opposite = cls.load(reverse, device, precision, plain=plain)
            check_reverse(loaded.recipe, opposite.recipe, reverse)
        language = None
        if language_model is not None:
            language = LanguageModel.load(language_model, device)
            check_language_model(loaded, language.recipe, language.tokenizer, language_model)
        return cls(
            loaded.model,
            loaded.tokenizers,
            loaded.recipe,
            device=found,
            precision=find_precision(precision, found, decode["bfloat16"]),
            plain=plain,
            longest_source=decode["longest_source"],
            sentences_per_source=decode["sentences_per_source"],
            lexicon=find_lexicon(members),
            further=members[1:],
            ensemble_weights=ensemble_weights,
            ensemble_kind=ensemble_kind,
            weights=weights,
            find_quality=functools.partial(read_quality, path, weights),
            reverse=opposite,
            language=language,
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
            with_details: Also gives the probability of each piece and the entropy before it, and
                the alignment in any case. Probabilities are those of the whole vocabulary, as in
                `score`, also where a shortlist was searched.
            overrides: Fields of `SearchConfig` in place of the recipe's, such as `beam_size=5`.

        Returns:
            A Translation for a string, a list in the same order for a list.

        Raises:
            ConfigurationError: If an argument has the wrong type, or an override is unknown or out
                of range.
            ConstraintError: If what a translation must obey cannot be, or contradicts itself.
            TooLongError: If memory does not suffice for one of the sentences alone.
        """
        search = self.search_settings(**overrides)
        pipeline = self._pipeline(search, Wants(with_alignment, with_details))
        if isinstance(sentences, str | Source):
            return pipeline.run(list(as_sources([sentences], prefix, terms, forbidden)))[0]
        return pipeline.run(list(as_sources(sentences, prefix, terms, forbidden)))

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
        sources = as_sources(sentences, prefix, terms, forbidden)
        return _stream(sources, self._pipeline(search, Wants(with_alignment, with_details)))

    def complete(self, source: str, prefix: str, n: int = 5, **overrides: Any) -> list[Translation]:
        """The best translations that begin so, each with another next word; the best one first.

        Where words have no spaces between them, with another next character.

        Args:
            prefix: It may end within a word. With a space at its end, the next word is a new one.
            n: How many there are, unless there are fewer. `copy_unknown` puts a word after the
                prefix once only.
            overrides: As in `translate`.

        Raises:
            ConfigurationError: As `translate`, or if a setting changes what the search has found,
                or `n` is below 1.
        """
        at_least("n", n, 1)
        refuse_later_changes(self.search_settings(**overrides))
        asked = Source(source, prefix)
        found: list[Translation] = []
        while len(found) < n:
            translation = self.translate(asked, **overrides)
            word = self.rule_maker.next_word(translation.text, prefix)
            if word is None or word in asked.not_next:
                break
            found.append(translation)
            asked = dataclasses.replace(asked, not_next=(*asked.not_next, word))
        return found

    def trace(self, sentence: str | Source, **overrides: Any) -> tuple[Hypothesis, Trace]:
        """What beam search finds for one sentence, and every step of how it does.

        Args:
            overrides: As in `translate`; what they would change after the search stays undone.

        Raises:
            ConfigurationError: As `translate`, or if the sentence is blank, or of several parts
                that are searched by themselves, or not searched by a beam.
        """
        pipeline = self._pipeline(self.search_settings(**overrides), Wants(False, False))
        return pipeline.trace(next(as_sources([sentence], "", (), ())))

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
        _check_pairs(sources, targets)
        source_ids = self.tokenizers.source.encode_batch(self._clean(sources, "source"))
        cleaned = self._clean(targets, "target")
        target_ids = self.tokenizers.target.encode_batch(cleaned)
        scores = self.engine.score(source_ids, target_ids, self.recipe.search)
        language = self.recipe.target_language
        return [
            TargetScore(score, len(ids) + 1, count_words(target, language) + 1)
            for score, ids, target in zip(scores, target_ids, cleaned, strict=True)
        ]

    def align(self, sources: Sequence[str], targets: Sequence[str]) -> list[WordAlignment]:
        """How the words of sentences and of their given translations belong together, by attention.

        Both sides are cleaned as for training. No source is split, however long.

        Raises:
            ValueError: As `score`.
            ConfigurationError: If the model has no attention.
        """
        _check_pairs(sources, targets)
        if not self.has_attention:
            raise ConfigurationError(
                "the model was trained with `model.attention` none, so it aligns no words."
            )
        sources, targets = self._clean(sources, "source"), self._clean(targets, "target")
        ours, theirs = self.tokenizers.source, self.tokenizers.target
        source_ids = ours.encode_batch(sources)
        target_ids = [[*ids, EOS_ID] for ids in theirs.encode_batch(targets)]
        source_pieces = [ours.pieces([*ids, EOS_ID]) for ids in source_ids]
        target_pieces = [theirs.pieces(ids) for ids in target_ids]
        aligned = []
        for forced, source, target in zip(
            self.engine.force(source_ids, target_ids, self.recipe.search),
            zip(sources, source_pieces, strict=True),
            zip(targets, target_pieces, strict=True),
            strict=True,
        ):
            assert forced.alignment is not None
            alignment = forced.alignment[:, : len(source[1])]
            aligned.append(align_words(alignment, source, target, self._languages))
        return aligned

    def search_settings(self, **overrides: Any) -> SearchConfig:
        """The recipe's search settings with some in place of its own; None keeps the recipe's.

        Raises:
            ConfigurationError: If an override is unknown or out of range, or needs what is not
                there, such as a lexicon.
        """
        abilities = Abilities(
            attention=self.recipe.model.attention,
            has_attention=self.has_attention,
            has_lexicon=self.lexicon is not None,
            has_quality=lambda: self.quality is not None,
            has_reverse=self.reverse is not None,
            has_language_model=self.language is not None,
            ensemble_kind=self.ensemble_kind,
        )
        return override_search(self.recipe.search, overrides, abilities)

    def refuse_idle(self, search: SearchConfig) -> None:
        """Refuses settings by which a further model that was loaded would change nothing."""
        if self.reverse is not None and not (search.reverse_weight or search.length_weight):
            raise ConfigurationError(
                "`reverse` changes nothing while `search.reverse_weight` is 0; give a weight such "
                "as 0.3, or find one with `seq2seq tune`."
            )
        if self.language is not None and not (search.fusion_weight or search.language_weight):
            raise ConfigurationError(
                "`language_model` changes nothing while `search.fusion_weight` and "
                "`search.language_weight` are 0; give a weight such as 0.1, or find one with "
                "`seq2seq tune`."
            )

    def describe(self, search: SearchConfig) -> str:
        """How sentences are translated with such settings, in a few words."""
        pieces = f"{search.shortlist} for each source piece" if search.shortlist else "all of them"
        path = " on the plain path" if self.plain else ""
        found_by = f"{search.samples} samples" if search.samples else f"beam {search.beam_size}"
        judges = {
            "a reverse model": self.reverse and (search.reverse_weight or search.length_weight),
            "a language model": self.language and search.language_weight,
        }
        names = " and ".join(name for name, decides in judges.items() if decides)
        order = f" ranked by {names}" if names else ""
        if self.language and search.fusion_weight:
            found_by += f" fused with a language model ({search.fusion_weight:g})"
        number = self.engine.num_networks
        same = " (not all different)" if self._has_twins else ""
        models = f"{number} models{same} together, " if number > 1 else ""
        return (
            f"{models}{describe_device(self.device)} in {self.precision}{path}, "
            f"{found_by}{order}, target pieces: {pieces}"
        )

    def _pipeline(self, search: SearchConfig, wants: Wants) -> Pipeline:
        """The steps from sources to translations with such settings."""
        splitter = SourceSplitter(
            self.tokenizers.source,
            self.recipe.source_language,
            self.longest_source,
            self.sentences_per_source,
        )
        return Pipeline(
            Preparation(
                self.recipe, self.tokenizers, splitter, self.rule_maker, self.has_attention
            ),
            self.engine,
            self.caser,
            self.reverse,
            self.quality if wants.with_details or search.min_confidence else None,
            search,
            wants,
        )

    @functools.cached_property
    def quality(self) -> Quality | None:
        """What tells the confidence of translations; None if the model is not calibrated.

        Raises:
            ConfigurationError: If its file is damaged.
        """
        return self._find_quality()

    @property
    def _languages(self) -> tuple[str, str]:
        return self.recipe.source_language, self.recipe.target_language

    def _clean(self, sentences: Iterable[str], side: str) -> list[str]:
        return clean_side(sentences, self.recipe, side)


def _stream(sources: Iterator[Source], pipeline: Pipeline) -> Iterator[Translation]:
    """Translations of one window of sources after another."""
    window: list[Source] = []
    num_characters = 0
    for source in sources:
        window.append(source)
        num_characters += len(source.text)
        is_full = len(window) == WINDOW_BATCHES * pipeline.search.batch_size
        if is_full or num_characters >= WINDOW_CHARACTERS:
            yield from pipeline.run(window)
            window, num_characters = [], 0
    yield from pipeline.run(window)


def _check_pairs(sources: Sequence[str], targets: Sequence[str]) -> None:
    if isinstance(sources, str) or isinstance(targets, str):
        raise ValueError("`sources` and `targets` must be lists of sentences, but one is text.")
    if len(sources) != len(targets):
        raise ValueError(
            f"`targets` must have as many sentences as `sources` ({len(sources)}), "
            f"but has {len(targets)}."
        )
