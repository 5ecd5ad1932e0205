import io
import os
import threading

import pytest

from seq2seq.config import ConfigurationError
from seq2seq.lines import (
    LONGEST_LINE,
    WINDOW_CHARACTERS,
    LineReader,
    find_place,
    numbered_windows,
    open_input,
    open_output,
)


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


def test_a_patient_window_does_not_end_where_the_input_pauses():
    reading, writing = os.pipe()

    def write_the_rest():
        os.write(writing, b"three\nfour\n")
        os.close(writing)

    with open(reading, "rb", buffering=0) as file:
        os.write(writing, b"one\ntwo\n")
        threading.Timer(0.3, write_the_rest).start()
        windows = list(LineReader(file).windows(3, patient=True))
    assert windows == [["one", "two", "three"], ["four"]]


def test_long_lines_end_a_window_early():
    half = "x" * (WINDOW_CHARACTERS // 2)
    lines = ["a", half, half, "b", "c"]
    windows = list(LineReader(io.BytesIO("\n".join(lines).encode())).windows(100))
    assert windows == [["a", half, half], ["b", "c"]]


def test_the_longest_line_is_read_and_a_longer_one_is_refused():
    longest = b"x" * LONGEST_LINE
    assert list(LineReader(io.BytesIO(b"a\n" + longest)).windows(9)) == [["a", longest.decode()]]
    reader = LineReader(io.BytesIO(b"a\nb\nx" + longest + b"\nc"))
    with pytest.raises(ConfigurationError, match="line 3 of the input is longer than 2,000,000"):
        list(reader.windows(9))


def test_an_input_without_line_ends_is_not_read_to_its_end():
    class Endless(io.RawIOBase):
        num_read = 0

        def read(self, size=-1):
            self.num_read += size
            assert self.num_read < 2 * LONGEST_LINE
            return b"x" * size

    with pytest.raises(ConfigurationError, match="put a line end after each sentence"):
        list(LineReader(Endless()).windows(9))


def test_windows_are_numbered_and_know_what_came_before():
    first, second = numbered_windows(LineReader(io.BytesIO(b"a\nb\nc\n")), 2)
    assert (first.number, first.lines, first.first, first.last) == (0, ["a", "b"], 1, 2)
    assert (second.number, second.lines, second.first, second.last) == (1, ["c"], 3, 3)
    (other,) = numbered_windows(LineReader(io.BytesIO(b"a\nc\n")), 2)
    assert len({first.digest, second.digest, other.digest}) == 3
    *_, same = numbered_windows(LineReader(io.BytesIO(b"a\r\nb\nc")), 1)
    assert same.digest == second.digest, "windows and ends of lines do not count"


def test_a_place_is_that_of_a_file(tmp_path):
    (tmp_path / "link").symlink_to("real")
    assert find_place(str(tmp_path / "link")) == tmp_path / "real"
    assert find_place(os.devnull) is None
    with pytest.raises(ConfigurationError, match="cannot be written: is a directory"):
        find_place(str(tmp_path))
    with pytest.raises(ConfigurationError, match="cannot be written: no such file or directory"):
        find_place(str(tmp_path / "none" / "out"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written: not a directory"):
        find_place(str(tmp_path / "file" / "out"))


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


def test_standard_input_is_read_if_no_file_is_named_and_must_be_open(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a line\n")))
    with open_input(None) as file:
        assert file.read() == b"a line\n"
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ConfigurationError, match="standard input is closed"), open_input(None):
        pass


def test_a_device_is_written_to_and_a_folder_is_not(tmp_path):
    with open_output("/dev/null") as file:
        file.write(b"a line\n")
    with (
        pytest.raises(ConfigurationError, match="cannot be written: is a directory"),
        open_output(str(tmp_path)),
    ):
        pass


def test_standard_output_is_written_if_no_file_is_named(capfdbinary):
    with open_output(None) as file:
        file.write(b"a line\n")
    assert capfdbinary.readouterr().out == b"a line\n"


def after_dots(lines, *, late):
    return lines[-1] == "." or (late and lines[-1] == ",")


@pytest.mark.parametrize(
    "text, windows",
    [
        pytest.param("a b c . d e f . g", ["abc.", "def.", "g"], id="longer"),
        pytest.param("a . b . c", ["a.b.", "c"], id="not shorter"),
        pytest.param("a , b , c d , e", ["a,b,cd,", "e"], id="late"),
    ],
)
def test_windows_end_only_where_they_may(text, windows):
    reader = LineReader(io.BytesIO(text.replace(" ", "\n").encode()))
    found = ["".join(lines) for lines in reader.windows(3, patient=True, may_end=after_dots)]
    assert found == windows


def test_a_paused_pipe_waits_for_what_may_not_end():
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as file:
        os.write(writing, b"one\n.\ntwo\n")
        windows = LineReader(file).windows(100, may_end=after_dots)
        threading.Timer(0.3, lambda: (os.write(writing, b".\nthree\n"), os.close(writing))).start()
        assert list(windows) == [["one", ".", "two", ".", "three"]]


def test_a_window_that_may_not_end_is_no_longer_than_the_longest_line():
    line = "x" * (WINDOW_CHARACTERS - 1)
    reader = LineReader(io.BytesIO(f"{line}\n{line}\n{line}\n".encode()))
    with pytest.raises(ConfigurationError, match="line 3 of the input still belongs to what began"):
        list(reader.windows(9, may_end=after_dots))
