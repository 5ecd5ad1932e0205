"""Saves and loads a whole translator, recipe, weights and tokenizers, as one folder.

    recipe.yaml         format_version, the whole recipe, and `decode`: what was measured at the end
                        of training about decoding, such as `bfloat16: true`, the pieces of the
                        `longest_source` that was learnt from, the usual `sentences_per_source`,
                        and the checksum of the `weights` that it belongs to
    model.safetensors   the weights in float32, one entry per tensor, tied ones once
    shared.model        the SentencePiece model of both sides, or source.model and target.model
    lexicon.safetensors the table of shortlists, two tensors; only with attention, and never needed
    scores.json         scores of development and test sets; for people and reports, never needed
    quality.yaml        how much translations are to be trusted; only if `seq2seq calibrate` made it
    README.md           the model card

Loading executes nothing that stands in the folder, and checks everything before it is used.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seq2seq.config import ConfigurationError, Recipe, SearchConfig, choose
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.language_model_directory import is_language_model
from seq2seq.lexicon_file import lexicon_to_bytes, read_lexicon
from seq2seq.model_card import write_model_card
from seq2seq.model_files import CARD_FILE as CARD_FILE
from seq2seq.model_files import WEIGHTS_FILE as WEIGHTS_FILE
from seq2seq.model_files import ModelDirectoryError as ModelDirectoryError
from seq2seq.model_files import (
    digest,
    load_tokenizer,
    load_weights,
    read_file,
    read_weights_metadata,
    to_json,
    unique_shapes,
    write_files,
)
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model
from seq2seq.models.weightless import without_weights
from seq2seq.recipe_yaml import (
    MOST_RECIPE_BYTES,
    recipe_from_values,
    recipe_to_yaml,
    values_from_yaml,
)
from seq2seq.tensor_files import (
    checksum,
    tensors_to_bytes,
)

RECIPE_FILE, LEXICON_FILE, SCORES_FILE, QUALITY_FILE = (
    "recipe.yaml",
    "lexicon.safetensors",
    "scores.json",
    "quality.yaml",
)
TOKENIZER_FILES = ("shared.model", "source.model", "target.model")
_MOST_SCORES_BYTES = 10_000_000  # far above all that is saved


@dataclass(frozen=True)
class LoadedModel:
    """What a model directory holds."""

    recipe: Recipe
    model: EncoderDecoder
    """In evaluation mode, float32, in main memory."""
    tokenizers: Tokenizers
    decode: Mapping[str, Any]
    """What training recorded about decoding; `bfloat16` is true where it loses no quality, sources
    of more than `longest_source` pieces are longer than all that were learnt from, and those of
    more than `sentences_per_source` sentences have more than was usual."""
    lexicon: Lexicon | None
    """What shortlists are made of; None if there is no such table."""
    weights: Mapping[str, str]
    """Checksum of the weights; empty where another program saved them."""


def save_model_directory(
    path: str | os.PathLike[str],
    recipe: Recipe,
    model_state: Mapping[str, Tensor],
    tokenizers: Tokenizers,
    *,
    scores: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    lexicon: Lexicon | None = None,
) -> None:
    """Writes a model directory, which has been loaded once before anything takes its place.

    Whoever reads meanwhile sees whole files. The recipe comes first and the weights last, and the
    recipe names the weights that it belongs to: between the two, the folder is refused.

    Args:
        path: The folder, made if it is not there; other files in it stay.
        model_state: The network's `state_dict`.
        scores: Plain values by name of the set, for `scores.json` and the model card.
        extra: The `decode` section of recipe.yaml.
        lexicon: What shortlists are made of; without one, one that is there is removed.

    Raises:
        ModelDirectoryError: If the new files would not load, as with weights that are not finite.
        OSError: If they cannot be written.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    models = _tokenizer_bytes(tokenizers)
    digests = _digests(tokenizers)
    model = _empty_model(recipe, tokenizers)
    tensors = {
        name: model_state[name].detach().to("cpu", torch.float32).contiguous().clone()
        for name in unique_shapes(model)
    }
    decode = {**(extra or {}), "weights": checksum(tensors)}
    files = {
        RECIPE_FILE: recipe_to_yaml(recipe, decode=decode).encode(),
        **models,
        **({} if lexicon is None else {LEXICON_FILE: lexicon_to_bytes(lexicon, digests)}),
        SCORES_FILE: to_json(scores or {}),
        CARD_FILE: _to_card(recipe, scores or {}, folder),
        WEIGHTS_FILE: tensors_to_bytes(tensors, digests),
    }

    def check(*parts: Path) -> None:
        try:
            load_model_directory(parts[0].parent)
        except ModelDirectoryError as error:
            raise ModelDirectoryError(
                f"{folder} is left as it was, as what was to be written there does not load: "
                f"{error}"
            ) from error

    write_files(folder, files, check)
    for stale in {*TOKENIZER_FILES, LEXICON_FILE, QUALITY_FILE} - set(files):
        (folder / stale).unlink(missing_ok=True)


def add_lexicon(path: str | os.PathLike[str], lexicon: Lexicon, tokenizers: Tokenizers) -> Path:
    """Gives a model directory a lexicon, in place of one that is there.

    Args:
        tokenizers: Those of the model, whose ids the lexicon holds.

    Returns:
        The file of the lexicon.
    """
    data = lexicon_to_bytes(lexicon, _digests(tokenizers))
    write_files(Path(path), {LEXICON_FILE: data})
    return Path(path, LEXICON_FILE)


def update_search(path: str | os.PathLike[str], search: SearchConfig) -> Path:
    """Gives a model directory other settings of search; everything else stays.

    Returns:
        The file of the recipe.

    Raises:
        ModelDirectoryError: If there is no sound recipe.
    """
    folder = Path(path)
    recipe, decode = _load_recipe(folder)
    recipe = dataclasses.replace(recipe, search=search)
    write_files(folder, {RECIPE_FILE: recipe_to_yaml(recipe, decode=decode).encode()})
    return folder / RECIPE_FILE


def update_scores(path: str | os.PathLike[str], recipe: Recipe, scores: Mapping[str, Any]) -> None:
    """Adds scores to those of a model directory, in `scores.json` and in the model card."""
    folder = Path(path)
    merged = {**read_scores(folder), **scores}
    write_files(folder, {SCORES_FILE: to_json(merged), CARD_FILE: _to_card(recipe, merged, folder)})


def read_scores(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads `scores.json`; empty if there is none, or none that can be read."""
    try:
        scores = json.loads(read_file(Path(path) / SCORES_FILE, _MOST_SCORES_BYTES))
    except (ValueError, RecursionError):
        return {}
    return scores if isinstance(scores, dict) else {}


def load_model_directory(path: str | os.PathLike[str], *, with_lexicon: bool = True) -> LoadedModel:
    """Reads a model directory.

    Args:
        with_lexicon: False leaves the lexicon aside, whatever it is.

    Raises:
        ModelDirectoryError: If it is none, or something in it is missing, foreign or damaged.
    """
    try:
        return _load(Path(path), with_lexicon=with_lexicon)
    except ModelDirectoryError:
        raise
    except ConfigurationError as error:
        raise ModelDirectoryError(str(error)) from error


def load_tokenizers(path: str | os.PathLike[str]) -> Tokenizers:
    """Reads the tokenizers of a model directory, and of its weights only whose they are.

    Raises:
        ModelDirectoryError: If it is none, or they are missing or damaged.
    """
    return _load_tokenizers(Path(path), read_weights_metadata(Path(path)))


def _load(folder: Path, *, with_lexicon: bool) -> LoadedModel:
    recipe, decode = _load_recipe(folder)
    metadata = read_weights_metadata(folder)
    named = decode.pop("weights", {})
    # Weights without metadata were saved by another program.
    if not isinstance(named, dict) or (metadata and not named.items() <= metadata.items()):
        raise ModelDirectoryError(
            f"{folder / RECIPE_FILE} belongs to other weights than {WEIGHTS_FILE}, as when writing "
            f"was interrupted; write the model directory again, after training with `--resume`."
        )
    tokenizers = _load_tokenizers(folder, metadata)
    try:
        model = _empty_model(recipe, tokenizers)
    except ConfigurationError as error:
        raise ModelDirectoryError(f"{folder / RECIPE_FILE}: {error}") from error
    load_weights(folder, model)
    lexicon = None
    if with_lexicon and (folder / LEXICON_FILE).exists():
        lexicon = read_lexicon(folder / LEXICON_FILE, tokenizers, _digests(tokenizers))
    return LoadedModel(recipe, model.eval(), tokenizers, decode, lexicon, named)


def _load_recipe(folder: Path) -> tuple[Recipe, dict[str, Any]]:
    if not folder.exists():
        raise ModelDirectoryError(f"no model directory at {folder}.")
    if not folder.is_dir():
        raise ModelDirectoryError(
            f"{folder} is a file, but a model directory is a folder that holds {RECIPE_FILE}."
        )
    file = folder / RECIPE_FILE
    if not file.exists() and is_language_model(folder):
        raise ModelDirectoryError(
            f"{folder} holds a language model, not a translator; let it write with `seq2seq "
            f"generate`."
        )
    data = read_file(file, MOST_RECIPE_BYTES)
    try:
        values = values_from_yaml(data.decode())
        if "format_version" not in values:
            raise ConfigurationError("`format_version` is missing; this is no recipe of seq2seq.")
        recipe = recipe_from_values(values)
        kind = recipe.search.length_penalty_kind
        choose(LENGTH_PENALTIES, kind, field="search.length_penalty_kind")
        decode = values.get("decode") or {}
        if not isinstance(decode, dict) or not isinstance(decode.get("bfloat16", False), bool):
            raise ConfigurationError("`decode.bfloat16` must be true or false.")
        for name in ("longest_source", "sentences_per_source"):
            limit = decode.get(name, 1)
            if type(limit) is not int or limit < 1:  # true is an int, too
                raise ConfigurationError(f"`decode.{name}` must be a whole number above 0.")
    except UnicodeDecodeError as error:
        raise ModelDirectoryError(f"{file}: the text is not UTF-8.") from error
    except ConfigurationError as error:
        raise ModelDirectoryError(f"{file}: {error}") from error
    return recipe, decode


def _load_tokenizers(folder: Path, digests: Mapping[str, str]) -> Tokenizers:
    """Reads those that the weights were trained with; others, of an earlier run, may stand by.

    Args:
        digests: By file name, as the weights keep them. Weights that keep none take what is there.
    """
    names = [name for name in TOKENIZER_FILES if name in digests]
    names = names or [name for name in TOKENIZER_FILES if (folder / name).exists()]
    if not names:
        raise ModelDirectoryError(
            f"{folder} is no model directory: shared.model, or source.model and target.model, "
            f"are missing."
        )
    if "shared.model" in names and len(names) > 1:
        raise ModelDirectoryError(
            f"{folder} holds shared.model beside {' and '.join(names[1:])}; remove what the "
            f"weights were not trained with."
        )
    if "shared.model" in names:
        shared = load_tokenizer(folder / "shared.model", digests)
        return Tokenizers(shared, shared)
    return Tokenizers(
        load_tokenizer(folder / "source.model", digests),
        load_tokenizer(folder / "target.model", digests),
    )


def _empty_model(recipe: Recipe, tokenizers: Tokenizers) -> EncoderDecoder:
    """The network without memory behind its weights."""
    with without_weights():
        return build_model(
            recipe.model, tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
        )


def _tokenizer_bytes(tokenizers: Tokenizers) -> dict[str, bytes]:
    if tokenizers.shared:
        return {"shared.model": tokenizers.source.to_bytes()}
    return {
        "source.model": tokenizers.source.to_bytes(),
        "target.model": tokenizers.target.to_bytes(),
    }


def _digests(tokenizers: Tokenizers) -> dict[str, str]:
    """What a file of tensors keeps of the tokenizers that its rows or ids belong to."""
    return {name: digest(data) for name, data in _tokenizer_bytes(tokenizers).items()}


def _to_card(recipe: Recipe, scores: Mapping[str, Any], folder: Path) -> bytes:
    return write_model_card(recipe, scores, folder).encode(errors="replace")
