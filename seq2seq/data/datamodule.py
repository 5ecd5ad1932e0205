"""Serves encoded batches to Lightning, and continues an epoch where a checkpoint left it."""

import copy
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import numpy as np

from seq2seq.config import ConfigurationError, Recipe
from seq2seq.data.batch import Batch
from seq2seq.data.corpus import Corpus, CorpusReport
from seq2seq.data.encoded import EncodedPairs, SampledPairs, encode_corpus
from seq2seq.data.parallel import count_processes, in_order
from seq2seq.data.sampler import CORPUS_HAS_CHANGED, TokenBatchSampler
from seq2seq.data.sentences import count_sentences
from seq2seq.data.stored import StoredSentences
from seq2seq.data.tables import in_chunks
from seq2seq.data.tokenizer import Tokenizers

# Pieces of a source or target, where `corpus.max_length` says nothing; characters and bytes are
# several times as many as other pieces.
_LONGEST_IN_PIECES = 200
_LONGEST = {"character": 1000, "byte": 1000}


class BatchLoader:
    """Batches of encoded pairs in a sampler's order, made when asked for, in this process.

    Lightning looks for `sampler`, whose epoch it sets, for `batch_sampler` as in torch's loader,
    for the length, and for the state that it saves with a checkpoint.

    Args:
        sampled: The same pairs, to serve in segmentations drawn by seed, epoch and batch.
    """

    def __init__(
        self,
        pairs: EncodedPairs,
        sampler: TokenBatchSampler,
        sampled: SampledPairs | None = None,
    ) -> None:
        self.pairs = pairs
        self.sampled = sampled
        self.sampler = self.batch_sampler = sampler

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        # Lightning asks for an iterator before it sets the epoch: nothing may happen until `next`.
        for indices in self.sampler:
            yield self._batch(indices)

    def _batch(self, indices: np.ndarray) -> Batch:
        if self.sampled is None:
            return self.pairs.batch(indices)
        plan = self.sampler
        return self.sampled.batch(indices, [plan.seed, plan.epoch, plan.rank, plan.position])

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the batches."""
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The epoch and the number of batches handed out in it."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Lets the next iteration begin where `state` was taken."""
        self.sampler.load_state_dict(state)


class TranslationDataModule(lightning.LightningDataModule):
    """Training and development batches of a corpus.

    Args:
        cache_dir: Folder in which encoded ids are kept between runs.
    """

    def __init__(
        self, corpus: Corpus, tokenizers: Tokenizers, recipe: Recipe, cache_dir: str | Path
    ) -> None:
        super().__init__()
        self.corpus = corpus
        self.tokenizers = tokenizers
        self.recipe = recipe
        self.cache_dir = Path(cache_dir)
        self._rank, self._world_size = 0, 1
        self.reports: dict[str, CorpusReport] = dict(corpus.reports)
        """Reports of the corpus; after `setup` also the pairs that were too long."""
        self._encoded: tuple[EncodedPairs, EncodedPairs] | None = None

    def for_process(self, rank: int, world_size: int) -> "TranslationDataModule":
        """The same data, served to one of several processes."""
        other = copy.copy(self)
        other._rank, other._world_size = rank, world_size
        return other

    def prepare_data(self) -> None:
        """Fills the cache, in one process only."""
        self._encode()

    def setup(self, stage: str | None = None) -> None:
        """Opens the cache, or fills it.

        Raises:
            ConfigurationError: If no training pair is short enough.
        """
        self._encode()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps to find out whether a resumed run has the same pairs."""
        return {"checksum": self._encode()[0].checksum}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compares what a checkpoint kept; those of older versions kept nothing.

        Raises:
            ConfigurationError: If the training pairs are others.
        """
        if state_dict and state_dict != self.state_dict():
            raise ConfigurationError(CORPUS_HAS_CHANGED)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled training batches of this process."""
        pairs, sampling = self._encode()[0], self.recipe.tokenizer.sampling
        if not sampling:
            return self._loader(pairs, shuffle=True)
        sampled = SampledPairs(self.corpus.train, pairs.rows, self.tokenizers, sampling)
        return self._loader(pairs, shuffle=True, sampled=sampled)

    def val_dataloader(self) -> BatchLoader:
        """Development batches of this process, always in the same order."""
        return self._loader(self._encode()[1], shuffle=False)

    @property
    def longest_source(self) -> int:
        """Pieces of the longest training source, `</s>` not counted."""
        return int(self._encode()[0].source_lengths.max())

    @functools.cached_property
    def sentences_per_source(self) -> int:
        """Sentences of a training source at most, but for the hundredth with the most."""
        chunks = in_chunks((source, "") for source in self.corpus.train.sources)
        work = functools.partial(count_sentences, language=self.recipe.source_language)
        counts = in_order(work, (chunk.sources for chunk in chunks), self._processes)
        all_counts = np.concatenate([np.array(part, np.int32) for part in counts])
        return int(np.percentile(all_counts, 99, method="inverted_cdf"))

    @property
    def _processes(self) -> int:
        return count_processes(self.recipe.training.threads)

    def move(self, cache_dir: Path) -> None:
        """Says where the folder of text and ids is now, for the processes that get them by place.

        Files that are open already stay so, wherever they are moved.
        """
        self.cache_dir = cache_dir
        train = self.corpus.train
        for column in (train.sources, train.targets, train.alignments):
            if isinstance(column, StoredSentences):
                column.move(cache_dir)
        for encoded in self._encode():
            encoded.path = cache_dir / encoded.path.name

    def _encode(self) -> tuple[EncodedPairs, EncodedPairs]:
        if self._encoded is None:
            longest = self.recipe.corpus.max_length or _LONGEST.get(
                self.recipe.tokenizer.kind, _LONGEST_IN_PIECES
            )
            train = encode_corpus(
                self.corpus.train,
                self.tokenizers,
                self.cache_dir,
                max_length=longest,
                name="train",
                processes=self._processes,
            )
            if not len(train):
                raise ConfigurationError(
                    f"`corpus.max_length` must be more than {longest}, "
                    f"as all training pairs are longer."
                )
            dev = encode_corpus(self.corpus.dev, self.tokenizers, self.cache_dir, name="dev")
            if "train" in self.reports:
                pairs = self.corpus.train
                report = self.reports["train"].without(
                    f"longer than {longest:,} pieces (`corpus.max_length`)",
                    len(train.too_long),
                    ((pairs.sources[row], pairs.targets[row]) for row in train.too_long),
                )
                kept_parts = {
                    name: int(np.diff(np.searchsorted(train.rows, [rows.start, rows.stop]))[0])
                    for name, rows in self.corpus.parts.get("train", {}).items()
                }
                self.reports["train"] = dataclasses.replace(
                    report, kept_parts={**report.kept_parts, **kept_parts}
                )
            self._encoded = train, dev
        return self._encoded

    def _loader(
        self, pairs: EncodedPairs, *, shuffle: bool, sampled: SampledPairs | None = None
    ) -> BatchLoader:
        sampler = TokenBatchSampler(
            pairs.source_lengths,
            pairs.target_lengths,
            self.recipe.training.batch_tokens,
            seed=self.recipe.training.seed,
            shuffle=shuffle,
            rank=self._rank,
            world_size=self._world_size,
        )
        return BatchLoader(pairs, sampler, sampled)


def describe(sampler: TokenBatchSampler) -> str:
    """One line on the batches of an epoch: their number, size and share of padding."""
    source, target = sampler.padding_shares()
    return (
        f"{len(sampler.source_lengths):,} training pairs in "
        f"{len(sampler) * sampler.world_size:,} batches of up to "
        f"{sampler.batch_tokens:,} pieces; padding: {source:.1%} of the source, "
        f"{target:.1%} of the target"
    )
