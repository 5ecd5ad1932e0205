"""How cost grows: time per target piece and peak anonymous memory, one size changed at a time.

    python benchmarks/bench_scaling.py
    python benchmarks/bench_scaling.py --axes length beam --corpora 30000 300000

Sentence length (training keeps the pieces of a batch), vocabulary, beam, threads: each point is a
process of its own with random weights. Corpus size: `seq2seq train` on synthetic pairs for an
instant, from the command to the model directory, with what it does once per corpus: reading,
filtering, the tokenizer, encoding, planning of batches.
"""

import argparse
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from measure import Result, add_options, prepare, report
from processes import SEQ2SEQ, run
from shapes import SHAPES, make_model_directory
from task import Task

VARIANTS = ["yardstick", "float32", "bfloat16"]
PIECES = 2048  # of a training batch
CORPUS_WORDS = 20_000

TrySize = Callable[[Task, int], Task]
"""The task with another size."""


def _length(task: Task, length: int) -> Task:
    if task.kind == "training":
        return replace(task, length=length, sentences=max(1, PIECES // length))
    return replace(task, length=length)


AXES: dict[str, tuple[TrySize, list[str], str]] = {
    "length": (_length, ["training", "decoding"], "pieces of a sentence"),
    "vocabulary": (
        lambda task, size: replace(task, vocabulary=size),
        ["training", "decoding"],
        "pieces of the vocabulary",
    ),
    "beam": (lambda task, size: replace(task, beam=size), ["decoding"], "beam size"),
    "threads": (
        lambda task, size: replace(task, threads=size),
        ["training", "decoding"],
        "threads",
    ),
}
"""How a task takes a size, which kinds of work it concerns, and what it is called."""


def measure(arguments: argparse.Namespace) -> Result:
    result = Result("scaling")
    for axis in arguments.axes:
        if axis == "corpus":
            measure_corpora(result, arguments)
            continue
        resize, kinds, label = AXES[axis]
        sizes = getattr(arguments, axis)
        for kind in kinds:
            task = Task(
                kind,
                "",
                arguments.shape,
                sentences=arguments.sentences,
                threads=arguments.most_threads,
                rounds=arguments.rounds,
            )
            tasks = {size: resize(task, size) for size in sizes}
            measure_axis(result, tasks, f"{kind}, {arguments.shape}", label)
    return result


def measure_axis(result: Result, tasks: dict[int, Task], title: str, label: str) -> None:
    """One table and two charts."""
    times: dict[str, list[list[float]]] = {variant: [] for variant in VARIANTS}
    memory: dict[str, list[list[float]]] = {variant: [] for variant in VARIANTS}
    rows = []
    for size, task in tasks.items():
        for variant, seconds, megabytes in measure_point(task):
            times[variant].append([size, 1e6 * seconds])
            memory[variant].append([size, megabytes])
            rows.append(
                {label: size, "variant": variant, "µs per piece": 1e6 * seconds, "MB": megabytes}
            )
    result.table(f"{title}: {label}", rows)
    result.chart(f"Time, {title}", label, "µs per target piece", times)
    result.chart(f"Memory, {title}", label, "peak anonymous memory, MB", memory)


def measure_point(task: Task) -> Iterator[tuple[str, float, float]]:
    """Each variant with its seconds per piece and its megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        if task.kind == "decoding":
            make_model_directory(
                Path(folder),
                SHAPES[task.shape],
                source_length=task.length,
                target_length=task.length,
                vocabulary_size=task.vocabulary,
            )
        for variant in VARIANTS:
            yield variant, *replace(task, variant=variant, model=folder).in_process()


def measure_corpora(result: Result, arguments: argparse.Namespace) -> None:
    rows = []
    for pairs in arguments.corpora:
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(Path(folder), pairs, arguments.seed)
            command = [*SEQ2SEQ, "train", *training_options(Path(folder), arguments.most_threads)]
            finished = run(command, threads=arguments.most_threads)
        rows.append(
            {
                "pairs": pairs,
                "seconds": finished.seconds,
                "µs per pair": 1e6 * finished.seconds / pairs,
                "MB": finished.peak_megabytes,
                "MB of processes beside it": finished.children_megabytes,
            }
        )
    result.table("Corpus size: from the command to a model directory, hardly any training", rows)
    result.chart(
        "Memory of a training run",
        "synthetic pairs",
        "peak anonymous memory, MB",
        {"seq2seq train": [[row["pairs"], row["MB"]] for row in rows]},
    )


def write_corpus(folder: Path, pairs: int, seed: int) -> None:
    """Sentences of 12 words, some frequent and most rare; few of them are to develop and test."""
    draw = random.Random(seed)
    for split, count in ("train", pairs), ("dev", 20), ("test", 20):
        for language in ("aa", "bb"):
            words = (f"w{int(CORPUS_WORDS ** draw.random())}" for _ in range(12 * count))
            lines = (" ".join(sentence) for sentence in zip(*[words] * 12, strict=True))
            with open(folder / f"{split}.{language}", "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)


def training_options(folder: Path, threads: int) -> list[str]:
    """Those of a run that stops after one step or two."""
    splits = ("train", "dev", "test")
    options = {f"corpus.{split}": folder / split for split in splits} | {
        "source_language": "aa",
        "target_language": "bb",
        "name": "scaling",
        "tokenizer.vocabulary_size": 500,
        "model.embedding_size": 16,
        "model.hidden_size": 16,
        "model.attention_size": 16,
        "training.max_minutes": 0.001,
        "training.threads": threads,
    }
    return ["--runs_dir", str(folder)] + [
        part for name, value in options.items() for part in (f"--{name}", str(value))
    ]


def main() -> None:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--axes", nargs="+", choices=[*AXES, "corpus"], default=[*AXES, "corpus"])
    parser.add_argument("--shape", choices=SHAPES, default="common")
    parser.add_argument("--sentences", type=int, default=128, help="that are decoded")
    sizes = {
        "length": [16, 32, 64, 128],
        "vocabulary": [2000, 8000, 32_000],
        "beam": [1, 2, 5, 10],
        "corpora": [30_000, 300_000],
    }
    for name, usual in sizes.items():
        parser.add_argument(f"--{name}", type=int, nargs="+", default=usual)
    add_options(parser, rounds=2)
    arguments = parser.parse_args()
    arguments.most_threads = arguments.threads
    prepare(arguments)
    arguments.threads = sorted({1, 2, 4, arguments.threads} & set(range(1, cores + 1)))
    report(measure(arguments), arguments)


if __name__ == "__main__":
    main()
