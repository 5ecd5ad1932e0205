"""Commands that translate."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from seq2seq.checks import at_least
from seq2seq.commands.terminal import note, progress, say
from seq2seq.config import check_given, choose
from seq2seq.formats import FORMATS
from seq2seq.lines import find_place, open_input, open_output, refuse_overwriting
from seq2seq.loading import Loading


def translate(
    model: str,
    *,
    input: str | None = None,
    output: str | None = None,
    resume: bool = False,
    format: Literal["text", "tsv", "jsonl", "srt", "document", "html"] = "text",
    devices: int = 1,
    reverse: str | None = None,
    prefix: str = "",
    terms: str | None = None,
    forbidden: str | None = None,
    details: bool = False,
    quiet: bool = False,
    loading: Loading,
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
            "source", or plain lines); srt subtitles, whose sentences run over cues; document
            paragraphs, one per line, translated sentence by sentence; html a fragment per line,
            whose tags are put around the words that came from theirs.
        devices: Processes that share the work, each with a GPU of its own or a part of the
            processor; needs `input` and `output`.
        reverse: Model directory of the other direction; ranks hypotheses anew, as `reverse_weight`
            says.
        prefix: How each translation begins; it may end within a word.
        terms: A glossary: a file with a term of the source, a tab and a term of the target per
            line. Where the first stands in a sentence, the second stands in its translation.
        forbidden: A file with a word or phrase per line that no translation may say.
        details: Add where the words came from, a last column in tsv; in jsonl also the probability
            and the entropy of each word and piece.
        quiet: Print no progress and no notes on standard error.
        loading: How the model computes, and which others take part.
        search: Settings in place of the recipe's.
    """
    choose(FORMATS, format, field="format").check(search.get("n_best"), details=details)
    check_given(search)  # before anything is loaded
    # Standard input is number 0; it may be a file, too.
    read = 0 if input is None else input
    refuse_overwriting(output, input=read, terms=terms, forbidden=forbidden)
    place = None if output is None else find_place(output)
    with open_input(input) as source_file:
        from seq2seq import bulk
        from seq2seq.line_translator import Job, LineTranslator, Listener, translate_stream

        job = Job(
            model,
            format,
            loading,
            search,
            reverse=reverse,
            details=details,
            prefix=prefix,
            terms=terms,
            forbidden=forbidden,
        )
        rank = bulk.find_rank()
        bulk.check_processes(rank, devices, is_resumed=resume, input=input, output=place)
        quiet = quiet or rank.index > 0
        with progress(quiet, input, output) as advance:
            listener = Listener(advance=advance)
            if not quiet:
                listener = dataclasses.replace(listener, say=say, describe=say)
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
        note(counts["repaired"], "held invalid UTF-8, which was replaced by U+FFFD.")
        note(
            counts["truncated"],
            "reached the maximum length, so their translations are cut off.",
            one="reached the maximum length, so its translation is cut off.",
        )
        note(counts["short"], "ended there before `--min_length`; raise `--max_length_ratio`.")
        note(counts["cut"], "held sentences longer than any in training, so they were cut.")
        doubt = "had a confidence below the least one, so"
        note(counts["marked"], f"{doubt} they are marked.", one=f"{doubt} it is marked.")
        note(counts["withheld"], f"{doubt} they are withheld.", one=f"{doubt} it is withheld.")
        note(counts["preserved"], "had lost what must be preserved, which was brought back.")


def complete(
    model: str,
    source: str,
    prefix: str,
    *,
    n: int = 5,
    loading: Loading,
    search: Mapping[str, Any],
) -> None:
    """Prints the best translations of a sentence that begin as given, each with another next word.

    Args:
        model: The model directory.
        source: The source sentence.
        prefix: How the translations begin; it may end within a word.
        n: How many translations, at most.
        loading: How the model computes, and which others take part.
        search: Settings in place of the recipe's.
    """
    at_least("n", n, 1)  # before anything is loaded
    from seq2seq.translator import Translator

    translator = Translator.load(model, **vars(loading))
    translator.refuse_idle(translator.search_settings(**search))
    for translation in translator.complete(source, prefix, n, **search):
        print(translation.text)
