"""What hypotheses are ranked by, so that long ones compare with short ones.

To add a length penalty, write a function and its line in `LENGTH_PENALTIES`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from seq2seq.config import SearchConfig, choose

# Maps a length in ids (end symbol counted, at least 1) and the exponent to a divisor.
# It must not fall as the length grows: the search relies on that when it stops early.
LengthPenalty = Callable[[int, float], float]


def power_penalty(length: int, exponent: float) -> float:
    """`length ** exponent`: with exponent 1, scores are mean log-probabilities."""
    return float(length**exponent)


def gnmt_penalty(length: int, exponent: float) -> float:
    """Wu et al. (2016), equation 14, https://arxiv.org/abs/1609.08144."""
    return float(((5 + length) / 6) ** exponent)


LENGTH_PENALTIES: dict[str, LengthPenalty] = {"power": power_penalty, "gnmt": gnmt_penalty}


@dataclass(frozen=True)
class Ranking:
    """What hypotheses are ranked by: log-probability / penalty, and what is added to it.

    Raises:
        ConfigurationError: If the kind is unknown.
    """

    length_penalty: float = 1.0
    """Exponent of the penalty."""
    length_penalty_kind: str = "power"
    """A name in `LENGTH_PENALTIES`."""
    word_reward: float = 0.0
    """Added for each id, the end symbol counted: He et al. (2016), section 3; Murray and Chiang
    (2018), section 4, https://arxiv.org/abs/1808.10006."""
    coverage_penalty: float = 0.0
    """Weight of the coverage: beta in Wu et al. (2016), equation 14."""

    def __post_init__(self) -> None:
        choose(LENGTH_PENALTIES, self.length_penalty_kind, field="length_penalty_kind")

    @classmethod
    def of(cls, search: SearchConfig) -> "Ranking":
        """That of a recipe."""
        return cls(
            search.length_penalty,
            search.length_penalty_kind,
            search.word_reward,
            search.coverage_penalty,
        )

    def score(self, log_probability: float, length: int, coverage: float = 0.0) -> float:
        """The score of a hypothesis.

        Args:
            length: In ids, the end symbol counted; none counts as one where it divides.
            coverage: The sum over source positions of log(min(attention, 1)), at most 0.
        """
        divided = self.divide(log_probability, length)
        return divided + self.word_reward * length + self.coverage_penalty * coverage

    def divide(self, log_probability: float, length: int) -> float:
        """The log-probability divided by the penalty of a length."""
        penalize = LENGTH_PENALTIES[self.length_penalty_kind]
        return log_probability / penalize(max(length, 1), self.length_penalty)
