"""Commands that look at given translations and into a model."""

import sys
from pathlib import Path
from typing import Literal

from seq2seq.commands.writing import check_output, write_figure
from seq2seq.config import ConfigurationError, choose
from seq2seq.formats import ALIGNMENT_FORMATS
from seq2seq.loading import Loading

_EXACT = Loading(precision="float32")  # in bfloat16 other words may come out on top


def score(
    model: str,
    *,
    source: str,
    target: str,
    loading: Loading,
) -> None:
    """Prints how probable each line of a file is as translation of another's, and its perplexity.

    Columns: natural-log probability, and perplexity per piece, its end symbol counted. A line on
    standard error sums the corpus up.

    Args:
        model: The model directory.
        source: File of source sentences, one per line.
        target: File of their translations, as many lines.
        loading: How the model computes, and which others take part.
    """
    _refuse_language_model(loading)
    sources, targets = read_pairs(source, target)
    from seq2seq.languages import is_unspaced
    from seq2seq.translation import TargetScore
    from seq2seq.translator import Translator

    translator = Translator.load(model, **vars(loading))
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


def align(
    model: str,
    *,
    source: str,
    target: str,
    format: Literal["pharaoh", "soft"] = "pharaoh",
    loading: Loading = _EXACT,
) -> None:
    """Prints which words of each line of a file belong to which of another's, by attention.

    Args:
        model: The model directory, of a model with attention.
        source: File of source sentences, one per line.
        target: File of their translations, as many lines.
        format: pharaoh is `0-0 1-2`, numbers of source and target words, of characters where a
            language writes no spaces; soft an object with the words and all weights.
        loading: How the model computes, and which others take part.
    """
    _refuse_language_model(loading)
    sources, targets = read_pairs(source, target)
    from seq2seq.translator import Translator

    write = choose(ALIGNMENT_FORMATS, format, field="format")
    translator = Translator.load(model, **vars(loading))
    for first in range(0, len(sources), _SCORE_WINDOW):
        window = slice(first, first + _SCORE_WINDOW)
        for aligned in translator.align(sources[window], targets[window]):
            print(write(aligned))


def inspect_sentence(
    model: str,
    sentence: str,
    *,
    sentences: str | None = None,
    colour_by: str | None = None,
    beam_size: int | None = None,
    output: str = "inspect.html",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Translates a sentence and writes a page of pictures of how the model did it.

    Args:
        model: The model directory.
        sentence: The source sentence.
        sentences: Table of sentences among which this one is shown, as `seq2seq picture summary`
            takes it; those of the phrasebook for a model between Korean and English.
        colour_by: The property of these that the colours show; the first one if not given.
        beam_size: Hypotheses kept; as the model's recipe says if not given.
        output: File to write.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.insight import page
    from seq2seq.insight.recording import check_sentence
    from seq2seq.translator import Translator

    check_output(output)
    check_sentence(sentence)
    translator = Translator.load(model, device, "float32", threads, plain=True)
    translation, html = page.inspect_sentence(
        translator,
        sentence,
        known=page.known_sentences(sentences, translator.recipe),
        colour_by=colour_by,
        name=Path(model).name,
        beam_size=beam_size,
    )
    print(translation.text)
    write_figure(output, html, what="page")


_SCORE_WINDOW = 1024


def _refuse_language_model(loading: Loading) -> None:
    """Refuses a model that only a search would ask."""
    if loading.language_model is not None:
        raise ConfigurationError(
            "`language_model` changes nothing here, where nothing is searched; for text alone "
            "there is `seq2seq evaluate_lm`."
        )


def read_pairs(source: str, target: str) -> tuple[list[str], list[str]]:
    """The lines of two files, as many in each."""
    from seq2seq.data.text_files import read_lines

    sources, targets = read_lines(source), read_lines(target)
    if len(sources) != len(targets):
        raise ConfigurationError(
            f"{source} has {len(sources)} lines, but {target} has {len(targets)}."
        )
    return sources, targets
