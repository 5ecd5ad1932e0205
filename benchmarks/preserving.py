"""How many numbers, addresses and placeholders survive translation, with and without `preserve`.

    python benchmarks/preserving.py --model DIR --source FILE --reference FILE

Cases are lines of the files that have such things on both sides, and others into which some are
put. Both are best development sets. Prints a Markdown table and what became of some cases.
"""

import argparse
import statistics
from collections.abc import Iterator

from measure import take_turns

from seq2seq.data.corpus import Pairs
from seq2seq.evaluate import clean_pairs, read_test_pairs
from seq2seq.evaluation.metrics import measure
from seq2seq.items import find_items
from seq2seq.survival import has_survived
from seq2seq.translation import Translation
from seq2seq.translator import Translator

HEADER = """\
| | lines | survived | BLEU | chrF | seconds | against plain search |
|---|--:|--:|--:|--:|--:|--:|"""
MADE_UP = (
    "https://example.org/pictures?id=7",
    "first.last@mail.example.org",
    "{name}",
    "%s",
    "14:30",
    "1,200.50",
    "www.example.com/a_(b)",
    "{{ user.name }}",
    "-12",
    "2016-05-12",
)
NUM_EXAMPLES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--source", required=True, metavar="FILE")
    parser.add_argument("--reference", required=True, metavar="FILE")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    translator = Translator.load(
        arguments.model, precision=arguments.precision, threads=arguments.threads
    )
    pairs = clean_pairs(read_test_pairs(arguments.source, arguments.reference), translator.recipe)
    cases = make_cases(pairs, arguments.cases)

    def translate(preserve: bool) -> list[Translation]:
        return translator.translate(cases.sources, with_alignment=False, preserve=preserve)

    variants = {"plain": False, "preserve": True}
    found = {name: [t.text for t in translate(preserve)] for name, preserve in variants.items()}
    times = take_turns(
        {
            name: (lambda preserve=preserve: translate(preserve))
            for name, preserve in variants.items()
        },
        arguments.rounds,
    )
    print(HEADER)
    for name, texts in found.items():
        survived = sum(map(has_survived, cases.sources, texts))
        scores = [
            measure(metric, texts, cases.targets, translator.recipe.target_language).score().value
            for metric in ("bleu", "chrf")
        ]
        ratios = [own / plain for own, plain in zip(times[name], times["plain"], strict=True)]
        print(
            f"| {name} | {len(texts)} | {survived / len(texts):.1%} | {scores[0]:.2f} "
            f"| {scores[1]:.2f} | {statistics.median(times[name]):.2f} "
            f"| {statistics.median(ratios):.2f} |"
        )
    step = len(cases) // NUM_EXAMPLES + 1
    for source, plain, kept in list(zip(cases.sources, *found.values(), strict=True))[::step]:
        print(f"\n{source}\n  plain     {plain}\n  preserve  {kept}")


def make_cases(pairs: Pairs, count: int) -> Pairs:
    """Lines with things that must survive, as many as half of `count` real ones."""
    real, others = [], []
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        if not find_items(source):
            others.append((source, target))
        elif has_survived(source, target):
            real.append((source, target))
    real = real[: count // 2]
    made_up = list(_with_items(others))[: count - len(real)]
    sources, targets = zip(*real, *made_up, strict=True)
    return Pairs(list(sources), list(targets))


def _with_items(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs with made-up things at the beginning or at the end."""
    for index, (source, target) in enumerate(pairs):
        item = MADE_UP[index // 2 % len(MADE_UP)]
        if index % 2:
            yield f"{item}: {source}", f"{item}: {target}"
        else:
            yield f"{source.rstrip(' .')} ({item}).", f"{target.rstrip(' .')} ({item})."


if __name__ == "__main__":
    main()
