"""The decoder: one to many. From a state, a context and the last piece to the features of the next.

Knows nothing of the source beyond its `Memory`, nor of search.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from seq2seq.config import choose
from seq2seq.models.attention import Attended, Attention, Memory
from seq2seq.models.cells import CELLS, Cell, CellState
from seq2seq.models.encoder import RecurrentState
from seq2seq.models.products import is_plain, linear
from seq2seq.models.recurrence import run_in_stretches


class DecoderState(NamedTuple):
    """Where the decoder stands, for each row."""

    layers: RecurrentState  # each [num_layers, rows, hidden_size]
    position: int  # target steps taken, the same for all rows

    def select(self, rows: Tensor) -> "DecoderState":
        """Gathers rows; `rows` [new rows] may repeat or leave out."""
        return DecoderState(
            tuple(part.index_select(1, rows) for part in self.layers), self.position
        )


class Decoder(nn.Module):
    """Attention below the first layer, plain recurrent layers above it, a readout, the vocabulary.

    `s_i = cell([y_{i-1}; c_i], s_{i-1})` and `t_i = tanh(R [s_i; c_i; y_{i-1}])`, close to Bahdanau
    et al. (2015), section A.2.2, https://arxiv.org/abs/1409.0473, with tanh in place of maxout.
    Layers above the second add their input to their output, as in the encoder.

    Args:
        embedding: Target embedding.
        attention: Gives the context of each step.
        cell: A name in `CELLS`.
        encoder_size: Size of the contexts.
        tie_embeddings: The vocabulary layer uses the embedding as its weights (Press and Wolf,
            2017, https://arxiv.org/abs/1608.05859); the readout then has the embedding's size.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        attention: Attention,
        *,
        cell: str,
        encoder_size: int,
        hidden_size: int,
        num_layers: int,
        tie_embeddings: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        make_cell = choose(CELLS, cell, field="model.cell")
        embedding_size = embedding.embedding_dim
        self.embedding = embedding
        self.attention = attention
        self.layers = nn.ModuleList(
            make_cell(embedding_size + encoder_size if index == 0 else hidden_size, hidden_size)
            for index in range(num_layers)
        )
        readout_size = embedding_size if tie_embeddings else hidden_size
        self.readout = nn.Linear(hidden_size + encoder_size + embedding_size, readout_size)
        self.vocabulary = nn.Linear(readout_size, embedding.num_embeddings)
        for layer in (self.readout, self.vocabulary):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        if tie_embeddings:
            self.vocabulary.weight = embedding.weight
        self.dropout = nn.Dropout(dropout)

    def step(
        self, previous_ids: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Takes one step.

        Args:
            previous_ids: The last piece of each row, [rows].

        Returns:
            Features [rows, readout_size], the state after the step, and the alignment
            [rows, source_length] or None.
        """
        embedded = self.dropout(self.embedding(previous_ids))
        before = [tuple(part[index] for part in state.layers) for index in range(len(self.layers))]
        context, alignment = self.attention(before[0][0], memory, position=state.position)
        context = context.to(embedded.dtype)
        bottom, *above = self._cells
        after = [bottom(bottom.project(torch.cat([embedded, context], dim=-1)), before[0])]
        hidden = after[0][0]
        for index, cell in enumerate(above, start=1):
            after.append(cell(cell.project(self.dropout(hidden)), before[index]))
            hidden = hidden + after[-1][0] if index >= 2 else after[-1][0]
        layers = tuple(torch.stack(parts) for parts in zip(*after, strict=True))
        features = self._read_out(hidden, context, embedded)
        return features, DecoderState(layers, state.position + 1), alignment

    def forward(
        self,
        target_input_ids: Tensor,
        state: DecoderState,
        memory: Memory,
        *,
        truncation_steps: int | None = None,
    ) -> Tensor:
        """Takes all steps of given targets (teacher forcing); the same numbers as `step`, faster.

        What does not hang on the step before leaves the loop: the products of the embedded targets,
        the layers above the first, and the readout.

        Args:
            target_input_ids: [batch, target_length], one row per sentence.
            truncation_steps: Gradients do not flow from one stretch of that many steps into the
                stretch before it.

        Returns:
            Features, [batch, target_length, readout_size].
        """
        stretch = truncation_steps or target_input_ids.shape[1]
        features, _ = self._take_all(target_input_ids, state, memory, stretch)
        return features

    def forward_aligned(
        self,
        target_input_ids: Tensor,
        state: DecoderState,
        memory: Memory,
        *,
        truncation_steps: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same as `forward`, and behind the features what each step looks at, with gradients.

        Returns:
            Features, and alignments [batch, target_length, source_length].

        Raises:
            ValueError: If there is no attention.
        """
        stretch = truncation_steps or target_input_ids.shape[1]
        features, alignments = self._take_all(
            target_input_ids, state, memory, stretch, with_alignments=True
        )
        if alignments is None:
            raise ValueError(
                "A fixed context looks at nothing; this needs a network with attention."
            )
        return features, alignments

    def _take_all(
        self,
        target_input_ids: Tensor,
        state: DecoderState,
        memory: Memory,
        stretch: int,
        *,
        with_alignments: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Features of all steps; alignments if they are wanted and there are any."""
        if is_plain():
            return self._step_through(target_input_ids, state, memory, stretch)
        # Time first from here on: [target_length, batch, ...].
        embedded = self.dropout(self.embedding(target_input_ids.t()))
        hidden, contexts, alignments = self._run_bottom(
            embedded, state, memory, stretch, with_alignments=with_alignments
        )
        for index, cell in enumerate(self._cells[1:], start=1):
            layer_state: CellState = tuple(part[index] for part in state.layers)
            projected = cell.project(self.dropout(hidden))
            above = run_in_stretches(cell, projected, layer_state, stretch=stretch)
            hidden = hidden + above if index >= 2 else above
        features = self._read_out(hidden, contexts, embedded).transpose(0, 1)
        return features, None if alignments is None else alignments.transpose(0, 1)

    def align(self, target_input_ids: Tensor, state: DecoderState, memory: Memory) -> Tensor | None:
        """What each step of given targets looks at.

        Args:
            target_input_ids: [batch, target_length], one row per sentence.

        Returns:
            [batch, target_length, source_length]; None without attention.
        """
        embedded = self.dropout(self.embedding(target_input_ids.t()))
        attended = self._run_bottom(embedded, state, memory, len(embedded))
        queries = torch.cat([state.layers[0][:1], attended.hidden[:-1]])
        alignments = []
        for position, query in enumerate(queries, start=state.position):
            _, alignment = self.attention(query, memory, position=position)
            if alignment is None:
                return None
            alignments.append(alignment)
        return torch.stack(alignments, dim=1)

    def logits(self, features: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next piece, [..., vocabulary_size]."""
        return linear(features, self.vocabulary.weight, self.vocabulary.bias)

    @property
    def _cells(self) -> list[Cell]:
        return [cast(Cell, cell) for cell in self.layers]

    def _step_through(
        self, target_input_ids: Tensor, state: DecoderState, memory: Memory, stretch: int
    ) -> tuple[Tensor, Tensor | None]:
        """The plain way: one `step` after the other."""
        features, alignments = [], []
        for index, previous_ids in enumerate(target_input_ids.unbind(1)):
            if index and index % stretch == 0:
                layers = tuple(part.detach() for part in state.layers)
                state = state._replace(layers=layers)
            stepped, state, alignment = self.step(previous_ids, state, memory)
            features.append(stepped)
            alignments += [] if alignment is None else [alignment]
        return torch.stack(features, dim=1), torch.stack(alignments, 1) if alignments else None

    def _run_bottom(
        self,
        embedded: Tensor,
        state: DecoderState,
        memory: Memory,
        stretch: int,
        *,
        with_alignments: bool = False,
    ) -> Attended:
        """The layer with attention."""
        cell = self._cells[0]
        embedding_size = embedded.shape[-1]
        return self.attention.run(
            cell,
            cell.weight_ih[:, embedding_size:],
            linear(embedded, cell.weight_ih[:, :embedding_size], cell.bias_ih),
            tuple(part[0] for part in state.layers),
            memory,
            position=state.position,
            stretch=stretch,
            with_alignments=with_alignments,
        )

    def _read_out(self, hidden: Tensor, context: Tensor, embedded: Tensor) -> Tensor:
        joined = torch.cat([hidden, context.to(hidden.dtype), embedded.to(hidden.dtype)], dim=-1)
        return self.dropout(torch.tanh(linear(joined, self.readout.weight, self.readout.bias)))
