"""Learns the table of shortlists: into which target pieces attention carries each source piece."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seq2seq.config import PAD_ID, ConfigurationError, check_threads
from seq2seq.data.batch import Batch, make_batch
from seq2seq.data.corpus import Pairs
from seq2seq.data.sampler import TokenBatchSampler
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.devices import find_device, is_bfloat16_fast
from seq2seq.evaluate import clean_pairs
from seq2seq.model_directory import add_lexicon, load_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.training.hardware import Hardware

# Chosen on the development set of Multi30k; see docs/shortlists.md.
NUM_FREQUENT = 50  # target pieces that every sentence may need
MOST_TRANSLATIONS = 100  # of one source piece
LEAST_SHARE = 0.002  # of the weight of a source piece; what has less stood beside it by chance

_LEAST_WEIGHT = 0.02  # of one source piece for one target piece; most are far below it
_MOST_PENDING = 2_000_000  # weights that are kept until they are added up, in 150 MB
_BATCH_TOKENS = 4000
_LONGEST = 1000  # pieces of a source or target in a file


def learn_lexicon(
    network: EncoderDecoder,
    batches: Iterable[Batch],
    hardware: Hardware,
    *,
    max_pairs: int,
    shared: bool,
) -> Lexicon:
    """Learns which target pieces a network makes of each source piece.

    Every target piece is counted for the source pieces that the network attends to where it has
    to give it, by their weights; with given targets that takes one pass without a search.

    Args:
        network: One with attention, in evaluation mode, on the device of `hardware`.
        batches: Training pairs.
        max_pairs: The batch that completes so many pairs is the last one.
        shared: Both sides have one vocabulary, so that a source piece which does not occur in the
            pairs may stand for itself.
    """
    source_size = network.encoder.embedding.num_embeddings
    target_size = network.decoder.embedding.num_embeddings
    counts = _Counts()
    frequencies = np.zeros(target_size, np.int64)
    num_read = 0
    with torch.inference_mode(), hardware.autocast():
        for batch in batches:
            batch = batch.to(hardware.device)
            sources, targets, weights = _align(network, batch)
            counts.add(sources * target_size + targets, weights)
            pieces = batch.target_output_ids[batch.target_output_ids != PAD_ID]
            frequencies += pieces.bincount(minlength=target_size).numpy(force=True)
            num_read += len(batch)
            if num_read >= max_pairs:
                break
    ranking = np.argsort(-frequencies, kind="stable")[:NUM_FREQUENT]
    frequent = ranking[frequencies[ranking] > 0]
    keys, sums = counts.total()
    source_ids, target_ids = np.divmod(keys, target_size)
    translations = _rank(source_ids, target_ids, sums, frequent, source_size)
    if shared:
        unseen = np.setdiff1d(np.arange(source_size), source_ids)
        translations[unseen, 0] = unseen
    return Lexicon(torch.from_numpy(translations), torch.from_numpy(frequent.astype(np.int32)))


def learn_lexicon_of_directory(
    path: str | os.PathLike[str],
    pairs: Pairs,
    *,
    max_pairs: int,
    device: str = "auto",
    threads: int | None = None,
) -> Path:
    """Gives a model directory a lexicon, learnt from sentence pairs.

    Args:
        pairs: As files have them; blank ones and very long ones are left out.
        max_pairs: More pairs are not used, but drawn from.

    Returns:
        The file of the lexicon.

    Raises:
        ConfigurationError: If the model has no attention, no pair is left or an argument is out of
            range.
    """
    if max_pairs < 1:
        raise ConfigurationError(f"`max_pairs` must be at least 1, but is {max_pairs}.")
    found = find_device(device)
    if threads is not None:
        check_threads(threads, field="threads")
        torch.set_num_threads(threads)
    loaded = load_model_directory(path, with_lexicon=False)  # it may not fit, or be damaged
    if loaded.recipe.model.attention == "none":
        raise ConfigurationError(
            f"{path} was trained with `model.attention` none, so there is nothing to learn a "
            f"lexicon from."
        )
    lexicon = learn_lexicon(
        loaded.model.to(found),
        _batches(clean_pairs(pairs, loaded.recipe), loaded.tokenizers),
        Hardware(found, is_bfloat16_fast(found)),
        max_pairs=max_pairs,
        shared=loaded.tokenizers.shared,
    )
    return add_lexicon(path, lexicon, loaded.tokenizers)


def _batches(pairs: Pairs, tokenizers: Tokenizers) -> Iterator[Batch]:
    """Batches of like lengths in an order drawn by seed."""
    ids = zip(
        tokenizers.source.encode_batch(pairs.sources),
        tokenizers.target.encode_batch(pairs.targets),
        strict=True,
    )
    kept = [pair for pair in ids if all(pair) and max(map(len, pair)) <= _LONGEST]
    if not kept:
        raise ConfigurationError(
            f"There is no pair to learn from: all are blank or longer than {_LONGEST:,} pieces."
        )
    lengths = np.array([[len(source), len(target)] for source, target in kept])
    for rows in TokenBatchSampler(lengths[:, 0], lengths[:, 1], _BATCH_TOKENS):
        yield make_batch(*zip(*(kept[row] for row in rows), strict=True))


def _align(network: EncoderDecoder, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Source ids, target ids and weights of all that attention joins, each [found]."""
    state = network.start(batch.source_ids, batch.source_lengths)
    weights = network.decoder.align(batch.target_input_ids, state.decoder, state.memory)
    if weights is None:
        raise ValueError("A lexicon is learnt from attention, but the network has none.")
    is_real = (batch.target_output_ids != PAD_ID).unsqueeze(2)
    sentence, place, source_place = torch.nonzero(
        is_real & (weights >= _LEAST_WEIGHT), as_tuple=True
    )
    return (
        batch.source_ids[sentence, source_place],
        batch.target_output_ids[sentence, place],
        weights[sentence, place, source_place].float(),
    )


class _Counts:
    """Sums of weights by key, in memory that grows with the number of different keys."""

    def __init__(self) -> None:
        self._keys: list[np.ndarray] = [np.zeros(0, np.int64)]
        self._weights: list[np.ndarray] = [np.zeros(0)]
        self._num_pending = 0

    def add(self, keys: Tensor, weights: Tensor) -> None:
        self._keys.append(keys.numpy(force=True))
        self._weights.append(weights.numpy(force=True))
        self._num_pending += len(keys)
        if self._num_pending > _MOST_PENDING:
            self.total()

    def total(self) -> tuple[np.ndarray, np.ndarray]:
        """Different keys, ascending, and the sum of the weights of each."""
        keys, places = np.unique(np.concatenate(self._keys), return_inverse=True)
        sums = np.bincount(places, np.concatenate(self._weights), minlength=len(keys))
        self._keys, self._weights, self._num_pending = [keys], [sums], 0
        return keys, sums


def _rank(
    sources: np.ndarray,
    targets: np.ndarray,
    sums: np.ndarray,
    frequent: np.ndarray,
    source_size: int,
) -> np.ndarray:
    """The best targets of each source besides the frequent ones, [source_size, width] int32."""
    shares = sums / np.bincount(sources, sums, minlength=source_size)[sources]
    kept = (shares >= LEAST_SHARE) & ~np.isin(targets, frequent)
    sources, targets, shares = sources[kept], targets[kept], shares[kept]
    order = np.lexsort((targets, -shares, sources))
    sources, targets = sources[order], targets[order]
    ranks = np.arange(len(sources)) - np.searchsorted(sources, sources)
    best = ranks < MOST_TRANSLATIONS
    width = int(ranks[best].max(initial=0)) + 1
    table = np.full((source_size, width), PAD_ID, np.int32)
    table[sources[best], ranks[best]] = targets[best]
    return table
