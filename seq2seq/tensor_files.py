"""Files of tensors (safetensors): opened without taking memory, with a checksum of what they hold.

Opening one executes nothing; what is in it is read from the disk when somebody asks for it.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors

from seq2seq.config import ConfigurationError
from seq2seq.reading import check_file

if TYPE_CHECKING:
    from torch import Tensor

# A header has about a hundred bytes for each tensor; the library would take 100 MB of it.
_MOST_HEADER_BYTES = 1_000_000
_MOST_BYTES = 1 << 40
_LENGTH_BYTES = 8  # in which a file says how long its header is
_CHECKSUM = "crc32"
_METADATA = "seq2seq"


def checksum(tensors: Mapping[str, "Tensor"]) -> dict[str, str]:
    """What the metadata of a file keep of its tensors, so that damage is noticed.

    CRC-32 of names, shapes, types and values; whoever forges a file can forge it too.
    """
    import torch

    value = 0
    for name, tensor in sorted(tensors.items()):
        value = zlib.crc32(f"{name} {list(tensor.shape)} {tensor.dtype}".encode(), value)
        data = tensor.contiguous().flatten().view(torch.uint8).numpy()
        value = zlib.crc32(data.data, value)
    return {_CHECKSUM: f"{value:08x}"}


def tensors_to_bytes(tensors: Mapping[str, "Tensor"], metadata: Mapping[str, str]) -> bytes:
    """A file of tensors with metadata and checksum; the same ones give the same bytes."""
    import safetensors.torch

    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # One entry, since the library writes several in an order that it draws each time.
    kept = json.dumps({**metadata, **checksum(whole)}, sort_keys=True)
    return safetensors.torch.save(whole, metadata={_METADATA: kept})


def read_metadata(file: Path, entries: Any) -> dict[str, str]:
    """The metadata of an open file, checksum included; older files hold them one by one.

    Raises:
        ConfigurationError: If they are damaged.
    """
    found = entries.metadata() or {}
    if _METADATA not in found:
        return found
    try:
        metadata = json.loads(found[_METADATA])
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise ConfigurationError(f"{file} is no safetensors file, or damaged.")
    return metadata


@contextmanager
def open_tensors(file: Path, *, framework: str = "pt") -> Iterator[Any]:
    """Opens a file; `keys`, `metadata`, `get_slice` and `get_tensor` are those of safetensors.

    Args:
        framework: What `get_tensor` gives: "pt" for torch, "np" for numpy.

    Raises:
        FileNotFoundError: If there is no such file.
        ConfigurationError: If it is no file of tensors, or shorter or longer than it says.
    """
    check_file(file, most_bytes=_MOST_BYTES)
    try:
        with open(file, "rb") as opened:
            header_bytes = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
        if header_bytes > _MOST_HEADER_BYTES:
            raise ConfigurationError(f"{file} is no safetensors file, or damaged.")
        with safetensors.safe_open(file, framework=framework) as entries:
            yield entries
    except (safetensors.SafetensorError, OSError) as error:
        raise ConfigurationError(f"{file} is no safetensors file, or damaged.") from error


def read_tensors(file: Path, entries: Any) -> dict[str, "Tensor"]:
    """All tensors of an open file.

    Raises:
        ConfigurationError: If they are not what their checksum says; older files have none.
    """
    tensors = {name: entries.get_tensor(name) for name in entries.keys()}  # noqa: SIM118
    expected = read_metadata(file, entries).get(_CHECKSUM)
    if expected is not None and checksum(tensors) != {_CHECKSUM: expected}:
        raise ConfigurationError(
            f"{file} is damaged: its tensors have changed since they were written."
        )
    return tensors
