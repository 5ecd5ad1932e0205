import re
from pathlib import Path

import pytest
from corpus_files import (
    PAIRS,
    TEXT,
    entry,
    fuzz_settings,
    or_error,
    whole,
    write,
    write_pairs,
    write_table,
)
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError
from seq2seq.data import text_files
from seq2seq.data.readers import read_entry
from seq2seq.data.tables import Columns

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with PAIRS as two text files and as a table, all called `some`."""
    folder = tmp_path_factory.mktemp("written")
    write_pairs(folder, "some", PAIRS)
    write_table(folder / "some.tsv")
    return folder


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("[:3]", [0, 1, 2]),
        ("[7:]", [7, 8, 9]),
        ("[2:4]", [2, 3]),
        ("[-2:]", [8, 9]),
        ("[:-7]", [0, 1, 2]),
        ("[8:500]", [8, 9]),
        ("[:]", list(range(10))),
        ("[:66%]", [0, 1, 2, 3, 4, 5, 6]),
        ("[66%:]", [7, 8, 9]),
        ("[25%:45%]", [3, 4]),
        ("[-20%:]", [8, 9]),
        ("[1:50%]", [1, 2, 3, 4]),
    ],
)
@pytest.mark.parametrize("name", ["some.tsv", "some"])
def test_a_slice_takes_a_part_of_the_pairs(
    tmp_path: Path, name: str, text: str, numbers: list[int]
) -> None:
    if name == "some":
        write_pairs(tmp_path, name, PAIRS)
    else:
        write_table(tmp_path / name)
    sources, targets = entry(f"{tmp_path / name}{text}")
    assert list(zip(sources, targets, strict=True)) == [PAIRS[number] for number in numbers]


@pytest.mark.parametrize("text", ["[5]", "[]", "[a:]", "[:5.5%]", "[1:2:3]", "[: 5]", "[--1:]"])
def test_a_bad_slice_is_an_error(text: str) -> None:
    message = rf"`corpus\.train` 'x{re.escape(text)}' must end with a slice such as \[:500\], "
    with pytest.raises(ConfigurationError, match=message):
        entry(f"x{text}")


@pytest.mark.parametrize("text", ["[5:5]", "[10:]", "[8:2]", "[:1%]", "[:-100]"])
def test_a_slice_of_nothing_is_an_error(tmp_path: Path, text: str) -> None:
    path = write_table(tmp_path / "some.tsv")
    with pytest.raises(
        ConfigurationError, match=r"slice of `corpus\.train` .* takes none of 10 pairs\.$"
    ):
        entry(f"{path}{text}")


@given(
    inside=st.text(st.sampled_from("0123456789:-+%[] ٣²a\n\x00")),
    name=st.sampled_from(["some", "some.tsv", ""]),
)
@fuzz_settings()
def test_whatever_stands_in_brackets_is_a_slice_or_an_error(
    written: Path, inside: str, name: str
) -> None:
    sides = or_error(lambda: entry(f"{written / name}[{inside}]"))
    if sides is None:
        return
    got = list(zip(*sides, strict=True))
    assert got and got == PAIRS[PAIRS.index(got[0]) :][: len(got)]


def test_an_entry_of_two_lines_is_an_error() -> None:
    with pytest.raises(
        ConfigurationError, match=r"`corpus\.train` must be one line, but is 'a\\nb"
    ):
        entry("a\nb")


# Text files


@given(sources=st.lists(TEXT), targets=st.lists(TEXT), endings=st.sampled_from(["\n", "\r\n"]))
@fuzz_settings()
def test_two_text_files_give_their_lines_or_an_error(
    folder: Path, sources: list[str], targets: list[str], endings: str
) -> None:
    sides = []
    for side, suffix in ((sources, "de"), (targets, "en")):
        lines = [line.replace("\n", " ").rstrip("\r") for line in side]
        data = "".join(f"{line}{endings}" for line in lines).encode()
        write(folder / f"text.{suffix}", data)
        if lines:
            lines[0] = lines[0].removeprefix("\ufeff")
        sides.append(lines)
    read = or_error(lambda: entry(folder / "text"))
    assert read == (tuple(sides) if len(sources) == len(targets) else None)


BYTES = st.lists(
    st.sampled_from([b"\n", b"\r", b"a", b"\t", b"\xff", b"\xef\xbb\xbf", "é".encode(), b"\x00"])
    | st.binary(max_size=3)
).map(b"".join)


@given(source=BYTES, target=BYTES)
@fuzz_settings()
def test_any_two_files_give_their_lines_or_an_error(
    folder: Path, source: bytes, target: bytes
) -> None:
    write(folder / "bytes.de", source)
    write(folder / "bytes.en", target)
    read = or_error(lambda: entry(folder / "bytes"))
    counts = {data.count(b"\n") + (data[-1:] not in (b"\n", b"")) for data in (source, target)}
    if b"\xff" in source + target or b"\xef\xbb\xbf" in source + target:
        return  # the mark at the beginning may be all that there is
    if len(counts) > 1:
        assert read is None
    elif read is not None:
        for side, data in zip(read, (source, target), strict=True):
            lines = data.decode().split("\n")
            expected = [line.removesuffix("\r") for line in lines][: counts.copy().pop()]
            assert side == expected


def test_a_file_for_a_prefix_is_explained(tmp_path: Path) -> None:
    write_pairs(tmp_path, "some", PAIRS)
    message = r"neither exists \(give the path before the language, or a table: \.tsv, \.csv"
    with pytest.raises(ConfigurationError, match=message):
        entry(tmp_path / "some.de")
    for name in ("some.JSON", "some.txt[:5]"):  # not there, but meant as a table
        with pytest.raises(ConfigurationError, match=message):
            entry(tmp_path / name)
    with pytest.raises(ConfigurationError, match=r"neither exists\.$"):
        entry(tmp_path / "v1.0")


@pytest.mark.parametrize(
    "name", ["a\0b", "a\0b.tsv", "x" * 5000, "x" * 5000 + ".tsv", "\ud800.tsv"]
)
def test_names_that_no_file_can_have_are_errors(name: str) -> None:
    with pytest.raises(ConfigurationError):
        entry(name)


def test_chunks_are_bounded_and_none_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_BLOCK", 1000)
    pairs = [("s" * (number % 70), "t" * (number % 9)) for number in range(2000)]
    prefix = write_pairs(tmp_path, "many", pairs)
    chunks = list(read_entry(prefix, ("de", "en"), Columns("de", "en"), field="corpus.train"))
    assert 30 < len(chunks) < 400
    assert max(len("".join(chunk.sources)) for chunk in chunks) < 1100
    shares = [chunk.share for chunk in chunks]
    assert shares == sorted(shares) and shares[-1] > 0.9
    assert whole(chunks) == tuple(map(list, zip(*pairs, strict=True)))
