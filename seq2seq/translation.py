"""What comes of translating and scoring: values for people and programs, without a network."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seq2seq.config import SearchConfig
from seq2seq.data.sentences import join_sentences
from seq2seq.decoding.length_penalty import Ranking


@dataclass(frozen=True)
class Word:
    """A word of a translation; what the tokenizer holds together where words are not separated."""

    text: str
    start: int
    """Number of its first character in the translation."""
    log_probability: float
    """Natural-log sum over its pieces."""
    entropy: float
    """In nats, of the piece about which the network was most undecided."""
    sources: tuple[int, ...]
    """Numbers of the source words that it came from, by attention; none if it came from none."""
    weights: tuple[float, ...] = ()
    """How much attention each source word had, the share of `</s>` left out; none without
    attention."""


@dataclass(frozen=True)
class Translation:
    """What became of one source sentence.

    Of a source that was translated in parts it holds what became of them, one after another: texts,
    pieces with the `</s>` of each part, the alignments as blocks along the diagonal.
    """

    text: str
    """One line without control characters."""
    score: float
    """`log_probability` divided by the length penalty, with what `fusion_weight`, `word_reward` and
    `coverage_penalty` add; the search ranks by it."""
    log_probability: float
    """Natural-log sum over `pieces`."""
    pieces: list[str]
    """Target pieces, `</s>` included unless truncated."""
    source_pieces: list[str]
    """Source pieces, `</s>` included."""
    alignment: Tensor | None = field(default=None, repr=False)
    """[target_length, source_length], each row sums to 1; None without attention, or if not asked
    for."""
    alternatives: "tuple[Translation, ...]" = field(default=(), repr=False)
    """The n-best, best first: the first one is this translation; theirs are empty. Of a source in
    parts the k-th has the k-th best of each."""
    truncated: bool = False
    """The search reached the maximum length before the sentence ended."""
    cut: bool = False
    """The source held a sentence that is longer than all that were learnt from, so it was cut."""
    repaired: bool = False
    """The search had lost something that must be preserved, which was brought back."""
    reverse_log_probability: float | None = None
    """Natural-log probability of the source given the text, by the model of the other direction;
    None where it was not asked."""
    language_log_probability: float | None = None
    """Natural-log probability of `pieces` by themselves, by a language model; None without one."""
    piece_log_probabilities: tuple[float, ...] | None = field(default=None, repr=False)
    """Natural-log probability of each of `pieces`; None if not asked for."""
    piece_entropies: tuple[float, ...] | None = field(default=None, repr=False)
    """In nats, how undecided the network was before each of `pieces`; None if not asked for."""
    words: tuple[Word, ...] | None = field(default=None, repr=False)
    """Its words, and where they came from; None if details were not asked for."""
    source_words: tuple[str, ...] | None = field(default=None, repr=False)
    """Those of the source, by which `words` count; None if details were not asked for."""
    links: tuple[tuple[int, int], ...] | None = field(default=None, repr=False)
    """(source word, target word) by attention, counted as in Pharaoh files: of characters where a
    language writes no spaces; None without attention, or if details were not asked for."""
    terms: tuple[str, ...] = field(default=(), repr=False)
    """What had to stand in it."""
    confidence: float | None = None
    """Estimated quality, 0 to 1; None if not asked for or the model is not calibrated."""
    is_doubtful: bool = False
    """The confidence is below `min_confidence`."""
    is_withheld: bool = False
    """The text is blank for that reason, as `low_confidence` asks."""


@dataclass(frozen=True)
class TargetScore:
    """How probable a target is given its source; added up, how probable all are together."""

    log_probability: float = 0.0
    """Natural-log sum over the pieces."""
    num_pieces: int = 0
    """`</s>` counted."""
    num_words: int = 0
    """`</s>` counted; characters if the target language writes no spaces between words."""

    def __add__(self, other: "TargetScore") -> "TargetScore":
        return TargetScore(
            self.log_probability + other.log_probability,
            self.num_pieces + other.num_pieces,
            self.num_words + other.num_words,
        )

    @property
    def perplexity(self) -> float:
        """Among how many equally probable pieces the network was in doubt at each place."""
        return _perplexity(self.log_probability, self.num_pieces)

    @property
    def word_perplexity(self) -> float:
        """The same for words: it compares networks with different pieces."""
        return _perplexity(self.log_probability, self.num_words)


def from_alternatives(alternatives: Iterable[Translation]) -> Translation:
    """The translation that has these n-best: the first of them, with all of them beside it."""
    found = tuple(alternatives)
    return dataclasses.replace(found[0], alternatives=found)


def with_best(translation: Translation, **values: Any) -> Translation:
    """A translation with other values, which its first alternative has, too."""
    best = dataclasses.replace(translation, **values, alternatives=())
    return from_alternatives([best, *translation.alternatives[1:]])


def join_translations(
    parts: Sequence[Translation], search: SearchConfig, language: str, *, cut: bool
) -> Translation:
    """One translation of those of a source's parts.

    Args:
        parts: At least one, in the order of the source.
        search: What the parts were found with.
        language: Of the targets.
        cut: Whether a sentence had to be cut.
    """
    if len(parts) == 1:
        return parts[0]
    rankings = zip(*(part.alternatives for part in parts), strict=False)
    return from_alternatives(_join(kth_best, search, language, cut) for kth_best in rankings)


def _join(
    parts: Sequence[Translation], search: SearchConfig, language: str, cut: bool
) -> Translation:
    pieces = [piece for part in parts for piece in part.pieces]
    log_probability = sum(part.log_probability for part in parts)
    language_log_probability = _total([part.language_log_probability for part in parts])
    coverage = 0.0
    if search.coverage_penalty:  # what the scores have besides
        plain = [
            score_fused(
                part.log_probability, part.language_log_probability, len(part.pieces), search
            )
            for part in parts
        ]
        coverage = sum(part.score for part in parts) - sum(plain)
    alignments = [part.alignment for part in parts if part.alignment is not None]
    return Translation(
        text=join_sentences([part.text for part in parts], language),
        score=score_fused(log_probability, language_log_probability, len(pieces), search)
        + coverage,
        log_probability=log_probability,
        pieces=pieces,
        source_pieces=[piece for part in parts for piece in part.source_pieces],
        alignment=torch.block_diag(*alignments) if alignments else None,
        truncated=any(part.truncated for part in parts),
        cut=cut,
        piece_log_probabilities=_joined([part.piece_log_probabilities for part in parts]),
        piece_entropies=_joined([part.piece_entropies for part in parts]),
        reverse_log_probability=_total([part.reverse_log_probability for part in parts]),
        language_log_probability=language_log_probability,
    )


def score_fused(
    log_probability: float, language: float | None, length: int, search: SearchConfig
) -> float:
    """The score of a hypothesis, without coverage.

    Args:
        log_probability: By the translation network.
        language: By the language model; None without one.
        length: In pieces.
    """
    fused = log_probability + search.fusion_weight * (language or 0.0)
    return Ranking.of(search).score(fused, length)


def _joined(values: Sequence[tuple[float, ...] | None]) -> tuple[float, ...] | None:
    """The values of all parts, if each has some."""
    given = [part for part in values if part is not None]
    return tuple(itertools.chain.from_iterable(given)) if len(given) == len(values) else None


def _total(values: Sequence[float | None]) -> float | None:
    """The sum of the values of all parts, if each has one."""
    given = [part for part in values if part is not None]
    return sum(given) if len(given) == len(values) else None


def _perplexity(log_probability: float, count: int) -> float:
    """Infinite where no float is large enough.

    Raises:
        ValueError: If nothing was counted.
    """
    if not count:
        raise ValueError("There is no perplexity of no targets.")
    try:
        return math.exp(-log_probability / count)
    except OverflowError:
        return math.inf
