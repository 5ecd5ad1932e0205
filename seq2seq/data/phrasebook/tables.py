"""Reads the tables of the package folder `lexicon/`. Knows nothing of their columns."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def read_table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `lexicon/<name>.tsv`, each a dictionary from column to text.

    Raises:
        ValueError: If a row has another number of columns than the header.
    """
    text = files("seq2seq.data.phrasebook").joinpath("lexicon", f"{name}.tsv").read_text("utf-8")
    header, *rows = (line.split("\t") for line in text.splitlines() if line)
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"`{name}.tsv` must have {len(header)} columns, but a row is {row}.")
    return tuple(dict(zip(header, row, strict=True)) for row in rows)


def word_list(name: str) -> frozenset[str]:
    """A set of words from `lexicon/word_lists.tsv`: verbs or noun classes that a pattern takes."""
    rows = {row["name"]: row["words"] for row in read_table("word_lists")}
    return frozenset(rows[name].split("; "))
