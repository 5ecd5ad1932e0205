"""How well a text is predicted: perplexity per piece and per word, bits per character."""

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class TextLoss:
    """The negative log-likelihood of a text, and the text's length."""

    nats: float
    """Natural-log negative log-likelihood of all pieces, each line's `</s>` included."""
    pieces: int
    """With each line's `</s>`."""
    characters: int
    """A line's end counts as one."""
    words: int
    """What white space divides; a line's end counts as one."""
    unknown: int = 0
    """Pieces that are the unknown one."""

    @property
    def per_piece(self) -> float:
        """Nats per piece: the loss of training."""
        return self.nats / self.pieces

    @property
    def perplexity(self) -> float:
        """Per piece; comparable for models of the same pieces only."""
        return _perplexity(self.nats / self.pieces)

    @property
    def word_perplexity(self) -> float:
        """Per word, whatever the pieces are, as long as none of them is unknown."""
        return _perplexity(self.nats / self.words)

    @property
    def bits_per_character(self) -> float:
        """Comparable for models of all kinds of pieces, as long as none of them is unknown."""
        return self.nats / math.log(2) / self.characters


def total(losses: Iterable[TextLoss]) -> TextLoss:
    """That of all texts together."""
    return TextLoss(*map(sum, zip(*map(astuple, losses), strict=True)))


def show_perplexity(value: float, decimals: int = 2) -> str:
    """A perplexity in a few characters, also of a network that has learnt nothing."""
    if value > 1e100:
        return "more than 1e100"
    return f"{value:.{decimals}f}" if value < 1e6 else f"{value:.3g}"


def describe_unknown(loss: TextLoss) -> str | None:
    """A sentence about unknown pieces if there are any: all that they may spell is one event."""
    if not loss.unknown:
        return None
    return (
        f"Unknown pieces: {loss.unknown:,}, which do not say what they spell; compare bits per "
        f"character and perplexities only with models that know the same pieces."
    )


def _perplexity(nats: float) -> float:
    return math.exp(min(nats, 700.0))  # of more there is no float
