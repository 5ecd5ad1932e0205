"""Seconds from a command to its answer, cold: what a process does before it translates.

    python benchmarks/bench_startup.py --model DIR --source FILE

What nobody can avoid is the import of torch and the reading of the weights; `translate` of one line
is compared with the two together. Every command is a process of its own, and they take turns.
"""

import argparse
import statistics
import sys
from functools import partial

from measure import Result, Row, add_options, take_turns
from processes import SEQ2SEQ, run
from shapes import Text, add_text_options, run_on_text

READ = "import sys, torch; from safetensors.torch import load_file; load_file(sys.argv[1])"
BASELINE = "import torch, read the weights"


def commands(text: Text) -> dict[str, list[str]]:
    weights = str(text.model / "model.safetensors")
    return {
        BASELINE: [sys.executable, "-c", READ, weights],
        "import torch": [sys.executable, "-c", "import torch"],
        "seq2seq translate, one line": [*SEQ2SEQ, "translate", str(text.model)],
        "seq2seq --help": [*SEQ2SEQ, "--help"],
    }


def measure(text: Text, arguments: argparse.Namespace) -> Result:
    line = f"{text.sources[0]}\n"
    runs = {
        name: partial(run, command, threads=arguments.threads, lines=line)
        for name, command in commands(text).items()
    }
    times = take_turns(runs, arguments.rounds)
    result = Result("startup")
    result.table(f"Seconds of a process, {text.name}", [_row(name, times) for name in times])
    return result


def _row(name: str, times: dict[str, list[float]]) -> Row:
    seconds = times[name]
    ratios = sorted(own / first for own, first in zip(seconds, times[BASELINE], strict=True))
    return {
        "command": name,
        "seconds": statistics.median(seconds),
        "lowest": min(seconds),
        "highest": max(seconds),
        "time of the first": statistics.median(ratios),
        "x lowest": ratios[0],
        "x highest": ratios[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_text_options(parser, sentences=1)
    add_options(parser)
    run_on_text(measure, parser)


if __name__ == "__main__":
    main()
