"""Trains a translator: corpus, tokenizers, network, fit, average, model directory."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from seq2seq.config import ConfigurationError, Recipe, SearchConfig, choose
from seq2seq.data.corpus import Corpus
from seq2seq.data.datamodule import TranslationDataModule, describe
from seq2seq.data.loading import load_corpus
from seq2seq.data.tokenizer import (
    TOKENIZERS,
    Tokenizers,
    are_draws_repeatable,
    train_tokenizers,
)
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
from seq2seq.decoding.shortlist import Lexicon, require_lexicon
from seq2seq.devices import is_bfloat16_fast
from seq2seq.evaluate import describe_search
from seq2seq.model_directory import save_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model
from seq2seq.sizes import describe_sizes
from seq2seq.training.checkpoints import BestWeights, average_weights, load_weights
from seq2seq.training.cluster import find_launch
from seq2seq.training.development import MONITORS, Development
from seq2seq.training.fit import FitJob, fit, make_network
from seq2seq.training.hardware import Hardware, check_devices, choose_hardware
from seq2seq.training.launch import Launch
from seq2seq.training.lexicon import learn_lexicon
from seq2seq.training.logs import say
from seq2seq.training.module import OPTIMIZERS
from seq2seq.training.record import TRAINING_FILE, record_corpus, record_training
from seq2seq.training.run_folder import RunFolder
from seq2seq.training.schedule import SCHEDULES
from seq2seq.training.world import World

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
            Begins one if there is none.
        overwrite: Deletes the run that is there.
        suit: Fits the recipe to the number of training pairs, once that is known.

    Raises:
        ConfigurationError: If a setting cannot work, or the folder is in use or holds a run.
        TrainingError: If losses are not finite, a process has died, or somebody interrupted.
        SystemExit: If this process was started as one of several and is not the first, when it has
            taken part.
    """
    launch = find_launch(recipe.training.devices)
    launch.follow(fit)
    recipe = replace(recipe, training=replace(recipe.training, devices=launch.size))
    with launch.leading():
        return _lead(recipe, Path(run_dir), launch, resume=resume, overwrite=overwrite, suit=suit)


def _lead(
    recipe: Recipe,
    run_dir: Path,
    launch: Launch,
    *,
    resume: bool,
    overwrite: bool,
    suit: Callable[[Recipe, int], Recipe] | None,
) -> TrainingResult:
    _check_names(recipe)
    _check_shortlist(recipe)
    folder = RunFolder(run_dir)
    with folder.locked():
        folder.check(resume=resume, overwrite=overwrite)
        if resume and not folder.holds_run:  # killed before it began, or not yet called
            say(f"{folder.path} holds no run to continue, so one begins")
            resume = False
        if resume and suit is None:
            folder.check_same_run(recipe)
        hardware = choose_hardware(recipe.training)
        check_devices(recipe.training, hardware, local_size=launch.local_size)
        corpus = load_corpus(recipe, folder.cache if resume else folder.new_cache)
        if suit is not None:
            recipe = suit(recipe, len(corpus.train))
            if resume:
                folder.check_same_run(recipe)
        return _train(
            recipe,
            corpus,
            hardware,
            folder,
            launch,
            resume=resume,
            overwrite=overwrite,
            is_suited=suit is not None,
        )


def _train(
    recipe: Recipe,
    corpus: Corpus,
    hardware: Hardware,
    folder: RunFolder,
    launch: Launch,
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
        say(describe_sizes(recipe, len(corpus.train), vocabulary_size))
    cache = folder.cache if resume else folder.new_cache
    data = TranslationDataModule(corpus, tokenizers, recipe, cache)
    data.setup()
    if resumed_step:  # before anything of the run is changed
        checkpoint = torch.load(folder.last_checkpoint, weights_only=True, mmap=True)
        data.load_state_dict(checkpoint.get(type(data).__qualname__, {}))  # as Lightning names it
    network = make_network(recipe, data)
    development = Development(data, recipe, hardware, World())
    folder.begin(recipe, tokenizers, overwrite=overwrite)  # now that all settings have worked
    data.move(folder.cache)  # where other processes look for its files
    record_corpus(folder.path, corpus, data.reports)
    _describe_data(data, launch)
    run = launch.run(fit, FitJob(recipe, data, folder, resumed_step), device=hardware.device.type)
    best = BestWeights(folder.checkpoints, config.average_best)
    best.ranking = run.ranking
    averaged = _choose_weights(network, development, best, config.monitor)
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
        say(
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
        say(
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


def _describe_data(data: TranslationDataModule, launch: Launch) -> None:
    """Says what there is to learn from."""
    for name, report in data.reports.items():
        say(f"{name}: {report}")
    sampler = data.for_process(0, launch.size).train_dataloader().batch_sampler
    say(describe(sampler))
    say(_describe_vocabulary(data.tokenizers))
    if data.recipe.tokenizer.sampling and not are_draws_repeatable():
        say(
            "the segmentations of `tokenizer.sampling` are others in each process, so this run "
            "cannot be repeated exactly; with `pip install 'sentencepiece<0.2.2'` they are the same"
        )


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
