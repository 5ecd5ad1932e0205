"""What a resumed run reads: checkpoints, best weights, tokenizers, its recipe and its log."""

import csv
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fuzzing import CASES, damage_file, damaged, fuzz

from seq2seq.config import ConfigurationError, Recipe
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.training.checkpoints import (
    check_fits,
    load_weights,
    save_checkpoint,
    save_weights,
)
from seq2seq.training.logs import TableLog
from seq2seq.training.run_folder import RunFolder

STEP = 12
STATE = {
    "global_step": STEP,
    "state_dict": {"weight": torch.arange(30.0), "bias": torch.ones(3)},
    "callbacks": {"Evaluation": {"history": [{"step": 5, "value": 0.5}]}},
}

COMPLETE = {
    "pytorch-lightning_version": "2.6.0",
    "epoch": 1,
    "global_step": STEP,
    "state_dict": {"weight": torch.zeros(2, 3), "bias": torch.ones(2)},
    **{"loops": {}, "callbacks": {}, "optimizer_states": [], "lr_schedulers": []},
}


@pytest.fixture
def run(tmp_path: Path, tiny_tokenizers: Tokenizers) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.begin(Recipe(name="run"), tiny_tokenizers, overwrite=False)
    save_checkpoint(folder.last_checkpoint, STATE)
    save_weights(folder.checkpoints / "best-00000012.safetensors", STATE["state_dict"])
    return folder


@CASES
def test_damaged_checkpoints_are_whole_or_refused(cases: int, run: RunFolder) -> None:
    whole = run.last_checkpoint.read_bytes()

    def read(rng: random.Random) -> None:
        run.last_checkpoint.write_bytes(damaged(whole, rng))
        assert run.find_checkpoint() == STEP
        found = torch.load(run.last_checkpoint, weights_only=True)
        assert torch.equal(found["state_dict"]["weight"], STATE["state_dict"]["weight"])
        assert found["callbacks"] == STATE["callbacks"]

    outcomes = fuzz(read, cases)
    assert outcomes["refused"] > cases / 2


def same_weights(found: dict[str, torch.Tensor]) -> bool:
    expected = STATE["state_dict"]
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


@CASES
def test_damaged_best_weights_are_whole_or_refused(cases: int, run: RunFolder) -> None:
    file = run.checkpoints / "best-00000012.safetensors"
    whole = file.read_bytes()

    def read(rng: random.Random) -> None:
        file.write_bytes(damaged(whole, rng))
        found = load_weights(file)
        # Without its key there is no checksum, as in older files.
        assert b'"crc32"' not in file.read_bytes() or same_weights(found)

    outcomes = fuzz(read, cases)
    assert outcomes["refused"] > cases / 2


@CASES
def test_a_damaged_recipe_of_a_run_is_the_same_or_refused(cases: int, run: RunFolder) -> None:
    file = run.path / "recipe.yaml"

    def read(rng: random.Random) -> None:
        file.write_text("name: run\ntraining:\n  max_epochs: 15\n  seed: 1\nmodel: {cell: lstm}\n")
        damage_file(file, rng)
        run.check_same_run(Recipe(name="run"))

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 50


@CASES
def test_damaged_tokenizers_of_a_run_work_or_are_refused(cases: int, run: RunFolder) -> None:
    file = run.checkpoints / "shared.model"
    whole = file.read_bytes()

    def read(rng: random.Random) -> None:
        file.write_bytes(damaged(whole, rng))
        found = run.load_tokenizers()
        assert found is not None and found.source.encode("ein hund")

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 50


@pytest.mark.parametrize(
    "name", ["checkpoints/last.ckpt", "recipe.yaml", "checkpoints/shared.model"]
)
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, lambda file: file.symlink_to("/dev/zero")],
    ids=["pipe", "folder", "device"],
)
def test_what_is_no_file_is_not_opened(
    run: RunFolder, name: str, make: Callable[[Path], None]
) -> None:
    (run.path / name).unlink()
    make(run.path / name)

    def read(rng: random.Random) -> None:
        run.check_same_run(Recipe(name="run"))
        run.load_tokenizers()
        run.find_checkpoint()

    assert fuzz(read, 1)["refused"] == 1


def test_a_compressed_checkpoint_is_refused_before_it_is_unpacked(run: RunFolder) -> None:
    """Of a few kilobytes it could make gigabytes; torch never compresses."""
    with zipfile.ZipFile(run.last_checkpoint) as records:
        contents = {name: records.read(name) for name in records.namelist()}
    with zipfile.ZipFile(run.last_checkpoint, "w", zipfile.ZIP_DEFLATED) as records:
        for name, data in contents.items():
            records.writestr(name, data)
    with pytest.raises(ConfigurationError, match=r"last\.ckpt is damaged or no checkpoint"):
        run.find_checkpoint()


@pytest.mark.parametrize("step", ["12", None, 12.0, True, [12], -1])
def test_a_checkpoint_without_a_step_is_refused(run: RunFolder, step: object) -> None:
    torch.save({**STATE, "global_step": step}, run.last_checkpoint)
    with pytest.raises(ConfigurationError, match=r"last\.ckpt is damaged or no checkpoint"):
        run.find_checkpoint()


@pytest.mark.parametrize(
    "state",
    [
        {"global_step": STEP},
        {**COMPLETE, "state_dict": {"weight": torch.zeros(2)}},
        {**COMPLETE, "state_dict": {**COMPLETE["state_dict"], "more": torch.zeros(2)}},
        {**COMPLETE, "state_dict": {**COMPLETE["state_dict"], "bias": 3}},
        {**COMPLETE, "state_dict": [1]},
        {name: COMPLETE[name] for name in COMPLETE if name != "loops"},
    ],
)
def test_a_checkpoint_of_something_else_is_refused(
    run: RunFolder, state: dict[str, object]
) -> None:
    module = torch.nn.Linear(3, 2)
    torch.save(COMPLETE, run.last_checkpoint)
    check_fits(run.last_checkpoint, module)
    torch.save(state, run.last_checkpoint)
    with pytest.raises(ConfigurationError, match=r"last\.ckpt is no checkpoint of this run; start"):
        check_fits(run.last_checkpoint, module)


@CASES
def test_a_damaged_log_goes_on(cases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # the disk would take the time
    file = tmp_path / "metrics.csv"

    def read(rng: random.Random) -> None:
        file.write_text("loss,lr,step\n3.5,0.1,2\n2.5,,4\n,0.1,6\n")
        damage_file(file, rng)
        table = TableLog(file, 100)
        table.log_metrics({"loss": 1.5, "more": 3.0}, 101)
        table.finalize("success")
        with open(file, newline="", encoding="utf-8") as written:
            assert list(csv.DictReader(written))[-1]["step"] == "101"

    assert fuzz(read, cases)["worked"] == cases
