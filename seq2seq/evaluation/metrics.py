"""Scores of translations against references by sacreBLEU, each with its signature.

To add a metric: a function and one line of `METRICS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric

# What sacreBLEU's own command line takes when it is told the target language. Without the
# morphological analyser, characters: words are not separated in Japanese, and in Korean particles
# and endings hang on the word, so with 13a a right word with a wrong particle would count nothing.
BLEU_TOKENIZERS = {
    "ja": ("ja-mecab", "char"),
    "ko": ("ko-mecab", "char"),
    "zh": ("zh",),
}


@dataclass(frozen=True)
class Score:
    """A number and how it came about."""

    name: str
    """As the metric's authors write it, such as BLEU or chrF2."""
    value: float
    """From 0 to 100, but TER has no upper bound."""
    signature: str
    """sacreBLEU's, with case, tokeniser, smoothing and version."""

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2f} ({self.signature})"


def bleu(hypotheses: Sequence[str], references: Sequence[str], target_language: str) -> Score:
    """BLEU of a corpus, cased (Papineni et al., 2002; Post, 2018), 0 to 100."""
    metric = BLEU(tokenize=bleu_tokenizer(target_language))
    return _score(metric, hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str], target_language: str) -> Score:
    """chrF2 of a corpus (Popovic, 2015), 0 to 100."""
    return _score(CHRF(), hypotheses, references)


def ter(hypotheses: Sequence[str], references: Sequence[str], target_language: str) -> Score:
    """Translation edit rate of a corpus (Snover et al., 2006); lower is better."""
    without_spaces = _base_language(target_language) in ("ja", "zh")
    # Asian support separates characters, and is a part of the normalisation.
    metric = TER(normalized=without_spaces, asian_support=without_spaces)
    return _score(metric, hypotheses, references)


MetricFunction = Callable[[Sequence[str], Sequence[str], str], Score]
METRICS: Mapping[str, MetricFunction] = {"bleu": bleu, "chrf": chrf, "ter": ter}


@cache
def bleu_tokenizer(target_language: str) -> str:
    """Name of the sacreBLEU tokeniser that fits a language and is installed here."""
    candidates = BLEU_TOKENIZERS.get(_base_language(target_language), ("13a",))
    return next(name for name in candidates if _is_installed(name))


def _score(metric: Metric, hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    if len(hypotheses) != len(references) or not references:
        raise ValueError(
            f"A score needs as many references as hypotheses and at least one, but there are "
            f"{len(hypotheses)} hypotheses and {len(references)} references."
        )
    result = metric.corpus_score(list(hypotheses), [list(references)])
    return Score(result.name, float(result.score), str(metric.get_signature()))


def _base_language(code: str) -> str:
    """The language of a code that may name script or region too, such as zh-Hant or ja_JP."""
    return code.lower().replace("_", "-").split("-")[0]


def _is_installed(tokenizer: str) -> bool:
    if not tokenizer.endswith("-mecab"):
        return True
    try:
        BLEU(tokenize=tokenizer)
    except (ImportError, RuntimeError, AssertionError):  # missing, or with another dictionary
        return False
    return True
