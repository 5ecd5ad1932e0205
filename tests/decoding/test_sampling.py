import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_search import plain_score
from prefix_network import BOS, EOS, PAD, SOURCE_LENGTH, PrefixNetwork

from seq2seq.decoding.beam_search import Hypothesis, beam_search
from seq2seq.decoding.length_penalty import Ranking
from seq2seq.decoding.sampling import sample, stream_key

seeds = st.integers(0, 10**6)
SMALLEST_P_VALUE = 1e-4  # the draws are the same in each run of this test


def draw(network: PrefixNetwork, sentences: list[int], **options) -> list[list[Hypothesis]]:
    options = {"num_samples": 1, "max_lengths": [6] * len(sentences)} | options
    seed = options.pop("seed", 1)
    keys = [stream_key(seed, [sentence]) for sentence in sentences]
    return sample(network.step, network.start(sentences), keys=keys, **options)


def plain(samples: list[Hypothesis]) -> list[tuple[list[int], bool]]:
    return [(each.ids, each.truncated) for each in samples]


def plain_weights(log_probabilities: list[float], temperature: float, top_k: int, top_p: float):
    """Probabilities of a draw by definition: [(id, probability)], the likeliest first."""
    allowed = [(log_p, id_) for id_, log_p in enumerate(log_probabilities) if id_ not in (PAD, BOS)]
    allowed = sorted((each for each in allowed if each[0] > -math.inf), reverse=True)
    weights = [(id_, math.exp(log_p / temperature)) for log_p, id_ in allowed]
    weights = weights[: top_k or None]
    total = math.fsum(weight for _, weight in weights)
    kept, share = [], 0.0
    for id_, weight in weights:
        kept.append((id_, weight))
        share += weight / total
        if share >= top_p:
            break
    total = math.fsum(weight for _, weight in kept)
    return [(id_, weight / total) for id_, weight in kept]


def every_probability(network: PrefixNetwork, max_length: int, **shape) -> dict[tuple, float]:
    """The probability of every sentence that can be drawn."""
    found: dict[tuple, float] = {}
    open_ones = [((), 1.0)]
    for length in range(1, max_length + 1):
        grown = []
        for prefix, probability in open_ones:
            for id_, share in plain_weights(network.log_probabilities(7, prefix), **shape):
                each = ((*prefix, id_), probability * share)
                if id_ == EOS or length == max_length:
                    found[each[0]] = each[1]
                else:
                    grown.append(each)
        open_ones = grown
    return found


def chi_square_p_value(counts: Counter, expected: dict[tuple, float]) -> float:
    """Of Pearson's test, rare outcomes taken together (Wilson and Hilferty's approximation)."""
    number = sum(counts.values())
    common = [each for each, probability in expected.items() if probability * number >= 5]
    observed = [counts[each] for each in common]
    wanted = [expected[each] * number for each in common]
    rest = number - sum(wanted)
    if rest > 5:
        observed.append(number - sum(observed))
        wanted.append(rest)
    statistic = sum((o - w) ** 2 / w for o, w in zip(observed, wanted, strict=True))
    freedom = len(wanted) - 1
    normal = ((statistic / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(2 / 9 / freedom)
    return math.erfc(normal / math.sqrt(2)) / 2


@pytest.mark.parametrize(
    "shape",
    [
        {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
        {"temperature": 0.5, "top_k": 0, "top_p": 1.0},
        {"temperature": 1.7, "top_k": 3, "top_p": 1.0},
        {"temperature": 1.3, "top_k": 0, "top_p": 0.7},
        {"temperature": 1.5, "top_k": 4, "top_p": 0.8},
    ],
    ids=["plain", "cold", "top_k", "nucleus", "all"],
)
def test_sentences_come_as_often_as_they_are_probable(shape):
    network = PrefixNetwork(seed=3, vocabulary_size=7, spread=1.0)
    (samples,) = draw(network, [7], num_samples=4000, max_lengths=[3], **shape)
    counts = Counter(tuple(each.ids) for each in samples)
    expected = every_probability(network, 3, **shape)
    assert sum(expected.values()) == pytest.approx(1)
    assert counts.keys() <= expected.keys()
    assert len(expected) > 5
    assert chi_square_p_value(counts, expected) > SMALLEST_P_VALUE
    uniform = dict.fromkeys(expected, 1 / len(expected))
    assert chi_square_p_value(counts, uniform) < SMALLEST_P_VALUE  # the test can tell


@settings(max_examples=12)
@given(seeds, st.sampled_from([0.0, 1e-6]), st.sampled_from([0.0, 0.3]))
def test_no_temperature_is_greedy_search(seed, temperature, impossible):
    network = PrefixNetwork(seed, vocabulary_size=8, attends=True, impossible=impossible)
    sentences, lengths = [4, 5, 6], [3, 6, 5]
    greedy = beam_search(network.step, network.start(sentences), beam_size=1, max_lengths=lengths)
    drawn = draw(
        network, sentences, num_samples=2, max_lengths=lengths, seed=seed, temperature=temperature
    )
    for (best,), samples in zip(greedy, drawn, strict=True):
        for each in samples:
            assert (each.ids, each.truncated) == (best.ids, best.truncated)
            assert each.log_probability == pytest.approx(best.log_probability, abs=1e-5)
            assert each.score == pytest.approx(best.score, abs=1e-5)
            assert torch.equal(each.alignment, best.alignment)


@settings(max_examples=12)
@given(seeds, st.integers(1, 5), st.integers(0, 3), st.sampled_from([0.4, 0.9, 1.0]))
def test_neighbours_and_numbers_change_no_sample(seed, number, more, top_p):
    network = PrefixNetwork(seed, vocabulary_size=9, attends=True)
    options = {"seed": seed, "top_p": top_p, "min_lengths": 1}
    together = draw(network, [4, 5, 6], num_samples=number + more, max_lengths=[5, 3, 6], **options)
    for sentence, length, samples in zip([4, 5, 6], [5, 3, 6], together, strict=True):
        (alone,) = draw(network, [sentence], num_samples=number, max_lengths=[length], **options)
        pool = list(samples)
        for each in alone:  # the others were drawn after these
            twin = next(t for t in pool if plain([t]) == plain([each]))
            assert twin.score == pytest.approx(each.score, abs=1e-6)
            assert torch.equal(twin.alignment, each.alignment)
            pool = [t for t in pool if t is not twin]
        assert len(pool) == more


@settings(max_examples=12)
@given(seeds, st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.0, 0.4]), st.integers(0, 2))
def test_samples_are_what_they_say(seed, temperature, impossible, min_length):
    network = PrefixNetwork(seed, vocabulary_size=6, attends=True, impossible=impossible)
    (samples,) = draw(
        network,
        [5],
        num_samples=6,
        max_lengths=[4],
        seed=seed,
        temperature=temperature,
        min_lengths=min_length,
    )
    assert len(samples) == 6
    for each in samples:
        expected = plain_score(network, 5, each.ids)
        assert each.log_probability == pytest.approx(expected, abs=1e-5)
        assert each.score == pytest.approx(expected / max(len(each.ids), 1), abs=1e-5)
        assert each.truncated == (EOS not in each.ids)
        assert not {PAD, BOS} & set(each.ids)
        assert EOS not in each.ids[:min_length]
        assert each.alignment.shape == (len(each.ids), SOURCE_LENGTH)
        for position, row in enumerate(each.alignment):
            assert torch.equal(row, network.attend(5, tuple(each.ids[:position])))
    order = [(each.truncated, -each.score) for each in samples]
    assert order == sorted(order)


def test_scores_count_words_and_coverage():
    network = PrefixNetwork(3, vocabulary_size=6, attends=True)
    ranking = Ranking(length_penalty=0.5, word_reward=0.3, coverage_penalty=0.7)
    (samples,) = draw(
        network, [5], num_samples=5, max_lengths=[5], ranking=ranking, source_lengths=[4]
    )
    for each in samples:
        attended = each.alignment.double().sum(0)[:4]  # the last position is padding
        coverage = float(attended.clamp_max(1).log().sum())
        expected = ranking.score(each.log_probability, len(each.ids), coverage)
        assert each.score == pytest.approx(expected, abs=1e-5)
    assert len({round(each.score, 6) for each in samples}) > 2


class Even(PrefixNetwork):
    """Four ids tie, and after them two others."""

    table = torch.tensor([-9.0, 0.0, 0.0, -1.0, 1.0, 1.0, 1.0, 1.0, 0.0])

    def logits(self, sentence, prefix):
        return self.table


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"temperature": 0.0}, {4}),
        ({"top_k": 1}, {4}),
        ({"top_k": 3}, {4, 5, 6}),
        ({"top_k": 5}, {4, 5, 6, 7, 1}),
        ({"top_p": 0.0}, {4}),
        ({"top_p": 0.3}, {4, 5}),
        ({"top_k": 4, "top_p": 0.7}, {4, 5, 6}),
    ],
    ids=["cold", "one", "three", "five", "no share", "small share", "both"],
)
def test_of_equal_pieces_the_first_ones_are_kept(shape, expected):
    # 4 e + 2 + 1/e are 13.24, of which each of the likeliest has 0.205.
    network = Even(1, vocabulary_size=9)
    (samples,) = draw(network, [4], num_samples=200, max_lengths=[1], **shape)
    assert {each.ids[0] for each in samples} == expected


def test_another_seed_draws_other_samples():
    network = PrefixNetwork(1, vocabulary_size=12, spread=0.5)
    first, second = (plain(draw(network, [4], num_samples=5, seed=seed)[0]) for seed in (1, 2))
    assert first != second
    assert first == plain(draw(network, [4], num_samples=5, seed=1)[0])


def test_other_source_ids_have_other_streams():
    keys = {stream_key(seed, ids) for seed in (1, 2) for ids in ([1, 2], [2, 1], [12], [])}
    assert len(keys) == 8
    assert all(0 <= key < 2**128 for key in keys)


def test_only_candidates_are_drawn():
    network = PrefixNetwork(1, vocabulary_size=9, spread=0.5)
    candidates = torch.tensor([[EOS, 5, 7, PAD], [EOS, 4, 6, 8]])

    def step(ids, state):
        logits, after = network.step(ids, state)
        columns = state.candidate_ids.repeat_interleave(len(ids) // len(state.memory), dim=0)
        logits = logits.gather(1, columns).masked_fill(columns == PAD, -math.inf)
        return logits, after.with_candidates(state.candidate_ids)

    state = network.start([4, 5]).with_candidates(candidates)
    found = sample(step, state, num_samples=40, keys=[1, 2], max_lengths=[5, 5])
    for samples, allowed in zip(found, [{EOS, 5, 7}, {EOS, 4, 6, 8}], strict=True):
        assert {id_ for each in samples for id_ in each.ids} == allowed


def test_sentences_that_are_done_leave_the_batch():
    network = PrefixNetwork(1, vocabulary_size=9, spread=0.5)
    draw(network, [4, 5], num_samples=8, max_lengths=[2, 40])
    assert network.sentences_seen[:2] == [2, 2]
    assert set(network.sentences_seen[2:]) == {1}
    assert network.rows_seen[0] == 16
    assert network.rows_seen == sorted(network.rows_seen, reverse=True)
    assert network.rows_seen[-1] == 1


def test_where_nothing_may_follow_a_sample_is_truncated():
    network = PrefixNetwork(1, vocabulary_size=9, impossible=1.0)
    (samples,) = draw(network, [4], num_samples=2)
    assert [(each.ids, each.log_probability, each.truncated) for each in samples] == [
        ([], 0.0, True)
    ] * 2


def test_alignments_are_left_out_on_wish():
    network = PrefixNetwork(1, vocabulary_size=9, attends=True)
    (samples,) = draw(network, [4], keep_alignment=False)
    assert samples[0].alignment is None


def test_no_sentences_have_no_samples():
    assert draw(PrefixNetwork(1, vocabulary_size=9), []) == []


def test_a_wide_nucleus_is_found_in_a_wide_vocabulary():
    logits = torch.zeros(1, 2000)
    logits[0, 100:200] = 1.0

    class Table(PrefixNetwork):
        def logits(self, sentence, prefix):
            return logits[0]

    # 100 ids of weight e and 1,900 of weight 1: 90 % needs nearly all of them, 12 % only the first.
    network = Table(1, vocabulary_size=2000)
    for top_p, only_likeliest in ((0.12, True), (0.9, False)):
        (samples,) = draw(network, [4], num_samples=300, max_lengths=[1], top_p=top_p)
        ids = {each.ids[0] for each in samples}
        assert (ids <= set(range(100, 200))) == only_likeliest


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_refused(bad):
    class Broken(PrefixNetwork):
        def logits(self, sentence, prefix):
            return torch.full((self.vocabulary_size,), bad)

    with pytest.raises(ValueError, match="infinite or not a number"):
        draw(Broken(1, vocabulary_size=9), [4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "`num_samples` must be at least 1, but is 0"),
        ({"temperature": -1.0}, "`temperature` must be at least 0 and finite, but is -1.0"),
        ({"temperature": math.nan}, "`temperature` must be at least 0 and finite, but is nan"),
        ({"top_k": -1}, "`top_k` must be at least 0, but is -1"),
        ({"top_p": 1.5}, "`top_p` must be from 0 to 1, but is 1.5"),
    ],
    ids=["num_samples", "temperature", "nan", "top_k", "top_p"],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        draw(PrefixNetwork(1, vocabulary_size=9), [4], **options)
