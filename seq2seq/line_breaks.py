"""Shares words out over places and lines, in proportion to their lengths."""

import itertools
import math
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence

from seq2seq.languages import is_unspaced

TAG = r"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}"  # <i>, and positions such as {\an8}
ShareOut = Callable[[Sequence[str], Sequence[int]], list[list[str]]]
# Of languages without spaces: what no line may be parted in, words of other scripts among it.
_UNBROKEN = re.compile(
    r"[「『（【《〈“]*(?:[^\W\u0e00-\uffff]+|[\u30a1-\u30fa]+|\s+|.)[\s、。，．！？：；…」』）】》〉”ー々]*",
    re.DOTALL,
)
_KANA = re.compile("[\u3041-\u309f\u30fc]")  # hiragana


def share_out(words: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """Parts words into neighbours whose lengths are in the given proportion, as nearly as can be.

    A word's length is that of the text and 1. While there are enough words, each part has one.
    """
    if not words:
        return [[] for _ in sizes]
    ends = [0, *itertools.accumulate(len(word) + 1 for word in words)]
    at_least = int(len(words) >= len(sizes))
    scale = ends[-1] / sum(sizes)
    borders = [0]
    for index, size in enumerate(itertools.accumulate(sizes[:-1]), 1):
        place = size * scale
        above = min(bisect_left(ends, place), len(words))
        nearest = above - (above > 0 and place - ends[above - 1] < ends[above] - place)
        lowest, highest = borders[-1] + at_least, len(words) - at_least * (len(sizes) - index)
        borders.append(min(max(nearest, lowest), highest))
    return [list(words[start:stop]) for start, stop in itertools.pairwise([*borders, len(words)])]


def share_out_unspaced(words: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """The same where no spaces are: after punctuation if some is near, else before a phrase.

    No line begins within the tags that stand around a part of the text, if that can be.
    """
    for may_part, slack in ((_ends_clause, 0.5), (_ends_phrase, 1.0), (_always, math.inf)):
        groups = _group(words, may_part)
        texts = [_without_tags("".join(group)) for group in groups]
        parts = share_out(texts, sizes)
        if len(groups) < len(sizes) or not _is_near(parts, sizes, slack):
            continue
        rest = iter(groups)
        return [[word for _ in part for word in next(rest)] for part in parts]
    return share_out(words, sizes)


def _is_near(parts: Sequence[Sequence[str]], sizes: Sequence[int], slack: float) -> bool:
    """Whether no border is far from its place, in shares of what parts have on average."""
    ends = list(itertools.accumulate(sum(map(len, part)) for part in parts))
    places = itertools.accumulate(sizes)
    scale = ends[-1] / sum(sizes)
    return all(
        abs(end - place * scale) <= slack * ends[-1] / len(sizes)
        for end, place in zip(ends, places, strict=True)
    )


def _always(before: str, after: str) -> bool:
    return True


def _group(words: Sequence[str], may_part: Callable[[str, str], bool]) -> list[list[str]]:
    """Neighbouring words together that must not be parted."""
    depths = list(itertools.accumulate(map(_count_open, words)))
    depth_of_all = min(depths[:-1], default=0)  # in tags around all of them
    groups: list[list[str]] = []
    for index, word in enumerate(words):
        if index and (
            depths[index - 1] > depth_of_all
            or not may_part(_without_tags(words[index - 1]), _without_tags(word))
        ):
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _count_open(word: str) -> int:
    """How many more tags begin in a word than end."""
    tags = re.findall(TAG, word)
    return sum(-1 if tag[1] == "/" else 1 for tag in tags if tag[0] == "<")


def _without_tags(word: str) -> str:
    return re.sub(TAG, "", word)


def _ends_clause(before: str, after: str) -> bool:
    """Whether punctuation stands between two words."""
    return before[-1:].isspace() or unicodedata.category(before[-1:] or " ")[0] in "PZ"


def _ends_phrase(before: str, after: str) -> bool:
    """Whether a phrase may begin: in Japanese they end in kana, but do not begin in them."""
    if before.endswith("を"):  # which ends nothing else
        return True
    ends_in_kana, begins_in_kana = _KANA.match(before[-1:]), _KANA.match(after)
    return _ends_clause(before, after) or bool(ends_in_kana and not begins_in_kana)


def split_words(text: str, language: str, begins: Sequence[int], wanted: int) -> list[str]:
    """What stays together in a line.

    Args:
        begins: Where words begin, if that is known.
        wanted: How many there should be at least.
    """
    if not is_unspaced(language):
        return text.split()
    words: list[str] = []
    runs: list[str] = []
    place = 0
    for part in _UNBROKEN.findall(text):
        # Vowel signs of Thai and the like stay with their letters.
        is_sign = unicodedata.category(part[0]).startswith("M")
        _append(words, part, is_sign)
        _append(runs, part, is_sign or place not in begins)
        place += len(part)
    return runs if len(runs) >= max(wanted, 2) else words


def _append(words: list[str], part: str, goes_on: bool) -> None:
    """Adds a part of a text to the last word, or as a word of its own."""
    if words and goes_on:
        words[-1] += part
    else:
        words.append(part)
