import math
from itertools import product

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from plain_search import Found, plain_penalty, plain_score
from prefix_network import BOS, EOS, PAD, SOURCE_LENGTH, PrefixNetwork

from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.decoding.beam_search import Hypothesis, beam_search
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES, Ranking

seeds = st.integers(0, 10**6)
kinds = st.sampled_from(list(LENGTH_PENALTIES))
penalties = st.sampled_from([0.0, 0.6, 1.0])


def search(network: PrefixNetwork, num_sentences: int = 1, **options) -> list[list[Hypothesis]]:
    return beam_search(network.step, network.start(list(range(num_sentences))), **options)


def plain_coverage(network: PrefixNetwork, ids: list[int], source_length: int) -> float:
    steps = [network.attend(0, tuple(ids[:position])).tolist() for position in range(len(ids))]
    sums = [sum(step[place] for step in steps) for place in range(source_length)]
    return sum(math.log(min(attended, 1.0)) for attended in sums)


def every_sentence(network: PrefixNetwork, max_length: int) -> list[Found]:
    words = [id_ for id_ in range(network.vocabulary_size) if id_ not in (PAD, BOS, EOS)]
    found = []
    for length in range(max_length + 1):
        for ids in product(words, repeat=length):
            said = [*ids, EOS] if length < max_length else [*ids]
            found.append((said, plain_score(network, 0, said), length == max_length))
    return found


@given(
    seed=seeds,
    kind=kinds,
    penalty=penalties,
    reward=st.sampled_from([-0.7, 0.0, 0.4, 3.0]),
    weight=st.sampled_from([0.0, 0.3, 2.0]),
    max_length=st.integers(1, 4),
    n_best=st.integers(1, 6),
    source_length=st.integers(1, SOURCE_LENGTH),
)
def test_a_wide_beam_equals_ranking_every_sentence(
    seed, kind, penalty, reward, weight, max_length, n_best, source_length
):
    network = PrefixNetwork(seed, vocabulary_size=6, attends=True)
    (hypotheses,) = search(
        network,
        beam_size=150,
        max_lengths=[max_length],
        length_penalty=penalty,
        length_penalty_kind=kind,
        word_reward=reward,
        coverage_penalty=weight,
        source_lengths=[source_length],
        n_best=n_best,
    )

    def score(found: Found) -> float:
        ids, log_probability, _ = found
        divided = log_probability / plain_penalty(len(ids), penalty, kind)
        return divided + reward * len(ids) + weight * plain_coverage(network, ids, source_length)

    expected = sorted(every_sentence(network, max_length), key=lambda each: (each[2], -score(each)))
    for hypothesis, each in zip(hypotheses, expected[:n_best], strict=True):
        assert hypothesis.score == pytest.approx(score(each), abs=1e-4)
        assert (hypothesis.ids, hypothesis.truncated) == (each[0], each[2])


def test_sentences_of_different_lengths_are_covered_each_by_itself():
    network = PrefixNetwork(7, vocabulary_size=8, attends=True)
    options = {"beam_size": 3, "coverage_penalty": 0.5, "max_lengths": [9]}
    together = beam_search(
        network.step,
        network.start([0, 1, 2]),
        **(options | {"max_lengths": [9] * 3}),
        source_lengths=[2, 5, 3],
    )
    for sentence, length in enumerate([2, 5, 3]):
        (alone,) = beam_search(
            network.step, network.start([sentence]), **options, source_lengths=[length]
        )
        assert together[sentence][0].ids == alone[0].ids
        assert together[sentence][0].score == pytest.approx(alone[0].score, abs=1e-6)


def test_coverage_needs_an_alignment():
    network = PrefixNetwork(1, vocabulary_size=6)
    with pytest.raises(ValueError, match="`coverage_penalty` needs a step function with an align"):
        search(network, beam_size=2, max_lengths=[3], coverage_penalty=0.1, source_lengths=[2])


def test_a_position_that_is_never_attended_to_costs_much_but_is_no_end():
    score = Ranking(coverage_penalty=0.2).score(-4.0, 4, coverage=-69.0)
    assert score == pytest.approx(-1.0 - 13.8)


def test_a_reward_counts_the_end_and_adds_to_what_is_divided():
    assert Ranking(length_penalty=0.5, word_reward=0.25).score(-4.0, 4) == pytest.approx(-2 + 1)


def test_settings_of_a_recipe_become_a_ranking():
    search = SearchConfig(
        length_penalty=0.3, length_penalty_kind="gnmt", word_reward=0.1, coverage_penalty=0.2
    )
    assert Ranking.of(search) == Ranking(0.3, "gnmt", 0.1, 0.2)
    with pytest.raises(ConfigurationError, match="`length_penalty_kind` must be one of power"):
        Ranking(length_penalty_kind="cubic")


def plain_diverse_search(
    network: PrefixNetwork,
    *,
    size: int,
    groups: int,
    strength: float,
    max_length: int,
    n_best: int,
) -> list[Found]:
    """Vijayakumar et al. (2016), algorithm 1, in lists, by sums of log-probabilities.

    A group is done when its best living hypothesis is no better than its n-best that ended.
    """
    living = [[((), 0.0)] for _ in range(groups)]
    ended: list[list[Found]] = [[] for _ in range(groups)]
    for length in range(1, max_length + 1):
        chosen: list[int] = []
        for group in range(groups):
            candidates = [
                (total + log_probability - strength * chosen.count(id_), (*prefix, id_))
                for prefix, total in living[group]
                for id_, log_probability in enumerate(network.log_probabilities(0, prefix))
                if id_ not in (PAD, BOS)
            ]
            candidates.sort(key=lambda candidate: -candidate[0])
            counted = [(list(ids), plain_score(network, 0, list(ids))) for _, ids in candidates]
            for ids, total in counted[:size]:
                if ids[-1] == EOS or length == max_length:
                    ended[group].append((ids, total, ids[-1] != EOS))
            going_on = [(tuple(ids), total) for ids, total in counted if ids[-1] != EOS][:size]
            if not candidates:
                continue
            finished = sorted((total for _, total, cut in ended[group] if not cut), reverse=True)
            best_living = max(total for _, total in going_on)
            living[group] = going_on
            if len(finished) >= n_best and best_living <= finished[n_best - 1]:
                living[group] = []
            chosen += [ids[-1] for ids, _ in counted[:size]]
    best = [sorted(group, key=lambda each: (each[2], -each[1]))[:n_best] for group in ended]
    return [found for group in best for found in group]


@given(
    seed=seeds,
    size=st.integers(1, 3),
    groups=st.integers(2, 3),
    strength=st.sampled_from([0.0, 0.5, 2.0, 5.0, 50.0]),
    max_length=st.integers(1, 5),
    is_single=st.booleans(),
)
@example(seed=12, size=2, groups=3, strength=5.0, max_length=5, is_single=True)
def test_diverse_groups_equal_plain_ones(seed, size, groups, strength, max_length, is_single):
    n_best = 1 if is_single else size * groups
    network = PrefixNetwork(seed, vocabulary_size=8)
    (hypotheses,) = search(
        network,
        beam_size=size * groups,
        num_groups=groups,
        diversity_strength=strength,
        max_lengths=[max_length],
        length_penalty=0.0,
        n_best=n_best,
    )
    found = plain_diverse_search(
        network,
        size=size,
        groups=groups,
        strength=strength,
        max_length=max_length,
        n_best=min(n_best, size),
    )
    best: dict[tuple[int, ...], tuple[bool, float]] = {
        tuple(ids): (cut, -total) for ids, total, cut in found
    }
    expected = sorted(best, key=best.__getitem__)
    assert [tuple(each.ids) for each in hypotheses] == expected[:n_best]


def test_groups_without_strength_find_the_same_and_give_it_once():
    network = PrefixNetwork(3, vocabulary_size=9)
    options = {"max_lengths": [6], "n_best": 2}
    (grouped,) = search(network, beam_size=4, num_groups=2, **options)
    (single,) = search(network, beam_size=2, **options)
    assert [each.ids for each in grouped] == [each.ids for each in single]


def test_groups_with_strength_differ_and_keep_their_probabilities():
    network = PrefixNetwork(3, vocabulary_size=9)
    options = {"beam_size": 3, "num_groups": 3, "max_lengths": [6], "n_best": 3}
    (hypotheses,) = search(network, diversity_strength=50.0, **options)
    assert len({each.ids[0] for each in hypotheses}) == 3
    for each in hypotheses:
        assert each.log_probability == pytest.approx(plain_score(network, 0, each.ids), abs=1e-5)


def test_the_groups_of_a_sentence_are_nothing_to_another():
    network = PrefixNetwork(5, vocabulary_size=9)
    options = {"beam_size": 4, "num_groups": 2, "diversity_strength": 1.0, "n_best": 4}
    together = search(network, 3, max_lengths=[6, 3, 8], **options)
    for sentence, max_length in enumerate([6, 3, 8]):
        (alone,) = beam_search(
            network.step, network.start([sentence]), max_lengths=[max_length], **options
        )
        assert [each.ids for each in together[sentence]] == [each.ids for each in alone]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_groups": 3}, r"`num_groups` must divide `beam_size` \(4\): 3\."),
        ({"coverage_penalty": -0.1}, "`coverage_penalty` must be at least 0 .*, but is -0.1"),
        ({"diversity_strength": -1.0}, "`diversity_strength` must be at least 0 .*, but is -1.0"),
        ({"diversity_strength": math.inf}, "`diversity_strength` .* finite, but is inf"),
        ({"word_reward": math.nan}, "`word_reward` must be finite, but is nan"),
    ],
    ids=["groups", "coverage", "strength", "infinite", "reward"],
)
def test_mistakes_are_named(options, message):
    network = PrefixNetwork(5, vocabulary_size=9)
    with pytest.raises(ValueError, match=message):
        search(network, beam_size=4, max_lengths=[3], source_lengths=[2], **options)


def test_a_reward_makes_the_search_wait_for_what_it_adds_up_to():
    #   BOS  1     2    EOS
    table = torch.tensor(
        [
            [0.0, 0.1, 0.0, 0.9],  # after BOS
            [0.0, 0.98, 0.0, 0.02],  # after 1
        ]
    ).log()

    class State:
        alignment = candidate_ids = None

        def select(self, rows):
            return self

        select_sentences = select

    (found,) = beam_search(
        lambda ids, state: (table[ids], state),
        State(),
        beam_size=25,
        max_lengths=[20],
        length_penalty=0.0,
        word_reward=0.5,
        bos_id=0,
        forbidden_ids=(),
    )
    assert found[0].ids == [1] * 19 + [EOS]
