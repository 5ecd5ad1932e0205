"""Other toolkits beside this one: pieces per second in training, sentences per second of search.

    python benchmarks/peers.py --peer joeynmt=PYTHON --peer opennmt-py=PYTHON --corpus PREFIX \\
        --source_language en --target_language de --model DIR

PYTHON is the interpreter of an environment that has the peer; see toolkits.py for what they are and
where they differ. Each begins with random weights, makes the same few updates on the same pairs and
translates the same sentences, which are held out, all in the pieces of the model directory or of
tokenizers that are trained here.

Peers tell their speed themselves, without their start; ours is taken around the same work in this
process. The first interval of training only warms up, and of the others the median counts. Each
translation is by a process that has just begun, ours by a translator that has just been loaded.
Networks of few updates end their sentences badly, each in its own way, so the mean length of the
translations stands beside their speed. A peer that is missing or fails is left out with a note.
"""

import argparse
import os
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from bench_training import VARIANTS, own_step
from measure import Result, Row, add_options, per_second, prepare, report
from shapes import SHAPES
from toolkits import DEV_PAIRS, LEARNING_RATE, PEERS, Search, Toolkit, Work

from seq2seq.config import Recipe, SearchConfig
from seq2seq.data.batch import Batch, make_batch
from seq2seq.data.corpus import Pairs
from seq2seq.data.readers import read_entry
from seq2seq.data.sampler import TokenBatchSampler
from seq2seq.data.tables import Columns
from seq2seq.data.tokenizer import train_tokenizers
from seq2seq.devices import keep_freed_memory
from seq2seq.model_directory import load_model_directory, save_model_directory
from seq2seq.models.encoder_decoder import build_model
from seq2seq.training.module import make_adam
from seq2seq.translator import Translator

SHAPE_NAMES = ["tiny", "common", "large"]  # those that all toolkits have


class Own(Toolkit):
    """This toolkit, by the training step of bench_training.py and by `Translator`.

    Its time of translation has the way from text to pieces and back in it.
    """

    def __init__(self, work: Work, folder: Path, variant: str) -> None:
        super().__init__(work, folder)
        self.precision, self.plain = VARIANTS[variant]

    def train(self) -> list[float]:
        work, tokenizers = self.work, self.work.tokenizers
        keep_freed_memory()
        torch.manual_seed(work.seed)
        sizes = tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
        model = build_model(work.shape, *sizes)
        optimizer = make_adam(model.parameters(), LEARNING_RATE)
        step = partial(own_step, model, optimizer, self.precision, self.plain)
        batches = token_batches(work)
        intervals = range(work.updates // work.interval)
        speeds = [pieces_per_second(step, islice(batches, work.interval)) for _ in intervals]
        save_model_directory(self.folder, work.recipe, model.state_dict(), tokenizers)
        return speeds

    def translate(self, search: Search) -> tuple[float, float]:
        translator = Translator.load(
            self.folder, device="cpu", precision=self.precision, plain=self.plain
        )
        sentences = self.work.sentences[: search.sentences]
        settings = {"beam_size": search.beam, "batch_size": search.batch}
        started = time.perf_counter()
        found = translator.translate(sentences, with_alignment=False, **settings)
        seconds = time.perf_counter() - started
        pieces = sum(len(one.pieces) - (not one.truncated) for one in found)
        return seconds / len(sentences), pieces / len(sentences)


def token_batches(work: Work) -> Iterator[Batch]:
    """The batches of `seq2seq train`, epoch after epoch."""
    lengths = [[len(ids) for ids in side] for side in zip(*work.pairs, strict=True)]
    sampler = TokenBatchSampler(*lengths, work.batch_tokens, seed=work.seed)
    for epoch in count():
        sampler.set_epoch(epoch)
        for indices in sampler:
            yield make_batch(*zip(*(work.pairs[index] for index in indices), strict=True))


def pieces_per_second(step: Callable[[Batch], None], batches: Iterator[Batch]) -> float:
    started, pieces = time.perf_counter(), 0
    for batch in batches:
        step(batch)
        pieces += batch.num_target_pieces
    return pieces / (time.perf_counter() - started)


Found = dict[str, Any]
"""Seconds per target piece of training; by title of a search, seconds and length per sentence."""


def measure(
    work: Work, folder: Path, pythons: dict[str, str], arguments: argparse.Namespace
) -> Result:
    result = Result("peers")
    toolkits: dict[str, Callable[[Work, Path], Toolkit]] = {
        f"seq2seq {variant}": partial(Own, variant=variant) for variant in arguments.variants
    }
    toolkits |= {name: partial(PEERS[name], python=python) for name, python in pythons.items()}
    searches = [
        Search(beam, batch, min(sentences, len(work.sentences)))
        for batch, sentences in ((arguments.batch, arguments.sentences), (1, arguments.singly))
        for beam in arguments.beam
    ]
    found: dict[str, list[Found]] = defaultdict(list)
    for number in range(arguments.rounds):
        for name in list(toolkits):
            own_folder = folder / f"{number} {name}"
            own_folder.mkdir()
            try:
                found[name].append(do(toolkits[name](work, own_folder), searches))
            except (SystemExit, OSError) as error:
                del toolkits[name], found[name]
                result.notes.append(f"{name} is missing: {last_line(error)}")
    add_tables(result, found, searches, work)
    return result


def do(toolkit: Toolkit, searches: Sequence[Search]) -> Found:
    speeds = toolkit.train()
    steady = statistics.median(speeds[1:] or speeds)
    return {"training": 1 / steady, **{s.title: toolkit.translate(s) for s in searches}}


def add_tables(
    result: Result, found: dict[str, list[Found]], searches: Sequence[Search], work: Work
) -> None:
    """A table for training and one for each search."""
    once = dict.fromkeys(found, 1)
    times = {name: [one["training"] for one in rounds] for name, rounds in found.items()}
    title = f"Target pieces per second of training, batches of {work.batch_tokens} pieces"
    result.table(title, per_second(times, once))
    for search in searches:
        times = {name: [one[search.title][0] for one in rounds] for name, rounds in found.items()}
        rows: list[Row] = []
        for row in per_second(times, once):
            lengths = [one[search.title][1] for one in found[row["variant"]]]
            rows.append({**row, "pieces per sentence": statistics.mean(lengths)})
        result.table(search.title, rows)


def last_line(error: BaseException) -> str:
    """The end of an error, where Python and the peers say what is wrong; of paths the last part."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"(/[\w.~+-]+)+/", "", lines[-1]) if lines else type(error).__name__


def read_work(arguments: argparse.Namespace) -> Work:
    """Reads the corpus, and reads or trains the tokenizers."""
    known = load_model_directory(arguments.model) if arguments.model else None
    recipe = Recipe() if known is None else known.recipe
    if known is None and not (arguments.source_language and arguments.target_language):
        raise SystemExit("Without --model, --source_language and --target_language are needed.")
    source = arguments.source_language or recipe.source_language
    target = arguments.target_language or recipe.target_language
    sources, targets = read_pairs(arguments.corpus, (source, target), arguments.pairs)
    num_learnt = len(sources) - arguments.sentences
    if num_learnt < DEV_PAIRS:
        raise SystemExit(
            f"{arguments.corpus} has {len(sources)} pairs, which must be at least {DEV_PAIRS} more "
            f"than the {arguments.sentences} that are held out."
        )
    learnt = Pairs(sources[:num_learnt], targets[:num_learnt])
    if known is None:
        tokenizers = train_tokenizers(learnt, recipe.tokenizer, seed=arguments.seed)
    else:
        tokenizers = known.tokenizers
    source_ids = tokenizers.source.encode_batch(learnt.sources)
    target_ids = tokenizers.target.encode_batch(learnt.targets)
    recipe = replace(recipe, source_language=source, target_language=target, search=SearchConfig())
    return Work(
        recipe=replace(recipe, model=SHAPES[arguments.shape]),
        tokenizers=tokenizers,
        pairs=list(zip(source_ids, target_ids, strict=True)),
        sentences=sources[num_learnt:],
        updates=arguments.updates,
        batch_tokens=arguments.batch_tokens,
        threads=arguments.threads,
        seed=arguments.seed,
    )


def read_pairs(corpus: Path, languages: tuple[str, str], most: int) -> tuple[list[str], list[str]]:
    """The first pairs without a blank side."""
    chunks = read_entry(str(corpus), languages, Columns(*languages), field="--corpus")
    read = (pair for c in chunks for pair in zip(c.sources, c.targets, strict=True))
    filled = (pair for pair in read if all(text.strip() for text in pair))
    pairs = list(islice(filled, most))
    return [source for source, _ in pairs], [target for _, target in pairs]


def named_python(text: str) -> tuple[str, str]:
    """The value of `--peer`."""
    name, _, python = text.partition("=")
    if name not in PEERS or not python:
        raise argparse.ArgumentTypeError(f"must be {'|'.join(PEERS)}=PYTHON, but is {text!r}.")
    return name, python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "--peer", type=named_python, action="append", default=[], metavar="NAME=PYTHON"
    )
    parser.add_argument(
        "--corpus", type=Path, required=True, metavar="PREFIX", help="as `corpus.train`"
    )
    parser.add_argument("--source_language", help="the model's if not given")
    parser.add_argument("--target_language", help="the model's if not given")
    parser.add_argument("--model", type=Path, metavar="DIR", help="whose pieces are taken")
    parser.add_argument("--pairs", type=int, default=10_000, help="of the corpus, at most")
    parser.add_argument("--sentences", type=int, default=256, help="of these, held out")
    parser.add_argument("--singly", type=int, default=32, help="sentences, one at a time")
    parser.add_argument("--batch", type=int, default=64, help="sentences translated together")
    parser.add_argument("--beam", type=int, nargs="+", default=[5, 1])
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--batch_tokens", type=int, default=2000, help="padded, in training")
    parser.add_argument("--shape", choices=SHAPE_NAMES, default="common", help="of all networks")
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=["float32", "bfloat16"], help="of ours"
    )
    add_options(parser, rounds=1, warm_up=False)
    arguments = parser.parse_args()
    prepare(arguments)
    pythons = dict(arguments.peer)
    arguments.peer = " ".join(pythons)  # what a result tells of them
    # Checkpoints of peers are pickles, which torch does not open since 2.6 unless it is told to.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        work = read_work(arguments)
        report(measure(work, Path(folder), pythons, arguments), arguments)


if __name__ == "__main__":
    main()
