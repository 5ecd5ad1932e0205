"""Numbers that stand for sentences where a whole corpus is to be compared with itself.

Sentences that differ in case, width or white space only have the same digest. A digest has 64
bits: that two of ten million other sentences share one has a chance of 1 in 370,000.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from seq2seq.data.cleaning import folded


class PairNumbers(NamedTuple):
    """What is known of each pair without its text."""

    source_digests: np.ndarray  # [pairs] uint64
    target_digests: np.ndarray  # [pairs] uint64
    source_lengths: np.ndarray  # [pairs] int32, characters
    target_lengths: np.ndarray  # [pairs] int32, characters

    @classmethod
    def of(cls, sources: Sequence[str], targets: Sequence[str]) -> "PairNumbers":
        """The numbers of pairs."""
        sides = (sources, targets)
        lengths = (np.fromiter(map(len, side), np.int32, count=len(side)) for side in sides)
        return cls(*map(digests_of, sides), *lengths)

    def select(self, rows: np.ndarray) -> "PairNumbers":
        """The numbers of the pairs at `rows`, or of those whose mask is True."""
        return PairNumbers(*(column[rows] for column in self))


def digests_of(sentences: Sequence[str]) -> np.ndarray:
    """A number for each sentence [sentences] uint64."""
    digests = (blake2b(folded(s).encode(), digest_size=8).digest() for s in sentences)
    return np.frombuffer(b"".join(digests), np.uint64)


def is_among(digests: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether each digest is one of the others [digests]."""
    others = np.unique(others)
    found = np.zeros(len(digests), bool)
    if len(others):
        for start in range(0, len(digests), _AT_ONCE):
            part = digests[start : start + _AT_ONCE]
            places = np.searchsorted(others, part).clip(max=len(others) - 1)
            found[start : start + _AT_ONCE] = others[places] == part
    return found


def is_repeated(digests: np.ndarray) -> np.ndarray:
    """Whether another one is the same [digests]."""
    ordered = np.sort(digests)
    return is_among(digests, ordered[1:][ordered[1:] == ordered[:-1]])


def is_first(digests: np.ndarray) -> np.ndarray:
    """Whether none before it is the same [digests]."""
    places = np.flatnonzero(is_repeated(digests))
    first = np.ones(len(digests), bool)
    first[places] = False
    first[places[np.unique(digests[places], return_index=True)[1]]] = True
    return first


def joined(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """A digest of each pair from those of its sides [pairs] uint64."""
    return sources * np.uint64(0x9E3779B97F4A7C15) + targets  # an odd number: nothing is lost


def group_of_each(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The first pair of the group of each pair [pairs]: no two groups have a side in common."""
    places = np.flatnonzero(is_repeated(sources) | is_repeated(targets))  # the others are alone
    groups = np.arange(len(sources), dtype=np.int32)
    groups[places] = places[_connected(sources[places], targets[places])]
    return groups


_AT_ONCE = 1_000_000  # digests


def _connected(*sides: np.ndarray) -> np.ndarray:
    """For each pair the lowest number of a pair that it is connected with by equal sides."""
    numbered = [np.unique(side, return_inverse=True)[1] for side in sides]
    lowest = np.arange(len(sides[0]))
    while True:
        before = lowest
        for numbers in numbered:
            of_side = np.full(len(lowest), len(lowest))
            np.minimum.at(of_side, numbers, lowest)
            lowest = of_side[numbers]
        lowest = lowest[lowest]  # what it is connected with may have found a lower one
        if np.array_equal(lowest, before):
            return lowest
