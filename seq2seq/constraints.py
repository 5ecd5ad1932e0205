"""Turns what translations must obey, which is text, into rules of a search."""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable

from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.data.sentences import find_phrase
from seq2seq.data.tokenizer import Tokenizer, prepare
from seq2seq.decoding.phrases import Forbidden, Phrases
from seq2seq.decoding.prefix import Prefix
from seq2seq.decoding.rules import Rules
from seq2seq.decoding.spelling import Characters, Spelling
from seq2seq.decoding.terms import Terms
from seq2seq.languages import is_unspaced, is_word_character
from seq2seq.source import Source

# Lists of words whose automata are kept, with all that they have learnt.
_MOST_LISTS = 64


class ConstraintError(ConfigurationError):
    """What a translation must obey cannot be.

    Args:
        index: Of the sentence among those given.
        reason: As a sentence.
    """

    def __init__(self, index: int, reason: str) -> None:
        self.index = index
        self.reason = reason
        super().__init__(f"sentence {index + 1}: {reason}")


class RuleMaker:
    """Makes the rules of sentences for one target vocabulary.

    Args:
        tokenizer: Of the targets.
        language: Of the targets. Where it writes no spaces between words, phrases stand anywhere;
            elsewhere only as whole words.
        clean: Brings a text to the form that targets had in training.
    """

    def __init__(self, tokenizer: Tokenizer, language: str, clean: Callable[[str], str]) -> None:
        self._tokenizer = tokenizer
        self._whole_words = not is_unspaced(language)
        self._clean = clean
        self._forbid = functools.lru_cache(_MOST_LISTS)(self._make_forbidden)

    @functools.cached_property
    def spelling(self) -> Spelling:
        """The texts of the pieces."""
        return Spelling(self._tokenizer.spellings())

    @functools.cached_property
    def _characters(self) -> Characters | None:
        characters = Characters(self.spelling)
        return characters if characters.ids else None

    def rules(self, source: Source, search: SearchConfig) -> Rules | None:
        """The rules of a sentence; None if there are none.

        Raises:
            ConfigurationError: If what is asked for cannot be, or contradicts itself.
        """
        bounds = source.prefix, source.terms, source.forbidden, source.not_next
        if not any(bounds) and not search.no_repeat_ngram:
            # What is drawn may be anything, half a character too.
            return Rules(characters=self._characters) if search.samples else None
        prefix = self._clean_prefix(source.prefix)
        terms = tuple(self._clean_phrase(term, "terms") for term in source.terms)
        forbidden = tuple(self._clean_phrase(text, "forbidden") for text in source.forbidden)
        self._check(prefix, terms, forbidden)
        barred = [self._forbid(tuple(dict.fromkeys(forbidden)))] if forbidden else []
        words = [f" {prepare(prefix + word)}" for word in source.not_next if word]
        if words:
            phrases = Phrases(self.spelling, words, whole_words=self._whole_words, anchored=True)
            barred.append(Forbidden(phrases))
        return Rules(
            self._make_prefix(prefix, is_whole="" not in source.not_next) if prefix else None,
            tuple(barred),
            self._make_terms(terms) if terms else None,
            search.no_repeat_ngram,
            cautious=search.samples > 0,
            characters=self._characters,
        )

    def next_word(self, text: str, prefix: str) -> str | None:
        """What comes after the prefix of a text, with the space before it, "" for the end.

        Where words have no spaces between them, a character is one. None if the text has another
        prefix.
        """
        prefix = self._clean_prefix(prefix)
        if not text.startswith(prefix):
            return None
        rest = text.removeprefix(prefix)
        word = rest.lstrip(" ")
        size = min(len(word), 1)
        if self._whole_words:
            letters = itertools.takewhile(is_word_character, word)
            size = max(size, sum(1 for _ in letters))
        return rest[: len(rest) - len(word) + size]

    def _clean_prefix(self, text: str) -> str:
        """A space at the end stays: what follows is another word."""
        cleaned = self._clean(text)
        ends_word = cleaned and text.endswith(" ") and self._whole_words
        return f"{cleaned} " if ends_word else cleaned

    def _clean_phrase(self, text: str, field: str) -> str:
        cleaned = self._clean(text)
        if not cleaned:
            raise ConfigurationError(f"`{field}` must hold words or phrases, but one is blank.")
        return cleaned

    def _check(self, prefix: str, terms: tuple[str, ...], forbidden: tuple[str, ...]) -> None:
        """Refuses what contradicts itself."""
        texts = [("terms", term, term) for term in terms]
        if prefix:  # its last word may go on, so a letter stands for what follows
            texts.append(("prefix", prefix, f"{prefix}a" if self._whole_words else prefix))
        for phrase in forbidden:
            for field, text, continued in texts:
                folded = phrase.casefold(), continued.casefold()
                if find_phrase(*folded, whole_words=self._whole_words):
                    raise ConfigurationError(
                        f"`{field}` asks for {text!r}, but `forbidden` rules out {phrase!r}."
                    )

    def _make_forbidden(self, texts: tuple[str, ...]) -> Forbidden:
        folded = list(dict.fromkeys(prepare(text).casefold() for text in texts))
        return Forbidden(Phrases(self.spelling, folded, whole_words=self._whole_words, folded=True))

    def _make_prefix(self, text: str, *, is_whole: bool) -> Prefix:
        try:
            return Prefix(self.spelling, f" {prepare(text)}", is_whole=is_whole)
        except ValueError as error:
            raise _unwritable("prefix", text) from error

    def _make_terms(self, terms: Iterable[str]) -> Terms:
        counts = Counter(terms)
        texts = [prepare(term) for term in counts]
        phrases = Phrases(self.spelling, texts, whole_words=self._whole_words)
        return Terms(phrases, list(counts.values()), [self._pieces(term) for term in counts])

    def _pieces(self, term: str) -> list[int]:
        """Ids of a term within a sentence: with a space before it where the language has spaces."""
        spelling, written = self.spelling, prepare(term)
        ids = self._tokenizer.encode(term)
        if spelling.read(ids) != f" {written}":
            raise _unwritable("terms", term)
        return ids if self._whole_words else spelling.split(written) or ids


def _unwritable(field: str, text: str) -> ConfigurationError:
    return ConfigurationError(
        f"`{field}` asks for {text!r}, which the pieces of the model's vocabulary cannot write."
    )
