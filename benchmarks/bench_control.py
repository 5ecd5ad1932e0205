"""How long translation takes with each way of telling the search what to do, against plain search.

    python benchmarks/bench_control.py --model DIR --source FILE [--reverse DIR] [--ensemble DIR]

The settings take turns on the same sentences; a cost of 2.0 means twice the time.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from measure import Result, Row, add_options, milliseconds, per_second, take_turns
from shapes import Text, add_text_options, run_on_text

from seq2seq.config import ConfigurationError
from seq2seq.glossary import Glossary
from seq2seq.line_translator import Job, LineTranslator, Listener
from seq2seq.loading import Loading
from seq2seq.source import Source
from seq2seq.translator import Translator

CUE = "00:00:01,000 --> 00:00:02,000"
COMPLETED = 20


@dataclass(frozen=True)
class Setting:
    """One way of translating."""

    search: dict[str, Any] = field(default_factory=dict)
    """What `Translator.translate` gets."""
    load: dict[str, Any] = field(default_factory=dict)
    """What `Translator.load` gets, besides the model."""
    glossary: int = 0
    """Terms of a glossary in which each sentence is looked up first; none of them stands in it."""


SETTINGS = {
    "beam search": Setting(),
    "word_reward": Setting({"word_reward": 0.2}),
    "length_penalty_kind gnmt": Setting({"length_penalty_kind": "gnmt"}),
    "coverage_penalty": Setting({"coverage_penalty": 0.2}),
    "min_length_ratio": Setting({"min_length_ratio": 0.8}),
    "max_length_ratio": Setting({"max_length_ratio": 1.2}),
    "no_repeat_ngram": Setting({"no_repeat_ngram": 3}),
    "diversity_groups": Setting({"beam_size": 6, "n_best": 6, "diversity_groups": 3}),
    "prefix": Setting({"prefix": "The"}),
    "terms": Setting({"terms": ["while"]}),
    "glossary of 10,000 terms": Setting(glossary=10_000),
    "forbidden": Setting({"forbidden": ["man", "woman", "is"]}),
    "samples": Setting({"samples": 5}),
    "samples, top_k": Setting({"samples": 5, "top_k": 10}),
    "samples, top_p": Setting({"samples": 5, "top_p": 0.9}),
    "mbr of samples": Setting({"samples": 20, "mbr": True}),
    "mbr of a beam": Setting({"beam_size": 10, "mbr": True}),
    "preserve": Setting({"preserve": True}),
    "copy_unknown": Setting({"copy_unknown": True}),
    "keep_case": Setting({"keep_case": True}),
    "details": Setting({"with_details": True}),
    "min_confidence": Setting({"min_confidence": 0.5}),
}
"""Each is timed beside the first. To add one, write its line."""
BASELINE = next(iter(SETTINGS))
FORMATS = ("text", "html", "srt", "document")
"""Each is timed beside the search alone, with the sentences as its paragraphs or subtitles."""


def settings_of(arguments: argparse.Namespace) -> dict[str, Setting]:
    """The table, with what needs further models where they are given."""
    settings = dict(SETTINGS)
    if arguments.reverse:
        load = {"reverse": arguments.reverse}
        settings["reverse_weight"] = Setting({"reverse_weight": 0.3}, load)
    if arguments.ensemble:
        load = {"ensemble": arguments.ensemble}
        settings["ensemble"] = Setting({}, load)
        settings["ensemble, arithmetic"] = Setting({}, {**load, "ensemble_kind": "arithmetic"})
    if arguments.only:
        settings = {n: s for n, s in settings.items() if n == BASELINE or n in arguments.only}
    return settings


def measure(text: Text, arguments: argparse.Namespace) -> Result:
    result = Result("control")
    tasks: dict[str, Callable[[], object]] = {}
    loaded: dict[str, Translator] = {}
    for name, setting in settings_of(arguments).items():
        key = str(setting.load)
        if key not in loaded:
            loaded[key] = Translator.load(text.model, precision=arguments.precision, **setting.load)
        options = {"with_alignment": False, **setting.search}
        pairs = [(f"unwort{number}", "unword") for number in range(setting.glossary)]
        glossary = Glossary(pairs, loaded[key].recipe.source_language)
        task = partial(translate, loaded[key], text.sources, glossary, options)
        try:
            loaded[key].translate(text.sources[:1], **options)
        except ConfigurationError as error:
            result.notes.append(f"{name} is missing: {error}")
            continue
        tasks[name] = task
    for name in FORMATS:
        if not arguments.only or f"format {name}" in arguments.only:
            tasks[f"format {name}"] = format_task(name, text, arguments)
    times = take_turns(tasks, arguments.rounds)
    rows = per_second(times, dict.fromkeys(times, len(text.sources)))
    result.table(f"Sentences per second, {text.name}", [_with_cost(row) for row in rows])
    if not arguments.only or "complete" in arguments.only:
        translator = Translator.load(text.model, precision=arguments.precision)
        times = take_turns(complete_tasks(translator, text.sources[:COMPLETED]), arguments.rounds)
        rows = [_with_cost(row) for row in milliseconds(times)]
        result.table(f"{COMPLETED} sentences, one at a time", rows)
    return result


def translate(
    translator: Translator, sources: list[str], glossary: Glossary, options: dict[str, Any]
) -> None:
    asked = [Source(source, terms=glossary.terms(source)) for source in sources]
    translator.translate(asked, **options)


def format_task(name: str, text: Text, arguments: argparse.Namespace) -> Callable[[], object]:
    """What translates the sentences as lines of a format, all at once."""
    loading = Loading(precision=arguments.precision, threads=arguments.threads)
    translator = LineTranslator(Job(str(text.model), name, loading, search={}), Listener())
    return partial(translator.translate, format_lines(name, text.sources), 1)


def format_lines(name: str, sources: list[str]) -> list[str]:
    """Sentences as lines of a format."""
    if name != "srt":
        return sources
    numbered = enumerate(sources, start=1)
    return [line for n, source in numbered for line in (str(n), CUE, source, "")]


def complete_tasks(
    translator: Translator, sources: list[str]
) -> dict[str, Callable[[], list[object]]]:
    """Plain search of one sentence after another, and 5 completions of what it begins with."""
    found = translator.translate(sources, with_alignment=False)
    prefixes = [translation.text.partition(" ")[0] + " " for translation in found]
    asked = list(zip(sources, prefixes, strict=True))
    return {
        "beam search": lambda: [translator.translate(source) for source in sources],
        "complete": lambda: [translator.complete(*pair) for pair in asked],
    }


def _with_cost(row: Row) -> Row:
    """A row with its time as a ratio to that of the first one."""
    return {**row, "cost": 1 / row[f"x {BASELINE}"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_text_options(parser, sentences=200)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--reverse", metavar="DIR", help="a model of the other direction")
    parser.add_argument("--ensemble", nargs="+", metavar="DIR", help="models of one vocabulary")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="settings, besides the first")
    add_options(parser, rounds=3)
    run_on_text(measure, parser)


if __name__ == "__main__":
    main()
