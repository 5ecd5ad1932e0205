"""What telling the search what to do brings: the figures of docs/translating.md, a table each.

    python benchmarks/control_quality.py unknown --model DIR --source FILE --reference FILE
    python benchmarks/control_quality.py capitals --model DIR --source FILE --reference FILE
    python benchmarks/control_quality.py mbr --model DIR --source FILE --reference FILE
    python benchmarks/control_quality.py reranking --model DIR --reverse DIR --source FILE ...

Files are best those of a development set; each table takes less than a minute on two cores.
"""

import argparse
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, product
from pathlib import Path
from typing import Any

from measure import Result, Row, prepare, report

from seq2seq.casing import Caser
from seq2seq.data.corpus import Pairs
from seq2seq.evaluate import clean_pairs, read_test_pairs
from seq2seq.evaluation.metrics import measure as count
from seq2seq.evaluation.significance import compare_statistics
from seq2seq.reranking import combined_score, score_sources, with_all_hypotheses
from seq2seq.translator import Translator
from seq2seq.tune import LENGTH_WEIGHTS, REVERSE_WEIGHTS

METRICS = {"bleu": "BLEU", "chrf": "chrF2"}
UNKNOWN = ("Ведран", "🐶", "Łukasz", "김민수", "三国志")
"""Words that the vocabulary of a European corpus does not know."""
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"beam_size": 1},
    "beam 5": {"beam_size": 5},
    "beam 20": {"beam_size": 20},
    **{f"beam {size}, minimum risk": {"beam_size": size, "mbr": True} for size in (5, 10, 20)},
    "20 samples, temperature 0.5, minimum risk": {"samples": 20, "temperature": 0.5, "mbr": True},
    "20 samples, temperature 0.5, the most probable": {"samples": 20, "temperature": 0.5},
}
"""What `mbr` compares. To add one, write its line."""


def unknown(translator: Translator, pairs: Pairs, arguments: argparse.Namespace) -> list[Row]:
    """How many unknown words at random places are kept, and scores of the text around them."""
    draw = random.Random(arguments.seed)
    words = [UNKNOWN[number % len(UNKNOWN)] for number in range(len(pairs))]
    sources = [
        _insert(source, word, draw) for source, word in zip(pairs.sources, words, strict=True)
    ]
    rows = []
    for name, texts, search in (
        ("as they are", pairs.sources, {}),
        ("with unknown words", sources, {}),
        ("with unknown words, --copy_unknown", sources, {"copy_unknown": True}),
    ):
        found = _translate(translator, texts, **search)
        around = [_without(text, word) for text, word in zip(found, words, strict=True)]
        kept = None
        if texts is sources:
            kept = sum(word in text for text, word in zip(found, words, strict=True))
        rows.append({"sentences": name, "kept": kept, **_scores(around, pairs.targets, translator)})
    return rows


def capitals(translator: Translator, pairs: Pairs, arguments: argparse.Namespace) -> list[Row]:
    """Scores, case aside, of sentences in capitals, and as titles."""
    references = [target.lower() for target in pairs.targets]
    caser = Caser(translator.tokenizers.source, translator.recipe.source_language)
    rows = []
    ways: dict[str, Callable[[str], str]] = {
        "as they are": str, "IN CAPITALS": str.upper, "As Titles": str.title,
    }  # fmt: skip
    for name, write in ways.items():
        sources = [write(source) for source in pairs.sources]
        taken = sum(caser.recase(source).style is not None for source in sources)
        for option in (False, True):
            found = [t.lower() for t in _translate(translator, sources, keep_case=option)]
            rows.append(
                {
                    "sentences": f"{name}, --keep_case" if option else name,
                    "taken for capitals or a title": taken if option else None,
                    **_scores(found, references, translator),
                }
            )
    return rows


def mbr(translator: Translator, pairs: Pairs, arguments: argparse.Namespace) -> list[Row]:
    """Scores of the most probable hypothesis, and of the one of minimum Bayes risk."""
    return [
        {
            "search": name,
            **_scores(_translate(translator, pairs.sources, **search), pairs.targets, translator),
        }
        for name, search in SEARCHES.items()
    ]


def reranking(translator: Translator, pairs: Pairs, arguments: argparse.Namespace) -> list[Row]:
    """Scores of hypotheses ranked by weights that were chosen by BLEU on the other sentences."""
    beams = Beams(translator, pairs)
    first = beams.choose(0.0, 0.0)
    choices = [beams.choose(*weights) for weights in product(REVERSE_WEIGHTS, LENGTH_WEIGHTS)]
    even, odd = range(0, len(pairs), 2), range(1, len(pairs), 2)
    best = {half: max(choices, key=lambda c: beams.bleu(c, half)) for half in (even, odd)}
    crossed = [best[odd if index in even else even][index] for index in range(len(pairs))]
    gains = [beams.bleu(best[half], half) - beams.bleu(first, half) for half in (even, odd)]
    return [
        {"hypotheses": "as searched", **beams.scores(first)},
        {
            "hypotheses": "ranked anew, by weights of the other half",
            **beams.scores(crossed, against=first),
            "BLEU won where weights were chosen": ", ".join(f"{gain:+.2f}" for gain in gains),
        },
        {"hypotheses": "the best by chrF2 with the reference", **beams.scores(beams.oracle())},
    ]


class Beams:
    """All hypotheses of all sentences, each scored by both models and against the reference."""

    def __init__(self, translator: Translator, pairs: Pairs) -> None:
        assert translator.reverse is not None
        self.search = with_all_hypotheses(translator.search_settings())
        self.found = [
            translation.alternatives
            for translation in translator.translate(
                pairs.sources, with_alignment=False, n_best=self.search.n_best
            )
        ]
        texts = [[hypothesis.text for hypothesis in own] for own in self.found]
        self.reverse = score_sources(translator.reverse, pairs.sources, texts)
        sizes = list(map(len, texts))
        self.starts = [end - size for end, size in zip(accumulate(sizes), sizes, strict=True)]
        """Of each sentence the number of its first hypothesis among all."""
        flat = [text for own in texts for text in own]
        targets = [
            target for target, size in zip(pairs.targets, sizes, strict=True) for _ in range(size)
        ]
        language = translator.recipe.target_language
        self.counts = {metric: count(metric, flat, targets, language) for metric in METRICS}

    def choose(self, reverse_weight: float, length_weight: float) -> list[int]:
        """Of each sentence the number of the hypothesis that such weights put first."""
        search = replace(self.search, reverse_weight=reverse_weight, length_weight=length_weight)
        chosen = []
        for start, own, sources in zip(self.starts, self.found, self.reverse, strict=True):
            scores = [
                combined_score(one.score, len(one.pieces), source, search)
                for one, source in zip(own, sources, strict=True)
            ]
            chosen.append(start + scores.index(max(scores)))
        return chosen

    def oracle(self) -> list[int]:
        """Of each sentence the number of the hypothesis that is most like the reference."""
        scores = self.counts["chrf"].sentence_scores()
        ranges = map(range, self.starts, [*self.starts[1:], len(scores)])
        return [max(numbers, key=scores.__getitem__) for numbers in ranges]

    def bleu(self, chosen: Sequence[int], sentences: Sequence[int]) -> float:
        return self.counts["bleu"].select([chosen[index] for index in sentences]).score().value

    def scores(self, chosen: Sequence[int], against: Sequence[int] | None = None) -> Row:
        """Of chosen hypotheses, and p of the difference from others, by the paired bootstrap."""
        row: Row = {}
        for metric, name in METRICS.items():
            own = self.counts[metric].select(chosen)
            row[name] = own.score().value
            row[f"p of {name}"] = (
                against and compare_statistics(own, self.counts[metric].select(against)).p_value
            )
        return row


TABLES = {table.__name__: table for table in (unknown, capitals, mbr, reranking)}


def measure(arguments: argparse.Namespace) -> Result:
    result = Result("control_quality")
    translator = Translator.load(
        arguments.model,
        precision=arguments.precision,
        threads=arguments.threads,
        reverse=arguments.reverse,
    )
    files = str(arguments.source), str(arguments.reference)
    pairs = clean_pairs(read_test_pairs(*files), translator.recipe)
    pairs = Pairs(pairs.sources[: arguments.sentences], pairs.targets[: arguments.sentences])
    rows = TABLES[arguments.table](translator, pairs, arguments)
    result.table(f"{arguments.table}, {len(pairs)} sentences of {arguments.source.name}", rows)
    return result


def _translate(translator: Translator, sources: Sequence[str], **search: Any) -> list[str]:
    found = translator.translate(list(sources), with_alignment=False, **search)
    return [translation.text for translation in found]


def _scores(texts: Sequence[str], references: Sequence[str], translator: Translator) -> Row:
    language = translator.recipe.target_language
    return {
        shown: count(metric, texts, references, language).score().value
        for metric, shown in METRICS.items()
    }


def _insert(source: str, word: str, draw: random.Random) -> str:
    """A sentence with a word more, at a random place that is not the first."""
    words = source.split()
    words.insert(draw.randint(1, max(len(words) - 1, 1)), word)
    return " ".join(words)


def _without(text: str, word: str) -> str:
    return " ".join(each for each in text.split() if word not in each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("table", choices=TABLES, help="what is measured")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--source", type=Path, required=True, metavar="FILE")
    parser.add_argument("--reference", type=Path, required=True, metavar="FILE")
    parser.add_argument("--reverse", metavar="DIR", help="a model of the other direction")
    parser.add_argument("--sentences", type=int, default=300, help="at most")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the result, too")
    arguments = parser.parse_args()
    if (arguments.table == "reranking") != (arguments.reverse is not None):
        parser.error("reranking, and nothing else, needs --reverse.")
    prepare(arguments)
    report(measure(arguments), arguments)


if __name__ == "__main__":
    main()
