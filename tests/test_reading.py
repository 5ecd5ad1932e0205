import os
from collections.abc import Callable
from pathlib import Path

import pytest

from seq2seq.config import ConfigurationError
from seq2seq.reading import check_file


def test_a_file_of_the_largest_size_is_let_through_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to("a")
    check_file(tmp_path / "a", most_bytes=5)
    check_file(tmp_path / "b", most_bytes=5)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(
        ConfigurationError, match=r"a is too large: it has 5 bytes, but may have 4\."
    ):
        check_file(tmp_path / "a", most_bytes=4)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a device or a pipe"),
        (os.mkdir, "a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "a device or a pipe"),
    ],
)
def test_what_is_no_file(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / "a")
    with pytest.raises(ConfigurationError, match=f"a is {kind}, but must be a file."):
        check_file(tmp_path / "a", most_bytes=5)


@pytest.mark.parametrize("name", ["nowhere", "file/nowhere"])
def test_what_is_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nowhere"):
        check_file(tmp_path / name, most_bytes=5)


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(ConfigurationError, match="a cannot be read: Too many levels of symbolic"):
        check_file(tmp_path / "a", most_bytes=5)
