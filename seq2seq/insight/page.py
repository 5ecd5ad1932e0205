"""One page about one sentence: every picture of it that a translator can give."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seq2seq import __version__
from seq2seq.config import ConfigurationError, Recipe, choose
from seq2seq.evaluation.report import render
from seq2seq.insight.alignment import draw_alignment, find_alignment
from seq2seq.insight.beam_tree import draw_beam_tree, find_beam_tree
from seq2seq.insight.gates import draw_gates, find_gates
from seq2seq.insight.labelled_sentences import (
    UNKNOWN,
    LabelledSentences,
    phrasebook_sentences,
    read_labelled,
)
from seq2seq.insight.recording import (
    Recording,
    check_sentence,
    record_translation,
    say_how_read,
)
from seq2seq.insight.summary import draw_summary, find_summary
from seq2seq.insight.units import draw_activations, find_activations, liveliest_units
from seq2seq.languages import base_language
from seq2seq.translation import Translation
from seq2seq.translator import Translator

_NUM_UNITS = 2  # of each layer that is drawn, those that vary most


@dataclass(frozen=True)
class Section:
    """A picture on the page, or why there is none."""

    title: str
    look_at: str
    """What there is to see in it."""
    figures: Sequence[str]
    """SVG documents."""
    missing: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class Inspection:
    """What the page shows of one sentence."""

    translator: Translator
    sentence: str
    translation: Translation
    recording: Recording
    known: LabelledSentences | None
    """Sentences among which this one is shown."""
    colour_by: str | None


def inspect_sentence(
    translator: Translator,
    sentence: str,
    *,
    known: LabelledSentences | None = None,
    colour_by: str | None = None,
    name: str = "",
    beam_size: int | None = None,
) -> tuple[Translation, str]:
    """Translates a sentence and makes a page of all that can be seen of it.

    Args:
        translator: Loaded with `plain=True`.
        known: Sentences of the source language, among which this one is shown.
        colour_by: The property of these that the colours show; the first one if not given.
        name: Of the model.
        beam_size: As the recipe says if not given.

    Returns:
        The translation, and self-contained HTML.

    Raises:
        ConfigurationError: If the sentence is blank, or no property has the name.
    """
    check_sentence(sentence)
    if colour_by is not None:
        if known is None:
            raise ConfigurationError(
                "`colour_by` needs sentences of which something is known; give `sentences`."
            )
        choose(known.labels, colour_by, field="colour_by")
    translation = translator.translate(sentence, with_details=True, beam_size=beam_size)
    inspection = Inspection(
        translator,
        sentence,
        translation,
        record_translation(translator, sentence, translation.text),
        known,
        colour_by,
    )
    sections = [
        _alignment(inspection),
        _gates(inspection),
        _units(inspection),
        _summary(inspection),
        _beam(inspection, beam_size),
    ]
    recipe = translator.recipe
    page = render(
        "inspect.html",
        title=sentence,
        version=__version__,
        name=name,
        translation=translation,
        languages=(recipe.source_language, recipe.target_language),
        model=recipe.model,
        notes=say_how_read(translation, inspection.recording),
        sections=sections,
    )
    return translation, page


def known_sentences(file: str | None, recipe: Recipe) -> LabelledSentences | None:
    """Those of a table, or of the phrasebook for a model between Korean and English."""
    if file is not None:
        return read_labelled(file)
    languages = {base_language(one) for one in (recipe.source_language, recipe.target_language)}
    return phrasebook_sentences(recipe.source_language) if languages == {"ko", "en"} else None


def _section(title: str, look_at: str, draw: Callable[[], Sequence[str]]) -> Section:
    """A section; without its pictures where a model has none of them."""
    try:
        return Section(title, look_at, draw())
    except ConfigurationError as error:
        return Section(title, "", (), missing=str(error))


def _alignment(inspection: Inspection) -> Section:
    translation, recipe = inspection.translation, inspection.translator.recipe
    return _section(
        "Where the decoder looked",
        "Each row is a piece that was written, each column one that was read: the stronger the "
        "colour, the more of its attention the decoder gave. Where the languages have another "
        "order of words the strong cells leave the diagonal.",
        lambda: [
            draw_alignment(
                find_alignment(translation),
                f"Where the decoder looked: {inspection.sentence} → {translation.text}",
                languages=(recipe.source_language, recipe.target_language),
            )
        ],
    )


def _gates(inspection: Inspection) -> Section:
    def draw() -> list[str]:
        found = find_gates(inspection.recording)
        return [
            draw_gates(found, [layer], f"How far the gates open: {layer}")
            for layer in _top_layers(inspection.recording)
        ]

    return _section(
        "How far the gates open",
        "Of the top layer of the encoder, in each direction, and that of the decoder. Each row of "
        "a heat map is a unit, each column a piece: the colour is strong where the unit's gate is "
        "open. At the right, units in a corner keep their gate shut, or open, over "
        "the whole sentence; those near the origin seldom go as far as either.",
        draw,
    )


def _units(inspection: Inspection) -> Section:
    recording = inspection.recording

    def draw(layer: str) -> list[str]:
        return [
            draw_activations(
                find_activations(recording, layer, unit), f"Unit {unit} of the {layer}"
            )
            for unit in liveliest_units(recording, layer, n=_NUM_UNITS)
        ]

    return _section(
        "Units that vary most",
        f"Of the top layer of the encoder, in each direction, and that of the decoder: the "
        f"{_NUM_UNITS} units whose state varies most over this sentence, blue where it is "
        "negative, red where it is positive. Where the colour turns, the unit has met something "
        "that it heeds; what, one sentence alone does not say, but `seq2seq picture unit --find` "
        "searches a text.",
        lambda: [figure for layer in _top_layers(recording) for figure in draw(layer)],
    )


def _summary(inspection: Inspection) -> Section:
    def draw() -> list[str]:
        known, sentence = inspection.known, inspection.sentence
        if known is None:
            raise ConfigurationError(
                "no sentences are given among which this one could be shown; give a table of "
                "sentences and what is known of them as `--sentences`."
            )
        if sentence not in known.sentences:
            known = LabelledSentences(
                [*known.sentences, sentence],
                {name: [*values, UNKNOWN] for name, values in known.labels.items()},
                [*known.is_held_out, True],
            )
        found = find_summary(
            inspection.translator, known.sentences, known.labels, known.is_held_out
        )
        colour_by = inspection.colour_by or next(iter(known.labels))
        return [draw_summary(found, colour_by=colour_by, highlight=sentence)]

    return _section(
        "The sentence among others",
        "Each mark is the state in which the encoder leaves a sentence, seen along the two "
        "directions in which such states differ most; this one is ringed. Sentences that lie "
        "close to it in all directions are listed: they say what the encoder takes for alike.",
        draw,
    )


def _beam(inspection: Inspection, beam_size: int | None) -> Section:
    return _section(
        "The beam as a tree",
        "The blue line is the translation, piece by piece; what branches off below it are the "
        "other hypotheses, each number the log-probability up to there. Those with a cross were "
        "given up as too many others were better at that step, even if they began well.",
        lambda: [
            draw_beam_tree(
                find_beam_tree(inspection.translator, inspection.sentence, beam_size=beam_size)
            )
        ],
    )


def _top_layers(recording: Recording) -> list[str]:
    """The top layer of the encoder, both of its directions, and that of the decoder."""
    tops = []
    for side in ("encoder", "decoder"):
        names = [name for name in recording.layers if name.startswith(side)]
        number = max(int(name.split()[2]) for name in names)
        tops += [name for name in names if int(name.split()[2]) == number]
    return tops
