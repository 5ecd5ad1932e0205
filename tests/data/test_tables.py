import csv
import gzip
import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_files import (
    PAIRS,
    SIDES,
    TEXT,
    Sides,
    entry,
    fuzz_settings,
    or_error,
    whole,
    write,
    write_table,
)
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError
from seq2seq.data import tables
from seq2seq.data.tables import (
    Columns,
    in_chunks,
    read_csv,
    read_jsonl,
    read_parquet,
    read_tsv,
)
from seq2seq.data.text_files import read_lines

pytestmark = pytest.mark.usefixtures("small_blocks")

DE_EN = Columns("de", "en")


@pytest.mark.parametrize(
    "name",
    ["t.tsv", "t.csv", "t.jsonl", "t.tsv.gz", "t.csv.gz", "t.jsonl.gz", "t.parquet"],
)
def test_every_kind_of_table_is_read_by_its_columns(tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / name)
    assert entry(path) == SIDES
    assert entry(path, Columns("en", "de")) == SIDES[::-1]
    write_table(path, ("translation.de", "translation.en"))
    assert entry(path) == SIDES
    assert entry(path, Columns("translation.de", "en")) == SIDES


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.jsonl", "t.parquet"])
def test_a_column_that_is_not_there_is_an_error(tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / name)
    message = r"^`corpus\.target_column` must be one of de, en in .*t\..*, but is 'es'\.$"
    with pytest.raises(ConfigurationError, match=message):
        entry(path, Columns("de", "es"))


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.jsonl", "t.parquet", "t.tsv.gz"])
def test_a_table_that_is_missing_or_a_folder_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^There is no file .*{re.escape(name)}\.$"):
        entry(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigurationError, match=r"is a folder, but must be a file\.$"):
        entry(tmp_path / name)


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_numbers_are_columns_without_a_header(tmp_path: Path, name: str) -> None:
    separator = "\t" if name == "t.tsv" else ","
    rows = [separator.join(("7", target, source)) for source, target in PAIRS]
    path = write(tmp_path / name, rows)
    assert entry(path, Columns("3", "2")) == SIDES
    with pytest.raises(ConfigurationError, match=r"`corpus\.target_column` must be from 1 to 3 in"):
        entry(path, Columns("3", "4"))
    with pytest.raises(ConfigurationError, match=r"`corpus\.source_column` must be from 1 to 3 in"):
        entry(path, Columns("0", "2"))
    message = r"must both be numbers or both be names, but are '1' and 'en'\."
    with pytest.raises(ConfigurationError, match=message):
        entry(path, Columns("1", "en"))


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_a_header_that_would_become_a_pair_is_an_error(tmp_path: Path, name: str) -> None:
    separator = "\t" if name == "t.tsv" else ","
    for header in (["id", "de", "en"], ["id", "en", "de"]):
        path = write(tmp_path / name, [separator.join(header), separator.join("1ab")])
        message = rf"^The first line of .*{name} is a header; give its names as `corpus\.source_c"
        with pytest.raises(ConfigurationError, match=message):
            entry(path, Columns("2", "3"))
        assert entry(path, Columns("1", "2"))[0] == ["id", "1"]
    write(path, [separator.join(["de", "en"]), separator.join(["de", "en"])])
    assert entry(path, Columns("de", "en")) == (["de"], ["en"])


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_with_other_separators_is_explained(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path / "t.csv", [separator.join(row) for row in (["de", "en"], "ab")])
    for columns in (Columns("de", "en"), Columns("1", "2")):
        message = r"t\.csv must be separated by commas; with tabs between them, name the file \.tsv"
        with pytest.raises(ConfigurationError, match=message):
            entry(path, columns)


def test_a_table_that_begins_with_an_empty_line_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["", "a,b"])
    with pytest.raises(ConfigurationError, match=r"`corpus\.source_column` must be from 1 to 0 in"):
        entry(path, Columns("1", "2"))


@pytest.mark.parametrize("name", ["T.TSV", "T.Tsv.GZ", "T.JSONL", "T.CSV"])
def test_suffixes_may_be_capitals(tmp_path: Path, name: str) -> None:
    content = {"T": "de\ten\na\tb\n", "C": "de,en\na,b\n", "J": '{"de": "a", "en": "b"}\n'}[name[2]]
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("GZ") else data)
    assert entry(tmp_path / name) == (["a"], ["b"])


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_rows_of_other_lengths_are_errors_and_empty_lines_are_empty_pairs(
    tmp_path: Path, name: str
) -> None:
    separator = "\t" if name == "t.tsv" else ","
    path = write(tmp_path / name, separator.join(["de", "en\na", "b\n\nc", "d\n"]).encode())
    assert entry(path) == (["a", "", "c"], ["b", "", "d"])
    write(path, separator.join(["de", "en\na", "b\nc", "d", "e\n"]).encode())
    with pytest.raises(ConfigurationError, match=r"Row 3 of .* has 3 columns, but row 1 has 2\."):
        entry(path)
    write(path, b"")
    with pytest.raises(ConfigurationError, match=rf"{re.escape(name)} is empty\.$"):
        entry(path)


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.parquet"])
def test_two_columns_of_one_name_are_an_error(tmp_path: Path, name: str) -> None:
    if name == "t.parquet":
        pq.write_table(pa.table([["a"], ["b"], ["c"]], ["de", "en", "en"]), tmp_path / name)
    else:
        separator = "\t" if name == "t.tsv" else ","
        write(tmp_path / name, [separator.join(row) for row in (["de", "en", "en"], "abc")])
    with pytest.raises(ConfigurationError, match=r"There is more than one column 'en' in .*t\."):
        entry(tmp_path / name)


def test_quotes_are_text_in_tsv_and_quotes_in_csv(tmp_path: Path) -> None:
    tsv = write(tmp_path / "t.tsv", ["de\ten", '"a\t""b"', "c\td\r"])
    assert entry(tsv) == (['"a', "c"], ['""b"', "d"])
    csv_path = write(tmp_path / "t.csv", ["de,en\r", '"a, ""b""\r', 'c",d"e\r', "f,g\r"])
    assert entry(csv_path) == (['a, "b"\r\nc', "f"], ['d"e', "g"])


@pytest.mark.parametrize("row", ['"a,b', '"a"b,c', "a\rb,c"])
def test_csv_that_is_none_names_the_line(tmp_path: Path, row: str) -> None:
    path = write(tmp_path / "t.csv", ["de,en", row])
    with pytest.raises(
        ConfigurationError, match=r"t\.csv is not CSV in line 2 \(.*\); a field with"
    ):
        entry(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"de": "a"', r"There is no JSON in line 2 of .*t\.jsonl \(JSONDecodeError: "),
        ("[1]", r"There must be a JSON object in line 2 of .*t\.jsonl, not list\."),
        ('{"de": "a"}', r"`corpus.target_column` must be one of de in line 2 of .*, but is 'en'\."),
        ('{"de": "a", "en": 5}', r"'en' has a value of type int in line 2 of .*t\.jsonl\."),
        ('{"de": "a", "en": "\\ud800"}', r"half a character \(a lone surrogate\) in line 2 of"),
        ("[" * 9999, r"There is no JSON in line 2 of .* \(RecursionError"),
        ('{"de": ' + "9" * 9999 + "}", r"There is no JSON in line 2 of .* \(ValueError"),
    ],
)
def test_json_that_is_none_names_the_line(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "t.jsonl", ['{"de": "a", "en": "b"}', line])
    with pytest.raises(ConfigurationError, match=message):
        entry(path)


def test_objects_in_objects_are_reached_by_dots_and_null_is_empty(tmp_path: Path) -> None:
    rows = [
        {"translation": {"de": "a", "en": "b"}, "x": {"y": {"de": "c"}, "y.z": "f"}},
        {"translation": {"de": None, "en": "d"}, "x": {"y": None, "y.z": "g"}},
        {"translation": None, "x": {"y": {"de": "e"}, "y.z": "h"}},
    ]
    write(tmp_path / "t.jsonl", ["", *map(json.dumps, rows)])
    assert entry(tmp_path / "t.jsonl") == (["", "a", "", ""], ["", "b", "d", ""])
    assert entry(tmp_path / "t.jsonl", Columns("x.y.de", "x.y.z")) == (
        ["", "c", "", "e"],
        ["", "f", "g", "h"],
    )
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    assert entry(tmp_path / "t.parquet") == (["a", "", ""], ["b", "d", ""])
    message = r"must be one of translation\.de, translation\.en, x\..* in .*, but is 'x\.de'\."
    for name in ("t.jsonl", "t.parquet"):
        with pytest.raises(ConfigurationError, match=message):
            entry(tmp_path / name, Columns("x.de", "en"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], r"'en' has a value of type int in row 1 of .*t\.parquet\."),
        ([None, b"a"], r"'en' has a value of type bytes in row 2 of .*t\.parquet\."),
        ([["a"], None], r"'en' has a value of type list in row 1 of .*t\.parquet\."),
    ],
)
def test_columns_of_parquet_must_be_text(
    tmp_path: Path, values: list[object], message: str
) -> None:
    pq.write_table(pa.table({"de": ["a", "b"], "en": values}), tmp_path / "t.parquet")
    with pytest.raises(ConfigurationError, match=message):
        entry(tmp_path / "t.parquet")


def test_a_damaged_parquet_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", ["de,en", "a,b"])
    with pytest.raises(
        ConfigurationError, match=r"t\.parquet cannot be read as Parquet \(ArrowInv"
    ):
        entry(path)


# Properties of each kind of table


CELLS = st.lists(st.lists(TEXT, min_size=3, max_size=3))
COLUMNS = st.sampled_from([Columns("1", "3"), Columns("3", "2"), Columns("de", "en")])


def expected_sides(rows: list[list[str]], columns: Columns) -> Sides | None:
    """What a table of cells holds by numbers or by the names of `with_header`."""
    if columns.source == "de":
        places = [0, 2]
    elif rows:
        places = [int(columns.source) - 1, int(columns.target) - 1]
    else:
        return None
    sources, targets = ([row[place] for row in rows] for place in places)
    return sources, targets


def with_header(rows: list[list[str]], columns: Columns) -> list[list[str]]:
    return [["de", "x", "en"], *rows] if columns.source == "de" else rows


@given(rows=CELLS, columns=COLUMNS)
@fuzz_settings()
def test_tsv_gives_its_cells(folder: Path, rows: list[list[str]], columns: Columns) -> None:
    rows = [[re.sub(r"[\t\n\r\ufeff]", " ", cell) for cell in row] for row in rows]
    path = write(folder / "t.tsv", ["\t".join(row) for row in with_header(rows, columns)])
    assert or_error(lambda: whole(read_tsv(path, columns))) == expected_sides(rows, columns)


@given(data=st.lists(st.sampled_from(["\t", "\n", "\r", '"', "a", "\ufeff", "é"]) | TEXT))
@fuzz_settings()
def test_any_tsv_gives_a_pair_for_each_line_or_an_error(folder: Path, data: list[str]) -> None:
    path = write(folder / "t.tsv", "".join(data).encode())
    sides = or_error(lambda: whole(read_tsv(path, Columns("1", "2"))))
    if sides is None:
        return
    rows = [[*line.split("\t"), ""] for line in read_lines(path)]
    assert list(zip(*sides, strict=True)) == [(row[0], row[1]) for row in rows]


@given(
    rows=CELLS,
    columns=COLUMNS,
    # Python writes a "\r" without quotes if lines end otherwise, which is ambiguous.
    style=st.sampled_from(
        [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\n")]
    ),
)
@fuzz_settings()
def test_csv_gives_its_cells(
    folder: Path, rows: list[list[str]], columns: Columns, style: tuple[int, str]
) -> None:
    quoting, ending = style
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=quoting, lineterminator=ending)
    writer.writerows(with_header(rows, columns))
    path = write(folder / "t.csv", b"\xef\xbb\xbf" + file.getvalue().encode())
    assert or_error(lambda: whole(read_csv(path, columns))) == expected_sides(rows, columns)


CSV_FIELD = r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))'


def strict_csv(text: str) -> list[tuple[str, str]] | None:
    """An own reading of RFC 4180 for two columns; None for what it does not describe."""
    rows, place = [], 0
    row = re.compile(rf"{CSV_FIELD},{CSV_FIELD}(?:\r?\n|$)")
    while place < len(text):
        match = row.match(text, place)
        if not match:
            return None
        quoted_source, source, quoted_target, target = match.groups()
        rows.append(
            (
                source if quoted_source is None else quoted_source.replace('""', '"'),
                target if quoted_target is None else quoted_target.replace('""', '"'),
            )
        )
        place = match.end()
    return rows


@given(text=st.text(st.sampled_from('a,"\n\r;\u2028é'), max_size=24))
@fuzz_settings(1000)
def test_any_csv_is_read_as_the_standard_says_or_refused(folder: Path, text: str) -> None:
    path = write(folder / "t.csv", text.encode())
    sides = or_error(lambda: whole(read_csv(path, Columns("1", "2"))))
    expected = strict_csv(text)
    if expected:
        assert sides is not None and list(zip(*sides, strict=True)) == expected
    elif sides is not None:
        assert len(sides[0]) == len(sides[1]) > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["de", "en", "translation", "de.x", ""]), inner, max_size=3
        )
    ),
)


def sentence_of(row: object, language: str) -> str | None:
    """What an object says about a language; None if that is no text."""
    if not isinstance(row, dict):
        return None
    if language in row:
        value = row[language]
    elif "translation" not in row:
        return None
    elif row["translation"] is None:
        value = None
    elif isinstance(row["translation"], dict) and language in row["translation"]:
        value = row["translation"][language]
    else:
        return None
    value = "" if value is None else value
    return value if isinstance(value, str) and not re.search("[\ud800-\udfff]", value) else None


OBJECTS = st.fixed_dictionaries(
    {"de": st.none() | st.text(max_size=5)}, optional={"en": JSON, "translation": JSON, "id": JSON}
)


@given(rows=st.lists(OBJECTS | JSON, max_size=4), ascii_only=st.booleans())
@fuzz_settings()
def test_jsonl_gives_its_values_or_an_error(
    folder: Path, rows: list[object], ascii_only: bool
) -> None:
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    path = write(folder / "t.jsonl", "\n".join(lines).encode(errors="surrogatepass"))
    pairs = [[sentence_of(row, language) for language in ("de", "en")] for row in rows]
    sides = or_error(lambda: whole(read_jsonl(path, DE_EN)))
    if any(sentence is None for pair in pairs for sentence in pair):
        assert sides is None
    elif sides is None:  # refused for half a character elsewhere in the line, which is no UTF-8
        assert not ascii_only and re.search("[\ud800-\udfff]", "".join(lines))
    else:
        assert [list(pair) for pair in zip(*sides, strict=True)] == pairs


@given(data=st.lists(st.sampled_from(['{"de":"a","en":"b"}', "\n", "{", "}", '"']) | TEXT))
@fuzz_settings()
def test_any_jsonl_gives_a_pair_for_each_line_or_an_error(folder: Path, data: list[str]) -> None:
    path = write(folder / "t.jsonl", "".join(data).encode())
    sides = or_error(lambda: whole(read_jsonl(path, DE_EN)))
    if sides is not None:
        assert len(sides[0]) == len(sides[1]) == len(read_lines(path))


@given(
    rows=st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT), max_size=8),
    group=st.integers(1, 3),
    nested=st.booleans(),
    text_type=st.sampled_from(
        [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
    ),
)
@fuzz_settings()
def test_parquet_gives_its_values(
    folder: Path, rows: list[tuple[str, str]], group: int, nested: bool, text_type: pa.DataType
) -> None:
    columns = {
        name: pa.array([row[place] for row in rows], pa.string()).cast(text_type)
        for place, name in enumerate(["de", "en"])
    }
    if nested:
        columns = {
            "id": pa.array(range(len(rows))),
            "translation": pa.StructArray.from_arrays(list(columns.values()), list(columns)),
        }
    pq.write_table(pa.table(columns), folder / "t.parquet", row_group_size=group)
    sides = whole(read_parquet(folder / "t.parquet", DE_EN))
    assert list(zip(*sides, strict=True)) == [
        (source or "", target or "") for source, target in rows
    ]


@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(1, 255), cut=st.booleans())
@fuzz_settings()
def test_damaged_parquet_gives_pairs_or_an_error(
    folder: Path, place: float, byte: int, cut: bool
) -> None:
    if not (folder / "whole.parquet").exists():
        write_table(folder / "whole.parquet")
    data = bytearray((folder / "whole.parquet").read_bytes())
    position = int(place * len(data))
    data[position] ^= byte
    path = write(folder / "t.parquet", bytes(data[:position] if cut else data))
    sides = or_error(lambda: whole(read_parquet(path, DE_EN)))
    if sides is not None:
        assert not cut and len(sides[0]) == len(sides[1])


def test_chunks_are_bounded_in_pairs_and_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 10)
    monkeypatch.setattr(tables, "MOST_CHARACTERS", 100)
    pairs = [("s" * (number % 40), "t") for number in range(95)]
    chunks = list(in_chunks(pairs, share=lambda: 0.5))
    assert whole(chunks) == tuple(map(list, zip(*pairs, strict=True)))
    assert all(len(chunk.sources) <= 10 and chunk.share == 0.5 for chunk in chunks)
    assert all(sum(map(len, chunk.sources)) < 140 for chunk in chunks)
    assert list(in_chunks([])) == []
