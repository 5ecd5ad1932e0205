"""The recipe: every setting of a run as a tree of frozen dataclasses, checked when it is made.

Knows nothing of files, text or networks; everything else may import it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, TypeVar

T = TypeVar("T")

# One place for the ids that tokenizers, networks and searches agree on.
PAD_ID, UNKNOWN_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
LARGEST_BEAM = 10_000
_LARGEST = 10**12  # of any number: what is far above all that is meant, and far below an overflow
_SPLITS = ("train_split", "dev_split", "test_split")


class ConfigurationError(ValueError):
    """A setting that cannot work; its message is one sentence for the user."""


def choose(table: Mapping[str, T], name: str, *, field: str) -> T:
    """Looks `name` up in a table of parts.

    Raises:
        ConfigurationError: If the table has no such part; names the field and what is allowed.
    """
    if name not in table:
        raise ConfigurationError(
            f"`{field}` must be one of {', '.join(table)}, but is {shown(name)}."
        )
    return table[name]


def shown(value: object) -> str:
    """A value as error messages show it: like `repr`, but never longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of too many digits"
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"


def check_threads(threads: int, *, field: str) -> None:
    """Refuses a number of processor threads that no machine has."""
    _within(field, threads, 1, 4096)


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
            _at_least("corpus.filters.max_characters", self.max_characters, 1)
        if self.max_ratio is not None and not self.max_ratio > 1:
            raise ConfigurationError(
                f"`corpus.filters.max_ratio` must be above 1, but is {shown(self.max_ratio)}."
            )
        if self.script is not None:
            _within("corpus.filters.script", self.script, 0, 1)


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
            _at_least("corpus.max_pairs", self.max_pairs, 1)
        if self.max_length is not None:
            _at_least("corpus.max_length", self.max_length, 1)
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
        _within("tokenizer.sampling", self.sampling, 0.0, 1.0)
        if self.sampling and self.kind not in ("unigram", "bpe"):
            raise ConfigurationError(
                f"`tokenizer.sampling` needs `tokenizer.kind` unigram or bpe, "
                f"but `tokenizer.kind` is {shown(self.kind)}."
            )
        if self.vocabulary_size is not None:
            _within("tokenizer.vocabulary_size", self.vocabulary_size, 8, 1_000_000)
        _within("tokenizer.character_coverage", self.character_coverage, 0.9, 1.0)


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
            _within(f"model.{name}", getattr(self, name), 1, 65_536)
        for name in ("encoder_layers", "decoder_layers"):
            _within(f"model.{name}", getattr(self, name), 1, 4)
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
            _at_least(f"training.{name}", getattr(self, name), 1)
        for name in ("patience", "dev_sentences"):
            _at_least(f"training.{name}", getattr(self, name), 1)
        for name in ("warmup_steps", "samples", "lexicon_pairs", "non_finite_limit"):
            _at_least(f"training.{name}", getattr(self, name), 0)
        _within("training.seed", self.seed, 0, 2**63 - 1)
        _within("training.devices", self.devices, 1, 4096)
        if self.truncation_steps is not None:
            _at_least("training.truncation_steps", self.truncation_steps, 1)
        if self.threads is not None:
            check_threads(self.threads, field="training.threads")
        for name in ("learning_rate", "validate_every", "checkpoint_minutes"):
            _above_zero(f"training.{name}", getattr(self, name))
        if self.max_minutes is not None:
            _above_zero("training.max_minutes", self.max_minutes)
        _at_least("training.weight_decay", self.weight_decay, 0)
        _at_least("training.gradient_clip", self.gradient_clip, 0)
        if not 0 <= self.label_smoothing < 1:
            raise ConfigurationError(
                f"`training.label_smoothing` must be in [0, 1), but is {self.label_smoothing}."
            )


@dataclass(frozen=True)
class SearchConfig:
    """How sentences are searched; defaults of `translate`."""

    beam_size: int = 5
    """Hypotheses kept per sentence; 1 is greedy search."""
    length_penalty: float = 1.0
    """Exponent of the length that divides the log-probability; 0 compares sums."""
    length_penalty_kind: str = "power"
    """power (length ** penalty) or gnmt (Wu et al., 2016, equation 14)."""
    n_best: int = 1
    """Hypotheses returned per sentence, at most the beam size."""
    word_reward: float = 0.0
    """Added to the score for each target piece, so that translations grow longer (He et al., 2016).
    """
    coverage_penalty: float = 0.0
    """Weight of the penalty on source pieces that were hardly attended to (Wu et al., 2016,
    equation 14); needs attention."""
    min_length: int = 0
    """Shortest translation in pieces, the end symbol not counted."""
    min_length_ratio: float = 0.0
    """Shortest translation: ratio x source pieces, rounded down."""
    max_length_ratio: float = 2.0
    """Longest translation: ratio x source pieces + 10."""
    no_repeat_ngram: int = 0
    """No sequence of so many pieces stands twice in a translation; 0 lets all repeat."""
    diversity_groups: int = 1
    """Groups of the beam that are kept apart from one another (Vijayakumar et al., 2016)."""
    diversity_strength: float = 0.5
    """What a piece costs that an earlier group of the beam has chosen at the same step."""
    samples: int = 0
    """Translations drawn at random for each sentence in place of beam search; 0 searches."""
    temperature: float = 1.0
    """Of samples: below 1 likelier pieces become likelier still, above 1 rarer ones."""
    top_k: int = 0
    """Samples choose among so many likeliest pieces; 0 among all."""
    top_p: float = 1.0
    """Samples choose among the likeliest pieces that have this probability together (Holtzman et
    al., 2020)."""
    seed: int = 1
    """Seed of samples; those of a sentence depend on nothing else but the sentence."""
    mbr: bool = False
    """Chooses the hypothesis most like all others by chrF, not the most probable one: minimum Bayes
    risk (Eikema and Aziz, 2020)."""
    reverse_weight: float = 0.0
    """Weight of a reverse model's log-probability of the source when hypotheses are ranked anew."""
    length_weight: float = 0.0
    """Weight of a hypothesis' length in pieces when hypotheses are ranked anew."""
    preserve: bool = False
    """Numbers, URLs, e-mail addresses and {placeholders} of the source stand in the translation."""
    copy_unknown: bool = False
    """Source words with characters that the vocabulary does not know are copied."""
    keep_case: bool = False
    """Words in capitals are translated as small ones, and their translations written in capitals.
    """
    min_confidence: float = 0.0
    """Translations below this confidence, 0 to 1, are marked or withheld; needs quality.yaml."""
    low_confidence: Literal["mark", "withhold"] = "mark"
    """What becomes of translations below `min_confidence`."""
    batch_size: int = 64
    """Sentences searched together."""
    shortlist: int = 0
    """Target pieces considered per source piece, besides the most frequent ones; 0 considers all.
    Faster, and needs a model with lexicon.safetensors."""

    def __post_init__(self) -> None:
        _within("search.beam_size", self.beam_size, 1, LARGEST_BEAM)
        _at_least("search.n_best", self.n_best, 1)
        _within("search.batch_size", self.batch_size, 1, 1_000_000)
        _within("search.length_penalty", self.length_penalty, 0, 10)
        _within("search.min_length", self.min_length, 0, 1_000_000)
        _within("search.shortlist", self.shortlist, 0, 1_000_000)
        for name in ("word_reward", "reverse_weight", "length_weight"):
            _within(f"search.{name}", getattr(self, name), -100, 100)
        for name in ("coverage_penalty", "diversity_strength"):
            _within(f"search.{name}", getattr(self, name), 0, 100)
        for name in ("no_repeat_ngram", "samples", "top_k"):
            _within(f"search.{name}", getattr(self, name), 0, 1_000_000)
        for name in ("top_p", "min_confidence"):
            _within(f"search.{name}", getattr(self, name), 0, 1)
        _within("search.temperature", self.temperature, 0, 100)
        _within("search.seed", self.seed, 0, 2**63 - 1)
        if not 0 <= self.min_length_ratio <= self.max_length_ratio:
            raise ConfigurationError(
                f"`search.min_length_ratio` must be from 0 to `search.max_length_ratio` "
                f"({self.max_length_ratio}), but is {self.min_length_ratio}."
            )
        if self.diversity_groups < 1 or self.beam_size % self.diversity_groups:
            raise ConfigurationError(
                f"`search.diversity_groups` must divide `search.beam_size` ({self.beam_size}), "
                f"but is {self.diversity_groups}."
            )
        if not 0 < self.max_length_ratio <= 100:
            raise ConfigurationError(
                f"`search.max_length_ratio` must be above 0 and at most 100, "
                f"but is {self.max_length_ratio}."
            )
        most = "samples" if self.samples else "beam_size"
        if self.n_best > getattr(self, most):
            raise ConfigurationError(
                f"`search.n_best` must be at most `search.{most}` ({getattr(self, most)}), "
                f"but is {self.n_best}."
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


def _at_least(name: str, value: float, lowest: float) -> None:
    if not value >= lowest:
        raise ConfigurationError(f"`{name}` must be at least {lowest}, but is {shown(value)}.")
    if value > _LARGEST:
        raise ConfigurationError(f"`{name}` must be at most {_LARGEST}, but is {shown(value)}.")


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise ConfigurationError(f"`{name}` must be above 0, but is {shown(value)}.")


def _within(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise ConfigurationError(
            f"`{name}` must be from {lowest} to {highest}, but is {shown(value)}."
        )
