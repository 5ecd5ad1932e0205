"""Recurrent cells: one step of a tanh RNN, a GRU or an LSTM.

To add a cell, write a subclass of `Cell` with its `update`, and its `gates` if it has any, and one
line of `CELLS`; it trains faster if it has `advance` and `backpropagate`, too. Parameters have the
names, shapes and gate order of torch's own cells, so weights can be exchanged with `torch.nn.LSTM`
and its like.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from seq2seq.models.products import linear

CellState = tuple[Tensor, ...]
"""The hidden state, and for an LSTM the memory cell after it; each [rows, hidden_size], float32."""
Tape = tuple[Tensor, ...]
"""What a step leaves for its gradient."""
StateGradient = tuple[Tensor | None, *tuple[Tensor, ...]]
"""Like `CellState`; None where nothing reaches the hidden state but through its product."""


class Cell(nn.Module):
    """Weights and one step of a recurrent layer.

    Recurrent weights start orthogonal, one matrix per gate (Saxe et al., 2014,
    https://arxiv.org/abs/1312.6120), input weights uniform after Glorot and Bengio (2010), and
    biases at 0.

    Args:
        input_size: Features of each input.
        hidden_size: Features of the hidden state.
    """

    num_gates: ClassVar[int]
    num_states: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        gates = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(gates, input_size))
        self.weight_hh = nn.Parameter(torch.empty(gates, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(gates))
        self.bias_hh = nn.Parameter(torch.empty(gates))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights."""
        for weight in self.weight_ih.chunk(self.num_gates):
            nn.init.xavier_uniform_(weight)
        for weight in self.weight_hh.chunk(self.num_gates):
            nn.init.orthogonal_(weight)
        nn.init.zeros_(self.bias_ih)
        nn.init.zeros_(self.bias_hh)

    def project(self, inputs: Tensor) -> Tensor:
        """The share of the inputs in the gates, for any number of steps at once.

        Args:
            inputs: [..., input_size].

        Returns:
            [..., num_gates * hidden_size].
        """
        return linear(inputs, self.weight_ih, self.bias_ih)

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        """Takes one step.

        Args:
            projected: What `project` gave for the inputs of this step, [rows, gates * hidden_size].
            state: The state before the step, each [rows, hidden_size].

        Returns:
            The state after the step.
        """
        recurrent = linear(state[0], self.weight_hh, self.bias_hh)
        dtype = state[0].dtype  # sums and states are float32 even where products are not
        return self.update(projected.to(dtype), recurrent.to(dtype), state)

    def update(self, projected: Tensor, recurrent: Tensor, state: CellState) -> CellState:
        """The cell's equations, given the shares of input and state in its gates."""
        raise TypeError(f"{type(self).__name__} has no equations of its own.")

    def gates(self, projected: Tensor, recurrent: Tensor) -> dict[str, Tensor]:
        """The gates in `update`, for who wants to look at them; each [rows, hidden_size], 0 to 1.

        Returns:
            Gates by name, 1 is open; a cell without gates has none.
        """
        return {}

    def advance(
        self, projected: Tensor, recurrent: Tensor, state: CellState
    ) -> tuple[CellState, Tape]:
        """The same numbers as `update`, and what `backpropagate` needs of this step."""
        raise TypeError(f"{type(self).__name__} has no fast step.")

    def backpropagate(
        self, tape: Tape, gradient: CellState
    ) -> tuple[Tensor, Tensor, StateGradient]:
        """The gradients of a step's `projected`, `recurrent` and state, from that of its result."""
        raise TypeError(f"{type(self).__name__} has no gradient of its own.")

    @property
    def has_gradient(self) -> bool:
        """Whether the cell has `advance` and `backpropagate`."""
        return type(self).backpropagate is not Cell.backpropagate

    def start(self, rows: int) -> CellState:
        """A state of zeros, each [rows, hidden_size]."""
        zeros = self.bias_hh.new_zeros(rows, self.hidden_size, dtype=_state_dtype(self.bias_hh))
        return (zeros,) * self.num_states


class TanhCell(Cell):
    """`h' = tanh(W x + b + U h + d)` (Elman, 1990)."""

    num_gates = 1

    def update(self, projected: Tensor, recurrent: Tensor, state: CellState) -> CellState:
        """See `Cell.update`."""
        return (torch.tanh(projected + recurrent),)

    def advance(
        self, projected: Tensor, recurrent: Tensor, state: CellState
    ) -> tuple[CellState, Tape]:
        """See `Cell.advance`."""
        hidden = fast_tanh(projected + recurrent)
        return (hidden,), (hidden,)

    def backpropagate(
        self, tape: Tape, gradient: CellState
    ) -> tuple[Tensor, Tensor, StateGradient]:
        """See `Cell.backpropagate`."""
        inner = _tanh_backward(gradient[0], tape[0])
        return inner, inner, (None,)


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al., 2014, https://arxiv.org/abs/1406.1078), as torch writes it.

    The reset gate multiplies `U h + d` rather than `h`; the gates are reset, update, new.
    """

    num_gates = 3

    def update(self, projected: Tensor, recurrent: Tensor, state: CellState) -> CellState:
        """See `Cell.update`."""
        (hidden,) = state
        input_reset_update, input_new = projected.split([2 * self.hidden_size, self.hidden_size], 1)
        state_reset_update, state_new = recurrent.split([2 * self.hidden_size, self.hidden_size], 1)
        reset, update = torch.sigmoid(input_reset_update + state_reset_update).chunk(2, 1)
        new = torch.tanh(input_new + reset * state_new)
        return (torch.lerp(new, hidden, update),)

    def gates(self, projected: Tensor, recurrent: Tensor) -> dict[str, Tensor]:
        """See `Cell.gates`; an open update gate keeps the state as it was."""
        gates = torch.sigmoid(projected + recurrent).chunk(3, 1)
        return {"reset": gates[0], "update": gates[1]}

    def advance(
        self, projected: Tensor, recurrent: Tensor, state: CellState
    ) -> tuple[CellState, Tape]:
        """See `Cell.advance`."""
        both = 2 * self.hidden_size
        gates = torch.sigmoid(projected[:, :both] + recurrent[:, :both])
        reset, update = gates.chunk(2, 1)
        state_new = recurrent[:, both:]
        new = fast_tanh(torch.addcmul(projected[:, both:], reset, state_new))
        return (torch.lerp(new, state[0], update),), (gates, new, state_new, state[0])

    def backpropagate(
        self, tape: Tape, gradient: CellState
    ) -> tuple[Tensor, Tensor, StateGradient]:
        """See `Cell.backpropagate`."""
        gates, new, state_new, before = tape
        (hidden,) = gradient
        reset, update = gates.chunk(2, 1)
        direct = hidden * update
        inner_new = _tanh_backward(hidden - direct, new)
        outer = torch.cat([inner_new * state_new, hidden * (before - new)], dim=1)
        inner = _sigmoid_backward(outer, gates)
        return (
            torch.cat([inner, inner_new], dim=1),
            torch.cat([inner, inner_new * reset], dim=1),
            (direct,),
        )


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997) with a forget gate.

    Gates stand in torch's order input, forget, new, output. The forget bias starts at 1, so that
    memory lasts from the beginning (Jozefowicz et al., 2015,
    https://proceedings.mlr.press/v37/jozefowicz15.html).
    """

    num_gates = 4
    num_states = 2

    def reset_parameters(self) -> None:
        """Draws new weights and opens the forget gate."""
        super().reset_parameters()
        with torch.no_grad():
            self.bias_ih[self.hidden_size : 2 * self.hidden_size].fill_(1.0)

    def update(self, projected: Tensor, recurrent: Tensor, state: CellState) -> CellState:
        """See `Cell.update`."""
        _, memory = state
        gates = projected + recurrent
        input_gate, forget_gate = torch.sigmoid(gates[:, : 2 * self.hidden_size]).chunk(2, 1)
        new, output_gate = gates[:, 2 * self.hidden_size :].chunk(2, 1)
        memory = torch.addcmul(forget_gate * memory, input_gate, torch.tanh(new))
        return torch.sigmoid(output_gate) * torch.tanh(memory), memory

    def gates(self, projected: Tensor, recurrent: Tensor) -> dict[str, Tensor]:
        """See `Cell.gates`."""
        gates = torch.sigmoid(projected + recurrent).chunk(4, 1)
        return {"input": gates[0], "forget": gates[1], "output": gates[3]}

    def advance(
        self, projected: Tensor, recurrent: Tensor, state: CellState
    ) -> tuple[CellState, Tape]:
        """See `Cell.advance`."""
        _, before = state
        gates = projected + recurrent
        # One sigmoid over all gates; tanh(x) is 2 sigmoid(2x) - 1.
        new = gates[:, 2 * self.hidden_size : 3 * self.hidden_size].mul_(2)
        input_gate, forget_gate, new, output_gate = gates.sigmoid_().chunk(4, 1)
        new.mul_(2).sub_(1)
        memory = torch.addcmul(forget_gate * before, input_gate, new)
        squashed = fast_tanh(memory)
        return (output_gate * squashed, memory), (gates, before, squashed)

    def backpropagate(
        self, tape: Tape, gradient: CellState
    ) -> tuple[Tensor, Tensor, StateGradient]:
        """See `Cell.backpropagate`."""
        gates, before, squashed = tape
        hidden, memory = gradient
        input_gate, forget_gate, new, output_gate = gates.chunk(4, 1)
        memory = memory + _tanh_backward(hidden * output_gate, squashed)
        inner = torch.empty_like(gates)
        of_input, of_forget, of_new, of_output = inner.chunk(4, 1)
        torch.mul(memory, new, out=of_input)
        torch.mul(memory, before, out=of_forget)
        torch.mul(hidden, squashed, out=of_output)
        # All four as if they were sigmoids, then the tanh.
        torch.ops.aten.sigmoid_backward.grad_input(inner, gates, grad_input=inner)
        of_new.copy_(_tanh_backward(memory * input_gate, new))
        return inner, inner, (None, memory * forget_gate)


CELLS: dict[str, type[Cell]] = {"rnn": TanhCell, "gru": GRUCell, "lstm": LSTMCell}


def _state_dtype(weights: Tensor) -> torch.dtype:
    """States stay in float32 when the weights are below it, and in float64 when they are."""
    return torch.promote_types(weights.dtype, torch.float32)


def fast_tanh(inputs: Tensor) -> Tensor:
    """tanh, right to the last bits of 1; torch's own takes four times as long on a processor."""
    return torch.sigmoid(2 * inputs).mul_(2).sub_(1)


def _tanh_backward(gradient: Tensor, outputs: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward(gradient, outputs)


def _sigmoid_backward(gradient: Tensor, outputs: Tensor) -> Tensor:
    return torch.ops.aten.sigmoid_backward(gradient, outputs)
