import contextlib
import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import together
import torch
from copy_corpus import TINY_MODEL, make_recipe
from safetensors.torch import load_file

from seq2seq.config import ConfigurationError
from seq2seq.data.datamodule import BatchLoader, TranslationDataModule
from seq2seq.model_directory import load_model_directory
from seq2seq.recipe_yaml import recipe_to_yaml
from seq2seq.training.development import Development
from seq2seq.training.errors import TrainingError, TrainingInterrupted
from seq2seq.training.fit import make_network
from seq2seq.training.hardware import choose_hardware
from seq2seq.training.spawned import Spawned
from seq2seq.training.train import train
from seq2seq.training.world import World


def test_two_processes_are_as_one_with_the_joined_batches(quick_start):
    result = Spawned(2, 2).run(together.compute, None, device="cpu")
    for variant, gradients in zip(together.VARIANTS, result["gradients"], strict=True):
        expected = together.gradients(World(), *variant)
        for name, gradient in expected.items():
            np.testing.assert_allclose(
                gradients[name], gradient, rtol=1e-5, atol=1e-6, err_msg=name
            )
    assert result["any"] == [True, False, True]
    assert result["sum"] == [2.0, 1.0]
    assert result["gather"] == ["rank 0", "rank 1"]
    assert result["shares"] == [[0, 2, 4], [1, 3]]
    assert result["threads"] == [1, 1]
    # A loss that breaks in one process is left out in all; the batch that is named is that one.
    for no_gradients, _, error in result["skipped"]:
        assert no_gradients
        assert error.startswith("The loss was not finite in step 1 of epoch 1, as in the 1 before")
        assert "with pairs (3,); look" in error
    said = [said for _, said, _ in result["skipped"]]
    assert said == [
        ["step 1 of epoch 1 is left out: its loss is not finite, with pairs (3,)"],
        [],
    ]


@pytest.mark.parametrize(
    ("fit", "error", "message"),
    [
        (together.fail_in_one, ConfigurationError, "^Something is wrong in one process.$"),
        (together.miss_in_one, FileNotFoundError, r"No such file or directory: '/nowhere/at/all'"),
        (together.break_in_one, RuntimeError, "KeyError: 'bug'"),
        (together.leave_silently, TrainingError, r"ended with exit code 3 \(rank 0\); `--resume`"),
    ],
)
def test_what_ends_one_process_ends_all_and_is_said(quick_start, fit, error, message):
    with pytest.raises(error, match=message):
        Spawned(2, 2).run(fit, None, device="cpu")
    assert not multiprocessing.active_children()


def weights_of(run):
    return load_file(run / "model.safetensors")


def history_of(result):
    """Without what counts from the last start or evaluation, and without times."""
    left_out = ("minutes", "pieces_per_second", "loss")
    return [{n: v for n, v in entry.items() if n not in left_out} for entry in result.history]


class JoinedLoader(BatchLoader):
    """The batches of two processes in one."""

    def __init__(self, first, second):
        super().__init__(first.pairs, first.sampler)
        self.second = second

    def __iter__(self):
        for indices, others in zip(self.sampler, self.second.sampler, strict=True):
            yield self.pairs.batch([*indices, *others])

    def set_epoch(self, epoch):
        super().set_epoch(epoch)
        self.second.set_epoch(epoch)


def test_uneven_batches_of_two_processes_train_like_one_process_with_the_joined_ones(
    tmp_path, tiny_corpus, monkeypatch, quick_start
):
    model = replace(TINY_MODEL, dropout=0.0)
    settings = {**together.SETTINGS, "accumulate_batches": 2, "validate_every": 0.5}
    pair = train(make_recipe(tiny_corpus, model, devices=2, **settings), tmp_path / "two")
    original = TranslationDataModule.train_dataloader
    assert len(original(module_of(pair))) == 2 * together.STEPS_PER_EPOCH - 1
    monkeypatch.setattr(
        TranslationDataModule,
        "train_dataloader",
        lambda self: JoinedLoader(*(original(self.for_process(rank, 2)) for rank in (0, 1))),
    )
    alone = train(make_recipe(tiny_corpus, model, **settings), tmp_path / "one")
    assert pair.steps == alone.steps == 3 * math.ceil(together.STEPS_PER_EPOCH / 2)
    expected = weights_of(alone.path)
    for name, tensor in weights_of(pair.path).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5)
    for entry, one in zip(pair.history, alone.history, strict=True):
        for name in ("loss", "dev_loss", "dev_bleu", "dev_chrf"):
            assert entry[name] == pytest.approx(one[name], rel=1e-4), name


def module_of(result):
    recipe = replace(result.recipe, training=replace(result.recipe.training, devices=1))
    tokenizers = load_model_directory(result.path).tokenizers
    return TranslationDataModule(result.corpus, tokenizers, recipe, result.path / "cache")


def test_one_process_writes_and_the_evaluation_counts_each_sentence_once(straight, tiny_corpus):
    assert straight.steps == 3 * together.STEPS_PER_EPOCH
    assert straight.recipe == together.two_processes(tiny_corpus)
    samples = (straight.path / "logs/samples.txt").read_text()
    assert samples.count("epoch ") == len(straight.history) == 3
    last = torch.load(straight.path / "checkpoints/last.ckpt", weights_only=True)
    data = module_of(straight)
    network = make_network(straight.recipe, data)
    weights = last["state_dict"].items()
    network.load_state_dict({name.removeprefix("network."): t for name, t in weights})
    hardware = choose_hardware(straight.recipe.training)
    scores = Development(data, straight.recipe, hardware, World()).evaluate(network)
    assert straight.history[-1]["dev_loss"] == pytest.approx(scores.loss, rel=1e-6)
    assert straight.history[-1]["dev_bleu"] == scores.bleu.value
    assert straight.history[-1]["dev_chrf"] == scores.chrf.value
    outputs = samples[samples.rindex("epoch ") :]
    assert all(f"output:    {text}\n" in outputs for text in scores.translations[:3])


@pytest.mark.parametrize(
    ("fit", "error", "message", "steps", "minutes"),
    [
        (
            together.fit_with_signal,
            TrainingInterrupted,
            "epoch 2 after 8 steps; `--resume`",
            8,
            9.0,
        ),
        (
            together.fit_with_death,
            TrainingError,
            r"^Of the 2 processes that trained, process \d+ was killed by SIGKILL, as happens when "
            r"memory runs out \(rank 1\); `--resume` continues after the last checkpoint.$",
            7,
            1e-9,  # after every step
        ),
    ],
)
def test_an_interrupted_or_killed_process_ends_all_and_the_run_continues_to_the_same_weights(
    tmp_path,
    tiny_corpus,
    monkeypatch,
    quick_start,
    straight,
    fit,
    error,
    message,
    steps,
    minutes,
):
    recipe = together.two_processes(tiny_corpus, checkpoint_minutes=minutes)
    with monkeypatch.context() as patch, pytest.raises(error, match=message):
        patch.setattr("seq2seq.training.train.fit", fit)
        train(recipe, tmp_path / "run")
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == steps
    alone = replace(recipe, training=replace(recipe.training, devices=1))
    with pytest.raises(ConfigurationError, match=r"^`training.devices` was 2 when the run began"):
        train(alone, tmp_path / "run", resume=True)
    resumed = train(recipe, tmp_path / "run", resume=True)
    weights = weights_of(resumed.path)
    assert all(torch.equal(t, weights[name]) for name, t in weights_of(straight.path).items())
    assert history_of(resumed) == history_of(straight)


@pytest.fixture
def endless(tmp_path, tiny_corpus):
    """The command that trains two processes without an end, once the first epoch is over."""
    recipe = together.two_processes(tiny_corpus, max_epochs=10**6, patience=10**6, samples=0)
    (tmp_path / "recipe.yaml").write_text(recipe_to_yaml(recipe), "utf-8")
    command = [sys.executable, "-m", "seq2seq", "train", "--config", "recipe.yaml"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stderr:
        if line.startswith("epoch 1.00"):
            break
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def is_anybody_there(group):
    """Whether a group has processes that live; those that ended may wait for their parent."""
    states = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                states.append(fields[0])
    return bool(set(states) - {"Z"})


def assert_all_end(group):
    deadline = time.monotonic() + 30
    while is_anybody_there(group):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_that_is_asked_to_end_ends_its_processes_with_a_checkpoint(endless, tmp_path):
    endless.send_signal(signal.SIGTERM)
    rest = endless.stderr.read()
    assert endless.wait() == 130
    last = rest.splitlines()[-1]
    assert re.fullmatch(
        r"seq2seq: Interrupted in epoch \d+ after \d+ steps; `--resume` continues there\.", last
    )
    assert (tmp_path / "runs/copy/checkpoints/last.ckpt").exists()
    assert_all_end(endless.pid)


@pytest.mark.slow
def test_ctrl_c_reaches_all_processes_and_leaves_a_checkpoint(endless, tmp_path):
    os.killpg(endless.pid, signal.SIGINT)
    rest = endless.stderr.read()
    assert endless.wait() == 130
    assert "Interrupted in epoch" in rest.splitlines()[-1]
    assert "Traceback" not in rest
    assert_all_end(endless.pid)


@pytest.mark.slow
def test_processes_end_with_their_parent(endless):
    assert is_anybody_there(endless.pid)
    endless.kill()
    endless.wait()
    assert_all_end(endless.pid)
