"""How sources become translations: every step between text and text, in order."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq.alignments import describe_words
from seq2seq.batches import naming_owners
from seq2seq.casing import Caser, restore_case
from seq2seq.confidence import Quality, judge, with_confidence
from seq2seq.config import EOS_ID, ConfigurationError, SearchConfig
from seq2seq.copying import Copied, Masked, copy_words, fill, unmask
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.decoding.scoring import Forced
from seq2seq.decoding.trace import Trace
from seq2seq.engine import Engine, Part
from seq2seq.preparation import Preparation, Sentence
from seq2seq.reranking import Scorer, is_ranked_anew, rerank, score_sources, with_all_hypotheses
from seq2seq.source import Source
from seq2seq.translation import (
    TargetScore,
    Translation,
    from_alternatives,
    join_translations,
    score_fused,
    with_best,
)


class Wants(NamedTuple):
    """What is asked for beside the text."""

    with_alignment: bool
    with_details: bool


@dataclass(frozen=True)
class Pipeline:
    """The steps with certain settings.

    A source of several parts is one until it is prepared, several until they are joined again.
    """

    preparation: Preparation
    engine: Engine
    caser: Caser
    reverse: Scorer | None
    """A model of the other direction."""
    quality: Quality | None
    search: SearchConfig
    wants: Wants

    def run(self, sources: Sequence[Source]) -> list[Translation]:
        """Translations of sources that are searched together.

        Raises:
            TooLongError: If memory does not suffice for one of the sources alone.
            ConstraintError: If what a translation must obey cannot be, or contradicts itself.
            ConfigurationError: If words are to be copied without attention.
        """
        return [
            with_best(judge(translation, self.search), terms=source.terms)
            for translation, source in zip(self._translate(sources), sources, strict=True)
        ]

    def trace(self, source: Source) -> tuple[Hypothesis, Trace]:
        """What beam search finds for a source, and every step of how; nothing is changed later.

        Raises:
            ConstraintError: As `run`.
            ConfigurationError: If it is no single search by a beam.
        """
        if self.search.samples:
            raise ConfigurationError(
                "`search.samples` draws at random where a beam would search; set it to 0."
            )
        (sentence,) = self.preparation.prepare([source], self.search)
        if not sentence.parts:
            raise ConfigurationError("the sentence is blank; give one with words.")
        if len(sentence.parts) > 1:
            raise ConfigurationError(
                f"the source is searched in {len(sentence.parts)} parts, each by a beam of its "
                f"own; give one sentence, or a shorter one."
            )
        part = Part(sentence.parts[0].ids, sentence.rules[0])
        return self.engine.trace(part, self.search)

    def _translate(self, sources: Sequence[Source]) -> list[Translation]:
        if self.search.preserve:
            return self._preserve(sources)
        if self.search.keep_case:
            return self._keep_case(sources)
        sentences = self.preparation.prepare(sources, self.search)
        owners = [index for index, each in enumerate(sentences) for _ in each.parts]
        with naming_owners(owners):
            found = self._search(sentences)
            forced = self._force(_parts(sentences), found)
        described = map(self._describe, _parts(sentences), found, forced)
        return [
            self._complete(translation, sentence)
            for translation, sentence in zip(
                self._join(sentences, described), sentences, strict=True
            )
        ]

    def _preserve(self, sources: Sequence[Source]) -> list[Translation]:
        """Translates, and translates anew what has lost something that must survive."""
        from seq2seq.survival import preserve

        cleaned = self.preparation.clean(sources)
        once = self._with(preserve=False)._translate
        return preserve(cleaned, once(cleaned), once, self._languages)

    def _keep_case(self, sources: Sequence[Source]) -> list[Translation]:
        """Translates what is in capitals in the case that training knows."""
        sources = self.preparation.clean(sources)  # words are found where the search sees them
        recased = [self.caser.recase(source.text, source.copied) for source in sources]
        aligned = dataclasses.replace(
            self._with(keep_case=False), wants=self.wants._replace(with_alignment=True)
        )
        found = aligned._translate(
            [
                dataclasses.replace(source, text=each.text)
                for source, each in zip(sources, recased, strict=True)
            ]
        )
        restored = [
            restore_case(*each, self._languages)
            for each in zip(found, sources, recased, strict=True)
        ]
        return restored if self.wants.with_alignment else list(map(_without_alignment, restored))

    def _with(self, **settings: Any) -> "Pipeline":
        return dataclasses.replace(self, search=dataclasses.replace(self.search, **settings))

    def _search(self, sentences: Sequence[Sentence]) -> list[list[Copied]]:
        """The n-best hypotheses of each part, in the order that the settings ask for."""
        parts = [
            Part(part.ids, rules)
            for each in sentences
            for part, rules in zip(each.parts, each.rules, strict=True)
        ]
        find = functools.partial(
            self.engine.search, parts, with_alignment=self.wants.with_alignment
        )
        search = self.search
        if not search.mbr and not is_ranked_anew(search):
            return self._copy(sentences, find(search))
        found = self._copy(sentences, find(with_all_hypotheses(search)))
        if search.mbr:
            return self._order_by_risk(found)
        return self._rerank(_parts(sentences), found)

    def _order_by_risk(self, found: Sequence[Sequence[Copied]]) -> list[list[Copied]]:
        """The n best by how much they agree."""
        from seq2seq.selection import order_by_risk  # it loads sacreBLEU

        return [
            [own[i] for i in order_by_risk(_hypotheses(own), self._texts(own), self.search)]
            for own in found
        ]

    def _rerank(
        self, parts: Sequence[Masked], found: Sequence[Sequence[Copied]]
    ) -> list[list[Copied]]:
        """The n best by all models, with what the reverse one thinks."""
        if self.reverse is None:
            return [
                [own[i] for i in rerank(_hypotheses(own), [_size(part)] * len(own), self.search)]
                for part, own in zip(parts, found, strict=True)
            ]
        sources = [unmask(part, self._tokenizers.source, self._languages[0]) for part in parts]
        scores = score_sources(self.reverse, sources, list(map(self._texts, found)))
        return [
            [
                own[index]._replace(
                    hypothesis=dataclasses.replace(
                        own[index].hypothesis,
                        reverse_log_probability=known[index].log_probability,
                    )
                )
                for index in rerank(_hypotheses(own), known, self.search)
            ]
            for own, known in zip(found, scores, strict=True)
        ]

    def _texts(self, found: Sequence[Copied]) -> list[str]:
        """What hypotheses say."""
        target, language = self._tokenizers.target, self._languages[1]
        return [fill(hypothesis.ids, copies, target, language) for hypothesis, copies in found]

    def _copy(
        self, sentences: Sequence[Sentence], hypotheses: list[list[Hypothesis]]
    ) -> list[list[Copied]]:
        """Hypotheses with the words that were hidden from the search."""
        return copy_words(
            _parts(sentences),
            hypotheses,
            [sentence.source for sentence in sentences for _ in sentence.parts],
            functools.partial(self.engine.force, search=self.search),
            self._tokenizers.target,
            self._languages[1],
        )

    def _force(
        self, parts: Sequence[Masked], found: Sequence[Sequence[Copied]]
    ) -> Sequence[Forced | None]:
        """What the network thinks of each piece of the best hypotheses, if that is asked for."""
        if not self._needs_details:
            return [None] * len(parts)
        best = [copied[0].hypothesis.ids for copied in found]
        return self.engine.force([part.ids for part in parts], best, self.search)

    def _describe(
        self, part: Masked, found: Sequence[Copied], forced: Forced | None
    ) -> Translation:
        """Turns ids into text and pieces, best first."""
        source_pieces = self._tokenizers.source.pieces([*part.ids, EOS_ID])
        target = self._tokenizers.target
        translation = from_alternatives(
            Translation(
                text=fill(hypothesis.ids, copies, target, self._languages[1]),
                score=hypothesis.score,
                log_probability=hypothesis.log_probability,
                pieces=target.pieces(hypothesis.ids),
                source_pieces=source_pieces,
                alignment=_without_padding(hypothesis.alignment, len(source_pieces)),
                truncated=hypothesis.truncated,
                reverse_log_probability=hypothesis.reverse_log_probability,
                language_log_probability=hypothesis.language_log_probability,
            )
            for hypothesis, copies in found
        )
        if forced is None:
            return translation
        return with_best(
            translation,
            alignment=_without_padding(forced.alignment, len(source_pieces)),
            piece_log_probabilities=tuple(forced.log_probabilities),
            piece_entropies=tuple(forced.entropies),
        )

    def _join(
        self, sentences: Sequence[Sentence], translations: Iterator[Translation]
    ) -> list[Translation]:
        """The translations of whole sources from those of all parts."""
        has_blank = not all(sentence.parts for sentence in sentences)
        blank = [self._translate_blank()] if has_blank else []
        return [
            join_translations(
                list(itertools.islice(translations, len(sentence.parts))) or blank,
                self.search,
                self._languages[1],
                cut=sentence.cut,
            )
            for sentence in sentences
        ]

    def _translate_blank(self) -> Translation:
        """What a blank source becomes, whatever the network would say: nothing."""
        (log_probability,) = self.engine.score([[]], [[]], self.search)
        language = None
        if self.engine.language is not None:
            (language,) = self.engine.score_alone([[EOS_ID]])
        has_alignment = self.wants.with_alignment and self.preparation.has_attention
        hypothesis = Hypothesis(
            ids=[EOS_ID],
            log_probability=log_probability,
            score=score_fused(log_probability, language, 1, self.search),
            alignment=torch.ones(1, 1) if has_alignment else None,
            truncated=False,
            language_log_probability=language,
        )
        part, found = Masked([], []), [Copied(hypothesis, ())]
        (forced,) = self._force([part], [found])
        return self._describe(part, found, forced)

    def _complete(self, translation: Translation, sentence: Sentence) -> Translation:
        """Adds to a whole translation what is said of its words and of its quality."""
        if self.wants.with_details:
            translation = describe_words(translation, sentence.source.text, self._languages)
        if self._needs_details and self.quality is not None:
            translation = with_confidence(translation, self.quality)
        return translation

    @property
    def _tokenizers(self) -> Tokenizers:
        return self.preparation.tokenizers

    @property
    def _languages(self) -> tuple[str, str]:
        recipe = self.preparation.recipe
        return recipe.source_language, recipe.target_language

    @property
    def _needs_details(self) -> bool:
        """Confidence comes from details, too."""
        return self.wants.with_details or bool(self.search.min_confidence)


def _parts(sentences: Sequence[Sentence]) -> list[Masked]:
    """What is searched, of all sources."""
    return [part for sentence in sentences for part in sentence.parts]


def _size(part: Masked) -> TargetScore:
    """A source of which only the length is known, `</s>` counted."""
    return TargetScore(num_pieces=len(part.ids) + 1)


def _hypotheses(found: Sequence[Copied]) -> list[Hypothesis]:
    return [copied.hypothesis for copied in found]


def _without_alignment(translation: Translation) -> Translation:
    """A translation whose alignment nobody asked for; details keep theirs."""
    return from_alternatives(
        each if each.words is not None else dataclasses.replace(each, alignment=None)
        for each in translation.alternatives
    )


def _without_padding(alignment: Tensor | None, source_length: int) -> Tensor | None:
    """Alignment [target_length, source_length] of the batch's longest source, cut to one's own."""
    return None if alignment is None else alignment[:, :source_length].float()
