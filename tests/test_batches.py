import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.batches import (
    Batches,
    TooLongError,
    group,
    longest_target,
    most_to_force,
    most_to_score,
    most_to_search,
    naming_owners,
    shortest_target,
)
from seq2seq.config import SearchConfig


@pytest.fixture(scope="module", autouse=True)
def _memory_is_kept():
    """Giving memory back takes a moment, and there is nothing to give back."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("seq2seq.batches.give_back_memory", lambda: None)
        yield


LENGTHS = st.lists(st.integers(1, 300), max_size=40)


def searching(with_alignment=False, **settings):
    search = SearchConfig(**settings)
    return lambda length: most_to_search(length, search, with_alignment=with_alignment)


@given(LENGTHS, st.integers(1, 9))
def test_every_sentence_stands_in_one_batch_beside_those_of_like_length(lengths, most):
    batches = list(group(lengths, lambda length: most))
    indices = [index for batch in batches for index in batch]
    assert sorted(indices) == list(range(len(lengths)))
    in_order = [lengths[index] for index in indices]
    assert in_order == sorted(in_order)
    assert all(1 <= len(batch) <= most for batch in batches)


@given(LENGTHS, st.integers(1, 5), st.integers(1, 64))
def test_batches_of_an_ordinary_beam_hold_64_pieces_per_sentence(lengths, beam_size, batch_size):
    batches = group(lengths, searching(beam_size=beam_size, batch_size=batch_size))
    expected, batch = [], []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        pieces = (len(batch) + 1) * lengths[index]
        if batch and (len(batch) == batch_size or pieces > batch_size * 64):
            expected.append(batch)
            batch = []
        batch.append(index)
    assert list(batches) == expected + ([batch] if batch else [])


@given(st.integers(1, 3000), st.integers(1, 10_000))
def test_no_beam_and_no_length_makes_a_batch_much_larger_than_an_ordinary_one(length, beam_size):
    most = searching(beam_size=beam_size)(length)
    assert most <= 1 or most * length * beam_size <= 64 * 64 * 5
    assert most <= 1 or most * beam_size <= 2 * 64 * 5  # rows as wide as the vocabulary


@given(st.integers(1, 3000), st.integers(1, 100))
def test_alignments_are_kept_for_few_long_sentences_at_once(length, beam_size):
    most = searching(beam_size=beam_size, with_alignment=True)(length)
    steps = longest_target(length, SearchConfig())
    assert most <= 1 or most * beam_size * length * steps <= 64 * 2**18
    assert most <= searching(beam_size=beam_size)(length)


def test_scoring_has_no_beam():
    search = SearchConfig(beam_size=100)
    assert [most_to_score(length, search) for length in (1, 64, 128, 5000)] == [64, 64, 32, 0]


@given(LENGTHS, st.integers(300, 900))
def test_batches_that_do_not_fit_are_halved_until_they_do(lengths, memory):
    batches = Batches()
    tried = []

    def work(batch):
        tried.append(batch)
        if sum(lengths[index] for index in batch) > memory:
            raise MemoryError
        return [f"{index}: {lengths[index]}" for index in batch]

    found = batches.run(lengths, lambda length: 64, work)
    assert found == [f"{index}: {length}" for index, length in enumerate(lengths)]
    assert batches.num_halved == sum(sum(lengths[i] for i in batch) > memory for batch in tried)


def test_a_sentence_that_does_not_fit_alone_is_named():
    def work(batch):
        if 2 in batch:
            raise MemoryError
        return batch

    with pytest.raises(TooLongError, match=r"sentence 3 does not fit into memory: 7 pieces; give"):
        Batches().run([4, 5, 7, 6], lambda length: 3, work)


def test_other_errors_are_not_tried_again():
    tried = []

    def work(batch):
        tried.append(batch)
        raise RuntimeError("sizes differ")

    with pytest.raises(RuntimeError, match="sizes differ"):
        Batches().run([1, 1], lambda length: 2, work)
    assert tried == [[0, 1]]


@given(st.integers(1, 10_000), st.integers(1, 200))
def test_alignments_of_forced_targets_are_bounded_too(length, batch_size):
    search = SearchConfig(batch_size=batch_size)
    most = most_to_force(length, search)
    assert most <= most_to_score(length, search)
    assert most <= 1 or most * length**2 <= batch_size * 2**18
    assert length > 64 or most == batch_size


@given(st.integers(1, 300), st.integers(5, 60), st.integers(1, 4))
def test_samples_and_networks_take_the_memory_of_a_beam_as_wide(length, width, num_networks):
    of_samples = most_to_search(
        length, SearchConfig(samples=width), with_alignment=True, num_networks=num_networks
    )
    of_beam = most_to_search(
        length, SearchConfig(beam_size=width), with_alignment=True, num_networks=num_networks
    )
    assert of_samples == of_beam
    alone = most_to_search(length, SearchConfig(beam_size=width), with_alignment=False)
    together = most_to_search(
        length,
        SearchConfig(beam_size=width),
        with_alignment=False,
        num_networks=num_networks,
    )
    assert together <= alone
    if alone < 64:  # else the batch size bounds it
        assert together == pytest.approx(alone / num_networks, abs=1)


def test_the_shortest_target_follows_ratio_and_number():
    search = SearchConfig(min_length=3, min_length_ratio=0.5)
    assert [shortest_target(length, search) for length in (1, 7, 9)] == [3, 3, 4]


def test_a_part_that_is_too_long_is_named_by_its_owner():
    with (
        pytest.raises(TooLongError, match="sentence 8 does not fit") as caught,
        naming_owners([3, 7, 7]),
    ):
        raise TooLongError(1, "9 pieces")
    assert (caught.value.index, caught.value.what) == (7, "9 pieces")
