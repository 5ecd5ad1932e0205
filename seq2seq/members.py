"""Model directories that translate together, and how they fit one another and the device."""

import itertools
import os
from collections.abc import Sequence
from typing import Any

import torch

from seq2seq.config import ConfigurationError, Recipe
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.decoding.ensemble import Ensemble, Network, normalise_weights
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.devices import is_bfloat16_fast
from seq2seq.language_config import LanguageRecipe
from seq2seq.languages import base_language
from seq2seq.model_directory import LoadedModel, load_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.inference import InferenceModel
from seq2seq.models.packed import is_int8_there


def load_members(
    path: str | os.PathLike[str], further: Sequence[str | os.PathLike[str]]
) -> list[LoadedModel]:
    """Reads the model directories of an ensemble; of one alone where there are no further ones.

    Raises:
        ModelDirectoryError: If one is no sound model directory.
        ConfigurationError: If one has other languages or another vocabulary than the first.
    """
    members = [load_model_directory(path)]
    for other in further:
        members.append(load_model_directory(other))
        check_one_vocabulary(members[0], members[-1], paths=(path, other), what="`ensemble`")
    return members


def join_decode(members: Sequence[LoadedModel]) -> dict[str, Any]:
    """What was recorded about decoding, as it holds for all: the most careful of each."""
    joined: dict[str, Any] = {
        "bfloat16": all(member.decode.get("bfloat16", False) for member in members)
    }
    for name in ("longest_source", "sentences_per_source"):
        known = [member.decode[name] for member in members if name in member.decode]
        joined[name] = min(known, default=None)
    return joined


def identify(
    members: Sequence[LoadedModel], weights: Sequence[float] | None, kind: str
) -> list[dict[str, str]]:
    """Tells networks that translate together from others: by checksums, and how they are joined.

    Args:
        weights: As in `Translator.load`, and so is `kind`.
    """
    identity = [dict(member.weights) for member in members]
    number = len(members)
    shares = None if weights is None else normalise_weights(weights, number)
    joined = {}
    if shares is not None and len(set(shares)) > 1:
        joined["ensemble_weights"] = " ".join(f"{share:.6f}" for share in shares)
    if number > 1 and kind != "log_linear":
        joined["ensemble_kind"] = kind
    return [*identity, joined] if joined else identity


def find_lexicon(members: Sequence[LoadedModel]) -> Lexicon | None:
    """The table of the first member that has one: all choose among the same candidates."""
    return next((member.lexicon for member in members if member.lexicon is not None), None)


def prepare_network(
    model: EncoderDecoder, precision: str, *, plain: bool, with_shortlists: bool
) -> Network:
    """A network in the form that searches.

    Args:
        model: In evaluation mode, on its device.
        precision: A name in `ARITHMETICS`.
        plain: As it stands.
    """
    if plain:
        return model.to(torch.bfloat16 if precision == "bfloat16" else torch.float32)
    return InferenceModel(model, precision, with_shortlists=with_shortlists)


def join_networks(
    networks: Sequence[Network], weights: Sequence[float] | None, kind: str
) -> Network:
    """An ensemble; a network that is alone, without weights, stays as it is."""
    if len(networks) == 1 and weights is None:
        return networks[0]
    shares = [1.0] * len(networks) if weights is None else weights
    return Ensemble(networks, shares, kind)


def has_twins(models: Sequence[EncoderDecoder]) -> bool:
    """Whether two of the networks have the same weights, so that one of them adds nothing."""
    states = [model.state_dict() for model in models]
    return any(
        ours.keys() == theirs.keys()
        and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
        for ours, theirs in itertools.combinations(states, 2)
    )


def find_precision(wish: str, device: torch.device, is_bfloat16_recorded: bool) -> str:
    """The precision to compute in, where a wish cannot or need not be taken literally.

    Args:
        wish: auto, or a name in `ARITHMETICS`.
        is_bfloat16_recorded: Whether training found that bfloat16 loses no quality.
    """
    fastest = "bfloat16" if is_bfloat16_fast(device) else "float32"
    if wish == "auto":
        return fastest if is_bfloat16_recorded else "float32"
    if wish == "int8" and (device.type != "cpu" or not is_int8_there()):
        return fastest
    return wish


def check_reverse(recipe: Recipe, reverse: Recipe, path: str | os.PathLike[str]) -> None:
    """Refuses a reverse model that does not translate the other way round.

    Args:
        path: Of the reverse model.

    Raises:
        ConfigurationError: Says what it translates.
    """
    ours = recipe.source_language, recipe.target_language
    theirs = reverse.target_language, reverse.source_language
    if list(map(base_language, ours)) != list(map(base_language, theirs)):
        raise ConfigurationError(
            f"`reverse` must translate {ours[1]} to {ours[0]}, but {path} translates "
            f"{theirs[1]} to {theirs[0]}."
        )


def check_language_model(
    translator: LoadedModel,
    recipe: LanguageRecipe,
    tokenizer: Tokenizer,
    path: str | os.PathLike[str],
) -> None:
    """Refuses a language model that cannot take part in a search for translations.

    Args:
        path: Of the language model.

    Raises:
        ConfigurationError: If it has other pieces, or was trained on running text.
    """
    if tokenizer.to_bytes() != translator.tokenizers.target.to_bytes():
        raise ConfigurationError(
            f"`language_model` must have the target pieces of the translator, but {path} has "
            f"others; train it with `--tokenizer_of` and the translator's directory."
        )
    if recipe.text.lines != "sentences":
        raise ConfigurationError(
            f"`language_model` must know where sentences begin, but {path} was trained with "
            f"`text.lines` {recipe.text.lines}; train one with `--text.lines sentences`."
        )


def check_one_vocabulary(
    first: LoadedModel,
    other: LoadedModel,
    *,
    paths: tuple[str | os.PathLike[str], str | os.PathLike[str]],
    what: str,
) -> None:
    """Refuses models that cannot work together.

    Args:
        paths: Of the two models.
        what: They are wanted for.

    Raises:
        ConfigurationError: If their languages or vocabularies differ.
    """
    languages = [(m.recipe.source_language, m.recipe.target_language) for m in (first, other)]
    if languages[0] != languages[1]:
        (source, target), (other_source, other_target) = languages
        raise ConfigurationError(
            f"{what} needs models of the same languages, but {paths[0]} translates from "
            f"{source} to {target} and {paths[1]} from {other_source} to {other_target}."
        )
    for side in ("source", "target"):
        ours, theirs = (getattr(member.tokenizers, side).to_bytes() for member in (first, other))
        if ours != theirs:
            raise ConfigurationError(
                f"{what} needs models with one vocabulary, but the {side} pieces of {paths[1]} "
                f"are not those of {paths[0]}; train them on one corpus with the same `tokenizer`."
            )
