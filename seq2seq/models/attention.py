"""What joins encoder and decoder: a fixed-length context, or Bahdanau attention in its place.

To add an attention, write a subclass of `Attention` and one line of `ATTENTIONS`; with a `run` of
its own it trains faster. Nothing is remembered on a module: `prepare` makes a `Memory` once per
sentence, every step receives it.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.config import ModelConfig
from seq2seq.models.cells import Cell, CellState
from seq2seq.models.encoder import EncoderOutput
from seq2seq.models.fast_recurrence import AttentionWeights, run_attention_recurrence
from seq2seq.models.products import linear
from seq2seq.models.recurrence import run_in_stretches


class Memory(NamedTuple):
    """What the decoder may look at, one entry per sentence however many rows ask."""

    values: Tensor  # [sentences, source_length, encoder_size]; fixed context: source_length 1
    keys: Tensor | None = None  # [sentences, source_length, attention_size]
    mask: Tensor | None = None  # [sentences, source_length], True at real tokens

    def select_sentences(self, indices: Tensor) -> "Memory":
        """Keeps the sentences of `indices` [kept], in that order."""
        return Memory(
            self.values.index_select(0, indices),
            None if self.keys is None else self.keys.index_select(0, indices),
            None if self.mask is None else self.mask.index_select(0, indices),
        )


class Attended(NamedTuple):
    """What all steps of the layer that asks have come to."""

    hidden: Tensor  # [target_length, batch, hidden_size]
    contexts: Tensor  # [target_length, batch, encoder_size]
    alignments: Tensor | None = None  # [target_length, batch, source_length], if asked for


class Attention(nn.Module):
    """Gives a context for every query."""

    @classmethod
    def from_config(cls, config: ModelConfig) -> "Attention":
        """Makes the part that a recipe's `model` section describes."""
        raise TypeError(f"{cls.__name__} cannot be made from a recipe.")

    def prepare(self, encoded: EncoderOutput) -> Memory:
        """Does once per sentence what no step changes."""
        raise TypeError(f"{type(self).__name__} prepares no memory.")

    def forward(
        self, query: Tensor, memory: Memory, *, position: int
    ) -> tuple[Tensor, Tensor | None]:
        """Looks into the memory.

        Args:
            query: Decoder states before the step, [rows, hidden_size]; rows stand grouped by
                sentence, the same number for each.
            memory: What `prepare` made of the sentences.
            position: Number of the target step, from 0.

        Returns:
            The context [rows, encoder_size] and the alignment [rows, source_length], whose rows
            sum to 1, or None where there is none.
        """
        raise TypeError(f"{type(self).__name__} gives no context.")

    def run(
        self,
        cell: Cell,
        context_weight: Tensor,
        from_embedding: Tensor,
        state: CellState,
        memory: Memory,
        *,
        position: int,
        stretch: int,
        with_alignments: bool = False,
    ) -> Attended:
        """Takes all steps of the layer that asks, one row per sentence.

        Args:
            cell: The cell of that layer.
            context_weight: Its input weights for the context, [gates * hidden_size, encoder_size].
            from_embedding: The embeddings' share in its gates,
                [target_length, batch, gates * hidden_size].
            state: Where it starts, each [batch, hidden_size].
            position: Number of the first target step.
            stretch: Steps after which gradients flow no further back.
            with_alignments: The alignments are wanted, too, where there are any.
        """
        hidden, contexts, alignments = [], [], []
        for index, projected in enumerate(from_embedding.unbind()):
            if index and index % stretch == 0:
                state = tuple(part.detach() for part in state)
            context, alignment = self(state[0], memory, position=position + index)
            from_context = linear(context, context_weight)
            state = cell(projected.to(state[0].dtype) + from_context, state)
            hidden.append(state[0])
            contexts.append(context)
            alignments += [] if alignment is None else [alignment]
        stacked = torch.stack(alignments) if with_alignments and alignments else None
        return Attended(torch.stack(hidden), torch.stack(contexts), stacked)


class FixedContext(Attention):
    """The encoder's summary, whatever the query.

    Args:
        every_step: The summary enters every decoder step (Cho et al., 2014,
            https://arxiv.org/abs/1406.1078) instead of the first one only (Sutskever et al., 2014,
            https://arxiv.org/abs/1409.3215).
    """

    def __init__(self, *, every_step: bool) -> None:
        super().__init__()
        self.every_step = every_step

    @classmethod
    def from_config(cls, config: ModelConfig) -> "FixedContext":
        """See `Attention.from_config`."""
        return cls(every_step=config.context_steps == "every")

    def prepare(self, encoded: EncoderOutput) -> Memory:
        """Takes the last layer's hidden state after the last step as the summary."""
        return Memory(values=encoded.final_state[0][-1].unsqueeze(1))

    def forward(self, query: Tensor, memory: Memory, *, position: int) -> tuple[Tensor, None]:
        """See `Attention.forward`."""
        sentences, _, encoder_size = memory.values.shape
        context = memory.values.expand(sentences, len(query) // sentences, encoder_size)
        context = context.reshape(len(query), encoder_size)
        return (context if self.every_step or position == 0 else torch.zeros_like(context)), None

    def run(
        self,
        cell: Cell,
        context_weight: Tensor,
        from_embedding: Tensor,
        state: CellState,
        memory: Memory,
        *,
        position: int,
        stretch: int,
        with_alignments: bool = False,
    ) -> Attended:
        """See `Attention.run`; since no context hangs on a state, all leave the loop."""
        length = len(from_embedding)
        context = memory.values.transpose(0, 1)  # [1, batch, encoder_size]
        num_seen = length if self.every_step else int(position == 0)
        seen = context.expand(num_seen, -1, -1)
        contexts = torch.cat([seen, torch.zeros_like(context).expand(length - num_seen, -1, -1)])
        from_context = linear(context, context_weight)
        projected = torch.cat([from_embedding[:num_seen] + from_context, from_embedding[num_seen:]])
        return Attended(run_in_stretches(cell, projected, state, stretch=stretch), contexts)


class BahdanauAttention(Attention):
    """A mixture of encoder outputs, weighted anew for each query.

    Bahdanau et al. (2015), section A.1.2, https://arxiv.org/abs/1409.0473:
    `e_ij = v . tanh(W s_{i-1} + U h_j)`, `a_ij = softmax_j e_ij`, `c_i = sum_j a_ij h_j`.
    """

    def __init__(self, query_size: int, encoder_size: int, attention_size: int) -> None:
        super().__init__()
        self.project_query = nn.Linear(query_size, attention_size, bias=False)
        self.project_key = nn.Linear(encoder_size, attention_size)
        self.score = nn.Linear(attention_size, 1, bias=False)
        for layer in (self.project_query, self.project_key, self.score):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.project_key.bias)

    @classmethod
    def from_config(cls, config: ModelConfig) -> "BahdanauAttention":
        """See `Attention.from_config`."""
        return cls(config.hidden_size, config.hidden_size, config.attention_size)

    def prepare(self, encoded: EncoderOutput) -> Memory:
        """Projects the encoder outputs to keys."""
        key = self.project_key
        return Memory(
            values=encoded.encoder_outputs,
            keys=linear(encoded.encoder_outputs, key.weight, key.bias),
            mask=encoded.source_mask,
        )

    def forward(self, query: Tensor, memory: Memory, *, position: int) -> tuple[Tensor, Tensor]:
        """See `Attention.forward`."""
        if memory.keys is None or memory.mask is None:
            raise ValueError("This memory was not prepared by a BahdanauAttention.")
        sentences = len(memory.keys)
        projected = linear(query, self.project_query.weight, None)
        projected = projected.view(sentences, -1, 1, projected.shape[-1])
        energies = torch.tanh(projected + memory.keys.unsqueeze(1))
        values = memory.values
        # Too small to gain from low precision, whose products cost more to set up than these take.
        with torch.autocast(query.device.type, enabled=False):
            weight = self.score.weight.to(values.dtype)
            scores = functional.linear(energies.to(values.dtype), weight).squeeze(-1)
            scores = scores.masked_fill(~memory.mask.unsqueeze(1), -torch.inf)
            alignment = scores.softmax(dim=-1)  # [sentences, rows per sentence, source_length]
            context = torch.bmm(alignment, values)
        return context.flatten(0, 1), alignment.flatten(0, 1)

    def run(
        self,
        cell: Cell,
        context_weight: Tensor,
        from_embedding: Tensor,
        state: CellState,
        memory: Memory,
        *,
        position: int,
        stretch: int,
        with_alignments: bool = False,
    ) -> Attended:
        """See `Attention.run`."""
        if memory.keys is None or memory.mask is None or not cell.has_gradient:
            return super().run(
                cell, context_weight, from_embedding, state, memory,
                position=position, stretch=stretch, with_alignments=with_alignments,
            )  # fmt: skip
        attended = run_attention_recurrence(
            cell,
            AttentionWeights(
                context_weight, self.project_query.weight, self.score.weight.squeeze(0)
            ),
            from_embedding,
            memory.keys,
            memory.values,
            memory.mask,
            state,
            stretch=stretch,
            with_alignments=with_alignments,
        )
        return Attended(*attended)


ATTENTIONS: dict[str, type[Attention]] = {"bahdanau": BahdanauAttention, "none": FixedContext}
