"""The recipe: every setting of a run as a tree of frozen dataclasses, checked when it is made.

Knows nothing of files, text or networks; everything else may import it.
"""

import re
from dataclasses import dataclass, field, fields
from typing import Literal

from seq2seq.checks import ConfigurationError as ConfigurationError
from seq2seq.checks import above_zero, at_least, within
from seq2seq.checks import choose as choose
from seq2seq.checks import shown as shown
from seq2seq.search_config import SearchConfig as SearchConfig
from seq2seq.search_config import check_given as check_given

# One place for the ids that tokenizers, networks and searches agree on.
PAD_ID, UNKNOWN_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
_SPLITS = ("train_split", "dev_split", "test_split")


def check_threads(threads: int, *, field: str) -> None:
    """Refuses a number of processor threads that no machine has."""
    within(field, threads, 1, 4096)


@dataclass(frozen=True)
class FilterConfig:
    """Which training pairs are left out, each counted; development and test sets stay whole."""

    max_characters: int | None = None
    """Longest source or target in characters."""
    max_ratio: float | None = None
    """Most that the ratio of target to source characters may differ from that of the whole corpus,
    as a factor: 3 drops targets three times longer, or shorter, than is usual."""
    duplicates: bool = False
    """Drops pairs that stand in the corpus already."""
    identical: bool = False
    """Drops pairs whose sides are the same text."""
    script: float | None = None
    """Least share of letters in the script of the language (Hangul, Kana and Han, Latin ...)."""
    language: bool = False
    """Drops pairs whose sides are in other languages; needs the library py3langid."""

    def __post_init__(self) -> None:
        if self.max_characters is not None:
            at_least("corpus.filters.max_characters", self.max_characters, 1)
        if self.max_ratio is not None and not self.max_ratio > 1:
            raise ConfigurationError(
                f"`corpus.filters.max_ratio` must be above 1, but is {shown(self.max_ratio)}."
            )
        if self.script is not None:
            within("corpus.filters.script", self.script, 0, 1)


@dataclass(frozen=True)
class CorpusConfig:
    """Where the sentence pairs come from: the embedded phrasebook, files, or the datasets hub."""

    embedded: Literal["phrasebook"] | None = None
    """A corpus that ships with the package; used when neither files nor a hub id are given."""
    train: str | list[str] | None = None
    """Path before the language suffix: `my/train` reads my/train.de and my/train.en (or .gz); or
    one table, my/train.tsv, .csv, .jsonl (or .gz) or .parquet; or a list of such. A slice at the
    end, `my/dev[:500]` or `my/dev[50%:]`, takes a part of the pairs."""
    dev: str | list[str] | None = None
    """Like `train`; without it, development pairs are drawn from the training pairs by seed."""
    test: str | list[str] | None = None
    """Like `train`; without it, test pairs are drawn from the training pairs by seed."""
    alignments: str | list[str] | None = None
    """File of word alignments in the Pharaoh format (0-0 2-1), a line for each pair of `train`, as
    `seq2seq align`, fast_align and eflomal write them; a list if `train` is one. Needs
    `training.guided_attention`; the phrasebook has its own."""
    hub: str | None = None
    """Id of a data set on the datasets hub, or a local folder of the same layout."""
    hub_configuration: str | None = None
    """Configuration (subset) of the hub data set."""
    hub_revision: str | None = None
    """Branch, tag or commit of the hub data set."""
    streaming: bool = False
    """Reads the hub data set row by row without storing it; `max_pairs` ends the reading early."""
    source_column: str | None = None
    """Column of the source sentences in a table or a hub data set, the source language if not
    given; a number, such as 1, for a column of a .tsv or .csv without a header."""
    target_column: str | None = None
    """Column of the target sentences; the target language if not given."""
    train_split: str = "train"
    """Training split of the hub data set."""
    dev_split: str = "validation"
    """Development split of the hub data set."""
    test_split: str = "test"
    """Test split of the hub data set."""
    max_pairs: int | None = None
    """Training pairs that are read at most, the first ones."""
    remove_spaces: Literal["source", "target", "both"] | None = None
    """Side whose spaces are removed at load: for Japanese or Chinese that comes tokenised."""
    max_length: int | None = None
    """Longest source or target in pieces; longer training pairs are dropped and counted. If not
    given, 200 pieces, or 1,000 where the pieces are characters or bytes."""
    filters: FilterConfig = field(default_factory=FilterConfig)

    def __post_init__(self) -> None:
        if self.max_pairs is not None:
            at_least("corpus.max_pairs", self.max_pairs, 1)
        if self.max_length is not None:
            at_least("corpus.max_length", self.max_length, 1)
        for name in (setting.name for setting in fields(self)):
            value = getattr(self, name)
            if value in ("", []) or (isinstance(value, list) and "" in value):
                raise ConfigurationError(f"`corpus.{name}` must not be empty, but is {value!r}.")
        given = [n for n in ("embedded", "train", "hub") if getattr(self, n) is not None]
        if len(given) > 1:
            raise ConfigurationError(
                f"`corpus.{given[0]}` and `corpus.{given[1]}` exclude each other; give one of them."
            )
        if self.train is None and (self.dev is not None or self.test is not None):
            raise ConfigurationError(
                "`corpus.train` is missing beside `corpus.dev` or `corpus.test`."
            )
        if self.hub is None:
            self._refuse_settings_of_hubs()
        if self.alignments is not None:
            self._check_alignments()

    @property
    def spaces_removed(self) -> tuple[bool, bool]:
        """Whether the source loses its spaces, and the target."""
        return self.remove_spaces in ("source", "both"), self.remove_spaces in ("target", "both")

    def _check_alignments(self) -> None:
        if self.train is None:
            raise ConfigurationError("`corpus.alignments` needs `corpus.train`.")
        entries, files = (
            1 if isinstance(given, str) else len(given or [])
            for given in (self.train, self.alignments)
        )
        if entries != files:
            raise ConfigurationError(
                f"`corpus.alignments` must name a file for each entry of `corpus.train`, which are "
                f"{entries}, but names {files}."
            )

    def _refuse_settings_of_hubs(self) -> None:
        defaults = {setting.name: setting.default for setting in fields(self)}
        for name in ("streaming", "hub_configuration", "hub_revision", *_SPLITS):
            if getattr(self, name) != defaults[name]:
                raise ConfigurationError(f"`corpus.{name}` needs `corpus.hub`.")
        for name in ("source_column", "target_column"):
            if self.train is None and getattr(self, name) is not None:
                raise ConfigurationError(f"`corpus.{name}` needs `corpus.train` or `corpus.hub`.")


@dataclass(frozen=True)
class TokenizerConfig:
    """SentencePiece models of both sides."""

    kind: str = "unigram"
    """Model of SentencePiece: unigram, bpe, character, byte or word."""
    vocabulary_size: int | None = None
    """Pieces of each model, the four special ones and the byte pieces included. If not given,
    chosen from the amount of text, at most 8,000; of words those seen twice, at most 30,000."""
    shared: bool = True
    """One model for both sides; otherwise one each."""
    byte_fallback: bool = True
    """Characters outside the vocabulary become bytes instead of the unknown symbol."""
    character_coverage: float = 0.9995
    """Share of the characters of the training text that get pieces of their own."""
    sampling: float = 0.0
    """Subword regularisation in training, 0 for none: with unigram the smoothing of the sampled
    segmentations, about 0.2 and wilder when smaller (Kudo, 2018); with bpe the share of merges left
    out, about 0.1 (Provilkov et al., 2020)."""

    def __post_init__(self) -> None:
        within("tokenizer.sampling", self.sampling, 0.0, 1.0)
        if self.sampling and self.kind not in ("unigram", "bpe"):
            raise ConfigurationError(
                f"`tokenizer.sampling` needs `tokenizer.kind` unigram or bpe, "
                f"but `tokenizer.kind` is {shown(self.kind)}."
            )
        if self.vocabulary_size is not None:
            within("tokenizer.vocabulary_size", self.vocabulary_size, 8, 1_000_000)
        within("tokenizer.character_coverage", self.character_coverage, 0.9, 1.0)


@dataclass(frozen=True)
class ModelConfig:
    """The network: encoder, context or attention, decoder."""

    cell: str = "lstm"
    """Recurrent cell: rnn (tanh), gru or lstm."""
    attention: str = "bahdanau"
    """bahdanau, or none for a fixed-length context."""
    context_steps: Literal["every", "first"] = "every"
    """With attention none: the context enters every decoder step (Cho) or the first (Sutskever)."""
    embedding_size: int = 256
    """Size of source and target embeddings."""
    hidden_size: int = 512
    """Size of decoder states and encoder outputs; each direction of the encoder has half of it."""
    attention_size: int = 256
    """Size in which attention compares states."""
    encoder_layers: int = 1
    """Layers of the encoder, 1 to 4."""
    decoder_layers: int = 1
    """Layers of the decoder, 1 to 4."""
    bidirectional: bool = True
    """Encoder reads both ways."""
    reverse_source: bool = False
    """Encoder reads the source back to front (Sutskever et al., 2014)."""
    tie_embeddings: bool = True
    """Vocabulary layer uses the target embedding as its weights (Press and Wolf, 2017)."""
    share_embeddings: bool = False
    """Source and target use one embedding; needs a shared tokenizer."""
    dropout: float = 0.3
    """Share of embedding, layer-output and readout features dropped in training."""

    def __post_init__(self) -> None:
        for name in ("embedding_size", "hidden_size", "attention_size"):
            within(f"model.{name}", getattr(self, name), 1, 65_536)
        for name in ("encoder_layers", "decoder_layers"):
            within(f"model.{name}", getattr(self, name), 1, 4)
        if not 0 <= self.dropout < 1:
            raise ConfigurationError(f"`model.dropout` must be in [0, 1), but is {self.dropout}.")
        if self.bidirectional and self.hidden_size % 2:
            raise ConfigurationError(
                f"`model.hidden_size` must be even with a bidirectional encoder, "
                f"but is {self.hidden_size}."
            )


@dataclass(frozen=True)
class TrainingConfig:
    """How the network learns."""

    max_epochs: int = 15
    """Passes over the training pairs."""
    max_minutes: float | None = None
    """Stops training after that many minutes, with the best checkpoints so far."""
    batch_tokens: int = 2000
    """Padded pieces per batch, counted on the longer side."""
    accumulate_batches: int = 1
    """Batches before one optimiser step, which takes the mean of their gradients."""
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
    label_smoothing: float = 0.1
    """Probability mass spread evenly over the vocabulary."""
    guided_attention: float = 0.0
    """Weight of a second loss that draws attention to given word alignments, 0 for none; 1 weighs
    both alike (Chen et al., 2016). Needs `corpus.alignments` or the phrasebook, and attention."""
    gradient_clip: float = 1.0
    """Largest L2 norm of all gradients together; 0 switches clipping off."""
    truncation_steps: int | None = None
    """Target steps after which backpropagation through time is cut."""
    validate_every: float = 1.0
    """Epochs between two evaluations of the development set."""
    monitor: str = "bleu"
    """Development score that picks the best checkpoints: bleu, chrf or loss."""
    patience: int = 5
    """Evaluations without improvement before training stops early."""
    average_best: int = 3
    """Best checkpoints whose average is kept if it is better on the development set."""
    dev_sentences: int = 1000
    """Development pairs translated at each evaluation, spread evenly; the loss uses all."""
    samples: int = 3
    """Sample translations printed at each evaluation."""
    checkpoint_minutes: float = 2.0
    """Longest time between two checkpoints."""
    lexicon_pairs: int = 100_000
    """Training pairs from which the table of shortlists is learnt at the end, if there is
    attention; 0 for no table."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of products; auto is bfloat16 where the hardware makes it fast."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    devices: int = 1
    """Processes that train together, each on a GPU or a share of the cores, with `batch_tokens`
    each; left out under torchrun and SLURM, which start them."""
    threads: int | None = None
    """Processor threads of each process; together as many as cores if not given."""
    non_finite_limit: int = 5
    """Steps in a row that are left out because loss or gradient are not finite; one more ends
    training."""
    plain: bool = False
    """Trains by the plain path: the slow reference of the faster code, one step after another."""
    seed: int = 1
    """Seed of initialisation, order, dropout and drawn development sets."""

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_tokens", "accumulate_batches", "average_best"):
            at_least(f"training.{name}", getattr(self, name), 1)
        for name in ("patience", "dev_sentences"):
            at_least(f"training.{name}", getattr(self, name), 1)
        for name in ("warmup_steps", "samples", "lexicon_pairs", "non_finite_limit"):
            at_least(f"training.{name}", getattr(self, name), 0)
        within("training.seed", self.seed, 0, 2**63 - 1)
        within("training.devices", self.devices, 1, 4096)
        if self.truncation_steps is not None:
            at_least("training.truncation_steps", self.truncation_steps, 1)
        if self.threads is not None:
            check_threads(self.threads, field="training.threads")
        for name in ("learning_rate", "validate_every", "checkpoint_minutes"):
            above_zero(f"training.{name}", getattr(self, name))
        if self.max_minutes is not None:
            above_zero("training.max_minutes", self.max_minutes)
        at_least("training.weight_decay", self.weight_decay, 0)
        at_least("training.gradient_clip", self.gradient_clip, 0)
        within("training.guided_attention", self.guided_attention, 0, 1_000)
        if not 0 <= self.label_smoothing < 1:
            raise ConfigurationError(
                f"`training.label_smoothing` must be in [0, 1), but is {self.label_smoothing}."
            )


@dataclass(frozen=True)
class Recipe:
    """Everything that one run needs to be made again."""

    name: str = "phrasebook-ko-en"
    """Name of the run; its folder is runs/<name>."""
    source_language: str = "ko"
    """Language code of the source, also the suffix of its files."""
    target_language: str = "en"
    """Language code of the target, also the suffix of its files."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        for side in ("source_language", "target_language"):
            language = getattr(self, side)
            if not re.fullmatch(r"[\w.-]+", language):
                raise ConfigurationError(
                    f"`{side}` must be a file suffix of letters, digits, `-`, `_` and `.`, "
                    f"but is {shown(language)}."
                )
        is_plain = self.name.isprintable() and not re.search(r"[/\\]", self.name)
        if not self.name or not is_plain or self.name in (".", ".."):
            raise ConfigurationError(
                f"`name` must be a plain folder name, but is {shown(self.name)}."
            )
        if self.source_language == self.target_language:
            raise ConfigurationError(
                f"`target_language` must differ from `source_language`, "
                f"but both are {self.source_language!r}."
            )
        if self.model.share_embeddings and not self.tokenizer.shared:
            raise ConfigurationError("`model.share_embeddings` needs `tokenizer.shared`.")
        self._check_guide()

    def _check_guide(self) -> None:
        """Refuses alignments that nothing reads, and a guide without them or without attention."""
        if not self.training.guided_attention:
            if self.corpus.alignments is not None:
                raise ConfigurationError(
                    "`corpus.alignments` needs `training.guided_attention` above 0."
                )
            return
        if self.model.attention == "none":
            raise ConfigurationError(
                "`training.guided_attention` needs attention, but `model.attention` is none."
            )
        is_given = self.corpus.train is not None or self.corpus.hub is not None
        if is_given and self.corpus.alignments is None:
            raise ConfigurationError(
                "`training.guided_attention` needs `corpus.alignments`, a file beside "
                "`corpus.train`."
            )
