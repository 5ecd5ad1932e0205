"""The encoder: many to one. Reads the source and leaves a vector per piece and one for the whole.

Knows nothing of targets, attention or text.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seq2seq.config import choose
from seq2seq.models.cells import CELLS, Cell, CellState
from seq2seq.models.recurrence import run_recurrence

RecurrentState = tuple[Tensor, ...]
"""Like `CellState` for all layers: each [num_layers, rows, hidden_size]."""


class EncoderOutput(NamedTuple):
    """What the encoder knows about a batch of source sentences."""

    encoder_outputs: Tensor  # [batch, source_length, encoder_size], zeros at padding
    final_state: RecurrentState  # each [num_layers, batch, encoder_size]
    source_mask: Tensor  # [batch, source_length], True at real tokens


class Encoder(nn.Module):
    """Recurrent layers over the embedded source, in one direction or both.

    Layers above the second add their input to their output (He et al., 2016; Wu et al., 2016,
    section 3.1, https://arxiv.org/abs/1609.08144).

    Args:
        embedding: Source embedding.
        cell: A name in `CELLS`.
        encoder_size: Size of the outputs, both directions together.
        bidirectional: Reads both ways (Schuster and Paliwal, 1997), each with half of the size.
        reverse_source: Reads back to front, end symbol first (Sutskever et al., 2014, section 3.3,
            https://arxiv.org/abs/1409.3215). With both directions, the two change places.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        *,
        cell: str,
        encoder_size: int,
        num_layers: int,
        bidirectional: bool,
        reverse_source: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        make_cell = choose(CELLS, cell, field="model.cell")
        self.embedding = embedding
        self.reversed = (reverse_source, not reverse_source) if bidirectional else (reverse_source,)
        input_sizes = [embedding.embedding_dim] + [encoder_size] * (num_layers - 1)
        direction_size = encoder_size // len(self.reversed)
        self.layers = nn.ModuleList(
            nn.ModuleList(make_cell(size, direction_size) for _ in self.reversed)
            for size in input_sizes
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, source_ids: Tensor, source_lengths: Tensor) -> EncoderOutput:
        """Reads a batch.

        Args:
            source_ids: [batch, source_length], padded at the end.
            source_lengths: [batch], each at least 1.
        """
        packed = pack_padded_sequence(
            source_ids, source_lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        batch_sizes = packed.batch_sizes.tolist()
        features = self.dropout(self.embedding(packed.data))
        final_states: list[CellState] = []
        for index, layer in enumerate(self.layers):
            directions = cast(Iterable[Cell], layer)
            inputs = self.dropout(features) if index > 0 else features
            outputs, finals = [], []
            for cell, reverse in zip(directions, self.reversed, strict=True):
                hidden, final = run_recurrence(
                    cell,
                    cell.project(inputs),
                    batch_sizes,
                    cell.start(batch_sizes[0]),
                    reverse=reverse,
                )
                outputs.append(hidden)
                finals.append(final)
            joined = torch.cat(outputs, dim=-1)
            features = features + joined if index >= 2 else joined
            final_states.append(
                tuple(torch.cat(parts, dim=-1) for parts in zip(*finals, strict=True))
            )
        encoder_outputs, _ = pad_packed_sequence(
            PackedSequence(
                features, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices
            ),
            batch_first=True,
            total_length=source_ids.shape[1],
        )
        final_state = tuple(
            torch.stack(parts)[:, packed.unsorted_indices]
            for parts in zip(*final_states, strict=True)
        )
        positions = torch.arange(source_ids.shape[1], device=source_ids.device)
        source_mask = positions < source_lengths.to(source_ids.device).unsqueeze(1)
        return EncoderOutput(encoder_outputs, final_state, source_mask)
