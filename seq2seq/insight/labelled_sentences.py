"""Sentences of which something is known: those of the phrasebook, or of a table of one's own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.config import ConfigurationError, shown
from seq2seq.data.phrasebook.corpus import PhrasebookPair, load_phrasebook
from seq2seq.data.text_files import read_lines
from seq2seq.languages import base_language

UNKNOWN = ""
"""The label of a sentence of which a property is not known; no probe sees it."""
_FEWEST = 10  # different sentences, of which half train the probes, in five folds
# Properties of the phrasebook, and the fields of its pairs.
_PROPERTIES = {
    "tense": "tense",
    "person": "person",
    "politeness": "speech_level",
    "pattern": "pattern",
}


@dataclass(frozen=True)
class LabelledSentences:
    """Sentences, and what is known of each."""

    sentences: Sequence[str]
    labels: Mapping[str, Sequence[str]]
    """By property, one for each sentence."""
    is_held_out: Sequence[bool]
    """Which sentences test the probes; the others train them."""


def phrasebook_sentences(language: str) -> LabelledSentences:
    """Development and test sentences of the phrasebook, no two alike; the latter are held out.

    Politeness is that of the first Korean sentence, also where the English one is asked for.

    Raises:
        ConfigurationError: If the language is neither Korean nor English.
    """
    side = {"ko": "korean", "en": "english"}.get(base_language(language))
    if side is None:
        raise ConfigurationError(
            f"the phrasebook has Korean and English sentences, but the model translates from "
            f"{language}; give `sentences`, a table of sentences and their labels."
        )
    splits = load_phrasebook()
    known: dict[str, PhrasebookPair] = {}
    for pair in (*splits["dev"], *splits["test"]):
        # An English sentence has several Korean ones, all of them in one split.
        known.setdefault(getattr(pair, side), pair)
    held_out = {getattr(pair, side) for pair in splits["test"]}
    return LabelledSentences(
        list(known),
        {
            name: [getattr(pair, field) for pair in known.values()]
            for name, field in _PROPERTIES.items()
        },
        [sentence in held_out for sentence in known],
    )


def read_labelled(file: str) -> LabelledSentences:
    """Sentences with labels from a table of tab-separated values; half of them are held out.

    The first line names the columns: the sentences first, then one property or more. An empty
    label is one that is not known.

    Raises:
        ConfigurationError: If it is no such table, or too short for probes.
    """
    header, *rows = [line.split("\t") for line in read_lines(file)] or [[]]
    if len(header) < 2:
        raise ConfigurationError(
            f"{file}: the first line must name the column of the sentences and at least one "
            f"property, with tabs between them."
        )
    for name, times in Counter(header).items():
        if times > 1:
            raise ConfigurationError(
                f"{file}: the first line names {times} columns {shown(name)}; give each a name of "
                f"its own."
            )
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ConfigurationError(
                f"{file}: line {number} must have {len(header)} columns, as the first line has, "
                f"but has {len(row)}."
            )
    columns = list(zip(*rows, strict=True)) or [()]
    sentences = columns[0]
    known = sorted(set(sentences))
    if len(known) < _FEWEST:
        raise ConfigurationError(
            f"{file} must have at least {_FEWEST} different sentences, but has {len(known)}."
        )
    # The same sentence never stands on both sides.
    drawn = np.random.default_rng(1).permutation(len(known))[: len(known) // 2]
    held_out = {known[index] for index in drawn}
    return LabelledSentences(
        sentences,
        dict(zip(header[1:], columns[1:], strict=True)),
        [sentence in held_out for sentence in sentences],
    )
