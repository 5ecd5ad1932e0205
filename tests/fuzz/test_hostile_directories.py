"""Model directories that somebody made to do harm: refused at once, in one sentence."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzzing import fuzz, is_sentence

from seq2seq.model_directory import (
    ModelDirectoryError,
    load_model_directory,
    read_scores,
)

FILES = ("recipe.yaml", "model.safetensors", "shared.model", "lexicon.safetensors")
GIGABYTES_10 = 10 * 2**30


def refuse(directory: Path) -> str:
    """The sentence with which a directory is refused, within the limits of `fuzz`."""
    messages = []

    def read(rng: object) -> None:
        with pytest.raises(ModelDirectoryError) as caught:
            load_model_directory(directory)
        messages.append(str(caught.value))

    fuzz(read, 1)
    assert is_sentence(messages[0]), messages[0]
    return messages[0]


def replace_by_link(file: Path, target: str | Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(target)


def test_a_directory_of_links_to_files_is_sound(own_directory: Path, tmp_path: Path) -> None:
    """As the caches of hubs are made."""
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for file in list(own_directory.iterdir()):
        shutil.move(file, blobs / file.name)
        replace_by_link(file, Path("..", "blobs", file.name))
    assert load_model_directory(own_directory).recipe.name == "tiny"
    assert read_scores(own_directory)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda file: replace_by_link(file, "/dev/zero"), "is a device or a pipe, but must be a"),
        (os.mkfifo, "is a device or a pipe, but must be a file"),
        (os.mkdir, "is a folder, but must be a file"),
        (lambda file: replace_by_link(file, "/"), "is a folder, but must be a file"),
        (lambda file: replace_by_link(file, file.name), "cannot be read: "),
        (lambda file: replace_by_link(file, "nowhere"), "missing"),
    ],
    ids=["device", "pipe", "folder", "link to a folder", "circle", "link to nothing"],
)
def test_what_is_no_file_is_not_opened(
    own_directory: Path, name: str, make: Callable[[Path], None], match: str
) -> None:
    (own_directory / name).unlink(missing_ok=True)
    make(own_directory / name)
    if not (own_directory / name).exists() and name == "lexicon.safetensors":
        assert load_model_directory(own_directory).lexicon is None
    else:
        assert match in refuse(own_directory)


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, lambda file: file.symlink_to("/dev/zero")],
    ids=["pipe", "folder", "device"],
)
def test_scores_that_are_no_file_are_no_scores(
    own_directory: Path, make: Callable[[Path], None]
) -> None:
    (own_directory / "scores.json").unlink()
    make(own_directory / "scores.json")
    assert read_scores(own_directory) == {}


@pytest.mark.parametrize("name", ["recipe.yaml", "shared.model"])
def test_a_file_of_ten_gigabytes_is_not_read(own_directory: Path, name: str) -> None:
    os.truncate(own_directory / name, GIGABYTES_10)  # takes no room on the disk
    assert f"{name} is too large: it has 10,737,418,240 bytes" in refuse(own_directory)


def test_weights_longer_than_they_say_are_damaged(own_directory: Path) -> None:
    os.truncate(own_directory / "model.safetensors", GIGABYTES_10)
    with pytest.raises(ModelDirectoryError, match="is no safetensors file, or damaged"):
        load_model_directory(own_directory)


def test_scores_of_ten_gigabytes_are_not_read(own_directory: Path) -> None:
    os.truncate(own_directory / "scores.json", GIGABYTES_10)
    assert read_scores(own_directory) == {}


@pytest.mark.parametrize("num_bytes", [2**20, 10**8, 2**32, 2**63, 2**64 - 1])
def test_a_huge_header_is_not_read(own_directory: Path, num_bytes: int) -> None:
    file = own_directory / "model.safetensors"
    file.write_bytes(struct.pack("<Q", num_bytes) + b"{" + b" " * 100)
    os.truncate(file, 2**29)
    assert "is no safetensors file, or damaged" in refuse(own_directory)


def with_header(change: Callable[[dict[str, dict[str, object]]], None], file: Path) -> None:
    """Writes a file of tensors anew with another header."""
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    change(header)
    encoded = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data[8 + size :])


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2**40, 2**20]},
        {"shape": [2**63, 2]},
        {"shape": [-1, 5]},
        {"data_offsets": [0, 2**62]},
        {"data_offsets": [2**62, 0]},
        {"dtype": "F64"},
        {"dtype": "X"},
        {"shape": []},
        {"shape": None},
    ],
)
def test_tensors_of_other_sizes_than_the_file_has(
    own_directory: Path, change: dict[str, object]
) -> None:
    file = own_directory / "model.safetensors"
    with_header(lambda header: header["decoder.readout.weight"].update(change), file)
    assert "model.safetensors" in refuse(own_directory)


@pytest.mark.parametrize(
    "sizes", ["hidden_size: 65536", "embedding_size: 65536", "attention_size: 65536"]
)
def test_a_huge_network_is_refused_before_memory_is_taken(own_directory: Path, sizes: str) -> None:
    recipe = own_directory / "recipe.yaml"
    name = sizes.partition(":")[0]
    lines = recipe.read_text().splitlines()
    changed = [f"  {sizes}" if line.strip().startswith(f"{name}:") else line for line in lines]
    changed = [line.replace("_layers: 1", "_layers: 4") for line in changed]
    recipe.write_text("\n".join(changed))
    assert "model.safetensors" in refuse(own_directory)


def test_weights_with_another_value_are_noticed(own_directory: Path) -> None:
    file = own_directory / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1  # the lowest bit of a number
    file.write_bytes(data)
    assert refuse(own_directory).endswith(
        "is damaged: its tensors have changed since they were written."
    )


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/x", "..", "a/b", "a\\b", "a\nb", "a\0b", "\ud800"]
)
def test_a_name_that_leads_elsewhere_is_none(own_directory: Path, name: str) -> None:
    recipe = own_directory / "recipe.yaml"
    text = recipe.read_text().replace("name: tiny", f"name: {json.dumps(name)}")
    recipe.write_text(text)
    message = refuse(own_directory)
    assert "`name` must be a plain folder name" in message or "`name` must be text" in message
