"""Chooses among the hypotheses of a search by how much they agree: minimum Bayes risk."""

import math
from collections.abc import Sequence

from seq2seq.config import SearchConfig
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.evaluation.agreement import expected_chrf


def order_by_risk(
    hypotheses: Sequence[Hypothesis], texts: Sequence[str], search: SearchConfig
) -> list[int]:
    """Which hypotheses of one source are most like all others by chrF, the first one most.

    Eikema and Aziz (2020), https://aclanthology.org/2020.coling-main.398: each sample counts once
    as often as it was drawn; hypotheses of a beam count by their probability. Truncated ones stay
    behind those that ended and say nothing of them, as the probability of a beginning is that of
    all sentences that begin so. Of equal ones that with the higher score comes first.

    Args:
        hypotheses: The highest score first.
        texts: What they say.

    Returns:
        As many as `search.n_best`.
    """
    means = expected_chrf(texts, _weigh(hypotheses, search))
    order = sorted(range(len(means)), key=lambda i: (hypotheses[i].truncated, -means[i]))
    return order[: search.n_best]


def _weigh(hypotheses: Sequence[Hypothesis], search: SearchConfig) -> list[float]:
    """What each counts; the most is 1."""
    some_ended = not all(each.truncated for each in hypotheses)
    logarithms = [
        -math.inf
        if each.truncated and some_ended
        else (0.0 if search.samples else each.log_probability)
        for each in hypotheses
    ]
    most = max(logarithms, default=0.0)
    return [math.exp(each - most) for each in logarithms]
