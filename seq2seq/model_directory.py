"""Saves and loads a whole translator, recipe, weights and tokenizers, as one folder.

    recipe.yaml         format_version, the whole recipe, and `decode`: what was measured at the end
                        of training about decoding, such as `bfloat16: true`, the pieces of the
                        `longest_source` that was learnt from, and the usual `sentences_per_source`
    model.safetensors   the weights in float32, one entry per tensor, tied ones once
    shared.model        the SentencePiece model of both sides, or source.model and target.model
    lexicon.safetensors the table of shortlists, two tensors; only with attention, and never needed
    scores.json         scores of development and test sets; for people and reports, never needed
    README.md           the model card

Loading executes nothing that stands in the folder, and checks everything before it is used.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from seq2seq.config import PAD_ID, ConfigurationError, Recipe, choose, shown
from seq2seq.data.tokenizer import Tokenizer, Tokenizers
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.files import replacing
from seq2seq.model_card import write_model_card
from seq2seq.models.encoder_decoder import EncoderDecoder, build_model
from seq2seq.models.weightless import without_weights
from seq2seq.recipe_yaml import recipe_from_yaml, recipe_to_yaml, values_from_yaml

RECIPE_FILE, WEIGHTS_FILE, LEXICON_FILE, SCORES_FILE, CARD_FILE = (
    "recipe.yaml",
    "model.safetensors",
    "lexicon.safetensors",
    "scores.json",
    "README.md",
)
_TOKENIZER_FILES = ("shared.model", "source.model", "target.model")
_MAX_RECIPE_BYTES = 1_000_000


class ModelDirectoryError(ConfigurationError):
    """A folder that is no model directory, or a damaged one; the message is one sentence."""


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
    """Writes a model directory; whoever reads meanwhile sees whole files, old or new.

    Args:
        path: The folder, made if it is not there; other files in it stay.
        model_state: The network's `state_dict`.
        scores: Plain values by name of the set, for `scores.json` and the model card.
        extra: The `decode` section of recipe.yaml.
        lexicon: What shortlists are made of; without one, one that is there is removed.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    models = _tokenizer_bytes(tokenizers)
    model = _empty_model(recipe, tokenizers)
    tensors = {
        name: model_state[name].detach().to("cpu", torch.float32).contiguous().clone()
        for name in _unique_shapes(model)
    }
    files = {
        **models,
        WEIGHTS_FILE: safetensors.torch.save(tensors, metadata=_metadata(models)),
        **({} if lexicon is None else {LEXICON_FILE: _lexicon_bytes(lexicon, models)}),
        SCORES_FILE: _to_json(scores or {}),
        CARD_FILE: write_model_card(recipe, scores or {}, folder).encode(),
        RECIPE_FILE: recipe_to_yaml(recipe, decode=dict(extra or {})).encode(),
    }
    _write_files(folder, files)
    for stale in {*_TOKENIZER_FILES, LEXICON_FILE} - set(files):
        (folder / stale).unlink(missing_ok=True)


def add_lexicon(path: str | os.PathLike[str], lexicon: Lexicon, tokenizers: Tokenizers) -> Path:
    """Gives a model directory a lexicon, in place of one that is there.

    Args:
        tokenizers: Those of the model, whose ids the lexicon holds.

    Returns:
        The file of the lexicon.
    """
    data = _lexicon_bytes(lexicon, _tokenizer_bytes(tokenizers))
    _write_files(Path(path), {LEXICON_FILE: data})
    return Path(path, LEXICON_FILE)


def update_scores(path: str | os.PathLike[str], recipe: Recipe, scores: Mapping[str, Any]) -> None:
    """Adds scores to those of a model directory, in `scores.json` and in the model card."""
    folder = Path(path)
    merged = {**read_scores(folder), **scores}
    card = write_model_card(recipe, merged, folder).encode()
    _write_files(folder, {SCORES_FILE: _to_json(merged), CARD_FILE: card})


def read_scores(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads `scores.json`; empty if there is none."""
    try:
        scores = json.loads((Path(path) / SCORES_FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return scores if isinstance(scores, dict) else {}


def load_model_directory(path: str | os.PathLike[str], *, with_lexicon: bool = True) -> LoadedModel:
    """Reads a model directory.

    Args:
        with_lexicon: False leaves the lexicon aside, whatever it is.

    Raises:
        ModelDirectoryError: If it is none, or something in it is missing, foreign or damaged.
    """
    folder = Path(path)
    recipe, decode = _load_recipe(folder)
    tokenizers = _load_tokenizers(folder, _read_metadata(folder))
    try:
        model = _empty_model(recipe, tokenizers)
    except ConfigurationError as error:
        raise ModelDirectoryError(f"{folder / RECIPE_FILE}: {error}") from error
    _load_weights(folder, model)
    lexicon = _load_lexicon(folder, tokenizers) if with_lexicon else None
    return LoadedModel(recipe, model.eval(), tokenizers, decode, lexicon)


def _load_recipe(folder: Path) -> tuple[Recipe, dict[str, Any]]:
    if not folder.exists():
        raise ModelDirectoryError(f"no model directory at {folder}.")
    if not folder.is_dir():
        raise ModelDirectoryError(
            f"{folder} is a file, but a model directory is a folder that holds {RECIPE_FILE}."
        )
    file = folder / RECIPE_FILE
    data = _read(file)
    try:
        if len(data) > _MAX_RECIPE_BYTES:
            raise ConfigurationError("the file is too large to be a recipe.")
        text = data.decode()
        values = values_from_yaml(text)
        if "format_version" not in values:
            raise ConfigurationError("`format_version` is missing; this is no recipe of seq2seq.")
        recipe = recipe_from_yaml(text)
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
    names = [name for name in _TOKENIZER_FILES if name in digests]
    names = names or [name for name in _TOKENIZER_FILES if (folder / name).exists()]
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
        shared = _load_tokenizer(folder / "shared.model", digests)
        return Tokenizers(shared, shared)
    return Tokenizers(
        _load_tokenizer(folder / "source.model", digests),
        _load_tokenizer(folder / "target.model", digests),
    )


def _load_tokenizer(file: Path, digests: Mapping[str, str]) -> Tokenizer:
    data = _read(file)
    try:
        tokenizer = Tokenizer.from_bytes(data)
    except ConfigurationError as error:
        raise ModelDirectoryError(f"{file}: {error}") from error
    if file.name in digests and _digest(data) != digests[file.name]:
        raise ModelDirectoryError(
            f"{file} does not fit {WEIGHTS_FILE}: the weights were trained with another tokenizer."
        )
    return tokenizer


def _read_metadata(folder: Path) -> dict[str, str]:
    with _open_tensors(folder / WEIGHTS_FILE) as weights:
        return weights.metadata() or {}


def _load_weights(folder: Path, model: nn.Module) -> None:
    """Replaces the empty tensors of `model` by those of the folder."""
    file = folder / WEIGHTS_FILE
    with _open_tensors(file) as weights:
        _check_shapes(file, weights, _unique_shapes(model))
        tensors = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ModelDirectoryError(f"{file}: `{name}` must be finite, but holds NaN or inf.")
    aliases = _aliases(model)
    tensors |= {alias: tensors[name] for alias, name in aliases.items()}
    model.load_state_dict(tensors, assign=True)
    for alias, name in aliases.items():  # assigning has torn tied parameters apart
        owner, _, attribute = alias.rpartition(".")
        setattr(model.get_submodule(owner), attribute, model.get_parameter(name))


def _load_lexicon(folder: Path, tokenizers: Tokenizers) -> Lexicon | None:
    """Reads the table of shortlists, whose ids must be those of the tokenizers."""
    file = folder / LEXICON_FILE
    if not file.exists():
        return None
    with _open_tensors(file) as entries:
        names, metadata = set(entries.keys()), entries.metadata() or {}
        if names != {"translations", "frequent"}:
            raise ModelDirectoryError(
                f"{file} must hold `frequent` and `translations`, but holds {shown(sorted(names))}."
            )
        lexicon = Lexicon(entries.get_tensor("translations"), entries.get_tensor("frequent"))
    expected = _metadata(_tokenizer_bytes(tokenizers))
    if any(metadata.get(name) != digest for name, digest in expected.items()):
        raise ModelDirectoryError(
            f"{file} does not fit the model: it was learnt with another tokenizer; learn it anew "
            f"with `seq2seq lexicon`."
        )
    _check_ids(file, "translations", lexicon.translations, tokenizers, dimensions=2)
    _check_ids(file, "frequent", lexicon.frequent, tokenizers, dimensions=1)
    if len(lexicon.translations) != tokenizers.source.vocabulary_size:
        raise ModelDirectoryError(
            f"{file}: `translations` must have a row for each of the "
            f"{tokenizers.source.vocabulary_size} source pieces, but has "
            f"{len(lexicon.translations)}."
        )
    return lexicon


def _check_ids(
    file: Path, name: str, ids: Tensor, tokenizers: Tokenizers, *, dimensions: int
) -> None:
    if ids.dtype != torch.int32 or ids.dim() != dimensions:
        raise ModelDirectoryError(
            f"{file}: `{name}` must be a {'list' if dimensions == 1 else 'table'} of int32, but is "
            f"{str(ids.dtype).removeprefix('torch.')} of the shape {list(ids.shape)}."
        )
    size = tokenizers.target.vocabulary_size
    if ids.numel() and not (ids.min() >= PAD_ID and ids.max() < size):
        raise ModelDirectoryError(f"{file}: `{name}` must hold target ids, from 0 to {size - 1}.")


@contextmanager
def _open_tensors(file: Path) -> Iterator[Any]:
    if not file.is_file():
        raise ModelDirectoryError(f"{file.parent} is no model directory: {file.name} is missing.")
    try:
        with safetensors.safe_open(file, framework="pt") as entries:
            yield entries
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelDirectoryError(f"{file} is no safetensors file, or damaged.") from error


def _check_shapes(file: Path, weights: Any, expected: Mapping[str, list[int]]) -> None:
    names = set(weights.keys())
    for name in [n for n in expected if n not in names]:
        raise ModelDirectoryError(f"{file} lacks the weights `{name}`.")
    for name in sorted(names - set(expected)):
        raise ModelDirectoryError(
            f"{file} has weights `{name}`, for which the recipe has no place."
        )
    for name, shape in expected.items():
        entry = weights.get_slice(name)
        if list(entry.get_shape()) != shape:
            raise ModelDirectoryError(
                f"{file}: `{name}` has the shape {list(entry.get_shape())}, "
                f"but recipe and tokenizers make it {shape}."
            )
        if entry.get_dtype() != "F32":
            raise ModelDirectoryError(
                f"{file}: `{name}` must be float32 (F32), but is {entry.get_dtype()}."
            )


def _empty_model(recipe: Recipe, tokenizers: Tokenizers) -> EncoderDecoder:
    """The network without memory behind its weights."""
    with without_weights():
        return build_model(
            recipe.model, tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
        )


def _unique_shapes(model: nn.Module) -> dict[str, list[int]]:
    """Shapes of all weights by name; tied ones stand once, under their first name."""
    aliases = _aliases(model)
    return {n: list(t.shape) for n, t in model.state_dict().items() if n not in aliases}


def _aliases(model: nn.Module) -> dict[str, str]:
    """Further names of tied parameters, and the first name of each."""
    first: dict[int, str] = {}
    aliases = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            aliases[name] = first[id(parameter)]
    return aliases


def _tokenizer_bytes(tokenizers: Tokenizers) -> dict[str, bytes]:
    if tokenizers.shared:
        return {"shared.model": tokenizers.source.to_bytes()}
    return {
        "source.model": tokenizers.source.to_bytes(),
        "target.model": tokenizers.target.to_bytes(),
    }


def _lexicon_bytes(lexicon: Lexicon, models: Mapping[str, bytes]) -> bytes:
    tensors = {
        "translations": lexicon.translations.contiguous(),
        "frequent": lexicon.frequent.contiguous(),
    }
    return safetensors.torch.save(tensors, metadata=_metadata(models))


def _metadata(models: Mapping[str, bytes]) -> dict[str, str]:
    """What a file of tensors keeps of the tokenizers that its rows or ids belong to."""
    return {"format": "pt", **{name: _digest(data) for name, data in models.items()}}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _to_json(scores: Mapping[str, Any]) -> bytes:
    plain = json.dumps(scores, indent=2, ensure_ascii=False, default=_to_plain)
    return (plain + "\n").encode()


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise ModelDirectoryError(
            f"{file.parent} is no model directory: {file.name} is missing."
        ) from None
    except OSError as error:
        raise ModelDirectoryError(f"{file} cannot be read: {error.strerror}.") from error


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes all files beside their places, then moves them there one after the other."""
    with replacing(*(folder / name for name in files)) as parts:
        for part, data in zip(parts, files.values(), strict=True):
            part.write_bytes(data)
