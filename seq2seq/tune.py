"""Finds the settings of search by which a model translates a development set best.

To tune another setting, write its values into `GRIDS`.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from seq2seq.config import SearchConfig
from seq2seq.data.corpus import Pairs
from seq2seq.evaluation.metrics import Statistics, measure
from seq2seq.evaluation.significance import Comparison, compare_statistics
from seq2seq.reranking import combined_score, score_sources, with_all_hypotheses
from seq2seq.translation import TargetScore, Translation
from seq2seq.translator import Translator

Settings = Mapping[str, Any]

# Settings that are tried one after another, each in place of the best so far. What divides the sum
# comes first: what is added for each piece, or for what was not attended to, hangs on it.
GRIDS: tuple[tuple[Settings, ...], ...] = (
    (
        *(
            {"length_penalty_kind": "power", "length_penalty": penalty, "word_reward": 0.0}
            for penalty in (0.0, 0.5, 0.75, 1.0, 1.25, 1.5)
        ),
        *(
            {"length_penalty_kind": "gnmt", "length_penalty": penalty, "word_reward": 0.0}
            for penalty in (0.5, 1.0, 1.5, 2.0)
        ),
        # In place of a penalty: Murray and Chiang (2018), https://aclanthology.org/W18-6322.
        *(
            {"length_penalty_kind": "power", "length_penalty": 0.0, "word_reward": reward}
            for reward in (0.25, 0.5, 0.75, 1.0)
        ),
    ),
    tuple({"word_reward": reward} for reward in (0.0, 0.01, 0.02, 0.05)),
    # Of scores that are means; 0.2 is too much for them and may suit sums.
    tuple({"coverage_penalty": penalty} for penalty in (0.0, 0.005, 0.02, 0.05, 0.2)),
    # Of a language model in the search.
    tuple({"fusion_weight": weight} for weight in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)),
)
# Of models that rank hypotheses anew. All combinations are tried, since the hypotheses are searched
# and scored only once.
REVERSE_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
LANGUAGE_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
LENGTH_WEIGHTS = (-0.4, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4)
_MOST_ROUNDS = 3  # the second seldom changes anything


@dataclass(frozen=True)
class Trial:
    """How the set is translated by some settings."""

    search: SearchConfig
    statistics: Statistics
    """Of the translations, by the metric."""
    changes: Settings
    """What differs from the defaults, by name."""
    defaults: Statistics
    """Of the translations by the defaults."""

    @cached_property
    def score(self) -> float:
        """By the metric."""
        return self.statistics.score().value

    @cached_property
    def comparison(self) -> Comparison | None:
        """With the defaults, as if nothing else had been tried; None of these themselves."""
        if not self.changes:
            return None
        names = ("the best", "the defaults")
        return compare_statistics(self.statistics, self.defaults, names=names)


@dataclass(frozen=True)
class Tuned:
    """What came of tuning."""

    trials: Sequence[Trial]
    """The defaults, and everything that was tried, in this order."""
    best: Trial
    """That of the highest score."""
    held_out: Comparison
    """With the defaults, of settings chosen in the same way by the other half of the sentences."""

    @property
    def is_better(self) -> bool:
        """Whether choosing has brought more than chance, which makes one of many trials the best.

        A difference within the sentences that it was chosen by shows nothing.
        """
        is_gain = self.held_out.is_significant and self.held_out.difference > 0
        return bool(self.best.changes) and is_gain


def tune(
    translator: Translator,
    pairs: Pairs,
    *,
    metric: str = "bleu",
    advance: Callable[[int, float], None] | None = None,
    **kept: Any,
) -> Tuned:
    """Tries the settings of `GRIDS`, then the weights of models that rank hypotheses anew, if any.

    Three times: by all sentences, and by each half of them (every other one) to be tested on the
    other. What several of these ask for is searched once.

    Args:
        pairs: Clean.
        metric: A name in `METRICS`; higher must be better.
        advance: Is told how many sentences were translated so far, and what share that is of all
            that are planned.
        kept: Settings that are not tried, in place of the recipe's.

    Raises:
        ConfigurationError: If a setting is unknown or out of range.
    """
    advance = advance or (lambda num_sentences, share: None)
    return _Tuning(translator, pairs, metric, kept, advance).run()


class _Tuning:
    """What is known while settings are tried; none is searched twice."""

    def __init__(
        self,
        translator: Translator,
        pairs: Pairs,
        metric: str,
        kept: Settings,
        advance: Callable[[int, float], None],
    ) -> None:
        self.translator = translator
        self.pairs = pairs
        self.metric = metric
        self.kept = kept
        self.advance = advance
        self.defaults = translator.search_settings(**kept)
        self.first = dataclasses.replace(
            self.defaults, reverse_weight=0.0, language_weight=0.0, length_weight=0.0
        )
        models = {"reverse_weight": translator.reverse, "language_weight": translator.language}
        self.weights = [name for name, model in models.items() if model is not None]
        for name in self.weights:  # whether they can be tried in the end
            translator.search_settings(**{**kept, name: 1.0})
        self.searched: dict[SearchConfig, Statistics] = {}
        self.weighed: dict[SearchConfig, dict[SearchConfig, Statistics]] = {}
        self.num_sentences = 0
        self.num_planned = 0

    def run(self) -> Tuned:
        first_grid, *further = [set(self._fit(grid, self.first)) for grid in GRIDS] or [set()]
        searches = {self.defaults, self.first, *first_grid}.union(*further)
        num_weighed = 2 if self.weights else 0
        # Halves may go on from other settings than the whole.
        num_more = 2 * (sum(map(len, further)) + num_weighed)
        self.num_planned = (len(searches) + num_weighed + num_more) * len(self.pairs)
        number = len(self.pairs)
        tried, best = self._climb(range(number))
        if self.weights:
            self._weigh(tried, best)
        trials = [self._to_trial(search, statistics) for search, statistics in tried.items()]
        held_out = self._cross_validate([range(0, number, 2), range(1, number, 2)])
        return Tuned(trials, max(trials, key=lambda trial: trial.score), held_out)

    def _climb(self, by: Sequence[int]) -> tuple[dict[SearchConfig, Statistics], SearchConfig]:
        """Tries one grid after another, each in place of the best so far.

        Args:
            by: The sentences whose score decides.

        Returns:
            What was tried, measured on all sentences, and the best in the order of the search.
        """
        tried = {search: self._search(search) for search in (self.defaults, self.first)}

        def score(search: SearchConfig) -> float:
            if search not in tried:
                tried[search] = self._search(search)
            return tried[search].select(by).score().value

        best = self.first
        for _ in range(_MOST_ROUNDS):
            before = best
            for grid in GRIDS:
                best = max((best, *self._fit(grid, best)), key=score)
            if best == before:
                break
        return tried, best

    def _cross_validate(self, halves: Sequence[Sequence[int]]) -> Comparison:
        """Compares with the defaults what each half chooses for the other one."""
        defaults = self.searched[self.defaults]
        counts = defaults.counts.copy()
        for by, other in (halves, halves[::-1]):
            tried, best = self._climb(by)
            if self.weights:
                tried = {**self._weights(best), **tried}
            chosen = max(tried.values(), key=lambda each: each.select(by).score().value)
            counts[list(other)] = chosen.counts[list(other)]
        names = ("what is chosen so", "the defaults")
        return compare_statistics(
            dataclasses.replace(defaults, counts=counts), defaults, names=names
        )

    def _fit(self, grid: Sequence[Settings], best: SearchConfig) -> Iterator[SearchConfig]:
        """What a grid makes of the best so far without touching what is kept."""
        for settings in grid:
            is_kept = all(self.kept.get(name, value) == value for name, value in settings.items())
            can_be = self.translator.has_attention or not settings.get("coverage_penalty")
            can_fuse = self.translator.language is not None or "fusion_weight" not in settings
            if is_kept and can_be and can_fuse:
                yield dataclasses.replace(best, **settings)

    def _search(self, search: SearchConfig) -> Statistics:
        if search not in self.searched:
            texts = [translation.text for translation in self._translate(search)]
            self.searched[search] = measure(self.metric, texts, self.pairs.targets, self._language)
        return self.searched[search]

    @property
    def _language(self) -> str:
        return self.translator.recipe.target_language

    def _translate(self, search: SearchConfig) -> list[Translation]:
        found = []
        settings = dataclasses.asdict(search)
        for translation in self.translator.stream(
            self.pairs.sources, with_alignment=False, **settings
        ):
            found.append(translation)
            self.num_sentences += 1
            # A further round was not planned.
            self.num_planned = max(self.num_planned, self.num_sentences)
            self.advance(self.num_sentences, self.num_sentences / self.num_planned)
        return found

    def _to_trial(self, search: SearchConfig, statistics: Statistics) -> Trial:
        defaults = dataclasses.asdict(self.defaults)
        changes = {n: v for n, v in dataclasses.asdict(search).items() if v != defaults[n]}
        return Trial(search, statistics, changes, self.searched[self.defaults])

    def _weigh(self, tried: dict[SearchConfig, Statistics], best: SearchConfig) -> None:
        """Adds to what was tried the best weights, and the best for each weight of the first model.

        Args:
            best: Whose hypotheses are ranked.
        """
        weighed = self._weights(best)
        ranked = sorted(weighed, key=lambda search: -weighed[search].score().value)
        # Of a source in parts the parts are ranked, so the best is searched as it will be used.
        tried[ranked[0]] = self._search(ranked[0])
        shown = {getattr(ranked[0], self.weights[0])}
        for search in ranked[1:]:
            weight = getattr(search, self.weights[0])
            if weight not in shown and search not in tried:
                shown.add(weight)
                tried[search] = weighed[search]

    def _weights(self, best: SearchConfig) -> dict[SearchConfig, Statistics]:
        """What all weights of further models make of the hypotheses of one search."""
        if best not in self.weighed:
            self.weighed[best] = dict(self._score_weights(best))
        return self.weighed[best]

    def _score_weights(self, best: SearchConfig) -> Iterator[tuple[SearchConfig, Statistics]]:
        found = [list(t.alternatives) for t in self._translate(with_all_hypotheses(best))]
        texts = [[hypothesis.text for hypothesis in hypotheses] for hypotheses in found]
        if self.translator.reverse is not None:
            scores = score_sources(self.translator.reverse, self.pairs.sources, texts)
        else:
            scores = [
                [TargetScore(num_pieces=len(each.source_pieces)) for each in own] for own in found
            ]
        counted = measure(
            self.metric,
            [text for own in texts for text in own],
            [target for target, own in zip(self.pairs.targets, texts, strict=True) for _ in own],
            self._language,
        )
        values = {"reverse_weight": REVERSE_WEIGHTS, "language_weight": LANGUAGE_WEIGHTS}
        grids = {name: values[name] for name in self.weights} | {"length_weight": LENGTH_WEIGHTS}
        grids |= {name: (self.kept[name],) for name in grids if name in self.kept}
        for weights in product(*grids.values()):
            settings: Settings = dict(zip(grids, weights, strict=True))
            search = dataclasses.replace(best, **settings)
            yield search, counted.select(list(_choose(found, scores, search)))


def _choose(
    found: Sequence[Sequence[Translation]],
    scores: Sequence[Sequence[TargetScore]],
    search: SearchConfig,
) -> Iterator[int]:
    """Which hypothesis of each source is the best, counted through all of them."""
    first = 0
    for hypotheses, sources in zip(found, scores, strict=True):
        ranks = [
            (
                one.truncated,
                -combined_score(
                    one.score, len(one.pieces), source, search, one.language_log_probability
                ),
            )
            for one, source in zip(hypotheses, sources, strict=True)
        ]
        yield first + ranks.index(min(ranks))
        first += len(hypotheses)
