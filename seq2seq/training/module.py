"""The Lightning module: a ready-made network plus loss, optimiser and logging, nothing else.

`LearningModule` has what all networks share, `TranslationModule` what translators need.
To add an optimiser: a function and one line of `OPTIMIZERS`.
"""

import math
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from seq2seq.config import TrainingConfig, choose
from seq2seq.data.batch import Batch
from seq2seq.language_config import LanguageTrainingConfig
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.loss import LossOutput
from seq2seq.models.products import plain_path
from seq2seq.training.schedule import SCHEDULES
from seq2seq.training.skipping import SkippedSteps
from seq2seq.training.world import World

# Optimiser steps between two lines of the logs.
LOG_EVERY = 10


def make_adam(parameters: Any, learning_rate: float) -> Optimizer:
    """Adam (Kingma and Ba, 2015), with decoupled decay (Loshchilov and Hutter, 2019)."""
    return AdamW(parameters, lr=learning_rate, fused=True)


def make_sgd(parameters: Any, learning_rate: float) -> Optimizer:
    """Plain gradient descent; without momentum, L2 decay and decoupled decay are the same."""
    return SGD(parameters, lr=learning_rate)


OPTIMIZERS: Mapping[str, Callable[[Any, float], Optimizer]] = {
    "adam": make_adam,
    "sgd": make_sgd,
}


@dataclass
class Window:
    """Sums over some batches; tensors stay on their device until somebody reads them."""

    loss: Tensor | float = 0.0
    attention_loss: Tensor | float = 0.0
    gradient_norm: Tensor | float = 0.0  # of the last step, not a sum
    target_pieces: int = 0
    source_pieces: Tensor | int = 0
    padded_pieces: int = 0
    started: float = field(default_factory=time.monotonic)

    def add(self, loss: Tensor, batch: Batch, attention_loss: Tensor | float = 0.0) -> None:
        """Counts a batch; losses are sums over the target pieces."""
        self.loss = self.loss + loss
        self.attention_loss = self.attention_loss + attention_loss
        self.target_pieces += batch.num_target_pieces
        self.source_pieces = self.source_pieces + batch.source_lengths.sum()
        self.padded_pieces += batch.source_ids.numel() + batch.target_output_ids.numel()

    def joined(self, world: World) -> "Window":
        """The sums of all processes together."""
        if world.size == 1:
            return self
        losses = [float(self.loss), float(self.attention_loss)]
        sums = world.sum([*losses, self.target_pieces, int(self.source_pieces), self.padded_pieces])
        loss, attention_loss, target_pieces, source_pieces, padded_pieces = sums
        return replace(
            self,
            loss=loss,
            attention_loss=attention_loss,
            target_pieces=int(target_pieces),
            source_pieces=int(source_pieces),
            padded_pieces=int(padded_pieces),
        )

    def merge(self, later: "Window") -> None:
        """Counts what another window has counted since."""
        self.loss = self.loss + later.loss
        self.attention_loss = self.attention_loss + later.attention_loss
        self.gradient_norm = later.gradient_norm
        self.target_pieces += later.target_pieces
        self.source_pieces = self.source_pieces + later.source_pieces
        self.padded_pieces += later.padded_pieces

    def means(self) -> dict[str, float]:
        """Loss per target piece, last gradient norm, target pieces per second, padding share.

        Of a window without batches, whose steps were all left out, they are not numbers.
        """
        if not self.padded_pieces:
            names = ("loss", "gradient_norm", "pieces_per_second", "padding_share")
            return dict.fromkeys(names, math.nan)
        pieces = self.target_pieces + int(self.source_pieces)
        return {
            "loss": float(self.loss) / self.target_pieces,
            "gradient_norm": float(self.gradient_norm),
            "pieces_per_second": self.target_pieces / (time.monotonic() - self.started),
            "padding_share": 1 - pieces / self.padded_pieces,
        }


class Learnt(NamedTuple):
    """A batch of a step, its whole loss, and what a window is to count of it."""

    batch: Any
    total: Tensor
    counts: Window


class LearningModule(LightningModule):
    """What training has in common, whatever the network reads: optimiser, clipping, logging.

    A subclass adds what it has learnt to `learnt`, in each training step.

    Args:
        network: Ready-made.
        total_steps: Optimiser steps of the whole training, which a schedule may want to know.
        world: The processes that train together.
        skipped: Counts the steps that are left out.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainingConfig | LanguageTrainingConfig,
        *,
        total_steps: int,
        world: World,
        skipped: SkippedSteps,
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.total_steps = total_steps
        self.world = world
        self.skipped = skipped
        self.learnt: list[Learnt] = []
        """Batches of the step that is being made."""
        self.metrics: dict[str, float] = {}
        """What was logged last."""
        self.start_windows()

    def on_train_start(self) -> None:
        """Starts the clock of the logged speed."""
        self.start_windows()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Makes the noise of a batch depend on nothing but the seed and the batch's place.

        Whatever drew random numbers in between, an evaluation or an interruption, the batch
        sees the same dropout; this is how a resumed run continues to identical weights.
        """
        # A checksum, because the generator of the processor looks at 32 bits of a seed only.
        place = f"{self.config.seed}/{self.current_epoch}/{batch_idx}"
        if self.world.rank:
            place += f"/{self.world.rank}"
        torch.manual_seed(zlib.crc32(place.encode()))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Logs every so many steps."""
        if self.global_step % LOG_EVERY == 0:
            self.close_window()

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips the L2 norm of all gradients together; the norm before that is logged.

        Gradients that are not finite are deleted: the optimiser then changes neither weights nor
        moments, as if there had been no step.

        Raises:
            TrainingError: If that has become too many steps.
        """
        limit = self.config.gradient_clip or math.inf
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        batches, self.learnt = self.learnt, []
        if math.isfinite(norm):
            self.skipped.in_a_row = 0
            for each in batches:
                self.window.merge(each.counts)
            self.window.gradient_norm = norm
        else:
            optimizer.zero_grad(set_to_none=True)
            step = self.global_step + 1
            losses = [(each.total, each.batch) for each in batches]
            self.skipped.add(losses, epoch=self.current_epoch + 1, step=step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the steps that were left out just now."""
        checkpoint["skipped_in_a_row"] = self.skipped.in_a_row

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes them back."""
        self.skipped.in_a_row = checkpoint.get("skipped_in_a_row", 0)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Optimiser and schedule that the recipe names."""
        config = self.config
        make_optimizer = choose(OPTIMIZERS, config.optimizer, field="training.optimizer")
        schedule = choose(SCHEDULES, config.schedule, field="training.schedule")
        groups = _parameter_groups(self.network, config.weight_decay)
        optimizer = make_optimizer(groups, config.learning_rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": schedule(
                    optimizer, warmup_steps=config.warmup_steps, total_steps=self.total_steps
                ),
                "interval": "step",
            },
        }

    def start_windows(self) -> None:
        """Forgets sums and clock, at the start and after a pause."""
        self.window = Window()
        """Since the last logging."""
        self.evaluation_window = Window()
        """Since the last evaluation, as far as logged."""

    def close_window(self) -> None:
        """Logs what was learnt since the last time, if anything was."""
        if not self.window.padded_pieces:
            return
        self.window = self.window.joined(self.world)
        metrics = self.means(self.window)
        metrics["learning_rate"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        for logger in self.loggers:
            logger.log_metrics(metrics, step=self.global_step)
        self.metrics = metrics
        self.evaluation_window.merge(self.window)
        self.window = Window()

    def means(self, window: Window) -> dict[str, float]:
        """What is logged of a window."""
        return window.means()


class TranslationModule(LearningModule):
    """Trains an encoder-decoder on batches of sentence pairs.

    Args:
        network: Ready-made, with `encoder`, `decoder` and `loss`; see `models.encoder_decoder`.
    """

    network: EncoderDecoder
    config: TrainingConfig

    @property
    def encoder(self) -> nn.Module:
        """The half of the network that reads source sentences."""
        return self.network.encoder

    @property
    def decoder(self) -> nn.Module:
        """The half of the network that writes target sentences."""
        return self.network.decoder

    def forward(self, batch: Batch) -> LossOutput:
        """Summed loss, summed negative log-likelihood and number of target pieces of a batch."""
        with plain_path(self.config.plain):
            return self.network.loss(
                batch.source_ids,
                batch.source_lengths,
                batch.target_input_ids,
                batch.target_output_ids,
                label_smoothing=self.config.label_smoothing,
                truncation_steps=self.config.truncation_steps,
            )

    def guided(self, batch: Batch, guide: Tensor) -> tuple[LossOutput, Tensor]:
        """The same, and the summed loss of the attention."""
        with plain_path(self.config.plain):
            return self.network.guided_loss(
                batch.source_ids,
                batch.source_lengths,
                batch.target_input_ids,
                batch.target_output_ids,
                guide,
                label_smoothing=self.config.label_smoothing,
                truncation_steps=self.config.truncation_steps,
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Smoothed loss per real target piece; of several processes', the mean is that.

        With a guide, the weighted loss of the attention is added.
        """
        joined_pieces = self.world.start_sum([batch.num_target_pieces])
        attention_loss: Tensor | float = 0.0
        if batch.guide is None:
            output = self(batch)
            total = output.loss
        else:
            output, guided = self.guided(batch, batch.guide)
            total = output.loss + self.config.guided_attention * guided
            attention_loss = guided.detach()
        known = total.detach()
        counts = Window()
        counts.add(output.loss.detach(), batch, attention_loss)
        self.learnt.append(Learnt(batch, known, counts))
        # Makes the gradients not finite if the loss is not, and those of the other processes.
        infectious = total * (1 + 0 * known)
        return infectious / (joined_pieces()[0] / self.world.size)

    def means(self, window: Window) -> dict[str, float]:
        """What is logged of a window; with guided attention its loss, too."""
        metrics = super().means(window)
        if self.config.guided_attention:
            metrics["attention_loss"] = float(window.attention_loss) / window.target_pieces
        return metrics


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, biases do not."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
