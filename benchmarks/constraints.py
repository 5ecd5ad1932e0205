"""Are real constraints kept, what do they do to BLEU, and how long do they take?

    python benchmarks/constraints.py --model DIR --source FILE --reference FILE

The cases are sentences whose plain translation lacks a word of the reference, best of a development
set. One to three such words become terms; for other settings each sentence gets what its reference
begins with as a prefix, words of its plain translation that the reference has not as forbidden, or
no repeated pairs of pieces.
"""

import argparse
import functools
import itertools
import random
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from measure import Result, Row, add_options, prepare, report, take_turns

from seq2seq.config import ConfigurationError
from seq2seq.evaluate import clean_pairs, read_test_pairs
from seq2seq.evaluation.metrics import measure as score
from seq2seq.source import Source
from seq2seq.translation import Translation
from seq2seq.translator import Translator


class Case(NamedTuple):
    """A sentence with what may be asked of its translation."""

    source: str
    reference: str
    plain: str
    missing: list[str]
    """Words of the reference that the plain translation has not."""


class Kind(NamedTuple):
    """One kind of constraint."""

    source: Callable[[Case, random.Random], Source]
    """What is asked of a sentence."""
    is_kept: Callable[[Source, Translation], bool]
    search: dict[str, Any]


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def says(text: str, word: str, *, any_case: bool = False) -> bool:
    flags = re.IGNORECASE if any_case else 0
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, flags) is not None


def with_terms(case: Case, draw: random.Random) -> Source:
    number = min(draw.randint(1, 3), len(case.missing))
    return Source(case.source, terms=tuple(draw.sample(case.missing, number)))


def with_prefix(case: Case, draw: random.Random) -> Source:
    size = draw.randint(1, max(len(case.reference) // 2, 1))
    return Source(case.source, prefix=case.reference[:size].rstrip())


def with_forbidden(case: Case, draw: random.Random) -> Source:
    wanted = {word.lower() for word in words_of(case.reference)}
    wrong = [word for word in words_of(case.plain) if word.lower() not in wanted]
    words = list(dict.fromkeys(wrong)) or words_of(case.plain)[:1]
    return Source(case.source, forbidden=tuple(words[:3]))


def repeats_pairs(translation: Translation) -> bool:
    pieces = [piece for piece in translation.pieces if piece != "</s>"]
    pairs = list(itertools.pairwise(pieces))
    return len(set(pairs)) < len(pairs)


KINDS = {
    "terms": Kind(with_terms, lambda s, t: all(says(t.text, term) for term in s.terms), {}),
    "prefix": Kind(with_prefix, lambda s, t: t.text.startswith(s.prefix), {}),
    "forbidden": Kind(
        with_forbidden,
        lambda s, t: not any(says(t.text, word, any_case=True) for word in s.forbidden),
        {},
    ),
    "no_repeat_ngram": Kind(
        lambda case, draw: Source(case.source),
        lambda s, t: not repeats_pairs(t),
        {"no_repeat_ngram": 2},
    ),
}


def find_cases(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[str],
    number: int,
    seed: int,
) -> list[Case]:
    """Sentences whose plain translation lacks a word of the reference, drawn at random."""
    cases = []
    found = translator.translate(list(sources), with_alignment=False)
    for source, reference, plain in zip(sources, references, found, strict=True):
        said = {word.lower() for word in words_of(plain.text)}
        words = dict.fromkeys(words_of(reference))
        missing = [word for word in words if word.lower() not in said and len(word) > 2]
        if missing:
            cases.append(Case(source, reference, plain.text, missing))
    if len(cases) < number:
        raise ConfigurationError(f"There are {len(cases)} cases, but `--cases` is {number}.")
    random.Random(seed).shuffle(cases)
    return cases[:number]


def measure(arguments: argparse.Namespace) -> Result:
    result = Result("constraints")
    translator = Translator.load(arguments.model, precision=arguments.precision)
    pairs = clean_pairs(
        read_test_pairs(str(arguments.source), str(arguments.reference)), translator.recipe
    )
    cases = find_cases(translator, pairs.sources, pairs.targets, arguments.cases, arguments.seed)
    references = [case.reference for case in cases]
    asked: dict[str, list[Source]] = {"plain": [Source(case.source) for case in cases]}
    for name, kind in KINDS.items():
        draw = random.Random(f"{name} {arguments.seed}")
        asked[name] = [kind.source(case, draw) for case in cases]
    for beam_size in arguments.beam:
        found: dict[str, list[Translation]] = {}

        def translate(name: str, found: dict[str, list[Translation]], beam_size: int) -> None:
            search = KINDS[name].search if name in KINDS else {}
            found[name] = translator.translate(
                asked[name], with_alignment=False, beam_size=beam_size, **search
            )

        tasks = {name: functools.partial(translate, name, found, beam_size) for name in asked}
        times = take_turns(tasks, arguments.rounds)
        language = translator.recipe.target_language
        rows = [_row(name, asked[name], found[name], references, language) for name in asked]
        for row in rows:
            seconds = zip(times[row["setting"]], times["plain"], strict=True)
            ratios = sorted(own / plain for own, plain in seconds)
            row |= {
                "cost": statistics.median(ratios),
                "lowest": ratios[0],
                "highest": ratios[-1],
            }
        result.table(f"{len(cases)} cases, beam {beam_size}", rows)
    return result


def _row(
    name: str,
    sources: Sequence[Source],
    translations: Sequence[Translation],
    references: Sequence[str],
    language: str,
) -> Row:
    """How many constraints were kept, and BLEU."""
    kept = None
    if name in KINDS:
        pairs = zip(sources, translations, strict=True)
        kept = sum(KINDS[name].is_kept(*pair) for pair in pairs)
    texts = [translation.text for translation in translations]
    bleu = score("bleu", texts, list(references), language).score().value
    return {"setting": name, "kept": kept, "cases": len(sources), "BLEU": bleu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--source", type=Path, required=True, metavar="FILE")
    parser.add_argument("--reference", type=Path, required=True, metavar="FILE")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--beam", type=int, nargs="+", default=[5])
    parser.add_argument("--precision", default="float32")
    add_options(parser, rounds=3)
    arguments = parser.parse_args()
    prepare(arguments)
    report(measure(arguments), arguments)


if __name__ == "__main__":
    main()
