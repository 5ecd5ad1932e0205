"""Trains a translator: corpus, tokenizers, network, fit, average, model directory."""

import csv
import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import Tensor

from seq2seq.config import ConfigurationError, Recipe, SearchConfig, choose
from seq2seq.data.corpus import Corpus, load_corpus
from seq2seq.data.datamodule import TranslationDataModule, describe
from seq2seq.data.tokenizer import TOKENIZERS, Tokenizers, train_tokenizers
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
from seq2seq.decoding.shortlist import Lexicon, require_lexicon
from seq2seq.devices import is_bfloat16_fast
from seq2seq.evaluate import describe_search
from seq2seq.model_directory import save_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model
from seq2seq.sizes import describe_sizes
from seq2seq.training.callbacks import (
    Clock,
    Epochs,
    Evaluation,
    LastCheckpoint,
    Plan,
    handle_signals,
)
from seq2seq.training.checkpoints import BestWeights, average_weights, load_weights
from seq2seq.training.development import MONITORS, Development
from seq2seq.training.hardware import Hardware, choose_hardware
from seq2seq.training.lexicon import learn_lexicon
from seq2seq.training.module import LOG_EVERY, OPTIMIZERS, TranslationModule
from seq2seq.training.progress import ProgressReport
from seq2seq.training.record import TRAINING_FILE, record_corpus, record_training
from seq2seq.training.run_folder import RunFolder
from seq2seq.training.schedule import SCHEDULES

# bfloat16 is the default of decoding if it costs no more BLEU than this.
BFLOAT16_TOLERANCE = 0.1


@dataclass(frozen=True)
class TrainingResult:
    """What a training run left."""

    path: Path
    """The model directory, which is the run folder."""
    recipe: Recipe
    """As trained, with sizes that were chosen for the corpus."""
    corpus: Corpus
    """What was read to train and evaluate; its test sets are untouched."""
    scores: dict[str, Any]
    """Development scores, as `scores.json` has them."""
    history: list[dict[str, Any]]
    """One entry per evaluation; see `Evaluation.history`."""
    averaged: int
    """Checkpoints that the weights are the average of; 1 if the best alone was better."""
    steps: int
    """Optimiser steps."""
    minutes: float
    """Minutes of training, over all interruptions."""


def train(
    recipe: Recipe,
    run_dir: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    suit: Callable[[Recipe, int], Recipe] | None = None,
) -> TrainingResult:
    """Trains a translator and leaves it as a model directory.

    Args:
        run_dir: Becomes the model directory; `checkpoints/` and `logs/` stand in it too.
        resume: Continues an interrupted run; the weights become those of an uninterrupted one.
        overwrite: Deletes the run that is there.
        suit: Fits the recipe to the number of training pairs, once that is known.

    Raises:
        ConfigurationError: If a setting cannot work, or the folder is in use or holds a run.
        TrainingError: If the loss is not finite, or somebody interrupted.
    """
    _check_names(recipe)
    _check_shortlist(recipe)
    folder = RunFolder(Path(run_dir))
    with folder.locked():
        folder.check(resume=resume, overwrite=overwrite)
        if resume and suit is None:
            folder.check_same_run(recipe)
        hardware = choose_hardware(recipe.training)
        corpus = load_corpus(recipe)
        if suit is not None:
            recipe = suit(recipe, len(corpus.train))
            if resume:
                folder.check_same_run(recipe)
        return _train(
            recipe,
            corpus,
            hardware,
            folder,
            resume=resume,
            overwrite=overwrite,
            is_suited=suit is not None,
        )


def _train(
    recipe: Recipe,
    corpus: Corpus,
    hardware: Hardware,
    folder: RunFolder,
    *,
    resume: bool,
    overwrite: bool,
    is_suited: bool,
) -> TrainingResult:
    config = recipe.training
    resumed_step = folder.find_checkpoint() if resume else 0
    tokenizers = folder.load_tokenizers() if resume else None
    if tokenizers is None:
        tokenizers = train_tokenizers(corpus.train, recipe.tokenizer, seed=config.seed)
    if is_suited:
        vocabulary_size = tokenizers.target.vocabulary_size
        _say(describe_sizes(recipe, len(corpus.train), vocabulary_size))
    cache = folder.cache if resume else folder.new_cache
    data = TranslationDataModule(corpus, tokenizers, recipe, cache)
    torch.manual_seed(config.seed)
    network = build_model(
        recipe.model, tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
    )
    development = Development(
        corpus.dev,
        data.val_dataloader(),
        tokenizers=tokenizers,
        recipe=recipe,
        hardware=hardware,
        longest_source=data.longest_source,
        sentences_per_source=data.sentences_per_source,
    )
    folder.begin(recipe, tokenizers, overwrite=overwrite)  # now that all settings have worked
    record_corpus(folder.path, corpus, data.reports)
    run = _fit(network, data, development, recipe, hardware, folder, resumed_step)
    averaged = _choose_weights(network, development, run.best, config.monitor)
    lexicon = _learn_lexicon(network, data, recipe, hardware)
    scores, decode = _measure(network, development, recipe.search, hardware)
    decode["longest_source"] = data.longest_source
    decode["sentences_per_source"] = data.sentences_per_source
    weights = network.state_dict()
    save_model_directory(
        folder.path, recipe, weights, tokenizers, scores=scores, extra=decode, lexicon=lexicon
    )
    last = run.history[-1]
    if last["step"] > resumed_step or not (folder.path / TRAINING_FILE).exists():
        record_training(
            folder.path,
            hardware,
            minutes=last["minutes"],
            epochs=last["epoch"],
            steps=last["step"],
            weights=sum(parameter.numel() for parameter in network.parameters()),
            seed=config.seed,
            ended=run.ended,
        )
    return TrainingResult(
        folder.path,
        recipe,
        corpus,
        scores,
        run.history,
        averaged,
        steps=last["step"],
        minutes=last["minutes"],
    )


def _fit(
    network: EncoderDecoder,
    data: TranslationDataModule,
    development: Development,
    recipe: Recipe,
    hardware: Hardware,
    folder: RunFolder,
    resumed_step: int,
) -> Evaluation:
    """Runs the training loop, from the last checkpoint if that is of a step above 0."""
    config = recipe.training
    loader = data.train_dataloader()
    plan = Plan.of(config, len(loader))
    best = BestWeights(folder.checkpoints, config.average_best)
    clock = Clock()
    samples_file = folder.logs / "samples.txt"
    progress = ProgressReport(
        development, config, clock=clock, plan=plan, samples_file=samples_file
    )
    evaluation = Evaluation(
        development, config, best=best, clock=clock, plan=plan, report=progress.report
    )
    last = LastCheckpoint(
        folder.checkpoints, config.checkpoint_minutes, best=best, evaluation=evaluation
    )
    for name, report in data.reports.items():
        _say(f"{name}: {report}")
    _say(describe(loader.batch_sampler))
    _say(_describe_vocabulary(data.tokenizers))
    num_weights = sum(parameter.numel() for parameter in network.parameters())
    _say(
        f"Training {num_weights:,} weights on {hardware}"
        f"{f', continued after step {resumed_step:,}' if resumed_step else ''}"
    )
    with _quiet(), handle_signals(last.interrupt):
        trainer = Trainer(
            accelerator="gpu" if hardware.device.type == "cuda" else "cpu",
            devices=[hardware.device.index or 0] if hardware.device.type == "cuda" else 1,
            precision="bf16-mixed" if hardware.bfloat16 else "32-true",
            # A resumed run may be past a lower number of epochs; then `Evaluation` stops it.
            max_epochs=max(config.max_epochs, math.ceil(resumed_step / plan.steps_per_epoch)),
            accumulate_grad_batches=config.accumulate_batches,
            callbacks=[Epochs(), clock, evaluation, progress, last],
            logger=_loggers(folder, resumed_step),
            log_every_n_steps=LOG_EVERY,
            default_root_dir=folder.path,
            limit_val_batches=0,  # `Evaluation` translates too, and at any step
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        trainer.fit(
            TranslationModule(network, config, total_steps=plan.total_steps),
            datamodule=data,
            ckpt_path=folder.last_checkpoint if resumed_step else None,
            weights_only=True,
        )
    return evaluation


def _choose_weights(
    network: EncoderDecoder, development: Development, best: BestWeights, monitor: str
) -> int:
    """Gives the network the best weights, or the average of the best if that is no worse.

    Returns:
        The number of checkpoints that the weights are the average of.
    """
    files = [best.path(step) for _, step in best.ranking]
    if len(files) > 1:
        network.load_state_dict(average_weights(load_weights(file) for file in files))
        value = development.evaluate(network).value(monitor)
        is_better = value >= best.ranking[0][0]
        _say(
            f"average of the best {len(files)}: {monitor} {abs(value):.3f}, "
            f"the best alone {abs(best.ranking[0][0]):.3f}; "
            f"kept the {'average' if is_better else 'best'}"
        )
        if is_better:
            return len(files)
    network.load_state_dict(load_weights(files[0]))
    return 1


def _learn_lexicon(
    network: EncoderDecoder, data: TranslationDataModule, recipe: Recipe, hardware: Hardware
) -> Lexicon | None:
    """The table of shortlists; None if nobody wants it, or there is no attention to learn from."""
    max_pairs = recipe.training.lexicon_pairs
    if not max_pairs or recipe.model.attention == "none":
        return None
    loader = data.train_dataloader()
    # In the best segmentations, as sources will be, even if training has drawn others.
    batches = (loader.pairs.batch(indices) for indices in loader.sampler)
    return learn_lexicon(
        network.to(hardware.device).eval(),
        batches,
        hardware,
        max_pairs=max_pairs,
        shared=data.tokenizers.shared,
    )


def _measure(
    network: EncoderDecoder, development: Development, search: SearchConfig, hardware: Hardware
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores the development set with the search that the recipe asks for.

    Returns:
        Scores for `scores.json`, and the `decode` section of recipe.yaml.
    """
    network.eval()
    translations = development.translate(network, bfloat16=False, n_best=1)
    bleu = development.score("bleu", translations)
    decode: dict[str, Any] = {"bfloat16": False, "dev_bleu_float32": round(bleu.value, 3)}
    if is_bfloat16_fast(hardware.device):
        low = development.translate(network, bfloat16=True, n_best=1)
        low_bleu = development.score("bleu", low)
        decode["dev_bleu_bfloat16"] = round(low_bleu.value, 3)
        pairs = list(zip(translations, low, strict=True))
        identical = sum(full == half for full, half in pairs) / len(pairs)
        decode["dev_identical_bfloat16"] = round(identical, 4)
        _say(
            f"bfloat16: BLEU {low_bleu.value:.2f}, in float32 {bleu.value:.2f}; "
            f"{identical:.1%} of the translations are identical"
        )
        if abs(low_bleu.value - bleu.value) <= BFLOAT16_TOLERANCE:
            decode["bfloat16"] = True
            translations, bleu = low, low_bleu  # what users will get
    scores = {
        "bleu": asdict(bleu),
        "chrf": asdict(development.score("chrf", translations)),
        "sentences": len(translations),
        **describe_search(
            replace(search, shortlist=0),
            precision="bfloat16" if decode["bfloat16"] else "float32",
        ),
    }
    return {"dev": scores}, decode


def _describe_vocabulary(tokenizers: Tokenizers) -> str:
    source, target = tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
    if tokenizers.shared:
        return f"tokenizer: {source:,} pieces for both sides"
    return f"tokenizers: {source:,} pieces for the source, {target:,} for the target"


def _check_names(recipe: Recipe) -> None:
    """Finds misspelt names before the corpus is read."""
    config = recipe.training
    choose(OPTIMIZERS, config.optimizer, field="training.optimizer")
    choose(SCHEDULES, config.schedule, field="training.schedule")
    choose(MONITORS, config.monitor, field="training.monitor")
    choose(LENGTH_PENALTIES, recipe.search.length_penalty_kind, field="search.length_penalty_kind")
    choose(TOKENIZERS, recipe.tokenizer.kind, field="tokenizer.kind")
    with torch.device("meta"):
        build_model(recipe.model, source_vocabulary_size=8, target_vocabulary_size=8)


def _check_shortlist(recipe: Recipe) -> None:
    """Finds out before anything is learnt that there will be no lexicon to search with."""
    if not recipe.search.shortlist:
        return
    if recipe.model.attention == "none":
        require_lexicon(None, attention="none")
    if not recipe.training.lexicon_pairs:
        raise ConfigurationError(
            "`search.shortlist` needs `training.lexicon_pairs` above 0, or must be 0 itself."
        )


def _loggers(folder: RunFolder, resumed_step: int) -> list[Logger]:
    """Logs as CSV and for TensorBoard; a resumed run continues both after its checkpoint."""
    earlier = _read_log(folder.logs / "metrics.csv", resumed_step)
    table = CSVLogger(folder.path, name=folder.logs.name, version="")
    for step, metrics in earlier:
        table.log_metrics(metrics, step)
    board = TensorBoardLogger(
        folder.path,
        name=folder.logs.name,
        version="tensorboard",
        purge_step=resumed_step + 1 if resumed_step else None,
    )
    return [table, board]


def _read_log(path: Path, last_step: int) -> list[tuple[int, dict[str, Tensor | float]]]:
    """Lines of an earlier log up to `last_step`: the step and its numbers."""
    if not last_step or not path.exists():
        return []
    log = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            metrics: dict[str, Tensor | float] = {
                name: float(text) for name, text in row.items() if text and name != "step"
            }
            log.append((int(row["step"]), metrics))
    return [(step, metrics) for step, metrics in log if step <= last_step]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
