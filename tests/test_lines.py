import io
import os

import pytest

from seq2seq.config import ConfigurationError
from seq2seq.lines import LineReader, open_input, open_output


class Trickle(io.RawIOBase):
    """Gives its data a few bytes at a time, as a pipe may."""

    def __init__(self, data, size):
        self._data = io.BytesIO(data)
        self._size = size

    def read(self, size=-1):
        return self._data.read(self._size)


@pytest.mark.parametrize("size", [4, 7, 1000])
def test_lines_may_stand_across_any_number_of_reads(size):
    data = "eins\r\n\n가나다라마바사\nvier".encode()
    windows = list(LineReader(Trickle(data, size)).windows(3))
    assert windows == [["eins", "", "가나다라마바사"], ["vier"]]


def test_a_window_is_never_larger_than_asked():
    windows = list(LineReader(io.BytesIO(b"x\n" * 10)).windows(4))
    assert [len(window) for window in windows] == [4, 4, 2]


def test_a_paused_pipe_hands_on_what_is_there():
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as file:
        os.write(writing, b"one\ntwo\nthr")
        windows = LineReader(file).windows(100)
        assert next(windows) == ["one", "two"]
        os.write(writing, b"ee\n")
        os.close(writing)
        assert list(windows) == [["three"]]


def test_a_byte_order_mark_alone_is_nothing():
    assert list(LineReader(io.BytesIO(b"\xef\xbb\xbf")).windows(3)) == []


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with open_output(str(tmp_path / "link")) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_missing_file_is_a_sentence(tmp_path):
    with (
        pytest.raises(ConfigurationError, match="cannot be read: no such file or directory"),
        open_input(str(tmp_path / "none")),
    ):
        pass
