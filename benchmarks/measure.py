"""What the benchmarks share: variants timed in turn, and results that print, save and draw.

Machines drift, so nothing is compared with a figure of another minute: every round runs each
variant once, a variant's ratio to the first one is taken within each round, and what is reported is
the median over the rounds with the lowest and the highest.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from seq2seq.training.hardware import Hardware, describe_machine

PACKAGES = ("torch", "numpy", "sentencepiece", "sacrebleu", "lightning")
FEATURES = ("avx512_bf16", "avx512_vnni", "amx_tile")  # of processors, in torch.cpu's spelling

Row = dict[str, Any]
"""Names of columns and their values: text, numbers, or None where there is nothing to say."""


@dataclass
class Result:
    """What a benchmark found, as plain values."""

    benchmark: str
    tables: list[dict[str, Any]] = field(default_factory=list)
    """Each a `title` and `rows`."""
    charts: list[dict[str, Any]] = field(default_factory=list)
    """Each a `title`, the labels of its axes, and `series`: points [x, y] by name."""
    notes: list[str] = field(default_factory=list)
    """Sentences, such as why a variant is missing."""

    def table(self, title: str, rows: list[Row]) -> None:
        """Adds a table."""
        self.tables.append({"title": title, "rows": rows})

    def chart(
        self, title: str, x_label: str, y_label: str, series: Mapping[str, list[list[float]]]
    ) -> None:
        """Adds a chart of lines."""
        labels = {"x_label": x_label, "y_label": y_label}
        self.charts.append({"title": title, **labels, "series": dict(series)})


def add_options(parser: argparse.ArgumentParser, *, rounds: int = 5, warm_up: bool = True) -> None:
    """The options that all benchmarks have."""
    advice = "after one that warms up" if warm_up else "none only warms up"
    parser.add_argument("--rounds", type=int, default=rounds, help=advice)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the result, too")


def prepare(arguments: argparse.Namespace) -> None:
    """Sets threads and seed."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)


def take_turns(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant in each round, after one round that warms up."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for round_ in range(rounds + 1):
        for name, run in variants.items():
            started = time.perf_counter()
            run()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            elapsed = time.perf_counter() - started
            if round_:
                times[name].append(elapsed)
    return times


def per_second(
    times: Mapping[str, list[float]], work: Mapping[str, float], baseline: str | None = None
) -> list[Row]:
    """Rows of work per second, and its ratio to that of the baseline in the same round.

    Args:
        times: What `take_turns` gave.
        work: Units of work in one run of each variant.
        baseline: A variant, the first one if not given.
    """
    rates = {name: [work[name] / t for t in seconds] for name, seconds in times.items()}
    return [_row(name, rates, baseline or next(iter(rates))) for name in rates]


def milliseconds(times: Mapping[str, list[float]], baseline: str | None = None) -> list[Row]:
    """Rows of milliseconds per run, and how many times faster than the baseline each variant is."""
    first = baseline or next(iter(times))
    rows = []
    for name, seconds in times.items():
        values = sorted(1000 * t for t in seconds)
        ratios = sorted(b / t for b, t in zip(times[first], seconds, strict=True))
        rows.append(_spread(name, "ms", values, ratios, first))
    return rows


def _row(name: str, rates: Mapping[str, list[float]], baseline: str) -> Row:
    ratios = sorted(r / b for r, b in zip(rates[name], rates[baseline], strict=True))
    return _spread(name, "per second", sorted(rates[name]), ratios, baseline)


def _spread(name: str, unit: str, values: list[float], ratios: list[float], baseline: str) -> Row:
    return {
        "variant": name,
        unit: statistics.median(values),
        "lowest": values[0],
        "highest": values[-1],
        f"x {baseline}": statistics.median(ratios),
        "x lowest": ratios[0],
        "x highest": ratios[-1],
    }


def machine() -> dict[str, Any]:
    """The processor, what it can do, and versions."""
    features = (f for f in FEATURES if getattr(torch.cpu, f"_is_{f}_supported", bool)())
    return {
        "processor": describe_machine(Hardware(torch.device("cpu"), bfloat16=False))["hardware"],
        "features": " ".join(features),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def report(result: Result, arguments: argparse.Namespace) -> None:
    """Prints a result, and writes it to `--json`."""
    settings = {
        name: value.name if isinstance(value, Path) else value
        for name, value in vars(arguments).items()
        if name != "json"
    }
    found = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "settings": settings,
        **asdict(result),
    }
    print(markdown(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def markdown(found: Mapping[str, Any]) -> str:
    """A result as a section of a page."""
    settings = " ".join(f"{k}={v}" for k, v in found["settings"].items() if v is not None)
    parts = [f"## {found['benchmark']}", f"Settings: `{settings}`."]
    for table in found["tables"]:
        parts.append(f"### {table['title']}\n\n{as_table(table['rows'])}")
    parts += [f"* {note}" for note in found["notes"]]
    return "\n\n".join(parts) + "\n"


def as_table(rows: list[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    numeric = [any(isinstance(row.get(c), int | float) for row in rows) for c in columns]
    lines = [f"| {' | '.join(columns)} |"]
    lines.append(f"|{'|'.join('--:' if right else '---' for right in numeric)}|")
    lines += [f"| {' | '.join(shown(row.get(c)) for c in columns)} |" for row in rows]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A value as people read it: three or four digits of a number."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
