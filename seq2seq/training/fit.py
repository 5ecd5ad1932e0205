"""The training steps: what one process does of them, alone or together with others."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from seq2seq.config import Recipe, shown
from seq2seq.data.batch import Batch
from seq2seq.data.datamodule import BatchLoader, TranslationDataModule
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model
from seq2seq.training.callbacks import Clock, Epochs, Evaluation, LastCheckpoint, Plan
from seq2seq.training.checkpoints import BestWeights, CheckpointFiles, check_fits
from seq2seq.training.development import Development
from seq2seq.training.hardware import Hardware, choose_hardware
from seq2seq.training.logs import make_loggers, say
from seq2seq.training.module import LOG_EVERY, LearningModule, TranslationModule
from seq2seq.training.progress import ProgressReport
from seq2seq.training.run_folder import RunFolder
from seq2seq.training.signals import OwnSignals, handle_signals
from seq2seq.training.skipping import SkippedSteps
from seq2seq.training.world import World

_SHOWN_PAIRS = 5  # of a batch that is named


@dataclass(frozen=True)
class FitJob:
    """What a process needs to take part; it can be sent to another one."""

    recipe: Recipe
    data: TranslationDataModule
    folder: RunFolder
    resumed_step: int
    """The step after which the last checkpoint continues; 0 to begin."""


@dataclass(frozen=True)
class FitResult:
    """What the steps have led to; the weights stand in the run folder."""

    history: list[dict[str, Any]]
    """See `Evaluation.history`."""
    ranking: list[tuple[float, int]]
    """See `BestWeights.ranking`."""
    ended: str
    """Why training ended, for reports."""


def make_network(recipe: Recipe, data: TranslationDataModule) -> EncoderDecoder:
    """The network of a recipe as training begins with it, the same in every process."""
    source, target = data.tokenizers.source, data.tokenizers.target
    torch.manual_seed(recipe.training.seed)
    return build_model(recipe.model, source.vocabulary_size, target.vocabulary_size)


def fit(job: FitJob, world: World) -> FitResult:
    """Trains to the end, from the last checkpoint if that is of a step above 0.

    Raises:
        TrainingError: If too many losses are not finite, or somebody interrupted.
    """
    recipe, folder, config = job.recipe, job.folder, job.recipe.training
    hardware = choose_hardware(config, local_rank=world.local_rank, threads=world.threads)
    data = job.data.for_process(world.rank, world.size)
    network = make_network(recipe, data)
    loader = data.train_dataloader()
    plan = Plan.of(config, len(loader))
    clock = Clock()
    development = Development(job.data, recipe, hardware, world)  # which shares it out itself
    progress = ProgressReport(
        development, config, clock=clock, plan=plan, samples_file=folder.logs / "samples.txt"
    )
    best = BestWeights(folder.checkpoints, config.average_best, writes=world.is_first)
    evaluation = Evaluation(
        development,
        config,
        best=best,
        clock=clock,
        plan=plan,
        world=world,
        report=progress.report if world.is_first else _say_nothing,
    )
    last = LastCheckpoint(
        folder.checkpoints,
        config.checkpoint_minutes,
        best=best,
        evaluation=evaluation,
        world=world,
    )
    skipped = SkippedSteps(
        config.non_finite_limit, world, describe=_pairs_describer(loader, data), say=progress.print
    )
    module = TranslationModule(
        network, config, total_steps=plan.total_steps, world=world, skipped=skipped
    )
    callbacks: list[Callback] = [OwnSignals(), Epochs(), clock, evaluation, progress, last]
    if not world.is_first:
        callbacks.remove(progress)
    if world.is_first:
        say(describe_start(network, hardware, world, job.resumed_step))
    with handle_signals(last.interrupt, once=world.size == 1):
        run_trainer(
            module,
            callbacks,
            data={"datamodule": data},
            folder=folder,
            plan=plan,
            hardware=hardware,
            world=world,
            resumed_step=job.resumed_step,
            accumulate_batches=config.accumulate_batches,
        )
    return FitResult(evaluation.history, best.ranking, evaluation.ended)


def run_trainer(
    module: LearningModule,
    callbacks: list[Callback],
    *,
    data: dict[str, Any],
    folder: RunFolder,
    plan: Plan,
    hardware: Hardware,
    world: World,
    resumed_step: int,
    accumulate_batches: int = 1,
) -> None:
    """Lets Lightning make the steps, and nothing else: all that happens in between is `callbacks`.

    Args:
        data: What Lightning's `fit` is given to read.
        resumed_step: The step after which the last checkpoint continues; 0 to begin.

    Raises:
        ConfigurationError: If the checkpoint is of another network.
    """
    with _quiet():
        trainer = Trainer(
            **_processes(hardware, world),
            precision="bf16-mixed" if hardware.bfloat16 else "32-true",
            # A resumed run may be past a lower number of epochs; then `Evaluation` stops it.
            max_epochs=max(
                module.config.max_epochs, math.ceil(resumed_step / plan.steps_per_epoch)
            ),
            accumulate_grad_batches=accumulate_batches,
            callbacks=callbacks,
            logger=make_loggers(folder.logs, resumed_step) if world.is_first else False,
            log_every_n_steps=LOG_EVERY,
            default_root_dir=folder.path,
            limit_val_batches=0,  # `Evaluation` does more, and at any step
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        if resumed_step:
            check_fits(folder.last_checkpoint, module)
        trainer.fit(
            module,
            **data,
            ckpt_path=folder.last_checkpoint if resumed_step else None,
            weights_only=True,
        )


class _Together(DDPStrategy):
    """Gradients are means over all processes; a checkpoint is the first one's own affair.

    Lightning has all processes wait for it, so that one that failed could not be gone over.
    """

    def barrier(self, *args: Any, **kwargs: Any) -> None:
        """Waits for the others, but not when a checkpoint is saved."""
        if args != ("Trainer.save_checkpoint",):
            super().barrier(*args, **kwargs)


def _processes(hardware: Hardware, world: World) -> dict[str, Any]:
    """What Lightning is to know of the device and of the other processes."""
    is_gpu = hardware.device.type == "cuda"
    settings = {
        "accelerator": "gpu" if is_gpu else "cpu",
        "plugins": [world.environment, CheckpointFiles()],
    }
    if world.size == 1:
        return {**settings, "devices": [hardware.device.index or 0] if is_gpu else 1}
    return {
        **settings,
        "devices": world.local_size,
        "num_nodes": world.size // world.local_size,
        "strategy": _Together(),
    }


def describe_start(network: nn.Module, hardware: Hardware, world: World, resumed_step: int) -> str:
    """One line that says how large a network is, and where it learns."""
    num_weights = sum(parameter.numel() for parameter in network.parameters())
    where = f"{world.size} processes, each on {hardware}" if world.size > 1 else hardware
    continued = f", continued after step {resumed_step:,}" if resumed_step else ""
    return f"Training {num_weights:,} weights on {where}{continued}"


def _pairs_describer(loader: BatchLoader, data: TranslationDataModule) -> Callable[[Batch], str]:
    """Makes the function that says which pairs of the training set a batch has."""

    def describe(batch: Batch) -> str:
        rows = [int(loader.pairs.rows[index]) for index in batch.sentence_indices]
        numbers = ", ".join(f"{row + 1:,}" for row in rows[:_SHOWN_PAIRS])
        more = f" and {len(rows) - _SHOWN_PAIRS:,} more" if len(rows) > _SHOWN_PAIRS else ""
        source = shown(data.corpus.train.sources[rows[0]])
        return f"training pairs {numbers}{more} (the first source: {source})"

    return describe


def _say_nothing(entry: object, translations: object) -> None:
    """What a process reports that is not the first."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Lightning's tips and warnings to itself; errors are raised all the same."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
