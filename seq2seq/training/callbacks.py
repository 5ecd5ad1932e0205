"""What happens between the steps of training: evaluation, checkpoints and limits."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from seq2seq.config import TrainingConfig
from seq2seq.data.datamodule import BatchLoader
from seq2seq.data.running_text import ChunkLoader
from seq2seq.files import explain_write_error
from seq2seq.language_config import LanguageTrainingConfig
from seq2seq.training.checkpoints import LAST_FILE, BestWeights
from seq2seq.training.development import Examiner
from seq2seq.training.errors import TrainingError, TrainingInterrupted
from seq2seq.training.logs import say
from seq2seq.training.module import LearningModule
from seq2seq.training.schedule import Schedule
from seq2seq.training.world import World


@dataclass(frozen=True)
class Plan:
    """The length of a training run in optimiser steps."""

    steps_per_epoch: int
    total_steps: int
    steps_between_evaluations: int

    @classmethod
    def of(cls, config: TrainingConfig | LanguageTrainingConfig, batches_per_epoch: int) -> "Plan":
        """The plan of a recipe, for a corpus of so many batches."""
        accumulated = config.accumulate_batches if isinstance(config, TrainingConfig) else 1
        steps = math.ceil(batches_per_epoch / accumulated)
        between = max(1, round(config.validate_every * steps))
        return cls(steps, steps * config.max_epochs, between)


class Clock(Callback):
    """Counts the time of a run over all its interruptions."""

    def __init__(self) -> None:
        self._earlier = 0.0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training, evaluations included."""
        return self._earlier + time.monotonic() - self._started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts to count."""
        self._started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what a checkpoint kept."""
        self._earlier = state_dict["seconds"]


class Epochs(Callback):
    """Tells the batches which epoch it is, as Lightning tells only samplers of single examples."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch that a checkpoint is in the midst of stays where it is."""
        cast(BatchLoader | ChunkLoader, trainer.train_dataloader).set_epoch(trainer.current_epoch)


class StepCallback(Callback):
    """A callback that hears of optimiser steps, not of every accumulated batch."""

    def __init__(self) -> None:
        self._last_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finds out where a resumed run stands."""
        self._last_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Calls `on_step` if the batch ended with a step."""
        if trainer.global_step != self._last_step:
            self._last_step = trainer.global_step
            self.on_step(trainer, cast(LearningModule, pl_module))

    def on_step(self, trainer: Trainer, module: LearningModule) -> None:
        """Is called after each optimiser step."""
        raise NotImplementedError


class Evaluation(StepCallback):
    """Evaluates the development set, ranks the weights, and ends training when it is time.

    Args:
        world: The processes that must agree on the end.
        report: Takes each evaluation's entry of `history` and what the network has written.
    """

    def __init__(
        self,
        development: Examiner,
        config: TrainingConfig | LanguageTrainingConfig,
        *,
        best: BestWeights,
        clock: Clock,
        plan: Plan,
        world: World,
        report: Callable[[dict[str, Any], list[str]], None],
    ) -> None:
        super().__init__()
        self.history: list[dict[str, Any]] = []
        """One entry per evaluation, plain values: epoch, step, loss, dev_loss, dev_bleu, ..."""
        self._development = development
        self._config = config
        self.best = best
        self._clock = clock
        self._plan = plan
        self._world = world
        self._report = report

    @property
    def out_of_patience(self) -> bool:
        """Whether the last evaluations brought no improvement."""
        best = max(range(len(self.history)), key=lambda i: self.history[i]["value"], default=0)
        return len(self.history) - 1 - best >= self._config.patience

    @property
    def ended(self) -> str:
        """Why training ended, for reports."""
        if self.history[-1]["step"] >= self._plan.total_steps:
            epochs = self._config.max_epochs
            return f"after {epochs} epoch{'s' if epochs > 1 else ''}, as set"
        if self.out_of_patience:
            return f"after {self._config.patience} evaluations without improvement"
        return f"after {self._config.max_minutes:g} minutes, as set"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A resumed run may have been at its end."""
        super().on_train_start(trainer, pl_module)
        at_end = trainer.global_step >= self._plan.total_steps
        trainer.should_stop = bool(self.history) and (
            at_end or self.out_of_patience or self._is_out_of_time()
        )

    def on_step(self, trainer: Trainer, module: LearningModule) -> None:
        """Evaluates if it is time."""
        step = trainer.global_step
        last = step == self._plan.total_steps or self._is_out_of_time()
        if last or step % self._plan.steps_between_evaluations == 0:
            self._evaluate(trainer, module)
            trainer.should_stop = last or self.out_of_patience

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"history": self.history, "ranking": self.best.ranking}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what a checkpoint kept."""
        self.history = state_dict["history"]
        self.best.restore((value, step) for value, step in state_dict["ranking"])

    def _is_out_of_time(self) -> bool:
        """Whether `training.max_minutes` have passed by the clock of the first process."""
        limit = self._config.max_minutes
        if limit is None:
            return False
        (is_out,) = self._world.any(self._world.is_first and self._clock.seconds >= 60 * limit)
        return is_out

    def _evaluate(self, trainer: Trainer, module: LearningModule) -> None:
        module.close_window()
        step = trainer.global_step
        training = module.evaluation_window.means()
        found = self._development.examine(module.network)
        improved = self.best.offer(found.value, step, module.network.state_dict())
        for configuration in trainer.lr_scheduler_configs:
            cast(Schedule, configuration.scheduler).observe(improved)
        for logger in trainer.loggers:
            logger.log_metrics(found.numbers, step=step)
            logger.save()
        entry = {
            "epoch": step / self._plan.steps_per_epoch,
            "step": step,
            "minutes": self._clock.seconds / 60,
            "loss": training["loss"],
            "pieces_per_second": training["pieces_per_second"],
            **found.numbers,
            "value": found.value,
            "improved": improved,
        }
        self.history.append(entry)
        self._report(entry, found.samples)
        module.start_windows()  # the evaluation is no training time


class LastCheckpoint(StepCallback):
    """Saves everything a resumed run needs, every few minutes and whenever training stops.

    Must stand behind the callbacks whose state it saves.

    Args:
        best: Saved with each checkpoint, and told to delete what that no longer needs.
        world: The processes that must agree when to save; the first one does.
    """

    def __init__(
        self,
        folder: Path,
        minutes: float,
        *,
        best: BestWeights,
        evaluation: Evaluation,
        world: World,
    ) -> None:
        super().__init__()
        self._path = folder / LAST_FILE
        self._seconds = 60 * minutes
        self._best = best
        self._evaluation = evaluation
        self._world = world
        self._num_evaluations = 0
        self._saved = time.monotonic()
        self._saved_step = 0
        self._interrupted = False

    def interrupt(self, *signal_and_frame: Any) -> None:
        """Asks for a checkpoint after the current step, and the end of training; a handler."""
        self._interrupted = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        super().on_train_start(trainer, pl_module)
        self._saved = time.monotonic()
        self._saved_step = trainer.global_step
        self._num_evaluations = len(self._evaluation.history)

    def on_step(self, trainer: Trainer, module: LearningModule) -> None:
        """Saves if it is time.

        Raises:
            TrainingInterrupted: If `interrupt` was called.
        """
        # At the end of an epoch Lightning can resume only from its very end.
        if not trainer.is_last_batch:
            self._save_if_due(trainer, module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Like `on_step` for the last step of an epoch."""
        if trainer.is_last_batch:  # else training stops amid an epoch, and has been saved
            self._save_if_due(trainer, cast(LearningModule, pl_module))

    def _save_if_due(self, trainer: Trainer, module: LearningModule) -> None:
        evaluated = len(self._evaluation.history) > self._num_evaluations
        is_time = time.monotonic() - self._saved >= self._seconds
        due, interrupted = self._world.any(self._world.is_first and is_time, self._interrupted)
        if due or evaluated or trainer.should_stop or interrupted:
            self._save(trainer, module, is_last=trainer.should_stop or interrupted)
        if interrupted:
            raise TrainingInterrupted(
                f"Interrupted in epoch {trainer.current_epoch + 1} after {trainer.global_step} "
                f"steps; `--resume` continues there."
            )

    def _save(self, trainer: Trainer, module: LearningModule, *, is_last: bool) -> None:
        """Saves; what cannot be written now is tried again when it is next time.

        Raises:
            TrainingError: If it cannot be written and there is no next time.
        """
        module.close_window()
        # Nobody may go on while the first process writes.
        problem = self._world.gather(self._write(trainer) if self._world.is_first else None)[0]
        self._num_evaluations = len(self._evaluation.history)
        self._saved = time.monotonic()
        if problem is None:
            self._saved_step = trainer.global_step
        elif is_last:
            raise TrainingError(
                f"{problem}, then `--resume` continues after step {self._saved_step:,}."
            )
        elif self._world.is_first:
            say(
                f"{problem}; training goes on and will try again, but the last checkpoint is that "
                f"of step {self._saved_step:,}."
            )

    def _write(self, trainer: Trainer) -> str | None:
        """Writes all that belongs to a checkpoint.

        Returns:
            What kept it from that, without full stop, and None if nothing did.
        """
        try:
            for logger in trainer.loggers:
                logger.save()
            self._best.save()
            trainer.save_checkpoint(self._path)
            self._best.prune()
        except OSError as error:
            return explain_write_error(error, self._path)
        return None
