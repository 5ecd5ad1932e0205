from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq.data import text_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all cases of a property, which write the same files again."""
    return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="module")
def small_blocks() -> Iterator[None]:
    """Reads a few bytes at a time, so that blocks end everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "_BLOCK", 7)
        yield
