import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.decoding.vocabulary import (
    Blocked,
    best_candidates,
    best_places,
    log_probabilities,
)

# Sentences, rows of each, columns: with and without whole blocks, and with ids after them.
BEAMS = [(1, 1, 5), (2, 3, 64), (3, 2, 700), (2, 5, 3000), (4, 5, 2011), (1, 1, 4000)]
SIZES = [(1, 5), (7, 700), (9, 64), (9, 3000), (17, 8000), (8, 8011), (300, 4001)]


@st.composite
def beams(draw: st.DrawFn) -> tuple[Tensor, Tensor, int]:
    """Log-probabilities [rows, columns] and the scores of the rows, some equal, some impossible."""
    sentences, width, columns = draw(st.sampled_from(BEAMS))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    values = torch.randn(sentences * width, columns, generator=generator)
    if draw(st.booleans()):
        values = values.round(decimals=draw(st.integers(0, 1)))  # many are equal
    impossible = torch.rand(values.shape, generator=generator) < draw(st.sampled_from([0, 0.4, 1]))
    scores = torch.randn(sentences, width, generator=generator, dtype=torch.float64)
    return values.masked_fill(impossible, -math.inf), scores, draw(st.sampled_from([1, 4, 10]))


@settings(deadline=None, max_examples=120)
@given(beams())
def test_the_best_places_are_those_of_a_stable_sort(beam):
    values, scores, num_places = beam
    sums = (values.view(*scores.shape, -1) + scores.unsqueeze(-1)).flatten(1)
    expected, order = sums.sort(dim=1, descending=True, stable=True)
    found, places = best_places(values, scores, num_places)
    assert torch.equal(found, expected[:, :num_places])
    possible = found > -math.inf
    assert torch.equal(places[possible], order[:, :num_places][possible])


NOTHING = Blocked([], eos_id=3, no_end=[False, False])


def test_candidates_are_ranked_over_all_rows_of_a_sentence():
    logits = torch.tensor([[0.5, 0.1, 0.4], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
    living = [[math.log(0.5), math.log(0.4)], [0.0, -9.0]]
    first, second = best_candidates(logits.log(), living, 3, NOTHING)
    assert [(id_, row) for _, id_, row in first] == [(0, 0), (2, 0), (1, 1)]
    assert [(id_, row) for _, id_, row in second] == [(2, 2), (0, 2), (1, 2)]
    expected = [math.log(p) for p in (0.25, 0.2, 0.2)]
    assert [score for score, _, _ in first] == pytest.approx(expected, abs=1e-6)


def test_blocked_ids_are_impossible_and_keep_their_probability():
    logits = torch.tensor([[0.4, 0.1, 0.2, 0.3]] * 2).log()
    blocked = Blocked([0, 99], eos_id=3, no_end=[True, False])
    first, second = best_candidates(logits, [[0.0], [0.0]], 4, blocked)
    assert [(id_, row) for _, id_, row in first[:2]] == [(2, 0), (1, 0)]
    assert [score for score, _, _ in first[2:]] == [-math.inf] * 2
    assert [id_ for _, id_, _ in second[:3]] == [3, 2, 1]
    assert second[0][0] == pytest.approx(math.log(0.3), abs=1e-6)


def test_columns_stand_for_the_ids_of_their_sentence():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.6, 0.3, 0.0]]).log()
    candidate_ids = torch.tensor([[3, 5, 7, 9], [3, 4, 8, 0]])
    blocked = Blocked([0, 5], eos_id=3, no_end=[True, False])
    first, second = best_candidates(logits, [[0.0], [0.0]], 3, blocked, candidate_ids)
    assert [id_ for score, id_, _ in first if score > -math.inf] == [7, 9]
    assert [id_ for score, id_, _ in second if score > -math.inf] == [4, 8, 3]


def test_a_row_in_which_nothing_is_possible_harms_no_other():
    logits = torch.tensor([[-math.inf] * 4, [0.0, 0.0, 1.0, 0.0]])
    together, alone = (
        best_candidates(logits, [[0.0, -1.0]], 4, NOTHING),
        best_candidates(logits[1:], [[-1.0]], 4, NOTHING),
    )
    assert [each[:2] for each in together[0]] == [each[:2] for each in alone[0]]


def test_logits_are_only_read():
    logits = torch.randn(2, 300)
    before = logits.clone()
    best_candidates(logits, [[0.0], [0.0]], 4, Blocked([0, 7], 3, [True, False]))
    assert torch.equal(logits, before)


@pytest.mark.parametrize(("rows", "vocabulary_size"), SIZES)
def test_log_probabilities_are_those_of_all_ids(rows, vocabulary_size):
    logits = torch.randn(rows, vocabulary_size) * 3
    ids = torch.randint(vocabulary_size, (rows, 4))
    expected = logits.double().log_softmax(dim=1).gather(1, ids)
    found = log_probabilities(logits, ids)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, atol=1e-5)


def test_log_probabilities_of_large_chunks_are_those_of_each_row():
    logits = torch.randn(90, 20_011)
    ids = torch.randint(20_011, (90, 2))
    alone = [log_probabilities(logits[row : row + 1], ids[row : row + 1]) for row in range(90)]
    assert torch.equal(log_probabilities(logits, ids), torch.cat(alone))


def test_where_nothing_is_possible_log_probabilities_are_minus_infinity():
    logits = torch.tensor([[-math.inf] * 3, [0.0, -math.inf, 0.0]])
    found = log_probabilities(logits, torch.tensor([[0, 2], [1, 2]]))
    assert found[0].tolist() == [-math.inf, -math.inf]
    assert found[1].tolist() == pytest.approx([-math.inf, -math.log(2)])
