"""Where translations are good and where they fail: by length, by rare words, one by one.

Knows nothing of scores: it groups and marks sentences, by their indices.
"""

import random
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from seq2seq.languages import is_unspaced

NUM_BEST = NUM_WORST = 3
NUM_RANDOM = 4
_SEED = 1

# The shortest source of each group.
_FIRST_LENGTHS = {
    "words": (0, 1, 6, 11, 16, 21, 26, 31, 41, 51),
    "characters": (0, 1, 11, 21, 31, 41, 51, 61, 81, 101),
}
_FREQUENCIES = {
    0: "never seen",
    1: "seen once",
    2: "seen 2-9 times",
    10: "seen 10-99 times",
    100: "seen 100+ times",
}
_NO_WORDS = "no words"
_LONGEST_REPEATED = 4
_CHARACTER_OR_NUMBER = re.compile(r"\d+|\S")


def show_sentences(chrf: Sequence[float], references: Sequence[str]) -> dict[str, list[int]]:
    """Picks the sentences that a report shows, none of them twice; among equals longer ones.

    Args:
        chrf: The score of each sentence.
        references: Of each sentence.

    Returns:
        Indices of the "best" sentences, the best first, of the "worst", the worst first, and of
        "random" others in their order; fewer if there are not enough sentences.
    """

    def rank(index: int, sign: int) -> tuple[float, int, int]:
        return sign * round(chrf[index], 4), -len(references[index]), index

    best = sorted(range(len(chrf)), key=lambda index: rank(index, -1))[:NUM_BEST]
    rest = [index for index in range(len(chrf)) if index not in best]
    worst = sorted(rest, key=lambda index: rank(index, 1))[:NUM_WORST]
    others = sorted(set(rest) - set(worst))
    drawn = random.Random(_SEED).sample(others, min(NUM_RANDOM, len(others)))
    return {"best": best, "worst": worst, "random": sorted(drawn)}


def length_unit(language: str) -> str:
    """In what sentences are measured: words between spaces, or characters where there are none."""
    return "characters" if is_unspaced(language) else "words"


def group_by_length(sentences: Sequence[str], language: str) -> dict[str, list[int]]:
    """Indices of sentences by their length in `length_unit`, shortest first, no group empty."""
    unit = length_unit(language)
    firsts = _FIRST_LENGTHS[unit]
    lasts = [following - 1 for following in firsts[1:]]
    labels = [
        str(first) if first == last else f"{first}-{last}"
        for first, last in zip(firsts, lasts, strict=False)
    ]
    labels.append(f"{firsts[-1]}+")

    def measure(sentence: str) -> str:
        units = sentence.split()
        length = sum(map(len, units)) if unit == "characters" else len(units)
        return labels[bisect_right(firsts, length) - 1]

    return _group(sentences, labels, measure)


def group_by_rarest_word(
    sentences: Sequence[str], counts: Mapping[str, int], language: str
) -> dict[str, list[int]]:
    """Indices of sentences by how often their rarest word was seen, rarest first, no group empty.

    The last group, "no words", has those of punctuation alone.

    Args:
        counts: Of the words of the training sources, as `split_words` gives them.
    """
    firsts, labels = list(_FREQUENCIES), list(_FREQUENCIES.values())

    def measure(sentence: str) -> str:
        seen = [counts.get(word, 0) for word in split_words(sentence, language)]
        return labels[bisect_right(firsts, min(seen)) - 1] if seen else _NO_WORDS

    return _group(sentences, [*labels, _NO_WORDS], measure)


def split_words(sentence: str, language: str) -> list[str]:
    """Words without case and punctuation; single characters where words are not separated."""
    words = "".join(
        " " if unicodedata.category(character)[0] in "PSZC" else character
        for character in sentence.casefold()
    ).split()
    return list("".join(words)) if is_unspaced(language) else words


def is_empty(hypothesis: str, reference: str) -> bool:
    """Whether nothing stands where the reference has something."""
    return not hypothesis.strip() and bool(reference.strip())


def is_repeated(hypothesis: str, reference: str, target_language: str) -> bool:
    """Whether up to four words stand three times or more in a row, which the reference has not.

    Characters in place of words where words are not separated; a number counts as one character.
    """
    return bool(_repeats(hypothesis, target_language) - _repeats(reference, target_language))


def is_copied(hypothesis: str, source: str, reference: str) -> bool:
    """Whether the source was left as it is, case and white space aside, wrongly."""
    folded = ["".join(text.casefold().split()) for text in (hypothesis, source, reference)]
    return bool(folded[0]) and folded[0] == folded[1] != folded[2]


def _group(
    sentences: Iterable[str], labels: Iterable[str], label_of: Callable[[str], str]
) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {label: [] for label in labels}
    for index, sentence in enumerate(sentences):
        groups[label_of(sentence)].append(index)
    return {label: indices for label, indices in groups.items() if indices}


def _repeats(text: str, language: str) -> set[tuple[str, ...]]:
    """What stands three times or more in a row, of one to four words."""
    units = _CHARACTER_OR_NUMBER.findall(text) if is_unspaced(language) else text.split()
    found = set()
    for size in range(1, _LONGEST_REPEATED + 1):
        for start in range(len(units) - 3 * size + 1):
            parts = [tuple(units[start + k * size : start + (k + 1) * size]) for k in range(3)]
            if all(first == second for first, second in pairwise(parts)):
                found.add(parts[0])
    return found
