"""How much faster is training than the plain way of writing it?

Variants of one training step (loss, gradients, clipping, Adam) of one network on one batch of
random ids, taken in turn in one process, so that a machine whose speed drifts does not favour any
of them:

* plain: a loop over `Decoder.step` with the vocabulary layer inside, torch's cross-entropy,
  float32; the encoder is the toolkit's own;
* float32: the toolkit's own path;
* bfloat16: the same under autocast, as `training.precision=auto` does where it is fast.

    python benchmarks/bench_training.py --threads 2
"""

import argparse
import json
import platform
import statistics
import time

import torch
from torch import nn
from torch.nn import functional

from seq2seq.config import PAD_ID, ModelConfig
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model

VOCABULARY_SIZE = 8000


def plain_loss(model: EncoderDecoder, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    lengths = torch.full((len(source),), source.shape[1])
    state, scores = model.start(source, lengths), []
    for previous_ids in target.unbind(1):
        logits, state = model.step(previous_ids, state)
        scores.append(logits)
    logits = torch.stack(scores, 1).flatten(0, 1)
    return functional.cross_entropy(
        logits, target.flatten(), label_smoothing=0.1, ignore_index=PAD_ID
    )


def own_loss(model: EncoderDecoder, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    lengths = torch.full((len(source),), source.shape[1])
    output = model.loss(source, lengths, target, target, label_smoothing=0.1)
    return output.loss / output.num_tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128, help="sentences")
    parser.add_argument("--length", type=int, default=16, help="pieces of sources and targets")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    model = build_model(ModelConfig(dropout=0.0), VOCABULARY_SIZE, VOCABULARY_SIZE)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    shape = arguments.batch, arguments.length
    source, target = (torch.randint(4, VOCABULARY_SIZE, shape) for _ in range(2))

    def seconds(loss: object, low: bool) -> float:
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            value = loss(model, source, target)  # type: ignore[operator]
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - started

    variants = {
        "plain": (plain_loss, False),
        "float32": (own_loss, False),
        "bfloat16": (own_loss, True),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for round_ in range(arguments.rounds + 1):
        for name, variant in variants.items():
            elapsed = seconds(*variant)
            if round_:  # the first round warms up
                times[name].append(elapsed)
    pieces = arguments.batch * arguments.length
    ratios = {
        name: sorted(p / t for p, t in zip(times["plain"], times[name], strict=True))
        for name in variants
    }
    print(
        json.dumps(
            {
                "benchmark": "training",
                "processor": platform.processor() or platform.machine(),
                "capability": torch.backends.cpu.get_cpu_capability(),
                "python": platform.python_version(),
                "torch": torch.__version__,
                **vars(arguments),
                "pieces_per_second": {
                    n: round(pieces / statistics.median(t)) for n, t in times.items()
                },
                "ratio_to_plain": {n: round(statistics.median(r), 2) for n, r in ratios.items()},
                "ratio_spread": {n: [round(r[0], 2), round(r[-1], 2)] for n, r in ratios.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
