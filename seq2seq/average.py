"""Makes one model directory of several: their weights' mean."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from seq2seq.config import ConfigurationError, shown
from seq2seq.members import check_one_vocabulary, join_decode
from seq2seq.model_directory import (
    RECIPE_FILE,
    LoadedModel,
    load_model_directory,
    save_model_directory,
)
from seq2seq.training.checkpoints import average_weights, load_weights

_CHECKPOINTS = "checkpoints"  # folder of a run with its best weights


class _Part(NamedTuple):
    """Weights that enter the average."""

    folder: Path
    """The model directory that says what network they are of."""
    file: Path | None
    """Weights that training has kept beside the model's own; None for these."""

    @property
    def name(self) -> Path:
        return self.file or self.folder


def average_models(
    output: str | os.PathLike[str],
    models: Sequence[str | os.PathLike[str]],
    *,
    last: int | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> int:
    """Writes a model directory with the mean of several networks' weights.

    Means of checkpoints of one run are often better than each of them (Junczys-Dowmunt et al.,
    2016, section 4, https://aclanthology.org/W16-2316); those of runs that began with other weights
    are worse than any. Whatever else a model directory holds comes from the first one.

    Args:
        output: The new folder.
        models: Model directories, or files of weights in the `checkpoints` folder of a run.
        last: Takes the latest so many of the best weights that each run has kept, not its model.
        warn: Hears, in a sentence, that networks are of different runs.

    Returns:
        The number of networks.

    Raises:
        ModelDirectoryError: If a folder is no sound model directory.
        ConfigurationError: If there are not several, their networks, languages or vocabularies
            differ, or the output is there already.
    """
    folder = Path(output)
    if (folder / RECIPE_FILE).exists():
        raise ConfigurationError(f"{folder} holds a model already; name another folder.")
    parts = [part for model in models for part in _find_parts(Path(model), last)]
    if len(parts) < 2:
        raise ConfigurationError(
            f"an average needs at least two models, but there is only {parts[0].name}."
        )
    first = load_model_directory(parts[0].folder)
    weights = average_weights(_read(parts, first, warn))
    # Whether bfloat16 costs quality was measured with other weights.
    decode = {n: v for n, v in join_decode([first]).items() if n != "bfloat16" and v is not None}
    name = folder.resolve().name
    save_model_directory(
        folder,
        dataclasses.replace(first.recipe, name=name),
        weights,
        first.tokenizers,
        extra=decode,
        lexicon=first.lexicon,
    )
    return len(parts)


def _find_parts(model: Path, last: int | None) -> list[_Part]:
    if last is None:
        is_file = model.is_file()
        return [_Part(model.parent.parent, model) if is_file else _Part(model, None)]
    files = sorted((model / _CHECKPOINTS).glob("best-*.safetensors"))
    if not 1 <= last <= len(files):
        raise ConfigurationError(
            f"`last` must be from 1 to {len(files)}, the best weights that the run {model} has "
            f"kept, but is {last}."
            if files
            else f"`last` needs folders of runs, but {model / _CHECKPOINTS} holds no weights."
        )
    return [_Part(model, file) for file in files[-last:]]


def _read(
    parts: Sequence[_Part], first: LoadedModel, warn: Callable[[str], None]
) -> Iterator[dict[str, Tensor]]:
    """The weights of one network after the other, all of the shapes of the first."""
    expected = first.model.state_dict()
    told = set()
    load = functools.lru_cache(maxsize=1)(load_model_directory)  # parts of one run stand together
    for part in parts:
        member = load(part.folder)
        _check_alike(parts[0], first, part, member)
        if _run_of(member) != _run_of(first) and part.folder not in told:
            told.add(part.folder)
            warn(
                f"{part.folder} is of another run than {parts[0].folder}; unless both began with "
                f"the same weights, their average is worse than each of them."
            )
        weights = member.model.state_dict() if part.file is None else load_weights(part.file)
        if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in expected.items()}:
            raise ConfigurationError(
                f"{part.name} holds other weights than the network of {part.folder} has."
            )
        yield weights


def _run_of(member: LoadedModel) -> tuple[str, int]:
    """What tells a run from others."""
    return member.recipe.name, member.recipe.training.seed


def _check_alike(first_part: _Part, first: LoadedModel, part: _Part, member: LoadedModel) -> None:
    check_one_vocabulary(first, member, paths=(first_part.folder, part.folder), what="an average")
    ours, theirs = (dataclasses.asdict(each.recipe.model) for each in (first, member))
    # Dropout makes no difference to the weights' shapes.
    for name in (name for name in ours if name != "dropout"):
        if ours[name] != theirs[name]:
            raise ConfigurationError(
                f"an average needs networks of one shape, but `model.{name}` is "
                f"{shown(ours[name])} in {first_part.folder} and {shown(theirs[name])} in "
                f"{part.folder}."
            )
