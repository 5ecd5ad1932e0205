"""Files that appear whole or not at all, whoever is interrupted or looks meanwhile."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(*paths: Path) -> Iterator[list[Path]]:
    """Yields temporary paths to write to, which take the places of `paths` when all are written.

    What stands there now stays until then, or if anything fails; its permissions are kept.
    """
    parts = [path.with_name(f".{path.name}.{os.getpid()}.part") for path in paths]
    try:
        yield parts
        for part in parts:
            _flush_to_disk(part)
        for part, path in zip(parts, paths, strict=True):
            if path.exists():
                shutil.copymode(path, part)
            os.replace(part, path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Deletes what killed processes left of `replacing`, in a folder that nobody else writes to."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    """Without it, a power cut soon after the move could leave an empty file in the place."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
