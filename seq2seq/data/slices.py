"""Entries of `corpus.train`, `dev` and `test`: the slice at their end, and short names for them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq.config import ConfigurationError, shown


@dataclass(frozen=True)
class Slice:
    """A part of a file, its bounds as they were written: "", "500", "-100" or "66%"."""

    start: str
    stop: str

    def of(self, size: int) -> slice:
        """The slice of a list of that size; a share of it is rounded to the nearest pair."""
        bounds = [self._bound(text, size) for text in (self.start, self.stop)]
        return slice(*bounds)

    def _bound(self, text: str, size: int) -> int | None:
        if not text:
            return None
        number = int(text.removesuffix("%"))
        if not text.endswith("%"):
            return number
        place = (abs(number) * size + 50) // 100
        return max(size - place, 0) if text.startswith("-") else place


def split_slice(entry: str, *, field: str) -> tuple[str, Slice | None]:
    """The path of an entry, and its slice if it ends with one.

    Raises:
        ConfigurationError: If what stands in brackets at the end is no slice.
    """
    if not entry.endswith("]") or "[" not in entry:
        return entry, None
    path, _, inside = entry[:-1].rpartition("[")
    match = re.fullmatch(r"(-?[0-9]{1,15}%?)?:(-?[0-9]{1,15}%?)?", inside)
    if not match or not path:
        raise ConfigurationError(
            f"`{field}` {shown(entry)} must end with a slice such as [:500], [500:], [10:20], "
            f"[-100:] or [:66%], or without brackets."
        )
    return path, Slice(match[1] or "", match[2] or "")


def part_names(entries: Sequence[str]) -> list[str]:
    """Short names for the entries of a set, each another.

    The folders' names if they differ, else the files', else both, else both with a number.
    """
    paths = [Path(split_slice(entry, field="corpus")[0]) for entry in entries]
    folders = [_plain(path.parent.name) for path in paths]
    stems = [_plain(path.name.split(".")[0]) for path in paths]
    both = [f"{folder}-{stem}".strip("-") for folder, stem in zip(folders, stems, strict=True)]
    for names in (folders, stems, both):
        if all(names) and len(set(names)) == len(names):
            return names
    return [f"{name}-{number}".strip("-") for number, name in enumerate(both, start=1)]


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")
