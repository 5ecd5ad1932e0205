"""Makes of sources what is searched: clean, in parts, with rules and without unknown words."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seq2seq.config import ConfigurationError, Recipe, SearchConfig
from seq2seq.constraints import ConstraintError, RuleMaker
from seq2seq.copying import Masked, mask_words
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.long_sources import SourceSplitter, Split
from seq2seq.data.sentences import find_phrase
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.rules import Rules
from seq2seq.glossary import Glossary
from seq2seq.languages import is_unspaced
from seq2seq.source import Source


class Sentence(NamedTuple):
    """A source that is ready to be searched."""

    source: Source
    """Clean."""
    parts: list[Masked]
    """What is searched one by one; a blank source has none."""
    rules: list[Rules | None]
    """What the translation of each part obeys."""
    cut: bool
    """Whether a sentence within the source had to be cut."""


def clean_side(sentences: Iterable[str], recipe: Recipe, side: str) -> list[str]:
    """Sentences of one side cleaned as the recipe's corpus was; blank ones stay.

    Args:
        side: source or target.
    """
    without_spaces = recipe.corpus.remove_spaces in (side, "both")
    return [clean_sentence(sentence, without_spaces=without_spaces) for sentence in sentences]


def share(source: Source, texts: Sequence[str], language: str) -> list[Source]:
    """What the translations of a source's parts must obey.

    The prefix belongs to the first part; a term of a glossary to each part that holds what it
    translates; and another one to a part in which it stands as it is, else to the last.

    Args:
        texts: Of the parts.
        language: Of the source.
    """
    glossary, whole_words = Glossary(source.glossed, language), not is_unspaced(language)
    terms = [[term for term in glossary.terms(text) if term in source.terms] for text in texts]
    others = Counter(source.terms) - Counter(itertools.chain.from_iterable(terms))
    for term, number in others.items():
        folded = term.casefold()
        holders = [
            own
            for own, text in zip(terms, texts, strict=True)
            if term.strip() and find_phrase(folded, text.casefold(), whole_words=whole_words)
        ]
        for own in itertools.islice(itertools.cycle(holders or terms[-1:]), number):
            own.append(term)
    first = dataclasses.replace(source, terms=tuple(terms[0]))
    bare = dataclasses.replace(source, prefix="", not_next=())
    return [first, *(dataclasses.replace(bare, terms=tuple(own)) for own in terms[1:])]


@dataclass(frozen=True)
class Preparation:
    """What sources are prepared with."""

    recipe: Recipe
    tokenizers: Tokenizers
    splitter: SourceSplitter
    rule_maker: RuleMaker
    has_attention: bool

    def prepare(self, sources: Sequence[Source], search: SearchConfig) -> list[Sentence]:
        """Everything that is done to sources before the search, in order.

        Raises:
            ConstraintError: If what a translation must obey cannot be, or contradicts itself.
            ConfigurationError: If words are to be copied without attention.
        """
        cleaned = self.clean(sources)
        splits = self._split(cleaned)
        rules = self._make_rules(cleaned, splits, search)
        parts = self._mask(cleaned, splits, search)
        return [
            Sentence(source, own, rule, split.cut)
            for source, own, rule, split in zip(cleaned, parts, rules, splits, strict=True)
        ]

    def clean(self, sources: Sequence[Source]) -> list[Source]:
        """Sources with texts as those of the training corpus; the targets' are cleaned later."""
        texts = clean_side((source.text for source in sources), self.recipe, "source")
        return [
            dataclasses.replace(
                source, text=text, copied=tuple(clean_side(source.copied, self.recipe, "source"))
            )
            for source, text in zip(sources, texts, strict=True)
        ]

    def _split(self, sources: Sequence[Source]) -> list[Split]:
        """The parts of each source; one of which words are to be copied stays whole."""
        encoded = self.tokenizers.source.encode_batch([source.text for source in sources])
        return [
            Split([ids]) if source.text and source.copied else self.splitter.split(source.text, ids)
            for source, ids in zip(sources, encoded, strict=True)
        ]

    def _make_rules(
        self, sources: Sequence[Source], splits: Sequence[Split], search: SearchConfig
    ) -> list[list[Rules | None]]:
        """What the translation of each part of each source obeys."""
        rules = []
        for index, (source, split) in enumerate(zip(sources, splits, strict=True)):
            shared = [source]  # also where there is no part: what cannot be is refused
            if len(split.parts) > 1:
                texts = [self.tokenizers.source.decode(ids) for ids in split.parts]
                shared = share(source, texts, self.recipe.source_language)
            try:
                own = [self.rule_maker.rules(each, search) for each in shared]
            except ConfigurationError as error:
                raise ConstraintError(index, str(error)) from error
            rules.append(own[: len(split.parts)])
        return rules

    def _mask(
        self, sources: Sequence[Source], splits: Sequence[Split], search: SearchConfig
    ) -> list[list[Masked]]:
        """The parts of each source without the words that are to be copied."""
        if not search.copy_unknown and not any(source.copied for source in sources):
            return [[Masked(ids, []) for ids in split.parts] for split in splits]
        if not self.has_attention:
            raise ConfigurationError(
                "`copied` needs a model with attention, but `model.attention` is none."
            )
        return [
            mask_words(
                source,
                split.parts,
                self.tokenizers.source,
                self.recipe.source_language,
                unknown=search.copy_unknown,
            )
            for source, split in zip(sources, splits, strict=True)
        ]
