from pathlib import Path

import pytest
import torch
from copy_corpus import write_copy_corpus


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
