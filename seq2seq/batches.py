"""Many sentences in batches of like length that fit into memory. Knows nothing of networks."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.devices import give_back_memory
from seq2seq.out_of_memory import is_out_of_memory

Result = TypeVar("Result")

# Longer sentences share a batch with fewer others; the average sentence has far fewer pieces.
_PIECES_PER_SENTENCE = 64
# So do wider beams. Shorter sentences count as of so many pieces: the vocabulary is wide.
_ORDINARY_BEAM, _FEWEST_PIECES = 5, 32
# Of alignments, which a search keeps for every step: 1 MB for each sentence of a full batch.
_WEIGHTS_PER_SENTENCE = 2**18


class TooLongError(ConfigurationError):
    """A sentence for which memory does not suffice, even alone.

    Args:
        index: Of the sentence among those given.
        what: What does not fit.
    """

    def __init__(self, index: int, what: str) -> None:
        self.index = index
        self.what = what
        self.reason = (
            f"does not fit into memory: {what}; give a smaller `search.beam_size`, or split it"
        )
        super().__init__(f"sentence {index + 1} {self.reason}.")


@contextlib.contextmanager
def naming_owners(owners: Sequence[int]) -> Iterator[None]:
    """Names the sentence that a part belongs to where memory does not suffice for the part.

    Args:
        owners: For each part that is worked on.
    """
    try:
        yield
    except TooLongError as error:
        raise TooLongError(owners[error.index], error.what) from error


class Batches:
    """Divides work into batches, and into smaller ones where memory does not suffice."""

    def __init__(self) -> None:
        self.num_halved = 0
        """Batches that did not fit into memory, so that two halves were tried."""

    def run(
        self,
        lengths: Sequence[int],
        most: Callable[[int], int],
        work: Callable[[list[int]], list[Result]],
    ) -> list[Result]:
        """Works on sentences of like length together.

        Args:
            lengths: Pieces of each sentence.
            most: How many sentences of so many pieces may share a batch; one always may.
            work: Gives a result for each index of a batch.

        Returns:
            The results in the order of `lengths`.

        Raises:
            TooLongError: If memory does not suffice for one sentence.
        """
        found: dict[int, Result] = {}
        batches = list(group(lengths, most))[::-1]
        while batches:
            batch = batches.pop()
            results = _try(work, batch)
            if results is not None:
                found |= zip(batch, results, strict=True)
            elif len(batch) == 1:
                raise TooLongError(batch[0], f"{lengths[batch[0]]:,} pieces")
            else:
                self.num_halved += 1
                middle = len(batch) // 2
                batches += [batch[middle:], batch[:middle]]
        return [found[index] for index in range(len(lengths))]


def group(lengths: Sequence[int], most: Callable[[int], int]) -> Iterator[list[int]]:
    """Batches of indices of like lengths, the shortest first; see `Batches.run`."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and len(batch) >= most(lengths[index]):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def most_to_score(length: int, search: SearchConfig) -> int:
    """How many targets of so many pieces are scored together."""
    return min(search.batch_size, search.batch_size * _PIECES_PER_SENTENCE // length)


def most_to_force(length: int, search: SearchConfig) -> int:
    """How many targets of so many pieces are scored together where their alignments are kept."""
    most = search.batch_size * _WEIGHTS_PER_SENTENCE // length**2
    return min(most_to_score(length, search), most)


def most_to_search(
    length: int, search: SearchConfig, *, with_alignment: bool, num_networks: int = 1
) -> int:
    """How many sources of so many pieces need about the memory of an ordinary batch."""
    num_rows = max(search.samples or search.beam_size, _ORDINARY_BEAM)
    pieces = search.batch_size * _PIECES_PER_SENTENCE * _ORDINARY_BEAM // num_networks
    most = min(search.batch_size, pieces // (num_rows * max(length, _FEWEST_PIECES)))
    if with_alignment:
        weights = num_rows * length * longest_target(length, search)
        most = min(most, search.batch_size * _WEIGHTS_PER_SENTENCE // weights)
    return most


def longest_target(source_length: int, search: SearchConfig) -> int:
    """Most target pieces for so many source pieces, `</s>` counted on both sides."""
    return int(search.max_length_ratio * source_length) + 10


def shortest_target(source_length: int, search: SearchConfig) -> int:
    """Fewest target pieces for so many source pieces, `</s>` not counted."""
    return max(search.min_length, int(search.min_length_ratio * source_length))


def _try(work: Callable[[list[int]], list[Result]], batch: list[int]) -> list[Result] | None:
    """The results, or None if memory does not suffice."""
    try:
        return work(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    give_back_memory()  # the error is gone, and with it what its frames held
    return None
