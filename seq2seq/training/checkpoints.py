"""Weights on disk: a checkpoint that resumes a run, the best weights so far, and their average."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from seq2seq.files import replacing

LAST_FILE = "last.ckpt"


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes a `state_dict` as safetensors; tied weights are written once for each name."""
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as (part,):
        safetensors.torch.save_file(plain, part)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Reads what `save_weights` wrote."""
    return safetensors.torch.load_file(path)


def average_weights(states: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of several networks' weights, summed in float64; each is read only once, in turn.

    Raises:
        ValueError: If there is none, or their weights differ in name or shape.
    """
    sums: dict[str, Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    count = 0
    for state in states:
        if not count:
            dtypes = {name: tensor.dtype for name, tensor in state.items()}
            sums = {
                name: torch.zeros_like(tensor, dtype=torch.float64)
                for name, tensor in state.items()
            }
        for name in sums.keys() ^ state.keys():
            raise ValueError(f"Networks to average must be alike, but not all have `{name}`.")
        for name, tensor in state.items():
            if tensor.shape != sums[name].shape:
                raise ValueError(
                    f"Networks to average must be alike, but `{name}` has the shapes "
                    f"{list(sums[name].shape)} and {list(tensor.shape)}."
                )
            sums[name] += tensor
        count += 1
    if not count:
        raise ValueError("An average needs at least one network.")
    return {name: (total / count).to(dtypes[name]) for name, total in sums.items()}


class BestWeights:
    """The `capacity` best weights of a run, in files of their own.

    Args:
        folder: Where they are kept, as best-<step>.safetensors.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self.capacity = capacity
        self.ranking: list[tuple[float, int]] = []
        """Score (higher is better) and step, best first; the earlier step first among equals."""

    def offer(self, score: float, step: int, weights: Mapping[str, Tensor]) -> bool:
        """Keeps the weights if they are among the best; True if they are the very best."""
        ranking = sorted([*self.ranking, (score, step)], key=lambda entry: (-entry[0], entry[1]))
        self.ranking = ranking[: self.capacity]
        if (score, step) in self.ranking:
            save_weights(self.path(step), weights)
        return self.ranking[0] == (score, step)

    def path(self, step: int) -> Path:
        """File of the weights after `step`."""
        return self.folder / f"best-{step:08d}.safetensors"

    def prune(self) -> None:
        """Deletes what is no longer among the best.

        To be called after the ranking has been saved: until then an interrupted run would go back
        to the older ranking, and need its files.
        """
        kept = {self.path(step) for _, step in self.ranking}
        for file in self.folder.glob("best-*.safetensors"):
            if file not in kept:
                file.unlink()
