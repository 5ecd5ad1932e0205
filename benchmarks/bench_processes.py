"""Milliseconds of a training step of one and of several processes, and what many machines would do.

    python benchmarks/bench_processes.py
    python benchmarks/bench_processes.py --shape large --rounds 3
    python benchmarks/bench_processes.py --step_ms 60 --weights 50000000

The variants take turns in the same processes: one process alone while the others sleep, all of them
on batches of their own without and with the exchange of gradients, and the exchange by itself. The
tables for many machines are a model, described in docs/scale.md; `--step_ms` takes the step of
another machine in place of the one that is measured.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from bench_training import add_shape_options, random_batch
from measure import Result, Row, add_options, milliseconds, report, take_turns
from shapes import SHAPES
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from seq2seq.data.batch import Batch
from seq2seq.devices import keep_freed_memory
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model
from seq2seq.training.module import make_adam
from seq2seq.training.spawned import Spawned
from seq2seq.training.world import World

MACHINES = [1, 2, 4, 8, 16, 32, 64]
GIGABITS = [1, 10, 25, 100]
BACKWARD_SHARE = 2 / 3  # of a step: gradients of inputs and of weights are a product each
BYTES_PER_WEIGHT = 4  # gradients are float32


class LossOf(nn.Module):
    """What is wrapped for the exchange: the loss as `training.module` forms it."""

    def __init__(self, network: EncoderDecoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> torch.Tensor:
        output = self.network.loss(
            batch.source_ids,
            batch.source_lengths,
            batch.target_input_ids,
            batch.target_output_ids,
            label_smoothing=0.1,
        )
        return output.loss / batch.num_target_pieces


def measure_in_rank(arguments: argparse.Namespace, world: World) -> dict[str, Any]:
    """Seconds of each variant in each round, by the clock and on the processor.

    Both are those of the first process. On a machine that others use, too, the second are steadier;
    a process that waits for another one has none.
    """
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    shape, size = SHAPES[arguments.shape], arguments.vocabulary
    network = build_model(shape, size, size)
    optimizer = make_adam(network.parameters(), 1e-3)
    together = DistributedDataParallel(LossOf(network))
    batch = random_batch(arguments.batch, arguments.length, size)
    weights = sum(weight.numel() for weight in network.parameters())
    gradient = torch.zeros(weights)

    def step(model: nn.Module) -> None:
        optimizer.zero_grad()
        model(batch).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    def without_exchange() -> None:
        with together.no_sync():
            step(together)

    def alone(threads: int) -> Callable[[], None]:
        def run() -> None:
            if world.is_first:
                torch.set_num_threads(threads)
                step(together.module)
                torch.set_num_threads(arguments.threads)

        return run

    all_threads = arguments.threads * world.size
    variants = {
        f"1 process, {threads(arguments.threads)}": alone(arguments.threads),
        f"1 process, {threads(all_threads)}": alone(all_threads),
        f"{world.size} processes, no exchange": without_exchange,
        f"{world.size} processes": lambda: step(together),
        "exchange alone": lambda: distributed.all_reduce(gradient),
    }

    used: dict[str, list[float]] = {name: [] for name in variants}

    def met(name: str, run: Callable[[], None]) -> Callable[[], None]:
        def timed() -> None:
            started = time.process_time()
            run()
            world.wait()  # the slowest process counts, and the others begin with it
            used[name].append(time.process_time() - started)

        return timed

    times = take_turns({name: met(name, run) for name, run in variants.items()}, arguments.rounds)
    return {"times": times, "used": used, "weights": weights, "pieces": batch.num_target_pieces}


def threads(count: int) -> str:
    """A number of threads in words."""
    return f"{count} thread{'s' if count > 1 else ''}"


def measure(arguments: argparse.Namespace) -> Result:
    result = Result("processes")
    step_ms, weights = arguments.step_ms, arguments.weights
    if step_ms is None:
        found = Spawned(arguments.processes, arguments.processes).run(
            measure_in_rank, arguments, device="cpu"
        )
        rows = milliseconds(found["times"])
        for row in rows:
            in_work = arguments.processes if "processes" in row["variant"] else 1
            pieces = in_work * found["pieces"]
            exchange = row["variant"] == "exchange alone"
            row["pieces per second"] = None if exchange else 1000 * pieces / row["ms"]
            row["processor ms"] = 1000 * statistics.median(found["used"][row["variant"]][1:])
        weights = found["weights"]
        pieces_each = f"{found['pieces']:,} target pieces in each process"
        result.table(f"A step of {arguments.shape}, {weights:,} weights, {pieces_each}", rows)
        step_ms = rows[0]["processor ms"]  # as each process has a machine of its own then
    for overlapped in (False, True):
        how = "behind the backward pass" if overlapped else "after the backward pass"
        result.table(
            f"Modelled: steps of {step_ms:,.0f} ms, {weights:,} weights, exchange {how}, "
            f"latency {arguments.latency_us:g} µs",
            modelled(step_ms, weights, arguments.latency_us, overlapped=overlapped),
        )
    return result


def exchange_ms(machines: int, weights: int, gigabits: float, latency_us: float) -> float:
    """Milliseconds of an all-reduce in a ring.

    Each machine sends 2 (n - 1) parts of 1/n of the gradient, one after the other.
    """
    sent = 2 * (machines - 1) / machines * BYTES_PER_WEIGHT * weights
    return 1e3 * sent / (gigabits * 1e9 / 8) + 1e-3 * 2 * (machines - 1) * latency_us


def modelled(step_ms: float, weights: int, latency_us: float, *, overlapped: bool) -> list[Row]:
    """Speed-up over one machine, by the number of machines and the network between them."""
    hidden = BACKWARD_SHARE * step_ms if overlapped else 0.0
    rows = []
    for machines in MACHINES:
        row: Row = {"machines": machines}
        for gigabits in GIGABITS:
            exchange = exchange_ms(machines, weights, gigabits, latency_us)
            step = step_ms + max(0.0, exchange - hidden)
            speed_up = machines * step_ms / step
            row[f"{gigabits} Gbit/s"] = f"{speed_up:.1f} x ({100 * speed_up / machines:.0f} %)"
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_shape_options(parser)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--latency_us", type=float, default=50.0, help="of one message")
    parser.add_argument("--step_ms", type=float, help="of another machine; nothing is measured")
    parser.add_argument("--weights", type=int, help="with --step_ms")
    add_options(parser, rounds=7)
    parser.set_defaults(threads=1)
    arguments = parser.parse_args()
    if (arguments.step_ms is None) != (arguments.weights is None):
        raise SystemExit("--step_ms and --weights belong together.")
    report(measure(arguments), arguments)


if __name__ == "__main__":
    main()
