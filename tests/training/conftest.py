import multiprocessing
from pathlib import Path

import pytest
import torch
from copy_corpus import write_copy_corpus
from killed_training import PRELOADED
from together import two_processes

from seq2seq.training import spawned
from seq2seq.training.train import TrainingResult, train


@pytest.fixture(autouse=True)
def one_thread():
    """More threads than cores make tiny products slow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 training pairs, 7 each for development and test."""
    return write_copy_corpus(tmp_path_factory.mktemp("copy"), num_train=60, num_dev=7)


@pytest.fixture
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes come from a server that has imported everything, in a moment."""
    _start_quickly(monkeypatch)


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Path) -> TrainingResult:
    """An uninterrupted training of two processes."""
    with pytest.MonkeyPatch.context() as patch:
        _start_quickly(patch)
        return train(two_processes(tiny_corpus), tmp_path_factory.mktemp("straight") / "run")


def _start_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawned, "START_METHOD", "forkserver")
    multiprocessing.set_forkserver_preload(PRELOADED)
    torch.set_num_threads(1)
