"""Files of what translations must obey: glossaries, and lists of words that must not appear."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from seq2seq.config import ConfigurationError
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.sentences import find_phrase
from seq2seq.data.text_files import TextFile
from seq2seq.languages import is_unspaced, is_word_character

_BEGINNING = 3  # characters of a term by which it is looked up where no spaces are written


class Glossary:
    """How terms of the source are translated.

    Args:
        pairs: Terms of the source with those of the target; of equal ones the first counts.
        language: Of the source. Where it writes no spaces between words, terms stand anywhere;
            elsewhere only as whole words.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], language: str) -> None:
        self._whole_words = not is_unspaced(language)
        translations: dict[str, str] = {}
        for source, target in pairs:
            translations.setdefault(source.casefold(), target)
        # The longest first: what stands within a longer term is no term of its own.
        self._translations = sorted(translations.items(), key=lambda pair: -len(pair[0]))
        self._by_beginning: dict[str, list[int]] = {}
        for number, (source, _) in enumerate(self._translations):
            self._by_beginning.setdefault(self._beginning(source), []).append(number)

    def terms(self, sentence: str) -> tuple[str, ...]:
        """What must stand in the translation of a sentence, in the order of its source."""
        return tuple(dict.fromkeys(target for _, target in self.pairs(sentence)))

    def pairs(self, sentence: str) -> tuple[tuple[str, str], ...]:
        """The case-folded terms that stand in a sentence, in its order, with their targets."""
        folded = clean_sentence(sentence).casefold()
        found: list[tuple[int, str, str]] = []
        for source, target in self._candidates(folded):
            places = find_phrase(source, folded, whole_words=self._whole_words)
            if places:
                found.append((places[0], source, target))
            for place in places:  # as long as it was, so that other places stay
                folded = f"{folded[:place]}{' ' * len(source)}{folded[place + len(source) :]}"
        return tuple((source, target) for _, source, target in sorted(found))

    def _candidates(self, text: str) -> list[tuple[str, str]]:
        """The pairs whose terms begin somewhere in a text, in their order."""
        if not self._by_beginning:
            return []
        if self._whole_words:
            beginnings = {*text, *_words(text)}
        else:
            ends = range(1, _BEGINNING + 1)
            beginnings = {text[place : place + n] for place in range(len(text)) for n in ends}
        numbers = itertools.chain.from_iterable(
            self._by_beginning.get(beginning, ()) for beginning in beginnings
        )
        return [self._translations[number] for number in sorted(numbers)]

    def _beginning(self, term: str) -> str:
        """What a term is looked up by: its first word, or its first characters."""
        if not self._whole_words:
            return term[:_BEGINNING]
        return next(_words(term)) if is_word_character(term[0]) else term[0]


def read_glossary(path: str | Path) -> list[tuple[str, str]]:
    """The pairs of a file with a source term, a tab and a target term per line.

    Raises:
        ConfigurationError: If the file cannot be read, or a line is something else.
    """
    pairs = []
    for number, line in enumerate(TextFile(path), start=1):
        if not line.strip():
            continue
        columns = [clean_sentence(column) for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise ConfigurationError(
                f"{path}, line {number}: a line must be a term of the source, a tab and a term of "
                f"the target."
            )
        pairs.append((columns[0], columns[1]))
    return pairs


def read_phrases(path: str | Path) -> tuple[str, ...]:
    """The words and phrases of a file, one per line; blank lines are none.

    Raises:
        ConfigurationError: If the file cannot be read.
    """
    phrases = (clean_sentence(line) for line in TextFile(path))
    return tuple(dict.fromkeys(phrase for phrase in phrases if phrase))


def _words(text: str) -> Iterator[str]:
    """Runs of letters and the like."""
    for is_word, run in itertools.groupby(text, is_word_character):
        if is_word:
            yield "".join(run)
