"""Prepares the sets of a run, in memory that does not grow with them, and keeps them in files.

The text of training pairs is read, cleaned and written chunk by chunk; what decides which of them
stay is a few numbers for each pair.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from seq2seq.config import ConfigurationError, FilterConfig, Recipe
from seq2seq.data.corpus import MOST_EXAMPLES, Corpus, CorpusReport
from seq2seq.data.digests import PairNumbers, is_among
from seq2seq.data.drawing import draw
from seq2seq.data.filters import FILTERS, NumberFilter, active_filters
from seq2seq.data.parallel import count_processes
from seq2seq.data.preparing import ChunkWork, PreparedSet, prepare_set
from seq2seq.data.progress import progress_bar
from seq2seq.data.raw_sets import RawSet, RawSets, open_raw_sets
from seq2seq.data.stored import SIDES, StoredColumn
from seq2seq.data.stored_corpus import StoredSet, find_corpus, open_corpus, write_corpus


def load_corpus(recipe: Recipe, folder: str | os.PathLike[str]) -> Corpus:
    """The sets that `recipe.corpus` names, the embedded phrasebook if it names none.

    Missing development and test sets are drawn from the training pairs by `recipe.training.seed`.
    Training pairs that share a side with a development or test pair are dropped, then those that
    `recipe.corpus.filters` leave out. Case, width and white space tell no sentences apart there.

    Args:
        folder: Where the training pairs are kept. What an earlier call has left there is taken as
            it is, if the settings are the same and the files have kept their sizes and times.

    Raises:
        ConfigurationError: If a file or column is missing, unreadable, empty or does not match.
    """
    path = Path(folder) / f"corpus-{_fingerprint(recipe)}"
    with open_raw_sets(recipe) as raw:
        kept = find_corpus(path, raw.identity)
        if kept is not None:
            return kept
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".corpus-", dir=path.parent))
        try:
            with tempfile.TemporaryDirectory(prefix=".numbers-", dir=path.parent) as numbers:
                sets = _prepare(raw, recipe, scratch, Path(numbers))
                stored = {name: one.to_stored() for name, one in sets.items()}
            write_corpus(scratch, stored, identity=raw.identity, revision=raw.revision)
            shutil.rmtree(path, ignore_errors=True)  # of other files, or damaged
            scratch.rename(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return open_corpus(path)


_FORMAT = 1  # to be raised when the same files and settings give other pairs


@dataclass(frozen=True)
class _Set:
    """A set on its way: the pairs that are left, their report, and the places of each part."""

    prepared: PreparedSet
    rows: np.ndarray  # [pairs] int32, where the pairs stand in the prepared set
    report: CorpusReport
    parts: dict[str, range] = field(default_factory=dict)

    @property
    def numbers(self) -> PairNumbers:
        """What is known of the pairs that are left."""
        everything = self.prepared.numbers
        is_whole = len(self.rows) == len(everything.source_digests)
        return everything if is_whole else everything.select(self.rows)

    def keep(self, mask: np.ndarray, reason: str) -> "_Set":
        """The set with the pairs whose mask is True; the others count as dropped."""
        dropped = np.flatnonzero(~mask)
        if not len(dropped):
            return self
        sides = (StoredColumn(self.prepared.path, side) for side in SIDES)
        first = self.rows[dropped[:MOST_EXAMPLES]]
        examples = zip(*(side.sentences(first) for side in sides), strict=True)
        return replace(self.left(mask), report=self.report.without(reason, len(dropped), examples))

    def left(self, mask: np.ndarray) -> "_Set":
        """The set with the pairs whose mask is True, and the same report."""
        parts = {}
        start = 0
        for name, part in self.parts.items():
            size = int(mask[part.start : part.stop].sum())
            parts[name] = range(start, start + size)
            start += size
        return replace(self, rows=self.rows[mask], parts=parts)

    def to_stored(self) -> StoredSet:
        """What is kept of the set."""
        counts = {name: len(part) for name, part in self.parts.items()}
        return StoredSet(
            self.prepared.path.name,
            self.rows,
            replace(self.report, kept_parts=counts),
            {name: part for name, part in self.parts.items() if part},
            self.prepared.is_aligned,
        )


def _fingerprint(recipe: Recipe) -> str:
    """Of the settings that decide which pairs are kept."""
    languages = (recipe.source_language, recipe.target_language)
    settings = [_FORMAT, dataclasses.asdict(recipe.corpus), languages, recipe.training.seed]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]


def _prepare(raw: RawSets, recipe: Recipe, folder: Path, numbers: Path) -> dict[str, _Set]:
    languages = (recipe.source_language, recipe.target_language)
    filters = dict(active_filters(recipe.corpus.filters))
    processes = count_processes(recipe.training.threads)
    sets = {}
    for name, one in raw.sets.items():
        own_filters = filters if name == "train" else {}
        work = ChunkWork(recipe.corpus.spaces_removed, own_filters, languages)
        sets[name] = _prepare_set(one, name, folder, numbers, work, processes)
    if not raw.are_apart:
        sets["train"] = _without_overlap(sets["train"], [sets[n] for n in sets if n != "train"])
    sets["train"] = _filter(sets["train"], recipe.corpus.filters)
    sets = _draw_missing(sets, recipe.training.seed)
    if not len(sets["train"].rows):
        raise ConfigurationError(
            f"`corpus.train` has no pairs left to learn from: {sets['train'].report}."
        )
    return sets


def _prepare_set(
    raw: RawSet, name: str, folder: Path, numbers: Path, work: ChunkWork, processes: int
) -> _Set:
    """The cleaned sentences, without the pairs of which a side is blank."""
    num_parts = max(len(raw.parts), 1)
    with progress_bar(f"reading {name}") as show:
        prepared = prepare_set(
            raw.chunks,
            folder / f"{name}.arrow",
            numbers,
            work,
            num_parts=num_parts,
            is_aligned=raw.is_aligned,
            processes=processes,
            show=show,
        )
    num_kept = len(prepared.numbers.source_digests)
    if not num_kept:
        raise ConfigurationError(f"{raw.where} has no sentence pairs.")
    cleaned = {"control characters turned into spaces": prepared.num_changed}
    report = CorpusReport(
        prepared.num_read,
        prepared.num_read,
        cleaned=cleaned if prepared.num_changed else {},
        parts=dict(zip(raw.parts, prepared.read_parts, strict=False)),
        note=raw.note,
    )
    for reason, count in prepared.num_dropped.items():
        report = report.without(reason, count, prepared.examples[reason])
    bounds = pairwise(accumulate(prepared.kept_parts, initial=0))
    parts = {part: range(*ends) for part, ends in zip(raw.parts, bounds, strict=False)}
    return _Set(prepared, np.arange(num_kept, dtype=np.int32), report, parts)


def _without_overlap(train: _Set, others: Iterable[_Set]) -> _Set:
    """The training pairs with no source and no target of the others."""
    shares_side = np.zeros(len(train.rows), bool)
    for other in others:
        shares_side |= is_among(train.numbers.source_digests, other.numbers.source_digests)
        shares_side |= is_among(train.numbers.target_digests, other.numbers.target_digests)
    return train.keep(~shares_side, "that share a side with a dev or test pair")


def _filter(train: _Set, config: FilterConfig) -> _Set:
    for name, setting in active_filters(config):
        one = FILTERS[name]
        if isinstance(one, NumberFilter):
            mask = one.keep(train.numbers, setting)
        else:
            mask = train.prepared.masks[name][train.rows]
        train = train.keep(mask, one.reason.format(setting))
    return train


def _draw_missing(sets: dict[str, _Set], seed: int) -> dict[str, _Set]:
    """Draws missing development and test sets from the training pairs."""
    missing = [name for name in ("dev", "test") if name not in sets]
    train = sets["train"]
    if not missing or not len(train.rows):
        return sets
    report = train.report
    stays = np.ones(len(train.rows), bool)
    for name, indices in draw(train.numbers, missing, seed).items():
        stays[indices] = False
        size = len(indices)
        drawn = _Set(train.prepared, train.rows[indices], CorpusReport(size, size))
        sets = {**sets, name: drawn}
        moved = {**report.moved, f"to {name}": size}
        report = replace(report, kept=report.kept - size, moved=moved)
    sets = {**sets, "train": replace(train.left(stays), report=report)}
    return {name: sets[name] for name in ("train", "dev", "test")}
