"""Marks where a translation and its reference differ, in words, or characters in Japanese."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from seq2seq.languages import is_unspaced

_WORDS = re.compile(r"\s+|\w+(?:['’]\w+)*|[^\w\s]")
_LONGEST = 1000  # tokens; the comparison takes time with the square of them


@dataclass(frozen=True)
class Stretch:
    """A part of a sentence."""

    text: str
    differs: bool
    """Whether the other sentence has something else, or nothing, in its place."""


def mark_differences(
    hypothesis: str, reference: str, language: str
) -> tuple[list[Stretch], list[Stretch]]:
    """Splits both sentences into what they share and what they do not.

    Returns:
        The stretches of the hypothesis and those of the reference; joined, each gives its sentence.
    """
    first, second = (_tokens(text, language) for text in (hypothesis, reference))
    if max(len(first), len(second)) > _LONGEST:
        return [Stretch(hypothesis, False)], [Stretch(reference, False)]
    shared_first, shared_second = [False] * len(first), [False] * len(second)
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            shared_first[block.a + offset] = shared_second[block.b + offset] = True
    return _join(first, shared_first), _join(second, shared_second)


def _tokens(text: str, language: str) -> list[str]:
    return list(text) if is_unspaced(language) else _WORDS.findall(text)


def _join(tokens: Sequence[str], shared: Sequence[bool]) -> list[Stretch]:
    """Neighbours of one kind become one stretch; a space counts as what stands around it."""
    differs = [not one for one in shared]
    for index, token in enumerate(tokens):
        if token.isspace():
            around = differs[max(index - 1, 0) : index] + differs[index + 1 : index + 2]
            differs[index] = bool(around) and all(around)
    stretches: list[Stretch] = []
    for token, flag in zip(tokens, differs, strict=True):
        if stretches and stretches[-1].differs == flag:
            stretches[-1] = Stretch(stretches[-1].text + token, flag)
        else:
            stretches.append(Stretch(token, flag))
    return stretches
