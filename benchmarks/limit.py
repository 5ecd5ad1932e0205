"""The limit: products of matrices that the network cannot avoid, timed alone.

    python benchmarks/limit.py
    python benchmarks/limit.py --shape large --length 100 --batch 32

Every product of the network's equations by the sizes of its matrices and how often it is formed,
each by the fastest routine that this machine has for it: torch's own (MKL), oneDNN's, and for
decoding, where weights stay the same, oneDNN's with packed weights. What shares its input is one
product, as recurrence and attention's query; weight gradients of a loop are one product; sentences
never leave a batch early. Between the products nothing happens: no attention, no cells, no softmax.
Attention's products with the encoder outputs are left out, since they move more than they multiply.

Then the share of the limit that training and decoding reach: the time of the products alone divided
by the time that the whole takes, measured in the same rounds.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from bench_decoding import load_variants, translations
from bench_training import add_shape_options, make_step, random_batch
from measure import Result, Row, add_options, prepare, report, take_turns
from shapes import SHAPES, Text, make_model_directory, random_sentences
from torch import Tensor
from torch.nn import functional

from seq2seq.config import ModelConfig
from seq2seq.models.cells import CELLS

MIN_SECONDS = 0.003  # a product is repeated until the clock can tell its time


class Product(NamedTuple):
    """`[rows, inputs] x [inputs, outputs]`, so many `times`."""

    name: str
    rows: int
    inputs: int
    outputs: int
    times: int = 1

    @property
    def gflop(self) -> float:
        return 2e-9 * self.rows * self.inputs * self.outputs * self.times


def encoder_products(config: ModelConfig, batch: int, length: int) -> Iterator[Product]:
    hidden, gates = config.hidden_size, CELLS[config.cell].num_gates
    directions = 2 if config.bidirectional else 1
    size = hidden // directions
    for layer in range(config.encoder_layers):
        inputs = config.embedding_size if layer == 0 else hidden
        yield Product("encoder, inputs", batch * length, inputs, directions * gates * size)
        yield Product("encoder, recurrent", batch, size, gates * size, directions * length)
    states = CELLS[config.cell].num_states
    yield Product("bridge", batch, hidden, hidden, states * config.decoder_layers)
    if config.attention != "none":
        yield Product("attention, keys", batch * length, hidden, config.attention_size)


def decoder_products(
    config: ModelConfig, rows: int, steps: int, vocabulary_size: int, *, in_loop: bool
) -> Iterator[Product]:
    """Those of all target steps; all but recurrence and context leave the loop in training."""
    embedding, hidden = config.embedding_size, config.hidden_size
    gates = CELLS[config.cell].num_gates * hidden
    query = config.attention_size if config.attention != "none" else 0
    readout = embedding if config.tie_embeddings else hidden

    def at_once(name: str, inputs: int, outputs: int) -> Product:
        if in_loop:
            return Product(name, rows, inputs, outputs, steps)
        return Product(name, rows * steps, inputs, outputs)

    if in_loop:
        yield Product("decoder, inputs", rows, embedding + hidden, gates, steps)
    else:
        yield Product("decoder, embedding", rows * steps, embedding, gates)
        yield Product("decoder, context", rows, hidden, gates, steps)
    yield Product("decoder, recurrent and query", rows, hidden, gates + query, steps)
    for _ in range(config.decoder_layers - 1):
        yield at_once("upper layers, inputs", hidden, gates)
        yield Product("upper layers, recurrent", rows, hidden, gates, steps)
    yield at_once("readout", 2 * hidden + embedding, readout)
    yield at_once("vocabulary", readout, vocabulary_size)


def training_products(
    config: ModelConfig, batch: int, length: int, vocabulary_size: int
) -> list[Product]:
    """Those of one training step: forward, gradients of inputs, gradients of weights."""
    forward = [
        *encoder_products(config, batch, length),
        *decoder_products(config, batch, length, vocabulary_size, in_loop=False),
    ]
    backward = [
        part
        for name, rows, inputs, outputs, times in forward
        for part in (
            Product(f"{name}: input gradient", rows, outputs, inputs, times),
            Product(f"{name}: weight gradient", outputs, rows * times, inputs),
        )
    ]
    return forward + backward


def decoding_products(
    config: ModelConfig, batch: int, length: int, vocabulary_size: int, beam_size: int
) -> list[Product]:
    """Those of the translation of one batch into as many pieces as it has."""
    rows = batch * beam_size
    return [
        *encoder_products(config, batch, length),
        *decoder_products(config, rows, length, vocabulary_size, in_loop=True),
    ]


Routine = Callable[[], Tensor]


def routines(product: Product, precision: str, *, weights_stay: bool) -> dict[str, Routine]:
    """The product by every routine that is there; what is missing on this machine is left out."""
    makers = ROUTINES[precision] + (PACKED_ROUTINES[precision] if weights_stay else [])
    found = {}
    for make in makers:
        try:
            routine = make(product)
            routine()
        except (AttributeError, RuntimeError):  # what torch says of operators that it lacks
            continue
        found[make.__name__.removeprefix("_")] = routine
    return found


def _operands(product: Product, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Inputs [rows, inputs] and weights [outputs, inputs]."""
    inputs = torch.rand(product.rows, product.inputs) - 0.5
    weight = torch.rand(product.outputs, product.inputs) - 0.5
    return inputs.to(dtype), weight.to(dtype)


def _torch(product: Product) -> Routine:
    return partial(functional.linear, *_operands(product))


def _torch_bfloat16(product: Product) -> Routine:
    return partial(functional.linear, *_operands(product, torch.bfloat16))


def _onednn(product: Product) -> Routine:
    multiply = torch.ops.mkldnn._linear_pointwise
    return partial(multiply, *_operands(product), None, "none", [], "")


def _onednn_packed(product: Product, dtype: torch.dtype = torch.float32) -> Routine:
    inputs, weight = _operands(product, dtype)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, product.rows)
    return partial(torch.ops.mkldnn._linear_pointwise, inputs, packed, None, "none", [], "")


def _onednn_packed_bfloat16(product: Product) -> Routine:
    return _onednn_packed(product, torch.bfloat16)


def _onednn_int8(product: Product) -> Routine:
    rows, columns = product.rows, product.inputs
    # Unsigned inputs: for signed ones oneDNN has nothing but a reference that takes minutes.
    inputs = torch.randint(0, 256, (rows, columns), dtype=torch.uint8)
    weight = torch.randint(-128, 128, (product.outputs, columns), dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, [rows, columns])
    scales, zeros = torch.ones(product.outputs), torch.zeros(product.outputs, dtype=torch.int32)
    multiply = torch.ops.onednn.qlinear_pointwise
    return partial(
        multiply,
        inputs,
        1.0,
        128,
        packed,
        scales,
        zeros,
        None,
        1.0,
        0,
        torch.float32,
        "none",
        [],
        "",
    )


ROUTINES: dict[str, list[Callable[[Product], Routine]]] = {
    "float32": [_torch, _onednn],
    "bfloat16": [_torch_bfloat16],
    "int8": [],
}
PACKED_ROUTINES: dict[str, list[Callable[[Product], Routine]]] = {
    "float32": [_onednn_packed],
    "bfloat16": [_onednn_packed_bfloat16],
    "int8": [_onednn_int8],
}


class Limit:
    """Products of a kind of work in one precision, each with the fastest routine for it.

    Args:
        weights_stay: Weights may be packed beforehand, which is not timed.
    """

    def __init__(self, products: list[Product], precision: str, *, weights_stay: bool) -> None:
        self.rows: list[Row] = []
        self.gflop = sum(product.gflop for product in products)
        self._routines: list[tuple[Routine, int]] = []
        for product in products:
            found = routines(product, precision, weights_stay=weights_stay)
            seconds = {name: time_alone(routine) for name, routine in found.items()}
            best = min(seconds, key=seconds.__getitem__)
            self._routines.append((found[best], product.times))
            self.rows.append(
                {
                    "product": product.name,
                    "sizes": f"{product.rows} x {product.inputs} x {product.outputs}",
                    "times": product.times,
                    "GFLOP": product.gflop,
                    "ms": 1000 * product.times * seconds[best],
                    "GFLOP/s": product.gflop / product.times / seconds[best],
                    "routine": best,
                }
            )

    def __call__(self) -> None:
        """Forms all products, as often as the network does."""
        for routine, count in self._routines:
            for _ in range(count):
                routine()


def time_alone(routine: Routine) -> float:
    """Seconds of one product."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < MIN_SECONDS:
        started = time.perf_counter()
        routine()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def shares(
    limits: dict[str, Limit], whole: Mapping[str, Callable[[], object]], rounds: int
) -> list[Row]:
    """Times of the products and of the whole, taken in turn, by precision."""
    runs: dict[str, Callable[[], object]] = {}
    for precision, limit in limits.items():
        runs |= {f"products {precision}": limit, precision: whole[precision]}
    times = take_turns(runs, rounds)
    rows = []
    for precision, limit in limits.items():
        alone, all_ = times[f"products {precision}"], times[precision]
        ratios = sorted(a / b for a, b in zip(alone, all_, strict=True))
        rows.append(
            {
                "precision": precision,
                "GFLOP": limit.gflop,
                "products alone, ms": 1000 * statistics.median(alone),
                "the whole, ms": 1000 * statistics.median(all_),
                "GFLOP/s alone": limit.gflop / statistics.median(alone),
                "share of the limit": statistics.median(ratios),
                "lowest": ratios[0],
                "highest": ratios[-1],
            }
        )
    return rows


def add(result: Result, title: str, limits: dict[str, Limit], rows: list[Row]) -> None:
    """Adds the tables of a kind of work."""
    result.table(f"{title}: share of the limit", rows)
    for precision, limit in limits.items():
        result.table(f"{title}: products in {precision}", limit.rows)


def measure_training(result: Result, arguments: argparse.Namespace) -> None:
    shape, size = SHAPES[arguments.shape], (arguments.batch, arguments.length)
    products = training_products(shape, *size, arguments.vocabulary)
    precisions = ["float32", "bfloat16"]
    limits = {name: Limit(products, name, weights_stay=False) for name in precisions}
    batch = random_batch(*size, arguments.vocabulary)
    whole = {n: partial(make_step(n, shape, arguments.vocabulary), batch) for n in precisions}
    title = f"Training, {arguments.shape}, {size[0]} pairs of {size[1]} pieces"
    add(result, title, limits, shares(limits, whole, arguments.rounds))


def measure_decoding(result: Result, arguments: argparse.Namespace) -> None:
    shape, length = SHAPES[arguments.shape], arguments.length
    sentences, beam_size = arguments.sentences, arguments.beam
    products = decoding_products(shape, sentences, length, arguments.vocabulary, beam_size)
    with tempfile.TemporaryDirectory() as folder:
        make_model_directory(
            Path(folder),
            shape,
            source_length=length,
            target_length=length,
            vocabulary_size=arguments.vocabulary,
        )
        sources = random_sentences(sentences, length - 1, arguments.seed, arguments.vocabulary)
        text = Text("random", Path(folder), sources, "yy")
        translators, missing = load_variants(text, arguments)
    result.notes += missing
    limits = {name: Limit(products, name, weights_stay=True) for name in translators}
    search = {"beam_size": beam_size, "batch_size": sentences}
    whole = {
        name: partial(translations, translator, sources, search)
        for name, translator in translators.items()
    }
    title = (
        f"Decoding, {arguments.shape}, {sentences} sentences of {length} pieces, beam {beam_size}"
    )
    add(result, title, limits, shares(limits, whole, arguments.rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_shape_options(parser)
    parser.add_argument("--sentences", type=int, default=64, help="of a batch of decoding")
    parser.add_argument("--beam", type=int, default=5)
    add_options(parser)
    parser.set_defaults(variants=["float32", "bfloat16", "int8"], device="cpu")
    arguments = parser.parse_args()
    prepare(arguments)
    result = Result("limit")
    measure_training(result, arguments)
    measure_decoding(result, arguments)
    report(result, arguments)


if __name__ == "__main__":
    main()
