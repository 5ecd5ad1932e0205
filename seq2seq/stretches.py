"""Divides translations into stretches that no tag may part, and says where each came from.

A word is one, and so is a term that had to stand there. What must survive, such as an address, came
from where it stands in the source, whatever attention says.
"""

import bisect
import itertools
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seq2seq.data.sentences import find_phrase
from seq2seq.items import Item, find_places
from seq2seq.languages import parts_word

if TYPE_CHECKING:
    from seq2seq.translation import Translation

_LEADING, _TRAILING = re.compile(r"^[^\w\s]*"), re.compile(r"[^\w\s]*$")
_RUN = re.compile(r"\S+")


@dataclass
class Stretch:
    """Neighbouring characters of a translation."""

    start: int
    end: int
    sources: list[range]
    """What it came from: characters of the source, spaces not counted."""
    is_item: bool = False
    """Whether it came from there for sure, being the same."""
    inner: tuple[int, int] = (0, 0)
    """Where it begins and ends without the punctuation around it, if there is anything else."""


def find_stretches(source: str, translation: "Translation") -> list[Stretch]:
    """The stretches of a translation, which has details, in order."""
    text = translation.text
    counts = [0, *itertools.accumulate(not letter.isspace() for letter in source)]
    items = [
        (place, None if origin is None else range(counts[origin.start], counts[origin.stop]))
        for place, origin in _pair_items(source, text)
    ]
    terms = [range(at, at + len(term)) for term in translation.terms for at in _find(term, text)]
    held = sorted([*(place for place, _ in items), *terms], key=lambda place: place.start)
    stretches: list[Stretch] = []
    for stretch in _words(text, translation, [origin for _, origin in items if origin]):
        before = stretches[-1] if stretches else None
        if before and (
            (before.end == stretch.start and parts_word(text, stretch.start))
            or _is_held(held, before.end, stretch.start)
        ):
            before.end = stretch.end
            before.sources += stretch.sources
        else:
            stretches.append(stretch)
    return [part for stretch in stretches for part in _by_items(text, stretch, items, held)]


def _pair_items(source: str, target: str) -> list[tuple[range, range | None]]:
    """Where items stand in the target, and each with where it stands in the source."""
    ours: defaultdict[Item, deque[range]] = defaultdict(deque)
    for item, place in find_places(source):
        ours[item].append(place)
    return [
        (place, ours[item].popleft() if ours[item] else None) for item, place in find_places(target)
    ]


def _find(term: str, text: str) -> list[int]:
    return find_phrase(term, text, whole_words=True) or find_phrase(term, text, whole_words=False)


def _words(text: str, translation: "Translation", items: Sequence[range]) -> Iterator[Stretch]:
    """The words, and what stands between them, which the search knows nothing of.

    Args:
        items: Of the source, which others than themselves are not linked to.
    """
    lengths = [len("".join(word.split())) for word in translation.source_words or ()]
    borders = list(itertools.accumulate(lengths, initial=0))
    origins = [range(*pair) for pair in itertools.pairwise(borders)]
    known = sorted(items, key=lambda item: item.start)
    free = {
        number: origin
        for number, origin in enumerate(origins)
        if not _is_held(known, origin.stop, origin.start)
    }
    end = 0
    for word in translation.words or ():
        if word.start < end or not word.text:
            continue
        yield from _between(text, end, word.start)
        end = word.start + len(word.text)
        sources = [free[number] for number in word.sources if number in free]
        yield Stretch(word.start, end, sources)
    yield from _between(text, end, len(text))


def _between(text: str, start: int, end: int) -> Iterator[Stretch]:
    return (Stretch(*match.span(), []) for match in _RUN.finditer(text, start, end))


def _is_held(held: Sequence[range], before: int, after: int) -> bool:
    """Whether something begins before a place and ends after another."""
    index = bisect.bisect_left(held, before, key=lambda place: place.start) - 1
    # A term may hold items, so the one before may go further.
    return any(place.stop > after for place in held[max(index - 3, 0) : index + 1])


def _by_items(
    text: str,
    stretch: Stretch,
    items: Sequence[tuple[range, range | None]],
    held: Sequence[range],
) -> Iterator[Stretch]:
    """Parts a stretch that holds several items before each but the first, unless in a term."""
    first = bisect.bisect_left(items, stretch.start, key=lambda item: item[0].start)
    last = bisect.bisect_left(items, stretch.end, key=lambda item: item[0].start)
    own = items[first:last]
    cuts = [place.start for place, _ in own[1:] if not _is_held(held, place.start, place.start)]
    for start, end in itertools.pairwise([stretch.start, *cuts, stretch.end]):
        inside = [(place, origin) for place, origin in own if start <= place.start < end]
        sure = [origin for _, origin in inside if origin]
        part = Stretch(start, end, sure or stretch.sources, bool(sure))
        lowest = bisect.bisect_left(held, start, key=lambda place: place.start)
        highest = bisect.bisect_left(held, end, key=lambda place: place.start)
        low, high = without_marks(text[start:end])
        low, high = low + start, high + start
        for place in held[lowest:highest]:
            low, high = min(low, place.start), max(high, min(place.stop, end))
        part.inner = (low, high) if low < high else (start, end)
        yield part


def without_marks(text: str) -> tuple[int, int]:
    """Where a text begins and ends without the punctuation around it, which items may hold."""
    low, high = len(_LEADING.findall(text)[0]), len(text) - len(_TRAILING.findall(text)[0])
    if low > 0 or high < len(text):
        for _, place in find_places(text):
            low, high = min(low, place.start), max(high, place.stop)
    return low, high
