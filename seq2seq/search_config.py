"""The section `search` of a recipe: how sentences are searched."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seq2seq.checks import ConfigurationError, at_least, within

LARGEST_BEAM = 10_000
MOST_SAMPLES = 1_000  # of which each pair may be compared


@dataclass(frozen=True)
class SearchConfig:
    """How sentences are searched; defaults of `translate`."""

    beam_size: int = 5
    """Hypotheses kept per sentence; 1 is greedy search."""
    length_penalty: float = 1.0
    """Exponent of the length that divides the log-probability; 0 compares sums."""
    length_penalty_kind: str = "power"
    """power (length ** penalty) or gnmt (Wu et al., 2016, equation 14)."""
    n_best: int = 1
    """Hypotheses returned per sentence, at most the beam size."""
    word_reward: float = 0.0
    """Added to the score for each target piece, so that translations grow longer (He et al., 2016).
    """
    coverage_penalty: float = 0.0
    """Weight of the penalty on source pieces that were hardly attended to (Wu et al., 2016,
    equation 14); needs attention."""
    min_length: int = 0
    """Shortest translation in pieces, the end symbol not counted."""
    min_length_ratio: float = 0.0
    """Shortest translation: ratio x source pieces, rounded down."""
    max_length_ratio: float = 2.0
    """Longest translation: ratio x source pieces + 10."""
    no_repeat_ngram: int = 0
    """No sequence of so many pieces stands twice in a translation; 0 lets all repeat."""
    diversity_groups: int = 1
    """Groups of the beam that are kept apart from one another (Vijayakumar et al., 2016)."""
    diversity_strength: float = 0.5
    """What a piece costs that an earlier group of the beam has chosen at the same step."""
    samples: int = 0
    """Translations drawn at random for each sentence, at most 1,000, in place of beam search; 0
    searches."""
    temperature: float = 1.0
    """Of samples: below 1 likelier pieces become likelier still, above 1 rarer ones."""
    top_k: int = 0
    """Samples choose among so many likeliest pieces; 0 among all."""
    top_p: float = 1.0
    """Samples choose among the likeliest pieces that have this probability together (Holtzman et
    al., 2020)."""
    seed: int = 1
    """Seed of samples; those of a sentence depend on nothing else but the sentence."""
    mbr: bool = False
    """Chooses the hypothesis most like all others by chrF, not the most probable one: minimum Bayes
    risk (Eikema and Aziz, 2020)."""
    reverse_weight: float = 0.0
    """Ranks hypotheses anew: weight of the log-probability of the source by a model of the other
    direction."""
    language_weight: float = 0.0
    """Ranks hypotheses anew: weight of their log-probability by a language model."""
    length_weight: float = 0.0
    """Ranks hypotheses anew: weight of their lengths in pieces; it needs one of these models."""
    fusion_weight: float = 0.0
    """Weight of the log-probability by a language model at each step of the search (Gulcehre et
    al., 2015)."""
    preserve: bool = False
    """Numbers, URLs, e-mail addresses and {placeholders} of the source stand in the translation."""
    copy_unknown: bool = False
    """Source words with characters that the vocabulary does not know are copied."""
    keep_case: bool = False
    """Words in capitals are translated as small ones, and their translations written in capitals.
    """
    min_confidence: float = 0.0
    """Translations below this confidence, 0 to 1, are marked or withheld; needs a model with
    quality.yaml, and no evaluation heeds it."""
    low_confidence: Literal["mark", "withhold"] = "mark"
    """What becomes of translations below `min_confidence`."""
    batch_size: int = 64
    """Sentences searched together."""
    shortlist: int = 0
    """Target pieces considered per source piece, besides the most frequent ones; 0 considers all.
    Faster, and needs a model with lexicon.safetensors."""

    def __post_init__(self) -> None:
        within("search.beam_size", self.beam_size, 1, LARGEST_BEAM)
        at_least("search.n_best", self.n_best, 1)
        within("search.batch_size", self.batch_size, 1, 1_000_000)
        within("search.length_penalty", self.length_penalty, 0, 10)
        within("search.min_length", self.min_length, 0, 1_000_000)
        within("search.shortlist", self.shortlist, 0, 1_000_000)
        for name in ("word_reward", "reverse_weight", "language_weight", "length_weight"):
            within(f"search.{name}", getattr(self, name), -100, 100)
        for name in ("coverage_penalty", "diversity_strength", "fusion_weight"):
            within(f"search.{name}", getattr(self, name), 0, 100)
        within("search.samples", self.samples, 0, MOST_SAMPLES)
        for name in ("no_repeat_ngram", "top_k"):
            within(f"search.{name}", getattr(self, name), 0, 1_000_000)
        for name in ("top_p", "min_confidence"):
            within(f"search.{name}", getattr(self, name), 0, 1)
        within("search.temperature", self.temperature, 0, 100)
        within("search.seed", self.seed, 0, 2**63 - 1)
        if not 0 <= self.min_length_ratio <= self.max_length_ratio:
            raise ConfigurationError(
                f"`search.min_length_ratio` must be from 0 to `search.max_length_ratio` "
                f"({self.max_length_ratio}), but is {self.min_length_ratio}."
            )
        within("search.diversity_groups", self.diversity_groups, 1, LARGEST_BEAM)
        if self.beam_size % self.diversity_groups:
            raise ConfigurationError(
                f"`search.diversity_groups` must divide `search.beam_size` ({self.beam_size}), "
                f"but is {self.diversity_groups}."
            )
        if self.samples and self.diversity_groups > 1:
            raise ConfigurationError(
                f"`search.diversity_groups` are of a beam, which `search.samples` replaces; with "
                f"samples it must be 1, but is {self.diversity_groups}."
            )
        if self.mbr and not self.samples and self.beam_size > MOST_SAMPLES:
            raise ConfigurationError(
                f"`search.mbr` compares all hypotheses of a beam with one another; "
                f"`search.beam_size` must be at most {MOST_SAMPLES} with it, but is "
                f"{self.beam_size}."
            )
        if not 0 < self.max_length_ratio <= 100:
            raise ConfigurationError(
                f"`search.max_length_ratio` must be above 0 and at most 100, "
                f"but is {self.max_length_ratio}."
            )
        most = "samples" if self.samples else "beam_size"
        if self.n_best > getattr(self, most):
            raise ConfigurationError(
                f"`search.n_best` must be at most `search.{most}` ({getattr(self, most)}), "
                f"but is {self.n_best}."
            )


def check_given(settings: Mapping[str, Any]) -> None:
    """Refuses settings that are wrong whatever the recipe says that they go together with.

    Raises:
        ConfigurationError: If there is one.
    """
    groups = max(1, settings.get("diversity_groups", 1))
    beam_size = max(1, LARGEST_BEAM - LARGEST_BEAM % groups)  # that of the recipe may suit them
    dataclasses.replace(SearchConfig(beam_size=beam_size), **settings)
