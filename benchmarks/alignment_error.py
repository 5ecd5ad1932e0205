"""How often attention points at the right word: alignment error rates on the phrasebook.

    python benchmarks/alignment_error.py --model DIR [DIR ...]

The phrasebook knows which words translate each other, surely or possibly. The models are of it, in
either direction, with attention; they read the true translations, so that every link can be right
or wrong. Prints a Markdown table of the test set; the threshold was chosen on the development set.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from seq2seq.alignments import hard_links
from seq2seq.data.phrasebook.corpus import PhrasebookPair, load_phrasebook
from seq2seq.translator import Translator

Links = set[tuple[int, int]]
HEADER = """\
| model | links | AER | precision | recall |
|---|---|--:|--:|--:|"""
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Errors:
    """Counts of links, from which rates follow. Och and Ney (2003), section 4.2,
    https://aclanthology.org/J03-1002."""

    found: int
    sure: int
    found_sure: int
    found_possible: int

    @property
    def rate(self) -> float:
        return 1 - (self.found_sure + self.found_possible) / max(self.found + self.sure, 1)

    @property
    def precision(self) -> float:
        return self.found_possible / max(self.found, 1)

    @property
    def recall(self) -> float:
        return self.found_sure / max(self.sure, 1)


def count_errors(
    found: Iterable[Links], sure: Iterable[Links], possible: Iterable[Links]
) -> Errors:
    counts = [
        (len(f), len(s), len(f & s), len(f & p))
        for f, s, p in zip(found, sure, possible, strict=True)
    ]
    return Errors(*map(sum, zip(*counts, strict=True)))


def of_each_target_word(soft: Tensor) -> Links:
    """One link for each target word, also where the end of the source had more attention."""
    return {(source, target) for target, source in enumerate(soft.argmax(dim=1).tolist())}


def of_each_source_word(soft: Tensor) -> Links:
    return {(source, target) for source, target in enumerate(soft.argmax(dim=0).tolist())}


def above(threshold: float) -> Callable[[Tensor], Links]:
    """All links of at least such a weight."""
    return lambda soft: {(s, t) for t, s in (soft >= threshold).nonzero().tolist()}


RULES: dict[str, Callable[[Tensor], Links]] = {
    "the most attended word, as `seq2seq align`": lambda soft: set(hard_links(soft)),
    "a source word for every target word": of_each_target_word,
    "both ways": lambda soft: of_each_target_word(soft) & of_each_source_word(soft),
    "either way": lambda soft: of_each_target_word(soft) | of_each_source_word(soft),
}


class AlignedSet:
    """Pairs of the phrasebook with the attention of a model."""

    def __init__(self, translator: Translator, pairs: Sequence[PhrasebookPair]) -> None:
        is_from_korean = translator.recipe.source_language == "ko"
        korean, english = [pair.korean for pair in pairs], [pair.english for pair in pairs]
        sides = (korean, english) if is_from_korean else (english, korean)
        self.soft = [aligned.soft for aligned in translator.align(*sides)]
        step = 1 if is_from_korean else -1  # links of the phrasebook have Korean first
        self.sure = [{link[::step] for link in pair.sure} for pair in pairs]
        self.possible = [{link[::step] for link in pair.possible} for pair in pairs]

    def measure(self, rule: Callable[[Tensor], Links]) -> Errors:
        return count_errors(map(rule, self.soft), self.sure, self.possible)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, nargs="+", metavar="DIR")
    parser.add_argument("--pairs", type=int, help="of each set, from its beginning")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    splits = load_phrasebook()
    print(HEADER)
    for model in arguments.model:
        translator = Translator.load(model, precision="float32", threads=arguments.threads)
        dev, test = (
            AlignedSet(translator, splits[split][: arguments.pairs]) for split in ("dev", "test")
        )
        best = min(THRESHOLDS, key=lambda threshold: dev.measure(above(threshold)).rate)
        for name, rule in {**RULES, f"weights of at least {best}": above(best)}.items():
            errors = test.measure(rule)
            print(
                f"| {model} | {name} | {errors.rate:.3f} | {errors.precision:.3f} "
                f"| {errors.recall:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
