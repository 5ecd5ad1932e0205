"""Weights on disk: a checkpoint that resumes a run, the best weights so far, and their average."""

import errno
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

from seq2seq.config import ConfigurationError
from seq2seq.files import replacing
from seq2seq.reading import check_file
from seq2seq.tensor_files import checksum, open_tensors, read_tensors

LAST_FILE, PREVIOUS_FILE = "last.ckpt", "previous.ckpt"
_MOST_BYTES = 1 << 40  # of a checkpoint
# What Lightning needs of one to resume.
_PARTS = {
    *("pytorch-lightning_version", "epoch", "global_step", "state_dict"),
    *("loops", "callbacks", "optimizer_states", "lr_schedulers"),
}


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes a `state_dict` as safetensors; tied weights are written once for each name."""
    plain = _plain_copy(weights)
    data = safetensors.torch.save(plain, metadata=checksum(plain))

    def check(part: Path) -> None:
        if part.read_bytes() != data:
            raise OSError(errno.EIO, "It does not read back as it was written", str(path))

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, check=check) as (part,):
        part.write_bytes(data)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Reads what `save_weights` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ConfigurationError: If it is damaged.
    """
    with open_tensors(path) as entries:
        return read_tensors(path, entries)


def _plain_copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
    }


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
        writes: Whether this process keeps weights; False only ranks them, as another one does too.
    """

    def __init__(self, folder: Path, capacity: int, *, writes: bool = True) -> None:
        self.folder = folder
        self.capacity = capacity
        self._writes = writes
        self.ranking: list[tuple[float, int]] = []
        """Score (higher is better) and step, best first; the earlier step first among equals."""
        self._unsaved: dict[int, dict[str, Tensor]] = {}
        self._saved_ranking: list[tuple[float, int]] = []

    def offer(self, score: float, step: int, weights: Mapping[str, Tensor]) -> bool:
        """Keeps the weights if they are among the best, in memory until `save`.

        Returns:
            Whether they are the very best.
        """
        ranking = sorted([*self.ranking, (score, step)], key=lambda entry: (-entry[0], entry[1]))
        self.ranking = ranking[: self.capacity]
        if self._writes and (score, step) in self.ranking:
            self._unsaved[step] = _plain_copy(weights)
        steps = {step for _, step in self.ranking}
        self._unsaved = {step: kept for step, kept in self._unsaved.items() if step in steps}
        return self.ranking[0] == (score, step)

    def restore(self, ranking: Iterable[tuple[float, int]]) -> None:
        """Goes back to a ranking whose weights have been saved."""
        self._saved_ranking = list(ranking)
        self.ranking = self._saved_ranking[: self.capacity]  # which may be lower than before
        self._unsaved = {}

    def path(self, step: int) -> Path:
        """File of the weights after `step`."""
        return self.folder / f"best-{step:08d}.safetensors"

    def save(self) -> None:
        """Writes what is only in memory."""
        for step in list(self._unsaved):
            save_weights(self.path(step), self._unsaved[step])
            del self._unsaved[step]

    def prune(self) -> None:
        """Deletes what is no longer among the best.

        To be called after the ranking has been saved, in the last checkpoint. What the checkpoint
        before that needs stays too.
        """
        kept = {self.path(step) for _, step in [*self.ranking, *self._saved_ranking]}
        self._saved_ranking = self.ranking
        for file in self.folder.glob("best-*.safetensors"):
            if file not in kept:
                file.unlink()


class CheckpointFiles(TorchCheckpointIO):
    """Lets Lightning write checkpoints as `save_checkpoint` does; its own way goes over /tmp."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Writes a checkpoint."""
        save_checkpoint(Path(path), checkpoint)


def save_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Writes a checkpoint that has been read back before it takes its place.

    The one that is there stays, as PREVIOUS_FILE, for the case that the new one gets damaged.

    Raises:
        OSError: If it cannot be written, or comes back otherwise than it was written.
    """
    data = io.BytesIO()
    torch.save(checkpoint, data)

    def check(part: Path) -> None:
        if read_step(part) != checkpoint["global_step"]:
            raise OSError(errno.EIO, "It does not read back as it was written", str(path))
        if path.exists():
            os.replace(path, path.with_name(PREVIOUS_FILE))

    with replacing(path, check=check) as (part,):
        part.write_bytes(data.getbuffer())


def check_fits(path: Path, module: nn.Module) -> None:
    """Refuses a checkpoint that is whole, but was saved by another program or of another network.

    Raises:
        ConfigurationError: If it has not all parts of a run, or other weights than the module.
    """
    found = torch.load(path, weights_only=True, mmap=True)
    expected = {name: tensor.shape for name, tensor in module.state_dict().items()}
    if found.keys() >= _PARTS and isinstance(found["state_dict"], dict):
        shapes = {name: getattr(v, "shape", None) for name, v in found["state_dict"].items()}
        if shapes == expected:
            return
    raise ConfigurationError(
        f"{path} is no checkpoint of this run; start again with `--overwrite`."
    )


def read_step(path: Path) -> int | None:
    """The step after which a checkpoint was saved; None if it is damaged or no checkpoint."""
    try:
        check_file(path, most_bytes=_MOST_BYTES)
        with zipfile.ZipFile(path) as records:
            kinds = {record.compress_type for record in records.infolist()}
            if kinds != {zipfile.ZIP_STORED}:  # torch compresses nothing, and this could be huge
                return None
            if records.testzip() is not None:  # torch itself does not look at the checksums
                return None
        step = torch.load(path, weights_only=True, mmap=True)["global_step"]
    except Exception:  # a damaged file fails in many ways
        return None
    return step if type(step) is int and step >= 0 else None
