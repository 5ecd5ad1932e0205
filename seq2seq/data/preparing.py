"""Cleans the pairs of a set chunk by chunk, in several processes, into a file."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seq2seq.data.cleaning import CONTROL, clean_sentence
from seq2seq.data.corpus import MOST_EXAMPLES
from seq2seq.data.digests import PairNumbers
from seq2seq.data.filters import FILTERS, Languages, TextFilter
from seq2seq.data.parallel import in_order
from seq2seq.data.stored import ColumnFile, PackedText, PairWriter
from seq2seq.data.tables import Chunk

# Why a pair is left out, by which of its sides are blank.
BLANK = {
    (True, False): "with an empty source",
    (False, True): "with an empty target",
    (True, True): "with both sides empty",
}


@dataclass(frozen=True)
class ChunkWork:
    """What is done to each chunk of a set.

    Args:
        without_spaces: Whether the spaces of sources, and those of targets, are removed.
        filters: Filters by their keys, with settings; only those that read text work here.
    """

    without_spaces: tuple[bool, bool] = (False, False)
    filters: dict[str, Any] = field(default_factory=dict)
    languages: Languages = ("", "")

    def __call__(self, numbered: tuple[int, Chunk]) -> "PreparedChunk":
        """Cleans the pairs, drops blank ones and finds out what decides on the others."""
        part, (raw_sources, raw_targets, share, alignments) = numbered
        source_unspaced, target_unspaced = self.without_spaces
        sources = [clean_sentence(s, without_spaces=source_unspaced) for s in raw_sources]
        targets = [clean_sentence(t, without_spaces=target_unspaced) for t in raw_targets]
        pairs = list(zip(sources, targets, strict=True))
        blank = [(not source.strip(), not target.strip()) for source, target in pairs]
        dropped = {
            reason: [pair for pair, found in zip(pairs, blank, strict=True) if found == sides]
            for sides, reason in BLANK.items()
        }
        kept = [row for row, found in enumerate(blank) if found == (False, False)]
        sources, targets = [sources[row] for row in kept], [targets[row] for row in kept]
        return PreparedChunk(
            part=part,
            share=share,
            sources=PackedText.of(sources),
            targets=PackedText.of(targets),
            alignments=PackedText.of([alignments[row] for row in kept]) if alignments else None,
            numbers=PairNumbers.of(sources, targets),
            masks={
                name: np.array(one.keep(sources, targets, setting, self.languages), bool)
                for name, setting in self.filters.items()
                if isinstance(one := FILTERS[name], TextFilter)
            },
            num_read=len(pairs),
            num_changed=sum(
                bool(CONTROL.search(raw_sources[row]) or CONTROL.search(raw_targets[row]))
                for row in kept
            ),
            num_dropped={reason: len(found) for reason, found in dropped.items()},
            examples={reason: found[:MOST_EXAMPLES] for reason, found in dropped.items()},
        )


class PreparedChunk(NamedTuple):
    """What became of a chunk."""

    part: int
    share: float | None
    sources: PackedText
    targets: PackedText
    alignments: PackedText | None
    numbers: PairNumbers
    masks: dict[str, np.ndarray]
    """For each filter that reads text, True for the pairs that it keeps [kept]."""
    num_read: int
    num_changed: int
    """Pairs kept that had control characters."""
    num_dropped: dict[str, int]
    """Blank pairs by the reason."""
    examples: dict[str, list[tuple[str, str]]]
    """The first of them."""


@dataclass
class PreparedSet:
    """The pairs of a set that are not blank, in a file, and what is known of all."""

    path: Path
    numbers: PairNumbers
    masks: dict[str, np.ndarray]
    """For each filter that reads text, True for the pairs that it keeps [kept]."""
    is_aligned: bool = False
    """The file has alignments, too."""
    num_read: int = 0
    num_changed: int = 0
    read_parts: list[int] = field(default_factory=list)
    """Pairs read of each part."""
    kept_parts: list[int] = field(default_factory=list)
    num_dropped: dict[str, int] = field(default_factory=dict)
    """Blank pairs by the reason."""
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def count(self, chunk: PreparedChunk) -> None:
        """Adds the counts of a chunk."""
        self.num_read += chunk.num_read
        self.num_changed += chunk.num_changed
        self.read_parts[chunk.part] += chunk.num_read
        self.kept_parts[chunk.part] += len(chunk.numbers.source_digests)
        for reason, number in chunk.num_dropped.items():
            self.num_dropped[reason] = self.num_dropped.get(reason, 0) + number
            shown = [*self.examples.get(reason, []), *chunk.examples[reason]]
            self.examples[reason] = shown[:MOST_EXAMPLES]


def prepare_set(
    chunks: Iterable[tuple[int, Chunk]],
    path: Path,
    numbers: Path,
    work: ChunkWork,
    *,
    num_parts: int,
    is_aligned: bool,
    processes: int,
    show: Callable[[int, float | None], None],
) -> PreparedSet:
    """Writes the pairs of a set that are not blank to a file.

    Args:
        numbers: Folder for what is known of the pairs; it has to stay as long as that is read.
        show: Is told the pairs read so far, and the share of the part that they stand in.
    """
    prepared = PreparedSet(path, PairNumbers.of([], []), {}, is_aligned)
    prepared.read_parts, prepared.kept_parts = [0] * num_parts, [0] * num_parts
    with PairWriter(path, is_aligned=is_aligned) as writer, ExitStack() as files:
        columns: dict[str, ColumnFile] = {}
        for chunk in in_order(work, chunks, processes):
            writer.append(chunk.sources, chunk.targets, chunk.alignments)
            for name, column in {**chunk.numbers._asdict(), **chunk.masks}.items():
                if name not in columns:
                    file = ColumnFile(numbers / f"{path.stem}.{name}", column.dtype)
                    columns[name] = files.enter_context(file)
                columns[name].append(column)
            prepared.count(chunk)
            show(prepared.num_read, chunk.share)
    if columns:
        prepared.numbers = PairNumbers(*(columns[name].read() for name in PairNumbers._fields))
        prepared.masks = {name: columns[name].read() for name in work.filters if name in columns}
    return prepared
