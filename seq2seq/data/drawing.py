"""Draws development and test sets from training pairs."""

import random
from array import array
from collections.abc import Sequence

import numpy as np

from seq2seq.config import ConfigurationError
from seq2seq.data.digests import PairNumbers, group_of_each

DRAWN_SHARE, DRAWN_MOST = 0.05, 2000


def draw(pairs: PairNumbers, names: Sequence[str], seed: int) -> dict[str, np.ndarray]:
    """The indices of new sets, ascending; pairs that share a side stay together.

    Args:
        names: Of the sets.

    Raises:
        ConfigurationError: If there are too few pairs, or too many with a common side.
    """
    num_pairs = len(pairs.source_digests)
    limit = min(int(DRAWN_SHARE * num_pairs), DRAWN_MOST)
    groups = group_of_each(pairs.source_digests, pairs.target_digests)
    firsts = np.unique(groups)  # one pair for each group, in the order of the corpus
    sizes = np.bincount(groups)[firsts]
    order = array("i", range(len(firsts)))  # a list of Python's numbers is ten times as large
    random.Random(seed).shuffle(order)
    drawn: dict[str, list[int]] = {name: [] for name in names}
    room = dict.fromkeys(names, limit)
    for place in order:
        if not any(room.values()):
            break
        size = int(sizes[place])
        for name in names:
            if size <= room[name]:
                drawn[name].append(int(firsts[place]))
                room[name] -= size
                break
    for name, chosen in drawn.items():
        if not chosen:
            raise ConfigurationError(
                f"`corpus.{name}` is missing, and {num_pairs} training pairs are too few "
                f"or too much alike to draw it from them; give `corpus.{name}`."
            )
    return {name: _members(groups, chosen) for name, chosen in drawn.items()}


def _members(groups: np.ndarray, firsts: list[int]) -> np.ndarray:
    is_chosen = np.zeros(len(groups), bool)
    is_chosen[firsts] = True
    return np.flatnonzero(is_chosen[groups])
