"""Ids of sentence pairs on disk: tokenised once, kept by `datasets` in Arrow, memory-mapped."""

import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from seq2seq.data.batch import Batch, make_batch
from seq2seq.data.corpus import Pairs
from seq2seq.data.tokenizer import Tokenizers


class EncodedPairs:
    """Ids of sentence pairs, read from a memory-mapped file when asked for.

    Args:
        source: Chunks of ids and offsets of the sources, views of the file.
        target: The same of the targets.
        too_long: Where pairs stood in the text that were left out for their length.
    """

    def __init__(self, source: "_Column", target: "_Column", too_long: Sequence[int] = ()) -> None:
        self.source_lengths = source.lengths  # [pairs], </s> not counted
        self.target_lengths = target.lengths  # [pairs], </s> not counted
        self.too_long = list(too_long)
        everything = np.arange(len(self.source_lengths) + len(too_long))
        self.rows = np.delete(everything, np.asarray(too_long, np.int64))
        """Where each pair stands in the text that was encoded [pairs]."""
        self._source = source
        self._target = target

    def __len__(self) -> int:
        return len(self.source_lengths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Source ids and target ids of one pair."""
        return self._source.sentences([index])[0], self._target.sentences([index])[0]

    def batch(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The pairs at `indices` side by side."""
        return make_batch(
            self._source.sentences(indices), self._target.sentences(indices), list(indices)
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
        return make_batch(
            tokenizers.source.sample_batch(
                [pairs.sources[row] for row in rows], self._sampling, seed=source_seed
            ),
            tokenizers.target.sample_batch(
                [pairs.targets[row] for row in rows], self._sampling, seed=target_seed
            ),
            list(indices),
        )


def encode_corpus(
    pairs: Pairs,
    tokenizers: Tokenizers,
    cache_dir: str | Path,
    *,
    max_length: int | None = None,
    name: str = "train",
) -> EncodedPairs:
    """Ids of all pairs, from the cache if the same text was encoded the same way before.

    Args:
        cache_dir: Folder of the cache; what is wrong in it is made again.
        max_length: Longest source or target in pieces; longer pairs are left out and counted.
        name: Beginning of the name in the cache, for people.
    """
    path = Path(cache_dir) / f"{name}-{_fingerprint(pairs, tokenizers, max_length)}"
    cached = _read(path)
    if cached is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, *_encode(pairs, tokenizers, max_length))
        cached = _read(path)
    if cached is None:
        raise OSError(f"The cache {path} cannot be read right after it was written.")
    return cached


_FORMAT = 2  # to be raised when the same text and tokenizers give other files
_CHUNK = 10_000  # sentences
_SIDES = ("source_ids", "target_ids")


class _Column:
    """A column of Arrow lists as numpy views: nothing is copied until a sentence is asked for."""

    def __init__(self, column: Any) -> None:
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        self._values = [chunk.values.to_numpy(zero_copy_only=True) for chunk in chunks]
        self._offsets = [chunk.offsets.to_numpy(zero_copy_only=True) for chunk in chunks]
        sizes = [len(offsets) - 1 for offsets in self._offsets]
        self._starts = np.cumsum([0, *sizes])  # [chunks + 1], sentences before each chunk
        self.lengths = np.concatenate(
            [np.zeros(0, np.int64), *(np.diff(offsets) for offsets in self._offsets)]
        )

    def sentences(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        wanted = np.asarray(indices, dtype=np.int64)
        chunks = np.searchsorted(self._starts, wanted, side="right") - 1
        rows = wanted - self._starts[chunks]
        found = []
        for chunk, row in zip(chunks.tolist(), rows.tolist(), strict=True):
            offsets = self._offsets[chunk]
            found.append(self._values[chunk][offsets[row] : offsets[row + 1]])
        return found

    def checksum(self) -> int:
        total = 0
        for values, offsets in zip(self._values, self._offsets, strict=True):
            total = zlib.crc32(values[offsets[0] : offsets[-1]].data, total)
        return zlib.crc32(self.lengths.data, total)


def _fingerprint(pairs: Pairs, tokenizers: Tokenizers, max_length: int | None) -> str:
    digest = hashlib.sha256()
    settings = [_FORMAT, sentencepiece.__version__, max_length, tokenizers.shared]
    digest.update(json.dumps(settings).encode())
    for tokenizer in (tokenizers.source, tokenizers.target):
        digest.update(hashlib.sha256(tokenizer.to_bytes()).digest())
    for start in range(0, len(pairs), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        digest.update(json.dumps([pairs.sources[chunk], pairs.targets[chunk]]).encode())
    return digest.hexdigest()[:32]


def _encode(pairs: Pairs, tokenizers: Tokenizers, max_length: int | None) -> tuple[Any, list[int]]:
    """An Arrow table of the ids, and where the pairs stand that were too long for it."""
    import pyarrow as pa  # type: ignore[import-untyped]

    longest = np.iinfo(np.int64).max if max_length is None else max_length
    too_long = []
    batches = []
    schema = pa.schema([(side, pa.list_(pa.int32())) for side in _SIDES])
    for start in range(0, len(pairs), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        sources = tokenizers.source.encode_batch(pairs.sources[chunk])
        targets = tokenizers.target.encode_batch(pairs.targets[chunk])
        kept = []
        for row, pair in enumerate(zip(sources, targets, strict=True), start):
            if max(map(len, pair)) <= longest:
                kept.append(pair)
            else:
                too_long.append(row)
        columns = [_list_array([pair[side] for pair in kept]) for side in (0, 1)]
        batches.append(pa.record_batch(columns, schema=schema))
    return pa.Table.from_batches(batches, schema=schema), too_long


def _list_array(sentences: list[list[int]]) -> Any:
    import pyarrow as pa

    offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int32)
    values = np.fromiter((i for ids in sentences for i in ids), np.int32, count=int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _write(path: Path, table: Any, too_long: list[int]) -> None:
    """Writes beside `path` and renames, so that no half-written cache is ever found."""
    import datasets

    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        with _no_progress_bars():
            dataset = datasets.Dataset(datasets.table.InMemoryTable(table))
            dataset.save_to_disk(str(scratch / "ids"), num_shards=1)  # of nothing, too
        summary = {
            "too_long": too_long,
            "checksums": [_Column(table.column(side)).checksum() for side in _SIDES],
        }
        (scratch / "summary.json").write_text(json.dumps(summary))
        if path.exists() and _read(path) is None:
            shutil.rmtree(path)
        try:
            scratch.rename(path)
        except OSError:
            if not path.exists():  # otherwise another process was faster, with the same ids
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _read(path: Path) -> EncodedPairs | None:
    """The cached ids, or None if there are none or they are not what was written."""
    if not path.exists():
        return None
    import datasets

    try:
        summary = json.loads((path / "summary.json").read_text())
        table = datasets.Dataset.load_from_disk(str(path / "ids"), keep_in_memory=False).data.table
        source, target = (_Column(table.column(side)) for side in _SIDES)
        if summary["checksums"] != [source.checksum(), target.checksum()]:
            return None
        return EncodedPairs(source, target, summary["too_long"])
    except Exception:  # a damaged file fails in many ways, and all have one remedy
        return None


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    import datasets

    were_disabled = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            datasets.enable_progress_bars()
