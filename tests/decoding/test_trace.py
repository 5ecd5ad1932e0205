import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_search import plain_score
from prefix_network import BOS, EOS, PAD, PrefixNetwork

from seq2seq.decoding.beam_search import Hypothesis, beam_search
from seq2seq.decoding.trace import Trace

seeds = st.integers(0, 10**6)
Prefix = tuple[int, ...]


def search(network: PrefixNetwork, **options) -> tuple[list[Hypothesis], Trace]:
    trace = Trace()
    (hypotheses,) = beam_search(network.step, network.start([0]), trace=trace, **options)
    return hypotheses, trace


def prefixes_by_step(trace: Trace) -> list[dict[Prefix, float]]:
    """The living hypotheses after each step, read off the rows that were kept."""
    found, rows = [], [()]
    for kept in trace.kept:
        rows = [(*rows[row], id_) for _, id_, row in kept]
        totals = [total for total, _, _ in kept]
        found.append({p: t for p, t in zip(rows, totals, strict=True) if t > -math.inf})
    return found


def plain_living(network: PrefixNetwork, beam_size: int, num_steps: int) -> list[dict]:
    """The same by sorting lists, without any end of the search."""
    found, living = [], {(): 0.0}
    for _ in range(num_steps):
        grown = {
            (*prefix, id_): total + log_probability
            for prefix, total in living.items()
            for id_, log_probability in enumerate(network.log_probabilities(0, prefix))
            if id_ not in (PAD, BOS, EOS) and log_probability > -math.inf
        }
        best = sorted(grown, key=lambda prefix: -grown[prefix])[:beam_size]
        living = {prefix: grown[prefix] for prefix in best}
        found.append(living)
    return found


@settings(max_examples=60)
@given(
    seed=seeds,
    beam_size=st.integers(1, 6),
    max_length=st.integers(1, 6),
    impossible=st.sampled_from([0.0, 0.3]),
)
def test_a_trace_has_every_living_hypothesis_of_every_step(seed, beam_size, max_length, impossible):
    network = PrefixNetwork(seed, vocabulary_size=8, impossible=impossible)
    _, trace = search(network, beam_size=beam_size, max_lengths=[max_length])
    found = prefixes_by_step(trace)
    assert found[-1] == {}, "nothing lives when the search is done"
    expected = plain_living(network, beam_size, len(found) - 1)
    for ours, theirs in zip(found, expected, strict=False):
        assert ours.keys() == theirs.keys()
        assert list(ours.values()) == pytest.approx(list(theirs.values()), abs=1e-5)


@settings(max_examples=25)
@given(seed=seeds, max_length=st.integers(1, 4))
def test_a_beam_that_holds_everything_keeps_every_beginning(seed, max_length):
    network = PrefixNetwork(seed, vocabulary_size=6)
    words = [id_ for id_ in range(6) if id_ not in (PAD, BOS, EOS)]
    hypotheses, trace = search(
        network, beam_size=150, n_best=150, max_lengths=[max_length], length_penalty=0.0
    )
    for length, living in enumerate(prefixes_by_step(trace)[:-1], 1):
        assert set(living) == set(product(words, repeat=length))
        for prefix, total in living.items():
            assert total == pytest.approx(plain_score(network, 0, list(prefix)), abs=1e-5)
    assert len(trace.leaves) == len(hypotheses) == sum(3**n for n in range(max_length + 1))


@settings(max_examples=40)
@given(seed=seeds, beam_size=st.integers(1, 6), groups=st.sampled_from([1, 2]))
def test_a_trace_changes_nothing(seed, beam_size, groups):
    options = {"beam_size": beam_size * groups, "num_groups": groups, "max_lengths": [5]}
    network = PrefixNetwork(seed, vocabulary_size=9)
    (plain,) = beam_search(network.step, network.start([0]), **options)
    traced, trace = search(network, **options)
    assert traced == plain
    assert [len(kept) > 0 for kept in trace.kept] == [True] * (len(trace.kept) - 1) + [False]


def test_a_trace_has_all_that_was_offered_and_what_became_of_it():
    network = PrefixNetwork(seed=3, vocabulary_size=8)
    _, trace = search(network, beam_size=3, max_lengths=[4])
    for position, (offered, kept) in enumerate(zip(trace.offered, trace.kept, strict=True)):
        assert set(kept) <= set(offered)
        assert len(offered) in (5, 6), "of the first step there are no more, then twice the beam"
        ended = {(leaf.row, leaf.last_id) for leaf in trace.leaves if leaf.position == position}
        assert ended <= {(row, id_) for _, id_, row in offered}
        assert ended.isdisjoint({(row, id_) for _, id_, row in kept})


def test_a_trace_is_of_one_sentence():
    network = PrefixNetwork(seed=1, vocabulary_size=6)
    with pytest.raises(ValueError, match="`trace` is of one sentence, but there are 2"):
        beam_search(
            network.step, network.start([0, 1]), beam_size=2, max_lengths=[3, 3], trace=Trace()
        )
