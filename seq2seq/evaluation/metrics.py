"""Scores of translations against references by sacreBLEU, each with its signature.

To add a metric: a function and one line of `METRICS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric

from seq2seq.languages import base_language, is_unspaced, language_name

# What sacreBLEU's own command line takes when it is told the target language, but for Thai, Lao,
# Khmer and Burmese, which it would split at spaces. Without the morphological analyser, characters:
# words are not separated in Japanese, and in Korean particles and endings hang on the word, so with
# 13a a right word with a wrong particle would count nothing.
BLEU_TOKENIZERS = {
    "ja": ("ja-mecab", "char"),
    "km": ("char",),
    "ko": ("ko-mecab", "char"),
    "lo": ("char",),
    "my": ("char",),
    "th": ("char",),
    "zh": ("zh",),
}

_HAN = ("ja", "zh")

NUM_RESAMPLES = 1000
_SEED = 12345  # sacreBLEU's own


@dataclass(frozen=True)
class Score:
    """A number and how it came about."""

    name: str
    """As the metric's authors write it, such as BLEU or chrF2."""
    value: float
    """From 0 to 100, but TER has no upper bound."""
    signature: str
    """sacreBLEU's, with case, tokeniser, smoothing and version."""
    low: float | None = None
    """Lower end of the 95 % bootstrap interval; None if it was not asked for."""
    high: float | None = None
    """Its upper end."""

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2f} ({self.signature})"


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a metric counts in each sentence; the scores of all and of some follow from it."""

    metric: str
    """Name in `METRICS`."""
    target_language: str
    counts: NDArray[np.float64]
    """[num_sentences, num_counts]"""

    def __len__(self) -> int:
        return len(self.counts)

    def select(self, indices: Sequence[int]) -> "Statistics":
        """Those of the sentences at `indices`."""
        return replace(self, counts=self.counts[list(indices)])

    def score(self, *, with_interval: bool = False) -> Score:
        """The score of the corpus.

        Args:
            with_interval: Finds `low` and `high`, as `sacrebleu --confidence` does.
        """
        metric = METRICS[self.metric](self.target_language)
        metric.num_refs = 1
        low = high = None
        if with_interval:
            metric.n_bootstrap, metric.seed = NUM_RESAMPLES, str(_SEED)
            low, high = _interval(self.resampled())
        result = metric._compute_score_from_stats(self.counts.sum(0).tolist())
        return Score(result.name, float(result.score), str(metric.get_signature()), low, high)

    def sentence_scores(self) -> list[float]:
        """The score of each sentence; BLEU leaves out n-grams longer than the sentence."""
        metric = {**METRICS, "bleu": _sentence_bleu}[self.metric](self.target_language)
        return [float(metric._compute_score_from_stats(row).score) for row in self.counts.tolist()]

    def resampled(self) -> NDArray[np.float64]:
        """Scores of random draws of as many sentences, [num_resamples].

        The draws are those of sacreBLEU, and the same for all sets of one size: the scores of two
        systems on one set can be compared draw by draw.
        """
        metric = METRICS[self.metric](self.target_language)
        generator = np.random.default_rng(_SEED)
        scores = []
        for _ in range(NUM_RESAMPLES):  # all at once would take gigabytes for large sets
            rows = generator.choice(len(self), size=len(self), replace=True)
            scores.append(metric._compute_score_from_stats(self.counts[rows].sum(0).tolist()).score)
        return np.array(scores)


def measure(
    metric: str, hypotheses: Sequence[str], references: Sequence[str], target_language: str
) -> Statistics:
    """Counts in each sentence what a metric needs; this is where the time goes.

    Args:
        metric: A name of `METRICS`.

    Raises:
        ValueError: If there are not as many references as hypotheses, or none.
    """
    if len(hypotheses) != len(references) or not references:
        raise ValueError(
            f"A score needs as many references as hypotheses and at least one, but there are "
            f"{len(hypotheses)} hypotheses and {len(references)} references."
        )
    counter = METRICS[metric](target_language)
    counts = counter._extract_corpus_statistics(list(hypotheses), [list(references)])
    return Statistics(metric, target_language, np.array(counts, dtype=np.float64))


def length_ratio(bleu_statistics: Statistics) -> float:
    """Tokens of the hypotheses for each token of the references, as BLEU counts them."""
    hypothesis_length, reference_length = bleu_statistics.counts.sum(0)[:2]
    return float(hypothesis_length / max(reference_length, 1.0))


def bleu(target_language: str) -> Metric:
    """BLEU, cased (Papineni et al., 2002; Post, 2018), 0 to 100."""
    return BLEU(tokenize=bleu_tokenizer(target_language))


def chrf(target_language: str) -> Metric:
    """chrF2 (Popovic, 2015), 0 to 100."""
    return CHRF()


def ter(target_language: str) -> Metric:
    """Translation edit rate, not cased (Snover et al., 2006); lower is better."""
    has_han = base_language(target_language) in _HAN
    # Asian support separates Han characters, and is a part of the normalisation.
    return TER(normalized=has_han, asian_support=has_han)


METRICS: Mapping[str, Callable[[str], Metric]] = {"bleu": bleu, "chrf": chrf, "ter": ter}
LOWER_IS_BETTER = frozenset({"ter"})


@cache
def bleu_tokenizer(target_language: str) -> str:
    """Name of the sacreBLEU tokeniser that fits a language and is installed here."""
    candidates = BLEU_TOKENIZERS.get(base_language(target_language), ("13a",))
    return next(name for name in candidates if _is_installed(name))


def explain_tokenizer(target_language: str) -> str:
    """What BLEU counts in a language, and why, and what TER counts."""
    tokenizer = bleu_tokenizer(target_language)
    language = language_name(target_language)
    if tokenizer == "char" and base_language(target_language) == "ko":
        reason = (
            "characters, since particles and endings hang on the words of Korean; with mecab-ko "
            "installed it counts words and particles"
        )
    elif tokenizer in ("char", "zh"):
        reason = f"characters, since the words of {language} are not separated"
        if base_language(target_language) == "ja":
            reason += "; with mecab installed it counts words"
    elif tokenizer.endswith("-mecab"):
        reason = f"the words that MeCab finds in {language}"
    else:
        reason = "words and punctuation marks"
    if base_language(target_language) in _HAN:
        edits = "Han characters and of what stands between them"
    else:
        edits = "what stands between spaces"
        if is_unspaced(target_language):
            edits += f", which says little in {language}"
    return (
        f"BLEU counts {reason} (tokenisation {tokenizer}, case kept). "
        f"TER counts edits of {edits}, case aside."
    )


def _sentence_bleu(target_language: str) -> Metric:
    return BLEU(tokenize=bleu_tokenizer(target_language), effective_order=True)


def _interval(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Where the middle 95 % of the scores lie, made symmetric about their mean by sacreBLEU.

    With few sentences that may lie below 0, where no score is.
    """
    ordered = np.sort(scores)
    outside = len(ordered) // 40
    half = 0.5 * (ordered[-outside - 1] - ordered[outside])
    return max(float(ordered.mean() - half), 0.0), float(ordered.mean() + half)


def _is_installed(tokenizer: str) -> bool:
    if not tokenizer.endswith("-mecab"):
        return True
    try:
        BLEU(tokenize=tokenizer)
    except (ImportError, RuntimeError, AssertionError):  # missing, or with another dictionary
        return False
    return True
