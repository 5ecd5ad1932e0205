"""The recurrence with its gradient written out: what training spends its time on.

Automatic differentiation of a loop forms one weight gradient per step and adds them up, and keeps
every intermediate result. Here the loops keep what their gradients need, and multiply only what
hangs on the step before.

**A layer.** With inputs' shares `p_t` given, step t is `r_t = U h_{t-1} + d`, then
`s_t = f(p_t, r_t, s_{t-1})`, where `f` is `Cell.advance`. Backward, `Cell.backpropagate` turns the
gradient of `s_t` into those of `p_t`, `r_t` and directly of `s_{t-1}`, to which `U^T dr_t` is added
for its hidden state. All steps together, `dU = sum_t dr_t h_{t-1}^T` is one product of stacked
matrices, and `dp` is simply kept.

**A layer with attention** (Bahdanau et al., 2015). The query `q = W h_{t-1}` shares its input with
`r_t`, so both are one product. As `tanh(x) = 1 - 2 / (1 + e^{2x})`, with `Q = e^{2q}` and, once per
sentence, `K_j = e^{2k_j}`,

    e_j = v . tanh(q + k_j) = sum(v) - 2 v . r_j        r_j = 1 / (1 + Q K_j), elementwise

and softmax does not see `sum(v)`: a product and a reciprocal instead of a tanh, a twentieth of its
time. For the gradient `g_j` of `e_j`, since `d tanh = 4 r (1 - r)`,

    dv = -2 sum_j g_j r_j
    dk_j = 4 v * g_j r_j (1 - r_j)        dq = sum_j dk_j

where `r` is formed anew, so that nothing of [batch, target_length, source_length, size] is kept.
What a loss asks of the alignments themselves is added to their gradient from the contexts.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2seq.models.cells import Cell, CellState, StateGradient
from seq2seq.models.products import multiply, multiply_over_rows, product_dtype, to_rows

_LARGEST_EXPONENT = 80.0  # e^80 is a float32; beyond it tanh has long been 1


class AttentionWeights(NamedTuple):
    """Weights of the layer with attention, beside those of its cell."""

    context: Tensor  # [gates * hidden_size, encoder_size], the cell's for the context
    query: Tensor  # [attention_size, hidden_size]
    score: Tensor  # [attention_size]


def run_fast_recurrence(
    cell: Cell, projected: Tensor, batch_sizes: list[int], state: CellState, *, reverse: bool
) -> tuple[Tensor, CellState]:
    """See `recurrence.run_recurrence`."""
    outputs, *final = _Recurrence.apply(
        cell, batch_sizes, reverse, projected, cell.weight_hh, cell.bias_hh, *state
    )
    return outputs, tuple(final)


def run_attention_recurrence(
    cell: Cell,
    weights: AttentionWeights,
    from_embedding: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    state: CellState,
    *,
    stretch: int,
    with_alignments: bool = False,
) -> tuple[Tensor, ...]:
    """Carries a state through all target steps, looking into the memory at each.

    Args:
        from_embedding: The embeddings' share in the gates, [target_length, batch, gates * hidden].
        keys: [batch, source_length, attention_size].
        values: [batch, source_length, encoder_size].
        mask: [batch, source_length], True at real tokens.
        state: Each [batch, hidden_size].
        stretch: Steps after which gradients flow no further back.

    Returns:
        Hidden states and contexts, [target_length, batch, size]; behind them the alignments,
        [target_length, batch, source_length], if asked for.
    """
    return _AttentionRecurrence.apply(
        cell, stretch, with_alignments, mask, from_embedding, keys, values, *weights,
        cell.weight_hh, cell.bias_hh, *state,
    )  # fmt: skip


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        batch_sizes: list[int],
        reverse: bool,
        projected: Tensor,
        weight: Tensor,
        bias: Tensor,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        dtype, states_dtype = product_dtype(weight), initial[0].dtype
        ctx.cell, ctx.batch_sizes, ctx.projected_dtype = cell, batch_sizes, projected.dtype
        ctx.order = list(range(len(batch_sizes)))[:: -1 if reverse else 1]
        tapes = []
        with torch.autocast(weight.device.type, enabled=False):
            low_weight, low_bias = weight.to(dtype), bias.to(dtype)
            steps = projected.split(batch_sizes)
            outputs = list(steps)
            rows = _Rows(initial, batch_sizes[ctx.order[0]])
            for index in ctx.order:
                num_rows = batch_sizes[index]
                state = rows.resize(num_rows)
                inputs = to_rows(state[0], dtype)
                recurrent = multiply(inputs, low_weight, low_bias)[:num_rows]
                rows.state, tape = cell.advance(
                    steps[index].to(states_dtype), recurrent.to(states_dtype), state
                )
                outputs[index] = rows.state[0]
                tapes.append((inputs[:num_rows], *tape))
            _save(ctx, [(low_weight,), *tapes])
            return torch.cat(outputs), *rows.finish()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *final: Tensor) -> tuple[Any, ...]:
        cell, batch_sizes = ctx.cell, ctx.batch_sizes
        (weight,), *tapes = _saved(ctx)
        steps = gradient.split(batch_sizes)
        projected_gradients, recurrent_gradients = list(steps), []
        # The same walk the other way: rows that left come back, with the gradient of their end.
        rows = _Rows(final, batch_sizes[ctx.order[-1]])
        for index, (_, *tape) in zip(reversed(ctx.order), reversed(tapes), strict=True):
            num_rows = batch_sizes[index]
            hidden, *others = rows.resize(num_rows)
            projected, recurrent, direct = cell.backpropagate(
                tuple(tape), (hidden + steps[index], *others)
            )
            low = to_rows(recurrent, weight.dtype)
            through_product = multiply(low, weight.t())[:num_rows]
            rows.state = _with_hidden(direct, through_product, hidden.dtype)
            projected_gradients[index] = projected
            recurrent_gradients.append(low[:num_rows])
        weight_gradient, bias_gradient = _weight_gradients(
            recurrent_gradients, [inputs for inputs, *_ in reversed(tapes)], final[0].dtype
        )
        projected_gradient = torch.cat(projected_gradients).to(ctx.projected_dtype)
        return (
            None, None, None, projected_gradient, weight_gradient, bias_gradient, *rows.finish(),
        )  # fmt: skip


class _AttentionRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        stretch: int,
        with_alignments: bool,
        mask: Tensor,
        from_embedding: Tensor,
        keys: Tensor,
        values: Tensor,
        context_weight: Tensor,
        query_weight: Tensor,
        score: Tensor,
        weight: Tensor,
        bias: Tensor,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        dtype, states_dtype = product_dtype(weight), initial[0].dtype
        ctx.cell, ctx.stretch = cell, stretch
        ctx.dtypes = from_embedding.dtype, keys.dtype, values.dtype
        attention_size, num_rows = len(query_weight), len(keys)
        with torch.autocast(weight.device.type, enabled=False):
            low_context_weight = context_weight.to(dtype).contiguous()
            # The state enters the query and the gates: one product for both.
            state_weight = torch.cat([query_weight, weight]).to(dtype)
            state_bias = torch.cat([bias.new_zeros(attention_size), bias]).to(dtype)
            keys = bounded_exponential(2 * keys.to(states_dtype))
            values, score = values.to(states_dtype), score.to(states_dtype)
            outside = values.new_zeros(mask.shape, dtype=states_dtype)
            outside.masked_fill_(~mask, -torch.inf)
            state: CellState = initial
            hidden, contexts, alignments, tapes = [], [], [], []
            for projected in from_embedding.unbind():
                inputs = to_rows(state[0], dtype)
                both = multiply(inputs, state_weight, state_bias)[:num_rows].to(states_dtype)
                query = bounded_exponential(2 * both[:, :attention_size]).unsqueeze(1)
                scores = inverse_of(query, keys) @ (-2 * score)
                alignment = scores.add_(outside).softmax(dim=-1)
                context = torch.bmm(alignment.unsqueeze(1), values).squeeze(1)
                context_inputs = to_rows(context, dtype)
                from_context = multiply(context_inputs, low_context_weight)[:num_rows]
                projected = projected.to(states_dtype) + from_context
                state, tape = cell.advance(projected, both[:, attention_size:], state)
                hidden.append(state[0])
                contexts.append(context)
                alignments.append(alignment)
                tapes.append((inputs, context_inputs, query, alignment, *tape))
            _save(ctx, [(low_context_weight, state_weight, score, keys, values), *tapes])
            asked = [hidden, contexts, alignments] if with_alignments else [hidden, contexts]
            return tuple(map(torch.stack, asked))

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, hidden: Tensor, contexts: Tensor, alignments: Tensor | None = None
    ) -> tuple[Any, ...]:
        cell = ctx.cell
        shared, *steps = _saved(ctx)
        context_weight, state_weight, score, keys, values = shared
        dtype = state_weight.dtype
        _, num_rows, hidden_size = hidden.shape
        key_gradient = torch.zeros_like(keys)
        score_gradient = torch.zeros_like(score)
        state: CellState = (hidden.new_zeros(num_rows, hidden_size),) * cell.num_states
        start = state
        projected_gradients, low_projected, low_both, context_gradients = [], [], [], []
        for index in reversed(range(len(steps))):
            _, _, query_factor, alignment, *tape = steps[index]
            projected, recurrent, direct = cell.backpropagate(
                tuple(tape), (state[0] + hidden[index], *state[1:])
            )
            low = to_rows(projected, dtype)
            context = multiply(low, context_weight.t())[:num_rows] + contexts[index]
            aligned = torch.bmm(context.unsqueeze(1), values.transpose(1, 2)).squeeze(1)
            if alignments is not None:
                aligned += alignments[index]
            scores = torch._softmax_backward_data(aligned, alignment, -1, aligned.dtype)
            inverse = inverse_of(query_factor, keys)
            score_gradient.addmv_(inverse.flatten(0, 1).t(), scores.flatten(), alpha=-2)
            slope = torch.addcmul(inverse, inverse, inverse, value=-1)  # r (1 - r)
            query = torch.bmm(scores.unsqueeze(1), slope).squeeze(1).mul_(4 * score)
            key_gradient.addcmul_(scores.unsqueeze(-1), slope)
            both = to_rows(torch.cat([query, recurrent], dim=1), dtype)
            through_product = multiply(both, state_weight.t())[:num_rows]
            state = _with_hidden(direct, through_product, score.dtype)
            if index % ctx.stretch == 0 and index:
                state = start
            projected_gradients.append(projected)
            context_gradients.append(context)
            low_projected.append(low)
            low_both.append(both)
        inputs, context_inputs, _, looks, *_ = zip(*reversed(steps), strict=True)
        context_weight_gradient, _ = _weight_gradients(low_projected, context_inputs, score.dtype)
        weight_gradient, bias_gradient = _weight_gradients(low_both, inputs, score.dtype)
        attention_size = len(score)
        embedding_dtype, keys_dtype, values_dtype = ctx.dtypes
        value_gradient = torch.bmm(torch.stack(looks, dim=2), torch.stack(context_gradients, dim=1))
        return (
            None, None, None, None,
            torch.stack(projected_gradients[::-1]).to(embedding_dtype),
            key_gradient.mul_(4 * score).to(keys_dtype),
            value_gradient.to(values_dtype),
            context_weight_gradient,
            weight_gradient[:attention_size],
            score_gradient,
            weight_gradient[attention_size:],
            bias_gradient[attention_size:],
            *state,
        )  # fmt: skip


class _Rows:
    """A state whose rows come and go from step to step, always at its end."""

    def __init__(self, initial: CellState, num_rows: int) -> None:
        self.initial = initial
        self.state: CellState = tuple(part[:num_rows] for part in initial)
        self.left: list[CellState] = []  # states of rows that have left, the last rows first

    def resize(self, num_rows: int) -> CellState:
        """The state with so many rows; those that come bring their initial state."""
        present = len(self.state[0])
        if num_rows > present:
            coming = (part[present:num_rows] for part in self.initial)
            self.state = tuple(map(torch.cat, zip(self.state, coming, strict=True)))
        elif num_rows < present:
            self.left.append(tuple(part[num_rows:] for part in self.state))
            self.state = tuple(part[:num_rows] for part in self.state)
        return self.state

    def finish(self) -> CellState:
        """The last state of every row."""
        parts = [self.state, *self.left[::-1]]
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def _save(ctx: Any, groups: Sequence[tuple[Tensor, ...]]) -> None:
    """Keeps tensors for the backward pass, as long as autograd keeps the graph."""
    ctx.group_sizes = [len(group) for group in groups]
    ctx.save_for_backward(*itertools.chain.from_iterable(groups))


def _saved(ctx: Any) -> list[tuple[Tensor, ...]]:
    """What `_save` was given."""
    tensors = iter(ctx.saved_tensors)
    return [tuple(itertools.islice(tensors, size)) for size in ctx.group_sizes]


def bounded_exponential(inputs: Tensor) -> Tensor:
    """`e^x`, bounded so that no product of two is undefined."""
    return inputs.clamp(-_LARGEST_EXPONENT, _LARGEST_EXPONENT).exp_()


def inverse_of(query: Tensor, keys: Tensor) -> Tensor:
    """`1 / (1 + Q K)`, [..., source_length, attention_size]."""
    return torch.addcmul(keys.new_ones(()), query, keys).reciprocal_()


def _with_hidden(direct: StateGradient, hidden: Tensor, dtype: torch.dtype) -> CellState:
    """The gradient of a state from what reaches it directly and what comes through the product."""
    first, *others = direct
    return (hidden.to(dtype) if first is None else first + hidden, *others)


def _weight_gradients(
    gradients: Sequence[Tensor], inputs: Sequence[Tensor], dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias, from those of each step's product and its inputs."""
    stacked = torch.cat(tuple(gradients))
    low = to_rows(stacked, stacked.dtype)
    weight = multiply_over_rows(low, to_rows(torch.cat(tuple(inputs)), stacked.dtype))
    return weight.to(dtype), stacked.sum(0, dtype=dtype)
