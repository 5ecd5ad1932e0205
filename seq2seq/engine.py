"""Ids in, hypotheses out: a network that searches and scores in batches that fit the memory."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from seq2seq.batches import Batches, longest_target, most_to_score, most_to_search
from seq2seq.config import EOS_ID, SearchConfig
from seq2seq.data.batch import make_batch
from seq2seq.decoding.beam_search import Hypothesis, beam_search
from seq2seq.decoding.scoring import score_targets
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.models.products import plain_path


class Network(Protocol):
    """What searching and scoring need of a network; its states are its own."""

    def start(
        self, source_ids: Tensor, source_lengths: Tensor, candidate_ids: Tensor | None = None
    ) -> Any:
        """The state before the first step, one row per sentence."""

    def step(self, previous_ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits [rows, vocabulary_size] and the state after the step."""


class Part(NamedTuple):
    """What is searched as one: a sentence, or a part of one."""

    ids: list[int]
    """Of the source, without `</s>`; never blank."""


class Engine:
    """Searches and scores with a network.

    Args:
        network: In evaluation mode, on `device`.
        plain: Products are torch's own.
        lexicon: What shortlists are made of.
    """

    def __init__(
        self, network: Network, device: torch.device, *, plain: bool, lexicon: Lexicon | None
    ) -> None:
        self.network = network
        self.device = device
        self.plain = plain
        self.lexicon = lexicon
        self.batches = Batches()

    def search(
        self, parts: Sequence[Part], search: SearchConfig, *, with_alignment: bool
    ) -> list[list[Hypothesis]]:
        """The n-best target ids of each part.

        Raises:
            TooLongError: If memory does not suffice for one of the parts alone.
        """
        return self.batches.run(
            [len(part.ids) + 1 for part in parts],
            functools.partial(most_to_search, search=search, with_alignment=with_alignment),
            lambda batch: self._find([parts[i] for i in batch], search, with_alignment),
        )

    def score(
        self, source_ids: Sequence[list[int]], target_ids: Sequence[list[int]], search: SearchConfig
    ) -> list[float]:
        """Natural-log probability of each target given its source, `</s>` added to both.

        Args:
            search: Whose `batch_size` holds.
        """
        return self.batches.run(
            [max(len(s), len(t)) + 1 for s, t in zip(source_ids, target_ids, strict=True)],
            functools.partial(most_to_score, search=search),
            lambda batch: self._score(
                [source_ids[i] for i in batch], [target_ids[i] for i in batch]
            ),
        )

    def _find(
        self, parts: list[Part], search: SearchConfig, with_alignment: bool
    ) -> list[list[Hypothesis]]:
        """See `search`, for one batch."""
        source_ids = [part.ids for part in parts]
        candidate_ids = None
        if search.shortlist and self.lexicon:
            candidate_ids = self.lexicon.candidates(source_ids, search.shortlist).to(self.device)
        with torch.inference_mode(), plain_path(self.plain):
            batch = make_batch(source_ids, [[] for _ in source_ids]).to(self.device)
            return beam_search(
                self.network.step,
                self.network.start(batch.source_ids, batch.source_lengths, candidate_ids),
                beam_size=search.beam_size,
                max_lengths=[longest_target(len(ids) + 1, search) for ids in source_ids],
                min_lengths=search.min_length,
                length_penalty=search.length_penalty,
                length_penalty_kind=search.length_penalty_kind,
                n_best=search.n_best,
                keep_alignment=with_alignment,
                device=self.device,
            )

    def _score(self, source_ids: list[list[int]], target_ids: list[list[int]]) -> list[float]:
        """See `score`, for one batch."""
        with torch.inference_mode(), plain_path(self.plain):
            batch = make_batch(source_ids, target_ids).to(self.device)
            return score_targets(
                self.network.step,
                self.network.start(batch.source_ids, batch.source_lengths),
                [[*ids, EOS_ID] for ids in target_ids],
                device=self.device,
            )
