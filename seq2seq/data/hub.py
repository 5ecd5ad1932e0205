"""Reads the sets of a data set of the datasets hub, or of a local folder of the same layout.

Only data sets of plain files (Parquet, JSON, CSV ...) load; those with a loading script do not.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from seq2seq.config import ConfigurationError, CorpusConfig, shown
from seq2seq.data.tables import (
    Chunk,
    Columns,
    in_chunks,
    pairs_of_rows,
    reason_of,
    wanted_columns,
)

_BATCH_ROWS = 100  # rows may be long
_DEV_SPLITS = (CorpusConfig.dev_split, "dev", "valid", "val")
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class HubSets:
    """What is to be read of a data set."""

    sets: dict[str, Iterator[Chunk]]
    """Pairs of train, and of dev and test if they are there."""
    splits: dict[str, str]
    """The split that each set was read from."""
    commit: str | None
    """None for a local folder."""


@contextmanager
def open_hub(config: CorpusConfig, columns: Columns) -> Iterator[HubSets]:
    """Opens the sets of a data set, to be read while it is open.

    A development or test set that was not asked for by name may be missing, and the development
    set may have another of its usual names.

    Raises:
        ConfigurationError: If the data set cannot be loaded, or has no such split or column.
    """
    with _quiet():
        yield _open(config, columns)


def _open(config: CorpusConfig, columns: Columns) -> HubSets:
    commit = _find_commit(config)
    data = _load(config, commit)
    sets: dict[str, Iterator[Chunk]] = {}
    splits: dict[str, str] = {}
    for name in ("train", "dev", "test"):
        split = getattr(config, f"{name}_split")
        is_default = split == getattr(CorpusConfig, f"{name}_split")
        if name == "dev" and is_default:
            split = next((usual for usual in _DEV_SPLITS if usual in data), split)
        rows = _rows_of_split(data, split, config, commit, field=f"corpus.{name}_split")
        if rows is None and name != "train" and is_default:
            continue
        if rows is None:
            raise ConfigurationError(
                f"`corpus.{name}_split` must be one of {', '.join(data)} in {config.hub}, "
                f"but is {shown(split)}."
            )
        most = config.max_pairs if name == "train" else None
        sets[name] = _chunks(rows, columns, most, where=f"split {shown(split)} of {config.hub}")
        splits[name] = split
    return HubSets(sets, splits, commit)


def _find_commit(config: CorpusConfig) -> str | None:
    """The commit that a branch or tag means now, so that all that follows reads the same one."""
    import datasets

    try:
        builder = datasets.load_dataset_builder(
            config.hub, name=config.hub_configuration, revision=config.hub_revision
        )
    except Exception as error:  # of the hub, its network, its formats: none of them documented
        is_local = os.path.isdir(str(config.hub))
        advice = "" if is_local else "; to train on files of this machine, give `corpus.train`"
        raise _cannot_load("corpus.hub", config.hub, error, advice) from error
    commit = builder.hash if builder.repo_id else None
    asked = config.hub_revision
    if asked and commit is None:
        raise ConfigurationError(
            f"`corpus.hub_revision` must not be given for {config.hub}, which has no revisions."
        )
    # Without a network the library takes whatever it has stored, and says so only in its log.
    if asked and _COMMIT.fullmatch(asked) and asked != commit:
        raise ConfigurationError(
            f"`corpus.hub_revision` {asked} of {config.hub} cannot be reached; stored is {commit}."
        )
    return commit


def _load(
    config: CorpusConfig, commit: str | None, *, split: str | None = None, field: str = "corpus.hub"
) -> Any:
    """All splits by their names, or the one that `split` describes."""
    import datasets

    try:
        return datasets.load_dataset(
            config.hub,
            name=config.hub_configuration,
            revision=commit,
            split=split,
            streaming=config.streaming,
        )
    except Exception as error:
        raise _cannot_load(field, split or config.hub, error) from error


def _rows_of_split(
    data: Mapping[str, Any], split: str, config: CorpusConfig, commit: str | None, *, field: str
) -> Any:
    """The rows of a split, or of a part such as train[:5%]; None if there is no such split."""
    if split in data:
        return data[split]
    if "[" not in split and "+" not in split:
        return None
    if config.streaming:
        raise ConfigurationError(
            f"`{field}` must be a whole split with `corpus.streaming`, but is {shown(split)}."
        )
    return _load(config, commit, split=split, field=field)


def _chunks(rows: Any, columns: Columns, most: int | None, *, where: str) -> Iterator[Chunk]:
    try:
        if rows.features is not None:
            names = wanted_columns(rows.features.arrow_schema, columns, where=where)
            rows = rows.select_columns(names)  # decodes and reads nothing else
        yield from in_chunks(pairs_of_rows(islice(_each_row(rows), most), columns, where=where))
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{where} cannot be read ({reason_of(error)}).") from error


def _each_row(rows: Any) -> Iterator[dict[str, Any]]:
    for table in rows.with_format("arrow").iter(batch_size=_BATCH_ROWS):
        yield from table.to_pylist()  # several times as fast as row by row


def _cannot_load(
    field: str, value: str | None, error: Exception, advice: str = ""
) -> ConfigurationError:
    return ConfigurationError(
        f"`{field}` {shown(value)} cannot be loaded ({reason_of(error)}){advice}."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries from telling of each attempt; what matters is raised."""
    import datasets
    import huggingface_hub.utils

    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    showing: list[Any] = [
        library
        for library in (datasets, huggingface_hub.utils)
        if not library.are_progress_bars_disabled()
    ]
    for library in showing:
        library.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for library in showing:
            library.enable_progress_bars()
