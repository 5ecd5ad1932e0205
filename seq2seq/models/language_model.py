"""The language network: recurrent layers over a text, which tell the next piece.

A decoder's layers without a source. Knows nothing of text or files.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from seq2seq.config import PAD_ID, choose
from seq2seq.language_config import LanguageNetworkConfig
from seq2seq.models.cells import CELLS, Cell, CellState
from seq2seq.models.loss import LossOutput, vocabulary_loss
from seq2seq.models.products import linear
from seq2seq.models.recurrence import run_recurrence


class LanguageState(NamedTuple):
    """Where the network stands in each row's text."""

    layers: tuple[CellState, ...]  # by layer, each part [rows, hidden_size]

    def select(self, rows: Tensor) -> "LanguageState":
        """Gathers rows; `rows` [new rows] may repeat or leave out."""
        return LanguageState(
            tuple(tuple(part.index_select(0, rows) for part in layer) for layer in self.layers)
        )

    def select_sentences(self, indices: Tensor) -> "LanguageState":
        """Nothing is kept by sentence; a search asks for it."""
        return self

    @property
    def alignment(self) -> None:
        """There is no source to attend to."""

    @property
    def candidate_ids(self) -> None:
        """Logits stand for all ids."""

    def to(self, device: torch.device) -> "LanguageState":
        """The same state on a device."""
        return LanguageState(
            tuple(tuple(part.to(device) for part in layer) for layer in self.layers)
        )

    def detach(self) -> "LanguageState":
        """The same state, through which no gradient flows back: truncation."""
        return LanguageState(tuple(tuple(part.detach() for part in layer) for layer in self.layers))


class LanguageNetwork(nn.Module):
    """Embedding, recurrent layers, vocabulary (Mikolov et al., 2010).

    Layers above the second add their input to their output, as in the encoder.

    Args:
        vocabulary_size: Number of pieces.
    """

    def __init__(self, config: LanguageNetworkConfig, vocabulary_size: int) -> None:
        super().__init__()
        make_cell = choose(CELLS, config.cell, field="model.cell")
        self.config = config
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size, padding_idx=PAD_ID)
        # Rows of about unit length, so that tied weights give scores of about unit size.
        nn.init.normal_(self.embedding.weight, std=config.embedding_size**-0.5)
        with torch.no_grad():
            self.embedding.weight[PAD_ID].zero_()
        self.layers = nn.ModuleList(
            make_cell(config.hidden_size if index else config.embedding_size, config.hidden_size)
            for index in range(config.num_layers)
        )
        self.projection: nn.Linear | None = None
        readout_size = config.hidden_size
        if config.tie_embeddings and config.hidden_size != config.embedding_size:
            readout_size = config.embedding_size
            self.projection = nn.Linear(config.hidden_size, readout_size)
        self.vocabulary = nn.Linear(readout_size, vocabulary_size)
        for layer in (self.projection, self.vocabulary):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        if config.tie_embeddings:
            self.vocabulary.weight = self.embedding.weight
        self.dropout = nn.Dropout(config.dropout)

    def start(self, rows: int) -> LanguageState:
        """The state before a text, for so many rows."""
        return LanguageState(tuple(cell.start(rows) for cell in self._cells))

    def forward(self, input_ids: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        """Reads a chunk of each row's text.

        Args:
            input_ids: [rows, length].
            state: Where each row stands; what `detach` gave cuts the gradients before the chunk.

        Returns:
            Features [rows, length, readout_size], and where each row stands after the chunk.
        """
        rows, length = input_ids.shape
        # Time first from here on.
        features = self.dropout(self.embedding(input_ids.t().flatten()))
        after = []
        for index, (cell, before) in enumerate(zip(self._cells, state.layers, strict=True)):
            inputs = self.dropout(features) if index else features
            hidden, final = run_recurrence(cell, cell.project(inputs), [rows] * length, before)
            features = features + hidden if index >= 2 else hidden
            after.append(final)
        features = self._read_out(features).view(length, rows, -1).transpose(0, 1)
        return features, LanguageState(tuple(after))

    def step(self, previous_ids: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        """Reads one piece of each row, [rows].

        Returns:
            Unnormalised log-probabilities of the next piece [rows, vocabulary_size], and the state.
        """
        features, after = self(previous_ids.unsqueeze(1), state)
        return self.logits(features.squeeze(1)), after

    def logits(self, features: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next piece, [..., vocabulary_size]."""
        return linear(features, self.vocabulary.weight, self.vocabulary.bias)

    def loss(
        self, input_ids: Tensor, output_ids: Tensor, state: LanguageState
    ) -> tuple[LossOutput, LanguageState]:
        """Cross-entropy of a chunk, summed over its real pieces, and the state after it.

        Args:
            input_ids: [rows, length].
            output_ids: The piece that follows each of these, `PAD_ID` where there is none.
        """
        features, after = self(input_ids, state)
        output = vocabulary_loss(
            features, self.vocabulary.weight, self.vocabulary.bias, output_ids, pad_id=PAD_ID
        )
        return output, after

    @property
    def _cells(self) -> list[Cell]:
        return [cast(Cell, cell) for cell in self.layers]

    def _read_out(self, features: Tensor) -> Tensor:
        if self.projection is not None:
            features = torch.tanh(linear(features, self.projection.weight, self.projection.bias))
        return self.dropout(features)
