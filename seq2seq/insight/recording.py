"""What every recurrent layer did while a network read a text, or a sentence and its translation.

The cells run on the plain path, one step after another, and hooks write down what goes in and out.
So a new cell is recorded as it is, with the gates that it names.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from seq2seq.config import EOS_ID, ConfigurationError, choose
from seq2seq.data.batch import make_batch
from seq2seq.data.cleaning import clean_sentence
from seq2seq.language_model import LanguageModel
from seq2seq.models.cells import Cell, CellState
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.products import linear, plain_path
from seq2seq.preparation import clean_side
from seq2seq.translation import Translation
from seq2seq.translator import Translator


@dataclass(frozen=True)
class LayerRecording:
    """One layer in one direction, step by step in the order of the text."""

    pieces: Sequence[str]
    """What was read at each step; of a decoder what was written at it."""
    hidden_states: Tensor
    """[length, hidden_size], after each step."""
    memory_cells: Tensor | None
    """[length, hidden_size], after each step; None where a cell has no memory of its own."""
    gates: Mapping[str, Tensor]
    """By name, each [length, hidden_size], 0 to 1; a tanh RNN has none."""

    @property
    def texts(self) -> list[str]:
        """What each piece adds to the text, a line's end for `</s>`."""
        return spell(self.pieces)


@dataclass(frozen=True)
class Recording:
    """All layers of a network by name, such as "encoder layer 1 forward" or "layer 2"."""

    layers: Mapping[str, LayerRecording]

    def layer(self, name: str) -> LayerRecording:
        """The layer of that name.

        Raises:
            ConfigurationError: Says which layers there are.
        """
        return choose(self.layers, name, field="layer")


def check_sentence(sentence: str) -> None:
    """Refuses a sentence of which cleaning leaves nothing.

    Raises:
        ConfigurationError: If it does so.
    """
    if not clean_sentence(sentence).strip():
        raise ConfigurationError("the sentence is blank; give one with words.")


def record_translation(translator: Translator, source: str, target: str) -> Recording:
    """Encoder and decoder while they read a sentence and write its translation (teacher forcing).

    Both sides are cleaned as for training; nothing is split, however long.

    Args:
        translator: Loaded with `plain=True`.
        target: What the decoder writes, such as the translation that a search has found.

    Raises:
        ValueError: If the translator is no single network on the plain path.
    """
    network = plain_network(translator)
    tokenizers = translator.tokenizers
    (source,) = clean_side([source], translator.recipe, "source")
    (target,) = clean_side([target], translator.recipe, "target")
    source_ids, target_ids = tokenizers.source.encode(source), tokenizers.target.encode(target)
    batch = make_batch([source_ids], [target_ids]).to(translator.device)
    encoder_cells = {
        f"encoder layer {number} {'backward' if is_backward else 'forward'}": cell
        for number, layer in enumerate(network.encoder.layers, start=1)
        for cell, is_backward in zip(
            cast(Sequence[Cell], layer), network.encoder.reversed, strict=True
        )
    }
    decoder_cells = {
        f"decoder layer {number}": cast(Cell, cell)
        for number, cell in enumerate(network.decoder.layers, start=1)
    }
    with _recording({**encoder_cells, **decoder_cells}) as steps:
        state = network.start(batch.source_ids, batch.source_lengths)
        network.decoder(batch.target_input_ids, state.decoder, state.memory)
    source_pieces = tokenizers.source.pieces([*source_ids, EOS_ID])
    target_pieces = tokenizers.target.pieces([*target_ids, EOS_ID])
    return Recording(
        {
            **{
                name: _layer(cell, steps[name], source_pieces, backward=name.endswith("backward"))
                for name, cell in encoder_cells.items()
            },
            **{
                name: _layer(cell, steps[name], target_pieces)
                for name, cell in decoder_cells.items()
            },
        }
    )


def say_how_read(translation: Translation, recording: Recording) -> list[str]:
    """In which ways a recording is not what the search did, in a sentence each.

    Args:
        translation: What the search has found.
        recording: Of the same source and the text of that translation.
    """
    notes = []
    ends = translation.source_pieces.count("</s>")
    if ends > 1:
        notes.append(
            f"The source is searched in {ends} parts, each by itself; gates and units are those of "
            f"the network while it reads it in one piece and is made to say its translation."
        )
    spoken = recording.layer("decoder layer 1").pieces
    if [one for one in spoken if one != "</s>"] != [p for p in translation.pieces if p != "</s>"]:
        notes.append(
            "The tokenizer divides this translation otherwise than the search wrote it; gates and "
            "units of the decoder are those of the network while it is made to say it as the "
            "tokenizer divides it."
        )
    return notes


def record_text(language_model: LanguageModel, lines: Sequence[str]) -> Recording:
    """The layers of a language model while it reads lines, the end of each included.

    Where lines are sentences of their own, each begins at the zero state; otherwise the state goes
    on from line to line.
    """
    is_running = language_model.recipe.text.lines == "text"
    texts = [lines] if is_running else [[line] for line in lines]
    return join_recordings([_record_ids(language_model, language_model.encode(t)) for t in texts])


def record_lines(model: Translator | LanguageModel, lines: Sequence[str]) -> Iterator[Recording]:
    """A recording of each sentence and the translation that the model finds, or one of a text."""
    if isinstance(model, LanguageModel):
        yield record_text(model, lines)
    else:
        for source, translation in zip(lines, model.translate(lines), strict=True):
            yield record_translation(model, source, translation.text)


def join_recordings(recordings: Sequence[Recording]) -> Recording:
    """Recordings of one network as if their texts were one."""
    return Recording(
        {
            name: _join([recording.layers[name] for recording in recordings])
            for name in recordings[0].layers
        }
    )


def plain_network(translator: Translator) -> EncoderDecoder:
    """The network as its modules write it.

    Raises:
        ValueError: If there are several, or they are rearranged for search.
    """
    network = translator.engine.network
    if not isinstance(network, EncoderDecoder):
        raise ValueError(
            "`translator` must be one network on the plain path; load it with `plain=True`."
        )
    return network


def spell(pieces: Sequence[str]) -> list[str]:
    """What each piece adds to the text, a line's end for `</s>`.

    A character of several bytes comes with its last one.
    """
    texts, pending, begins = [], b"", True
    for piece in pieces:
        if match := _BYTE.fullmatch(piece):
            pending += bytes([int(match[1], 16)])
            try:
                text, pending = pending.decode(), b""
            except UnicodeDecodeError:
                text = ""
        else:
            text, pending = _SPECIAL.get(piece, piece.replace("▁", " ")), b""
        # Every line begins with a space that is none of the text.
        texts.append(text.removeprefix(" ") if begins else text)
        begins = text == "\n"
    return texts


_BYTE = re.compile("<0x([0-9A-F]{2})>")
_SPECIAL = {"<pad>": "", "<s>": "", "</s>": "\n", "<unk>": "\u2047"}

_Step = tuple[Tensor, CellState, CellState]
"""The projected inputs, and the state before and after."""


@contextlib.contextmanager
def _recording(cells: Mapping[str, Cell]) -> Iterator[dict[str, list[_Step]]]:
    """Inside of it cells run the plain way; gives the steps of each, in the order of its run."""
    steps: dict[str, list[_Step]] = {name: [] for name in cells}
    with contextlib.ExitStack() as stack:
        for name, cell in cells.items():

            def write_down(
                _: Cell, given: tuple[Tensor, CellState], after: CellState, name: str = name
            ) -> None:
                steps[name].append((*given, after))

            stack.enter_context(cell.register_forward_hook(write_down))
        stack.enter_context(plain_path())
        stack.enter_context(torch.no_grad())
        yield steps


def _record_ids(language_model: LanguageModel, ids: Sequence[int]) -> Recording:
    """The layers after each of the ids, which follow `first_id`."""
    network = language_model.network
    cells = {
        f"layer {number}": cast(Cell, cell) for number, cell in enumerate(network.layers, start=1)
    }
    with _recording(cells) as steps:
        first = torch.tensor([[language_model.first_id, *ids]], device=language_model.device)
        network(first, network.start(1))
    pieces = language_model.tokenizer.pieces(ids)
    return Recording({name: _layer(cell, steps[name][1:], pieces) for name, cell in cells.items()})


def _layer(
    cell: Cell, steps: Sequence[_Step], pieces: Sequence[str], *, backward: bool = False
) -> LayerRecording:
    """Puts the steps of one layer together; those of a run to the left are turned round."""
    ordered = steps[::-1] if backward else steps
    projected = torch.cat([step[0] for step in ordered])
    hidden_before = torch.cat([before[0] for _, before, _ in ordered])
    with torch.no_grad():
        recurrent = linear(hidden_before, cell.weight_hh, cell.bias_hh)
    after = [torch.cat(parts) for parts in zip(*(state for *_, state in ordered), strict=True)]
    return LayerRecording(
        pieces,
        after[0],
        after[1] if len(after) > 1 else None,
        cell.gates(projected.to(hidden_before.dtype), recurrent.to(hidden_before.dtype)),
    )


def _join(layers: Sequence[LayerRecording]) -> LayerRecording:
    memories = [layer.memory_cells for layer in layers if layer.memory_cells is not None]
    return LayerRecording(
        list(itertools.chain.from_iterable(layer.pieces for layer in layers)),
        torch.cat([layer.hidden_states for layer in layers]),
        torch.cat(memories) if memories else None,
        {gate: torch.cat([layer.gates[gate] for layer in layers]) for gate in layers[0].gates},
    )
