"""One piece of work in a process of its own, for `bench_memory.py` and `bench_scaling.py`.

    python benchmarks/task.py '{"kind": "training", "variant": "float32", "length": 16}'

prints the target pieces of one run and the median of its seconds, as JSON.
"""

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from measure import take_turns
from processes import Finished, run
from shapes import SHAPES, VOCABULARY_SIZE, random_sentences


@dataclass(frozen=True)
class Task:
    """What is done: of random pieces, unless decoding has a file of sentences."""

    kind: str
    """training: steps on one batch; decoding: translation of all sentences."""
    variant: str
    """See the variants of bench_training.py or bench_decoding.py; yardstick."""
    shape: str = "common"
    model: str = ""
    """A model directory for decoding."""
    source: str | None = None
    """A file of sentences for decoding, in place of random ones."""
    vocabulary: int = VOCABULARY_SIZE
    length: int = 16
    """Pieces of each random sentence, on both sides."""
    sentences: int = 128
    """Of the batch, or of what is decoded."""
    beam: int = 5
    shortlist: int = 50
    threads: int = 1
    rounds: int = 3
    """After one that warms up."""

    def in_process(self) -> tuple[float, float]:
        """Seconds per target piece, and the most anonymous memory in megabytes."""
        finished = self.watched()
        found = json.loads(finished.output)
        return found["seconds"] / found["pieces"], finished.peak_megabytes

    def watched(self) -> Finished:
        """Does the work in a process of its own."""
        script = str(Path(__file__).resolve())
        return run([sys.executable, script, json.dumps(asdict(self))], threads=self.threads)


def prepare_training(task: Task) -> tuple[Callable[[], object], int]:
    from bench_training import make_step, random_batch

    step = make_step(task.variant, SHAPES[task.shape], task.vocabulary)
    batch = random_batch(task.sentences, task.length, task.vocabulary)
    return lambda: step(batch), batch.num_target_pieces


def prepare_decoding(task: Task) -> tuple[Callable[[], object], int]:
    if task.source:
        sources = Path(task.source).read_text("utf-8").splitlines()[: task.sentences]
    else:
        sources = random_sentences(task.sentences, task.length - 1, 1, task.vocabulary)
    if task.variant == "yardstick":  # which loads less than what follows
        import yardstick

        plainest = yardstick.load(task.model)
        return lambda: plainest.translate(sources, beam_size=task.beam), task.length * len(sources)
    from bench_decoding import VARIANTS

    from seq2seq.translator import Translator

    translator = Translator.load(task.model, device="cpu", **VARIANTS[task.variant])
    search = {"beam_size": task.beam}
    if "shortlist" in task.variant:
        search["shortlist"] = task.shortlist

    def translate() -> None:
        translator.translate(sources, with_alignment=False, **search)

    return translate, task.length * len(sources)


KINDS = {"training": prepare_training, "decoding": prepare_decoding}


def main() -> None:
    task = Task(**json.loads(sys.argv[1]))
    torch.set_num_threads(task.threads)
    torch.manual_seed(1)
    work, pieces = KINDS[task.kind](task)
    (seconds,) = take_turns({"work": work}, task.rounds).values()
    print(json.dumps({"pieces": pieces, "seconds": statistics.median(seconds)}))


if __name__ == "__main__":
    main()
