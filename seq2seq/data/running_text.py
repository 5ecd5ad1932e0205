"""Text for language models: files to lines, lines to ids, ids to chunks that are read side by side.

Lines that follow one another are one text: `</s>` ends each and stands for the newline, and the
text begins as if after a newline. Sentences stand for themselves; each begins after `<s>`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID, UNKNOWN_ID, ConfigurationError
from seq2seq.data.text_files import read_lines
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.language_config import TextConfig

_DEV_SHARE, _MOST_DEV_LINES = 0.05, 2000  # of a training text without development text
_LINES_AT_ONCE = 10_000  # encoded, as lists of ids take ten times the memory of arrays


class Texts(NamedTuple):
    """The lines of each text."""

    train: list[str]
    dev: list[str]
    test: list[str]  # none if there is no test


def read_texts(config: TextConfig) -> Texts:
    """The texts that a recipe names, the embedded source if it names none.

    Raises:
        ConfigurationError: If a file is missing, unreadable or holds no text, or if there is no
            line left to learn from.
    """
    train = _read(config.train, "train") if config.train else embedded_source()
    test = _read(config.test, "test") if config.test else []
    if config.dev:
        return Texts(train, _read(config.dev, "dev"), test)
    count = min(_MOST_DEV_LINES, max(1, round(_DEV_SHARE * len(train))))
    texts = Texts(train[:-count], train[-count:], test)
    if not any(texts.train) or not any(texts.dev):
        raise ConfigurationError(
            "`text.train` must hold at least two lines with text, to learn from and to evaluate; "
            "give more text, or `text.dev`."
        )
    return texts


def embedded_source() -> list[str]:
    """This package's own Python source: each file after a line with its name, by name."""
    lines = []
    for name, file in sorted(_python_files(files("seq2seq"), "seq2seq")):
        lines += [f"# {name}", *file.read_text("utf-8").splitlines(), ""]
    return lines


def _python_files(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        inner = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _python_files(entry, inner)
        elif entry.name.endswith(".py"):
            yield inner, entry


def checksum_of(lines: Sequence[str]) -> str:
    """The same for the same lines only."""
    return hashlib.sha256("\n".join([*lines, ""]).encode("utf-8", "surrogatepass")).hexdigest()


def _read(paths: str | list[str], name: str) -> list[str]:
    paths = [paths] if isinstance(paths, str) else paths
    lines = [line for path in paths for line in read_lines(path)]
    if not any(lines):
        raise ConfigurationError(f"`text.{name}` must be files with text, but there is none.")
    return lines


@dataclass(frozen=True)
class EncodedText:
    """The ids of a text, and what its length is in other units."""

    ids: np.ndarray
    """[pieces] int32; each line's `</s>` is one of them."""
    ends: np.ndarray
    """[lines], behind the `</s>` of each line."""
    characters: int
    """A line's end counts as one."""
    words: int
    """What white space divides; a line's end counts as one, as `</s>` is predicted, too."""

    @classmethod
    def of(cls, lines: Sequence[str], tokenizer: Tokenizer) -> "EncodedText":
        """Encodes lines."""
        parts: list[np.ndarray] = []
        lengths: list[int] = []
        for start in range(0, len(lines), _LINES_AT_ONCE):
            encoded = tokenizer.encode_batch(list(lines[start : start + _LINES_AT_ONCE]))
            parts.append(np.array([i for ids in encoded for i in (*ids, EOS_ID)], np.int32))
            lengths += [len(ids) + 1 for ids in encoded]
        return cls(
            np.concatenate(parts) if parts else np.zeros(0, np.int32),
            np.cumsum(lengths, dtype=np.int64),
            characters=sum(map(len, lines)) + len(lines),
            words=sum(len(line.split()) for line in lines) + len(lines),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def unknown(self) -> int:
        """Pieces that are the unknown one."""
        return int((self.ids == UNKNOWN_ID).sum())


class Chunk(NamedTuple):
    """Some steps of each row's text."""

    input_ids: Tensor  # [rows, length]
    output_ids: Tensor  # [rows, length], the piece that follows each; PAD_ID where there is none
    begins: bool  # whether the rows begin from the zero state, else from that after the last chunk

    @property
    def num_pieces(self) -> int:
        """Pieces to be predicted."""
        return int((self.output_ids != PAD_ID).sum())

    def to(self, device: torch.device | str) -> "Chunk":
        """The same chunk on a device."""
        return Chunk(self.input_ids.to(device), self.output_ids.to(device), self.begins)


class Chunks(Protocol):
    """The chunks of a text in the order in which they are read."""

    def __len__(self) -> int: ...

    def plan(self, epoch: int) -> Iterator[Chunk]:
        """The chunks of an epoch."""


class StreamChunks:
    """Running text, cut into equal streams that are read side by side.

    Every piece is predicted once. The first stream begins after `</s>`, as if after a newline,
    every other one after the piece that stands before it in the text.

    Args:
        streams: At most; of a short text each has a piece at least.
        steps: Pieces of each stream in a chunk.
    """

    def __init__(self, text: EncodedText, *, streams: int, steps: int) -> None:
        streams = max(1, min(streams, len(text)))
        length = -(-len(text) // streams)
        self._outputs = _rows(text.ids, streams, length)
        self._inputs = _rows(np.concatenate([[EOS_ID], text.ids[:-1]]), streams, length)
        self._steps = steps

    def __len__(self) -> int:
        return -(-self._outputs.shape[1] // self._steps)

    def plan(self, epoch: int) -> Iterator[Chunk]:
        """The chunks of an epoch, the same in each."""
        return _chunks(self._inputs, self._outputs, self._steps)


class SentenceChunks:
    """Sentences, so many of like length side by side; each batch begins from the zero state.

    Args:
        rows: Sentences of a batch.
        steps: Pieces of each sentence in a chunk.
        seed: Draws which sentences of one length come together, and the order of the batches,
            anew in each epoch; None keeps them in order of length.
    """

    def __init__(self, text: EncodedText, *, rows: int, steps: int, seed: int | None) -> None:
        self._ids = text.ids
        self._starts = np.concatenate([[0], text.ends[:-1]])
        self._lengths = np.diff(text.ends, prepend=0)
        self._rows = rows
        self._steps = steps
        self._seed = seed
        longest = np.sort(self._lengths)[::-1][::rows]  # of each batch
        self._num_chunks = int((-(-longest // steps)).sum())

    def __len__(self) -> int:
        return self._num_chunks

    def plan(self, epoch: int) -> Iterator[Chunk]:
        """The chunks of an epoch; their number is the same in each."""
        order = np.arange(len(self._lengths))
        generator = np.random.default_rng([self._seed or 0, epoch])
        if self._seed is not None:
            generator.shuffle(order)
        order = order[np.argsort(-self._lengths[order], kind="stable")]
        batches = [order[i : i + self._rows] for i in range(0, len(order), self._rows)]
        if self._seed is not None:
            generator.shuffle(batches)
        for batch in batches:
            outputs = np.full((len(batch), self._lengths[batch].max()), PAD_ID, np.int32)
            for row, start, length in zip(
                outputs, self._starts[batch], self._lengths[batch], strict=True
            ):
                row[:length] = self._ids[start : start + length]
            inputs = np.roll(outputs, 1, axis=1)
            inputs[:, 0] = BOS_ID
            yield from _chunks(inputs, outputs, self._steps)


def make_chunks(
    text: EncodedText, kind: str, *, rows: int, steps: int, seed: int | None = None
) -> Chunks:
    """The chunks of a text.

    Args:
        kind: `text.lines` of the recipe.
    """
    if kind == "sentences":
        return SentenceChunks(text, rows=rows, steps=steps, seed=seed)
    return StreamChunks(text, streams=rows, steps=steps)


class ChunkLoader:
    """Serves the chunks of each epoch to Lightning, and continues where a checkpoint left it."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._epoch = 0
        self._position = 0  # chunks of this epoch that were handed out
        self._resuming = False

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[Chunk]:
        # Lightning asks for an iterator before it sets the epoch: nothing may happen until `next`.
        if not self._resuming:
            self._position = 0
        self._resuming = False
        for number, chunk in enumerate(self._chunks.plan(self._epoch)):
            if number >= self._position:
                self._position += 1  # before the yield: a state saved after this chunk is past it
                yield chunk

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; another one than the current begins at its first chunk."""
        if epoch != self._epoch:
            self._epoch, self._position, self._resuming = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """The epoch, and the number of chunks handed out in it."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Lets the next iteration begin where `state` was taken."""
        self._epoch, self._position = state["epoch"], state["position"]
        self._resuming = True


def _rows(ids: np.ndarray, streams: int, length: int) -> np.ndarray:
    """[streams, length], the last ones padded at their end."""
    padded = np.full(streams * length, PAD_ID, np.int32)
    padded[: len(ids)] = ids
    return padded.reshape(streams, length)


def _chunks(inputs: np.ndarray, outputs: np.ndarray, steps: int) -> Iterator[Chunk]:
    """Rows cut after every so many steps."""
    for start in range(0, outputs.shape[1], steps):
        stop = start + steps
        yield Chunk(
            torch.from_numpy(inputs[:, start:stop].astype(np.int64)),
            torch.from_numpy(outputs[:, start:stop].astype(np.int64)),
            begins=start == 0,
        )
