import numpy as np
from corpus_files import fuzz_settings
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.digests import (
    PairNumbers,
    digests_of,
    group_of_each,
    is_among,
    is_first,
    is_repeated,
    joined,
)

SIDES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=14)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    both = np.array(pairs, np.uint64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def test_what_differs_in_case_width_and_space_only_has_the_same_digest() -> None:
    one, same, other = digests_of(["Ein  Hund", "ＥＩＮ\u3000hund ", "ein hund."]).tolist()
    assert one == same != other


def test_the_numbers_of_pairs() -> None:
    numbers = PairNumbers.of(["a", "bc"], ["bc", "def"])
    assert numbers.source_lengths.tolist() == [1, 2] and numbers.target_lengths.tolist() == [2, 3]
    assert numbers.source_digests[1] == numbers.target_digests[0]
    assert numbers.select(np.array([1])).target_lengths.tolist() == [3]


@given(pairs=SIDES, others=st.lists(st.integers(0, 12), max_size=5))
@fuzz_settings(200)
def test_what_is_repeated_first_or_among_others(
    pairs: list[tuple[int, int]], others: list[int]
) -> None:
    sources, targets = columns(pairs)
    plain = sources.tolist()
    assert is_repeated(sources).tolist() == [plain.count(one) > 1 for one in plain]
    assert is_among(sources, np.array(others, np.uint64)).tolist() == [x in others for x in plain]
    first = is_first(joined(sources, targets)).tolist()
    assert first == [pair not in pairs[:place] for place, pair in enumerate(pairs)]


@given(pairs=SIDES)
@fuzz_settings(200)
def test_groups_are_those_of_pairs_that_are_joined_one_by_one(
    pairs: list[tuple[int, int]],
) -> None:
    groups: list[set[int]] = []
    for place, (source, target) in enumerate(pairs):
        own = {place}
        for group in list(groups):
            if any(pairs[other][0] == source or pairs[other][1] == target for other in group):
                own |= group
                groups.remove(group)
        groups.append(own)
    found = group_of_each(*columns(pairs)).tolist()
    assert found == [min(next(g for g in groups if place in g)) for place in range(len(pairs))]


def test_a_long_chain_is_one_group() -> None:
    steps = np.arange(5000, dtype=np.uint64)
    order = np.random.default_rng(1).permutation(5000)
    groups = group_of_each((steps // 2)[order], ((steps + 1) // 2)[order])
    assert not groups.any()
