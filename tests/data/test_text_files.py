import gzip
from pathlib import Path

import pytest
from corpus_files import fuzz_settings, or_error, write
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError
from seq2seq.data import text_files
from seq2seq.data.text_files import TextFile, read_lines
from seq2seq.lines import LONGEST_LINE

pytestmark = pytest.mark.usefixtures("small_blocks")


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))),
    last_line_ends=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
    compressed=st.booleans(),
)
def test_lines_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    last_line_ends: bool,
    ending: str,
    compressed: bool,
) -> None:
    lines = [line.rstrip("\r").removeprefix("\ufeff") for line in lines]
    text = ending.join(lines) + (ending if last_line_ends and lines else "")
    path = tmp_path_factory.getbasetemp() / ("lines.gz" if compressed else "lines")
    write(path, text.encode())
    if not last_line_ends and lines and not lines[-1]:
        lines.pop()  # nothing after the last line's end
    assert read_lines(path) == lines


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\r\r\n", ["a\r"]),
        ("a\u2028b\u0085c\x0bd\x1ce\n".encode(), ["a\u2028b\u0085c\x0bd\x1ce"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert read_lines(write(tmp_path / "text", content)) == lines


@pytest.mark.parametrize("name", ["text.de", "text.de.gz"])
def test_undecodable_bytes_name_file_and_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [b"gut", b"auch gut", "schön".encode("latin1")])
    with pytest.raises(ConfigurationError, match=rf"{name} is not UTF-8 in line 3; .*iconv"):
        read_lines(path)


def test_a_missing_file_a_folder_and_a_corrupt_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^There is no file .*absent\.de\.$"):
        read_lines(tmp_path / "absent.de")
    with pytest.raises(ConfigurationError, match=r"is a folder, but must be a file\.$"):
        read_lines(tmp_path)
    with pytest.raises(ConfigurationError, match=r"cannot be read: Not a directory\.$"):
        read_lines(write(tmp_path / "file", b"") / "inside")


@pytest.mark.parametrize("damage", ["foreign", "cut", "flipped", "empty"])
def test_a_damaged_gzip_file_is_an_error(tmp_path: Path, damage: str) -> None:
    content = bytearray(gzip.compress("\n".join(map(str, range(999))).encode()))
    content[len(content) // 2] ^= 0xFF if damage == "flipped" else 0
    damaged = {"foreign": b"plain text\n", "cut": bytes(content[:-20])}.get(damage, bytes(content))
    path = tmp_path / "text.de.gz"
    path.write_bytes(b"" if damage == "empty" else damaged)
    with pytest.raises(ConfigurationError, match=r"text\.de\.gz is not a complete gzip file"):
        read_lines(path)


@given(data=st.binary(max_size=40), place=st.integers(0, 60), byte=st.integers(0, 255))
@fuzz_settings()
def test_any_gzip_file_gives_its_lines_or_an_error(
    folder: Path, data: bytes, place: int, byte: int
) -> None:
    packed = bytearray(gzip.compress(b"some text\nof lines\n", mtime=0))
    packed[place % len(packed)] = byte
    for content in (data, bytes(packed), bytes(packed) + data, bytes(packed[:place])):
        path = folder / "lines.gz"
        path.write_bytes(content)
        lines = or_error(lambda path=path: read_lines(path))
        if lines is not None:
            assert lines == gzip.decompress(content).decode().split("\n")[:-1]


def test_blocks_are_bounded_however_long_the_lines_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_BLOCK", 1000)
    file = TextFile(write(tmp_path / "text.de", ["ab" * number for number in range(600)]))
    assert file.share() == 0
    shares = []
    for block in file.blocks():
        assert 0 < sum(map(len, block)) < 2500
        shares.append(file.share())
    assert len(shares) > 100 and shares == sorted(shares)
    assert shares[0] < 0.2 and file.share() == 1


@pytest.mark.parametrize("name", ["text.de", "text.de.gz"])
def test_a_line_that_is_no_sentence_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(text_files, "_BLOCK", 1 << 16)
    path = write(tmp_path / name, [b"a", b"b" * (LONGEST_LINE - 70_000), b"c"])
    assert list(map(len, read_lines(path))) == [1, LONGEST_LINE - 70_000, 1]
    write(path, [b"a", b"b", b"c" * (LONGEST_LINE + 200_000)])
    message = rf"{name} has more than {LONGEST_LINE:,} bytes in line 3, which is no sent"
    with pytest.raises(ConfigurationError, match=message):
        read_lines(path)
