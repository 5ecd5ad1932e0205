"""The command line: parses, calls and prints; computes nothing.

To add a command, write a function and one line of `COMMANDS`: its arguments become options, its
docstring their help.
"""

import contextlib
import dataclasses
import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from seq2seq.config import LARGEST_BEAM, ConfigurationError, Recipe, SearchConfig, choose
from seq2seq.exits import run_command
from seq2seq.formats import FORMATS
from seq2seq.lines import find_place, open_input, open_output
from seq2seq.options import Options
from seq2seq.recipe_yaml import suggestion

Precision = Literal["auto", "float32", "bfloat16", "int8"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    return run_command(lambda: _dispatch(list(sys.argv[1:] if argv is None else argv)))


def _dispatch(argv: list[str]) -> None:
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help"):
        print(_overview())
    elif name == "--version" or (name in COMMANDS and "--version" in argv):
        from seq2seq import __version__

        print(f"seq2seq {__version__}")
    elif name in COMMANDS:
        COMMANDS[name](argv[1:])
    else:
        raise ConfigurationError(f"unknown command `{name}`{suggestion(name, COMMANDS)}")


def _overview() -> str:
    lines = [f"  {name:<12}{_first_line(command)}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Machine translation with recurrent networks.",
            "",
            "usage: seq2seq COMMAND ...     seq2seq COMMAND --help     seq2seq --version",
            "",
            *lines,
        ]
    )


def translate(
    model: str,
    *,
    input: str | None = None,
    output: str | None = None,
    resume: bool = False,
    format: Literal["text", "tsv", "jsonl"] = "text",
    device: str = "auto",
    devices: int = 1,
    precision: Precision = "auto",
    threads: int | None = None,
    plain: bool = False,
    quiet: bool = False,
    search: Mapping[str, Any],
) -> None:
    """Translates standard input to standard output, one line for each line.

    Args:
        model: The model directory.
        input: File to read instead of standard input.
        output: File to write instead of standard output; it appears when it is complete.
        resume: Go on from what an interrupted translation of the same input to the same `output`
            has left; from the beginning if there is nothing.
        format: text is the translation alone; tsv the columns of the input, then text and score of
            each hypothesis; jsonl an object with scores and pieces (the input may be objects with a
            "source", or plain lines).
        device: auto, cpu, cuda or cuda:N.
        devices: Processes that share the work, each with a GPU of its own or a part of the
            processor; needs `input` and `output`.
        precision: auto is bfloat16 where it is fast and was found to lose no quality.
        threads: Processor threads of each process; as many as cores if not given.
        plain: Compute by the plain path, the slow reference of the faster code.
        quiet: Print no progress and no notes on standard error.
        search: Settings in place of the recipe's.
    """
    choose(FORMATS, format, field="format").check(search.get("n_best"))
    dataclasses.replace(SearchConfig(beam_size=LARGEST_BEAM), **search)  # before anything is loaded
    place = None if output is None else find_place(output)
    with open_input(input) as source_file:
        from seq2seq import bulk
        from seq2seq.line_translator import Job, LineTranslator, Listener, translate_stream

        job = Job(model, format, device, precision, threads, plain, search)
        rank = bulk.find_rank()
        bulk.check_processes(rank, devices, is_resumed=resume, input=input, output=place)
        quiet = quiet or rank.index > 0
        with _progress(quiet, input, output) as advance:
            listener = Listener(advance=advance)
            if not quiet:
                listener = dataclasses.replace(listener, say=_say, describe=_say)
            if place is None:
                work = LineTranslator(job, listener)
                with open_output(output) as target_file:
                    counts = translate_stream(work, source_file, target_file)
            elif devices > 1:
                counts = bulk.translate_in_processes(
                    job, source_file, place, devices, resume=resume, listener=listener
                )
            else:
                counts = bulk.translate_as_rank(
                    job, source_file, place, rank, resume=resume, listener=listener
                )
    if not quiet:
        _note(counts["repaired"], "held invalid UTF-8, which was replaced by U+FFFD.")
        _note(counts["truncated"], "reached the maximum length, so their translations are cut off.")
        _note(counts["cut"], "held sentences longer than any in training, so they were cut.")


def evaluate(
    model: str,
    *,
    source: str,
    reference: str,
    against: str | None = None,
    output: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    plain: bool = False,
    quiet: bool = False,
    search: Mapping[str, Any],
) -> None:
    """Translates a file, scores it against references and says where the translations fail.

    Args:
        model: The model directory.
        source: File of source sentences, one per line.
        reference: File of their translations by people, as many lines.
        against: Another model directory, or a file with the translations of another system; the
            paired bootstrap says whether one of the two is better.
        output: File for the translations with their scores, a JSON object per line.
        device: auto, cpu, cuda or cuda:N.
        precision: auto is bfloat16 where it is fast and was found to lose no quality.
        threads: Processor threads; as many as cores if not given.
        plain: Compute by the plain path, the slow reference of the faster code.
        quiet: Print no progress on standard error.
        search: Settings in place of the recipes' of both models.
    """
    dataclasses.replace(SearchConfig(beam_size=LARGEST_BEAM), **search)  # before anything is loaded
    from seq2seq.evaluate import (
        clean_pairs,
        evaluate_set,
        measure_other,
        read_test_pairs,
        read_word_counts,
    )
    from seq2seq.show_evaluation import print_comparisons, print_evaluation
    from seq2seq.translator import Translator

    pairs = read_test_pairs(source, reference)
    load = functools.partial(
        Translator.load, device=device, precision=precision, threads=threads, plain=plain
    )
    translator = load(model)
    settings = translator.search_settings(**search)
    pairs = clean_pairs(pairs, translator.recipe)
    word_counts = read_word_counts(model, translator.recipe.source_language)
    with contextlib.ExitStack() as stack:
        output_file = None if output is None else stack.enter_context(open_output(output))
        with _progress(quiet, source, source) as advance:  # the terminal is not used otherwise
            other = against and measure_other(
                against, translator, pairs, load=load, advance=advance, **search
            )
            if not quiet:
                _say(translator.describe(settings))
            result = evaluate_set(
                translator,
                pairs.sources,
                pairs.targets,
                word_counts=word_counts,
                advance=advance,
                **search,
            )
        if output_file is not None:
            output_file.write(result.to_jsonl())
    print_evaluation(result, model, source)
    if against and other:
        print_comparisons(result.statistics, other, names=(model, against))


def score(
    model: str,
    *,
    source: str,
    target: str,
    device: str = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    plain: bool = False,
) -> None:
    """Prints how probable each line of a file is as translation of another's, and its perplexity.

    Columns: natural-log probability, and perplexity per piece, its end symbol counted. A line on
    standard error sums the corpus up.

    Args:
        model: The model directory.
        source: File of source sentences, one per line.
        target: File of their translations, as many lines.
        device: auto, cpu, cuda or cuda:N.
        precision: auto is bfloat16 where it is fast and was found to lose no quality.
        threads: Processor threads; as many as cores if not given.
        plain: Compute by the plain path, the slow reference of the faster code.
    """
    from seq2seq.data.text_files import read_lines

    sources, targets = read_lines(source), read_lines(target)
    if len(sources) != len(targets):
        raise ConfigurationError(
            f"{source} has {len(sources)} lines, but {target} has {len(targets)}."
        )
    from seq2seq.languages import is_unspaced
    from seq2seq.translation import TargetScore
    from seq2seq.translator import Translator

    translator = Translator.load(model, device, precision, threads, plain)
    corpus = TargetScore()
    for first in range(0, len(sources), _SCORE_WINDOW):
        window = slice(first, first + _SCORE_WINDOW)
        for scored in translator.score_targets(sources[window], targets[window]):
            print(f"{scored.log_probability:.6f}\t{scored.perplexity:.4f}")
            corpus += scored
    if corpus.num_pieces:
        word = "character" if is_unspaced(translator.recipe.target_language) else "word"
        print(
            f"seq2seq: {corpus.num_pieces:,} pieces, log-probability {corpus.log_probability:.4f}, "
            f"perplexity {corpus.perplexity:.4f} per piece, "
            f"{corpus.word_perplexity:.4f} per {word}",
            file=sys.stderr,
        )


def inspect_sentence(
    model: str,
    sentence: str,
    *,
    output: str = "alignment.svg",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Translates one sentence and draws where the decoder looked, as an SVG picture.

    Args:
        model: The model directory, of a model with attention.
        sentence: The source sentence.
        output: File to write.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.insight.alignment import draw_alignment, find_alignment
    from seq2seq.translator import Translator

    translator = Translator.load(model, device, "float32", threads)
    translation = translator.translate(sentence)
    if translation.alignment is None:
        raise ConfigurationError(
            f"{model} was trained with `model.attention` none, so it has no alignment to draw."
        )
    figure = draw_alignment(
        find_alignment(translation),
        f"{sentence} → {translation.text}",
        languages=(translator.recipe.source_language, translator.recipe.target_language),
    )
    with open_output(output) as file:
        file.write(figure.encode(errors="replace"))  # the sentence may be no UTF-8
    print(translation.text)
    print(f"alignment: {output}")


def lexicon(
    model: str,
    *,
    source: str,
    target: str,
    max_pairs: int = 100_000,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Adds the table of shortlists to a model directory that has none, learnt from sentence pairs.

    Args:
        model: The model directory, of a model with attention.
        source: File of source sentences, one per line, best those of the training corpus.
        target: File of their translations, as many lines.
        max_pairs: Pairs that are used at most, drawn from all over the files.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.evaluate import read_test_pairs
    from seq2seq.training.lexicon import learn_lexicon_of_directory

    pairs = read_test_pairs(source, target)
    file = learn_lexicon_of_directory(
        model, pairs, max_pairs=max_pairs, device=device, threads=threads
    )
    print(f"lexicon: {file}")


def report(runs: list[str], *, output: str | None = None) -> None:
    """Writes the report of a run, or of several side by side, as one HTML page.

    Args:
        runs: Folders of runs, one or more.
        output: File to write instead of RUN/report.html, or of report.html for several runs.
    """
    from seq2seq.report import write_report

    print(f"report: {write_report(runs, output)}")


def _train(argv: Sequence[str]) -> None:
    """Trains a translator from a recipe or from two files, evaluates it and prints the scores."""
    from seq2seq.recipe import run_with_options

    run_with_options(Recipe(), argv, command="seq2seq train", from_scratch=True)


def _command(name: str, function: Callable[..., None]) -> Callable[[Sequence[str]], None]:
    """Makes a command of a function; its `search` becomes the fields of `SearchConfig`."""

    parameters = inspect.signature(function).parameters
    names = [n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY and n != "search"]

    @functools.wraps(function)
    def command(argv: Sequence[str]) -> None:
        options = Options(f"seq2seq {name}", _first_line(function))
        options.add_function(function, skip=["search"])
        if "search" in parameters:
            options.add_settings(SearchConfig(), show_defaults=False)
        given = options.parse(argv)
        if "search" in parameters:
            settings = {setting.name for setting in dataclasses.fields(SearchConfig)}
            given["search"] = {name: given.pop(name) for name in settings & given.keys()}
        try:
            function(**given)
        except ConfigurationError as error:
            if type(error) is not ConfigurationError:
                raise  # about a file, whose keys are no options
            # The options are `--device` and `--beam_size` here, `device` in Python and
            # `search.beam_size` in a recipe.
            message = re.sub(rf"`(search\.|(?=({'|'.join(names)})`))", "`--", str(error))
            raise ConfigurationError(message) from error

    return command


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": _train,
    "translate": _command("translate", translate),
    "evaluate": _command("evaluate", evaluate),
    "score": _command("score", score),
    "inspect": _command("inspect", inspect_sentence),
    "lexicon": _command("lexicon", lexicon),
    "report": _command("report", report),
}
_SCORE_WINDOW = 1024


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").splitlines()[0]


def _note(count: int, what: str) -> None:
    if count:
        _say(f"{count:,} line{'s' if count > 1 else ''} {what}")


def _say(message: str) -> None:
    print(f"seq2seq: {message}", file=sys.stderr)


@contextlib.contextmanager
def _progress(
    quiet: bool, input: str | None, output: str | None
) -> Iterator[Callable[[int], None]]:
    """Shows lines and lines per second, on a terminal where nobody types or reads meanwhile."""
    busy = (input is None and sys.stdin.isatty()) or (output is None and sys.stdout.isatty())
    if quiet or busy or not sys.stderr.isatty():
        yield lambda num_lines: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} lines, {task.fields[speed]:,.0f} per second"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None, speed=0.0)

        def advance(num_lines: int) -> None:
            progress.update(task, advance=num_lines)
            state = progress.tasks[0]
            progress.update(task, speed=state.completed / (state.elapsed or 1.0))

        yield advance
