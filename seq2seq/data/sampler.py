"""Plans which sentence pairs stand together in a batch. Sees lengths only."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from seq2seq.config import ConfigurationError

CORPUS_HAS_CHANGED = (
    "The training corpus has changed since the run began; restore it, or start again with "
    "`--overwrite`."
)


class TokenBatchSampler:
    """Batches of like lengths within a token budget, in an order that (seed, epoch) decides.

    The cost of a batch is its rows times its longest sentence, end symbol included. Every pair
    stands in exactly one batch of an epoch. The number of batches is the same in all epochs.

    Several processes get equally many batches, together all of them: when the number of batches is
    no multiple of `world_size`, the ones with most rows are halved; only if all have a single row
    are some repeated. In one step all processes have batches of about the same length.

    Args:
        source_lengths: Pieces of each source, end symbol not counted [pairs].
        target_lengths: Pieces of each target, end symbol not counted [pairs].
        batch_tokens: Padded pieces per batch, counted on the longer side; a longer pair is a
            batch of its own.
        shuffle: False gives batches from short to long, in the same order always.
    """

    def __init__(
        self,
        source_lengths: np.ndarray,
        target_lengths: np.ndarray,
        batch_tokens: int,
        *,
        seed: int = 1,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_tokens < 1:
            raise ConfigurationError(
                f"`training.batch_tokens` must be at least 1, but is {batch_tokens}."
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"`rank` must be in [0, {world_size}), but is {rank}.")
        # Those of a large corpus are mapped files, of which there is to be no copy.
        self.source_lengths = np.asarray(source_lengths, dtype=np.int32)
        self.target_lengths = np.asarray(target_lengths, dtype=np.int32)
        if self.source_lengths.shape != self.target_lengths.shape:
            raise ValueError(
                f"`source_lengths` and `target_lengths` must be equally long, but have "
                f"{len(self.source_lengths)} and {len(self.target_lengths)} entries."
            )
        self.batch_tokens = batch_tokens
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.position = 0
        """Batches of this epoch that were handed out."""
        self._resuming = False
        # Costs decide where batches end, and their order is the same in every epoch.
        costs = np.maximum(self.source_lengths, self.target_lengths)
        costs.sort()
        costs += 1  # the end symbol
        self._costs = np.unique(costs)
        self._bounds = _split_to_multiple(_budget_bounds(costs, batch_tokens), world_size)

    def __len__(self) -> int:
        return -(-(len(self._bounds) - 1) // self.world_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Indices [rows] of each remaining batch; from the first, unless a state was loaded."""
        if not self._resuming:
            self.position = 0
        self._resuming = False
        batches = self.plan()
        while self.position < len(batches):
            self.position += 1  # before the yield: a state saved after this batch is past it
            yield batches[self.position - 1]

    def plan(self) -> list[np.ndarray]:
        """All batches of this process in the current epoch, as indices [rows]."""
        batches = self._all_batches()
        if self.world_size > 1:
            while len(batches) % self.world_size:
                batches.append(batches[-1])
        steps = np.arange(len(batches) // self.world_size)
        if self.shuffle:
            np.random.default_rng([self.seed, self.epoch, 1]).shuffle(steps)
        return [batches[step * self.world_size + self.rank] for step in steps]

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order; another epoch than the current one begins at its first batch."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.position = 0
            self._resuming = False

    def padding_shares(self) -> tuple[float, float]:
        """Shares of padding among the source ids and the target ids of all processes' batches."""
        batches = self._all_batches()
        return (
            _padding_share(batches, self.source_lengths),
            _padding_share(batches, self.target_lengths),
        )

    def state_dict(self) -> dict[str, Any]:
        """Where the sampler stands, with what its plan depends on."""
        plan = {**self._plan_settings(), **self._counts()}
        return {"epoch": self.epoch, "position": self.position, "plan": plan}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues after the last batch handed out before `state_dict`.

        Raises:
            ConfigurationError: If the state belongs to other data or settings.
        """
        for name, value in self._plan_settings().items():
            if state["plan"].get(name) != value:
                raise ConfigurationError(
                    f"The checkpoint was made with {name} {state['plan'].get(name)}, "
                    f"but the run to resume has {value}."
                )
        if any(state["plan"].get(name) != count for name, count in self._counts().items()):
            raise ConfigurationError(CORPUS_HAS_CHANGED)
        self.epoch = state["epoch"]
        self.position = state["position"]
        self._resuming = True

    def _plan_settings(self) -> dict[str, int]:
        return {
            "batch_tokens": self.batch_tokens,
            "seed": self.seed,
            "number of processes": self.world_size,
        }

    def _counts(self) -> dict[str, int]:
        return {
            "number of pairs": len(self.source_lengths),
            "number of source pieces": int(self.source_lengths.sum()) + len(self.source_lengths),
            "number of target pieces": int(self.target_lengths.sum()) + len(self.source_lengths),
        }

    def _all_batches(self) -> list[np.ndarray]:
        num_pairs = len(self.source_lengths)
        difference = np.subtract(self.source_lengths, self.target_lengths, dtype=np.float64)
        ties = None
        if self.shuffle:
            generator = np.random.default_rng([self.seed, self.epoch, 0])
            # Noise beside the longer side moves pairs between batches, never the batches' bounds.
            for start in range(0, num_pairs, _AT_ONCE):
                part = difference[start : start + _AT_ONCE]
                part += generator.uniform(0, _NOISE, len(part))
            ties = generator.permutation(np.arange(num_pairs, dtype=np.int32))
        costs = np.maximum(self.source_lengths, self.target_lengths)
        costs += 1
        order = np.empty(num_pairs, np.int32)
        start = 0
        for cost in self._costs:
            pairs = np.flatnonzero(costs == cost)
            # Every other length is sorted downwards, so that neighbours are alike on both sides.
            keys = difference[pairs] if cost % 2 else -difference[pairs]
            ranks = np.arange(len(pairs)) if ties is None else ties[pairs]
            order[start : start + len(pairs)] = pairs[np.lexsort((ranks, keys))]
            start += len(pairs)
        return np.split(order, self._bounds[1:-1]) if num_pairs else []


_AT_ONCE = 100_000  # numbers drawn, which are those of one draw of all
_NOISE = 2.0  # pieces; more of it mixes batches better and pads more


def _padding_share(batches: list[np.ndarray], lengths: np.ndarray) -> float:
    padded = sum(len(batch) * (int(lengths[batch].max()) + 1) for batch in batches)
    return 1 - (int(lengths.sum()) + len(lengths)) / padded if padded else 0.0


def _budget_bounds(costs: np.ndarray, batch_tokens: int) -> np.ndarray:
    """Bounds of batches in ascending costs [pairs]; batch i is from bounds[i] to bounds[i + 1]."""
    bounds = [0]
    while (start := bounds[-1]) < len(costs):
        most_rows = max(1, batch_tokens // int(costs[start]))
        window = costs[start : start + most_rows]
        padded = window * np.arange(1, len(window) + 1)
        bounds.append(start + max(1, int(np.searchsorted(padded, batch_tokens, side="right"))))
    return np.array(bounds)


def _split_to_multiple(bounds: np.ndarray, world_size: int) -> np.ndarray:
    """Halves the batches with most rows until their number is a multiple of `world_size`."""
    while (len(bounds) - 1) % world_size:
        rows = np.diff(bounds)
        largest = int(rows.argmax())
        if rows[largest] < 2:
            break
        bounds = np.insert(bounds, largest + 1, bounds[largest] + rows[largest] // 2)
    return bounds
