"""The recipe of a language model: every setting as frozen dataclasses, checked when it is made."""

import re
from dataclasses import dataclass, field
from typing import Literal

from seq2seq.checks import above_zero, at_least, within
from seq2seq.config import ConfigurationError, TokenizerConfig, check_threads, shown


@dataclass(frozen=True)
class TextConfig:
    """The text that a language model learns from."""

    train: str | list[str] | None = None
    """File of text in UTF-8, or .gz of it, or a list of files, one after another; tabs and other
    control characters read as spaces."""
    embedded: Literal["source"] | None = None
    """In place of `train`: source, the Python source of this very package; also if neither is
    given."""
    dev: str | list[str] | None = None
    """Like `train`; without it, the last twentieth of the training text, at most 2,000 lines."""
    test: str | list[str] | None = None
    """Like `train`; without it there is no test."""
    lines: Literal["text", "sentences"] = "text"
    """text: lines follow one another, and the state of the network goes on from each to the next,
    as if the text began after a newline; sentences: each line stands for itself, as it must where
    translations are to be ranked."""

    def __post_init__(self) -> None:
        for name in ("train", "dev", "test"):
            value = getattr(self, name)
            if value in ("", []) or (isinstance(value, list) and "" in value):
                raise ConfigurationError(f"`text.{name}` must not be empty, but is {value!r}.")
        if self.train is not None and self.embedded is not None:
            raise ConfigurationError(
                "`text.train` and `text.embedded` exclude each other; leave one of them out."
            )


@dataclass(frozen=True)
class LanguageNetworkConfig:
    """The network: the recurrent layers of a decoder, without a source."""

    cell: str = "lstm"
    """Recurrent cell: rnn (tanh), gru or lstm."""
    embedding_size: int = 128
    """Size of the embeddings."""
    hidden_size: int = 512
    """Size of the states."""
    num_layers: int = 1
    """Recurrent layers, 1 to 4."""
    tie_embeddings: bool = False
    """Vocabulary layer uses the embedding as its weights (Press and Wolf, 2017), with a projection
    between where the sizes differ."""
    dropout: float = 0.1
    """Share of embedding and layer-output features dropped in training."""

    def __post_init__(self) -> None:
        for name in ("embedding_size", "hidden_size"):
            within(f"model.{name}", getattr(self, name), 1, 65_536)
        within("model.num_layers", self.num_layers, 1, 4)
        if not 0 <= self.dropout < 1:
            raise ConfigurationError(f"`model.dropout` must be in [0, 1), but is {self.dropout}.")


@dataclass(frozen=True)
class LanguageTrainingConfig:
    """How the network learns."""

    max_epochs: int = 10
    """Passes over the training text."""
    max_minutes: float | None = None
    """Stops training after that many minutes, with the best weights so far."""
    streams: int = 32
    """Places of the text that are read side by side; of sentences, how many at a time."""
    truncation_steps: int = 64
    """Steps after which gradients are cut, while the state goes on (Williams and Peng, 1990)."""
    optimizer: str = "adam"
    """adam or sgd."""
    learning_rate: float = 2e-3
    """Highest learning rate."""
    schedule: str = "cosine"
    """Learning rate after the warm-up: constant, inverse_square_root, cosine or plateau."""
    warmup_steps: int = 100
    """Optimiser steps of linear warm-up."""
    weight_decay: float = 0.0
    """Decoupled L2 decay of weights per step."""
    gradient_clip: float = 1.0
    """Largest L2 norm of all gradients together; 0 switches clipping off."""
    validate_every: float = 1.0
    """Epochs between two evaluations of the development text."""
    patience: int = 5
    """Evaluations without improvement before training stops early."""
    checkpoint_minutes: float = 2.0
    """Longest time between two checkpoints."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of products; auto is bfloat16 where the hardware makes it fast."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: int | None = None
    """Processor threads; as many as cores if not given."""
    plain: bool = False
    """Trains by the plain path: the slow reference of the faster code, one step after another."""
    seed: int = 1
    """Seed of initialisation, order and dropout."""

    def __post_init__(self) -> None:
        for name in ("max_epochs", "streams", "truncation_steps", "patience"):
            at_least(f"training.{name}", getattr(self, name), 1)
        at_least("training.warmup_steps", self.warmup_steps, 0)
        at_least("training.weight_decay", self.weight_decay, 0)
        at_least("training.gradient_clip", self.gradient_clip, 0)
        within("training.seed", self.seed, 0, 2**63 - 1)
        for name in ("learning_rate", "validate_every", "checkpoint_minutes"):
            above_zero(f"training.{name}", getattr(self, name))
        if self.max_minutes is not None:
            above_zero("training.max_minutes", self.max_minutes)
        if self.threads is not None:
            check_threads(self.threads, field="training.threads")


def _characters() -> TokenizerConfig:
    return TokenizerConfig(kind="character", character_coverage=1.0)


@dataclass(frozen=True)
class LanguageRecipe:
    """Everything that one training of a language model needs to be made again."""

    name: str = "language-model"
    """Name of the run; its folder is runs/<name>."""
    language: str = "en"
    """Language code of the text, for the model card; nothing is computed differently."""
    text: TextConfig = field(default_factory=TextConfig)
    tokenizer_of: str | None = None
    """Model directory of a translator whose target pieces are taken; then nothing of `tokenizer`
    may be given."""
    tokenizer: TokenizerConfig = field(default_factory=_characters)
    model: LanguageNetworkConfig = field(default_factory=LanguageNetworkConfig)
    training: LanguageTrainingConfig = field(default_factory=LanguageTrainingConfig)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.language):
            raise ConfigurationError(
                f"`language` must be a language code, but is {shown(self.language)}."
            )
        is_plain = self.name.isprintable() and not re.search(r"[/\\]", self.name)
        if not self.name or not is_plain or self.name in (".", ".."):
            raise ConfigurationError(
                f"`name` must be a plain folder name, but is {shown(self.name)}."
            )
        if self.tokenizer.sampling:
            raise ConfigurationError(
                "`tokenizer.sampling` has no meaning for running text; set it to 0."
            )
        if not self.tokenizer.shared:
            raise ConfigurationError(
                "`tokenizer.shared` has no meaning for a language model, which has one side; leave "
                "it out."
            )
