"""A trained network rearranged for search: faster, the numbers of `EncoderDecoder` itself.

The equations stand in the plain modules; this file says what it reorders.

* Weights are packed once, in the precision that was chosen (`models/packed.py`).
* Products that share an input are one: the state enters the gates and the attention's query.
* `tanh(q + k) = 1 - 2 / (1 + e^2q e^2k)`, and softmax does not see what all positions have in
  common, so an energy is `-2 sum_j v_j / (1 + Q_j K_j)` with `Q = e^2q`, and `K = e^2k` once per
  sentence: a twentieth of the time of the tanh.
* With a shortlist, each sentence has a vocabulary layer of its own, of a few hundred pieces.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seq2seq.config import PAD_ID, choose
from seq2seq.models.attention import Attention, BahdanauAttention, Memory
from seq2seq.models.cells import Cell, CellState, fast_tanh
from seq2seq.models.decoder import Decoder
from seq2seq.models.encoder import Encoder, EncoderOutput, RecurrentState
from seq2seq.models.encoder_decoder import Bridge, EncoderDecoder
from seq2seq.models.fast_recurrence import bounded_exponential, inverse_of
from seq2seq.models.packed import ARITHMETICS, Arithmetic, Float32
from seq2seq.models.weightless import without_weights


class Shortlist(NamedTuple):
    """The vocabulary layer of each sentence."""

    ids: Tensor  # [sentences, candidates], padded
    weight: Tensor  # [sentences, candidates, readout_size]
    bias: Tensor  # [sentences, 1, candidates], -inf at padding

    def select_sentences(self, indices: Tensor) -> "Shortlist":
        """Keeps the sentences of `indices` [kept], in that order."""
        return Shortlist(*(part.index_select(0, indices) for part in self))


class InferenceState(NamedTuple):
    """What a search carries from step to step: decoder states by row, the rest by sentence."""

    layers: tuple[CellState, ...]  # the bottom one first, each part [rows, hidden_size]
    position: int  # target steps taken
    memory: Memory
    shortlist: Shortlist | None = None
    alignment: Tensor | None = None  # [rows, source_length] of the step that led here

    @property
    def candidate_ids(self) -> Tensor | None:
        """The ids that the logits stand for, [sentences, candidates]; None for all."""
        return None if self.shortlist is None else self.shortlist.ids

    def select(self, rows: Tensor) -> "InferenceState":
        """Gathers rows, which may repeat, and forgets the alignment."""
        layers = tuple(tuple(part.index_select(0, rows) for part in layer) for layer in self.layers)
        return self._replace(layers=layers, alignment=None)

    def select_sentences(self, indices: Tensor) -> "InferenceState":
        """Keeps the memory of some sentences; the rows stay."""
        shortlist = self.shortlist and self.shortlist.select_sentences(indices)
        return self._replace(memory=self.memory.select_sentences(indices), shortlist=shortlist)


class InferenceModel:
    """What a search needs of a network, and nothing that training needs.

    Args:
        model: In float32. It is only read, and may be dropped: of its weights the embeddings and
            the weights of shortlists may be shared with it, the others are copied.
        precision: A name in `ARITHMETICS`.
        with_shortlists: False spares the memory that `candidate_ids` need.
    """

    def __init__(
        self, model: EncoderDecoder, precision: str, *, with_shortlists: bool = True
    ) -> None:
        arithmetic = choose(ARITHMETICS, precision, field="precision")()
        self._encoder = _Encoder(model.encoder, arithmetic)
        self._bridge = _Bridge(model.bridge)
        self._decoder = _Decoder(
            model.decoder, self._encoder.bound, arithmetic, with_shortlists=with_shortlists
        )

    def start(
        self, source_ids: Tensor, source_lengths: Tensor, candidate_ids: Tensor | None = None
    ) -> InferenceState:
        """Reads the sources; the state before the first step, one row per sentence.

        Args:
            source_ids: [batch, source_length], padded at the end.
            source_lengths: [batch], each at least 1.
            candidate_ids: The target ids that count for each sentence, [batch, candidates], padded
                with `PAD_ID`; all of them if not given.
        """
        encoded = self._encoder(source_ids, source_lengths)
        layers = self._bridge(encoded.final_state)
        shortlist = None if candidate_ids is None else self._decoder.shortlist(candidate_ids)
        return InferenceState(layers, 0, self._decoder.context.prepare(encoded), shortlist)

    def step(self, previous_ids: Tensor, state: InferenceState) -> tuple[Tensor, InferenceState]:
        """One step of a search.

        Args:
            previous_ids: The last piece of each row, [rows].

        Returns:
            Unnormalised log-probabilities in float32, [rows, vocabulary_size] or
            [rows, candidates], and the state after the step.
        """
        return self._decoder.step(previous_ids, state)


class _Encoder:
    def __init__(self, encoder: Encoder, arithmetic: Arithmetic) -> None:
        self.embedding, embedding_bound = _lower_embedding(encoder.embedding.weight, arithmetic)
        self.lower = arithmetic.lower
        # From the third layer on, outputs are sums of one more layer each.
        self.bounds = [max(index, 1) for index in range(len(encoder.layers))]
        self.bound = self.bounds[-1]
        self.layers = [
            [
                _Direction(cell, is_reversed, bound, arithmetic)
                for cell, is_reversed in zip(
                    cast(Iterable[Cell], layer), encoder.reversed, strict=True
                )
            ]
            for layer, bound in zip(encoder.layers, [embedding_bound, *self.bounds], strict=False)
        ]

    def __call__(self, source_ids: Tensor, source_lengths: Tensor) -> EncoderOutput:
        packed = pack_padded_sequence(
            source_ids, source_lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        sizes = packed.batch_sizes.tolist()
        backwards = _backwards(packed.batch_sizes).to(source_ids.device)
        low_inputs = self.embedding.index_select(0, packed.data)
        final_states: list[CellState] = []
        features = low_inputs
        for index, (layer, bound) in enumerate(zip(self.layers, self.bounds, strict=True)):
            outputs, finals = zip(
                *(direction(low_inputs, sizes, backwards) for direction in layer), strict=True
            )
            joined = torch.cat(outputs, dim=-1)
            features = features + joined if index >= 2 else joined
            final_states.append(
                tuple(torch.cat(parts, dim=-1) for parts in zip(*finals, strict=True))
            )
            if index + 1 < len(self.layers):
                low_inputs = self.lower(features, bound)
        sequence = PackedSequence(
            features, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices
        )
        encoder_outputs, _ = pad_packed_sequence(sequence, batch_first=True)
        final_state = tuple(
            torch.stack(parts)[:, packed.unsorted_indices]
            for parts in zip(*final_states, strict=True)
        )
        positions = torch.arange(source_ids.shape[1], device=source_ids.device)
        source_mask = positions < source_lengths.to(source_ids.device).unsqueeze(1)
        return EncoderOutput(encoder_outputs, final_state, source_mask)


class _Direction:
    """A layer of the encoder in one direction."""

    def __init__(self, cell: Cell, is_reversed: bool, bound: float, arithmetic: Arithmetic) -> None:
        self.cell = equations(cell)
        self.is_reversed = is_reversed
        self.lower = arithmetic.lower
        bounds = _bounds((cell.weight_ih.shape[1], bound))
        self.from_inputs = arithmetic.pack(cell.weight_ih, cell.bias_ih, bounds)
        self.from_state = arithmetic.pack(cell.weight_hh, cell.bias_hh)

    def __call__(
        self, low_inputs: Tensor, sizes: list[int], backwards: Tensor
    ) -> tuple[Tensor, CellState]:
        """Runs over packed steps; gives the packed outputs and the final state of each sentence."""
        projected = self.from_inputs(self._turn(low_inputs, backwards))
        zeros = projected.new_zeros(sizes[0], self.cell.hidden_size)
        state: CellState = (zeros,) * self.cell.num_states
        outputs: list[Tensor] = []
        finished: list[CellState] = []  # states of sentences that ended, the shortest first
        for step in projected.split(sizes):
            if len(step) < len(state[0]):
                finished.append(tuple(part[len(step) :] for part in state))
                state = tuple(part[: len(step)] for part in state)
            state = advance(self.cell, step, self.from_state(self.lower(state[0])), state)
            outputs.append(state[0])
        finished.append(state)
        final = tuple(torch.cat(parts) for parts in zip(*finished[::-1], strict=True))
        return self._turn(torch.cat(outputs), backwards), final

    def _turn(self, packed: Tensor, backwards: Tensor) -> Tensor:
        """Turns each sentence round, if that is the direction, or back."""
        return packed.index_select(0, backwards) if self.is_reversed else packed


class _Bridge:
    """See `Bridge`; in float32, since memory cells have no bounds."""

    def __init__(self, bridge: Bridge) -> None:
        self.products = [
            [
                Float32().pack(layer.weight, layer.bias)
                for layer in cast(Iterable[nn.Linear], layers)
            ]
            for layers in cast(Iterable[nn.ModuleList], bridge.projections)
        ]

    def __call__(self, final_state: RecurrentState) -> tuple[CellState, ...]:
        bridged = []
        for kind, (part, products) in enumerate(zip(final_state, self.products, strict=True)):
            offset = len(part) - len(products)
            layers = [product(part[max(0, i + offset)]) for i, product in enumerate(products)]
            bridged.append([torch.tanh(layer) for layer in layers] if kind == 0 else layers)
        return tuple(zip(*bridged, strict=True))


class _Decoder:
    def __init__(
        self,
        decoder: Decoder,
        context_bound: float,
        arithmetic: Arithmetic,
        *,
        with_shortlists: bool,
    ) -> None:
        cells = [cast(Cell, cell) for cell in decoder.layers]
        bottom = cells[0]
        self.arithmetic = arithmetic
        self.cells = [equations(cell) for cell in cells]
        self.embedding, embedding_bound = _lower_embedding(decoder.embedding.weight, arithmetic)
        self.context_bound = context_bound
        embedding_size = decoder.embedding.embedding_dim
        hidden_size = bottom.hidden_size
        self.context = _context(decoder.attention, bottom.weight_hh, context_bound, arithmetic)
        hidden_bound = max(len(cells) - 1, 1)
        context_size = bottom.weight_ih.shape[1] - embedding_size
        bounds = _bounds(
            (hidden_size, hidden_bound),
            (context_size, context_bound),
            (embedding_size, embedding_bound),
        )
        query_weight = self.context.query_weight
        self.from_state = arithmetic.pack(
            torch.cat([bottom.weight_hh.detach(), query_weight]),
            torch.cat([bottom.bias_hh.detach(), query_weight.new_zeros(len(query_weight))]),
        )
        self.from_inputs = arithmetic.pack(
            torch.cat(
                [bottom.weight_ih[:, embedding_size:], bottom.weight_ih[:, :embedding_size]], dim=1
            ),
            bottom.bias_ih,
            bounds[hidden_size:],
        )
        self.above = [
            (
                arithmetic.pack(
                    cell.weight_ih, cell.bias_ih, _bounds((hidden_size, max(index, 1)))
                ),
                arithmetic.pack(cell.weight_hh, cell.bias_hh),
            )
            for index, cell in enumerate(cells[1:])
        ]
        self.read_out = arithmetic.pack(decoder.readout.weight, decoder.readout.bias, bounds)
        vocabulary = decoder.vocabulary
        self.vocabulary = arithmetic.pack(vocabulary.weight, vocabulary.bias)
        if with_shortlists:
            self.shortlist_weight = vocabulary.weight.detach().to(arithmetic.batch_dtype)
            self.vocabulary_bias = vocabulary.bias.detach()

    def step(self, previous_ids: Tensor, state: InferenceState) -> tuple[Tensor, InferenceState]:
        """See `InferenceModel.step`."""
        lower = self.arithmetic.lower
        bottom, *above = state.layers
        gates = self.cells[0].num_gates * self.cells[0].hidden_size
        from_state = self.from_state(lower(bottom[0]))
        context, alignment = self.context(
            bottom[0], from_state[:, gates:], state.memory, state.position
        )
        embedded = self.embedding.index_select(0, previous_ids)
        inputs = torch.cat([lower(context, self.context_bound), embedded], dim=1)
        after = advance(self.cells[0], self.from_inputs(inputs), from_state[:, :gates], bottom)
        layers, hidden = [after], after[0]
        for index, (cell, products, before) in enumerate(
            zip(self.cells[1:], self.above, above, strict=True), start=1
        ):
            from_below, from_before = products
            projected = from_below(lower(hidden, max(index - 1, 1)))
            after = advance(cell, projected, from_before(lower(before[0])), before)
            layers.append(after)
            hidden = hidden + after[0] if index >= 2 else after[0]
        joined = torch.cat([lower(hidden, max(len(layers) - 1, 1)), inputs], dim=1)
        features = fast_tanh(self.read_out(joined))
        return self._logits(features, state.shortlist), InferenceState(
            tuple(layers), state.position + 1, state.memory, state.shortlist, alignment
        )

    def shortlist(self, candidate_ids: Tensor) -> Shortlist:
        """The rows of the vocabulary layer that count for each sentence."""
        weight = functional.embedding(candidate_ids, self.shortlist_weight)
        bias = self.vocabulary_bias[candidate_ids].masked_fill(candidate_ids == PAD_ID, -torch.inf)
        return Shortlist(candidate_ids, weight, bias.unsqueeze(1))

    def _logits(self, features: Tensor, shortlist: Shortlist | None) -> Tensor:
        if shortlist is None:
            return self.vocabulary(self.arithmetic.lower(features))
        by_sentence = features.view(len(shortlist.ids), -1, features.shape[-1])
        products = torch.bmm(by_sentence.to(shortlist.weight.dtype), shortlist.weight.mT)
        return (products + shortlist.bias).flatten(0, 1)


class _FastBahdanau:
    """Bahdanau attention with its tanh turned into a product and a reciprocal."""

    def __init__(
        self, attention: BahdanauAttention, context_bound: float, arithmetic: Arithmetic
    ) -> None:
        key, self.score = attention.project_key, -2 * attention.score.weight.detach().squeeze(0)
        self.query_weight = 2 * attention.project_query.weight.detach()
        self.lower, self.bound = arithmetic.lower, context_bound
        self.project_key = arithmetic.pack(
            2 * key.weight.detach(),
            2 * key.bias.detach(),
            _bounds((key.in_features, context_bound)),
        )

    def prepare(self, encoded: EncoderOutput) -> Memory:
        """The encoder outputs, and `e^2k` of their keys."""
        outputs = encoded.encoder_outputs
        keys = self.project_key(self.lower(outputs.flatten(0, 1), self.bound))
        is_padded = not bool(encoded.source_mask.all())
        return Memory(
            values=outputs,
            keys=bounded_exponential(keys).unflatten(0, outputs.shape[:2]),
            mask=encoded.source_mask if is_padded else None,
        )

    def __call__(
        self, hidden: Tensor, query: Tensor, memory: Memory, position: int
    ) -> tuple[Tensor, Tensor]:
        """See `Attention.forward`; `query` is projected already."""
        keys = cast(Tensor, memory.keys)
        queries = bounded_exponential(query).view(len(keys), -1, 1, query.shape[1])
        # [sentences, rows per sentence, source_length]
        scores = inverse_of(queries, keys.unsqueeze(1)) @ self.score
        if memory.mask is not None:
            scores = scores.masked_fill(~memory.mask.unsqueeze(1), -torch.inf)
        alignment = scores.softmax(dim=-1)
        context = torch.bmm(alignment, memory.values)
        return context.flatten(0, 1), alignment.flatten(0, 1)


class _AnyAttention:
    """An attention as it stands."""

    def __init__(self, attention: Attention, state_weight: Tensor) -> None:
        self.attention = attention
        self.query_weight = state_weight.detach()[:0]  # its query is the state itself
        self.prepare = attention.prepare

    def __call__(
        self, hidden: Tensor, query: Tensor, memory: Memory, position: int
    ) -> tuple[Tensor, Tensor | None]:
        """See `Attention.forward`."""
        return self.attention(hidden, memory, position=position)


def _context(
    attention: Attention, state_weight: Tensor, context_bound: float, arithmetic: Arithmetic
) -> _FastBahdanau | _AnyAttention:
    if isinstance(attention, BahdanauAttention):
        return _FastBahdanau(attention, context_bound, arithmetic)
    return _AnyAttention(attention, state_weight)


def _lower_embedding(weight: Tensor, arithmetic: Arithmetic) -> tuple[Tensor, float]:
    """An embedding as products take it, and its bound."""
    weight = weight.detach()
    bound = float(weight.abs().amax())
    return arithmetic.lower(weight, bound), bound


def _bounds(*parts: tuple[int, float]) -> Tensor:
    """The bound of each input, from sizes and bounds of the parts that stand side by side."""
    return torch.cat([torch.full((size,), float(bound)) for size, bound in parts])


def equations(cell: Cell) -> Cell:
    """A cell of that kind and size, without memory behind its weights."""
    with without_weights():
        return type(cell)(1, cell.hidden_size)


def advance(cell: Cell, projected: Tensor, recurrent: Tensor, state: CellState) -> CellState:
    """The state after a step, by the faster equations if there are some."""
    if cell.has_gradient:  # then it has a fast step, too
        return cell.advance(projected, recurrent, state)[0]
    return cell.update(projected, recurrent, state)


def _backwards(batch_sizes: Tensor) -> Tensor:
    """For each place of packed steps, the place that comes there if sentences turn round."""
    sizes = batch_sizes.tolist()
    columns = torch.arange(sizes[0])
    lengths = (batch_sizes.unsqueeze(1) > columns).sum(0)
    first = batch_sizes.cumsum(0) - batch_sizes
    steps = torch.arange(len(sizes)).unsqueeze(1)
    places = first[(lengths - 1 - steps).clamp_min(0)] + columns
    return places[steps < lengths]
