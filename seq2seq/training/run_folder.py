"""The folder of a run: who may use it, what stands in it, and whether it can be continued."""

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from seq2seq.config import ConfigurationError, Recipe, shown
from seq2seq.data.tokenizer import Tokenizer, Tokenizers
from seq2seq.files import explain_write_error, is_write_error, remove_parts, replacing
from seq2seq.language_config import LanguageRecipe
from seq2seq.locks import locked
from seq2seq.reading import check_file
from seq2seq.recipe_yaml import (
    MOST_RECIPE_BYTES,
    language_recipe_from_yaml,
    recipe_from_yaml,
    recipe_to_yaml,
    texts_from_values,
    values_from_yaml,
)
from seq2seq.training.checkpoints import LAST_FILE, PREVIOUS_FILE, read_step
from seq2seq.training.logs import say

Parsed = TypeVar("Parsed")

# What `overwrite` deletes, in this order; whatever else stands in the folder is not ours. A model
# goes before what it needs, and the recipe last: as long as it is there, the folder holds a run.
_OWN_FOLDERS = ("cache", "checkpoints", "logs", "translations")
RECIPE_FILES = {"recipe.yaml": "translator", "language_model.yaml": "language model"}
"""What each folder of a run holds, by the file that says so."""
_OWN_FILES = (
    "text.model",
    "model.safetensors",
    "lexicon.safetensors",
    "shared.model",
    "source.model",
    "target.model",
    "scores.json",
    "corpus.json",
    "training.json",
    "source_words.tsv",
    "README.md",
    "report.html",
    *RECIPE_FILES,
)
# What a resumed run may do otherwise than before; the rest decides the weights step by step.
_FREE_SECTIONS = ("name", "search")
_FREE_SETTINGS = (
    "max_epochs",
    "max_minutes",
    "patience",
    "average_best",
    "samples",
    "checkpoint_minutes",
    "lexicon_pairs",
    "non_finite_limit",
    "precision",
    "device",
    "threads",
)


class RunFolder:
    """A folder runs/<name>: a model directory plus checkpoints and logs."""

    recipe_name = "recipe.yaml"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.logs = path / "logs"
        self.cache = path / "cache"
        self.new_cache = path / ".new_cache"
        """A cache that `begin` moves to its place; without `begin` it vanishes with the lock."""
        self._recipe_file = path / self.recipe_name
        self.last_checkpoint = self.checkpoints / LAST_FILE
        self.previous_checkpoint = self.checkpoints / PREVIOUS_FILE

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out; the folder is made if it is not there.

        Raises:
            ConfigurationError: If another process is in it, or it cannot be written, now or later.
        """
        is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The run folder {self.path} cannot be written: {error.strerror}."
            ) from error
        in_use = f"The run folder {self.path} is in use by another training"
        try:
            with locked(self.path / ".lock", in_use):
                self._remove_leftovers()
                try:
                    yield
                except OSError as error:
                    self._explain(error)
                    raise
                finally:
                    shutil.rmtree(self.new_cache, ignore_errors=True)
        finally:
            if is_new and not any(self.path.iterdir()):
                self.path.rmdir()

    @property
    def holds_run(self) -> bool:
        """Whether a run has begun in it."""
        return self._recipe_file.exists()

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Finds out whether the folder may be used, and changes nothing.

        Raises:
            ConfigurationError: If it holds a run that is neither to be resumed nor overwritten, or
                a checkpoint of nobody knows which run.
        """
        if resume and overwrite:
            raise ConfigurationError("`--resume` and `--overwrite` exclude each other.")
        for name, kind in RECIPE_FILES.items():
            if name != self.recipe_name and (self.path / name).exists() and not overwrite:
                raise ConfigurationError(
                    f"The run folder {self.path} holds a {kind}; give this run another `name`, or "
                    f"replace it with `--overwrite`."
                )
        if self.holds_run and not (resume or overwrite):
            raise ConfigurationError(
                f"The run folder {self.path} holds a run already; continue it with "
                f"`--resume` or replace it with `--overwrite`."
            )
        checkpoints = (self.last_checkpoint, self.previous_checkpoint)
        if resume and not self.holds_run and any(file.exists() for file in checkpoints):
            raise ConfigurationError(
                f"The run folder {self.path} holds a checkpoint, but no {self.recipe_name} that "
                f"says of which run; restore it or start again with `--overwrite`."
            )

    def check_same_run(self, recipe: Recipe | LanguageRecipe) -> None:
        """Refuses to continue a run with another recipe than it began with.

        Raises:
            ConfigurationError: If a setting differs that decides the weights.
        """
        before, now = dataclasses.asdict(self.read(self.parse)), dataclasses.asdict(recipe)
        for name, old, new in _differences("", before, now):
            raise ConfigurationError(
                f"`{name}` was {shown(old)} when the run began, but is {shown(new)}; a resumed run "
                f"cannot change it, so use another folder or `--overwrite`."
            )

    def begin(
        self,
        recipe: Recipe | LanguageRecipe,
        tokenizers: Tokenizers,
        *,
        overwrite: bool,
        **sections: Any,
    ) -> None:
        """Makes it the folder of a run: from now on another one is refused.

        To be called when nothing can be wrong with the recipe any more, so that a mistake in it
        deletes no earlier run and leaves no folder that would be refused.

        Args:
            overwrite: A run that is there is deleted.
            sections: Stand below the recipe.
        """
        if overwrite or not self._recipe_file.exists():
            # First of all, and also if no recipe says that they are there: a run that is killed
            # from now on must not continue another one.
            for checkpoint in (self.last_checkpoint, self.previous_checkpoint):
                checkpoint.unlink(missing_ok=True)
        if overwrite and any((self.path / name).exists() for name in RECIPE_FILES):
            self._clear()
        self._keep_new_cache()
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self._save_tokenizers(tokenizers)
        has_model = (self.path / "model.safetensors").exists()
        if not (has_model and self.holds_run):  # else the `decode` section of the model stays
            with replacing(self._recipe_file) as (part,):
                part.write_text(recipe_to_yaml(recipe, **sections), "utf-8")

    def load_tokenizers(self) -> Tokenizers | None:
        """The tokenizers that `begin` kept for a resumed run, or None."""
        shared = self.checkpoints / "shared.model"
        if shared.exists():
            tokenizer = Tokenizer.load(shared)
            return Tokenizers(tokenizer, tokenizer)
        source, target = self.checkpoints / "source.model", self.checkpoints / "target.model"
        if source.exists() and target.exists():
            return Tokenizers(Tokenizer.load(source), Tokenizer.load(target))
        return None

    def find_checkpoint(self) -> int:
        """The step after which a resumed run continues, 0 if there is no checkpoint.

        Of a damaged checkpoint nothing is used: the one before takes its place.

        Raises:
            ConfigurationError: If there is only a damaged one.
        """
        files = [self.last_checkpoint, self.previous_checkpoint]
        found = [file for file in files if file.exists()]
        for file in found:
            step = read_step(file)
            if step is None:
                continue
            if file == self.previous_checkpoint:
                self._go_back(step)
            return step
        if not found:
            return 0
        raise ConfigurationError(
            f"{' and '.join(map(str, found))} {'are' if found[1:] else 'is'} damaged or no "
            f"checkpoint; start again with `--overwrite`."
        )

    def _go_back(self, step: int) -> None:
        """Lets the previous checkpoint be the last one."""
        if self.last_checkpoint.exists():  # else a process was killed that was moving them
            say(
                f"{self.last_checkpoint} is damaged; the run continues after step {step:,}, from "
                f"the checkpoint before."
            )
        os.replace(self.previous_checkpoint, self.last_checkpoint)

    def _remove_leftovers(self) -> None:
        """Deletes what killed processes have left half made."""
        for scratch in (self.new_cache, *self.cache.glob(".*")):
            shutil.rmtree(scratch, ignore_errors=True)
        for folder in (self.path, *(self.path / name for name in _OWN_FOLDERS)):
            remove_parts(folder)

    def _explain(self, error: OSError) -> None:
        """Raises a sentence with the mend if something in the folder cannot be written."""
        named = isinstance(error.filename, str) and Path(error.filename).is_relative_to(self.path)
        if is_write_error(error) or (named and isinstance(error, PermissionError)):
            then = "continue with `--resume`" if self._recipe_file.exists() else "start again"
            raise ConfigurationError(
                f"{explain_write_error(error, self.path)}, then {then}."
            ) from error

    def _save_tokenizers(self, tokenizers: Tokenizers) -> None:
        names = ("shared",) if tokenizers.shared else ("source", "target")
        paths = [self.checkpoints / f"{name}.model" for name in names]
        with replacing(*paths) as parts:
            for part, tokenizer in zip(parts, (tokenizers.source, tokenizers.target), strict=False):
                tokenizer.save(part)

    def _keep_new_cache(self) -> None:
        for entry in self.new_cache.glob("*"):
            self.cache.mkdir(exist_ok=True)
            # What a killed start left there may be of other files than the corpus has now.
            shutil.rmtree(self.cache / entry.name, ignore_errors=True)
            entry.rename(self.cache / entry.name)

    def parse(self, text: str) -> Recipe | LanguageRecipe:
        """The recipe of such a run from its YAML."""
        return recipe_from_yaml(text)

    def read(self, parse: Callable[[str], Parsed]) -> Parsed:
        """What `parse` makes of the recipe's file.

        Raises:
            ConfigurationError: If it cannot; names the file.
        """
        check_file(self._recipe_file, most_bytes=MOST_RECIPE_BYTES)
        try:
            return parse(self._recipe_file.read_text("utf-8"))
        except OSError as error:
            raise ConfigurationError(
                f"{self._recipe_file} cannot be read: {error.strerror}."
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{self._recipe_file}: the text is not UTF-8.") from error
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._recipe_file}: {error}") from error

    def _clear(self) -> None:
        for name in _OWN_FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in _OWN_FILES:
            (self.path / name).unlink(missing_ok=True)


class LanguageRunFolder(RunFolder):
    """The folder of a run that trains a language model; its tokenizer is one for both sides."""

    recipe_name = "language_model.yaml"

    def parse(self, text: str) -> LanguageRecipe:
        """The recipe of such a run from its YAML."""
        return language_recipe_from_yaml(text)

    def check_same_texts(self, texts: Mapping[str, str]) -> None:
        """Refuses to continue a run with other lines than it began with.

        Args:
            texts: Checksums of train and dev.

        Raises:
            ConfigurationError: If one differs; says which.
        """
        before = texts_from_values(self.read(values_from_yaml))
        for name, kind in (("train", "training"), ("dev", "development")):
            if name in before and before[name] != texts[name]:
                raise ConfigurationError(
                    f"The {kind} text has changed since the run began; give back the text that it "
                    f"began with, or start again with `--overwrite`."
                )


def _differences(
    prefix: str, before: dict[str, Any], now: dict[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    for name, old in before.items():
        if prefix == "" and name in _FREE_SECTIONS:
            continue
        if prefix == "training." and name in _FREE_SETTINGS:
            continue
        if isinstance(old, dict):
            yield from _differences(f"{prefix}{name}.", old, now[name])
        elif old != now[name]:
            yield f"{prefix}{name}", old, now[name]
