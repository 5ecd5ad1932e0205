import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_search import plain_beam_search, plain_score, try_every_sentence
from prefix_network import BOS, EOS, PAD, SOURCE_LENGTH, PrefixNetwork
from torch import Tensor

from seq2seq.config import ConfigurationError
from seq2seq.decoding.beam_search import Hypothesis, beam_search
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES

kinds = st.sampled_from(list(LENGTH_PENALTIES))
seeds = st.integers(0, 10**6)
penalties = st.sampled_from([0.0, 0.6, 1.0, 1.7])


@dataclass
class NoState:
    alignment: Tensor | None = None
    candidate_ids: Tensor | None = None

    def select(self, rows: Tensor) -> "NoState":
        return self

    def select_sentences(self, indices: Tensor) -> "NoState":
        return self


def search_table(rows: list[list[float]], **options) -> list[Hypothesis]:
    table = torch.tensor(rows).log()
    options = {"max_lengths": [9], "bos_id": 0, "eos_id": 3, "forbidden_ids": ()} | options
    (hypotheses,) = beam_search(lambda ids, state: (table[ids], state), NoState(), **options)
    return hypotheses


def search(network: PrefixNetwork, sentences: list[int], **options) -> list[list[Hypothesis]]:
    return beam_search(network.step, network.start(sentences), **options)


def assert_same(hypotheses: list[Hypothesis], found: list[tuple[list[int], float, bool]]) -> None:
    assert [(each.ids, each.truncated) for each in hypotheses] == [
        (ids, truncated) for ids, _, truncated in found
    ]
    for hypothesis, (_, log_probability, _) in zip(hypotheses, found, strict=True):
        assert hypothesis.log_probability == pytest.approx(log_probability, abs=1e-5)


class TestByEye:
    table = (
        #  BOS  1    2    EOS
        [0.0, 0.6, 0.4, 0.0],  # after BOS
        [0.0, 0.1, 0.5, 0.4],  # after 1
        [0.0, 0.1, 0.0, 0.9],  # after 2
        [0.0, 0.0, 0.0, 1.0],  # after EOS, never asked
    )

    def test_greedy_search_takes_the_best_id_each_time(self):
        (best,) = search_table(self.table, beam_size=1)
        assert best.ids == [1, 2, 3]
        assert best.log_probability == pytest.approx(math.log(0.6 * 0.5 * 0.9), abs=1e-6)
        assert best.score == pytest.approx(math.log(0.6 * 0.5 * 0.9) / 3, abs=1e-6)
        assert not best.truncated
        assert best.alignment is None

    def test_a_beam_finds_the_more_probable_sentence(self):
        hypotheses = search_table(self.table, beam_size=3, n_best=3, length_penalty=0.0)
        assert [each.ids for each in hypotheses] == [[2, 3], [1, 2, 3], [1, 3]]
        expected = [math.log(0.4 * 0.9), math.log(0.6 * 0.5 * 0.9), math.log(0.6 * 0.4)]
        assert [each.log_probability for each in hypotheses] == pytest.approx(expected, abs=1e-6)
        assert [each.score for each in hypotheses] == pytest.approx(expected, abs=1e-6)

    def test_the_length_penalty_favours_the_longer_sentence(self):
        power = search_table(self.table, beam_size=3, n_best=2, length_penalty=1.0)
        assert [each.ids for each in power] == [[1, 2, 3], [2, 3]]
        gnmt = search_table(self.table, beam_size=3, length_penalty=2.0, length_penalty_kind="gnmt")
        assert gnmt[0].ids == [1, 2, 3]
        assert gnmt[0].score == pytest.approx(math.log(0.27) / (8 / 6) ** 2, abs=1e-6)

    def test_a_minimum_length_rules_out_shorter_sentences(self):
        hypotheses = search_table(
            self.table, beam_size=3, n_best=3, min_lengths=2, length_penalty=0.0
        )
        assert hypotheses[0].ids == [1, 2, 3]
        assert all(len(each.ids) >= 3 for each in hypotheses)

    def test_a_maximum_length_truncates(self):
        (best,) = search_table(self.table, beam_size=3, max_lengths=[1])
        assert best.ids == [1]
        assert best.truncated
        assert best.log_probability == pytest.approx(math.log(0.6), abs=1e-6)

    def test_hypotheses_that_ended_come_before_truncated_ones(self):
        table = (
            [0.0, 0.9, 0.0, 0.1],
            [0.0, 0.9, 0.0, 0.1],
            [0.0, 0.0, 0.0, 1.0],
            [0.0, 0.0, 0.0, 1.0],
        )
        hypotheses = search_table(table, beam_size=4, n_best=4, max_lengths=[3])
        assert [each.ids for each in hypotheses] == [[1, 1, 3], [1, 3], [3], [1, 1, 1]]
        assert [each.truncated for each in hypotheses] == [False, False, False, True]
        assert hypotheses[3].score > hypotheses[0].score


@settings(deadline=None, max_examples=60)
@given(
    seed=seeds,
    kind=kinds,
    penalty=penalties,
    words=st.integers(1, 3),
    max_lengths=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    min_length=st.integers(0, 5),
    n_best=st.integers(1, 12),
    impossible=st.sampled_from([0.0, 0.3]),
)
def test_a_wide_beam_equals_trying_every_sentence(
    seed, kind, penalty, words, max_lengths, min_length, n_best, impossible
):
    network = PrefixNetwork(seed, vocabulary_size=3 + words, impossible=impossible)
    ranking = {"length_penalty": penalty, "length_penalty_kind": kind, "n_best": n_best}
    sentences = list(range(len(max_lengths)))
    found = search(
        network,
        sentences,
        beam_size=150,
        max_lengths=max_lengths,
        min_lengths=min_length,
        **ranking,
    )
    for sentence, hypotheses in zip(sentences, found, strict=True):
        expected = try_every_sentence(
            network, sentence, max_length=max_lengths[sentence], min_length=min_length, **ranking
        )
        if expected:  # nothing if every beginning leads nowhere
            assert_same(hypotheses, expected)
        else:
            assert all(each.truncated for each in hypotheses)


@settings(deadline=None, max_examples=150)
@given(
    seed=seeds,
    kind=kinds,
    penalty=penalties,
    vocabulary_size=st.integers(4, 12),
    beam_size=st.integers(1, 6),
    lengths=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), min_size=1, max_size=4),
    forbidden_ids=st.sampled_from([(0,), (0, 1, 2), (0, 2, 99)]),
    impossible=st.sampled_from([0.0, 0.2, 0.7]),
    spread=st.sampled_from([0.5, 2.0, 5.0]),
    data=st.data(),
)
def test_the_search_equals_a_plain_one(
    seed,
    kind,
    penalty,
    vocabulary_size,
    beam_size,
    lengths,
    forbidden_ids,
    impossible,
    spread,
    data,
):
    network = PrefixNetwork(seed, vocabulary_size, spread, impossible=impossible)
    ranking = {
        "length_penalty": penalty,
        "length_penalty_kind": kind,
        "n_best": data.draw(st.integers(1, beam_size)),
        "beam_size": beam_size,
    }
    found = search(
        network,
        list(range(len(lengths))),
        max_lengths=[max_length for max_length, _ in lengths],
        min_lengths=[min_length for _, min_length in lengths],
        forbidden_ids=forbidden_ids,
        **ranking,
    )
    for sentence, (max_length, min_length) in enumerate(lengths):
        expected = plain_beam_search(
            network,
            sentence,
            max_length=max_length,
            min_length=min_length,
            forbidden_ids=(*forbidden_ids, BOS),
            **ranking,
        )
        assert_same(found[sentence], expected)
        for hypothesis in found[sentence]:
            assert math.isfinite(hypothesis.score)
            assert not set(hypothesis.ids) & {*forbidden_ids, BOS}
        different = {tuple(each.ids) for each in found[sentence]}
        assert len(different) == len(found[sentence])


@pytest.mark.parametrize("beam_size", [1, 4])
def test_other_sentences_in_the_batch_change_nothing(beam_size):
    network = PrefixNetwork(seed=3, vocabulary_size=11)
    options = {"beam_size": beam_size, "n_best": beam_size}
    max_lengths = [3, 17, 8, 1, 12, 9]
    together = search(network, list(range(6)), max_lengths=max_lengths, **options)
    for sentence, max_length in enumerate(max_lengths):
        (alone,) = search(network, [sentence], max_lengths=[max_length], **options)
        assert together[sentence] == alone
    backwards = search(network, list(range(6))[::-1], max_lengths=max_lengths[::-1], **options)
    assert backwards[::-1] == together


@pytest.mark.parametrize("min_length", [0, 4])
@pytest.mark.parametrize("seed", range(20))
def test_a_beam_of_one_is_a_loop_of_argmax(seed, min_length):
    network = PrefixNetwork(seed, vocabulary_size=7)
    (found,) = search(network, [5], beam_size=1, max_lengths=[12], min_lengths=min_length)
    ids: list[int] = []
    while len(ids) < 12 and ids[-1:] != [EOS]:
        logits = network.logits(5, tuple(ids))
        logits[[PAD, BOS]] = -math.inf
        if len(ids) < min_length:
            logits[EOS] = -math.inf
        ids.append(int(logits.argmax()))
    assert found[0].ids == ids
    assert found[0].truncated == (ids[-1] != EOS)
    assert found[0].log_probability == pytest.approx(plain_score(network, 5, ids), abs=1e-5)


def test_finished_sentences_leave_the_batch():
    network = PrefixNetwork(seed=1, vocabulary_size=9)
    search(network, [0, 1, 2], beam_size=2, max_lengths=[2, 6, 4], min_lengths=9)
    assert network.sentences_seen == [3, 3, 2, 2, 1, 1]
    assert network.rows_seen == [3, 6, 4, 4, 2, 2]  # one row each in the first step


def test_a_greedy_search_and_an_unchanged_batch_copy_no_state():
    copies = []

    class Counting(NoState):
        def select(self, rows: Tensor) -> "Counting":
            copies.append(rows.tolist())
            return self

        def select_sentences(self, indices: Tensor) -> "Counting":
            copies.append(indices.tolist())
            return self

    logits = torch.tensor([0.0, 2.0, 0.0, 0.0, 1.0]).repeat(3, 1)
    options = {"beam_size": 1, "min_lengths": 5}
    beam_search(
        lambda ids, state: (logits[: len(ids)], state), Counting(), max_lengths=[4] * 3, **options
    )
    assert copies == []
    beam_search(
        lambda ids, state: (logits[: len(ids)], state), Counting(), max_lengths=[4, 2, 4], **options
    )
    assert copies == [[0, 2], [0, 2]]


def test_a_sentence_stops_once_nothing_better_can_come():
    sure = torch.full((1, 6), -9.0)
    sure[0, EOS] = 9.0
    steps = []

    def step(ids: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        steps.append(len(ids))
        return sure.expand(len(ids), -1), state

    ((best,),) = beam_search(step, NoState(), beam_size=5, max_lengths=[100])
    assert best.ids == [EOS]
    assert steps == [1]


@pytest.mark.parametrize("seed", range(5))
def test_alignment_rows_belong_to_the_ids(seed):
    network = PrefixNetwork(seed, vocabulary_size=7, attends=True)
    found = search(network, [4, 8, 6], beam_size=3, n_best=3, max_lengths=[3, 9, 6])
    for sentence, hypotheses in zip([4, 8, 6], found, strict=True):
        for hypothesis in hypotheses:
            assert hypothesis.alignment is not None
            assert hypothesis.alignment.shape == (len(hypothesis.ids), SOURCE_LENGTH)
            for position, row in enumerate(hypothesis.alignment):
                expected = network.attend(sentence, tuple(hypothesis.ids[:position]))
                assert torch.equal(row, expected)


def test_alignment_can_be_left_out():
    network = PrefixNetwork(1, vocabulary_size=7, attends=True)
    ((best,),) = search(network, [1], beam_size=3, max_lengths=[9], keep_alignment=False)
    assert best.alignment is None


def test_an_alignment_that_narrows_with_its_batch_is_filled_up_with_zeros():
    def step(ids: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        width = 5 if len(ids) == 2 else 3
        return torch.tensor([0.0, 1, 0, -1]).repeat(len(ids), 1), NoState(
            torch.ones(len(ids), width)
        )

    found = beam_search(step, NoState(), beam_size=1, max_lengths=[1, 2])
    assert found[1][0].alignment.tolist() == [[1.0] * 5, [1.0, 1.0, 1.0, 0.0, 0.0]]


@pytest.mark.parametrize("vocabulary_size", [4, 5])
@pytest.mark.parametrize("beam_size", [1, 2, 7, 50])
def test_a_vocabulary_smaller_than_the_beam_gives_what_there_is(vocabulary_size, beam_size):
    network = PrefixNetwork(2, vocabulary_size)
    (found,) = search(
        network, [0], beam_size=beam_size, n_best=beam_size, max_lengths=[3], forbidden_ids=(0, 1)
    )
    assert found
    assert all(math.isfinite(each.log_probability) for each in found)
    assert len({tuple(each.ids) for each in found}) == len(found)
    if vocabulary_size == 4:
        assert [each.ids for each in found] == [[EOS]]


def test_a_sentence_that_cannot_go_on_is_truncated_where_it_stands():
    def step(ids: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        logits = torch.full((len(ids), 6), -math.inf)
        logits[ids == BOS, 4:] = torch.tensor([1.0, 2.0])
        return logits, state

    (found,) = beam_search(step, NoState(), beam_size=3, n_best=3, max_lengths=[8])
    assert [each.ids for each in found] == [[5], [4]]
    assert all(each.truncated for each in found)


def test_a_sentence_that_cannot_begin_is_empty_and_truncated():
    def step(ids: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        return torch.full((len(ids), 6), -math.inf), NoState(torch.ones(len(ids), 2))

    found = beam_search(step, NoState(), beam_size=3, n_best=3, max_lengths=[8, 2])
    for ((empty),) in found:
        assert (empty.ids, empty.log_probability, empty.score) == ([], 0.0, 0.0)
        assert empty.truncated
        assert empty.alignment.shape == (0, 2)


def test_a_sentence_that_cannot_begin_disturbs_no_other():
    network = PrefixNetwork(2, vocabulary_size=8)
    ordinary = search(network, [0, 2], beam_size=3, max_lengths=[8, 8])

    def step(ids: Tensor, state):
        logits, after = network.step(ids, state)
        return logits.masked_fill((state.sentences == 1).unsqueeze(1), -math.inf), after

    found = beam_search(step, network.start([0, 1, 2]), beam_size=3, max_lengths=[8] * 3)
    assert [found[0], found[2]] == ordinary
    assert found[1][0].ids == []


def test_forbidding_an_id_changes_no_other_probability():
    network = PrefixNetwork(4, vocabulary_size=8)
    (found,) = search(network, [0], beam_size=4, n_best=4, max_lengths=[6], forbidden_ids=(0, 1, 5))
    for hypothesis in found:
        expected = plain_score(network, 0, hypothesis.ids)
        assert hypothesis.log_probability == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("vocabulary_size", [30, 8000])
def test_of_equal_candidates_the_lower_id_comes_first(beam_size, vocabulary_size):
    equal = [28, 17, 9]

    def step(ids: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        logits = torch.arange(vocabulary_size) * -1e-3
        logits[equal] = 2.0
        return logits.repeat(len(ids), 1), state

    options = {"beam_size": beam_size, "n_best": beam_size, "min_lengths": 2}
    found = beam_search(step, NoState(), max_lengths=[2] * 20, **options)
    for hypotheses in found:
        assert [each.ids for each in hypotheses] == [[9, 9], [9, 17], [9, 28]][:beam_size]


@settings(deadline=None, max_examples=60)
@given(
    seed=seeds,
    penalty=penalties,
    beam_size=st.integers(1, 5),
    impossible=st.sampled_from([0.0, 0.3]),
    max_lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    min_length=st.integers(0, 3),
    data=st.data(),
)
def test_a_shortlist_is_a_vocabulary_of_its_own(
    seed, penalty, beam_size, impossible, max_lengths, min_length, data
):
    network = PrefixNetwork(seed, vocabulary_size=11, impossible=impossible)
    shortlists = [
        sorted({EOS, *data.draw(st.sets(st.integers(1, 10), max_size=6))}) for _ in max_lengths
    ]
    columns = max(map(len, shortlists))
    candidate_ids = torch.tensor([ids + [PAD] * (columns - len(ids)) for ids in shortlists])

    def masked(ids: Tensor, state):
        logits, after = network.step(ids, state)
        listed = torch.zeros(len(shortlists), 11, dtype=torch.bool).scatter(1, candidate_ids, True)
        listed[:, PAD] = False
        return logits.masked_fill(~listed[after.sentences], -math.inf), after

    def short(ids: Tensor, state):
        logits, after = masked(ids, state)
        chosen = candidate_ids[after.sentences]
        return logits.gather(1, chosen), after.with_candidates(candidate_ids[after.memory])

    start = network.start(list(range(len(max_lengths))))
    options = {
        "beam_size": beam_size,
        "n_best": beam_size,
        "max_lengths": max_lengths,
        "min_lengths": min_length,
        "length_penalty": penalty,
    }
    expected = beam_search(masked, start, **options)
    found = beam_search(short, start.with_candidates(candidate_ids), **options)
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, [(each.ids, each.log_probability, each.truncated) for each in theirs])


def test_logits_in_bfloat16_are_summed_in_float32():
    torch.manual_seed(5)
    logits = (torch.randn(1, 4000) * 3).bfloat16()
    logits[0, 77] = 19.0
    ((best,),) = beam_search(
        lambda ids, state: (logits.expand(len(ids), -1), state),
        NoState(),
        beam_size=1,
        max_lengths=[6],
    )
    assert best.ids == [77] * 6
    expected = 6 * float(logits[0].double().log_softmax(0)[77])
    assert best.log_probability == pytest.approx(expected, abs=1e-5)


def test_logits_are_only_read():
    logits = torch.randn(2, 300)
    before = logits.clone()
    beam_search(lambda ids, state: (logits, state), NoState(), beam_size=1, max_lengths=[1, 1])
    assert torch.equal(logits, before)


def test_no_sentences_give_no_hypotheses():
    assert beam_search(None, NoState(), beam_size=3, max_lengths=[]) == []


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_logits_that_are_not_numbers_are_refused(wrong):
    logits = torch.zeros(2, 9)
    logits[1, 6] = wrong
    with pytest.raises(ValueError, match="logits that are infinite or not a number"):
        beam_search(lambda ids, state: (logits, state), NoState(), beam_size=1, max_lengths=[4, 4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "`beam_size` must be at least 1, but is 0."),
        ({"n_best": 0}, r"`n_best` must be from 1 to `beam_size` \(2\), but is 0."),
        ({"n_best": 3}, r"`n_best` must be from 1 to `beam_size` \(2\), but is 3."),
        ({"length_penalty": -1.0}, "`length_penalty` must be from 0 to 10, but is -1.0."),
        ({"length_penalty": math.nan}, "`length_penalty` must be from 0 to 10, but is nan."),
        ({"max_lengths": [4, 0]}, "`max_lengths` must be at least 1, but one is 0."),
        ({"min_lengths": -2}, "`min_lengths` must be at least 0, but one is -2."),
        (
            {"min_lengths": [1]},
            "`min_lengths` must have one length for each of 2 sentences, but has 1.",
        ),
    ],
)
def test_an_argument_out_of_range_is_named(options, message):
    options = {"beam_size": 2, "max_lengths": [4, 4]} | options
    with pytest.raises(ValueError, match=message):
        beam_search(None, NoState(), **options)


def test_an_unknown_length_penalty_is_answered_with_the_known_ones():
    message = "`length_penalty_kind` must be one of power, gnmt, but is 'google'."
    with pytest.raises(ConfigurationError, match=message):
        beam_search(None, NoState(), beam_size=2, max_lengths=[4], length_penalty_kind="google")
