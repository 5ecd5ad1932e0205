"""Runs all benchmarks, one process after the other, and keeps what they found.

    python benchmarks/run_all.py --model DIR --source FILE --reference FILE --publish
    python benchmarks/run_all.py --quick
    python benchmarks/run_all.py --only training limit
    python benchmarks/run_all.py --model DIR --source FILE --peer joeynmt=PYTHON --corpus PREFIX

writes benchmarks/results/<date>-<machine>.json, .md and .svg; kinds that `--only` leaves out stay
as an earlier run of that day found them. `--publish` writes the headline into
benchmarks/README.md, README.md and README.ko.md, too. `--quick` tries everything on networks that
are too small to tell anything.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Row, as_table, markdown, shown
from plot_runs import standalone
from processes import run

from seq2seq.evaluation.charts import Interval, Series, interval_chart, line_chart

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
RESULTS = FOLDER / "results"
PAGES = {
    FOLDER / "README.md": "results",
    ROOT / "README.md": "speed",
    ROOT / "README.ko.md": "speed",
}
"""Pages and the names of the blocks in them that are written anew."""


@dataclass(frozen=True)
class Job:
    """A script and its options."""

    script: str
    options: str = ""
    takes_text: bool = False
    """Whether the script is given the user's model and sentences, if there are any."""
    takes_peers: bool = False
    """Whether the script is given the user's peers, corpus and model."""


JOBS = {
    "training": [
        Job("bench_training.py"),
        Job("bench_training.py", "--length 100 --batch 20"),
        Job("bench_training.py", "--shape large --rounds 3"),
        *(Job("bench_training.py", f"--shape {shape}") for shape in ("gru", "rnn", "fixed")),
    ],
    "decoding": [
        Job("bench_decoding.py", "--beam 5 1 10 --rounds 2", takes_text=True),
        Job("bench_decoding.py", "--length 100 --sentences 64 --beam 5"),
        Job("bench_decoding.py", "--shape large --sentences 128 --beam 5"),
        *(
            Job("bench_decoding.py", f"--shape {shape} --sentences 256 --beam 5")
            for shape in ("gru", "rnn", "fixed")
        ),
    ],
    "latency": [
        Job("bench_latency.py", "--length 10"),
        Job("bench_latency.py", "--sentences 100", takes_text=True),
        Job("bench_latency.py", "--length 10 --shape large --sentences 20"),
    ],
    "startup": [Job("bench_startup.py", takes_text=True)],
    "limit": [
        Job("limit.py"),
        Job("limit.py", "--length 100 --batch 20"),
        Job("limit.py", "--shape large --rounds 3"),
    ],
    "memory": [Job("bench_memory.py", takes_text=True)],
    "scaling": [
        Job("bench_scaling.py", "--axes length vocabulary beam threads"),
        Job("bench_scaling.py", "--axes corpus"),
    ],
}
"""The first table of a kind is the one that the headline shows."""

QUICK_JOBS = {
    "training": [Job("bench_training.py", "--shape tiny --batch 8")],
    "decoding": [Job("bench_decoding.py", "--shape tiny --sentences 4 --beam 2")],
    "latency": [Job("bench_latency.py", "--shape tiny --sentences 2 --length 6")],
    "startup": [Job("bench_startup.py", "--shape tiny")],
    "limit": [Job("limit.py", "--shape tiny --batch 8 --sentences 4")],
    "memory": [Job("bench_memory.py", "--shape tiny --sentences 4 --variants float32")],
    "scaling": [Job("bench_scaling.py", "--shape tiny --axes beam --beam 1 2 --sentences 4")],
}

PEERS = Job("peers.py", takes_peers=True)
"""Done if the user names peers."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS), metavar="KIND")
    parser.add_argument("--model", type=Path, metavar="DIR", help="a trained model directory")
    parser.add_argument("--source", type=Path, metavar="FILE")
    parser.add_argument("--reference", type=Path, metavar="FILE")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--corpus", metavar="PREFIX", help="for peers; see peers.py")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--publish", action="store_true")
    arguments = parser.parse_args()
    if arguments.model and not arguments.source:
        raise SystemExit("--model needs --source, a file with a sentence in each line.")
    if arguments.peer and not (arguments.corpus and arguments.model):
        raise SystemExit("--peer needs --corpus and --model.")
    table = QUICK_JOBS if arguments.quick else JOBS
    jobs = [job for kind in arguments.only for job in table[kind]]
    if arguments.peer:
        jobs.append(PEERS)
    results = [found for job in jobs for found in do(job, arguments)]
    page = save(results, arguments.output)
    if arguments.publish:
        publish(json.loads(page.with_suffix(".json").read_text("utf-8")), page)


def do(job: Job, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Runs a job in a process of its own; its result."""
    options = [*job.options.split(), "--seed", str(arguments.seed)]
    if arguments.threads:
        options += ["--threads", str(arguments.threads)]
    if arguments.quick:
        options += ["--rounds", "1"]
    if job.takes_text and arguments.model:
        files = ("model", "source", "reference")
        given = [(name, getattr(arguments, name)) for name in files]
        options += [part for name, file in given if file for part in (f"--{name}", str(file))]
    if job.takes_peers:
        options += [part for peer in arguments.peer for part in ("--peer", peer)]
        options += ["--corpus", arguments.corpus, "--model", str(arguments.model)]
    print(f"{job.script} {' '.join(options)}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, str(FOLDER / job.script), *options, "--json", str(file)]
        print(run(command, threads=arguments.threads or os.cpu_count() or 1).output)
        yield json.loads(file.read_text("utf-8"))


def save(results: list[dict[str, Any]], folder: Path) -> Path:
    """Writes the files of a day's runs, each kind as it was found last; returns the page."""
    processor = results[0]["machine"]["processor"].split(",")[0]
    cores = results[0]["machine"]["cores"]
    name = re.sub(r"\W+", "-", f"{results[0]['date'][:10]} {processor} {cores} cores").lower()
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{name}.md"
    results = sorted(
        results + _others(results, page.with_suffix(".json")),
        key=lambda result: list(JOBS).index(result["benchmark"]),
    )
    page.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    parts = [f"# Benchmarks, {results[0]['date'][:10]}\n", describe_machine(results[0])]
    if figure := speed_chart(results):
        page.with_suffix(".svg").write_text(standalone(figure), "utf-8")
        parts += [headline(results), f"![Speed]({name}.svg)\n"]
    number = 0
    for result in results:
        parts.append(markdown(result))
        for chart in result["charts"]:
            number += 1
            file = folder / f"{name}-{result['benchmark']}-{number}.svg"
            file.write_text(standalone(draw(chart)), "utf-8")
            parts.append(f"![{chart['title']}]({file.name})\n")
    page.write_text("\n".join(parts), "utf-8")
    print(page)
    return page


def _others(results: list[dict[str, Any]], file: Path) -> list[dict[str, Any]]:
    """What the file has of kinds that are not among the results."""
    if not file.exists():
        return []
    kinds = {result["benchmark"] for result in results}
    earlier: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return [result for result in earlier if result["benchmark"] not in kinds]


def draw(chart: dict[str, Any]) -> str:
    series = [Series(name, points) for name, points in chart["series"].items()]
    labels = {name: chart[name] for name in ("title", "x_label", "y_label")}
    return line_chart(series, **labels)


def describe_machine(result: dict[str, Any]) -> str:
    facts = result["machine"].items()
    settings = result["settings"]
    known = [f"{name} {value}" for name, value in facts if value is not None and value != ""]
    return f"{', '.join(known)}; threads {settings['threads']}, seed {settings['seed']}.\n"


def headline_tables(results: list[dict[str, Any]]) -> Iterator[tuple[str, list[Row]]]:
    """Those of the first run of each kind that has a yardstick."""
    seen = set()
    for result in results:
        if result["benchmark"] in ("training", "decoding", "latency"):
            if result["benchmark"] not in seen:
                yield from ((table["title"], table["rows"]) for table in result["tables"])
            seen.add(result["benchmark"])


def headline(results: list[dict[str, Any]]) -> str:
    """A row for each kind of work: what is done per second, and how many times the yardstick."""
    rows = []
    for title, variants in headline_tables(results):
        row: Row = {"work": title}
        for variant in variants:
            rate, times = shown(variant["per second"]), shown(variant["x yardstick"])
            row[variant["variant"]] = f"{rate} ({times} x)"
        rows.append(row)
    return f"{as_table(rows)}\n"


def speed_chart(results: list[dict[str, Any]]) -> str:
    """Multiples of the yardstick's speed, from the lowest to the highest round; of beams, 5."""
    rows = [
        Interval(
            f"{', '.join(title.split(', ')[:2])}: {row['variant']}",
            row["x yardstick"],
            row["x lowest"],
            row["x highest"],
        )
        for title, variants in headline_tables(results)
        for row in variants
        if row["variant"] not in ("yardstick", "plain") and not re.search(r"beam (?!5\b)", title)
    ]
    title = "Speed against a plainly written network"
    return interval_chart(rows, title=title, x_label="times as fast, median and range")


def publish(results: list[dict[str, Any]], page: Path) -> None:
    """Writes the headline into the blocks of `PAGES`."""
    for file, block in PAGES.items():
        begin, end = f"<!-- {block}: begin -->", f"<!-- {block}: end -->"
        before, has_block, rest = file.read_text("utf-8").partition(begin)
        _, _, after = rest.partition(end)
        if not has_block:
            raise SystemExit(f"{file} has no block {begin} ... {end} for the results.")
        link = os.path.relpath(page.with_suffix(""), file.parent)
        text = [describe_machine(results[0]), headline(results), f"![Speed]({link}.svg)\n"]
        text.append(f"All tables: [{page.stem}]({link}.md).\n")
        file.write_text(f"{before}{begin}\n\n{chr(10).join(text)}\n{end}{after}", "utf-8")


if __name__ == "__main__":
    main()
