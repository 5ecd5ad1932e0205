"""Small corpora in files, and how tests look at what is read of them."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe, TrainingConfig
from seq2seq.data.corpus import Corpus, Pairs, load_corpus

T = TypeVar("T")


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


def load(seed: int = 1, **corpus: object) -> Corpus:
    recipe = Recipe(
        source_language="de",
        target_language="en",
        corpus=CorpusConfig(**corpus),
        training=TrainingConfig(seed=seed),
    )
    return load_corpus(recipe)


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
