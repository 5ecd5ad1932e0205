"""Draws several runs over one another, as an SVG file for a page that is no report.

    python benchmarks/plot_runs.py curves runs/multi30k-de-en runs/multi30k-de-en-fixed
    python benchmarks/plot_runs.py lengths runs/multi30k-de-en runs/multi30k-de-en-fixed

`curves` is the development BLEU over the training steps, `lengths` BLEU of the test set by length
of the source.
"""

import argparse
import re
from importlib.resources import files
from pathlib import Path

from seq2seq.evaluation.charts import Series, line_chart
from seq2seq.evaluation.comparison import length_chart
from seq2seq.evaluation.run_record import RunRecord
from seq2seq.report import read_run

MARGIN = 16


def curves(runs: list[RunRecord]) -> str:
    return line_chart(
        [Series(run.name, run.curves["dev_bleu"]) for run in runs],
        title="Development score while training",
        x_label="optimiser step",
        y_label="BLEU, greedy search",
    )


def lengths(runs: list[RunRecord]) -> str:
    return length_chart(runs, [run.name for run in runs], runs[0].first_set)


FIGURES = {"curves": curves, "lengths": lengths}


def standalone(chart: str) -> str:
    """The chart with the colours and fonts that a report gives it, on a page of its own."""
    style = (files("seq2seq.evaluation") / "templates" / "report.css").read_text("utf-8")
    match = re.fullmatch(r'<svg [^>]*viewBox="0 0 (\S+) (\S+)"[^>]*>(.*)</svg>', chart, re.DOTALL)
    if match is None:
        raise SystemExit("The runs have nothing to draw.")
    width, height = (float(size) + 2 * MARGIN for size in match.groups()[:2])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{1.5 * width:g}" height="{1.5 * height:g}"'
        f' viewBox="{-MARGIN} {-MARGIN} {width:g} {height:g}">\n'
        f"<style>{style}\nsvg {{ font-family: system-ui, sans-serif; }}</style>\n"
        f'<rect x="{-MARGIN}" y="{-MARGIN}" width="100%" height="100%" fill="var(--page)"/>\n'
        f'<g class="chart">{match[3]}</g>\n</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("figure", choices=FIGURES)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    output = arguments.output or Path(f"{arguments.figure}.svg")
    runs = [read_run(folder) for folder in arguments.runs]
    output.write_text(standalone(FIGURES[arguments.figure](runs)), "utf-8")
    print(output)


if __name__ == "__main__":
    main()
