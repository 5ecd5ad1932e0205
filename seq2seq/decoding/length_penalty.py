"""What log-probabilities are divided by, so that long hypotheses compare with short ones.

To add one, write a function and its line in `LENGTH_PENALTIES`.
"""

from collections.abc import Callable

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
