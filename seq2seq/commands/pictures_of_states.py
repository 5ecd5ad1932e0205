"""Commands that draw what happens inside recurrent layers, step by step, and while they learn."""

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seq2seq.checks import at_least, within
from seq2seq.commands.writing import check_output, write_figure
from seq2seq.config import ConfigurationError, check_threads, choose

if TYPE_CHECKING:
    from seq2seq.language_model import LanguageModel
    from seq2seq.translator import Translator


def gates(
    model: str,
    sentence: str,
    *,
    text: str | None = None,
    layers: list[str] | None = None,
    output: str = "gates.svg",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draws how far the gates open over a sentence, and how often each is saturated.

    Args:
        model: The directory of a translator, or of a language model.
        sentence: The source sentence, or a line of text.
        text: File of sentences, or a text, over which saturation is counted; the sentence alone if
            not given.
        layers: Layers to draw, such as "encoder layer 1 forward"; all if not given.
        output: File to write.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.insight.gates import draw_gates, find_gates
    from seq2seq.insight.recording import (
        check_sentence,
        record_lines,
        record_text,
        record_translation,
        say_how_read,
    )
    from seq2seq.language_model import LanguageModel

    check_output(output)
    check_sentence(sentence)
    opened = _open_plain(model, device, threads)
    lines = _beginning(_read_text(opened, text)) if text else []
    notes: list[str] = []
    if isinstance(opened, LanguageModel):
        recording = record_text(opened, [sentence])
    else:
        translation = opened.translate(sentence)
        recording = record_translation(opened, sentence, translation.text)
        notes = say_how_read(translation, recording)
    for name in layers or []:  # a name that is none is told before the long work
        choose(recording.layers, name, field="layers")
    found = find_gates(recording, record_lines(opened, lines) if lines else ())
    title = f"How far the gates of {Path(model).name} open: {sentence}"
    counted = "this sentence"
    if text:
        number = "1 line" if len(lines) == 1 else f"{len(lines):,} lines"
        counted = f"{number} of {Path(text).name}"
    if "decoder layer 1" in recording.layers:
        title += f" → {''.join(recording.layers['decoder layer 1'].texts).rstrip()}"
        counted += " and their translations" if len(lines) > 1 else " and its translation"
    drawn = layers or list(found.layers)
    write_figure(output, draw_gates(found, drawn, title, counted=counted, notes=notes))


def unit(
    model: str,
    *,
    text: str | None = None,
    layer: str | None = None,
    unit: int | None = None,
    find: str | None = None,
    state: Literal["memory", "hidden"] | None = None,
    characters: int = 30_000,
    shown: int = 500,
    output: str = "unit.svg",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draws a text in the colours of one unit, or finds the unit that follows a property.

    Args:
        model: The directory of a translator, or of a language model.
        text: File of source sentences, or of text; without it, a language model reads the
            development text of its recipe.
        layer: Layer of the unit, such as "encoder layer 1 forward"; with `find`, all if not given.
        unit: Number of the unit, from 0; the one that varies most if not given.
        find: quotes, brackets, line_length, position, indentation, word_end or politeness (of
            Korean): draws the unit that follows it best, on text that took no part in the search.
        state: memory is the tanh of an LSTM's memory cell, which is shown where there is one.
        characters: Of the text, from its beginning, that are read.
        shown: Pieces that are drawn.
        output: File to write.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.insight.properties import PROPERTIES
    from seq2seq.insight.recording import join_recordings, record_lines
    from seq2seq.insight.units import (
        describe_search,
        draw_activations,
        find_activations,
        held_out_excerpt,
        liveliest_units,
        search_units,
    )

    check_output(output)
    if find is not None:
        choose(PROPERTIES, find, field="find")
    if find is not None and unit is not None:
        raise ConfigurationError("give `find` or `unit`, not both: one of them chooses the unit.")
    at_least("characters", characters, 1)
    at_least("shown", shown, 1)
    opened = _open_plain(model, device, threads)
    lines = _beginning(_read_text(opened, text), characters)
    recording = join_recordings(list(record_lines(opened, lines)))
    name, notes = Path(model).name, []
    table: list[str] = []
    if find is not None:
        search = search_units(recording, find, layers=[layer] if layer else [], state=state)
        table = [
            "layer\tunit\tcorrelation\theld out",
            *(
                f"{found.layer}\t{found.unit}\t{found.correlation:.3f}\t{found.held_out:.3f}"
                for found in search.found[:10]
            ),
        ]
        best, notes = search.found[0], describe_search(search)
        activations = find_activations(recording, best.layer, best.unit, state)
        activations = held_out_excerpt(activations, find, shown)
    else:
        layer = layer or next(iter(recording.layers))
        if unit is None:
            (unit,) = liveliest_units(recording, layer, state)
        activations = find_activations(recording, layer, unit, state).part(0, shown)
    read = "its development text" if text is None else Path(text).name
    title = f"Unit {activations.unit} of {activations.layer} of {name} over {read}"
    write_figure(output, draw_activations(activations, title, notes), told=table)


def gradients(
    models: list[str],
    *,
    text: str | None = None,
    steps_back: int = 100,
    places: int = 100,
    clipping_updates: int = 100,
    output: str = "gradients.svg",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draws how far gradients reach back, and what clipping them is for.

    Args:
        models: Folders of language models of running text, best one of each cell.
        text: File of text that they have not learnt; the development text of the first one's
            training if not given.
        steps_back: How far to follow the gradients.
        places: Steps of the text whose losses are followed; the curves are means over them.
        clipping_updates: Updates by which the first model is trained anew with and without
            clipping, for several learning rates and seeds; 0 leaves this out.
        output: File to write.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.data.running_text import read_texts
    from seq2seq.insight.clipping import find_clipping
    from seq2seq.insight.gradients import find_gradients, names_of
    from seq2seq.insight.gradients_figure import draw_gradients
    from seq2seq.language_model import LanguageModel

    check_output(output)
    at_least("steps_back", steps_back, 1)
    at_least("places", places, 1)
    at_least("clipping_updates", clipping_updates, 0)
    loaded = [LanguageModel.load(model, device, threads) for model in models]
    named = dict(zip(names_of(loaded), loaded, strict=True))
    name, first = next(iter(named.items()))
    found = find_gradients(named, _read_text(first, text), steps_back=steps_back, places=places)
    clipping = None
    if clipping_updates:
        lines = read_texts(first.recipe.text).train
        clipping = find_clipping(name, first, lines, num_updates=clipping_updates)
    write_figure(output, draw_gradients(found, clipping))


def truncation(
    *,
    text: str | None = None,
    lengths: list[int] | None = None,
    characters: int = 300_000,
    cell: str = "gru",
    hidden_size: int = 128,
    seeds: int = 1,
    output: str = "truncation.svg",
    threads: int = 1,
) -> None:
    """Draws what the length of truncated backpropagation brings and costs; it trains for minutes.

    Args:
        text: File of running text; this package's own Python source if not given. Its last
            twentieth is held out.
        lengths: Steps after which gradients are cut, in each of the trainings; 1, 2, 5, 10, 20, 50
            and 100 if not given.
        characters: How many each training reads.
        cell: Recurrent cell: rnn (tanh), gru or lstm.
        hidden_size: Size of the states.
        seeds: Trainings of each length, over which the picture shows means and bands.
        output: File to write.
        threads: Processor threads; networks as small as these need no more than one.
    """
    import torch

    from seq2seq.data.running_text import read_texts
    from seq2seq.insight.truncation import LENGTHS, draw_truncation, find_truncation
    from seq2seq.language_config import LanguageNetworkConfig, TextConfig
    from seq2seq.models.cells import CELLS

    check_output(output)
    choose(CELLS, cell, field="cell")
    check_threads(threads, field="threads")
    at_least("characters", characters, 1)
    at_least("seeds", seeds, 1)
    for length in lengths or ():
        within("lengths", length, 1, 10_000)
    torch.set_num_threads(threads)
    texts = read_texts(TextConfig(train=text))
    found = find_truncation(
        texts.train,
        texts.dev,
        lengths=lengths or LENGTHS,
        characters=characters,
        network=LanguageNetworkConfig(
            cell=cell, embedding_size=64, hidden_size=hidden_size, dropout=0.0
        ),
        seeds=seeds,
    )
    write_figure(output, draw_truncation(found))


def _open_plain(model: str, device: str, threads: int | None) -> "Translator | LanguageModel":
    """A translator on the plain path, or a language model."""
    from seq2seq.language_model import LanguageModel
    from seq2seq.language_model_directory import is_language_model
    from seq2seq.translator import Translator

    if is_language_model(model):
        return LanguageModel.load(model, device, threads)
    return Translator.load(model, device, "float32", threads, plain=True)


def _read_text(model: "Translator | LanguageModel", text: str | None) -> list[str]:
    """The lines of a file, or of the text by which a language model was evaluated."""
    from seq2seq.data.running_text import checksum_of, read_texts
    from seq2seq.data.text_files import read_lines
    from seq2seq.language_model import LanguageModel

    if text is not None:
        lines = read_lines(text)
        if not lines:
            raise ConfigurationError(f"{text} is empty; give a file with text.")
        return lines
    if not isinstance(model, LanguageModel):
        raise ConfigurationError("`text` must name a file of source sentences for a translator.")
    lines = read_texts(model.recipe.text).dev
    if model.texts.get("dev", checksum_of(lines)) != checksum_of(lines):
        print(
            "seq2seq: the development text has changed since this model was trained, so part of it "
            "may have been learnt",
            file=sys.stderr,
        )
    return lines


def _beginning(lines: list[str], characters: int = 30_000) -> list[str]:
    """The first lines, up to the one that reaches so many characters."""
    lengths = itertools.accumulate(len(line) + 1 for line in lines)
    return lines[: 1 + sum(length < characters for length in lengths)]
