"""Turns sentences into SentencePiece ids and back without loss.

To add a kind of tokenizer: a line of `TOKENIZERS`.
"""

import dataclasses
import functools
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from seq2seq.config import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    UNKNOWN_ID,
    ConfigurationError,
    TokenizerConfig,
    choose,
)
from seq2seq.data.cleaning import CONTROL
from seq2seq.data.corpus import Pairs
from seq2seq.data.parallel import in_other_process
from seq2seq.reading import check_file

MOST_MODEL_BYTES = 100_000_000  # of a serialised model, far above those of a million pieces
# Kinds of tokenizer and the settings of SentencePiece's trainer that make them.
TOKENIZERS: dict[str, dict[str, Any]] = {
    "unigram": {"model_type": "unigram"},
    "bpe": {"model_type": "bpe"},
    "character": {"model_type": "char"},
    "byte": {"model_type": "char"},  # whose only character is the space: the others become bytes
    "word": {"model_type": "word", "unk_surface": " \u2047"},  # its pieces begin with a space
}


class VocabularySizeError(ConfigurationError):
    """The vocabulary does not fit the text; `bound` is the nearest size that may."""

    def __init__(self, message: str, bound: int) -> None:
        super().__init__(message)
        self.bound = bound


class Tokenizer:
    """A trained SentencePiece model, with ids as in `seq2seq.config`.

    Text is brought to NFC and its control characters become spaces; nothing else is lost between
    `encode` and `decode` if the model has byte pieces, not even leading or repeated spaces.

    Args:
        model: A serialised SentencePiece model.

    Raises:
        ConfigurationError: If `model` is none, or was trained with other conventions.
    """

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
            # Pieces and what stands for the unknown one may be no UTF-8 in a damaged model.
            self._processor.id_to_piece(list(range(self._processor.vocab_size())))
            self._processor.decode([UNKNOWN_ID])
        except (RuntimeError, TypeError, IndexError, UnicodeDecodeError) as error:
            raise ConfigurationError("The tokenizer is not a SentencePiece model.") from error
        _check_conventions(self._processor)

    @classmethod
    def train(
        cls,
        sentences: Sequence[str],
        config: TokenizerConfig,
        *,
        field: str = "tokenizer",
        seed: int = 1,
    ) -> "Tokenizer":
        """Trains a model in memory; the same sentences and settings give the same model.

        Args:
            sentences: Text to learn from; of more than half a million sentences, or 14 million
                characters, so many drawn by seed.
            field: Name of `config` in error messages.

        Raises:
            ConfigurationError: If the vocabulary does not fit the text; says what size does. Or
                if a byte model is asked to do without byte pieces.
        """
        sentences = _draw([sentences], seed)
        if config.vocabulary_size is None:
            return cls._train_fitting(sentences, config, field=field, seed=seed)
        settings = choose(TOKENIZERS, config.kind, field=f"{field}.kind")
        if config.kind == "byte" and not config.byte_fallback:
            raise ConfigurationError(
                f"`{field}.byte_fallback` must be true where `{field}.kind` is 'byte'."
            )
        prepared = [text for text in map(prepare, sentences) if text.strip()]
        if not prepared:
            raise ConfigurationError(f"`{field}` needs text to learn from, but there is none.")
        if config.kind == "byte":
            prepared = [" "]
        settings = {
            "vocab_size": config.vocabulary_size,
            "character_coverage": config.character_coverage,
            "byte_fallback": config.byte_fallback,
            "max_sentence_length": max(10, max(len(text.encode()) for text in prepared) + 1),
            **settings,
        }
        work = functools.partial(_run_trainer, settings=settings)
        is_large = sum(map(len, prepared)) > _MOST_CHARACTERS_HERE
        try:
            model = in_other_process(work, prepared) if is_large else work(prepared)
        except RuntimeError as error:
            raise _training_error(str(error), config, field) from error
        tokenizer = cls(model)
        if tokenizer.vocabulary_size < config.vocabulary_size:  # of characters there are no more
            raise _too_large(config, field, tokenizer.vocabulary_size)
        return tokenizer

    @classmethod
    def _train_fitting(
        cls, sentences: Sequence[str], config: TokenizerConfig, *, field: str, seed: int
    ) -> "Tokenizer":
        """Chooses the vocabulary size: more pieces for more text, and what the text allows."""
        size = min(_LARGEST_CHOICE, _SMALLEST_CHOICE + len(sentences) // _SENTENCES_PER_PIECE)
        if config.kind == "character":
            size = _LARGEST_CHOICE  # `character_coverage` says which are too rare
        if config.kind == "word":
            size = _choose_words(sentences, config)
        sized = dataclasses.replace(config, vocabulary_size=size)
        try:
            return cls.train(sentences, sized, field=field, seed=seed)
        except VocabularySizeError as error:
            sized = dataclasses.replace(config, vocabulary_size=error.bound)
        return cls.train(sentences, sized, field=field, seed=seed)

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Reads a model from a file.

        Raises:
            FileNotFoundError: If there is no such file.
            ConfigurationError: If the file is no model of this toolkit.
        """
        try:
            check_file(Path(path), most_bytes=MOST_MODEL_BYTES)
            return cls(Path(path).read_bytes())
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"No tokenizer at {path}. Train one with `seq2seq train --config <recipe>`."
            ) from error
        except (ConfigurationError, OSError) as error:
            raise ConfigurationError(f"{path} is not a tokenizer of seq2seq.") from error

    def save(self, path: str | Path) -> None:
        """Writes the model to a file that any SentencePiece program reads."""
        Path(path).write_bytes(self._model)

    @classmethod
    def from_bytes(cls, model: bytes) -> "Tokenizer":
        """A tokenizer from what `to_bytes` gave."""
        return cls(model)

    def to_bytes(self) -> bytes:
        """The serialised SentencePiece model."""
        return self._model

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._model,)

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces; ids are below it."""
        return self._processor.vocab_size()

    def encode(self, sentence: str) -> list[int]:
        """Ids of the sentence, without `<s>` and `</s>`."""
        return self._processor.encode(prepare(sentence))

    def encode_batch(self, sentences: Sequence[str]) -> list[list[int]]:
        """Ids of each sentence, faster than one by one."""
        return self._processor.encode([prepare(sentence) for sentence in sentences])

    def sample_batch(
        self, sentences: Sequence[str], sampling: float, *, seed: int
    ) -> list[list[int]]:
        """Ids of each sentence in a segmentation drawn at random; the seed alone decides which.

        Args:
            sampling: As in `TokenizerConfig`.
            seed: In [0, 2**32 - 1).
        """
        # SentencePiece seeds a generator when its thread first draws, and starts a thread for
        # each call with a list: one thread, so that its sentences always come in the same order.
        sentencepiece.set_random_generator_seed(seed)
        return self._processor.encode(
            [prepare(sentence) for sentence in sentences],
            enable_sampling=True,
            nbest_size=-1,  # from all segmentations, not from some best ones
            alpha=sampling,
            num_threads=1,
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; padding, `<s>` and `</s>` say nothing, an unknown piece is `⁇`.

        Raises:
            ValueError: If an id is outside the vocabulary.
        """
        plain = [token_id for token_id in self._checked(ids) if token_id not in _SILENT_IDS]
        text = self._processor.decode(plain).replace(_SPACE_MARK, " ")
        if plain and (plain[0] == UNKNOWN_ID or self._processor.is_byte(plain[0])):
            text = text.removeprefix(" ")  # the mark before every text, if no piece begins with it
        # Bytes of a network may come together as any character, also as a newline.
        return CONTROL.sub(" ", _ESCAPED.sub(lambda match: _UNESCAPE[match[0]], text))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The piece of each id, `▁` for a space, `<0x0A>` for a byte, `</s>` for the end symbol.

        Raises:
            ValueError: If an id is outside the vocabulary.
        """
        return self._processor.id_to_piece(self._checked(ids))

    def spellings(self) -> list[str | int | None]:
        """What each id adds to a text: characters, or the number of a byte; None for nothing.

        A text begins with a space that `decode` takes away.
        """
        spelt: list[str | int | None] = []
        for id_ in range(self.vocabulary_size):
            piece = self._processor.id_to_piece(id_)
            if id_ in _SILENT_IDS:
                spelt.append(None)
            elif id_ == UNKNOWN_ID:
                spelt.append("\u2047")
            elif not self._processor.is_byte(id_):
                spelt.append(piece.replace(_SPACE_MARK, " "))
            else:
                spelt.append(int(piece[3:-1], 16))
        return spelt

    def _checked(self, ids: Sequence[int]) -> list[int]:
        plain = [int(token_id) for token_id in ids]
        if plain and not 0 <= min(plain) <= max(plain) < self.vocabulary_size:
            wrong = min(plain) if min(plain) < 0 else max(plain)
            raise ValueError(f"An id must be in [0, {self.vocabulary_size}), but is {wrong}.")
        return plain


@dataclass(frozen=True)
class Tokenizers:
    """The tokenizers of both sides; one object twice when they are shared."""

    source: Tokenizer
    target: Tokenizer

    @property
    def shared(self) -> bool:
        """Whether both sides have one model."""
        return self.source is self.target


def are_draws_repeatable() -> bool:
    """Whether a seed gives the same sampled segmentations in every process.

    From version 0.2.2 on SentencePiece mixes noise of the system into it.
    """
    version = tuple(int(part) for part in re.findall(r"\d+", sentencepiece.__version__)[:3])
    return version < (0, 2, 2)


def train_tokenizers(
    pairs: Pairs,
    config: TokenizerConfig,
    *,
    field: str = "tokenizer",
    seed: int = 1,
) -> Tokenizers:
    """Trains one tokenizer on both sides together, or one on each as `config.shared` says."""
    if config.shared:
        sentences = _draw([pairs.sources, pairs.targets], seed)
        both = Tokenizer.train(sentences, config, field=field, seed=seed)
        return Tokenizers(both, both)
    return Tokenizers(
        Tokenizer.train(pairs.sources, config, field=field, seed=seed),
        Tokenizer.train(pairs.targets, config, field=field, seed=seed),
    )


# SentencePiece's trainer takes about 20 bytes for a character and 150 for a sentence.
_MOST_SENTENCES, _MOST_CHARACTERS = 500_000, 14_000_000
_LOOKED_AT = 10_000  # sentences, for their mean length
_MOST_CHARACTERS_HERE = 5_000_000  # of more, another process is to have the memory
# A chosen vocabulary: the byte pieces and one more piece for every few sentences, so that each is
# seen often enough to be learnt; 8,000 is what small corpora of 29,000 pairs and more do well with.
_SMALLEST_CHOICE, _LARGEST_CHOICE, _SENTENCES_PER_PIECE = 300, 8000, 6
_TRAINING_THREADS = 1  # also the fastest for corpora of this size
_MOST_WORDS = 30_000
_SPECIAL = 4
_SPECIAL_AND_BYTES = _SPECIAL + 256  # pieces that stand in every vocabulary with byte pieces
_SILENT_IDS = frozenset((PAD_ID, BOS_ID, EOS_ID))
_SPACE_MARK = "\u2581"  # SentencePiece writes it for a space and would read it as one
ESCAPE = "\ue000"  # of the private use area: rare, and unchanged by NFC
_TO_ESCAPE = re.compile(f"[{_SPACE_MARK}{ESCAPE}]")
_UNESCAPE = {f"{ESCAPE}\ue001": _SPACE_MARK, f"{ESCAPE}\ue002": ESCAPE}
_ESCAPED = re.compile("|".join(_UNESCAPE))
_SURROGATE = re.compile("[\ud800-\udfff]")


def _run_trainer(sentences: list[str], settings: dict[str, Any]) -> bytes:
    """A serialised model of SentencePiece, with the conventions of this toolkit."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        pad_id=PAD_ID,
        unk_id=UNKNOWN_ID,
        bos_id=BOS_ID,
        eos_id=EOS_ID,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=_TRAINING_THREADS,
        minloglevel=2,
        **{"unk_surface": "\u2047", **settings},
    )
    return model.getvalue()


def _draw(sides: Sequence[Sequence[str]], seed: int) -> list[str]:
    """All sentences, or as many as are learnt from, spread evenly."""
    total = sum(len(side) for side in sides)
    most = _MOST_SENTENCES
    if total <= most:
        sentences = [sentence for side in sides for sentence in side]
        mean = sum(map(len, sentences)) / max(total, 1)
    else:
        looked_at = _pick(sides, _spread(total, _LOOKED_AT, seed))
        mean = sum(map(len, looked_at)) / len(looked_at)
    most = min(most, int(_MOST_CHARACTERS / max(mean, 1)))
    return sentences if total <= most else _pick(sides, _spread(total, most, seed))


def _pick(sides: Sequence[Sequence[str]], numbers: np.ndarray) -> list[str]:
    """The sentences with these numbers, ascending, if all sides are counted through."""
    picked: list[str] = []
    for side in sides:
        picked += [side[number] for number in numbers[numbers < len(side)].tolist()]
        numbers = numbers[numbers >= len(side)] - len(side)
    return picked


def _spread(total: int, most: int, seed: int) -> np.ndarray:
    """Ascending numbers below `total`: one at random of each of `most` equal parts, or all."""
    if total <= most:
        return np.arange(total)
    return ((np.arange(most) + np.random.default_rng(seed).random(most)) * total / most).astype(int)


def prepare(sentence: str) -> str:
    """What SentencePiece is given of a sentence, two characters for each that it would misread."""
    text = unicodedata.normalize("NFC", sentence)
    text = _SURROGATE.sub("\ufffd", CONTROL.sub(" ", text))
    return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], text)


_ESCAPES = {plain: escaped for escaped, plain in _UNESCAPE.items()}


def _check_conventions(processor: sentencepiece.SentencePieceProcessor) -> None:
    ids = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
    if ids != (PAD_ID, UNKNOWN_ID, BOS_ID, EOS_ID):
        raise ConfigurationError(
            "The tokenizer must have the ids 0 padding, 1 unknown, 2 <s>, 3 </s>, "
            f"but has {ids[0]}, {ids[1]}, {ids[2]}, {ids[3]}."
        )
    if processor.normalize(" \ufb01  A ") != "\u2581\u2581\ufb01\u2581\u2581A\u2581":
        raise ConfigurationError("The tokenizer changes the text that it reads.")


def _choose_words(sentences: Iterable[str], config: TokenizerConfig) -> int:
    """A vocabulary of the words that are seen at least twice, of the most frequent if many."""
    counts = Counter(word for sentence in sentences for word in prepare(sentence).split(" "))
    words = sum(count > 1 for count in counts.values())
    special = _SPECIAL_AND_BYTES if config.byte_fallback else _SPECIAL
    return max(special + min(max(words, 1), _MOST_WORDS), 8)


def _too_large(config: TokenizerConfig, field: str, bound: int) -> VocabularySizeError:
    return VocabularySizeError(
        f"`{field}.vocabulary_size` must be at most {bound} for this text, "
        f"but is {config.vocabulary_size}.",
        bound,
    )


def _training_error(message: str, config: TokenizerConfig, field: str) -> ConfigurationError:
    """Says which vocabulary size works, as far as SentencePiece does."""
    size = f"but is {config.vocabulary_size}"
    if match := re.search(r"set it to a value <= (\d+)", message):
        return _too_large(config, field, int(match[1]))
    if match := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return VocabularySizeError(
            f"`{field}.vocabulary_size` must be at least {match[1]} for the characters "
            f"of this text, {size}.",
            int(match[1]),
        )
    if "(vocab_size) >= (0)" in message:
        return ConfigurationError(
            f"`{field}.vocabulary_size` must be at least {_SPECIAL_AND_BYTES} for the special "
            f"pieces and the bytes, {size}."
        )
    return ConfigurationError(
        f"`{field}` does not fit the text, SentencePiece says: {' '.join(message.split())}"
    )
