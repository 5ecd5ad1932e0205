"""The most anonymous memory that a process needs to train or to translate.

    python benchmarks/bench_memory.py --model DIR --source FILE

Each variant is a process of its own, looked at every few milliseconds. Libraries and other mapped
files do not count. The first row has what is there before any work: torch, and nothing else.
"""

import argparse
import sys

import bench_decoding
import bench_training
from measure import Result, Row, add_options
from processes import run
from shapes import Text, add_text_options, run_on_text
from task import Task


def measure(text: Text, arguments: argparse.Namespace) -> Result:
    result = Result("memory")
    threads = arguments.threads
    start = run([sys.executable, "-c", "import torch"], threads=threads).peak_megabytes
    rows: list[Row] = [{"work": "import torch", "peak, MB": start}]
    for variant in ["yardstick", *bench_training.VARIANTS]:
        task = Task(
            "training", variant, arguments.shape, length=arguments.length, threads=threads, rounds=2
        )
        rows.append(_row(task))
    text_of_model = bench_decoding.load_variants(text, arguments)
    result.notes += text_of_model[1]
    for variant in ["yardstick", *text_of_model[0]]:
        task = Task(
            "decoding",
            variant,
            model=str(text.model),
            source=str(arguments.source) if arguments.source else None,
            length=arguments.length,
            sentences=arguments.sentences,
            shortlist=arguments.shortlist,
            threads=threads,
            rounds=1,
        )
        rows.append(_row(task))
    title = f"training: {arguments.shape}, 128 pairs of {arguments.length} pieces"
    result.table(f"Peak anonymous memory; {title}; decoding: {text.name}, beam 5", rows)
    return result


def _row(task: Task) -> Row:
    _, megabytes = task.in_process()
    return {"work": f"{task.kind}, {task.variant}", "peak, MB": megabytes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_text_options(parser)
    bench_decoding.add_variant_options(parser, list(bench_decoding.VARIANTS), beam=[5])
    add_options(parser)
    run_on_text(measure, parser)


if __name__ == "__main__":
    main()
