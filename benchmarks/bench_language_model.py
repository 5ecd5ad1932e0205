"""Pieces per second of one training step of a language model: loss, gradients, clipping, Adam.

    python benchmarks/bench_language_model.py
    python benchmarks/bench_language_model.py --cell gru --hidden 512 --streams 32 --steps 64

Chunks are of random pieces; no variant has dropout. The yardstick is what a tutorial writes:
`torch.nn.Embedding`, the recurrence that torch has itself, and `torch.nn.Linear`, in float32.
"""

import argparse
from collections.abc import Callable
from functools import partial

import torch
from measure import Result, add_options, per_second, prepare, report, take_turns
from torch import Tensor, nn

from seq2seq.devices import keep_freed_memory
from seq2seq.language_config import LanguageNetworkConfig
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.models.products import plain_path
from seq2seq.training.module import make_adam

RECURRENCES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
# Precision of products, and whether everything is computed the plain way.
VARIANTS = {
    "plain": (torch.float32, True),
    "float32": (torch.float32, False),
    "bfloat16": (torch.bfloat16, False),
}


class Yardstick(nn.Module):
    """The same network of torch's own modules."""

    def __init__(self, config: LanguageNetworkConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        self.recurrence = RECURRENCES[config.cell](
            config.embedding_size, config.hidden_size, config.num_layers, batch_first=True
        )
        self.vocabulary = nn.Linear(config.hidden_size, vocabulary_size)

    def loss(self, input_ids: Tensor, output_ids: Tensor) -> Tensor:
        """The mean cross-entropy of a chunk."""
        hidden, _ = self.recurrence(self.embedding(input_ids))
        scores = self.vocabulary(hidden)
        return nn.functional.cross_entropy(scores.flatten(0, 1), output_ids.flatten())


def measure(arguments: argparse.Namespace) -> Result:
    config = LanguageNetworkConfig(
        cell=arguments.cell,
        embedding_size=arguments.embedding,
        hidden_size=arguments.hidden,
        num_layers=arguments.layers,
        dropout=0.0,
    )
    shape = (arguments.streams, arguments.steps)
    ids = torch.randint(4, arguments.vocabulary, (2, *shape))
    keep_freed_memory()  # as `seq2seq train_lm` does; the yardstick has its share of it
    first = Yardstick(config, arguments.vocabulary)
    losses: dict[str, tuple[nn.Module, Callable[[], Tensor]]] = {
        "torch.nn": (first, partial(first.loss, *ids))
    }
    for name, (dtype, plain) in VARIANTS.items():
        network = LanguageNetwork(config, arguments.vocabulary)
        losses[name] = network, partial(own_loss, network, ids, dtype, plain)
    runs = {name: make_step(network, loss) for name, (network, loss) in losses.items()}
    times = take_turns(runs, arguments.rounds)
    result = Result("language_model")
    title = f"Pieces per second, {arguments.layers} x {arguments.cell} of {arguments.hidden}"
    rows = per_second(times, dict.fromkeys(times, ids[0].numel()))
    result.table(f"{title}, {shape[0]} streams of {shape[1]} steps", rows)
    return result


def own_loss(network: LanguageNetwork, ids: Tensor, dtype: torch.dtype, plain: bool) -> Tensor:
    """The mean cross-entropy of a chunk, as training has it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16), plain_path(plain):
        output, _ = network.loss(ids[0], ids[1], network.start(ids.shape[1]))
    return output.loss / ids[0].numel()


def make_step(network: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """What Lightning does at each step."""
    optimizer = make_adam(network.parameters(), 1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--cell", choices=RECURRENCES, default="lstm")
    parser.add_argument("--embedding", type=int, default=64, help="size")
    parser.add_argument("--hidden", type=int, default=256, help="size")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--vocabulary", type=int, default=850, help="pieces")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--steps", type=int, default=64, help="of a chunk")
    add_options(parser, rounds=20)
    arguments = parser.parse_args()
    prepare(arguments)
    report(measure(arguments), arguments)


if __name__ == "__main__":
    main()
