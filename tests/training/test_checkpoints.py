import pytest
import torch

from seq2seq.training.checkpoints import (
    BestWeights,
    average_weights,
    load_weights,
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
        raise OSError("disk full")

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
    assert best.path(10).exists()  # an older checkpoint may still name it
    best.prune()
    assert sorted(tmp_path.iterdir()) == [best.path(20), best.path(50)]
    assert load_weights(best.path(50))["w"].item() == 4.0
