"""Commands that look at given translations and into a model."""

import sys
from typing import Literal

from seq2seq.config import ConfigurationError, choose
from seq2seq.formats import ALIGNMENT_FORMATS
from seq2seq.lines import open_output
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


_SCORE_WINDOW = 1024


def read_pairs(source: str, target: str) -> tuple[list[str], list[str]]:
    """The lines of two files, as many in each."""
    from seq2seq.data.text_files import read_lines

    sources, targets = read_lines(source), read_lines(target)
    if len(sources) != len(targets):
        raise ConfigurationError(
            f"{source} has {len(sources)} lines, but {target} has {len(targets)}."
        )
    return sources, targets
