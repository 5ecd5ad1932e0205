"""Ids of sentence pairs on disk: tokenised once, kept in Arrow, memory-mapped."""

import functools
import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from seq2seq.data.batch import Batch, make_batch
from seq2seq.data.corpus import Pairs
from seq2seq.data.encoding import (
    COLUMNS,
    IDS_FILE,
    LINKS,
    SIDES,
    chunks_of,
    find_links,
    write_ids,
)
from seq2seq.data.stored import PackedText, checksum, read_column
from seq2seq.data.tokenizer import Tokenizers


class EncodedPairs:
    """Ids of sentence pairs, read from a memory-mapped file when asked for.

    They can be sent to other processes that see the file: then its place travels, not the ids.

    Args:
        path: A folder that `write_ids` has filled.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]

        self.path = path
        columns = [read_column(path / name, np.dtype(np.int32)) for name in COLUMNS]
        self.source_lengths, self.target_lengths, self.rows, self.too_long = columns
        """Pieces of each source and target, </s> not counted; where each pair stands in the text
        that was encoded; all [pairs]. And where those stand that were too long."""
        table = pa.ipc.open_file(pa.memory_map(str(path / IDS_FILE))).read_all()
        self._source, self._target = (_Column(table.column(side)) for side in SIDES)
        is_aligned = LINKS in table.column_names
        self._links = _Column(table.column(LINKS)) if is_aligned else None

    def __reduce__(self) -> tuple[Any, ...]:
        return EncodedPairs, (self.path,)

    def __len__(self) -> int:
        return len(self.source_lengths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Source ids and target ids of one pair."""
        return self._source.sentences([index])[0], self._target.sentences([index])[0]

    @functools.cached_property
    def checksum(self) -> int:
        """Of the ids of all pairs and their links in their order, whatever wrote their file."""
        total = 0
        for lengths, side in (
            (self.source_lengths, self._source),
            (self.target_lengths, self._target),
        ):
            total = side.checksum(zlib.crc32(lengths.data, total))
        if self._links is not None:
            total = self._links.checksum(zlib.crc32(self._links.lengths().data, total))
        return total

    def batch(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The pairs at `indices` side by side."""
        return make_batch(
            self._source.sentences(indices),
            self._target.sentences(indices),
            list(indices),
            links=None if self._links is None else self._links.sentences(indices),
        )


class SampledPairs:
    """Subword regularisation: pairs whose segmentation is drawn anew for each batch.

    Kudo (2018), https://arxiv.org/abs/1804.10959; Provilkov et al. (2020),
    https://arxiv.org/abs/1910.13267.

    Args:
        pairs: The text.
        rows: Where the pairs that are asked for stand in it, as `EncodedPairs.rows`.
        sampling: As in `TokenizerConfig`.
    """

    def __init__(
        self, pairs: Pairs, rows: np.ndarray, tokenizers: Tokenizers, sampling: float
    ) -> None:
        self._pairs = pairs
        self._rows = rows
        self._tokenizers = tokenizers
        self._sampling = sampling

    def batch(self, indices: Sequence[int] | np.ndarray, place: Sequence[int]) -> Batch:
        """The pairs at `indices` side by side.

        Args:
            place: Numbers that the draw depends on, and on nothing else, such as seed and epoch.
        """
        rows = self._rows[indices].tolist()
        source_seed, target_seed = np.random.default_rng(place).integers(2**31, size=2).tolist()
        tokenizers, pairs = self._tokenizers, self._pairs
        sources = [pairs.sources[row] for row in rows]
        targets = [pairs.targets[row] for row in rows]
        source_ids = tokenizers.source.sample_batch(sources, self._sampling, seed=source_seed)
        target_ids = tokenizers.target.sample_batch(targets, self._sampling, seed=target_seed)
        links = None
        if pairs.alignments is not None:
            alignments = [pairs.alignments[row] for row in rows]
            links = find_links(tokenizers, alignments, (sources, targets), (source_ids, target_ids))
        return make_batch(source_ids, target_ids, list(indices), links=links)


def encode_corpus(
    pairs: Pairs,
    tokenizers: Tokenizers,
    cache_dir: str | Path,
    *,
    max_length: int | None = None,
    name: str = "train",
    processes: int = 1,
) -> EncodedPairs:
    """Ids of all pairs, from the cache if the same text was encoded the same way before.

    Args:
        cache_dir: Folder of the cache; what is wrong in it is made again.
        max_length: Longest source or target in pieces; longer pairs are left out and counted.
        name: Beginning of the name in the cache, for people.
        processes: Processes at most that encode.
    """
    path = Path(cache_dir) / f"{name}-{_fingerprint(pairs, tokenizers, max_length)}"
    if not _is_whole(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written beside its place and renamed, so that no half-written cache is ever found.
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            title = f"encoding {name}"
            write_ids(
                pairs, tokenizers, scratch, max_length=max_length, title=title, processes=processes
            )
            (scratch / _SUMMARY_FILE).write_text(json.dumps(_checksums(scratch)))
            _move(scratch, path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return EncodedPairs(path)


_FORMAT = 3  # to be raised when the same text and tokenizers give other files
_SUMMARY_FILE = "summary.json"


class _Column:
    """A column of Arrow lists as numpy views: nothing is copied until a sentence is asked for."""

    def __init__(self, column: Any) -> None:
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        self._values = [chunk.values.to_numpy(zero_copy_only=True) for chunk in chunks]
        self._offsets = [chunk.offsets.to_numpy(zero_copy_only=True) for chunk in chunks]
        self._starts = np.cumsum([0, *map(len, chunks)])  # [chunks + 1], sentences before each

    def lengths(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int32), *map(np.diff, self._offsets)])

    def checksum(self, total: int) -> int:
        for values in self._values:
            total = zlib.crc32(values.data, total)
        return total

    def sentences(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        wanted = np.asarray(indices, dtype=np.int64)
        chunks = np.searchsorted(self._starts, wanted, side="right") - 1
        rows = wanted - self._starts[chunks]
        found = []
        for chunk, row in zip(chunks.tolist(), rows.tolist(), strict=True):
            offsets = self._offsets[chunk]
            found.append(self._values[chunk][offsets[row] : offsets[row + 1]])
        return found


def _fingerprint(pairs: Pairs, tokenizers: Tokenizers, max_length: int | None) -> str:
    digest = hashlib.sha256()
    settings = [_FORMAT, sentencepiece.__version__, max_length, tokenizers.shared]
    digest.update(json.dumps(settings).encode())
    for tokenizer in (tokenizers.source, tokenizers.target):
        digest.update(hashlib.sha256(tokenizer.to_bytes()).digest())
    for chunk in chunks_of(pairs):
        columns = (chunk.sources, chunk.targets, chunk.alignments)
        for column in (column for column in columns if column is not None):
            text = PackedText.of(column)
            digest.update(text.offsets.tobytes())
            digest.update(text.data)
    return digest.hexdigest()[:32]


def _checksums(path: Path) -> dict[str, int]:
    return {name: checksum(path / name) for name in (IDS_FILE, *COLUMNS)}


def _is_whole(path: Path) -> bool:
    """Whether a cache holds what was written to it."""
    try:
        return json.loads((path / _SUMMARY_FILE).read_text()) == _checksums(path)
    except (OSError, ValueError):
        return False


def _move(scratch: Path, path: Path) -> None:
    """Moves a cache to its place, where a damaged one may stand."""
    if path.exists() and not _is_whole(path):
        shutil.rmtree(path)
    try:
        scratch.rename(path)
    except OSError:
        if not _is_whole(path):  # otherwise another process was faster, with the same ids
            raise
