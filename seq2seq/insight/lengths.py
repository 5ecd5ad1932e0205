"""Why attention: how well networks translate sources of different lengths.

Bahdanau et al. (2015), figure 2, https://arxiv.org/abs/1409.0473. Single sources say little of
length where all are short, so neighbours are joined, too.
"""

import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from seq2seq.config import ConfigurationError
from seq2seq.data.corpus import Pairs
from seq2seq.data.sentences import count_words
from seq2seq.evaluate import clean_pairs
from seq2seq.evaluation.analysis import length_unit
from seq2seq.evaluation.charts import Series, line_chart
from seq2seq.evaluation.metrics import NUM_RESAMPLES, Score, Statistics, measure
from seq2seq.insight.chart_figure import chart_figure
from seq2seq.languages import base_language, language_name
from seq2seq.translator import Translator

FEWEST_SENTENCES = 30
"""A bucket with fewer sources joins its neighbour: nothing can be said of so few."""
METRICS = ("bleu", "chrf")


@dataclass(frozen=True)
class Bucket:
    """Sources of like length, and how well each model translates them."""

    shortest: int
    """Words of the shortest source, or characters where words are not separated."""
    longest: int
    mean_length: float
    num_sentences: int
    scores: Mapping[str, Mapping[str, Score]]
    """By metric and model, with 95 % intervals over bootstrap samples."""


@dataclass(frozen=True)
class Lengths:
    """How well models translate sources of different lengths."""

    names: Sequence[str]
    """Of the models."""
    buckets: Sequence[Bucket]
    """The shortest sources first."""
    joined: Mapping[int, Bucket]
    """All sources of each number of joined neighbours: the same text, whatever the number, but for
    a line or two at the end. Long single sources are also harder; these are only longer."""
    unit: str
    """words or characters."""
    languages: tuple[str, str]
    """Of sources and translations."""


def find_lengths(
    translators: Mapping[str, Translator],
    pairs: Pairs,
    *,
    joined: Sequence[int] = (1, 2, 3),
    bucket_words: int = 5,
    advance: Callable[[int], None] = lambda num_sentences: None,
) -> Lengths:
    """Translates sources, single ones and joined ones, and scores those of like length together.

    No source is split, however long it is.

    Args:
        translators: By name; of the same languages.
        joined: How many neighbours become one source, one set of sources for each number.
        bucket_words: Range of lengths of a bucket.
        advance: Called with the number of sentences that were translated since the last call.

    Raises:
        ConfigurationError: If models translate other languages, or there are too few pairs.
    """
    first, *_ = translators.values()
    source_language, target_language = _languages(translators)
    if len(pairs.sources) < FEWEST_SENTENCES * max(joined):
        raise ConfigurationError(
            f"lengths need at least {FEWEST_SENTENCES} sources, also joined {max(joined)} at a "
            f"time, but there are {len(pairs.sources)} to join."
        )
    sets = {number: join(clean_pairs(pairs, first.recipe), number) for number in joined}
    sources = [source for each in sets.values() for source in each.sources]
    references = [reference for each in sets.values() for reference in each.targets]
    statistics: dict[str, dict[str, Statistics]] = {metric: {} for metric in METRICS}
    for name, translator in translators.items():
        translations = []
        for translation in _unsplit(translator).stream(sources, with_alignment=False):
            translations.append(translation.text)
            advance(1)
        for metric in METRICS:
            statistics[metric][name] = measure(metric, translations, references, target_language)
    lengths = [count_words(source, source_language) for source in sources]
    rows = iter(range(len(sources)))
    return Lengths(
        names=list(translators),
        buckets=[
            _score_bucket(lengths, indices, statistics)
            for indices in group_lengths(lengths, bucket_words)
        ],
        joined={
            number: _score_bucket(
                lengths, list(itertools.islice(rows, len(each.sources))), statistics
            )
            for number, each in sets.items()
        },
        unit=length_unit(source_language),
        languages=(source_language, target_language),
    )


def join(pairs: Pairs, number: int) -> Pairs:
    """Pairs of so many neighbours, with spaces between them; what is left at the end is dropped."""
    starts = range(0, len(pairs.sources) - number + 1, number)
    sources, targets = (
        [" ".join(side[start : start + number]) for start in starts]
        for side in (pairs.sources, pairs.targets)
    )
    return Pairs(sources, targets)


def group_lengths(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Indices by length in ranges of `width`; those with few sources join their neighbours.

    The ranges are 0 to `width` - 1, then `width` to 2 `width` - 1, and so on.
    """
    ranges = Counter(length // width for length in lengths)
    groups: list[set[int]] = [set()]
    for place in sorted(ranges):
        if sum(ranges[each] for each in groups[-1]) >= FEWEST_SENTENCES:
            groups.append(set())
        groups[-1].add(place)
    if len(groups) > 1 and sum(ranges[each] for each in groups[-1]) < FEWEST_SENTENCES:
        groups[-2:] = [groups[-2] | groups[-1]]
    return [
        [index for index, length in enumerate(lengths) if length // width in group]
        for group in groups
    ]


def draw_lengths(lengths: Lengths, text: str) -> str:
    """Draws scores by length, a line for each model within its interval, a chart for each metric.

    Args:
        text: What was translated, such as the name of the file.

    Returns:
        A self-contained SVG document.
    """
    by_length = [
        _draw_scores(lengths, lengths.buckets, metric, "by the length of the source")
        for metric in METRICS
    ]
    by_number = [
        _draw_scores(
            lengths,
            list(lengths.joined.values()),
            metric,
            f"of the same text, {_in_words(lengths.joined)} at a time",
        )
        for metric in METRICS
    ]
    counts = ", ".join(
        f"{bucket.num_sentences} of {bucket.shortest}-{bucket.longest}"
        for bucket in lengths.buckets
    )
    sets = ", ".join(
        f"{each.num_sentences:,} {'single' if number == 1 else f'joined {number} at a time'}"
        for number, each in lengths.joined.items()
    )
    names = [language_name(language) for language in lengths.languages]
    return chart_figure(
        [*by_length, *(by_number if len(lengths.joined) > 1 else [])],
        title=f"Translations of {text}, {names[0]} to {names[1]}, by the length of the source",
        columns=2,
        notes=[
            f"Sources: {sets}; none is split.",
            f"Sources in each range of {lengths.unit}: {counts}.",
            f"Bands: 95 % intervals over {NUM_RESAMPLES:,} bootstrap samples of the sources of a "
            f"range.",
        ],
    )


def _draw_scores(lengths: Lengths, buckets: Sequence[Bucket], metric: str, title: str) -> str:
    series = [
        Series(
            name,
            [(bucket.mean_length, bucket.scores[metric][name].value) for bucket in buckets],
            band=[_band(bucket, bucket.scores[metric][name]) for bucket in buckets],
        )
        for name in lengths.names
    ]
    label = buckets[0].scores[metric][lengths.names[0]].name
    return line_chart(
        series,
        title=f"{label} {title}",
        x_label=f"source {lengths.unit} (mean)",
        y_label=f"{label}, 0 to 100",
    )


def _in_words(numbers: Iterable[int]) -> str:
    *others, last = map(str, numbers)
    return f"{', '.join(others)} and {last} lines" if others else f"{last} lines"


def _languages(translators: Mapping[str, Translator]) -> tuple[str, str]:
    """The languages of all models."""
    first, *others = translators.items()
    ours = first[1].recipe.source_language, first[1].recipe.target_language
    for name, translator in others:
        theirs = translator.recipe.source_language, translator.recipe.target_language
        if list(map(base_language, ours)) != list(map(base_language, theirs)):
            raise ConfigurationError(
                f"models must translate the same languages, but {first[0]} translates "
                f"{' to '.join(ours)} and {name} {' to '.join(theirs)}."
            )
    return ours


def _unsplit(translator: Translator) -> Translator:
    """The translator without the limits above which sources are split."""
    whole = copy.copy(translator)
    whole.longest_source = whole.sentences_per_source = None
    return whole


def _score_bucket(
    lengths: Sequence[int],
    indices: Sequence[int],
    statistics: Mapping[str, Mapping[str, Statistics]],
) -> Bucket:
    own = [lengths[index] for index in indices]
    return Bucket(
        shortest=min(own),
        longest=max(own),
        mean_length=sum(own) / len(own),
        num_sentences=len(own),
        scores={
            metric: {
                name: counted.select(indices).score(with_interval=True)
                for name, counted in by_name.items()
            }
            for metric, by_name in statistics.items()
        },
    )


def _band(bucket: Bucket, score: Score) -> tuple[float, float, float]:
    assert score.low is not None and score.high is not None
    return bucket.mean_length, score.low, score.high
