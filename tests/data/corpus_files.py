"""Small corpora in files, and how tests look at what is read of them."""

import gzip
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import settings
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe, TrainingConfig
from seq2seq.data.corpus import Corpus, Pairs
from seq2seq.data.loading import load_corpus
from seq2seq.data.readers import read_entry
from seq2seq.data.tables import READERS, Chunk, Columns

T = TypeVar("T")
Sides = tuple[list[str], list[str]]

PAIRS = [(f"satz {number}", f"SATZ {number}") for number in range(10)]
SIDES: Sides = ([source for source, _ in PAIRS], [target for _, target in PAIRS])
# What may stand in files at all: UTF-8 knows no halves of surrogate pairs.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def write(path: Path, lines: list[str] | list[bytes] | bytes) -> Path:
    if isinstance(lines, list):
        encoded = [line.encode() if isinstance(line, str) else line for line in lines]
        lines = b"".join(line + b"\n" for line in encoded)
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def write_pairs(folder: Path, name: str, pairs: list[tuple[str, str]], suffix: str = "") -> str:
    write(folder / f"{name}.de{suffix}", [source for source, _ in pairs])
    write(folder / f"{name}.en{suffix}", [target for _, target in pairs])
    return str(folder / name)


def write_table(path: Path, header: tuple[str, ...] = ("de", "en")) -> Path:
    """PAIRS as a table of the kind that the name says."""
    kind = next(suffix for suffix in READERS if suffix in path.name)
    if kind == ".parquet":
        pq.write_table(pa.table(dict(zip(header, SIDES, strict=True))), path)
        return path
    if kind == ".jsonl":
        return write(path, [json.dumps(dict(zip(header, pair, strict=True))) for pair in PAIRS])
    separator = "\t" if kind == ".tsv" else ","
    return write(path, [separator.join(row) for row in (header, *PAIRS)])


def whole(chunks: Iterable[Chunk]) -> Sides:
    """Sources and targets of all chunks, none of which is empty."""
    sides: Sides = [], []
    for chunk in chunks:
        assert chunk.sources
        sides[0].extend(chunk.sources)
        sides[1].extend(chunk.targets)
    return sides


def entry(path: Path | str, columns: Columns = Columns("de", "en")) -> Sides:  # noqa: B008
    """All pairs of an entry of `corpus.train`."""
    return whole(read_entry(str(path), ("de", "en"), columns, field="corpus.train"))


def load(seed: int = 1, **corpus: object) -> Corpus:
    recipe = Recipe(
        source_language="de",
        target_language="en",
        corpus=CorpusConfig(**corpus),
        training=TrainingConfig(seed=seed),
    )
    return load_recipe(recipe)


def load_recipe(recipe: Recipe) -> Corpus:
    """Its corpus, in files that vanish at once: those that are open stay readable."""
    with tempfile.TemporaryDirectory() as folder:
        return load_corpus(recipe, folder)


def numbered(word: str, size: int) -> list[tuple[str, str]]:
    return [(f"{word} {number}", f"{word.upper()} {number}") for number in range(size)]


def as_tuples(pairs: Pairs) -> list[tuple[str, str]]:
    return list(zip(pairs.sources, pairs.targets, strict=True))


def fuzz_settings(examples: int = 500) -> settings:
    """Many cases, the same in each run, however long one takes."""
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None)


def or_error(read: Callable[[], T]) -> T | None:
    """What `read` gives, None if it refuses with one line; anything else that is raised goes on."""
    try:
        return read()
    except ConfigurationError as error:
        assert len(str(error).splitlines()) == 1, str(error)
        assert str(error).endswith("."), str(error)
        return None
