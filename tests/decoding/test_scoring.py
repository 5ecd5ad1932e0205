import math

import pytest
import torch
from plain_search import plain_score
from prefix_network import EOS, PrefixNetwork

from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.scoring import score_targets


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
    with pytest.raises(ValueError, match="logits that are infinite or not a number"):
        score_targets(lambda ids, state: (logits, state), network.start([0]), [[EOS]])
