"""Orders the hypotheses of a search anew, by what further models think of them."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from seq2seq.batches import naming_owners
from seq2seq.config import SearchConfig
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES, Ranking
from seq2seq.translation import TargetScore


class Scorer(Protocol):
    """What is needed of a model of the other direction."""

    def score_targets(self, sources: Sequence[str], targets: Sequence[str]) -> list[TargetScore]:
        """How probable each target is given its source."""


def is_ranked_anew(search: SearchConfig) -> bool:
    """Whether a reverse model or a language model decides the order."""
    return bool(search.reverse_weight or search.language_weight or search.length_weight)


def with_all_hypotheses(search: SearchConfig) -> SearchConfig:
    """The same search, which returns all that can be ranked: a whole beam, or all samples."""
    return dataclasses.replace(search, n_best=search.samples or search.beam_size)


def score_sources(
    reverse: Scorer, sources: Sequence[str], targets: Sequence[Sequence[str]]
) -> list[list[TargetScore]]:
    """How probable each source is given each of its translations.

    Args:
        reverse: Of the other direction.
        targets: For each source its hypotheses.

    Raises:
        TooLongError: If memory does not suffice for one of the sources.
    """
    owners = [index for index, texts in enumerate(targets) for _ in texts]
    with naming_owners(owners):
        scores = iter(
            reverse.score_targets(
                [text for texts in targets for text in texts], [sources[owner] for owner in owners]
            )
        )
    return [[next(scores) for _ in texts] for texts in targets]


def rerank(
    hypotheses: Sequence[Hypothesis], sources: Sequence[TargetScore], search: SearchConfig
) -> list[int]:
    """Which hypotheses of one source are the best by `combined_score`, the best one first.

    Truncated ones stay behind those that ended, as in the search.

    Args:
        sources: What the reverse model thinks of the source, given each hypothesis; without one,
            the pieces of the source alone.

    Returns:
        As many as `search.n_best`.
    """
    ranks = [
        (
            each.truncated,
            -combined_score(
                each.score, len(each.ids), source, search, each.language_log_probability
            ),
        )
        for each, source in zip(hypotheses, sources, strict=True)
    ]
    return sorted(range(len(ranks)), key=ranks.__getitem__)[: search.n_best]


def combined_score(
    score: float,
    length: int,
    source: TargetScore,
    search: SearchConfig,
    language: float | None = None,
) -> float:
    """What ranks a hypothesis y of a source x, with |.| the length in pieces and lp the penalty.

        score(y | x) + (reverse_weight log P(x | y) + length_weight |y|) / lp(|x|)
                     + language_weight log P(y) / lp(|y|)

    Models of both directions: Li et al. (2016), https://aclanthology.org/N16-1014 (MMI-bidi), and
    the noisy channel of Yee et al. (2019), https://aclanthology.org/D19-1571. The length penalty of
    the search stands below all terms, so that weights mean the same in short and long sentences;
    with penalty 0 all are sums. What a language model says of y stands above the same penalty as
    what the translation model says of it, so that `language_weight` gives each hypothesis the score
    that it would have with that `fusion_weight`.

    Args:
        score: Of the search.
        length: Of the hypothesis, `</s>` counted.
        source: Log-probability of the source given the hypothesis, and pieces of the source.
        language: Log-probability of the hypothesis by itself, where a language model was asked.
    """
    penalty = LENGTH_PENALTIES[search.length_penalty_kind](source.num_pieces, search.length_penalty)
    added = search.reverse_weight * source.log_probability + search.length_weight * length
    fluency = Ranking.of(search).divide(search.language_weight * (language or 0.0), length)
    return score + added / penalty + fluency
