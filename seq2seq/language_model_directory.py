"""Saves and loads a language model, recipe, weights and tokenizer, as one folder.

language_model.yaml   format_version and the whole recipe, the checksum of its `weights`, and
                      those of the lines of its `texts`
model.safetensors     the weights in float32
text.model            the SentencePiece model
scores.json           losses of development and test text; for people, never needed
README.md             the model card; likewise
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from seq2seq.config import ConfigurationError
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.language_config import LanguageRecipe
from seq2seq.model_card import write_language_model_card
from seq2seq.model_files import (
    CARD_FILE,
    WEIGHTS_FILE,
    ModelDirectoryError,
    digest,
    load_tokenizer,
    load_weights,
    read_file,
    read_weights_metadata,
    to_json,
    unique_shapes,
    write_files,
)
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.models.weightless import without_weights
from seq2seq.recipe_yaml import (
    MOST_RECIPE_BYTES,
    language_recipe_from_values,
    recipe_to_yaml,
    texts_from_values,
    values_from_yaml,
)
from seq2seq.tensor_files import checksum, tensors_to_bytes

LANGUAGE_RECIPE_FILE, TEXT_MODEL_FILE, SCORES_FILE = (
    "language_model.yaml",
    "text.model",
    "scores.json",
)


@dataclass(frozen=True)
class LoadedLanguageModel:
    """What the folder of a language model holds."""

    recipe: LanguageRecipe
    network: LanguageNetwork
    """In evaluation mode, float32, in main memory."""
    tokenizer: Tokenizer
    weights: Mapping[str, str]
    """Checksum of the weights."""
    texts: Mapping[str, str]
    """Checksums of train and dev, by `checksum_of`; none in folders of other programs."""


def is_language_model(path: str | os.PathLike[str]) -> bool:
    """Whether a folder says that it holds a language model, not a translator."""
    return Path(path, LANGUAGE_RECIPE_FILE).exists()


def save_language_model(
    path: str | os.PathLike[str],
    recipe: LanguageRecipe,
    network_state: Mapping[str, Tensor],
    tokenizer: Tokenizer,
    *,
    scores: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
) -> None:
    """Writes the folder, which has been loaded once before anything takes its place.

    Args:
        network_state: The network's `state_dict`.
        scores: Plain values by name of the text, for `scores.json`.
        texts: Checksums of the lines of train and dev.

    Raises:
        ModelDirectoryError: If the new files would not load.
        OSError: If they cannot be written.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    model = tokenizer.to_bytes()
    shapes = unique_shapes(_empty_network(recipe, tokenizer))
    tensors = {name: network_state[name].detach().cpu().float().contiguous() for name in shapes}
    files = {
        LANGUAGE_RECIPE_FILE: recipe_to_yaml(
            recipe, weights=checksum(tensors), texts=dict(texts or {})
        ).encode(),
        TEXT_MODEL_FILE: model,
        SCORES_FILE: to_json(scores or {}),
        CARD_FILE: write_language_model_card(recipe, scores or {}, folder).encode(),
        WEIGHTS_FILE: tensors_to_bytes(tensors, {TEXT_MODEL_FILE: digest(model)}),
    }
    write_files(folder, files, lambda *parts: load_language_model_directory(parts[0].parent))


def load_language_model_directory(path: str | os.PathLike[str]) -> LoadedLanguageModel:
    """Reads a folder; executes nothing that stands in it.

    Raises:
        ModelDirectoryError: If it is none, or something in it is missing, foreign or damaged.
    """
    try:
        return _load(Path(path))
    except ModelDirectoryError:
        raise
    except ConfigurationError as error:
        raise ModelDirectoryError(str(error)) from error


def _load(folder: Path) -> LoadedLanguageModel:
    file = folder / LANGUAGE_RECIPE_FILE
    if folder.is_dir() and not file.exists() and (folder / "recipe.yaml").exists():
        raise ModelDirectoryError(
            f"{folder} holds a translator, not a language model; train one with `seq2seq train_lm`."
        )
    try:
        values = values_from_yaml(read_file(file, MOST_RECIPE_BYTES).decode())
        named, texts = values.get("weights", {}), texts_from_values(values)
        recipe = language_recipe_from_values(values)
    except UnicodeDecodeError as error:
        raise ModelDirectoryError(f"{file}: the text is not UTF-8.") from error
    except ModelDirectoryError:
        raise
    except ConfigurationError as error:
        raise ModelDirectoryError(f"{file}: {error}") from error
    metadata = read_weights_metadata(folder)
    if not isinstance(named, dict) or (metadata and not named.items() <= metadata.items()):
        raise ModelDirectoryError(f"{file} belongs to other weights than {WEIGHTS_FILE}.")
    tokenizer = load_tokenizer(folder / TEXT_MODEL_FILE, metadata)
    try:
        network = _empty_network(recipe, tokenizer)
    except ConfigurationError as error:
        raise ModelDirectoryError(f"{file}: {error}") from error
    load_weights(folder, network)
    return LoadedLanguageModel(recipe, network.eval(), tokenizer, named, texts)


def _empty_network(recipe: LanguageRecipe, tokenizer: Tokenizer) -> LanguageNetwork:
    """The network without memory behind its weights."""
    with without_weights():
        return LanguageNetwork(recipe.model, tokenizer.vocabulary_size)
