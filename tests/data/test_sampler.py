import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError
from seq2seq.data.sampler import TokenBatchSampler

LENGTHS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=120).map(
    lambda pairs: np.array(pairs, dtype=np.int64).reshape(-1, 2)
)


def random_lengths(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    sources = generator.integers(1, 40, count)
    return sources, np.maximum(0, sources + generator.integers(-4, 5, count))


def cost(lengths: np.ndarray, batch: np.ndarray) -> int:
    return len(batch) * (int(lengths[batch].max()) + 1)


@given(lengths=LENGTHS, batch_tokens=st.integers(1, 200), epoch=st.integers(0, 3))
def test_every_pair_stands_in_one_batch_within_the_budget(
    lengths: np.ndarray, batch_tokens: int, epoch: int
) -> None:
    sampler = TokenBatchSampler(lengths[:, 0], lengths[:, 1], batch_tokens)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or cost(lengths, batch) <= batch_tokens


@given(
    lengths=LENGTHS,
    batch_tokens=st.integers(20, 200),
    world_size=st.integers(1, 5),
    shuffle=st.booleans(),
)
def test_processes_share_the_batches_evenly(
    lengths: np.ndarray, batch_tokens: int, world_size: int, shuffle: bool
) -> None:
    samplers = [
        TokenBatchSampler(
            lengths[:, 0],
            lengths[:, 1],
            batch_tokens,
            shuffle=shuffle,
            rank=rank,
            world_size=world_size,
        )
        for rank in range(world_size)
    ]
    plans = [sampler.plan() for sampler in samplers]
    assert len({len(plan) for plan in plans}) == 1
    assert all(len(plan) == len(sampler) for plan, sampler in zip(plans, samplers, strict=True))
    served = [index for plan in plans for batch in plan for index in batch]
    assert set(served) == set(range(len(lengths)))
    if len(lengths) >= world_size * (len(plans[0]) if plans[0] else 0):
        assert len(served) == len(lengths)
    else:  # only single rows, and fewer than processes could share
        assert all(len(batch) == 1 for plan in plans for batch in plan)


def test_processes_get_batches_of_like_length_in_one_step() -> None:
    sources, targets = random_lengths(4000)
    plans = [
        TokenBatchSampler(sources, targets, 600, rank=rank, world_size=4).plan()
        for rank in range(4)
    ]
    longest = np.array([[(sources[batch].max()) for batch in plan] for plan in plans])
    assert np.ptp(longest, axis=0).mean() < 3 < np.ptp(longest, axis=1).mean()


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    sources, targets = random_lengths(500)

    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = TokenBatchSampler(sources, targets, 300, seed=seed)
        sampler.set_epoch(epoch)
        return [batch.tolist() for batch in sampler]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert {tuple(sorted(b)) for b in order(1, 0)} != {tuple(sorted(b)) for b in order(1, 1)}


def test_the_number_of_batches_is_the_same_in_all_epochs() -> None:
    sources, targets = random_lengths(2000)
    sampler = TokenBatchSampler(sources, targets, 250)
    counts = set()
    for epoch in range(5):
        sampler.set_epoch(epoch)
        counts.add(len(list(sampler)))
    assert counts == {len(sampler)}


def test_short_and_long_batches_are_mixed() -> None:
    sources, targets = random_lengths(5000)
    longest = [int(sources[batch].max()) for batch in TokenBatchSampler(sources, targets, 500)]
    assert longest != sorted(longest)
    first, second = np.array_split(longest, 2)
    assert abs(np.mean(first) - np.mean(second)) < 6


def test_without_shuffling_batches_go_from_short_to_long() -> None:
    sources, targets = random_lengths(300)
    sampler = TokenBatchSampler(sources, targets, 200, shuffle=False)
    batches = list(sampler)
    longest = [max(sources[batch].max(), targets[batch].max()) for batch in batches]
    assert longest == sorted(longest)
    sampler.set_epoch(3)
    again = list(sampler)
    assert all(np.array_equal(*both) for both in zip(batches, again, strict=True))


def test_padding_is_little_and_counted_as_it_is() -> None:
    sources, targets = random_lengths(20000)
    sampler = TokenBatchSampler(sources, targets, 2048)
    source_share, target_share = sampler.padding_shares()
    batches = list(sampler)
    padded = sum(len(batch) * (targets[batch].max() + 1) for batch in batches)
    assert target_share == pytest.approx(1 - (targets + 1).sum() / padded)
    assert 0 < source_share < 0.05
    assert 0 < target_share < 0.05


def test_padding_of_both_sides_is_counted_in_one_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = TokenBatchSampler._all_batches
    sampler = TokenBatchSampler(*random_lengths(300), 200)
    planned = []

    def count(sampler: TokenBatchSampler) -> list[np.ndarray]:
        planned.append(sampler.epoch)
        return plan(sampler)

    monkeypatch.setattr(TokenBatchSampler, "_all_batches", count)
    sampler.padding_shares()
    assert planned == [0]


def test_a_pair_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    sampler = TokenBatchSampler(np.array([3, 90, 4]), np.array([3, 5, 4]), 20)
    assert sorted(sorted(batch.tolist()) for batch in sampler) == [[0, 2], [1]]


def test_a_state_continues_after_the_last_batch() -> None:
    sources, targets = random_lengths(400)
    sampler = TokenBatchSampler(sources, targets, 200)
    sampler.set_epoch(2)
    everything = [batch.tolist() for batch in sampler]
    iterator = iter(sampler)
    for _ in range(5):
        next(iterator)
    state = sampler.state_dict()

    resumed = TokenBatchSampler(sources, targets, 200)
    resumed.load_state_dict(state)
    waiting = iter(resumed)
    resumed.set_epoch(2)  # the same epoch: the position stays
    assert len(resumed) == len(everything)
    assert [batch.tolist() for batch in waiting] == everything[5:]
    assert [batch.tolist() for batch in resumed] == everything


def test_another_epoch_begins_at_its_first_batch() -> None:
    sources, targets = random_lengths(400)
    sampler = TokenBatchSampler(sources, targets, 200)
    sampler.load_state_dict({**sampler.state_dict(), "epoch": 1, "position": 4})
    sampler.set_epoch(2)
    assert len(list(sampler)) == len(sampler)


def test_an_iteration_that_was_left_early_begins_anew() -> None:
    sources, targets = random_lengths(100)
    sampler = TokenBatchSampler(sources, targets, 100)
    next(iter(sampler))
    assert len(list(sampler)) == len(sampler)


def test_a_state_of_other_settings_is_refused() -> None:
    sources, targets = random_lengths(100)
    state = TokenBatchSampler(sources, targets, 100).state_dict()
    message = "The checkpoint was made with batch_tokens 100, but the run to resume has 200."
    with pytest.raises(ConfigurationError, match=message):
        TokenBatchSampler(sources, targets, 200).load_state_dict(state)


def test_a_state_of_another_corpus_is_refused() -> None:
    sources, targets = random_lengths(100)
    state = TokenBatchSampler(sources, targets, 100).state_dict()
    message = (
        r"^The training corpus has changed since the run began; restore it, or start again with "
        r"`--overwrite`\.$"
    )
    for other in (
        TokenBatchSampler(sources[1:], targets[1:], 100),
        TokenBatchSampler(sources + 1, targets, 100),
        TokenBatchSampler(sources, targets + 1, 100),
    ):
        with pytest.raises(ConfigurationError, match=message):
            other.load_state_dict(state)


def test_wrong_arguments_are_refused() -> None:
    lengths = np.array([1, 2])
    message = "`training.batch_tokens` must be at least 1, but is 0."
    with pytest.raises(ConfigurationError, match=message):
        TokenBatchSampler(lengths, lengths, 0)
    with pytest.raises(ValueError, match=r"`rank` must be in \[0, 2\), but is 2."):
        TokenBatchSampler(lengths, lengths, 10, rank=2, world_size=2)
    with pytest.raises(ValueError, match=r"must be equally long, but have 2 and 1 entries\."):
        TokenBatchSampler(lengths, lengths[1:], 10)
