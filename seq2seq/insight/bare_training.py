"""The bare loop of training, for pictures in which two trainings differ in one thing alone."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from seq2seq.data.running_text import Chunk
from seq2seq.models.language_model import LanguageNetwork


class Update(NamedTuple):
    """One step of the optimiser."""

    loss: float  # nats per piece, before the step
    gradient_norm: float  # L2 of all gradients together, before clipping


def train_bare(
    network: LanguageNetwork,
    chunks: Iterable[Chunk],
    optimizer: torch.optim.Optimizer,
    *,
    truncation_steps: int,
    gradient_clip: float = 0.0,
) -> Iterator[Update]:
    """Learns from chunks of running text, an update after each.

    Within a chunk gradients are cut after `truncation_steps` steps, and added up. So whatever this
    number is, updates are as many, and of the same text.

    Args:
        gradient_clip: Largest L2 norm of all gradients together; 0 switches clipping off.
    """
    network.train()
    parameters = list(network.parameters())
    for chunk in chunks:
        if chunk.begins:
            state = network.start(len(chunk.input_ids))
        optimizer.zero_grad()
        nats, pieces = 0.0, chunk.num_pieces
        for inputs, outputs in zip(
            chunk.input_ids.split(truncation_steps, dim=1),
            chunk.output_ids.split(truncation_steps, dim=1),
            strict=True,
        ):
            output, state = network.loss(inputs, outputs, state.detach())
            (output.loss / pieces).backward()
            nats += output.nll.item()
        norm = nn.utils.clip_grad_norm_(parameters, gradient_clip or torch.inf)
        optimizer.step()
        yield Update(nats / pieces, norm.item())
