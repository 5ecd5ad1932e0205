"""Sentences per second of every path through the search, in bulk.

    python benchmarks/bench_decoding.py --model DIR --source FILE --reference FILE
    python benchmarks/bench_decoding.py --shape large --length 100 --sentences 128

With a trained model the texts are compared, too: how many are the yardstick's, and BLEU where there
are references. Without one, random weights translate random words, each sentence in as many steps
as it has pieces.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import yardstick
from measure import Result, Row, add_options, per_second, take_turns
from shapes import Text, add_text_options, run_on_text

from seq2seq.config import ConfigurationError
from seq2seq.evaluation.metrics import bleu
from seq2seq.translator import Translator

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"precision": "float32", "plain": True},
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "int8": {"precision": "int8"},
    "float32 shortlist": {"precision": "float32"},
    "bfloat16 shortlist": {"precision": "bfloat16"},
    "int8 shortlist": {"precision": "int8"},
}
"""What `Translator.load` gets for each; the yardstick always comes first."""

Task = Callable[[], list[str]]
"""Translates all sources."""


def measure(text: Text, arguments: argparse.Namespace) -> Result:
    result = Result("decoding")
    plainest = yardstick.load(text.model, arguments.device)
    loaded, missing = load_variants(text, arguments)
    result.notes += missing
    for beam_size in arguments.beam:
        search = {"beam_size": beam_size, "batch_size": arguments.batch}
        tasks: dict[str, Task] = {"yardstick": partial(plainest.translate, text.sources, **search)}
        for name, translator in loaded.items():
            own = {**search, **search_of(name, arguments)}
            tasks[name] = partial(translations, translator, text.sources, search=own)
        texts: dict[str, list[str]] = {}
        runs = {name: partial(_keep, texts, name, task) for name, task in tasks.items()}
        times = take_turns(runs, arguments.rounds)
        rows = per_second(times, dict.fromkeys(times, len(text.sources)))
        rows = [{**row, **quality(texts, row["variant"], text)} for row in rows]
        result.table(f"Sentences per second, beam {beam_size}, {text.name}", rows)
    return result


def load_variants(
    text: Text, arguments: argparse.Namespace
) -> tuple[dict[str, Translator], list[str]]:
    """A translator for each variant that the options name, and why some are missing."""
    loaded, missing = {}, []
    for name in arguments.variants:
        try:
            translator = Translator.load(text.model, device=arguments.device, **VARIANTS[name])
            translator.search_settings(**search_of(name, arguments))
        except ConfigurationError as error:
            missing.append(f"{name} is missing: {error}")
            continue
        if translator.precision != VARIANTS[name]["precision"]:  # what `load` took in its place
            missing.append(f"{name} is missing: this machine has no such products.")
            continue
        loaded[name] = translator
    return loaded, missing


def search_of(name: str, arguments: argparse.Namespace) -> dict[str, int]:
    """The settings of a variant's search."""
    return {"shortlist": arguments.shortlist} if "shortlist" in name else {}


def translations(
    translator: Translator, sources: list[str], search: Mapping[str, int]
) -> list[str]:
    found = translator.translate(sources, with_alignment=False, **search)
    return [translation.text for translation in found]


def quality(texts: Mapping[str, list[str]], name: str, text: Text) -> Row:
    """How many texts are the yardstick's, and BLEU."""
    pairs = zip(texts[name], texts["yardstick"], strict=True)
    row: Row = {"same text": sum(own == first for own, first in pairs) / len(text.sources)}
    if text.references:
        metric = bleu(text.target_language)
        row["BLEU"] = metric.corpus_score(texts[name], [text.references]).score
    return row


def _keep(texts: dict[str, list[str]], name: str, task: Task) -> None:
    texts[name] = task()


def add_variant_options(
    parser: argparse.ArgumentParser, variants: list[str], beam: list[int]
) -> None:
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=variants)
    parser.add_argument("--beam", type=int, nargs="+", default=beam)
    parser.add_argument("--shortlist", type=int, default=50, help="see search.shortlist")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_text_options(parser)
    parser.add_argument("--batch", type=int, default=64)
    add_variant_options(parser, list(VARIANTS), beam=[5])
    add_options(parser, rounds=3)
    run_on_text(measure, parser)


if __name__ == "__main__":
    main()
