"""Translates sets of sentence pairs, scores and analyses them, writes the results.

`show_evaluation.py` prints them.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from seq2seq.config import ConfigurationError, Recipe, SearchConfig
from seq2seq.data.corpus import Pairs
from seq2seq.data.text_files import read_lines
from seq2seq.evaluation.analysis import (
    group_by_length,
    group_by_rarest_word,
    is_copied,
    is_empty,
    is_repeated,
    show_sentences,
    split_words,
)
from seq2seq.evaluation.metrics import (
    METRICS,
    Score,
    Statistics,
    length_ratio,
    measure,
)
from seq2seq.files import replacing
from seq2seq.formats import json_line
from seq2seq.languages import base_language
from seq2seq.preparation import clean_side
from seq2seq.translation import Translation
from seq2seq.translator import Translator

WORDS_FILE, ALIGNMENTS_FILE = "source_words.tsv", "alignments.json"
FAULTS = ("empty", "truncated", "repeated", "copied")
_GROUP_METRICS = ("bleu", "chrf")
ALWAYS_DESCRIBED = (
    "beam_size",
    "length_penalty",
    "length_penalty_kind",
    "min_length",
    "max_length_ratio",
    "shortlist",
)
# Settings of a search that do not decide its text, or that no evaluation heeds.
_NOT_DESCRIBED = ("n_best", "batch_size", "min_confidence", "low_confidence")
_MOST_DIGITS = 15  # of a count
_MOST_PIECES = 60  # of a sentence whose alignment is kept


@dataclass(frozen=True)
class SetResult:
    """How one set of sentence pairs was translated."""

    sources: Sequence[str]
    references: Sequence[str]
    translations: Sequence[Translation]
    statistics: Mapping[str, Statistics]
    """By the name of the metric."""
    seconds: float | None
    """Of the translation, without loading; None for a part, which was not translated alone."""
    settings: Mapping[str, Any]
    """What `describe_search` says of the search."""
    source_language: str
    target_language: str
    word_counts: Mapping[str, int] | None = None
    """How often each word stands in the training sources, if that is known."""

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def hypotheses(self) -> list[str]:
        """The text of each translation."""
        return [translation.text for translation in self.translations]

    @property
    def sentences_per_second(self) -> float | None:
        """Speed of the translation, if it was measured."""
        return None if self.seconds is None else len(self) / max(self.seconds, 1e-9)

    @property
    def num_truncated(self) -> int:
        """Translations that reached the maximum length."""
        return sum(translation.truncated for translation in self.translations)

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Scores with their 95 % intervals, by the name of the metric."""
        return {
            metric: counted.score(with_interval=True) for metric, counted in self.statistics.items()
        }

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Plain values of each sentence: its texts, scores and faults."""
        scores = {
            metric: [round(score, 4) for score in counted.sentence_scores()]
            for metric, counted in self.statistics.items()
        }
        return [
            {
                "source": source,
                "reference": reference,
                "hypothesis": translation.text,
                **{metric: scores[metric][index] for metric in scores},
                "score": translation.score,
                "log_probability": translation.log_probability,
                "pieces": translation.pieces,
                "truncated": translation.truncated,
                "empty": is_empty(translation.text, reference),
                "repeated": is_repeated(translation.text, reference, self.target_language),
                "copied": is_copied(translation.text, source, reference),
            }
            for index, (source, reference, translation) in enumerate(
                zip(self.sources, self.references, self.translations, strict=True)
            )
        ]

    @property
    def shares(self) -> dict[str, float]:
        """Share of the translations with each fault, 0 to 1."""
        return {fault: sum(row[fault] for row in self.rows) / len(self) for fault in FAULTS}

    @property
    def length_ratio(self) -> float:
        """Tokens of the translations for each token of the references, as BLEU counts them."""
        return length_ratio(self.statistics["bleu"])

    @cached_property
    def by_source_length(self) -> list[dict[str, Any]]:
        """Scores of the sentences with short to long sources."""
        return self._score_groups(group_by_length(self.sources, self.source_language))

    @cached_property
    def by_rarest_word(self) -> list[dict[str, Any]] | None:
        """Scores of the sentences with rare to frequent words; None without word counts."""
        if self.word_counts is None:
            return None
        groups = group_by_rarest_word(self.sources, self.word_counts, self.source_language)
        return self._score_groups(groups)

    def to_jsonl(self) -> bytes:
        """The rows, a JSON object per line."""
        return "".join(f"{json_line(row)}\n" for row in self.rows).encode()

    def select(self, indices: Sequence[int]) -> "SetResult":
        """The result for a part of the set, without translating again."""
        return replace(
            self,
            sources=[self.sources[index] for index in indices],
            references=[self.references[index] for index in indices],
            translations=[self.translations[index] for index in indices],
            statistics={name: s.select(indices) for name, s in self.statistics.items()},
            seconds=None,
        )

    def to_plain(self) -> dict[str, Any]:
        """What `scores.json` and the model card keep."""
        speed, by_rarest_word = self.sentences_per_second, self.by_rarest_word
        return {
            **{metric: vars(score) for metric, score in self.scores.items()},
            "sentences": len(self),
            "truncated": self.num_truncated,
            **({} if speed is None else {"sentences_per_second": round(speed, 1)}),
            **self.settings,
            "length_ratio": round(self.length_ratio, 4),
            "shares": {fault: round(share, 5) for fault, share in self.shares.items()},
            "by_source_length": self.by_source_length,
            **({} if by_rarest_word is None else {"by_rarest_word": by_rarest_word}),
        }

    def _score_groups(self, groups: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
        return [
            {
                "label": label,
                "sentences": len(indices),
                **{
                    metric: round(self.statistics[metric].select(indices).score().value, 4)
                    for metric in _GROUP_METRICS
                },
            }
            for label, indices in groups.items()
        ]


def evaluate_set(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[str],
    *,
    word_counts: Mapping[str, int] | None = None,
    advance: Callable[[int], None] = lambda num_sentences: None,
    **search: Any,
) -> SetResult:
    """Translates and scores against the references.

    Args:
        word_counts: As `read_word_counts` gives them.
        advance: Called with the number of sentences that were translated since the last call.
        search: Fields of `SearchConfig` in place of the recipe's. All translations count, whatever
            their confidence.
    """
    recipe = translator.recipe
    search["min_confidence"] = 0.0
    started = time.perf_counter()
    translations = []
    for translation in translator.stream(sources, with_alignment=False, **search):
        translations.append(translation)
        advance(1)
    seconds = time.perf_counter() - started
    hypotheses = [translation.text for translation in translations]
    settings = translator.search_settings(**search)
    return SetResult(
        sources=sources,
        references=references,
        translations=translations,
        statistics=_measure_all(hypotheses, references, recipe.target_language),
        seconds=seconds,
        settings=describe_search(settings, precision=translator.precision),
        source_language=recipe.source_language,
        target_language=recipe.target_language,
        word_counts=word_counts,
    )


def measure_other(
    system: str,
    translator: Translator,
    pairs: Pairs,
    *,
    load: Callable[[str], Translator],
    **options: Any,
) -> dict[str, Statistics]:
    """What the metrics count in the translations of another system.

    Args:
        system: A model directory, which translates the pairs, or a file with its translations.
        translator: The one it is compared with.
        load: Opens a model directory.
        options: Of `evaluate_set`.

    Raises:
        ConfigurationError: If the system translates other languages, or the file does not fit.
    """
    recipe = translator.recipe
    if not Path(system).is_dir():
        lines = read_aligned(system, len(pairs), "the source file")
        hypotheses = clean_side(lines, recipe, "target")
        return _measure_all(hypotheses, pairs.targets, recipe.target_language)
    other = load(system)
    for ours, theirs in (
        (recipe.source_language, other.recipe.source_language),
        (recipe.target_language, other.recipe.target_language),
    ):
        if base_language(ours) != base_language(theirs):
            raise ConfigurationError(
                f"{system} translates {other.recipe.source_language} to "
                f"{other.recipe.target_language}, which cannot be compared with "
                f"{recipe.source_language} to {recipe.target_language}."
            )
    result = evaluate_set(other, pairs.sources, pairs.targets, **options)
    hypotheses = clean_side(result.hypotheses, recipe, "target")  # the references have no more
    return _measure_all(hypotheses, pairs.targets, recipe.target_language)


def describe_search(search: SearchConfig, *, precision: str) -> dict[str, Any]:
    """Plain values of what decides the translations, to stand beside their scores.

    Of settings that are rarely used only those stand there that are not as by default.
    """
    defaults = asdict(SearchConfig())
    others = [
        name
        for name, value in asdict(search).items()
        if value != defaults[name] and name not in (*ALWAYS_DESCRIBED, *_NOT_DESCRIBED)
    ]
    described = (*ALWAYS_DESCRIBED, *others)
    return {"precision": precision, **{name: getattr(search, name) for name in described}}


def with_parts(
    results: Mapping[str, SetResult], parts: Mapping[str, Mapping[str, Sequence[int]]]
) -> dict[str, SetResult]:
    """Adds the parts of mixed sets, such as test_kaist after test.

    Args:
        parts: For each set the indices of its sentences by the name of the part.
    """
    further = {
        f"{name}_{part}": result.select(indices)
        for name, result in results.items()
        for part, indices in parts.get(name, {}).items()
        if indices
    }
    return {**results, **further}


def read_test_pairs(source: str, reference: str) -> Pairs:
    """Line-aligned sources and references as the files have them, blank ones too.

    Raises:
        ConfigurationError: If a file cannot be read, is empty, or has fewer lines than the other.
    """
    sources = read_lines(source)
    references = read_aligned(reference, len(sources), source)
    if not sources:
        raise ConfigurationError(f"{source} has no lines to translate.")
    return Pairs(sources, references)


def clean_pairs(pairs: Pairs, recipe: Recipe) -> Pairs:
    """Pairs cleaned as the recipe's corpus was, so that scores are those of its run."""
    return Pairs(
        clean_side(pairs.sources, recipe, "source"), clean_side(pairs.targets, recipe, "target")
    )


def read_aligned(file: str, num_lines: int, other: str) -> list[str]:
    """The lines of a file that must have as many as another one."""
    lines = read_lines(file)
    if len(lines) != num_lines:
        raise ConfigurationError(
            f"{other} has {num_lines:,} lines, but {file} has {len(lines):,}; they must be "
            f"line-aligned."
        )
    return lines


def read_word_counts(folder: str | os.PathLike[str], language: str) -> Counter[str] | None:
    """How often each word stands in the training sources, as the run wrote it down.

    Returns:
        None if the folder holds no such file, as a model directory without its run.

    Raises:
        ConfigurationError: If a line of it is no word with its count.
    """
    file = Path(folder, WORDS_FILE)
    if not file.is_file():
        return None
    counts: Counter[str] = Counter()
    for number, line in enumerate(read_lines(file), 1):
        text, _, count = line.rpartition("\t")
        if not count.isdecimal() or len(count) > _MOST_DIGITS:
            raise ConfigurationError(f"{file}: line {number} must be a word, a tab and its count.")
        for word in split_words(text, language):  # the file keeps case and punctuation
            counts[word] += int(count)
    return counts


def find_alignments(translator: Translator, name: str, result: SetResult) -> list[dict[str, Any]]:
    """The alignments of the sentences that a report shows, found anew; without attention none.

    Args:
        name: Of the set.
    """
    if not translator.has_attention:
        return []
    shown = show_sentences([row["chrf"] for row in result.rows], result.references)
    indices = sorted(index for chosen in shown.values() for index in chosen)
    translations = translator.translate([result.sources[index] for index in indices])
    return [
        {
            "set": name,
            "index": index,
            "source_pieces": translation.source_pieces,
            "target_pieces": translation.pieces,
            "weights": [[round(w, 4) for w in row] for row in translation.alignment.tolist()],
        }
        for index, translation in zip(indices, translations, strict=True)
        if translation.alignment is not None
        and max(translation.alignment.shape) <= _MOST_PIECES
        # In bfloat16 another batch may bring another translation.
        and translation.text == result.translations[index].text
    ]


def write_translations(
    folder: str | os.PathLike[str],
    results: Mapping[str, SetResult],
    recipe: Recipe,
    alignments: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes line-aligned files, <set>.jsonl with all that is known of each sentence, alignments.

    The files are <set>.<language> of sources and references, <set>.output.<language>.

    Args:
        alignments: What `find_alignments` gives; without any, no file is written.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, result in results.items():
        files = {
            recipe.source_language: _to_lines(result.sources),
            recipe.target_language: _to_lines(result.references),
            f"output.{recipe.target_language}": _to_lines(result.hypotheses),
            "jsonl": result.to_jsonl(),
        }
        for suffix, data in files.items():
            with replacing(Path(folder, f"{name}.{suffix}")) as (part,):
                part.write_bytes(data)
    if alignments:
        with replacing(Path(folder, ALIGNMENTS_FILE)) as (part,):
            part.write_text(json.dumps(alignments, ensure_ascii=False), "utf-8")


def _measure_all(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str
) -> dict[str, Statistics]:
    return {metric: measure(metric, hypotheses, references, target_language) for metric in METRICS}


def _to_lines(sentences: Sequence[str]) -> bytes:
    return "".join(f"{sentence}\n" for sentence in sentences).encode()
