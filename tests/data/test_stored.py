import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.stored import ColumnFile, PackedText, PairWriter, StoredSentences, read_column

TEXT = ["", "ein Hund", "字\u2028", "e\u0301", "x" * 5000, "a", "b", "zwei", "🐕", "\x00"]
ROWS = [0, 1, 2, 4, 7, 8, 9]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredSentences:
    """The targets at ROWS of TEXT, which stands in chunks of other sizes."""
    folder = tmp_path_factory.mktemp("stored") / "corpus"
    folder.mkdir()
    with PairWriter(folder / "train.arrow") as writer:
        for part in (slice(0, 3), slice(3, 3), slice(3, 8), slice(8, 10)):
            targets = TEXT[part]
            writer.append(PackedText.of(["-"] * len(targets)), PackedText.of(targets))
    np.save(folder / "train.npy", np.array(ROWS, np.int32))
    return StoredSentences(folder / "train.arrow", "target", folder / "train.npy")


def test_stored_sentences_are_a_sequence_of_text(stored: StoredSentences) -> None:
    expected = [TEXT[row] for row in ROWS]
    assert list(stored) == expected and len(stored) == len(expected)
    assert [stored[index] for index in range(-7, 7)] == expected * 2
    assert stored == expected and expected == stored
    assert stored != expected[1:] and stored != [*expected[:-1], "other"] and stored != "text"
    with pytest.raises(IndexError):
        stored[7]


@given(bounds=st.slices(7))
def test_slices_of_stored_sentences_are_lists(stored: StoredSentences, bounds: slice) -> None:
    assert stored[bounds] == [TEXT[row] for row in ROWS][bounds]


def test_stored_sentences_are_sent_as_their_place(stored: StoredSentences) -> None:
    sent = pickle.dumps(stored)
    assert len(sent) < 700 and b"Hund" not in sent
    assert pickle.loads(sent) == stored


def test_numbers_come_back_as_they_were_written(tmp_path: Path) -> None:
    with ColumnFile(tmp_path / "some", np.dtype(np.uint64)) as some:
        some.append(np.array([3, 2**63], np.uint64))
        some.append(np.array([], np.uint64))
        some.append(np.array([1], np.uint64))
    assert some.read().tolist() == [3, 2**63, 1]
    with ColumnFile(tmp_path / "none", np.dtype(bool)):
        pass
    assert read_column(tmp_path / "none", np.dtype(bool)).tolist() == []
