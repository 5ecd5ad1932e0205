"""A training may be killed at any moment: `--resume` leads to the same weights, bit for bit.

The log of the random moments goes to the file that the variable INTERRUPTIONS_LOG names.
"""

import os
import random
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from killed_training import (
    NUM_STEPS,
    AtCall,
    AtFileOperation,
    AtHalf,
    AtMove,
    SmallFiles,
    Waits,
    command,
    differences,
    shared_number,
    trainings,
)

from seq2seq.model_directory import ModelDirectoryError, load_model_directory

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
SEED = 5
WEIGHTS = "seq2seq.training.checkpoints:BestWeights"
FILES = [  # of a model directory, in the order in which they are moved to their places
    *("recipe.yaml", "shared.model", "lexicon.safetensors", "scores.json", "README.md"),
    "model.safetensors",
]
# In the order in which a run comes to them.
BEGINNING = [
    AtCall("seq2seq.training.train:train_tokenizers", after=True),
    AtCall("seq2seq.data.tokenizer:Tokenizer.encode_batch", number=2),
    AtMove("shared.model"),
    AtMove("recipe.yaml"),
    AtMove("source_words.tsv"),
]
MIDDLE = [
    AtCall("seq2seq.training.module:TranslationModule.training_step", number=1, after=True),
    AtHalf("last.ckpt"),  # the first of all
    AtMove("last.ckpt", number=2),  # the first one is the previous one by then
    AtHalf("last.ckpt", number=2),
    AtCall("seq2seq.training.development:Development.evaluate", after=True),
    AtHalf("best-*.safetensors"),
    AtMove("previous.ckpt", number=2),
    AtCall(f"{WEIGHTS}.prune", after=True),
    AtCall("torch.optim:Adam.step", number=3, after=True),
    AtCall("torch.optim:Adam.step", number=3, after=True),  # twice at the same place
    AtMove("metrics.csv"),
]
END = [
    AtCall("seq2seq.training.train:average_weights"),
    AtHalf("model.safetensors"),
    *(AtMove(name) for name in FILES),
    AtMove("training.json"),
]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    with trainings(tmp_path_factory.mktemp("output")) as start:
        yield start


@pytest.fixture(scope="module")
def straight(start, tmp_path_factory):
    """A run that nobody interrupted, and the seconds that it took."""
    runs = tmp_path_factory.mktemp("straight")
    start(["--help"]).end()  # the imports of the server are not counted
    started = time.monotonic()
    training = start(command(runs))
    assert training.end() == 0, training.output
    return runs / "x", time.monotonic() - started


def go_on(start, runs, fault=None):
    """Starts a run, or continues it if it has begun."""
    return start(command(runs, "--resume", "true"), fault)


def finish(start, runs, straight):
    """Lets a run come to its end, and finds out whether it is that of the other one."""
    training = go_on(start, runs)
    assert training.end() == 0, training.output
    assert "Traceback" not in training.output
    assert differences(runs / "x", straight[0]) == []
    return training


def check_random_moments(start, straight, folder, num_moments):
    print(f"seed {SEED}")
    draw, log = random.Random(SEED), []
    for number in range(num_moments):
        sent, share = SIGNALS[number % len(SIGNALS)], draw.uniform(0.02, 1)
        code = 0
        while code == 0:  # a faster run than the first was at its end already
            runs = folder / f"{number}-{share}"
            moment = share * straight[1]
            training = go_on(start, runs)
            code, doing = training.kill_after(moment, sent)
            share *= 0.8
        assert code in (-sent, 130) or not doing, training.output
        resumed = finish(start, runs, straight)
        step = re.search(r"continued after step (\d+)", resumed.output)
        log.append(
            f"{sent.name} after {moment:.2f} s, {doing or 'forking'}; resumed "
            f"{f'after step {step[1]}' if step else 'from the beginning'}; identical"
        )
    if "INTERRUPTIONS_LOG" in os.environ:
        Path(os.environ["INTERRUPTIONS_LOG"]).write_text("\n".join(log) + "\n")


def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_weights(
    start, straight, tmp_path
):
    check_random_moments(start, straight, tmp_path, 3)


@pytest.mark.slow
def test_a_run_that_is_killed_at_twenty_random_moments(start, straight, tmp_path):
    check_random_moments(start, straight, tmp_path, 20)


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_weights(start, straight, tmp_path):
    for fault in [*BEGINNING, *MIDDLE, *END]:
        training = go_on(start, tmp_path, fault)
        assert training.end() == -signal.SIGKILL, f"{fault} did not come: {training.output}"
        if fault in END:
            check_loads_or_is_refused(tmp_path / "x", straight[0])
    finish(start, tmp_path, straight)


def check_loads_or_is_refused(run, straight):
    """What a killed process left may be no model yet, but never another one."""
    try:
        loaded = load_model_directory(run)
    except ModelDirectoryError as error:
        assert str(error).count(". ") == 0
        return
    expected = load_model_directory(straight)
    assert loaded.decode == expected.decode
    for name, tensor in expected.model.state_dict().items():
        assert tensor.equal(loaded.model.state_dict()[name]), name


def test_a_run_whose_checkpoints_find_no_space_goes_on_later(start, straight, tmp_path):
    training = start(command(tmp_path), SmallFiles(100_000))  # best weights have half of that
    assert training.end() == 2
    assert re.fullmatch(
        r"seq2seq: \S+/x/checkpoints/last.ckpt cannot be written: File too large; free space "
        r"there, then `--resume` continues after step 0\.",
        training.output.splitlines()[-1],
    )
    finish(start, tmp_path, straight)


def test_two_trainings_of_one_folder(start, straight, tmp_path):
    first = start(command(tmp_path), Waits(f"{WEIGHTS}.prune"))
    while not (tmp_path / "x" / "checkpoints" / "last.ckpt").exists():
        assert first.process.is_alive(), first.output
        time.sleep(0.01)
    second = go_on(start, tmp_path)
    assert second.end() == 2
    assert second.output.endswith(
        f"in use by another training (process {first.process.pid} on {socket.gethostname()}).\n"
    )
    first.process.kill()
    assert first.end() == -signal.SIGKILL
    assert (tmp_path / "x" / ".lock").exists()
    finish(start, tmp_path, straight)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*BEGINNING, *MIDDLE, *END], ids=str)
def test_a_run_that_is_killed_at_one_place(start, straight, tmp_path, fault):
    assert go_on(start, tmp_path, fault).end() == -signal.SIGKILL
    finish(start, tmp_path, straight)


@pytest.mark.slow
def test_a_run_that_is_killed_before_any_of_its_file_operations(start, straight, tmp_path):
    counted = shared_number()
    training = start(command(tmp_path / "all"), AtFileOperation(None, counted))
    assert training.end() == 0, training.output
    assert counted.value > 10 * NUM_STEPS
    for number in range(1, counted.value + 1, 5):
        runs = tmp_path / str(number)
        training = start(command(runs), AtFileOperation(number, counted))
        assert training.end() in (-signal.SIGKILL, 0), training.output
        finish(start, runs, straight)
