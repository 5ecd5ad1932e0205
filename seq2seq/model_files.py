"""What all folders with a model have in common: weights, tokenizers, files of text.

Reading executes nothing that stands in a folder, and checks everything before it is used.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from seq2seq.config import ConfigurationError
from seq2seq.data.tokenizer import MOST_MODEL_BYTES, Tokenizer
from seq2seq.files import replacing
from seq2seq.reading import check_file
from seq2seq.tensor_files import open_tensors, read_metadata, read_tensors

WEIGHTS_FILE, CARD_FILE = "model.safetensors", "README.md"


class ModelDirectoryError(ConfigurationError):
    """A folder that is no model directory, or a damaged one; the message is one sentence."""


def load_tokenizer(file: Path, digests: Mapping[str, str]) -> Tokenizer:
    """Reads the tokenizer of a folder.

    Args:
        digests: By file name, as the weights keep them; what is not named there is not compared.

    Raises:
        ModelDirectoryError: If it is missing, damaged, or not the one of the weights.
    """
    data = read_file(file, MOST_MODEL_BYTES)
    if file.name in digests and digest(data) != digests[file.name]:
        raise ModelDirectoryError(
            f"{file} does not fit {WEIGHTS_FILE}: it is damaged, or the weights were trained with "
            f"another tokenizer."
        )
    try:
        return Tokenizer.from_bytes(data)
    except ConfigurationError as error:
        raise ModelDirectoryError(f"{file}: {error}") from error


def read_weights_metadata(folder: Path) -> dict[str, str]:
    """What the weights of a folder say of themselves, such as digests of tokenizers."""
    file = folder / WEIGHTS_FILE
    with _open(file) as weights:
        return read_metadata(file, weights)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Replaces the empty tensors of `model` by those of the folder."""
    file = folder / WEIGHTS_FILE
    with _open(file) as weights:
        _check_shapes(file, weights, unique_shapes(model))
        tensors = read_tensors(file, weights)
    for name, tensor in tensors.items():
        # A sum takes no time; of finite weights it is finite, too, but for absurd ones.
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise ModelDirectoryError(f"{file}: `{name}` must be finite, but holds NaN or inf.")
    aliases = _aliases(model)
    tensors |= {alias: tensors[name] for alias, name in aliases.items()}
    model.load_state_dict(tensors, assign=True)
    for alias, name in aliases.items():  # assigning has torn tied parameters apart
        owner, _, attribute = alias.rpartition(".")
        setattr(model.get_submodule(owner), attribute, model.get_parameter(name))


@contextmanager
def _open(file: Path) -> Iterator[Any]:
    try:
        with open_tensors(file) as entries:
            yield entries
    except FileNotFoundError:
        raise missing(file) from None


def _check_shapes(file: Path, weights: Any, expected: Mapping[str, list[int]]) -> None:
    names = set(weights.keys())
    for name in [n for n in expected if n not in names]:
        raise ModelDirectoryError(f"{file} lacks the weights `{name}`.")
    for name in sorted(names - set(expected)):
        raise ModelDirectoryError(
            f"{file} has weights `{name}`, for which the recipe has no place."
        )
    for name, shape in expected.items():
        entry = weights.get_slice(name)
        if list(entry.get_shape()) != shape:
            raise ModelDirectoryError(
                f"{file}: `{name}` has the shape {list(entry.get_shape())}, "
                f"but recipe and tokenizers make it {shape}."
            )
        if entry.get_dtype() != "F32":
            raise ModelDirectoryError(
                f"{file}: `{name}` must be float32 (F32), but is {entry.get_dtype()}."
            )


def unique_shapes(model: nn.Module) -> dict[str, list[int]]:
    """Shapes of all weights by name; tied ones stand once, under their first name."""
    aliases = _aliases(model)
    return {n: list(t.shape) for n, t in model.state_dict().items() if n not in aliases}


def _aliases(model: nn.Module) -> dict[str, str]:
    """Further names of tied parameters, and the first name of each."""
    first: dict[int, str] = {}
    aliases = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            aliases[name] = first[id(parameter)]
    return aliases


def digest(data: bytes) -> str:
    """The checksum of a file of text or a tokenizer."""
    return hashlib.sha256(data).hexdigest()


def to_json(scores: Mapping[str, Any]) -> bytes:
    """Plain values as a file of JSON; dataclasses are objects."""
    plain = json.dumps(scores, indent=2, ensure_ascii=False, default=_to_plain)
    return (plain + "\n").encode(errors="backslashreplace")  # \\ud800 is JSON for half a character


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def read_file(file: Path, most_bytes: int) -> bytes:
    """Reads a small file of a folder.

    Raises:
        ModelDirectoryError: If it is missing, unreadable, or larger than it can be meant.
    """
    try:
        check_file(file, most_bytes=most_bytes)
        return file.read_bytes()
    except FileNotFoundError:
        raise missing(file) from None
    except OSError as error:
        raise ModelDirectoryError(f"{file} cannot be read: {error.strerror}.") from error


def missing(file: Path) -> ModelDirectoryError:
    """The error that names a file which is not there."""
    return ModelDirectoryError(f"{file.parent} is no model directory: {file.name} is missing.")


def write_files(
    folder: Path, files: Mapping[str, bytes], check: Callable[..., object] | None = None
) -> None:
    """Writes all files beside their places, then moves them there one after the other."""
    with replacing(*(folder / name for name in files), check=check) as parts:
        for part, data in zip(parts, files.values(), strict=True):
            part.write_bytes(data)
