"""Splits and joins text at the ends of sentences, and counts words, as languages write them."""

import re
from collections.abc import Sequence

from seq2seq.languages import is_unspaced


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, each with the spaces after it; joined they are the text.

    A full stop ends none after a number of one or two digits, a single Latin letter or a title, as
    in "3. Mai", "z. B." and "Dr. Kim"; nor does any mark before a small letter, unless the text has
    no others. What follows 。！？ is always another sentence.
    """
    sentences, start, small_begins = [], 0, text.islower()
    for end in (match.end() for match in _END.finditer(text)):
        if end < len(text) and (small_begins or not text[end].islower()):
            sentences.append(text[start:end])
            start = end
    return [*sentences, text[start:]]


def join_sentences(sentences: Sequence[str], language: str) -> str:
    """One text of translated parts, with spaces between them where the language has spaces."""
    separator = "" if is_unspaced(language) else " "
    return separator.join(sentence for sentence in sentences if sentence)


def count_words(text: str, language: str) -> int:
    """Words between spaces; characters where the language writes no spaces between words."""
    words = text.split()
    return sum(map(len, words)) if is_unspaced(language) else len(words)


_CLOSING = "[\"'”’“‘»«)\\]）」』】》〉]*"
_NO_ABBREVIATION = "".join(
    rf"(?<!\b{word})"
    for word in (r"[A-Za-z]", r"\d", r"\d\d", "Dr", "Mr", "Ms", "St", "Nr", "Mrs", "Prof")
)
# After the marks of Chinese and Japanese stands no space. Runs of marks are tried at their
# beginning only, so that the time stays linear in the text.
_END = re.compile(
    rf"(?:[。！？｡]+{_CLOSING}"
    rf"|(?<![.?!…])(?:{_NO_ABBREVIATION}\.|[?!…])[.?!…]*{_CLOSING}(?=\s))\s*"
)
