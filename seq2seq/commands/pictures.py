"""Commands that draw what a trained model does, a picture each: `seq2seq picture KIND`.

To add a picture: a module of `insight/` with a function that returns data and one that draws it, a
function here or in `pictures_of_states.py`, and one line of `PICTURES`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from seq2seq.checks import at_least
from seq2seq.commands.pictures_of_states import gates, gradients, truncation, unit
from seq2seq.commands.terminal import progress, say
from seq2seq.commands.writing import check_output, write_figure
from seq2seq.config import ConfigurationError, choose


def alignment(
    model: str,
    sentence: str,
    *,
    target: str | None = None,
    units: Literal["pieces", "words"] = "pieces",
    output: str = "alignment.svg",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draws where the decoder looked while it translated a sentence.

    Args:
        model: The model directory, of a model with attention.
        sentence: The source sentence.
        target: A translation of it, whose attention stands beside that of the model's own.
        units: What rows and columns are.
        output: File to write.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.insight.alignment import draw_alignment, find_alignment, find_given_alignment
    from seq2seq.insight.recording import check_sentence
    from seq2seq.translator import Translator

    check_output(output)
    check_sentence(sentence)
    translator = Translator.load(model, device, "float32", threads)
    translation = translator.translate(sentence, with_details=True)
    own, given = f"Its own translation: {translation.text}", None
    if target is not None:
        heading = f"A given translation: {target}"
        given = find_given_alignment(translator, sentence, target, units, heading=heading)
    figure = draw_alignment(
        find_alignment(translation, units, heading="" if given is None else own),
        f"Where the decoder looked: {sentence} → {translation.text}",
        given=given,
        languages=(translator.recipe.source_language, translator.recipe.target_language),
    )
    write_figure(output, figure)


def beam(
    model: str,
    sentence: str,
    *,
    beam_size: int | None = None,
    pruned: int = 2,
    output: str = "beam.svg",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draws how beam search found a translation, as a tree.

    Args:
        model: The model directory.
        sentence: The source sentence.
        beam_size: Hypotheses kept; as the model's recipe says if not given.
        pruned: Pruned branches shown at each step, the best ones.
        output: File to write.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.insight.beam_tree import draw_beam_tree, find_beam_tree
    from seq2seq.insight.recording import check_sentence
    from seq2seq.translator import Translator

    check_output(output)
    check_sentence(sentence)
    at_least("pruned", pruned, 0)
    translator = Translator.load(model, device, "float32", threads)
    tree = find_beam_tree(translator, sentence, beam_size=beam_size)
    write_figure(output, draw_beam_tree(tree, most_pruned=pruned))


def lengths(
    models: list[str],
    *,
    source: str,
    reference: str,
    names: list[str] | None = None,
    joined: list[int] = [1, 2, 3],  # noqa: B006
    bucket_words: int = 5,
    output: str = "lengths.svg",
    quiet: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draws how well models translate short and long sources: BLEU and chrF by length.

    Args:
        models: Model directories of the same languages.
        source: File of source sentences, one per line.
        reference: File of their translations by people, as many lines.
        names: What the models are called in the picture; as in their recipes if not given.
        joined: How many neighbouring lines become one source, one set for each number.
        bucket_words: Sources are scored together in ranges of so many words.
        output: File to write.
        quiet: Print no progress on standard error.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.evaluate import read_test_pairs
    from seq2seq.insight.lengths import draw_lengths, find_lengths
    from seq2seq.translator import Translator

    check_output(output)
    for number in joined:
        at_least("joined", number, 1)
    at_least("bucket_words", bucket_words, 1)
    pairs = read_test_pairs(source, reference)
    opened = [Translator.load(model, device, "float32", threads) for model in models]
    names = names or [translator.recipe.name for translator in opened]
    if len(set(names)) < len(names) or len(names) != len(models):
        raise ConfigurationError(
            f"`names` must be {len(models)} different names, one for each model, but is "
            f"{', '.join(names)}."
        )
    with progress(quiet, source, output) as advance:
        found = find_lengths(
            dict(zip(names, opened, strict=True)),
            pairs,
            joined=joined,
            bucket_words=bucket_words,
            advance=advance,
        )
    print("\t".join(["sources", found.unit, "number", *(f"{name} BLEU" for name in names)]))
    rows = [("all", bucket) for bucket in found.buckets]
    rows += [(f"joined by {number}", bucket) for number, bucket in found.joined.items()]
    for name, bucket in rows:
        scores = [f"{bucket.scores['bleu'][name].value:.1f}" for name in names]
        words = f"{bucket.shortest}-{bucket.longest}"
        print("\t".join([name, words, str(bucket.num_sentences), *scores]))
    write_figure(output, draw_lengths(found, Path(source).name))


def summary(
    models: list[str],
    *,
    colour_by: str | None = None,
    sentences: str | None = None,
    output: str = "summary.svg",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draws the encoder's last states of many sentences, and what a linear probe reads off them.

    Args:
        models: Model directories of one source language; they stand side by side.
        colour_by: The property that the colours show: tense, person, politeness or pattern of the
            phrasebook, or a column of `sentences`; the first one if not given.
        sentences: Table with tabs, the first line naming its columns: sentences first, then what is
            known of them; the phrasebook's own if not given.
        output: File to write.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.insight.labelled_sentences import phrasebook_sentences, read_labelled
    from seq2seq.insight.summary import draw_summary, find_summary, why_not_probed
    from seq2seq.translator import Translator

    check_output(output)
    translators = [Translator.load(each, device, "float32", threads, plain=True) for each in models]
    languages = {each.recipe.source_language for each in translators}
    if len(languages) > 1:
        raise ConfigurationError(
            f"`models` must translate from one language, but translate from "
            f"{' and '.join(sorted(languages))}."
        )
    known = read_labelled(sentences) if sentences else phrasebook_sentences(min(languages))
    colour_by = colour_by or next(iter(known.labels))
    choose(known.labels, colour_by, field="colour_by")
    not_probed = why_not_probed(known.labels, known.is_held_out)
    if len(not_probed) == len(known.labels):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in not_probed.items())
        raise ConfigurationError(f"`sentences` has no property that can be probed ({reasons}).")
    found = [
        find_summary(each, known.sentences, known.labels, known.is_held_out) for each in translators
    ]
    print("model\tproperty\tprobe\tuntrained\tshuffled\tmost frequent")
    for each in found:
        for name, (trained, untrained) in each.probes.items():
            shuffled = sum(trained.shuffled) / len(trained.shuffled)
            shares = (trained.accuracy, untrained.accuracy, shuffled, trained.majority)
            print("\t".join([each.name, name, *(f"{share:.1%}" for share in shares)]))
    for name, reason in not_probed.items():
        say(f"{name} is not probed: {reason}.")
    write_figure(output, draw_summary(*found, colour_by=colour_by))


# In the order of the guide, docs/eight_pictures.md.
PICTURES: dict[str, Callable[..., None]] = {
    "alignment": alignment,
    "lengths": lengths,
    "gradients": gradients,
    "gates": gates,
    "unit": unit,
    "summary": summary,
    "truncation": truncation,
    "beam": beam,
}
