"""The yardstick: the translation network as a tutorial writes it, with our weights and our text.

Float32, torch's own layers, a Python loop over the target with the vocabulary layer inside, torch's
cross-entropy and Adam; a beam search that repeats what the encoder found for every hypothesis,
takes the log-softmax of the whole vocabulary and the best of beam x vocabulary, and keeps all
sentences of a batch until the last one is finished. Benchmarks quote all else as multiples of it.

    python benchmarks/yardstick.py check --against FILE

times it beside another file of its kind, whose functions `train(n)` and `decode(n)` give target
pieces and sentences per second, so that a slow yardstick flatters nobody.
"""

import argparse
import math
import os
import runpy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import torch
from measure import Result, add_options, per_second, prepare, report, take_turns
from shapes import SHAPES, random_ids
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID, ModelConfig, Recipe
from seq2seq.data.batch import make_batch
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.tokenizer import Tokenizers
from seq2seq.decoding.length_penalty import LENGTH_PENALTIES
from seq2seq.model_directory import load_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder

LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
STEPS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}

State = tuple[Tensor, ...]
"""Of one layer: the hidden state, and for an LSTM its memory cell; each [rows, hidden_size]."""
Memory = tuple[Tensor, ...]
"""Encoder outputs, their keys and padding; without attention the last hidden state."""


class Yardstick(nn.Module):
    """The network of `seq2seq.models`, with the same weights and results; it has no dropout."""

    def __init__(
        self, config: ModelConfig, source_vocabulary_size: int, target_vocabulary_size: int
    ) -> None:
        super().__init__()
        self.config = config
        embedding, hidden, attention = (
            config.embedding_size,
            config.hidden_size,
            config.attention_size,
        )
        directions = 2 if config.bidirectional else 1
        kinds = 2 if config.cell == "lstm" else 1
        readout = embedding if config.tie_embeddings else hidden
        self.source_embedding = nn.Embedding(source_vocabulary_size, embedding, padding_idx=PAD_ID)
        self.target_embedding = (
            self.source_embedding
            if config.share_embeddings
            else nn.Embedding(target_vocabulary_size, embedding, padding_idx=PAD_ID)
        )
        self.encoder = nn.ModuleList(
            LAYERS[config.cell](
                size, hidden // directions, batch_first=True, bidirectional=config.bidirectional
            )
            for size in [embedding] + [hidden] * (config.encoder_layers - 1)
        )
        self.bridge = nn.ModuleList(
            nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(config.decoder_layers))
            for _ in range(kinds)
        )
        if config.attention == "bahdanau":
            self.query = nn.Linear(hidden, attention, bias=False)
            self.key = nn.Linear(hidden, attention)
            self.energy = nn.Linear(attention, 1, bias=False)
        self.cells = nn.ModuleList(
            STEPS[config.cell](size, hidden)
            for size in [embedding + hidden] + [hidden] * (config.decoder_layers - 1)
        )
        self.readout = nn.Linear(hidden + hidden + embedding, readout)
        self.output = nn.Linear(readout, target_vocabulary_size)
        if config.tie_embeddings:
            self.output.weight = self.target_embedding.weight

    @classmethod
    def from_model(cls, model: EncoderDecoder, config: ModelConfig) -> "Yardstick":
        """The yardstick with copies of a network's weights."""
        tables = (model.encoder.embedding, model.decoder.embedding)
        yardstick = cls(config, *(table.num_embeddings for table in tables))
        yardstick = yardstick.to(tables[0].weight.dtype)
        yardstick.load_state_dict({_name(n, config): t for n, t in model.state_dict().items()})
        return yardstick

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[list[State], Memory]:
        """Reads a batch.

        Args:
            source: [batch, source_length], padded at the end.
            lengths: [batch].

        Returns:
            The first state of each decoder layer, and the memory.
        """
        if self.config.reverse_source:
            source = _reverse(source, lengths)
        features, finals = self.source_embedding(source), []
        is_padded = bool(lengths.min() < source.shape[1])
        for index, layer in enumerate(self.encoder):
            inputs = features
            if is_padded:
                inputs = pack_padded_sequence(
                    features, lengths.cpu(), batch_first=True, enforce_sorted=False
                )
            outputs, final = layer(inputs)
            if is_padded:
                outputs, _ = pad_packed_sequence(outputs, batch_first=True)
            features = features + outputs if index >= 2 else outputs
            finals.append([part.transpose(0, 1).flatten(1) for part in _as_tuple(final)])
        if self.config.reverse_source:
            features = _reverse(features, lengths)
        states = self._bridge(finals)
        if self.config.attention == "none":
            return states, (finals[-1][0],)
        padding = torch.arange(source.shape[1], device=source.device) >= lengths.unsqueeze(1)
        return states, (features, self.key(features), padding)

    def step(
        self, y: Tensor, states: list[State], memory: Memory, position: int
    ) -> tuple[Tensor, list[State]]:
        """From embedded pieces [rows, embedding_size] to features [rows, readout_size]."""
        context = self._attend(states[0][0], memory, position)
        inputs, after = torch.cat([y, context], -1), []
        for index, (cell, state) in enumerate(zip(self.cells, states, strict=True)):
            after.append(_as_tuple(cell(inputs, state if len(state) > 1 else state[0])))
            inputs = inputs + after[-1][0] if index >= 2 else after[-1][0]
        return torch.tanh(self.readout(torch.cat([inputs, context, y], -1))), after

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Logits of all steps, [batch, target_length, vocabulary_size]."""
        states, memory = self.encode(source, lengths)
        y, outputs = self.target_embedding(target), []
        for position in range(target.size(1)):
            features, states = self.step(y[:, position], states, memory, position)
            outputs.append(self.output(features))
        return torch.stack(outputs, 1)

    def loss(
        self,
        source: Tensor,
        lengths: Tensor,
        target: Tensor,
        labels: Tensor,
        label_smoothing: float = 0.1,
    ) -> Tensor:
        """Mean over the real target pieces."""
        return functional.cross_entropy(
            self(source, lengths, target).flatten(0, 1),
            labels.flatten(),
            ignore_index=PAD_ID,
            label_smoothing=label_smoothing,
        )

    @torch.inference_mode()
    def search(
        self,
        source: Tensor,
        lengths: Tensor,
        max_lengths: Sequence[int],
        *,
        beam_size: int,
        length_penalty: float = 1.0,
        length_penalty_kind: str = "power",
    ) -> list[list[int]]:
        """The best target ids of each sentence, by the rules of `decoding.beam_search`."""
        penalize = LENGTH_PENALTIES[length_penalty_kind]
        divisors = [penalize(max(n, 1), length_penalty) for n in range(max(max_lengths) + 1)]
        found = [_Found(divisors, max_length, beam_size) for max_length in max_lengths]
        batch, device = len(source), source.device
        states, memory = self.encode(source, lengths)
        states = [tuple(x.repeat_interleave(beam_size, 0) for x in state) for state in states]
        memory = tuple(x.repeat_interleave(beam_size, 0) for x in memory)
        tokens = torch.full((batch * beam_size, 1), BOS_ID, device=device)
        scores = torch.zeros(batch, beam_size, device=device)
        scores[:, 1:] = -math.inf
        first_rows = torch.arange(batch, device=device).unsqueeze(1) * beam_size
        for position in range(max(max_lengths)):
            y = self.target_embedding(tokens[:, -1])
            features, states = self.step(y, states, memory, position)
            logp = functional.log_softmax(self.output(features), -1)
            logp[:, [PAD_ID, BOS_ID]] = -math.inf
            vocabulary_size = logp.shape[1]
            logp = logp.view(batch, beam_size, -1) + scores.unsqueeze(-1)
            best, flat = logp.view(batch, -1).topk(2 * beam_size if beam_size > 1 else 1, -1)
            ids, rows = flat % vocabulary_size, first_rows + flat // vocabulary_size
            ranked = zip(best.tolist(), ids.tolist(), rows.tolist(), strict=True)
            for sentence, candidates in zip(found, ranked, strict=True):
                sentence.add(position + 1, *candidates, tokens)
            if all(sentence.done for sentence in found):
                break
            scores, order = best.masked_fill(ids == EOS_ID, -math.inf).topk(beam_size, -1)
            rows = rows.gather(1, order).flatten()
            tokens = torch.cat([tokens[rows], ids.gather(1, order).view(-1, 1)], 1)
            states = [tuple(x[rows] for x in state) for state in states]
        return [max(sentence.ended)[-1] for sentence in found]

    def _bridge(self, finals: list[list[Tensor]]) -> list[State]:
        """The topmost layers meet; lower ones of a deeper decoder take the encoder's first."""
        offset = len(finals) - len(self.cells)
        states = []
        for layer in range(len(self.cells)):
            final = finals[max(0, layer + offset)]
            linears = [cast(nn.ModuleList, of_kind)[layer] for of_kind in self.bridge]
            hidden, *cell = (linear(part) for linear, part in zip(linears, final, strict=True))
            states.append((torch.tanh(hidden), *cell))
        return states

    def _attend(self, hidden: Tensor, memory: Memory, position: int) -> Tensor:
        """The context [rows, hidden_size]."""
        if self.config.attention == "none":
            (summary,) = memory
            first_only = self.config.context_steps == "first"
            return torch.zeros_like(summary) if first_only and position else summary
        outputs, keys, padding = memory
        energy = self.energy(torch.tanh(self.query(hidden).unsqueeze(1) + keys)).squeeze(-1)
        energy = energy.masked_fill(padding, -math.inf)
        return torch.bmm(functional.softmax(energy, -1).unsqueeze(1), outputs).squeeze(1)


class YardstickTranslator:
    """The yardstick between text and text, as `Translator` is for the toolkit's own search."""

    def __init__(self, model: Yardstick, tokenizers: Tokenizers, recipe: Recipe) -> None:
        self.model, self.tokenizers, self.recipe = model.eval(), tokenizers, recipe

    def translate(
        self, sentences: Sequence[str], *, beam_size: int = 5, batch_size: int = 64
    ) -> list[str]:
        """Translates sentences in their order; none may be blank, and long ones are not split."""
        search, corpus = self.recipe.search, self.recipe.corpus
        device = self.model.output.bias.device
        without_spaces = corpus.remove_spaces in ("source", "both")
        cleaned = [clean_sentence(s, without_spaces=without_spaces) for s in sentences]
        source_ids = self.tokenizers.source.encode_batch(cleaned)
        texts: list[str] = []
        for start in range(0, len(source_ids), batch_size):
            part = source_ids[start : start + batch_size]
            batch = make_batch(part, [[] for _ in part]).to(device)
            found = self.model.search(
                batch.source_ids,
                batch.source_lengths,
                [int(search.max_length_ratio * (len(ids) + 1)) + 10 for ids in part],
                beam_size=beam_size,
                length_penalty=search.length_penalty,
                length_penalty_kind=search.length_penalty_kind,
            )
            texts += [self.tokenizers.target.decode(ids) for ids in found]
        return texts


def load(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> YardstickTranslator:
    """The yardstick with the weights of a model directory."""
    loaded = load_model_directory(path)
    model = Yardstick.from_model(loaded.model, loaded.recipe.model).to(device)
    return YardstickTranslator(model, loaded.tokenizers, loaded.recipe)


def train_step(
    model: Yardstick,
    optimizer: torch.optim.Optimizer,
    source: Tensor,
    lengths: Tensor,
    target: Tensor,
    labels: Tensor,
) -> None:
    """Loss, gradients, clipping and optimiser as tutorials write them."""
    loss = model.loss(source, lengths, target, labels)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


class _Found:
    """What has ended of one sentence, as (has an end, score, ids)."""

    def __init__(self, divisors: list[float], max_length: int, beam_size: int) -> None:
        self.divisors, self.max_length, self.beam_size = divisors, max_length, beam_size
        self.ended: list[tuple[bool, float, list[int]]] = []
        self.done = False

    def add(
        self, length: int, scores: list[float], ids: list[int], rows: list[int], tokens: Tensor
    ) -> None:
        """Looks through the candidates of a step, best first."""
        if self.done:
            return
        is_last = length == self.max_length
        for rank in range(min(self.beam_size, len(ids))):
            if ids[rank] == EOS_ID or is_last:
                score = scores[rank] / self.divisors[length]
                path = [*tokens[rows[rank], 1:].tolist(), ids[rank]]
                self.ended.append((ids[rank] == EOS_ID, score, path))
        living = max(
            (s for s, i in zip(scores, ids, strict=True) if i != EOS_ID), default=-math.inf
        )
        stopped = [score for has_end, score, _ in self.ended if has_end]
        to_beat = max(stopped, default=-math.inf)
        is_full = len(stopped) >= self.beam_size and living / self.divisors[length] <= to_beat
        self.done = is_last or is_full or living / self.divisors[self.max_length] <= to_beat


def _as_tuple(state: Tensor | State) -> State:
    return state if isinstance(state, tuple) else (state,)


def _reverse(sequence: Tensor, lengths: Tensor) -> Tensor:
    """Each sentence back to front, its padding still at the end."""
    positions = torch.arange(sequence.shape[1], device=sequence.device)
    places = torch.where(
        positions < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - positions, positions
    )
    return sequence[torch.arange(len(sequence), device=sequence.device).unsqueeze(1), places]


_NAMES = {
    "encoder.embedding": "source_embedding",
    "encoder.layers": "encoder",
    "bridge.projections": "bridge",
    "decoder.embedding": "target_embedding",
    "decoder.attention.project_query": "query",
    "decoder.attention.project_key": "key",
    "decoder.attention.score": "energy",
    "decoder.layers": "cells",
    "decoder.readout": "readout",
    "decoder.vocabulary": "output",
}


def _name(name: str, config: ModelConfig) -> str:
    """What a weight of `EncoderDecoder` is called here."""
    prefix = next(prefix for prefix in _NAMES if name.startswith(f"{prefix}."))
    rest = name.removeprefix(prefix)
    if prefix == "encoder.layers":  # .layer.direction.weight_ih, which torch writes in one word
        _, layer, direction, weight = rest.split(".")
        # Reading backwards makes the first of torch's two directions run from the end, too.
        return f"encoder.{layer}.{weight}_l0{'_reverse' if direction == '1' else ''}"
    return _NAMES[prefix] + rest


def check(against: Path, rounds: int, batch: int = 128, sentences: int = 64) -> Result:
    """Times the yardstick and another file of its kind, on the sizes of that file's defaults."""
    shape, length = SHAPES["common"], 16
    other = runpy.run_path(str(against))
    model = Yardstick(shape, 8000, 8000)
    optimizer = torch.optim.Adam(model.parameters())
    ids = [random_ids((batch, length)) for _ in range(3)]
    lengths = torch.full((batch,), length)

    def search() -> None:
        source = ids[0][:sentences]
        model.search(source, lengths[:sentences], [length] * sentences, beam_size=5)

    def train() -> None:
        train_step(model, optimizer, ids[0], lengths, ids[1], ids[2])

    result = Result("yardstick")
    for title, run, rate, work in (
        ("training, target pieces/s", train, other["train"], batch * length),
        ("decoding, sentences/s", search, other["decode"], sentences),
    ):
        # The other file warms up by itself in each call, so what it returns counts.
        rates: list[float] = []
        runs: dict[str, Callable[[], object]] = {
            "yardstick": run,
            against.name: partial(_append_rate, rates, rate),
        }
        times = take_turns(runs, rounds)
        times[against.name] = [work / rate for rate in rates[1:]]
        result.table(title, per_second(times, dict.fromkeys(times, work), against.name))
    return result


def _append_rate(rates: list[float], measure_rate: Callable[[int], float]) -> None:
    rates.append(measure_rate(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("command", choices=["check"])
    parser.add_argument("--against", type=Path, required=True, metavar="FILE")
    add_options(parser)
    arguments = parser.parse_args()
    prepare(arguments)
    report(check(arguments.against, arguments.rounds), arguments)


if __name__ == "__main__":
    main()
