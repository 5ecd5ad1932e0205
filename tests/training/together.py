"""What the processes of the tests do that train together, or fail together."""

import math
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from copy_corpus import TINY_MODEL, make_recipe
from lightning.pytorch import Trainer
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from seq2seq.config import ConfigurationError, Recipe, TrainingConfig
from seq2seq.data.batch import make_batch
from seq2seq.exits import run_command
from seq2seq.models.encoder_decoder import build_model
from seq2seq.training.errors import TrainingError
from seq2seq.training.fit import FitJob, FitResult, fit
from seq2seq.training.module import TranslationModule
from seq2seq.training.skipping import SkippedSteps
from seq2seq.training.train import train
from seq2seq.training.world import World

# For one process these batches of the copy corpus would be 13, so that one of them is halved.
SETTINGS = {"batch_tokens": 48, "schedule": "constant", "max_epochs": 3, "average_best": 1}
STEPS_PER_EPOCH = 7

SENTENCES = [([4, 5, 6], [8, 9]), ([7], [5, 6, 7, 8]), ([9, 4], [4]), ([5, 5, 8, 6], [6, 6, 9])]
# Of each step the sentences of process 0 and those of process 1, of quite other lengths.
SHARES = [([0, 1, 2], [3]), ([3], [0, 2])]
VARIANTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"cell": "lstm", "encoder_layers": 2, "decoder_layers": 2}, {"label_smoothing": 0.0}),
    ({"attention": "none"}, {"truncation_steps": 2}),
    ({"attention": "none", "context_steps": "first", "cell": "rnn"}, {}),
    ({"tie_embeddings": False, "bidirectional": False}, {"truncation_steps": 1}),
    ({"share_embeddings": True}, {"plain": True}),
    ({}, {"guided_attention": 0.5}),
]


def two_processes(corpus: Path, **training: Any) -> Recipe:
    """A recipe for two processes; keyword arguments as in `make_recipe`."""
    return make_recipe(corpus, devices=2, **{**SETTINGS, **training})


def make_module(world: World, model: dict[str, Any], training: dict[str, Any]) -> TranslationModule:
    """A module without noise, the same in every process."""
    torch.manual_seed(1)
    network = build_model(replace(TINY_MODEL, dropout=0.0, **model), 10, 10)
    config = TrainingConfig(optimizer="sgd", gradient_clip=0.0, **training)
    skipped = SkippedSteps(
        config.non_finite_limit,
        world,
        describe=lambda batch: f"pairs {batch.sentence_indices}",
        say=lambda text: said.append(text),
    )
    return TranslationModule(network, config, total_steps=9, world=world, skipped=skipped)


said: list[str] = []


class _Step(nn.Module):
    def __init__(self, module: TranslationModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, indices: list[int]) -> torch.Tensor:
        sources, targets = zip(*(SENTENCES[index] for index in indices), strict=True)
        links = None
        if self.module.config.guided_attention:
            links = [np.array([[0, len(target) - 1]]) for target in targets]
        return self.module.training_step(make_batch(sources, targets, indices, links=links), 0)


def gradients(world: World, model: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """The gradients of two accumulated batches, each joined from the processes' shares."""
    module = make_module(world, model, training)
    step: Any = _Step(module)
    if world.size > 1:
        step = DistributedDataParallel(step)
    for number, shares in enumerate(SHARES):
        own = shares[world.rank] if world.size > 1 else shares[0] + shares[1]
        if world.size > 1:
            step.require_backward_grad_sync = number == len(SHARES) - 1  # as Lightning does
        (step(own) / len(SHARES)).backward()
    # Tensors would be shared with a process that ends.
    return {name: weight.grad.numpy() for name, weight in module.network.named_parameters()}


def compute(job: Any, world: World) -> dict[str, Any]:
    """All that is compared with one process."""
    result: dict[str, Any] = {"gradients": [gradients(world, *variant) for variant in VARIANTS]}
    result["any"] = world.any(world.rank == 1, False, True)
    result["sum"] = world.sum([1.0, world.rank])
    result["gather"] = world.gather(f"rank {world.rank}")
    result["shares"] = world.gather(list(world.share(range(5))))
    result["threads"] = world.gather(world.threads)
    result["skipped"] = world.gather(_skip(world))
    return result


def _skip(world: World) -> Any:
    """A step whose loss is not a number in process 1 only."""
    module = make_module(world, {}, {"non_finite_limit": 1})
    module.trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    if world.rank == 1:
        original = module.network.loss
        module.network.loss = lambda *inputs, **settings: (  # type: ignore[method-assign]
            lambda output: output._replace(loss=output.loss + math.nan)
        )(original(*inputs, **settings))
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    step = DistributedDataParallel(_Step(module))
    step(SHARES[0][world.rank]).backward()
    module.configure_gradient_clipping(optimizer)
    no_gradients = all(parameter.grad is None for parameter in module.parameters())
    step(SHARES[0][world.rank]).backward()
    try:
        module.configure_gradient_clipping(optimizer)
    except TrainingError as error:
        return no_gradients, said, str(error)
    return no_gradients, said, "no error"


def fit_with_signal(job: FitJob, world: World) -> FitResult:
    """Somebody asks process 1 to end, and no other, in the middle of step 8."""
    _at_step(8, lambda: world.rank == 1 and os.kill(os.getpid(), signal.SIGTERM))
    return fit(job, world)


def fit_with_death(job: FitJob, world: World) -> FitResult:
    """Process 1 is killed in the middle of step 8."""
    _at_step(8, lambda: world.rank == 1 and os.kill(os.getpid(), signal.SIGKILL))
    return fit(job, world)


def _at_step(number: int, act: Any) -> None:
    original = TranslationModule.training_step

    def training_step(self: TranslationModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.global_step == number - 1:
            act()
        return original(self, batch, batch_idx)

    TranslationModule.training_step = training_step  # type: ignore[method-assign]


def fail_in_one(job: Any, world: World) -> None:
    """Process 1 cannot go on, which process 0 notices by a connection that is gone."""
    if world.rank == 1:
        raise ConfigurationError("Something is wrong in one process.")
    world.wait()


def miss_in_one(job: Any, world: World) -> None:
    """Process 0 misses a file, when process 1 waits for it already."""
    if world.rank == 0:
        time.sleep(0.1)
        Path("/nowhere/at/all").read_text()
    world.wait()


def break_in_one(job: Any, world: World) -> None:
    """Process 1 has a bug."""
    if world.rank == 1:
        raise KeyError("bug")
    world.wait()


def leave_silently(job: Any, world: World) -> None:
    """Process 0 ends without a word."""
    if world.rank == 0:
        os._exit(3)
    world.wait()


def train_as_task(rank: int, port: int, recipe: Recipe, run_dir: Path, resume: bool) -> None:
    """What one of two tasks of SLURM does; ends with the exit code of the command.

    What it says goes to task-RANK.txt beside the run folder.
    """
    with open(run_dir.parent / f"task-{rank}.txt", "wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.environ.update(slurm(rank, 2), MASTER_PORT=str(port), MASTER_ADDR="127.0.0.1")
    sys.exit(run_command(lambda: train(recipe, run_dir, resume=resume)))


def slurm(rank: int, size: int) -> dict[str, str]:
    """What `srun` sets for a task, as far as it is looked at, on one machine."""
    names = ("NTASKS", "NTASKS_PER_NODE")
    places = {"PROCID": rank, "LOCALID": rank, "NODEID": 0, "NNODES": 1, "STEP_ID": 0, "JOB_ID": 7}
    places |= dict.fromkeys(names, size)
    return {f"SLURM_{name}": str(value) for name, value in places.items()}
