"""Training when the disk is full, the folder read-only or a checkpoint damaged: nothing is lost."""

import errno
import importlib
import os
import re
from pathlib import Path

import pytest
import torch
from copy_corpus import make_recipe
from safetensors.torch import load_file

from seq2seq.config import ConfigurationError
from seq2seq.training.checkpoints import read_step
from seq2seq.training.errors import TrainingError
from seq2seq.training.module import TranslationModule
from seq2seq.training.train import train


@pytest.fixture(scope="module")
def recipe(tiny_corpus):
    return make_recipe(tiny_corpus, checkpoint_minutes=1e-9, validate_every=0.5)


@pytest.fixture(scope="module")
def straight(recipe, tmp_path_factory):
    return load_file(train(recipe, tmp_path_factory.mktemp("straight")).path / "model.safetensors")


@pytest.fixture
def fails_between(monkeypatch):
    """Lets a function of the system fail from one step of training to another."""

    def fails_between(first, last, name="os.fsync", number=errno.ENOSPC):
        owner, function = name.split(".")
        module = importlib.import_module(owner)
        original, training_step = getattr(module, function), TranslationModule.training_step
        step = 0

        def count(self, *args):
            nonlocal step
            step = self.global_step + 1
            return training_step(self, *args)

        def fail_now_and_then(*args, **kwargs):
            if first <= step <= last:
                raise OSError(number, os.strerror(number))
            return original(*args, **kwargs)

        monkeypatch.setattr(TranslationModule, "training_step", count)
        monkeypatch.setattr(module, function, fail_now_and_then)

    return fails_between


def assert_same(run, straight):
    weights = load_file(run / "model.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in straight.items())


def test_training_goes_on_without_a_checkpoint_until_there_is_space(
    tmp_path, recipe, straight, fails_between, capfd
):
    fails_between(3, 6)  # step 5 has an evaluation with best weights
    result = train(recipe, tmp_path / "run")
    lines = [line for line in capfd.readouterr().err.splitlines() if "will try again" in line]
    goes_on = "free space there; training goes on and will try again, but the last checkpoint is"
    assert len(lines) == 4
    assert re.fullmatch(
        rf".*run/checkpoints/last.ckpt cannot be written: No space .*; {goes_on} that of step 2.",
        lines[0],
    )
    assert "best-00000005.safetensors cannot be written" in lines[2]
    assert_same(result.path, straight)
    assert [entry["step"] for entry in result.history] == [5, 10, 15, 20]


@pytest.mark.parametrize(("first", "last_good"), [(15, 14), (1, 0)])
def test_a_disk_that_is_full_at_the_end_costs_what_followed_the_last_checkpoint(
    tmp_path, recipe, straight, fails_between, monkeypatch, first, last_good
):
    fails_between(first, 99)
    message = (
        rf"run/checkpoints/\S+ cannot be written: No space left on device; free space there, then "
        rf"`--resume` continues after step {last_good}\.$"
    )
    with pytest.raises(TrainingError, match=message):
        train(recipe, tmp_path / "run")
    left = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert not last_good or read_step(left) == last_good
    assert not list((tmp_path / "run").rglob("*.part"))
    monkeypatch.undo()
    assert_same(train(recipe, tmp_path / "run", resume=True).path, straight)


def test_a_disk_that_is_full_when_the_model_is_written_costs_nothing(
    tmp_path, recipe, straight, monkeypatch
):
    write_bytes = Path.write_bytes

    def fail(path, data):
        if path.name == "model.safetensors":
            write_bytes(path, data[:1000])
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return write_bytes(path, data)

    message = (
        r"run cannot be written: Disk quota exceeded; free space there, then continue with "
        r"`--resume`\.$"
    )
    with monkeypatch.context() as patch, pytest.raises(ConfigurationError, match=message):
        patch.setattr(Path, "write_bytes", fail)
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert_same(train(recipe, tmp_path / "run", resume=True).path, straight)


def test_a_folder_that_became_read_only_is_named(
    tmp_path, recipe, straight, fails_between, monkeypatch
):
    fails_between(7, 99, "tempfile.mkdtemp", errno.EROFS)
    message = r"cannot be written: Read-only .*; mend that, then `--resume` continues after step 6"
    with pytest.raises(TrainingError, match=message):
        train(recipe, tmp_path / "run")
    monkeypatch.undo()
    assert_same(train(recipe, tmp_path / "run", resume=True).path, straight)


def test_a_damaged_checkpoint_costs_what_followed_the_one_before(
    tmp_path, recipe, straight, fails_between, monkeypatch, capfd
):
    fails_between(15, 99)  # so that the run ends in an error
    with pytest.raises(TrainingError):
        train(recipe, tmp_path / "run")
    monkeypatch.undo()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    os.truncate(last, last.stat().st_size // 2)
    resumed = train(recipe, tmp_path / "run", resume=True)
    error = capfd.readouterr().err
    message = "last.ckpt is damaged; the run continues after step 13, from the checkpoint before."
    assert message in error
    assert "continued after step 13" in error
    assert_same(resumed.path, straight)
    assert [entry["step"] for entry in resumed.history] == [5, 10, 15, 20]
