"""Models and batches of a few numbers, in which every axis has a size of its own."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID, ModelConfig
from seq2seq.models.cells import CELLS
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model

SOURCE_VOCABULARY, TARGET_VOCABULARY = 11, 13

# Attention and context steps; the name of each is its test id.
CONTEXTS = {
    "bahdanau": {"attention": "bahdanau"},
    "every": {"attention": "none", "context_steps": "every"},
    "first": {"attention": "none", "context_steps": "first"},
}

# Encoder and decoder depths: each of 1 to 4 on either side, both deeper, both shallower.
DEPTHS = [(1, 1), (1, 4), (2, 3), (3, 1), (3, 4), (4, 2)]

CELL_NAMES = list(CELLS)


def small_config(**changes: Any) -> ModelConfig:
    """Directions of the encoder have size 7."""
    values = {"embedding_size": 6, "hidden_size": 14, "attention_size": 9, "dropout": 0.0}
    return ModelConfig(**{**values, **changes})


def small_model(config: ModelConfig, *, seed: int = 1) -> EncoderDecoder:
    """In float64, with all weights drawn anew: no bias is 0, not even the vector of padding."""
    torch.manual_seed(seed)
    target_vocabulary = SOURCE_VOCABULARY if config.share_embeddings else TARGET_VOCABULARY
    model = build_model(config, SOURCE_VOCABULARY, target_vocabulary).double()
    randomise(model)
    return model


def randomise(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)


def pad(rows: list[list[int]]) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD_ID] * (longest - len(row)) for row in rows])


@dataclass(frozen=True)
class Sentences:
    """Three sentences, by themselves and padded to a batch."""

    sources: list[list[int]]
    target_inputs: list[list[int]]
    target_outputs: list[list[int]]

    @property
    def source(self) -> tuple[Tensor, Tensor]:
        return pad(self.sources), torch.tensor([len(row) for row in self.sources])

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        return *self.source, pad(self.target_inputs)

    @property
    def all(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return *self.inputs, pad(self.target_outputs)

    def only(self, index: int) -> "Sentences":
        rows = (self.sources, self.target_inputs, self.target_outputs)
        return Sentences(*([part[index]] for part in rows))


def three_sentences() -> Sentences:
    """Source lengths 3, 5 and 1 (only the end symbol); target lengths 4, 2 and 3."""
    sources = [[4, 10, EOS_ID], [5, 6, 6, 9, EOS_ID], [EOS_ID]]
    targets = [[7, 10, 4], [8], [9, 5]]
    return Sentences(
        sources, [[BOS_ID, *row] for row in targets], [[*row, EOS_ID] for row in targets]
    )


def run_steps(model: EncoderDecoder, sentences: Sentences) -> Tensor:
    """Logits [batch, target_length, vocabulary_size], by `start` and `step` alone."""
    source_ids, source_lengths, target_input_ids = sentences.inputs
    state = model.start(source_ids, source_lengths)
    logits = []
    for previous_ids in target_input_ids.unbind(1):
        step_logits, state = model.step(previous_ids, state)
        logits.append(step_logits)
    return torch.stack(logits, dim=1)


def gradients(module: nn.Module) -> dict[str, Tensor | None]:
    """Of every parameter by name; takes them away from the module."""
    found = {name: parameter.grad for name, parameter in module.named_parameters()}
    module.zero_grad()
    return found
