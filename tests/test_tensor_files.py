import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.config import ConfigurationError
from seq2seq.tensor_files import (
    checksum,
    open_tensors,
    read_metadata,
    read_tensors,
    tensors_to_bytes,
)

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.arange(5, dtype=torch.int32)}


def write(file: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None) -> Path:
    file.write_bytes(safetensors.torch.save(dict(tensors), metadata=metadata))
    return file


def read(file: Path) -> dict[str, Tensor]:
    with open_tensors(file) as entries:
        return read_tensors(file, entries)


@pytest.mark.parametrize("metadata", [checksum(TENSORS), {"format": "pt"}, None])
def test_tensors_are_read_with_their_checksum_and_without(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    found = read(write(tmp_path / "a.safetensors", TENSORS, metadata))
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_the_same_tensors_and_metadata_give_the_same_bytes(tmp_path: Path) -> None:
    metadata = {f"name {number}": "value" for number in range(5)}
    backwards = dict(reversed(metadata.items()))
    file = tmp_path / "a.safetensors"
    file.write_bytes(tensors_to_bytes(TENSORS, metadata))
    assert tensors_to_bytes(TENSORS, backwards) == file.read_bytes()
    with open_tensors(file) as entries:
        assert read_metadata(file, entries) == {**metadata, **checksum(TENSORS)}
    assert read(file).keys() == TENSORS.keys()


@pytest.mark.parametrize("metadata", ["", "{", "[]", "[" * 100_000])
def test_damaged_metadata_are_refused(tmp_path: Path, metadata: str) -> None:
    file = write(tmp_path / "a.safetensors", TENSORS, {"seq2seq": metadata})
    with pytest.raises(ConfigurationError, match="is no safetensors file, or damaged"):
        read(file)


@given(
    place=st.integers(0, 6 * 4 + 5 * 4 - 1),
    bit=st.integers(0, 7),
)
def test_every_bit_counts(tmp_path_factory: pytest.TempPathFactory, place: int, bit: int) -> None:
    file = write(tmp_path_factory.mktemp("bits") / "a", TENSORS, checksum(TENSORS))
    data = bytearray(file.read_bytes())
    data[len(data) - 1 - place] ^= 1 << bit
    file.write_bytes(data)
    with pytest.raises(ConfigurationError, match="is damaged: its tensors have changed since"):
        read(file)


@pytest.mark.parametrize(
    "changed",
    [
        {"a": TENSORS["a"], "c": TENSORS["b"]},
        {"a": TENSORS["a"].view(3, 2), "b": TENSORS["b"]},
        {"a": TENSORS["a"].view(torch.int32), "b": TENSORS["b"]},
        {"a": TENSORS["a"]},
    ],
)
def test_names_shapes_and_types_count(tmp_path: Path, changed: dict[str, Tensor]) -> None:
    file = write(tmp_path / "a", changed, checksum(TENSORS))
    with pytest.raises(ConfigurationError, match="its tensors have changed"):
        read(file)


def test_the_checksum_is_the_same_however_a_tensor_lies_in_memory() -> None:
    tensor = torch.randn(3, 4, 5)
    turned = {"a": tensor.transpose(0, 2).contiguous().transpose(0, 2)}
    assert checksum(turned) == checksum({"a": tensor})
    assert checksum({"a": torch.zeros(0)}) != checksum({})
    assert checksum({"a": torch.zeros(3).bfloat16()}) == checksum({"a": torch.zeros(3).bfloat16()})


@pytest.mark.parametrize(
    "data", [b"", b"{}", struct.pack("<Q", 1_000_001) + b"{" + b" " * 1_000_000, b"\0" * 8]
)
def test_what_is_no_file_of_tensors(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ConfigurationError, match="a is no safetensors file, or damaged"):
        read(tmp_path / "a")


def test_a_header_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a", TENSORS, {"note": "x" * 900_000}))
    write(tmp_path / "a", TENSORS, {"note": "x" * 1_000_000})
    with pytest.raises(ConfigurationError, match="a is no safetensors file, or damaged"):
        read(tmp_path / "a")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "a")
