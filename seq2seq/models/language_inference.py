"""A trained language network rearranged for single steps: faster, and with the same numbers.

As `models/inference.py` is for translation; in float32.
"""

from typing import cast

import torch
from torch import Tensor

from seq2seq.models.cells import Cell, fast_tanh
from seq2seq.models.inference import advance, equations
from seq2seq.models.language_model import LanguageNetwork, LanguageState
from seq2seq.models.packed import Float32


class LanguageInference:
    """What a search needs of a language network.

    Args:
        network: In float32 and evaluation mode, on its device. It is only read.
    """

    def __init__(self, network: LanguageNetwork) -> None:
        pack = Float32().pack
        self._network = network
        self._layers = [
            (
                equations(cell),
                pack(cell.weight_ih, cell.bias_ih),
                pack(cell.weight_hh, cell.bias_hh),
            )
            for cell in (cast(Cell, layer) for layer in network.layers)
        ]
        projection = network.projection
        self._project = projection and pack(projection.weight, projection.bias)
        self._vocabulary = pack(network.vocabulary.weight, network.vocabulary.bias)

    def start(self, rows: int) -> LanguageState:
        """See `LanguageNetwork.start`."""
        return self._network.start(rows)

    def step(self, previous_ids: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        """See `LanguageNetwork.step`."""
        return self.read(previous_ids, state, len(previous_ids))

    def read(self, ids: Tensor, state: LanguageState, rows: int) -> tuple[Tensor, LanguageState]:
        """Reads any number of pieces of each row, the first piece of all rows first.

        Args:
            ids: [length * rows].

        Returns:
            Unnormalised log-probabilities of the piece that follows each,
            [length * rows, vocabulary_size], and the state after all of them.
        """
        features = self._network.embedding.weight.detach().index_select(0, ids)
        layers = []
        for index, (cell, from_below, from_before) in enumerate(self._layers):
            after, outputs = state.layers[index], []
            for projected in from_below(features).split(rows):
                after = advance(cell, projected, from_before(after[0]), after)
                outputs.append(after[0])
            hidden = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
            features = features + hidden if index >= 2 else hidden
            layers.append(after)
        if self._project is not None:
            features = fast_tanh(self._project(features))
        return self._vocabulary(features), LanguageState(tuple(layers))
