"""Trains a language model: text, tokenizer, network, fit, model directory."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from rich.console import Console

from seq2seq.config import ConfigurationError, TokenizerConfig, choose
from seq2seq.data.running_text import (
    ChunkLoader,
    EncodedText,
    Texts,
    checksum_of,
    make_chunks,
    read_texts,
)
from seq2seq.data.tokenizer import TOKENIZERS, Tokenizer, Tokenizers
from seq2seq.evaluation.text_loss import TextLoss
from seq2seq.language_config import LanguageRecipe
from seq2seq.language_model_directory import save_language_model
from seq2seq.model_directory import load_model_directory, load_tokenizers
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.out_of_memory import is_out_of_memory
from seq2seq.training.callbacks import Clock, Epochs, Evaluation, LastCheckpoint, Plan
from seq2seq.training.checkpoints import BestWeights, load_weights
from seq2seq.training.errors import TrainingError
from seq2seq.training.fit import describe_start, run_trainer
from seq2seq.training.hardware import Hardware, choose_hardware
from seq2seq.training.language_development import TextDevelopment
from seq2seq.training.language_module import LanguageModule
from seq2seq.training.language_progress import LanguageProgress
from seq2seq.training.logs import say
from seq2seq.training.module import OPTIMIZERS
from seq2seq.training.record import record_training
from seq2seq.training.run_folder import LanguageRunFolder
from seq2seq.training.schedule import SCHEDULES
from seq2seq.training.signals import OwnSignals, handle_signals
from seq2seq.training.skipping import SkippedSteps
from seq2seq.training.world import World

_MOST_SKIPPED = 10  # steps in a row whose gradient is not finite

Suit = Callable[[LanguageRecipe, int], LanguageRecipe]
"""Fits a recipe to the number of characters of the training text."""


@dataclass(frozen=True)
class LanguageTrainingResult:
    """What a training run left."""

    path: Path
    """The language model's folder, which is the run folder."""
    recipe: LanguageRecipe
    """As trained, with sizes that were chosen for the text."""
    scores: dict[str, TextLoss]
    """Of the development text, and of the test if there is one."""
    history: list[dict[str, Any]]
    """One entry per evaluation: epoch, step, minutes, loss, dev_loss (nats per piece),
    dev_perplexity, dev_bits_per_character, and more; see `Evaluation.history`."""
    steps: int
    """Optimiser steps."""
    minutes: float
    """Minutes of training, over all interruptions."""


@dataclass(frozen=True)
class _EncodedTexts:
    """The ids of each text."""

    train: EncodedText
    dev: EncodedText
    test: EncodedText | None


def train_language_model(
    recipe: LanguageRecipe,
    run_dir: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    suit: Suit | None = None,
) -> LanguageTrainingResult:
    """Trains a language model and leaves it as a folder.

    Args:
        run_dir: Becomes the model's folder; `checkpoints/` and `logs/` stand in it too.
        resume: Continues an interrupted run; the weights become those of an uninterrupted one.
            Begins one if there is none.
        overwrite: Deletes the run that is there.
        quiet: Says nothing of how it goes.

    Raises:
        ConfigurationError: If a setting cannot work, or the folder is in use or holds a run.
        TrainingError: If losses are not finite, or somebody interrupted.
    """
    _check_names(recipe)
    folder = LanguageRunFolder(Path(run_dir))
    tell: Callable[[str], None] = (lambda text: None) if quiet else say
    with folder.locked():
        folder.check(resume=resume, overwrite=overwrite)
        if resume and not folder.holds_run:  # killed before it began, or not yet called
            tell(f"{folder.path} holds no run to continue, so one begins")
            resume = False
        texts = read_texts(recipe.text)
        checksums = {"train": checksum_of(texts.train), "dev": checksum_of(texts.dev)}
        if resume:
            before = folder.read(folder.parse)
            if recipe.text == before.text:  # else it is that setting which has changed
                folder.check_same_texts(checksums)
        if suit is not None:
            recipe = suit(recipe, sum(map(len, texts.train)) + len(texts.train))
        if recipe.tokenizer_of is not None:
            recipe = _take_settings(recipe, before.tokenizer if resume else None)
        if resume:
            folder.check_same_run(recipe)
        hardware = choose_hardware(recipe.training)
        resumed_step = folder.find_checkpoint() if resume else 0
        kept = folder.load_tokenizers() if resume else None
        tokenizer = kept.target if kept else _make_tokenizer(recipe, texts)
        encoded = _encode(texts, tokenizer)
        network = make_network(recipe, tokenizer)
        folder.begin(recipe, Tokenizers(tokenizer, tokenizer), overwrite=overwrite, texts=checksums)
        tell(_describe_text(encoded, tokenizer))
        if not quiet:
            tell(describe_start(network, hardware, World(), resumed_step))
        with _telling_how_to_need_less_memory():
            evaluation = _fit(
                network, recipe, tokenizer, encoded, folder, hardware, resumed_step, quiet=quiet
            )
            return _finish(
                network, recipe, tokenizer, encoded, checksums, folder, hardware, evaluation
            )


def make_network(recipe: LanguageRecipe, tokenizer: Tokenizer) -> LanguageNetwork:
    """The network of a recipe as training begins with it."""
    torch.manual_seed(recipe.training.seed)
    return LanguageNetwork(recipe.model, tokenizer.vocabulary_size)


def _fit(
    network: LanguageNetwork,
    recipe: LanguageRecipe,
    tokenizer: Tokenizer,
    texts: _EncodedTexts,
    folder: LanguageRunFolder,
    hardware: Hardware,
    resumed_step: int,
    *,
    quiet: bool,
) -> Evaluation:
    """Trains to the end, from the last checkpoint if that is of a step above 0."""
    config, world = recipe.training, World()
    chunks = make_chunks(
        texts.train,
        recipe.text.lines,
        rows=config.streams,
        steps=config.truncation_steps,
        seed=config.seed,
    )
    plan = Plan.of(config, len(chunks))
    clock = Clock()
    progress = LanguageProgress(
        config,
        characters_per_piece=texts.train.characters / len(texts.train),
        clock=clock,
        plan=plan,
        samples_file=folder.logs / "samples.txt",
        console=Console(stderr=True, quiet=quiet),
    )
    evaluation = Evaluation(
        TextDevelopment(texts.dev, tokenizer, recipe, hardware),
        config,
        best=BestWeights(folder.checkpoints, capacity=1),
        clock=clock,
        plan=plan,
        world=world,
        report=progress.report,
    )
    last = LastCheckpoint(
        folder.checkpoints,
        config.checkpoint_minutes,
        best=evaluation.best,
        evaluation=evaluation,
        world=world,
    )
    skipped = SkippedSteps(
        _MOST_SKIPPED, world, describe=lambda chunk: "one chunk of text", say=progress.print
    )
    module = LanguageModule(
        network,
        config,
        total_steps=plan.total_steps,
        world=world,
        skipped=skipped,
    )
    callbacks: list[Callback] = [OwnSignals(), Epochs(), clock, evaluation, progress, last]
    with handle_signals(last.interrupt):
        run_trainer(
            module,
            callbacks,
            data={"train_dataloaders": ChunkLoader(chunks)},
            folder=folder,
            plan=plan,
            hardware=hardware,
            world=world,
            resumed_step=resumed_step,
        )
    return evaluation


def _finish(
    network: LanguageNetwork,
    recipe: LanguageRecipe,
    tokenizer: Tokenizer,
    texts: _EncodedTexts,
    checksums: Mapping[str, str],
    folder: LanguageRunFolder,
    hardware: Hardware,
    evaluation: Evaluation,
) -> LanguageTrainingResult:
    """Takes the best weights, measures them and writes the model."""
    best = evaluation.best
    network.load_state_dict(load_weights(best.path(best.ranking[0][1])))
    network.to(hardware.device).eval()
    full = replace(hardware, bfloat16=False)  # as the model will be used
    named = {"dev": texts.dev, "test": texts.test}
    scores = {
        name: TextDevelopment(text, tokenizer, recipe, full).measure(network)
        for name, text in named.items()
        if text is not None
    }
    save_language_model(
        folder.path,
        recipe,
        network.state_dict(),
        tokenizer,
        scores={name: _to_plain(loss) for name, loss in scores.items()},
        texts=checksums,
    )
    last = evaluation.history[-1]
    record_training(
        folder.path,
        hardware,
        minutes=last["minutes"],
        epochs=last["epoch"],
        steps=last["step"],
        weights=sum(parameter.numel() for parameter in network.parameters()),
        seed=recipe.training.seed,
        ended=evaluation.ended,
    )
    return LanguageTrainingResult(
        folder.path,
        recipe,
        scores,
        evaluation.history,
        steps=last["step"],
        minutes=last["minutes"],
    )


def _make_tokenizer(recipe: LanguageRecipe, texts: Texts) -> Tokenizer:
    if recipe.tokenizer_of is not None:
        return load_tokenizers(recipe.tokenizer_of).target
    return Tokenizer.train(texts.train, recipe.tokenizer, seed=recipe.training.seed)


def _encode(texts: Texts, tokenizer: Tokenizer) -> _EncodedTexts:
    test = EncodedText.of(texts.test, tokenizer) if texts.test else None
    return _EncodedTexts(
        EncodedText.of(texts.train, tokenizer), EncodedText.of(texts.dev, tokenizer), test
    )


def _take_settings(recipe: LanguageRecipe, kept: TokenizerConfig | None) -> LanguageRecipe:
    """The recipe with the settings of the translator's pieces, as they will be recorded.

    Args:
        kept: What the run that is resumed has recorded.
    """
    theirs = kept or replace(
        load_model_directory(str(recipe.tokenizer_of), with_lexicon=False).recipe.tokenizer,
        sampling=0.0,
        shared=True,
    )
    if recipe.tokenizer not in (theirs, LanguageRecipe().tokenizer):
        raise ConfigurationError(
            "`tokenizer_of` takes the place of all options of `tokenizer`; leave one of them out."
        )
    return replace(recipe, tokenizer=theirs)


@contextmanager
def _telling_how_to_need_less_memory() -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "Memory does not suffice; lower `training.streams`, `training.truncation_steps` or "
            "`model.hidden_size`."
        ) from error


def _describe_text(texts: _EncodedTexts, tokenizer: Tokenizer) -> str:
    train, dev = texts.train, texts.dev
    return (
        f"text: {train.characters:,} characters in {len(train.ends):,} lines to learn from, "
        f"{dev.characters:,} to evaluate; {tokenizer.vocabulary_size:,} different pieces, "
        f"{train.characters / len(train):.2f} characters each"
    )


def _to_plain(loss: TextLoss) -> dict[str, float]:
    return {
        "bits_per_character": loss.bits_per_character,
        "perplexity": loss.perplexity,
        "word_perplexity": loss.word_perplexity,
        **asdict(loss),
    }


def _check_names(recipe: LanguageRecipe) -> None:
    """Finds misspelt names before the text is read."""
    choose(OPTIMIZERS, recipe.training.optimizer, field="training.optimizer")
    choose(SCHEDULES, recipe.training.schedule, field="training.schedule")
    choose(TOKENIZERS, recipe.tokenizer.kind, field="tokenizer.kind")
    with torch.device("meta"):
        LanguageNetwork(recipe.model, vocabulary_size=8)
