"""Corpora: files of every kind give a pair for each line, or one sentence says what is wrong."""

import csv
import gzip
import io
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import BYTES, CASES, TEXTS, damaged, damaged_tree, fuzz

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.loading import load_corpus
from seq2seq.data.readers import read_entry
from seq2seq.data.tables import Columns
from seq2seq.lines import LONGEST_LINE

PAIRS = [
    ("ein Hund schläft .", "a dog sleeps ."),
    ('Er sagt, "nein".', 'He says, "no".'),
    ("", "nothing"),
    ("어떤 문장이든", "any sentence"),
    ("e\u0301t\u00e9\u2028und\u200bmehr", "summer\u202eand more"),
]
DE_EN = Columns("de", "en")
Pairs = list[tuple[str, str]]


def text_pairs(folder: Path) -> Pairs:
    return list(
        zip(
            *(read_lines((folder / f"t.{side}").read_bytes()) for side in ("de", "en")), strict=True
        )
    )


def read_lines(data: bytes) -> list[str]:
    """The lines as the documentation has them."""
    lines = data.removeprefix(b"\xef\xbb\xbf").decode().split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def in_lines(texts: list[str]) -> bytes:
    """Lines with both kinds of end."""
    ends = itertools.cycle(("\n", "\r\n"))
    return "".join(text + end for text, end in zip(texts, ends, strict=False)).encode()


def write_texts(folder: Path, rng: random.Random) -> str:
    for place, side in enumerate(("de", "en")):
        (folder / f"t.{side}").write_bytes(in_lines([pair[place] for pair in PAIRS]))
    side = rng.choice(("de", "en"))
    if rng.random() < 0.5:  # the same in both files keeps them aligned
        data = damaged((folder / "t.de").read_bytes(), rng)
        (folder / "t.de").write_bytes(data)
        (folder / "t.en").write_bytes(data)
    else:
        (folder / f"t.{side}").write_bytes(damaged((folder / f"t.{side}").read_bytes(), rng))
    return "t"


def write_tsv(folder: Path, rng: random.Random) -> str:
    rows = ["de\ten", *("\t".join(pair) for pair in PAIRS)]
    (folder / "t.tsv").write_bytes(damaged(in_lines(rows), rng))
    return "t.tsv"


def write_csv(folder: Path, rng: random.Random) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([("de", "en"), *PAIRS])
    (folder / "t.csv").write_bytes(damaged(file.getvalue().encode(), rng))
    return "t.csv"


def write_jsonl(folder: Path, rng: random.Random) -> str:
    rows = [{"translation": dict(zip(("de", "en"), pair, strict=True))} for pair in PAIRS]
    if rng.random() < 0.5:
        rows = [row if rng.random() < 0.9 else damaged_tree(row, rng) for row in rows]
        data = "\n".join(json.dumps(row) for row in rows).encode()
    else:
        data = damaged("\n".join(json.dumps(row) for row in rows).encode(), rng)
    (folder / "t.jsonl").write_bytes(data)
    return "t.jsonl"


def write_parquet(folder: Path, rng: random.Random) -> str:
    file = io.BytesIO()
    columns = {side: [pair[place] for pair in PAIRS] for place, side in enumerate(("de", "en"))}
    pq.write_table(pa.table(columns), file, row_group_size=2)
    (folder / "t.parquet").write_bytes(damaged(file.getvalue(), rng))
    return "t.parquet"


def write_gzip(folder: Path, rng: random.Random) -> str:
    for place, side in enumerate(("de", "en")):
        data = gzip.compress("".join(f"{pair[place]}\n" for pair in PAIRS).encode())
        (folder / f"z.{side}.gz").write_bytes(damaged(data, rng) if rng.random() < 0.6 else data)
    return "z"


WRITERS: dict[str, Callable[[Path, random.Random], str]] = {
    "text": write_texts,
    "tsv": write_tsv,
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "gzip": write_gzip,
}


def expected_pairs(kind: str, folder: Path) -> Pairs | None:
    """What a second reader, written for the test, finds in an accepted file; None if it cannot."""
    if kind == "text":
        return text_pairs(folder)
    if kind == "tsv":
        header, *rows = [line.split("\t") for line in read_lines((folder / "t.tsv").read_bytes())]
        places = header.index("de"), header.index("en")
        width = len(header)
        cells = [row if row != [""] else [""] * width for row in rows]
        return [(row[places[0]], row[places[1]]) for row in cells]
    return None


@pytest.mark.parametrize("kind", sorted(WRITERS))
@CASES
def test_damaged_corpora_give_all_their_pairs_or_are_refused(
    cases: int, kind: str, tmp_path: Path
) -> None:
    def read(rng: random.Random) -> None:
        entry = str(tmp_path / WRITERS[kind](tmp_path, rng))
        chunks = list(read_entry(entry, ("de", "en"), DE_EN, field="corpus.train"))
        sources = [text for chunk in chunks for text in chunk.sources]
        targets = [text for chunk in chunks for text in chunk.targets]
        found = list(zip(sources, targets, strict=True))
        expected = expected_pairs(kind, tmp_path)
        assert expected is None or found == expected
        if rng.random() < 0.02:
            load(tmp_path, entry, found)

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 50


def load(folder: Path, entry: str, pairs: Pairs) -> None:
    """Loads a corpus whose training pairs are known: none is lost without being counted."""
    for side in ("de", "en"):
        (folder / f"dev.{side}").write_text("another one\n")
    dev = str(folder / "dev")
    recipe = Recipe(
        source_language="de",
        target_language="en",
        corpus=CorpusConfig(train=entry, dev=dev, test=dev),
    )
    corpus = load_corpus(recipe, folder / "cache")
    report = corpus.reports["train"]
    assert report.read == len(pairs) == report.kept + sum(report.dropped.values())
    cleaned = [(clean_sentence(source), clean_sentence(target)) for source, target in pairs]
    kept = list(zip(corpus.train.sources, corpus.train.targets, strict=True))
    assert kept == [pair for pair in cleaned if all(side.strip() for side in pair)]


@pytest.mark.parametrize("nasty", range(len(BYTES)))
def test_a_nasty_line_stands_where_it_stood_or_is_named(tmp_path: Path, nasty: int) -> None:
    def read(rng: random.Random) -> None:
        for side in ("de", "en"):
            (tmp_path / f"t.{side}").write_bytes(b"first\n%s\nlast\n" % BYTES[nasty])
        chunks = list(read_entry(str(tmp_path / "t"), ("de", "en"), DE_EN, field="corpus.train"))
        assert [pair for chunk in chunks for pair in zip(*chunk[:2], strict=True)] == (
            text_pairs(tmp_path)
        )

    fuzz(read, 1)


@pytest.mark.parametrize("text", [*TEXTS, "\udcff", "[", "[:]", "[0:0]", "a" * 300, "../" * 2000])
def test_entries_with_anything_in_them_are_looked_for_and_named(tmp_path: Path, text: str) -> None:
    for path in (text, f"{tmp_path}/{text}", f"{tmp_path}/a{text}"):
        for entry in (path, f"{path}.tsv", f"{path}.parquet", f"{path}.jsonl.gz"):
            with pytest.raises(ConfigurationError):
                list(read_entry(entry, ("de", "en"), DE_EN, field="corpus.train"))


@pytest.mark.parametrize("cases", [20, pytest.param(500, marks=pytest.mark.slow)])
def test_damaged_data_sets_in_a_folder_give_pairs_or_are_refused(
    cases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub-cache")

    def read(rng: random.Random) -> None:
        folder = tmp_path / f"set-{rng.random()}"
        folder.mkdir()
        kind = rng.choice(("csv", "jsonl", "parquet"))
        name = WRITERS[kind](folder, rng)
        (folder / name).rename(folder / f"train.{kind}")
        config = CorpusConfig(hub=str(folder))
        recipe = Recipe(source_language="de", target_language="en", corpus=config)
        load_corpus(recipe, tmp_path / "cache")

    # Two pairs are too few to draw sets from, and that is said, too.
    assert fuzz(read, cases)["refused"] == cases


def test_a_small_file_that_unfolds_to_gigabytes_is_read_bit_by_bit(tmp_path: Path) -> None:
    """A thousand rows that are one megabyte, which stands in the file once."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), ["x" * 1_000_000])
    pq.write_table(pa.table({"de": column, "en": column}), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 1_000_000

    def read(rng: random.Random) -> None:
        chunks = read_entry(str(tmp_path / "t.parquet"), ("de", "en"), DE_EN, field="corpus.train")
        first = list(itertools.islice(chunks, 3))
        assert all(text == "x" * 1_000_000 for text in first[-1].sources)

    assert fuzz(read, 1)["worked"] == 1, "within the memory of a case"


def test_a_value_that_is_no_sentence_is_named(tmp_path: Path) -> None:
    table = pa.table({"de": ["a", "x" * (LONGEST_LINE + 1)], "en": ["b", "c"]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(ConfigurationError, match="more than 2,000,000 characters in row 2 of"):
        list(read_entry(str(tmp_path / "t.parquet"), ("de", "en"), DE_EN, field="corpus.train"))
