"""Ids in, hypotheses out: a network that searches and scores in batches that fit the memory."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq.batches import (
    Batches,
    longest_target,
    most_to_force,
    most_to_score,
    most_to_search,
    shortest_target,
)
from seq2seq.config import EOS_ID, SearchConfig
from seq2seq.data.batch import make_batch
from seq2seq.decoding.beam_search import Hypothesis, beam_search
from seq2seq.decoding.ensemble import Ensemble, Network
from seq2seq.decoding.fusion import Fusion, Language
from seq2seq.decoding.length_penalty import Ranking
from seq2seq.decoding.rules import Rules
from seq2seq.decoding.sampling import sample, stream_key
from seq2seq.decoding.scoring import Forced, force_targets, score_targets
from seq2seq.decoding.shortlist import Lexicon, with_ids
from seq2seq.decoding.trace import Trace
from seq2seq.models.products import plain_path


class Part(NamedTuple):
    """What is searched as one: a sentence, or a part of one."""

    ids: list[int]
    """Of the source, without `</s>`; never blank."""
    rules: Rules | None = None
    """What the target obeys."""


class Engine:
    """Searches and scores with a network.

    Args:
        network: In evaluation mode, on `device`.
        plain: Products are torch's own.
        lexicon: What shortlists are made of.
        language: A language model of the targets, on `device`; says of each hypothesis how probable
            it is by itself, and takes part in searches with a `fusion_weight`.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        *,
        plain: bool,
        lexicon: Lexicon | None,
        language: Language | None = None,
    ) -> None:
        self.network = network
        self.device = device
        self.plain = plain
        self.lexicon = lexicon
        self.language = language
        self.num_networks = len(network.members) if isinstance(network, Ensemble) else 1
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
            functools.partial(
                most_to_search,
                search=search,
                with_alignment=with_alignment,
                num_networks=self.num_networks + (self.language is not None),
            ),
            lambda batch: self._find([parts[i] for i in batch], search, with_alignment),
        )

    def trace(self, part: Part, search: SearchConfig) -> tuple[Hypothesis, Trace]:
        """What beam search finds for one part, and every step of how."""
        trace = Trace()
        ((best, *_),) = self._find([part], search, with_alignment=False, trace=trace)
        return best, trace

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

    def score_alone(self, target_ids: Sequence[list[int]]) -> list[float]:
        """Natural-log probability of target ids, as they stand, by the language model."""
        assert self.language is not None
        with torch.inference_mode(), plain_path(self.plain):
            state = self.language.start(len(target_ids))
            return score_targets(self.language.step, state, target_ids, device=self.device)

    def force(
        self, source_ids: Sequence[list[int]], target_ids: Sequence[list[int]], search: SearchConfig
    ) -> list[Forced]:
        """What the network thinks of each piece of the targets, by all of its vocabulary.

        Args:
            target_ids: As they stand: whoever wants `</s>` counted gives it.
            search: Whose `batch_size` holds.
        """
        return self.batches.run(
            [max(len(s) + 1, len(t)) for s, t in zip(source_ids, target_ids, strict=True)],
            functools.partial(most_to_force, search=search),
            lambda batch: self._force(
                [source_ids[i] for i in batch], [target_ids[i] for i in batch]
            ),
        )

    def _find(
        self,
        parts: list[Part],
        search: SearchConfig,
        with_alignment: bool,
        trace: Trace | None = None,
    ) -> list[list[Hypothesis]]:
        """See `search`, for one batch."""
        source_ids = [part.ids for part in parts]
        candidate_ids = None
        if search.shortlist and self.lexicon:
            candidate_ids = self.lexicon.candidates(source_ids, search.shortlist)
            if any(part.rules for part in parts):
                helpful = [part.rules.helpful_ids if part.rules else [] for part in parts]
                candidate_ids = with_ids(candidate_ids, helpful)
            candidate_ids = candidate_ids.to(self.device)
        common: dict[str, Any] = {
            "max_lengths": [_longest(part, search) for part in parts],
            "min_lengths": [shortest_target(len(ids), search) for ids in source_ids],
            "rules": [part.rules for part in parts],
            "source_lengths": [len(ids) + 1 for ids in source_ids],
            "keep_alignment": with_alignment,
            "device": self.device,
        }
        if trace is not None:
            common["trace"] = trace
        network = self.network
        if self.language is not None and search.fusion_weight:
            network = Fusion(network, self.language, search.fusion_weight)
            common["are_scores"] = True
        with torch.inference_mode(), plain_path(self.plain):
            state = self._start(network, source_ids, candidate_ids)
            if search.samples:
                found = self._sample(network, state, source_ids, search, common)
            else:
                found = self._search_beam(network, state, search, common)
        return found if self.language is None else self._ask_language(found, search)

    def _search_beam(
        self, network: Network, state: Any, search: SearchConfig, common: dict[str, Any]
    ) -> list[list[Hypothesis]]:
        """The n-best of the beam of each sentence of a batch."""
        return beam_search(
            network.step,
            state,
            beam_size=search.beam_size,
            length_penalty=search.length_penalty,
            length_penalty_kind=search.length_penalty_kind,
            word_reward=search.word_reward,
            coverage_penalty=search.coverage_penalty,
            n_best=search.n_best,
            num_groups=search.diversity_groups,
            diversity_strength=search.diversity_strength,
            **common,
        )

    def _sample(
        self,
        network: Network,
        state: Any,
        source_ids: list[list[int]],
        search: SearchConfig,
        common: dict[str, Any],
    ) -> list[list[Hypothesis]]:
        """The n-best of the samples of each sentence of a batch."""
        found = sample(
            network.step,
            state,
            num_samples=search.samples,
            keys=[stream_key(search.seed, ids) for ids in source_ids],
            temperature=search.temperature,
            top_k=search.top_k,
            top_p=search.top_p,
            ranking=Ranking.of(search),
            **common,
        )
        return [samples[: search.n_best] for samples in found]

    def _ask_language(
        self, found: list[list[Hypothesis]], search: SearchConfig
    ) -> list[list[Hypothesis]]:
        """Hypotheses with what the language model thinks of them.

        Their log-probabilities become those of the translation network alone.
        """
        scores = iter(self.score_alone([hypothesis.ids for own in found for hypothesis in own]))
        return [
            [
                dataclasses.replace(
                    hypothesis,
                    language_log_probability=(score := next(scores)),
                    log_probability=hypothesis.log_probability - search.fusion_weight * score,
                )
                for hypothesis in own
            ]
            for own in found
        ]

    def _score(self, source_ids: list[list[int]], target_ids: list[list[int]]) -> list[float]:
        """See `score`, for one batch."""
        with torch.inference_mode(), plain_path(self.plain):
            return score_targets(
                self.network.step,
                self._start(self.network, source_ids),
                [[*ids, EOS_ID] for ids in target_ids],
                device=self.device,
            )

    def _force(self, source_ids: list[list[int]], target_ids: list[list[int]]) -> list[Forced]:
        """See `force`, for one batch."""
        with torch.inference_mode(), plain_path(self.plain):
            return force_targets(
                self.network.step,
                self._start(self.network, source_ids),
                target_ids,
                device=self.device,
            )

    def _start(
        self,
        network: Network,
        source_ids: list[list[int]],
        candidate_ids: Tensor | None = None,
    ) -> Any:
        """A network's state before the first step for a batch of sources."""
        batch = make_batch(source_ids, [[] for _ in source_ids]).to(self.device)
        return network.start(batch.source_ids, batch.source_lengths, candidate_ids)


def _longest(part: Part, search: SearchConfig) -> int:
    """Most target pieces of a part, `</s>` counted."""
    extra = part.rules.extra_length if part.rules else 0
    return longest_target(len(part.ids) + 1, search) + extra
