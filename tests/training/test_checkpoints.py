import errno
from pathlib import Path

import pytest
import torch

from seq2seq.training.checkpoints import (
    BestWeights,
    average_weights,
    load_weights,
    read_step,
    save_checkpoint,
    save_weights,
)


def test_the_average_is_the_mean_of_each_weight():
    states = [{"a": torch.full((2, 3), float(value)), "b": torch.ones(5)} for value in (1, 2, 6)]
    average = average_weights(iter(states))
    assert average["a"].tolist() == [[3.0] * 3] * 2
    assert average["b"].tolist() == [1.0] * 5


def test_the_average_of_one_network_is_itself_bit_for_bit():
    state = {"a": torch.randn(7), "b": torch.randn(3, 2).to(torch.bfloat16)}
    average = average_weights([state])
    assert all(torch.equal(average[name], tensor) for name, tensor in state.items())
    assert average["b"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([], "An average needs at least one network."),
        ([{"a": torch.ones(2)}, {"b": torch.ones(2)}], "must be alike, but not all have `[ab]`"),
        (
            [{"a": torch.ones(2)}, {"a": torch.ones(1)}],
            r"must be alike, but `a` has the shapes \[2\] and \[1\]",
        ),
    ],
)
def test_networks_that_are_not_alike_have_no_average(states, message):
    with pytest.raises(ValueError, match=message):
        average_weights(states)


def test_weights_survive_a_file_also_tied_and_transposed_ones(tmp_path):
    tied = torch.randn(4, 3)
    weights = {"embedding": tied, "vocabulary": tied, "transposed": torch.randn(2, 5).T}
    save_weights(tmp_path / "new" / "w.safetensors", weights)
    loaded = load_weights(tmp_path / "new" / "w.safetensors")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())


def test_weights_are_on_the_disk_before_they_take_their_place(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"w": torch.zeros(3)})

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights(path, {"w": torch.ones(3)})
    assert load_weights(path)["w"].tolist() == [0.0] * 3
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_best_weights_are_kept_and_the_others_pruned(tmp_path):
    best = BestWeights(tmp_path, capacity=2)
    offers = [(1.0, 10), (3.0, 20), (3.0, 30), (2.0, 40), (4.0, 50)]
    are_best = [best.offer(score, step, {"w": torch.tensor([score])}) for score, step in offers]
    assert are_best == [True, True, False, False, True]
    assert best.ranking == [(4.0, 50), (3.0, 20)]  # of equals the earlier one
    assert list(tmp_path.iterdir()) == []
    best.save()
    best.prune()
    assert sorted(tmp_path.iterdir()) == [best.path(20), best.path(50)]
    assert load_weights(best.path(50))["w"].item() == 4.0


def test_what_the_checkpoint_before_needs_is_not_pruned(tmp_path):
    best = BestWeights(tmp_path, capacity=1)
    files = []
    for step in (1, 2, 3):
        best.offer(float(step), step, {"w": torch.ones(1)})
        best.save()
        best.prune()
        files.append([path.name[-13:-12] for path in sorted(tmp_path.iterdir())])
    assert files == [["1"], ["1", "2"], ["2", "3"]]
    resumed = BestWeights(tmp_path, capacity=1)
    resumed.restore([(3.0, 3)])
    resumed.offer(4.0, 4, {"w": torch.ones(1)})
    resumed.save()
    resumed.prune()
    assert sorted(tmp_path.iterdir()) == [best.path(3), best.path(4)]


def test_only_one_of_several_processes_keeps_weights(tmp_path):
    best = BestWeights(tmp_path, capacity=2, writes=False)
    assert best.offer(1.0, 10, {"w": torch.ones(1)})
    assert best.ranking == [(1.0, 10)]
    best.save()
    assert list(tmp_path.iterdir()) == []


def test_weights_that_cannot_be_written_yet_are_written_later(tmp_path, monkeypatch):
    best = BestWeights(tmp_path, capacity=1)
    weights = {"w": torch.ones(1)}
    best.offer(1.0, 10, weights)
    weights["w"].zero_()  # as training goes on

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr("os.fsync", fail)
        best.save()
    best.save()
    assert load_weights(best.path(10))["w"].item() == 1.0


@pytest.fixture
def checkpoint():
    return {"global_step": 7, "state_dict": {"w": torch.arange(6.0)}, "epoch": 1}


def test_a_checkpoint_is_read_back_before_the_old_one_moves(tmp_path, checkpoint, monkeypatch):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, checkpoint)
    assert read_step(path) == 7

    def write_half(self, data):
        with open(self, "wb") as file:
            file.write(bytes(data)[:-100])

    with monkeypatch.context() as patch, pytest.raises(OSError, match="does not read back") as info:
        patch.setattr(Path, "write_bytes", write_half)
        save_checkpoint(path, {**checkpoint, "global_step": 8})
    assert info.value.filename == str(path)
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    assert read_step(path) == 7


def test_the_checkpoint_before_stays(tmp_path, checkpoint):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path / "last.ckpt", {**checkpoint, "global_step": step})
    steps = {file.name: read_step(file) for file in tmp_path.iterdir()}
    assert steps == {"last.ckpt": 3, "previous.ckpt": 2}


def test_any_bit_of_a_checkpoint_may_flip(tmp_path, checkpoint):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, checkpoint)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        if read_step(path) is None:
            refused += 1
        else:  # between the records
            loaded = torch.load(path, weights_only=True)
            assert loaded["global_step"] == 7
            assert torch.equal(loaded["state_dict"]["w"], checkpoint["state_dict"]["w"])
    assert refused > 50


@pytest.mark.parametrize("size", [0, 1, 100, 1000, -1])
def test_a_truncated_checkpoint_is_none(tmp_path, checkpoint, size):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, checkpoint)
    path.write_bytes(path.read_bytes()[:size])
    assert read_step(path) is None


@pytest.mark.parametrize(
    "value", [{"global_step": "7"}, {"state_dict": {}}, [7], {"global_step": True}]
)
def test_a_file_of_torch_that_is_no_checkpoint(tmp_path, value):
    torch.save(value, tmp_path / "last.ckpt")
    assert read_step(tmp_path / "last.ckpt") is None
