"""What a run says and logs: a full disk costs lines of it, never the training.

Lightning's own table is deleted when a run is resumed, and written anew without a name of its own.
"""

import contextlib
import csv
import io
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger

from seq2seq.files import append, explain_write_error, replacing

Row = dict[str, float]


def say(text: str) -> None:
    """Prints on standard error, which may be a file on a full disk."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


class TableLog(Logger):
    """A table of all that is logged, as CSV: whole at any time, whoever is killed.

    Args:
        file: Rows of an earlier process that stand there are kept.
        last_step: The step after which training continues; rows of later ones come again.
    """

    def __init__(self, file: Path, last_step: int) -> None:
        super().__init__()
        self._file = file
        self._rows = [row for row in _read(file) if row["step"] <= last_step] if last_step else []
        self._columns: list[str] = []  # of the file, once this process has written it

    @property
    def name(self) -> str:
        """The file's name."""
        return self._file.name

    @property
    def version(self) -> str:
        """There is only one."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The recipe stands in the run folder."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Takes a row, which is written with the next `save`."""
        numbers = {name: float(value) for name, value in metrics.items()}
        self._rows.append({**numbers, "step": step or 0})

    def save(self) -> None:
        """Writes the rows that are new; those that a full disk does not take wait for the next."""
        columns = sorted({*self._columns, *(name for row in self._rows for name in row)})
        try:
            if columns != self._columns:
                self._write_all(columns)
            elif self._rows:
                append(self._file, _to_csv(columns, self._rows))
        except OSError as error:
            say(f"{explain_write_error(error, self._file)}; training goes on.")
        else:
            self._rows = []

    def finalize(self, status: str) -> None:
        """Writes the last rows."""
        self.save()

    def _write_all(self, columns: list[str]) -> None:
        earlier = _read(self._file) if self._columns else []  # else they are among the new ones
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._file) as (part,):
            header = ",".join(columns) + "\n"
            part.write_text(header + _to_csv(columns, [*earlier, *self._rows]), "utf-8")
        self._columns = columns


class BoardLog(TensorBoardLogger):
    """The same numbers for TensorBoard; where its file cannot be written, it ends."""

    _has_ended = False

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Writes numbers."""
        self._try(lambda: super(BoardLog, self).log_metrics(dict(metrics), step))

    def save(self) -> None:
        """Writes what is in memory."""
        self._try(super().save)

    def finalize(self, status: str) -> None:
        """Closes the file."""
        self._try(lambda: super(BoardLog, self).finalize(status))

    def _try(self, act: Callable[[], object]) -> None:
        if self._has_ended:
            return
        try:
            act()
        except (OSError, ValueError) as error:  # Lightning makes a ValueError of any error
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError):
                raise
            self._has_ended = True
            say(f"{explain_write_error(cause, Path(self.log_dir))}; training goes on without it.")


def make_loggers(folder: Path, last_step: int) -> list[Logger]:
    """Logs as CSV and for TensorBoard, each continued after `last_step`.

    Args:
        folder: Where they stand.
    """
    board = BoardLog(
        folder,
        name="tensorboard",
        version="",
        purge_step=last_step + 1 if last_step else None,
    )
    return [TableLog(folder / "metrics.csv", last_step), board]


def _read(file: Path) -> list[Row]:
    """Rows with a step and their numbers; what a killed process half wrote is left out."""
    rows: list[Row] = []
    with (
        contextlib.suppress(FileNotFoundError, csv.Error),
        open(file, newline="", encoding="utf-8", errors="replace") as table,
    ):
        for cells in csv.DictReader(table):
            row = dict(_numbers(cells))
            if "step" in row:
                rows.append(row)
    return rows


def _numbers(cells: Mapping[Any, Any]) -> Iterable[tuple[str, float]]:
    for name, cell in cells.items():
        with contextlib.suppress(TypeError, ValueError):  # an empty cell, or none
            yield name, float(cell)


def _to_csv(columns: list[str], rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writerows({**row, "step": int(row["step"])} for row in rows)
    return text.getvalue()
