import math

import pytest
import torch

from seq2seq.decoding.vocabulary import best_ids, log_probabilities

SIZES = [(1, 5), (7, 700), (9, 64), (9, 3000), (17, 8000), (8, 8011), (300, 4001)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_ids", [1, 4, 9])
@pytest.mark.parametrize(("rows", "vocabulary_size"), SIZES)
def test_the_best_ids_are_those_of_topk(rows, vocabulary_size, num_ids, dtype):
    torch.manual_seed(vocabulary_size)
    logits = torch.randn(rows, vocabulary_size).to(dtype)
    num_ids = min(num_ids, vocabulary_size)
    ids = best_ids(logits, num_ids)
    assert ids.shape == (rows, num_ids)
    assert all(sorted(set(row)) == row for row in ids.tolist())
    expected = logits.topk(num_ids).values
    assert torch.equal(logits.gather(1, ids).sort(dim=1, descending=True).values, expected)


@pytest.mark.parametrize("place", ["in one block", "at the end"])
def test_the_best_ids_may_stand_together(place):
    logits = torch.randn(10, 4010)
    expected = torch.arange(640, 646) if place == "in one block" else torch.arange(4004, 4010)
    logits[:, expected] += 100.0
    assert torch.equal(best_ids(logits, 6), expected.expand(10, -1))


def test_impossible_ids_are_best_only_if_nothing_else_is_possible():
    logits = torch.full((12, 4000), -math.inf)
    logits[:, [7, 3999]] = torch.tensor([1.0, -50.0])
    ids = best_ids(logits, 3)
    assert all({7, 3999} < set(row) and len(set(row)) == 3 for row in ids.tolist())


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
