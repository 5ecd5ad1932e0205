import math

import pytest
import torch
from plain_search import plain_score
from prefix_network import EOS, SOURCE_LENGTH, PrefixNetwork

from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.scoring import force_targets, score_targets


def test_targets_of_unequal_lengths_are_scored_as_one_by_one():
    network = PrefixNetwork(seed=8, vocabulary_size=9)
    targets = [[4, 5, EOS], [EOS], [6, 6, 1, 7, 8, EOS], [5, 4], [], [1, EOS]]
    scores = score_targets(network.step, network.start(list(range(6))), targets)
    expected = [plain_score(network, index, target) for index, target in enumerate(targets)]
    assert scores == pytest.approx(expected, abs=1e-5)
    for index, target in enumerate(targets):
        alone = score_targets(network.step, network.start([index]), [target])
        assert alone == [scores[index]]


def test_sentences_leave_the_batch_where_their_targets_end():
    network = PrefixNetwork(seed=8, vocabulary_size=9)
    score_targets(network.step, network.start([0, 1, 2]), [[4, EOS], [], [5, 5, 5, EOS]])
    assert network.rows_seen == network.sentences_seen == [2, 2, 1, 1]


@pytest.mark.parametrize("seed", range(10))
def test_scores_agree_with_the_search(seed):
    network = PrefixNetwork(seed, vocabulary_size=8)
    found = beam_search(
        network.step, network.start([0, 1]), beam_size=4, n_best=4, max_lengths=[14, 5]
    )
    for sentence, hypotheses in enumerate(found):
        start = network.start([sentence] * len(hypotheses))
        scores = score_targets(network.step, start, [each.ids for each in hypotheses])
        expected = [each.log_probability for each in hypotheses]
        assert scores == pytest.approx(expected, abs=1e-5)


def test_an_impossible_target_has_minus_infinity():
    network = PrefixNetwork(seed=8, vocabulary_size=9, impossible=1.0)
    assert score_targets(network.step, network.start([0]), [[5, EOS]]) == [-math.inf]


def test_no_targets_have_no_scores():
    network = PrefixNetwork(seed=8, vocabulary_size=9)
    assert score_targets(network.step, network.start([]), []) == []
    assert score_targets(network.step, network.start([3, 4]), [[], []]) == [0.0, 0.0]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_logits_that_are_not_numbers_are_refused(wrong):
    logits = torch.full((1, 5), wrong)
    network = PrefixNetwork(seed=8, vocabulary_size=9)
    for function in (score_targets, force_targets):
        with pytest.raises(ValueError, match="logits that are infinite or not a number"):
            function(lambda ids, state: (logits, state), network.start([0]), [[EOS]])


def test_forced_ids_have_the_values_of_each_step():
    network = PrefixNetwork(seed=8, vocabulary_size=9, attends=True)
    targets = [[4, 5, EOS], [EOS], [6, 6, 1, 7, 8, EOS], [5, 4], [], [1, EOS]]
    for index, (target, forced) in enumerate(
        zip(
            targets,
            force_targets(network.step, network.start(list(range(6))), targets),
            strict=True,
        )
    ):
        prefixes = [tuple(target[:position]) for position in range(len(target))]
        tables = [network.log_probabilities(index, prefix) for prefix in prefixes]
        expected = [table[id_] for table, id_ in zip(tables, target, strict=True)]
        assert forced.log_probabilities == pytest.approx(expected, abs=1e-5)
        entropies = [-sum(math.exp(value) * value for value in table) for table in tables]
        assert forced.entropies == pytest.approx(entropies, abs=1e-5)
        assert forced.alignment.shape == (len(target), SOURCE_LENGTH)
        for row, prefix in zip(forced.alignment, prefixes, strict=True):
            assert torch.equal(row, network.attend(index, prefix))


def test_forced_ids_add_up_to_the_score_whatever_the_batch():
    network = PrefixNetwork(seed=5, vocabulary_size=40, impossible=0.2)
    targets = [[4, 9, EOS], [30, 31, 32, 33, EOS], [7, EOS]]
    together = force_targets(network.step, network.start([0, 1, 2]), targets)
    scores = score_targets(network.step, network.start([0, 1, 2]), targets)
    assert [sum(forced.log_probabilities) for forced in together] == scores
    for index, target in enumerate(targets):
        assert force_targets(network.step, network.start([index]), [target]) == [together[index]]


def test_ids_that_are_impossible_add_nothing_to_the_entropy():
    logits = torch.tensor([[-math.inf, 0.0, 0.0, -math.inf, 0.0, 0.0]])
    network = PrefixNetwork(seed=8, vocabulary_size=6)
    (forced,) = force_targets(lambda ids, state: (logits, state), network.start([0]), [[4, 0]])
    assert forced.log_probabilities == [pytest.approx(-math.log(4)), -math.inf]
    assert forced.entropies == pytest.approx([math.log(4)] * 2)


def test_alignments_are_left_out_if_nobody_looks_or_there_are_none():
    attending = PrefixNetwork(seed=8, vocabulary_size=9, attends=True)
    blind = PrefixNetwork(seed=8, vocabulary_size=9)
    (forced,) = force_targets(
        attending.step, attending.start([0]), [[4, EOS]], keep_alignment=False
    )
    (without,) = force_targets(blind.step, blind.start([0]), [[4, EOS]])
    assert forced.alignment is without.alignment is None
    assert forced.log_probabilities == without.log_probabilities
