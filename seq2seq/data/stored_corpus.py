"""Keeps a prepared corpus in a folder and opens it again, if it is still what it was."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.data.corpus import Corpus, CorpusReport, Pairs
from seq2seq.data.stored import ALIGNMENT, SIDES, StoredSentences, checksum


@dataclass(frozen=True)
class StoredSet:
    """A set as it is kept."""

    text: str
    """Name of the file of `PairWriter` that its text stands in."""
    rows: np.ndarray  # [pairs], where its pairs stand there
    report: CorpusReport
    parts: dict[str, range]
    """Where the pairs of each part stand in the set."""
    is_aligned: bool = False
    """The file has alignments, too."""


def write_corpus(
    folder: Path, sets: Mapping[str, StoredSet], *, identity: Any, revision: str | None
) -> None:
    """Adds to the files of the text what makes a corpus of them.

    Args:
        identity: Of what the text was read from; None if nothing tells whether it has changed.
    """
    for name, one in sets.items():
        np.save(folder / f"{name}.npy", one.rows)
    summary = {
        "identity": identity,
        "revision": revision,
        "checksums": {file.name: checksum(file) for file in folder.iterdir()},
        "sets": {
            name: {
                "text": one.text,
                "report": one.report.to_plain(),
                "parts": {part: [rows.start, rows.stop] for part, rows in one.parts.items()},
                "is_aligned": one.is_aligned,
            }
            for name, one in sets.items()
        },
    }
    (folder / _SUMMARY_FILE).write_text(json.dumps(summary), "utf-8")


def find_corpus(folder: Path, identity: Any) -> Corpus | None:
    """The corpus that is kept in a folder, None if it is damaged or what it was read from changed.

    Args:
        identity: As for `write_corpus`.
    """
    if identity is None:
        return None
    try:
        summary = json.loads((folder / _SUMMARY_FILE).read_text("utf-8"))
        checksums = {name: checksum(folder / name) for name in summary["checksums"]}
        if summary["identity"] != identity or summary["checksums"] != checksums:
            return None
        return open_corpus(folder)
    except Exception:  # a damaged file fails in many ways, and all have one remedy
        return None


def open_corpus(folder: Path) -> Corpus:
    """The corpus that is kept in a folder; the training pairs stay in their file."""
    summary = json.loads((folder / _SUMMARY_FILE).read_text("utf-8"))
    reports, pairs, parts = {}, {}, {}
    for name, one in summary["sets"].items():
        reports[name] = CorpusReport.from_plain(one["report"])
        columns = (*SIDES, ALIGNMENT) if name == "train" and one["is_aligned"] else SIDES
        sides = (StoredSentences(folder / one["text"], c, folder / f"{name}.npy") for c in columns)
        pairs[name] = Pairs(*(side if name == "train" else list(side) for side in sides))
        if one["parts"] and name in ("train", "test"):
            parts[name] = {part: range(*ends) for part, ends in one["parts"].items()}
    return Corpus(
        train=pairs.pop("train"),
        dev=pairs.pop("dev"),
        test=pairs.pop("test"),
        extra_tests=pairs,
        reports=reports,
        parts=parts,
        revision=summary["revision"],
    )


_SUMMARY_FILE = "corpus.json"
