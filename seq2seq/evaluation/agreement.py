"""How much texts agree with one another, by chrF."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import CHRF
from sacrebleu.metrics.helpers import extract_all_char_ngrams

# Numbers that are multiplied at a time, so that a thousand texts need no more than a few do.
_BLOCK_NUMBERS = 2**22


def pairwise_chrf(texts: Sequence[str]) -> NDArray[np.float64]:
    """sacreBLEU's sentence chrF2 of each text (rows) against each as reference (columns), 0 to 100.

    N-grams are counted once in each text.
    """
    metric = CHRF()
    counters = [
        extract_all_char_ngrams(text, metric.char_order, metric.whitespace) for text in texts
    ]
    precision, recall, num_orders = (np.zeros((len(texts), len(texts))) for _ in range(3))
    for of_order in zip(*counters, strict=True):
        matches = _count_common(of_order)
        totals = matches.diagonal()
        counts = np.outer(totals, totals) > 0  # orders that one of the two has not are left out
        divisors = np.maximum(totals, 1.0)
        precision += matches / divisors[:, None]
        recall += matches / divisors
        num_orders += counts
    precision /= np.maximum(num_orders, 1.0)
    recall /= np.maximum(num_orders, 1.0)
    factor = metric.beta**2
    divisors = np.where(precision + recall > 0, factor * precision + recall, 1.0)
    return 100 * (1 + factor) * precision * recall / divisors


def _count_common(counters: Sequence[Counter[str]]) -> NDArray[np.float64]:
    """How many n-grams each two have in common, [texts, texts].

    Two texts share as many as the features "n-gram, k-th time", which products of matrices count:
    a block of features at a time, and only those of several texts.
    """
    owners: dict[tuple[str, int], list[int]] = {}
    for text, counter in enumerate(counters):
        for ngram, count in counter.items():
            for time in range(count):
                owners.setdefault((ngram, time), []).append(text)
    shared = [texts for texts in owners.values() if len(texts) > 1]
    common = np.zeros((len(counters), len(counters)))
    size = max(1, _BLOCK_NUMBERS // max(1, len(counters)))
    for first in range(0, len(shared), size):
        block = shared[first : first + size]
        # Counts up to 2 ** 24 are exact in float32.
        features = np.zeros((len(counters), len(block)), dtype=np.float32)
        columns = np.repeat(np.arange(len(block)), [len(texts) for texts in block])
        features[np.concatenate(block), columns] = 1.0
        common += features @ features.T
    np.fill_diagonal(common, [counter.total() for counter in counters])
    return common


def expected_chrf(texts: Sequence[str], weights: Sequence[float]) -> list[float]:
    """The weighted mean chrF2 of each text against all of them, itself included, 0 to 100.

    Minimum Bayes risk with chrF as utility (Eikema and Aziz, 2020,
    https://aclanthology.org/2020.coling-main.398) takes the text with the highest one.

    Args:
        weights: Of each text as a reference, in any size.
    """
    if not texts:
        return []
    distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    joined = np.zeros(len(distinct))
    for text, weight in zip(texts, weights, strict=True):
        joined[distinct[text]] += weight
    means = (pairwise_chrf(list(distinct)) @ (joined / joined.sum())).tolist()
    return [means[distinct[text]] for text in texts]
