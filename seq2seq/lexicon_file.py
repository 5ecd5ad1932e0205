"""The table of shortlists as a file of tensors, which names the tokenizers whose ids it holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq.config import PAD_ID, ConfigurationError, shown
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.tensor_files import open_tensors, read_metadata, read_tensors, tensors_to_bytes


def lexicon_to_bytes(lexicon: Lexicon, digests: Mapping[str, str]) -> bytes:
    """What is written for a lexicon.

    Args:
        digests: Of the tokenizers, by the names of their files.
    """
    tensors = {"translations": lexicon.translations, "frequent": lexicon.frequent}
    return tensors_to_bytes(tensors, digests)


def read_lexicon(file: Path, tokenizers: Tokenizers, digests: Mapping[str, str]) -> Lexicon:
    """Reads a lexicon, whose ids must be those of the tokenizers.

    Args:
        digests: As for `lexicon_to_bytes`.

    Raises:
        FileNotFoundError: If there is no such file.
        ConfigurationError: If it is none, damaged, or of other tokenizers.
    """
    with open_tensors(file) as entries:
        metadata = read_metadata(file, entries)
        if any(metadata.get(name) != digest for name, digest in digests.items()):
            raise ConfigurationError(
                f"{file} does not fit the model: it was learnt with another tokenizer; learn it "
                f"anew with `seq2seq lexicon`."
            )
        _check_shapes(file, entries, tokenizers)
        tensors = read_tensors(file, entries)
    size = tokenizers.target.vocabulary_size
    for name, ids in tensors.items():
        if ids.numel() and not (ids.min() >= PAD_ID and ids.max() < size):
            raise ConfigurationError(
                f"{file}: `{name}` must hold target ids, from 0 to {size - 1}."
            )
    return Lexicon(tensors["translations"], tensors["frequent"])


def _check_shapes(file: Path, entries: Any, tokenizers: Tokenizers) -> None:
    """Refuses what is no table of ids before it is read."""
    names = set(entries.keys())
    if names != {"translations", "frequent"}:
        raise ConfigurationError(
            f"{file} must hold `frequent` and `translations`, but holds {shown(sorted(names))}."
        )
    most = tokenizers.target.vocabulary_size
    beginnings = {"translations": [tokenizers.source.vocabulary_size], "frequent": []}
    for name, beginning in beginnings.items():
        entry = entries.get_slice(name)
        shape, dtype = list(entry.get_shape()), entry.get_dtype()
        is_longer = len(shape) == len(beginning) + 1 and shape[:-1] == beginning
        if dtype != "I32" or not is_longer or shape[-1] > most:
            expected = ", ".join([*map(str, beginning), f"up to {most}"])
            raise ConfigurationError(
                f"{file}: `{name}` must be int32 (I32) of the shape [{expected}], but is {dtype} "
                f"of the shape {shape}."
            )
