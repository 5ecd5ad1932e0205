"""Commands that make or change a model directory, or a report."""

import os

from seq2seq.commands.terminal import say
from seq2seq.config import ConfigurationError


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


def average(
    output: str,
    models: list[str],
    *,
    last: int | None = None,
    source: str | None = None,
    reference: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Makes one model directory of several: the mean of their weights.

    Args:
        output: The new model directory.
        models: Model directories of one shape and vocabulary, best of one run, or files of weights
            in the `checkpoints` folder of a run.
        last: Averages the latest so many of the best weights that each run has kept.
        source: File of source sentences, one per line, to score the average and what it is of.
        reference: File of their translations by people, as many lines.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    if (source is None) != (reference is None):
        raise ConfigurationError("`source` and `reference` need each other; give both or none.")
    from seq2seq.average import average_models

    count = average_models(output, models, last=last, warn=say)
    print(f"average of {count}: {output}")
    if source is None or reference is None:
        print("its scores are not known; measure them with `--source` and `--reference`")
        return
    from seq2seq.evaluate import clean_pairs, evaluate_set, read_test_pairs
    from seq2seq.translator import Translator

    pairs = read_test_pairs(source, reference)
    for model in (*models, output):
        if os.path.isdir(model):  # of single weights only the average is scored
            translator = Translator.load(model, device, threads=threads)
            cleaned = clean_pairs(pairs, translator.recipe)
            counted = evaluate_set(translator, cleaned.sources, cleaned.targets).statistics
            bleu, chrf = (counted[metric].score().value for metric in ("bleu", "chrf"))
            print(f"BLEU {bleu:6.2f}  chrF2 {chrf:6.2f}  {model}")


def report(runs: list[str], *, output: str | None = None) -> None:
    """Writes the report of a run, or of several side by side, as one HTML page.

    Args:
        runs: Folders of runs, one or more.
        output: File to write instead of RUN/report.html, or of report.html for several runs.
    """
    from seq2seq.report import write_report

    print(f"report: {write_report(runs, output)}")
