"""Truncated backpropagation: what the length of the gradient's road costs, and what it brings.

Williams and Peng (1990), https://doi.org/10.1162/neco.1990.2.4.490. Whatever the length is, the
network sees the same text in the same order, and each update sums the gradients of the same steps:
as many stretches of it as fit into the longest. So trainings differ in the reach of the gradients
alone.
"""

import itertools
import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from seq2seq.config import PAD_ID, TokenizerConfig
from seq2seq.data.running_text import Chunk, EncodedText, StreamChunks
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.evaluation.charts import Series, line_chart
from seq2seq.evaluation.scales import ticks_of
from seq2seq.insight.bare_training import train_bare
from seq2seq.insight.chart_figure import chart_figure
from seq2seq.language_config import LanguageNetworkConfig
from seq2seq.models.language_model import LanguageNetwork, LanguageState

LENGTHS = (1, 2, 5, 10, 20, 50, 100)
GAP = 10  # steps between a letter and its return
_STREAMS, _RECALL_STREAMS = 8, 16
_RECALL_UPDATES = 1200
_RECALL_STEPS = 50  # of an update at most: the longer ones are of no use there, but take time
_RECALL_LETTERS = "ab"
_LEARNING_RATE = 1e-2
_GRADIENT_CLIP = 1.0
_DEV_STREAMS = 8


@dataclass(frozen=True)
class TruncationPoint:
    """What one length leads to; quality by seed."""

    length: int
    """Steps after which gradients are cut."""
    bits_per_character: Sequence[float]
    """Of the development text."""
    recalled_bits: Sequence[float]
    """For a letter that stood `gap` + 1 steps before, of two that are equally frequent."""
    kept_bytes: int
    """What automatic differentiation keeps of a stretch until the gradient is computed."""
    seconds: float
    """Of a processor per 1,000 characters of training."""


@dataclass(frozen=True)
class Truncation:
    """Trainings that differ in the truncation length alone."""

    points: Sequence[TruncationPoint]
    network: LanguageNetworkConfig
    characters: int
    """Read by each training."""
    gap: int
    seeds: int


def find_truncation(
    train: Sequence[str],
    dev: Sequence[str],
    *,
    lengths: Sequence[int] = LENGTHS,
    characters: int = 300_000,
    network: LanguageNetworkConfig | None = None,
    gap: int = GAP,
    seeds: int = 1,
) -> Truncation:
    """Trains a small character model with each length, and one of a text that needs memory.

    Args:
        train: Lines of running text.
        dev: Lines that are not learnt, by which quality is measured.
        characters: How many are read, over and over if there are fewer.
        gap: In the other text each line is a letter, so many dots, and the same letter again.
        seeds: Trainings of each length, from seed 1 on.
    """
    config = network or LanguageNetworkConfig(
        cell="gru", embedding_size=64, hidden_size=128, dropout=0.0
    )
    lengths = sorted(set(lengths))
    tokenizer = Tokenizer.train(train, _CHARACTERS)
    text, held_out = EncodedText.of(train, tokenizer), EncodedText.of(dev, tokenizer)
    updates = max(1, round(characters / (_STREAMS * lengths[-1])))
    recall = recall_text(gap, seed=1)
    points = []
    for length in lengths:
        bits, recalled, seconds = [], [], []
        for seed in range(1, seeds + 1):
            model = _fresh(config, tokenizer, seed)
            chunks = StreamChunks(text, streams=_STREAMS, steps=lengths[-1])
            seconds.append(_train(model, chunks, length, updates))
            bits.append(_bits(model, held_out))
            recalled.append(find_recall(recall, length, seed=seed, longest=lengths[-1]))
        stretch = next(StreamChunks(text, streams=_STREAMS, steps=length).plan(0))
        per_thousand = statistics.median(seconds) * 1000 / (updates * _STREAMS * lengths[-1])
        points.append(
            TruncationPoint(length, bits, recalled, kept_bytes(model, stretch), per_thousand)
        )
    return Truncation(points, config, updates * _STREAMS * lengths[-1], gap, seeds)


_CHARACTERS = TokenizerConfig(kind="character", character_coverage=1.0)


def recall_text(gap: int, *, seed: int, lines: int = 20_000) -> list[str]:
    """Lines of a letter, dots, and the letter again."""
    letters = random.Random(seed).choices(_RECALL_LETTERS, k=lines)
    return [letter + "." * gap + letter for letter in letters]


def find_recall(
    lines: Sequence[str], length: int, *, seed: int, longest: int, updates: int = _RECALL_UPDATES
) -> float:
    """Bits for the second letter of lines, after training with gradients of a length.

    That it is a letter and no dot is given, so that without any memory it is 1 bit.

    Args:
        lines: Of `recall_text`; the last tenth is held out.
        longest: Steps of an update.
    """
    tokenizer = Tokenizer.train(lines, _CHARACTERS)
    num_held_out = len(lines) // 10
    config = LanguageNetworkConfig(cell="gru", embedding_size=16, hidden_size=32, dropout=0.0)
    model = _fresh(config, tokenizer, seed)
    text = EncodedText.of(lines[:-num_held_out], tokenizer)
    steps = max(length, min(longest, _RECALL_STEPS))
    _train(model, StreamChunks(text, streams=_RECALL_STREAMS, steps=steps), length, updates)
    held_out = EncodedText.of(lines[-num_held_out:], tokenizer)
    return _letter_bits(model, held_out)


@torch.no_grad()
def _letter_bits(network: LanguageNetwork, text: EncodedText) -> float:
    """Bits for which of the letters it is that ends each line, when it is known to be one."""
    network.eval()
    (chunk,) = StreamChunks(text, streams=1, steps=len(text)).plan(0)
    features, _ = network(chunk.input_ids, network.start(1))
    places = torch.from_numpy(text.ends) - 2  # before `</s>`
    ids = chunk.output_ids[0, places]
    letters, targets = ids.unique(return_inverse=True)
    logits = network.logits(features[0, places])[:, letters]
    return functional.cross_entropy(logits, targets).item() / math.log(2)


def kept_bytes(network: LanguageNetwork, chunk: Chunk) -> int:
    """Bytes that automatic differentiation keeps between loss and gradient, but for the weights."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    state = network.start(len(chunk.input_ids))
    network.train()
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output, _ = network.loss(chunk.input_ids, chunk.output_ids, state)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    del output  # until here it has kept every tensor, so that no two had one place
    return sum(size for place, size in kept.items() if place not in weights)


def _fresh(config: LanguageNetworkConfig, tokenizer: Tokenizer, seed: int) -> LanguageNetwork:
    torch.manual_seed(seed)
    return LanguageNetwork(config, tokenizer.vocabulary_size)


def _train(network: LanguageNetwork, chunks: StreamChunks, length: int, updates: int) -> float:
    """Trains for so many updates; returns the processor seconds that it took."""
    epochs = itertools.chain.from_iterable(map(chunks.plan, itertools.count()))
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    # In the second half down to nothing, so that the last updates do not decide the quality.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda update: min(1.0, 2 * (1 - update / updates))
    )
    training = train_bare(
        network,
        itertools.islice(epochs, updates),
        optimizer,
        truncation_steps=length,
        gradient_clip=_GRADIENT_CLIP,
    )
    began = time.process_time()
    for _ in training:
        schedule.step()
    return time.process_time() - began


def _bits(network: LanguageNetwork, text: EncodedText) -> float:
    """Bits per character of a text."""
    return _nats(network, text, streams=_DEV_STREAMS).sum().item() / math.log(2) / text.characters


@torch.no_grad()
def _nats(network: LanguageNetwork, text: EncodedText, *, streams: int) -> Tensor:
    """The negative log-likelihood of every piece [streams, length], 0 where there is none."""
    network.eval()
    state: LanguageState | None = None
    nats = []
    for chunk in StreamChunks(text, streams=streams, steps=500).plan(0):
        state = state or network.start(len(chunk.input_ids))
        features, state = network(chunk.input_ids, state)
        logits = network.logits(features).transpose(1, 2)
        nats.append(
            functional.cross_entropy(
                logits, chunk.output_ids, reduction="none", ignore_index=PAD_ID
            )
        )
    return torch.cat(nats, dim=1)


def draw_truncation(truncation: Truncation) -> str:
    """Draws quality, memory and time against the length, a chart each.

    Returns:
        A self-contained SVG document.
    """
    points = truncation.points
    config = truncation.network
    name = config.cell.upper()
    chart = partial(
        line_chart,
        x_label="truncation length k, steps",
        log_x=True,
        x_ticks=[point.length for point in points],
    )
    recalled = _quality("trained", points, [point.recalled_bits for point in points])
    chance = Series("by chance", [(point.length, 1.0) for point in points], style=1, dashed=True)
    bits = [each for point in points for each in point.bits_per_character]
    begins_at_0 = ticks_of(min(bits), max(bits))[0] == 0
    cut_off = "" if begins_at_0 else " The axis of bits per character does not begin at 0."
    notes = [
        f"{name} of {config.hidden_size} units, a character at a time; each length "
        f"reads the same {truncation.characters:,} characters in the same order and makes the same "
        f"number of updates, whose gradients reach k steps back. {_seeds(truncation.seeds)}"
        f"{cut_off}",
        f"The letter: lines of a letter, {truncation.gap} dots and the same letter again, of two "
        f"equally frequent ones; it is to be known after {truncation.gap + 1} steps. Held-out "
        f"lines. Only gradients are cut; the state goes on, so that with luck a shorter reach may "
        f"do.",
        "Memory: what automatic differentiation keeps until the gradient is computed. Time: of a "
        "processor.",
    ]
    charts = [
        chart(
            [_quality(name, points, [point.bits_per_character for point in points])],
            title="Quality: development text",
            y_label="bits per character",
        ),
        chart(
            [recalled, chance],
            title=f"Quality: a letter from {truncation.gap + 1} steps before",
            y_label="bits for the letter",
        ),
        chart(
            [Series(name, [(point.length, point.kept_bytes / 2**20) for point in points])],
            title="Memory for the gradient",
            y_label="MiB",
            log_y=True,
        ),
        chart(
            [Series(name, [(point.length, point.seconds) for point in points])],
            title="Time of training",
            y_label="processor seconds per 1,000 characters",
            log_y=True,
        ),
    ]
    title = "Truncated backpropagation: quality, memory and time by the reach of the gradients"
    return chart_figure(charts, title=title, columns=2, notes=notes)


def _quality(
    name: str, points: Sequence[TruncationPoint], bits: Sequence[Sequence[float]]
) -> Series:
    """Means over seeds, in a band from the lowest to the highest."""
    places = [point.length for point in points]
    return Series(
        name,
        [(place, statistics.fmean(each)) for place, each in zip(places, bits, strict=True)],
        band=[(place, min(each), max(each)) for place, each in zip(places, bits, strict=True)],
    )


def _seeds(number: int) -> str:
    if number == 1:
        return "One training of each (seed 1)."
    return f"Means over {number} seeds, bands from the lowest to the highest."
