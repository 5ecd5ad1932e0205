"""What training shows: a bar, a line per evaluation, and sample translations."""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from seq2seq.config import TrainingConfig
from seq2seq.files import append, explain_write_error
from seq2seq.language_config import LanguageTrainingConfig
from seq2seq.training.callbacks import Clock, Plan, StepCallback
from seq2seq.training.development import Development
from seq2seq.training.logs import say
from seq2seq.training.module import LOG_EVERY, LearningModule


class ProgressDisplay(StepCallback):
    """Shows a bar on a terminal, and one line per evaluation anywhere.

    Args:
        samples_file: Gets the samples of every evaluation; the terminal does too.
    """

    def __init__(
        self,
        config: TrainingConfig | LanguageTrainingConfig,
        *,
        clock: Clock,
        plan: Plan,
        samples_file: Path,
        console: Console | None = None,
    ) -> None:
        super().__init__()
        self._config = config
        self._clock = clock
        self._plan = plan
        self._samples_file = samples_file
        self._samples_size = 0
        self._first_step = 0
        self._started = time.monotonic()
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %  {task.fields[numbers]}"),
            console=self._console,
            refresh_per_second=2,
            transient=True,
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the bar."""
        super().on_train_start(trainer, pl_module)
        self._first_step = trainer.global_step
        self._started = time.monotonic()
        if self._samples_file.exists():
            # Evaluations past the checkpoint come again.
            size = min(self._samples_size, self._samples_file.stat().st_size)
            os.truncate(self._samples_file, size)
        if self._console.is_terminal:
            self._bar.add_task("", total=1.0, epoch="", numbers="")
            self._bar.start()

    def on_step(self, trainer: Trainer, module: LearningModule) -> None:
        """Moves the bar now and then."""
        step = trainer.global_step
        if not self._bar.tasks or step % LOG_EVERY:
            return
        numbers = f"{self._time_left(step)} left"
        if module.metrics:
            speed = module.metrics["pieces_per_second"]
            numbers = f"loss {module.metrics['loss']:.3f}  {speed:,.0f} pieces/s  {numbers}"
        epoch = min(step // self._plan.steps_per_epoch + 1, self._config.max_epochs)
        self._bar.update(
            self._bar.task_ids[0],
            completed=self._share_done(step),
            epoch=f"{epoch}/{self._config.max_epochs}",
            numbers=numbers,
        )

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Takes the bar away, whatever ended training."""
        if self._bar.live.is_started:  # stopping what never began would print an empty line
            self._bar.stop()

    def report(self, entry: Mapping[str, Any], written: Sequence[str]) -> None:
        """Prints an evaluation and samples of what the network has written."""
        self.print(self.describe(entry))
        samples = self.samples(written)
        if self._console.is_terminal:
            self.print("\n".join(samples))
        try:
            self._samples_file.parent.mkdir(parents=True, exist_ok=True)
            append(self._samples_file, "\n".join([self.describe(entry), *samples, ""]))
            self._samples_size = self._samples_file.stat().st_size
        except OSError as error:
            say(f"{explain_write_error(error, self._samples_file)}; training goes on.")

    def describe(self, entry: Mapping[str, Any]) -> str:
        """One line for an entry of `Evaluation.history`."""
        raise NotImplementedError

    def samples(self, written: Sequence[str]) -> list[str]:
        """What is shown of what the network has written, each with a line's end."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"samples_size": self._samples_size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what a checkpoint kept."""
        self._samples_size = state_dict["samples_size"]

    def print(self, text: str) -> None:
        """Prints text as it is, above the bar."""
        with contextlib.suppress(OSError):  # standard error may be a file on a full disk
            self._console.print(Text(text), soft_wrap=True)

    def _share_done(self, step: int) -> float:
        """Of the steps or of the time, whichever ends training first."""
        limit = self._config.max_minutes
        share_of_time = self._clock.seconds / (60 * limit) if limit is not None else 0.0
        return max(step / self._plan.total_steps, share_of_time)

    def _time_left(self, step: int) -> str:
        seconds = time.monotonic() - self._started
        left = seconds / max(1, step - self._first_step) * (self._plan.total_steps - step)
        if self._config.max_minutes is not None:
            left = min(left, 60 * self._config.max_minutes - self._clock.seconds)
        return str(timedelta(seconds=round(max(0.0, left))))


class ProgressReport(ProgressDisplay):
    """The progress of a translator, with its first translations.

    Args:
        development: Whose sources and references are shown.
    """

    def __init__(self, development: Development, config: TrainingConfig, **settings: Any) -> None:
        super().__init__(config, **settings)
        self._sources = development.sources[: config.samples]
        self._references = development.references

    def describe(self, entry: Mapping[str, Any]) -> str:
        """One line for an entry of `Evaluation.history`."""
        return describe_evaluation(entry)

    def samples(self, written: Sequence[str]) -> list[str]:
        """The first translations, each below its source and its reference."""
        return [
            f"  source:    {source}\n  reference: {reference}\n  output:    {output}\n"
            for source, reference, output in zip(
                self._sources, self._references, written, strict=False
            )
        ]


def describe_evaluation(entry: Mapping[str, Any]) -> str:
    """One line for an entry of `Evaluation.history`."""
    return (
        f"epoch {entry['epoch']:.2f}  step {entry['step']}  loss {entry['loss']:.3f}  "
        f"dev loss {entry['dev_loss']:.3f}  perplexity {entry['dev_perplexity']:.2f}  "
        f"BLEU {entry['dev_bleu']:.2f}  chrF {entry['dev_chrf']:.2f}  "
        f"{entry['pieces_per_second']:,.0f} pieces/s  "
        f"{timedelta(seconds=round(60 * entry['minutes']))}{'  best' if entry['improved'] else ''}"
    )
