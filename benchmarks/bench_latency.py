"""Milliseconds from one sentence to its translation, with the model loaded.

    python benchmarks/bench_latency.py --length 10
    python benchmarks/bench_latency.py --model DIR --source FILE --sentences 100

The variants take turns at every sentence. Random words make sentences of `--length` pieces and
translations of as many.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

import yardstick
from bench_decoding import VARIANTS, add_variant_options, load_variants, search_of, translations
from measure import Result, Row, add_options, milliseconds, take_turns
from shapes import Text, add_text_options, run_on_text


def measure(text: Text, arguments: argparse.Namespace) -> Result:
    result = Result("latency")
    plainest = yardstick.load(text.model)
    loaded, missing = load_variants(text, arguments)
    result.notes += missing
    for beam_size in arguments.beam:
        tasks: dict[str, Callable[[list[str]], list[str]]] = {
            "yardstick": partial(plainest.translate, beam_size=beam_size)
        }
        for name, translator in loaded.items():
            search = {"beam_size": beam_size, **search_of(name, arguments)}
            tasks[name] = partial(translations, translator, search=search)
        runs = {name: partial(next, one_by_one(task, text.sources)) for name, task in tasks.items()}
        # Round 0 warms up with the first sentence, which comes again at the end.
        times = take_turns(runs, arguments.rounds * len(text.sources))
        rows = [add_tail(row, times[row["variant"]]) for row in milliseconds(times)]
        result.table(f"One sentence at a time, beam {beam_size}, {text.name}", rows)
    return result


def one_by_one(
    translate: Callable[[list[str]], list[str]], sentences: list[str]
) -> Iterator[list[str]]:
    """Translates one sentence at each `next`, without an end."""
    for sentence in cycle(sentences):
        yield translate([sentence])


def add_tail(row: Row, seconds: list[float]) -> Row:
    """The row with what 19 of 20 sentences stay below, and sentences per second."""
    tail = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    return {**row, "95 %, ms": 1000 * tail, "per second": 1 / statistics.mean(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add_text_options(parser, sentences=50)
    add_variant_options(parser, list(VARIANTS), beam=[5, 1])
    add_options(parser, rounds=1)
    run_on_text(measure, parser)


if __name__ == "__main__":
    main()
