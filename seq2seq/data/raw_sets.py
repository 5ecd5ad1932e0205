"""Opens the sets that a recipe names: files, a data set of the hub, or the embedded phrasebook.

Nothing is read before it is asked for, and nothing is kept.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe
from seq2seq.data.alignments import with_alignments
from seq2seq.data.hub import open_hub
from seq2seq.data.readers import find_files, is_table, read_entry
from seq2seq.data.slices import part_names
from seq2seq.data.tables import READERS, Chunk, Columns, in_chunks
from seq2seq.data.text_files import TextFile
from seq2seq.languages import is_unspaced


@dataclass(frozen=True)
class RawSet:
    """A set as its files have it."""

    chunks: Iterator[tuple[int, Chunk]]
    """Its pairs, and the number of the part that they stand in."""
    where: str
    """What the set is read from, for error messages."""
    parts: list[str] = field(default_factory=list)
    """Names of its parts; empty if there is only one."""
    note: str = ""
    """As in the report."""
    is_aligned: bool = False
    """Its pairs come with alignments."""


@dataclass(frozen=True)
class RawSets:
    """The sets of a recipe."""

    sets: dict[str, RawSet]
    identity: Any = None
    """Changes when the text may have changed; None if nothing tells whether it has."""
    revision: str | None = None
    """The commit of a data set of the hub."""
    are_apart: bool = False
    """No training pair shares a side with one of another set."""


@contextmanager
def open_raw_sets(recipe: Recipe) -> Iterator[RawSets]:
    """Opens the sets that `recipe.corpus` names, the embedded phrasebook if it names none.

    Raises:
        ConfigurationError: If a file or data set is missing; while they are read, if it cannot be.
    """
    config = recipe.corpus
    languages = (recipe.source_language, recipe.target_language)
    columns = Columns(config.source_column or languages[0], config.target_column or languages[1])
    if config.train is not None:
        yield _open_files(config, languages, columns)
    elif config.hub is not None:
        with open_hub(config, columns) as found:
            sets = {}
            for name, chunks in found.sets.items():
                split = found.splits[name]
                is_asked = split == getattr(config, f"{name}_split")
                sets[name] = RawSet(
                    _of_part(0, chunks),
                    f"Split {split!r} of {config.hub}",
                    note="" if is_asked else f"read from split {split!r}",
                )
            yield RawSets(sets, identity=found.commit, revision=found.commit)
    else:
        is_aligned = recipe.training.guided_attention > 0
        yield _open_phrasebook(languages, config.max_pairs, is_aligned)


def _open_files(config: CorpusConfig, languages: tuple[str, str], columns: Columns) -> RawSets:
    given_sets = {
        name: [given] if isinstance(given, str) else given
        for name in ("train", "dev", "test")
        if (given := getattr(config, name)) is not None
    }
    _refuse_columns_of_texts(config, [e for entries in given_sets.values() for e in entries])
    sets = {}
    files = []
    for name, entries in given_sets.items():
        setting = f"corpus.{name}"
        files += [path for e in entries for path in find_files(e, languages, field=setting)]
        alignments = _alignment_files(config) if name == "train" else []
        files += alignments
        aligners = [_aligner(path, config, languages) for path in alignments]
        chunks = _of_parts(
            read_entry(entry, languages, columns, field=setting, align=align)
            for entry, align in zip(entries, aligners or [iter] * len(entries), strict=True)
        )
        if name == "train" and config.max_pairs is not None:
            chunks = _first(chunks, config.max_pairs)
        parts = part_names(entries) if len(entries) > 1 else []
        where = f"`{setting}` ({getattr(config, name)})"
        sets[name] = RawSet(chunks, where, parts, is_aligned=bool(alignments))
    return RawSets(sets, identity=_stamps(files))


def _alignment_files(config: CorpusConfig) -> list[Path]:
    """The files of the alignments of the training pairs, one for each entry, or none."""
    given = config.alignments or []
    return [Path(path) for path in ([given] if isinstance(given, str) else given)]


def _aligner(
    path: Path, config: CorpusConfig, languages: tuple[str, str]
) -> Callable[[Iterator[Chunk]], Iterator[Chunk]]:
    """What adds the alignments of a file to the pairs of an entry."""
    without_spaces = config.spaces_removed
    return partial(
        with_alignments,
        lines=TextFile(path),
        # Spaces that will be removed have separated words for whoever has aligned them.
        by_characters=(
            is_unspaced(languages[0]) and not without_spaces[0],
            is_unspaced(languages[1]) and not without_spaces[1],
        ),
        where=str(path),
    )


def _refuse_columns_of_texts(config: CorpusConfig, entries: Sequence[str]) -> None:
    for name in ("source_column", "target_column"):
        if getattr(config, name) is not None and not any(map(is_table, entries)):
            raise ConfigurationError(
                f"`corpus.{name}` is for tables ({', '.join(READERS)}), but the corpus has pairs "
                f"of text files only; leave it out."
            )


def _open_phrasebook(languages: tuple[str, str], most: int | None, is_aligned: bool) -> RawSets:
    from seq2seq.data.phrasebook.corpus import load_phrasebook

    if set(languages) != {"ko", "en"}:
        raise ConfigurationError(
            f"The embedded phrasebook is Korean and English (ko, en), but `source_language` is "
            f"{languages[0]!r} and `target_language` is {languages[1]!r}; give `corpus.train` or "
            f"`corpus.hub`."
        )
    sets = {}
    for name, pairs in load_phrasebook().items():
        pairs = pairs[:most] if name == "train" else pairs
        sides = {"ko": [pair.korean for pair in pairs], "en": [pair.english for pair in pairs]}
        chunks = in_chunks(zip(*(sides[language] for language in languages), strict=True))
        where, guides = f"The phrasebook's {name}", name == "train" and is_aligned
        if guides:
            lines = (_pharaoh(pair.possible, swap=languages[0] == "en") for pair in pairs)
            words = (False, False)
            chunks = with_alignments(chunks, lines, by_characters=words, where=where)
        sets[name] = RawSet(_of_part(0, chunks), where, is_aligned=guides)
    return RawSets(sets, are_apart=True)  # by design


def _pharaoh(links: Iterable[tuple[int, int]], *, swap: bool) -> str:
    """Links as a line of an alignment file, the second word first if they are to be swapped."""
    return " ".join(f"{b}-{a}" if swap else f"{a}-{b}" for a, b in links)


def _of_part(number: int, chunks: Iterator[Chunk]) -> Iterator[tuple[int, Chunk]]:
    for chunk in chunks:
        yield number, chunk


def _of_parts(parts: Iterable[Iterator[Chunk]]) -> Iterator[tuple[int, Chunk]]:
    for number, chunks in enumerate(parts):
        yield from _of_part(number, chunks)


def _first(chunks: Iterator[tuple[int, Chunk]], most: int) -> Iterator[tuple[int, Chunk]]:
    """The first pairs; the others are read, too, since they may show that files do not match."""
    for part, chunk in chunks:
        if most > 0:
            yield part, chunk.part(slice(most))
        most -= len(chunk.sources)


def _stamps(files: Iterable[os.PathLike[str]]) -> list[Any] | None:
    """Sizes and times of files; None if a file cannot be looked at."""
    try:
        found = [os.stat(path) for path in files]
    except (OSError, ValueError):
        return None
    return [[stat.st_size, stat.st_mtime_ns] for stat in found]
