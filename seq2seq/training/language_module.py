"""The Lightning module of language models: the state goes on from chunk to chunk, gradients do not.

Truncated backpropagation through time (Williams and Peng, 1990).
"""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from seq2seq.data.running_text import Chunk
from seq2seq.language_config import LanguageTrainingConfig
from seq2seq.models.language_model import LanguageNetwork, LanguageState
from seq2seq.models.products import plain_path
from seq2seq.training.module import LearningModule, Learnt, Window


class LanguageModule(LearningModule):
    """Trains a language network on chunks of text, one optimiser step for each.

    Args:
        network: Ready-made, with `start` and `loss`; see `models.language_model`.
    """

    network: LanguageNetwork
    config: LanguageTrainingConfig

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._state: LanguageState | None = None  # after the last chunk

    def training_step(self, chunk: Chunk, batch_idx: int) -> Tensor:
        """Loss per piece of a chunk."""
        state = self._state
        if chunk.begins or state is None:
            state = self.network.start(len(chunk.input_ids))
        state = state.to(chunk.input_ids.device)  # that of a checkpoint is in main memory
        with plain_path(self.config.plain):
            output, after = self.network.loss(chunk.input_ids, chunk.output_ids, state)
        self._state = after.detach()
        total, pieces = output.loss.detach(), chunk.num_pieces
        counts = Window(loss=total, target_pieces=pieces, padded_pieces=chunk.output_ids.numel())
        self.learnt.append(Learnt(chunk, total, counts))
        return output.loss / pieces

    def configure_gradient_clipping(
        self, optimizer: Optimizer, *args: Any, **settings: Any
    ) -> None:
        """See `LearningModule`; after a step that is left out, rows go on from the zero state."""
        super().configure_gradient_clipping(optimizer, *args, **settings)
        if self.skipped.in_a_row:
            self._state = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the state after the last chunk."""
        super().on_save_checkpoint(checkpoint)
        layers = self._state.layers if self._state is not None else ()
        checkpoint["language_state"] = [list(layer) for layer in layers]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes it back."""
        super().on_load_checkpoint(checkpoint)
        layers = tuple(tuple(layer) for layer in checkpoint["language_state"])
        self._state = LanguageState(layers) if layers else None
