"""Brings sentences to the form in which everything else sees them."""

import re
import unicodedata

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def clean_sentence(sentence: str, *, without_spaces: bool = False) -> str:
    """The sentence in NFC, control characters as spaces, without spaces at its ends or at all."""
    if without_spaces:
        sentence = "".join(sentence.split())
    return CONTROL.sub(" ", unicodedata.normalize("NFC", sentence)).strip(" ")


def folded(sentence: str) -> str:
    """What sentences have in common that differ in case, width or white space only."""
    return " ".join(unicodedata.normalize("NFKC", sentence).casefold().split())
