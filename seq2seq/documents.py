"""Documents of plain text: every line is a paragraph, whose sentences are translated one by one.

Knows nothing of networks: it says what the sentences are and joins what becomes of them.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from seq2seq.data.sentences import join_sentences, split_paragraph

# Spaces, then marks of lists, headings and quotations: "- ", "* ", "3. ", "b) ", "## ", "> ".
# A letter with a full stop is none, but the beginning of a name.
_HEAD = re.compile(
    r"\s*(?:(?:[-*+•‣▪◦·–—>]|#{1,6}|\[[ xX]\]|\(?(?:\d{1,3}|[A-Za-z]|[ivx]{1,5})\)"
    r"|\d{1,3}(?:\.\d{1,3})*\.)\s+)*"
)


class Paragraph(NamedTuple):
    """A line of a document."""

    head: str
    """Spaces and marks before the text, which stay."""
    sentences: list[str]
    """Without spaces at their ends."""

    def to_translate(self) -> list[str]:
        """The sentences that hold letters; others stay as they are."""
        return [sentence for sentence in self.sentences if is_text(sentence)]

    def join(self, translations: Iterator[str], language: str) -> str:
        """The line of the translation.

        Args:
            translations: Begins with those of `to_translate`.
            language: Of the translations.
        """
        sentences = [next(translations) if is_text(s) else s for s in self.sentences]
        return self.head + join_sentences(sentences, language)


def read_paragraph(line: str, language: str) -> Paragraph:
    """What stands in a line of a document."""
    match = _HEAD.match(line)
    head = match[0] if match else ""
    parts = split_paragraph(line[len(head) :], language)
    return Paragraph(head, [part.strip() for part in parts if part.strip()])


def is_text(sentence: str) -> bool:
    """Whether there is something to translate: a letter."""
    return any(map(str.isalpha, sentence))
