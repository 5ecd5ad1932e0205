import copy

import pytest
import torch
from torch.nn import functional

from seq2seq.data.running_text import Chunk
from seq2seq.insight.bare_training import train_bare
from seq2seq.language_config import LanguageNetworkConfig
from seq2seq.models.language_model import LanguageNetwork

VOCABULARY, ROWS, LENGTH = 11, 2, 6


def make_network(cell: str = "lstm") -> LanguageNetwork:
    torch.manual_seed(3)
    config = LanguageNetworkConfig(cell=cell, embedding_size=5, hidden_size=7, dropout=0.0)
    return LanguageNetwork(config, VOCABULARY).double()


def make_chunks() -> list[Chunk]:
    ids = torch.randint(1, VOCABULARY, (ROWS, 2 * LENGTH + 1), generator=torch.manual_seed(5))
    ids[1, -2:] = 0  # the last stream ends earlier
    return [
        Chunk(ids[:, first : first + LENGTH], ids[:, first + 1 : first + LENGTH + 1], first == 0)
        for first in (0, LENGTH)
    ]


@pytest.mark.parametrize("steps", [1, 2, 4, 6])
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_updates_are_those_of_a_loop_that_cuts_gradients(steps: int, clip: float) -> None:
    network = make_network()
    reference = copy.deepcopy(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    updates = list(
        train_bare(network, make_chunks(), optimizer, truncation_steps=steps, gradient_clip=clip)
    )

    parameters = list(reference.parameters())
    state = reference.start(ROWS)
    for update, chunk in zip(updates, make_chunks(), strict=True):
        loss = torch.zeros((), dtype=torch.float64)
        for step in range(LENGTH):
            if step % steps == 0:
                state = state.detach()
            logits, state = reference.step(chunk.input_ids[:, step], state)
            loss += functional.cross_entropy(
                logits, chunk.output_ids[:, step], ignore_index=0, reduction="sum"
            )
        loss /= chunk.num_pieces
        gradients = torch.autograd.grad(loss, parameters)
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        scale = min(1.0, clip / norm.item()) if clip else 1.0
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= 0.5 * scale * gradient
        assert update.loss == pytest.approx(loss.item(), rel=1e-6)
        assert update.gradient_norm == pytest.approx(norm.item(), rel=1e-5)
    for found, expected in zip(network.parameters(), parameters, strict=True):
        assert torch.allclose(found, expected, atol=1e-6)
