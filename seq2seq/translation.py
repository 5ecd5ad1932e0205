"""What comes of translating and scoring: values for people and programs, without a network."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seq2seq.config import SearchConfig
from seq2seq.data.sentences import join_sentences
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES


@dataclass(frozen=True)
class Translation:
    """What became of one source sentence.

    Of a source that was translated in parts it holds what became of them, one after another: texts,
    pieces with the `</s>` of each part, the alignments as blocks along the diagonal.
    """

    text: str
    """One line without control characters."""
    score: float
    """`log_probability` divided by the length penalty; the search ranks by it."""
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
    piece_log_probabilities: tuple[float, ...] | None = field(default=None, repr=False)
    """Natural-log probability of each of `pieces`; None if not asked for."""
    piece_entropies: tuple[float, ...] | None = field(default=None, repr=False)
    """In nats, how undecided the network was before each of `pieces`; None if not asked for."""
    confidence: float | None = None
    """Estimated quality, 0 to 1; None if not asked for or the model is not calibrated."""


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
    alternatives = tuple(_join(kth_best, search, language, cut) for kth_best in rankings)
    return dataclasses.replace(alternatives[0], alternatives=alternatives)


def _join(
    parts: Sequence[Translation], search: SearchConfig, language: str, cut: bool
) -> Translation:
    pieces = [piece for part in parts for piece in part.pieces]
    log_probability = sum(part.log_probability for part in parts)
    penalize = LENGTH_PENALTIES[search.length_penalty_kind]
    alignments = [part.alignment for part in parts if part.alignment is not None]
    return Translation(
        text=join_sentences([part.text for part in parts], language),
        score=log_probability / penalize(len(pieces), search.length_penalty),
        log_probability=log_probability,
        pieces=pieces,
        source_pieces=[piece for part in parts for piece in part.source_pieces],
        alignment=torch.block_diag(*alignments) if alignments else None,
        truncated=any(part.truncated for part in parts),
        cut=cut,
    )


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
