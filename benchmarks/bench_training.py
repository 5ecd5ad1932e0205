"""Target pieces per second of one training step: loss, gradients, clipping, Adam.

    python benchmarks/bench_training.py
    python benchmarks/bench_training.py --shape large --length 100 --batch 32
    python benchmarks/bench_training.py --model DIR --source FILE --target FILE

Batches are of random pieces, all of one length, or of the sentences of two files, sorted by length
and taken from the whole range of lengths. No variant has dropout.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import yardstick
from measure import Result, add_options, per_second, prepare, report, take_turns
from shapes import SHAPES, VOCABULARY_SIZE, random_ids
from torch import nn

from seq2seq.config import ModelConfig
from seq2seq.data.batch import Batch, make_batch
from seq2seq.devices import keep_freed_memory
from seq2seq.model_directory import load_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model
from seq2seq.models.products import plain_path
from seq2seq.training.module import make_adam

# Precision of products, and whether everything is computed the plain way.
VARIANTS = {
    "plain": ("float32", True),
    "float32": ("float32", False),
    "bfloat16": ("bfloat16", False),
}
"""Of the toolkit's own training; the yardstick always comes first."""
YARDSTICKS = ["yardstick", "yardstick compiled"]
"""The second by `torch.compile`, if asked for, since not every machine has a compiler."""


def measure(batches: list[Batch], shape: ModelConfig, arguments: argparse.Namespace) -> Result:
    batches = [batch.to(arguments.device) for batch in batches]
    runs = {
        name: partial(
            _train, make_step(name, shape, arguments.vocabulary, arguments.device), batches
        )
        for name in ["yardstick", *arguments.variants]
    }
    times = take_turns(runs, arguments.rounds)
    pieces = sum(batch.num_target_pieces for batch in batches)
    result = Result("training")
    sentences, length = batches[0].target_output_ids.shape
    title = f"Target pieces per second, {arguments.shape}, batches of {sentences}"
    text = arguments.source.name if arguments.source else f"pairs of {length} pieces"
    result.table(f"{title}, {text}", per_second(times, dict.fromkeys(times, pieces)))
    return result


def make_step(
    variant: str, shape: ModelConfig, vocabulary_size: int, device: str = "cpu"
) -> Callable[[Batch], None]:
    """The training step of a variant, of a network that begins with the seed's weights."""
    model = build_model(shape, vocabulary_size, vocabulary_size)
    if variant in YARDSTICKS:
        first = yardstick.Yardstick.from_model(model, shape).to(device)
        if variant == "yardstick compiled":
            first.compile()
        return partial(yardstick_step, first, torch.optim.Adam(first.parameters()))
    keep_freed_memory()  # as `seq2seq train` does; a yardstick beside it has its share of it
    model = model.to(device)
    return partial(own_step, model, make_adam(model.parameters(), 1e-3), *VARIANTS[variant])


def yardstick_step(
    model: yardstick.Yardstick, optimizer: torch.optim.Optimizer, batch: Batch
) -> None:
    yardstick.train_step(
        model,
        optimizer,
        batch.source_ids,
        batch.source_lengths,
        batch.target_input_ids,
        batch.target_output_ids,
    )


def own_step(
    model: EncoderDecoder,
    optimizer: torch.optim.Optimizer,
    precision: str,
    plain: bool,
    batch: Batch,
) -> None:
    """What `training.module` and Lightning do at each step."""
    low = precision == "bfloat16"
    kind = batch.source_ids.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=low), plain_path(plain):
        output = model.loss(
            batch.source_ids,
            batch.source_lengths,
            batch.target_input_ids,
            batch.target_output_ids,
            label_smoothing=0.1,
        )
        loss = output.loss / batch.num_target_pieces
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def random_batch(sentences: int, length: int, vocabulary_size: int) -> Batch:
    """Sources and targets of `length` pieces, </s> counted."""
    source, target = (
        random_ids((sentences, length - 1), vocabulary_size).tolist() for _ in range(2)
    )
    return make_batch(source, target)


def real_batches(
    model: Path, source: Path, target: Path, sentences: int, count: int
) -> tuple[list[Batch], int]:
    """Batches of sentences of like length, spread over all lengths, and the vocabulary size."""
    tokenizers = load_model_directory(model).tokenizers
    pairs = [
        (tokenizers.source.encode(s), tokenizers.target.encode(t))
        for s, t in zip(*(f.read_text("utf-8").splitlines() for f in (source, target)), strict=True)
    ]
    pairs.sort(key=lambda pair: max(map(len, pair)))
    starts = range(0, max(len(pairs) - sentences, 0) + 1, sentences)
    chosen = [starts[index * len(starts) // count] for index in range(min(count, len(starts)))]
    batches = [make_batch(*zip(*pairs[start : start + sentences], strict=True)) for start in chosen]
    return batches, max(tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size)


def _train(step: Callable[[Batch], None], batches: list[Batch]) -> None:
    for batch in batches:
        step(batch)


def add_shape_options(parser: argparse.ArgumentParser) -> None:
    """Sizes, which `limit.py` has, too."""
    parser.add_argument("--shape", choices=SHAPES, default="common")
    parser.add_argument("--length", type=int, default=16, help="of random pairs, </s> counted")
    parser.add_argument("--batch", type=int, default=128, help="sentences")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY_SIZE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_shape_options(parser)
    parser.add_argument(
        "--variants", nargs="+", choices=[*VARIANTS, YARDSTICKS[1]], default=list(VARIANTS)
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--model", type=Path, metavar="DIR", help="whose pieces real text has")
    parser.add_argument("--source", type=Path, metavar="FILE", help="sentences to train on")
    parser.add_argument("--target", type=Path, metavar="FILE", help="their translations")
    parser.add_argument("--batches", type=int, default=8, help="of real text")
    add_options(parser)
    arguments = parser.parse_args()
    prepare(arguments)
    files = (arguments.model, arguments.source, arguments.target)
    if any(files) and not all(files):
        raise SystemExit("--model, --source and --target belong together.")
    if all(files):
        batches, arguments.vocabulary = real_batches(*files, arguments.batch, arguments.batches)
    else:
        batches = [random_batch(arguments.batch, arguments.length, arguments.vocabulary)]
    report(measure(batches, SHAPES[arguments.shape], arguments), arguments)


if __name__ == "__main__":
    main()
