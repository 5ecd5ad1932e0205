"""Turns text into ids on all cores and writes them as they come. Knows nothing of batches."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seq2seq.data.alignments import links_of_pieces, places_of_pieces
from seq2seq.data.corpus import Pairs
from seq2seq.data.parallel import in_order
from seq2seq.data.progress import progress_bar
from seq2seq.data.stored import ColumnFile
from seq2seq.data.tables import Chunk, in_chunks
from seq2seq.data.tokenizer import Tokenizers

IDS_FILE = "ids.arrow"
SIDES = ("source_ids", "target_ids")  # columns of that file
LINKS = "links"  # a third column, where alignments are known: source piece, target piece, ...
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
    lists = SIDES if pairs.alignments is None else (*SIDES, LINKS)
    schema = pa.schema([(name, pa.list_(pa.int32())) for name in lists])
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
        for chunk in in_order(work, chunks_of(pairs), processes):
            arrays = [
                pa.ListArray.from_arrays(pa.array(part.offsets), pa.array(part.values))
                for part in (chunk.source, chunk.target, chunk.links)
                if part is not None
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
        ids = [sources[row] for row in kept], [targets[row] for row in kept]
        links = None
        if chunk.alignments is not None:
            texts = [chunk.sources[row] for row in kept], [chunk.targets[row] for row in kept]
            alignments = [chunk.alignments[row] for row in kept]
            found = find_links(self.tokenizers, alignments, texts, ids)
            links = IdLists.of([each.ravel().tolist() for each in found])
        return EncodedChunk(IdLists.of(ids[0]), IdLists.of(ids[1]), is_kept, links)


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
    links: IdLists | None = None
    """Pieces that are linked: source, target, source, target ..."""


def find_links(
    tokenizers: Tokenizers,
    alignments: Sequence[str],
    texts: tuple[Sequence[str], Sequence[str]],
    ids: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]],
) -> list[np.ndarray]:
    """The pieces that the alignments of pairs link, for each pair [links, 2].

    Args:
        texts: Sources and targets.
        ids: Their pieces.
    """
    sources, targets = (
        [places_of_pieces(tokenizer, *each) for each in zip(sentences, own, strict=True)]
        for tokenizer, sentences, own in zip(
            (tokenizers.source, tokenizers.target), texts, ids, strict=True
        )
    )
    return list(map(links_of_pieces, alignments, sources, targets))


def chunks_of(pairs: Pairs) -> Iterator[Chunk]:
    """All pairs, chunk by chunk."""
    alignments = iter(pairs.alignments or [])
    for chunk in in_chunks(zip(pairs.sources, pairs.targets, strict=True)):
        if pairs.alignments is not None:
            chunk = chunk._replace(alignments=list(islice(alignments, len(chunk.sources))))
        yield chunk
