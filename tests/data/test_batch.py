import numpy as np
import pytest
import torch

from seq2seq.data.batch import make_batch


def test_a_batch_is_padded_and_has_its_special_symbols() -> None:
    batch = make_batch([[7, 8], [9]], [[4, 5, 6], []])
    assert batch.source_ids.tolist() == [[7, 8, 3], [9, 3, 0]]
    assert batch.source_lengths.tolist() == [3, 2]
    assert batch.target_input_ids.tolist() == [[2, 4, 5, 6], [2, 0, 0, 0]]
    assert batch.target_output_ids.tolist() == [[4, 5, 6, 3], [3, 0, 0, 0]]
    assert batch.num_target_pieces == 5
    assert batch.sentence_indices == (0, 1)
    assert len(batch) == 2


def test_all_tensors_are_int64() -> None:
    batch = make_batch([[7]], [[8]])
    tensors = [value for value in vars(batch).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 4
    assert all(tensor.dtype == torch.int64 for tensor in tensors)


def test_arrays_and_lists_give_the_same_batch() -> None:
    sources, targets = [[5, 6, 7], [], [8]], [[], [4], [9, 10]]
    lists = make_batch(sources, targets, [11, 4, 2])
    arrays = make_batch(
        [np.array(ids, dtype=np.int32) for ids in sources],
        [np.array(ids, dtype=np.int32) for ids in targets],
        np.array([11, 4, 2]),
    )
    assert lists.sentence_indices == arrays.sentence_indices == (11, 4, 2)
    for name, value in vars(lists).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(arrays, name))


def test_an_empty_source_still_has_its_end_symbol() -> None:
    batch = make_batch([[]], [[]])
    assert batch.source_ids.tolist() == [[3]]
    assert batch.source_lengths.tolist() == [1]
    assert batch.target_input_ids.tolist() == [[2]]
    assert batch.target_output_ids.tolist() == [[3]]


def test_a_batch_moves_as_a_whole() -> None:
    batch = make_batch([[7]], [[8]]).to("meta")
    assert batch.source_ids.device.type == "meta"
    assert batch.source_lengths.device.type == "meta"
    assert batch.target_input_ids.device.type == "meta"
    assert batch.target_output_ids.device.type == "meta"
    assert batch.num_target_pieces == 2


@pytest.mark.parametrize(("sources", "targets"), [([], []), ([[1]], [[1], [2]])])
def test_sides_of_different_size_or_none_are_an_error(sources: list, targets: list) -> None:
    counts = f"but have {len(sources)} and {len(targets)}."
    with pytest.raises(ValueError, match=f"same number of sentences, at least one, {counts}"):
        make_batch(sources, targets)


def test_linked_target_pieces_look_at_their_source_pieces_all_alike() -> None:
    links = [np.array([0, 2, 1, 2, 1, 0]), np.zeros(0, np.int32), np.array([[0, 0]])]
    batch = make_batch([[7, 8], [9], [9]], [[4, 5, 6], [], [4]], links=links)
    assert batch.guide is not None
    assert batch.guide.tolist() == [
        [[0, 1, 0], [0, 0, 0], [0.5, 0.5, 0], [0, 0, 0]],
        [[0, 0, 0]] * 4,
        [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
    moved = batch.to("meta").guide
    assert moved is not None and moved.device.type == "meta"
    assert make_batch([[7]], [[8]]).to("meta").guide is None
