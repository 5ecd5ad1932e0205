"""Turns text into ids on all cores and writes them as they come. Knows nothing of batches."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seq2seq.data.corpus import Pairs
from seq2seq.data.parallel import in_order
from seq2seq.data.progress import progress_bar
from seq2seq.data.stored import ColumnFile
from seq2seq.data.tables import Chunk, in_chunks
from seq2seq.data.tokenizer import Tokenizers

IDS_FILE = "ids.arrow"
SIDES = ("source_ids", "target_ids")  # columns of that file
COLUMNS = ("source_lengths", "target_lengths", "rows", "too_long")  # files of int32 beside it


def write_ids(
    pairs: Pairs,
    tokenizers: Tokenizers,
    folder: Path,
    *,
    max_length: int | None,
    title: str,
    processes: int,
) -> None:
    """Writes the ids of pairs, their lengths, and where they stand in the text.

    Args:
        max_length: Longest source or target in pieces; of longer pairs only the place is written.
        title: Tells people what is encoded.
    """
    import pyarrow as pa  # type: ignore[import-untyped]

    work = EncodingWork(tokenizers, np.iinfo(np.int32).max if max_length is None else max_length)
    schema = pa.schema([(side, pa.list_(pa.int32())) for side in SIDES])
    num_done = 0
    with (
        ExitStack() as files,
        progress_bar(title) as show,
        pa.ipc.new_file(str(folder / IDS_FILE), schema) as writer,
    ):
        columns = {
            name: files.enter_context(ColumnFile(folder / name, np.dtype(np.int32)))
            for name in COLUMNS
        }
        for chunk in in_order(work, in_chunks(_each(pairs)), processes):
            arrays = [
                pa.ListArray.from_arrays(pa.array(side.offsets), pa.array(side.values))
                for side in (chunk.source, chunk.target)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            columns["source_lengths"].append(np.diff(chunk.source.offsets))
            columns["target_lengths"].append(np.diff(chunk.target.offsets))
            places = np.arange(num_done, num_done + len(chunk.is_kept), dtype=np.int32)
            columns["rows"].append(places[chunk.is_kept])
            columns["too_long"].append(places[~chunk.is_kept])
            num_done += len(chunk.is_kept)
            show(num_done, num_done / len(pairs))


@dataclass(frozen=True)
class EncodingWork:
    """What is done to each chunk of text."""

    tokenizers: Tokenizers
    longest: int

    def __call__(self, chunk: Chunk) -> "EncodedChunk":
        """The ids of the pairs that are short enough."""
        sources = self.tokenizers.source.encode_batch(chunk.sources)
        targets = self.tokenizers.target.encode_batch(chunk.targets)
        lengths = [max(map(len, pair)) for pair in zip(sources, targets, strict=True)]
        is_kept = np.array(lengths) <= self.longest
        kept = np.flatnonzero(is_kept).tolist()
        return EncodedChunk(
            IdLists.of([sources[row] for row in kept]),
            IdLists.of([targets[row] for row in kept]),
            is_kept,
        )


class IdLists(NamedTuple):
    """Ids of sentences one after another."""

    values: np.ndarray  # [ids] int32
    offsets: np.ndarray  # [sentences + 1] int32

    @classmethod
    def of(cls, sentences: list[list[int]]) -> "IdLists":
        """Joins lists of ids."""
        offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int32)
        ids = chain.from_iterable(sentences)
        return cls(np.fromiter(ids, np.int32, count=int(offsets[-1])), offsets)


class EncodedChunk(NamedTuple):
    """What became of a chunk."""

    source: IdLists
    target: IdLists
    is_kept: np.ndarray
    """False for pairs that are too long [pairs]."""


def _each(pairs: Pairs) -> Iterator[tuple[str, str]]:
    return zip(pairs.sources, pairs.targets, strict=True)
