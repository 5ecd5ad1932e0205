"""Real trainings in processes of their own, killed at chosen or random moments.

They are forked from a server that has imported everything, so that each starts in a moment.
"""

import csv
import importlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch

PHRASEBOOK = Path(__file__).parents[1] / "data" / "golden_phrasebook.tsv"
NUM_STEPS = 24
PRELOADED = [
    *("seq2seq.cli", "seq2seq.recipe", "seq2seq.report", "seq2seq.training.train"),
    *("datasets", "sacrebleu", "torch.utils.tensorboard"),
]
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(PRELOADED)


def command(runs: Path, *options: str) -> list[str]:
    """Trains on a part of the phrasebook in `runs`/x: 3 epochs of 8 steps, evaluated twice."""
    return [
        *("train", "--name", "x", "--runs_dir", str(runs)),
        *("--source_language", "ko", "--target_language", "en"),
        *("--corpus.train", f"{PHRASEBOOK}[:200]", "--corpus.dev", f"{PHRASEBOOK}[200:212]"),
        *("--corpus.test", f"{PHRASEBOOK}[212:216]"),
        *("--corpus.source_column", "korean", "--corpus.target_column", "english"),
        *("--tokenizer.vocabulary_size", "500", "--tokenizer.byte_fallback", "false"),
        *("--model.embedding_size", "8", "--model.hidden_size", "16"),
        *("--model.attention_size", "12", "--model.dropout", "0.2"),
        *("--training.batch_tokens", "800", "--training.max_epochs", "3"),
        *("--training.validate_every", "0.5", "--training.average_best", "2"),
        *("--training.checkpoint_minutes", "1e-9", "--training.warmup_steps", "5"),
        *("--training.device", "cpu", "--training.precision", "float32"),
        *("--training.threads", "1", "--search.beam_size", "2", "--search.max_length_ratio", "1"),
        *options,
    ]


@dataclass(frozen=True)
class AtCall:
    """Dies at a call of a function.

    Args:
        function: module:name or module:class.name.
        after: When the function has done its work, else before.
    """

    function: str
    number: int = 1
    after: bool = False

    def install(self) -> None:
        calls = 0

        def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == self.number and not self.after:
                    _die()
                result = original(*args, **kwargs)
                if calls == self.number:
                    _die()
                return result

            return wrapped

        _patch(self.function, wrap)


@dataclass(frozen=True)
class Waits:
    """Goes on no further than to the first call of a function, but lives."""

    function: str

    def install(self) -> None:
        _patch(self.function, lambda original: lambda *args: time.sleep(600))


@dataclass(frozen=True)
class AtHalf:
    """Dies when the half of a file is written."""

    name: str
    number: int = 1

    def install(self) -> None:
        calls = 0

        def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
            def write_bytes(path: Path, data: Any) -> int:
                nonlocal calls
                calls += path.match(self.name)
                if calls == self.number and path.match(self.name):
                    original(path, bytes(data)[: len(data) // 2])
                    _die()
                return original(path, data)

            return write_bytes

        _patch("pathlib:Path.write_bytes", wrap)


@dataclass(frozen=True)
class AtMove:
    """Dies before a file is moved to a place of this name."""

    name: str
    number: int = 1

    def install(self) -> None:
        moves = 0

        def hook(event: str, args: tuple[Any, ...]) -> None:
            nonlocal moves
            if event == "os.rename" and Path(os.fsdecode(args[1])).name == self.name:
                moves += 1
                if moves == self.number:
                    _die()

        sys.addaudithook(hook)


@dataclass(frozen=True)
class SmallFiles:
    """Lives on, but no file can become larger, as on a full disk."""

    most_bytes: int

    def install(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.most_bytes, self.most_bytes))


@dataclass(frozen=True)
class AtFileOperation:
    """Dies before a file in a folder `runs` is opened to write, moved or removed.

    Args:
        number: Of the operation; None to count all.
        count: Takes how many there have been, in shared memory.
    """

    number: int | None
    count: Any

    def install(self) -> None:
        self.count.value = 0

        def hook(event: str, args: tuple[Any, ...]) -> None:
            is_write = event != "open" or set(args[1] or "") & set("wax+")
            if event in _FILE_EVENTS and is_write and "/x/" in str(args[0]):
                self.count.value += 1
                if self.count.value == self.number:
                    _die()

        sys.addaudithook(hook)


_FILE_EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")


def shared_number() -> Any:
    """A number that a training and its test see."""
    return _SERVER.Value("i", 0, lock=False)


@dataclass
class Training:
    """A training that has been started."""

    process: Any
    output_file: Path
    doing: Any
    """What it does, in shared memory: the name of a phase and the step."""
    started: float = field(default_factory=time.monotonic)

    def end(self) -> int:
        """Waits for the end; the exit code, or minus the signal that killed it."""
        self.process.join(120)
        assert self.process.exitcode is not None, "it hangs"
        return self.process.exitcode

    def kill_after(self, seconds: float, number: int) -> tuple[int, str]:
        """Sends a signal at a moment; the exit code, and what it was doing then."""
        self.process.join(seconds)
        doing = self.doing.value.decode()
        if self.process.exitcode is None:
            os.kill(self.process.pid, number)
        return self.end(), doing

    @property
    def output(self) -> str:
        return self.output_file.read_text("utf-8")


@contextmanager
def trainings(folder: Path) -> Iterator[Callable[..., Training]]:
    """Yields what starts `seq2seq` with arguments, and a fault if one is given."""
    started: list[Training] = []

    def start(arguments: list[str], fault: Any = None) -> Training:
        output = folder / f"output-{len(started)}.txt"
        doing = _SERVER.Array("c", 100, lock=False)
        process = _SERVER.Process(target=_run, args=(arguments, output, fault, doing))
        process.start()
        started.append(Training(process, output, doing))
        return started[-1]

    yield start
    for training in started:
        if training.process.is_alive():
            training.process.kill()
        training.process.join()


def differences(run: Path, straight: Path) -> list[str]:
    """Where a run that was interrupted has ended otherwise than one that was not."""
    found = []
    for name in ("recipe.yaml", "shared.model", "corpus.json", "source_words.tsv"):
        if (run / name).read_bytes() != (straight / name).read_bytes():
            found.append(name)
    for name in ("model.safetensors", "lexicon.safetensors"):
        if not _equal(_tensors(run / name), _tensors(straight / name)):
            found.append(name)
    if _scores(run) != _scores(straight):
        found.append("scores.json")
    checkpoints = [_checkpoint(folder) for folder in (run, straight)]
    for name in checkpoints[1]:
        if not _equal(checkpoints[0].get(name), checkpoints[1][name]):
            found.append(f"{name} of the checkpoint")
    if _log(run) != _log(straight):
        found.append("metrics.csv")
    if _samples(run) != _samples(straight):
        found.append("samples.txt")
    names = {path.relative_to(run).as_posix() for path in run.rglob(".*")}
    return [*found, *sorted(names)]


def _run(arguments: list[str], output: Path, fault: Any, doing: Any) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    torch.set_num_threads(1)
    for name, function in _PHASES.items():
        _patch(function, _telling(name, doing))
    if fault is not None:
        fault.install()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as of a process in a terminal
    doing.value = b"starting"
    sys.exit(importlib.import_module("seq2seq.cli").main(arguments))


_TRAIN, _CALLBACKS = "seq2seq.training.train", "seq2seq.training.callbacks"
_PHASES = {
    "reading the corpus": f"{_TRAIN}:load_corpus",
    "training the tokenizer": f"{_TRAIN}:train_tokenizers",
    "encoding": "seq2seq.data.datamodule:encode_corpus",
    "beginning the run folder": "seq2seq.training.run_folder:RunFolder.begin",
    "in step": "seq2seq.training.module:TranslationModule.training_step",
    "beginning to train": f"{_TRAIN}:fit",
    "evaluating": "seq2seq.training.development:Development.evaluate",
    "writing a checkpoint": f"{_CALLBACKS}:LastCheckpoint._write",
    "learning the lexicon": f"{_TRAIN}:learn_lexicon",
    "writing the model directory": f"{_TRAIN}:save_model_directory",
    "translating the test set": "seq2seq.evaluate:evaluate_set",
}


def _telling(name: str, doing: Any) -> Callable[..., Any]:
    """Makes wrappers of functions that say what is being done."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            before = doing.value
            step = f" {args[0].global_step + 1}" if name == "in step" else ""
            doing.value = f"{name}{step}".encode()
            result = original(*args, **kwargs)
            if name == "beginning to train":
                doing.value = b"ending"
            elif name != "in step":  # which goes on with gradients and optimiser
                doing.value = before
            return result

        return wrapped

    return wrap


def _patch(function: str, wrap: Callable[..., Any]) -> None:
    module, _, names = function.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = names.split(".")
    for each in classes:
        owner = getattr(owner, each)
    setattr(owner, name, wrap(getattr(owner, name)))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _tensors(file: Path) -> dict[str, Any]:
    with safetensors.safe_open(file, framework="pt") as entries:
        tensors = {name: entries.get_tensor(name) for name in entries.keys()}  # noqa: SIM118
        return {**tensors, "metadata": entries.metadata()}


def _scores(run: Path) -> dict[str, Any]:
    scores = json.loads((run / "scores.json").read_bytes())
    del scores["test"]["sentences_per_second"]
    return scores


def _checkpoint(run: Path) -> dict[str, Any]:
    """The last checkpoint, without what counts time or names of the process."""
    loaded = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    callbacks = loaded.pop("callbacks")
    (evaluation,) = [state for state in callbacks.values() if "history" in state]
    times = ("minutes", "pieces_per_second", "loss")  # of a window that a new start cuts
    history = [{n: v for n, v in row.items() if n not in times} for row in evaluation["history"]]
    return {**loaded, "history": history, "ranking": evaluation["ranking"]}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _log(run: Path) -> list[tuple[str, str]]:
    with open(run / "logs/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["step"], row["dev_bleu"]) for row in rows if row["dev_bleu"]]


def _samples(run: Path) -> list[str]:
    lines = (run / "logs/samples.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line.startswith("  ")]
