"""Draws the development BLEU of several runs over the training steps, from their logs.

python benchmarks/plot_runs.py runs/multi30k-de-en runs/multi30k-de-en-fixed --output curves.svg
"""

import argparse
import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

MARKERS = "os^Dv*"  # curves differ in shape too, for those who do not see the colours


def read_scores(run: Path) -> tuple[list[int], list[float]]:
    """Steps and development BLEU of a run."""
    with open(run / "logs" / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["dev_bleu"]]
    return [int(row["step"]) for row in rows], [float(row["dev_bleu"]) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=Path("curves.svg"))
    arguments = parser.parse_args()
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for index, run in enumerate(arguments.runs):
        steps, scores = read_scores(run)
        axes.plot(steps, scores, marker=MARKERS[index % len(MARKERS)], label=run.name)
    axes.set_title("Development BLEU while training (greedy search)")
    axes.set_xlabel("optimiser steps")
    axes.set_ylabel("BLEU (sacreBLEU)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(title="run", loc="lower right")
    figure.savefig(
        arguments.output, metadata={"Date": None} if arguments.output.suffix == ".svg" else None
    )


if __name__ == "__main__":
    main()
