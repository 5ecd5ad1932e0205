import math

import pytest
import torch
from small_models import CELL_NAMES, randomise
from torch import nn

from seq2seq.models.cells import CELLS, Cell, LSTMCell

TORCH_CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
INPUT_SIZE, HIDDEN_SIZE, ROWS = 5, 7, 3


def make_cell(name: str) -> Cell:
    cell = CELLS[name](INPUT_SIZE, HIDDEN_SIZE).double()
    randomise(cell)
    return cell


@pytest.mark.parametrize("name", CELL_NAMES)
def test_values_and_gradients_equal_those_of_torch(name: str) -> None:
    cell = make_cell(name)
    torch_cell = TORCH_CELLS[name](INPUT_SIZE, HIDDEN_SIZE).double()
    torch_cell.load_state_dict(cell.state_dict())
    inputs = torch.randn(ROWS, INPUT_SIZE, dtype=torch.float64, requires_grad=True)
    state = tuple(
        torch.randn(ROWS, HIDDEN_SIZE, dtype=torch.float64, requires_grad=True)
        for _ in range(cell.num_states)
    )

    after = cell(cell.project(inputs), state)
    expected = torch_cell(inputs, state if name == "lstm" else state[0])
    expected = expected if name == "lstm" else (expected,)

    assert len(after) == len(expected) == cell.num_states
    torch.testing.assert_close(after, expected)
    weights = [torch.randn_like(part) for part in after]
    asked = [inputs, *state]
    actual_gradients = torch.autograd.grad(after, [*asked, *cell.parameters()], weights)
    torch_gradients = torch.autograd.grad(expected, [*asked, *torch_cell.parameters()], weights)
    torch.testing.assert_close(actual_gradients, torch_gradients)


@pytest.mark.parametrize("name", CELL_NAMES)
def test_projecting_all_steps_at_once_equals_one_by_one(name: str) -> None:
    cell = make_cell(name)
    inputs = torch.randn(4, ROWS, INPUT_SIZE, dtype=torch.float64)
    projected = cell.project(inputs)
    assert projected.shape == (4, ROWS, cell.num_gates * HIDDEN_SIZE)
    for step, expected in zip(projected, inputs, strict=True):
        torch.testing.assert_close(step, cell.project(expected))


@pytest.mark.parametrize("name", CELL_NAMES)
def test_recurrent_weights_start_orthogonal_in_each_gate(name: str) -> None:
    cell = CELLS[name](INPUT_SIZE, HIDDEN_SIZE)
    gates = cell.weight_hh.detach().split(HIDDEN_SIZE)
    assert len(gates) == cell.num_gates
    for gate in gates:
        torch.testing.assert_close(gate @ gate.t(), torch.eye(HIDDEN_SIZE), atol=1e-5, rtol=0)
    assert all(not torch.equal(gates[0], other) for other in gates[1:])


@pytest.mark.parametrize("name", CELL_NAMES)
def test_input_weights_start_within_the_bound_of_one_gate(name: str) -> None:
    cell = CELLS[name](40, 60)
    bound = math.sqrt(6 / (40 + 60))
    for gate in cell.weight_ih.detach().split(60):
        assert 0.97 * bound < gate.abs().max() <= bound
        assert abs(gate.std() - bound / math.sqrt(3)) < 0.02 * bound


@pytest.mark.parametrize("name", CELL_NAMES)
def test_biases_start_at_zero_but_for_the_forget_gate(name: str) -> None:
    cell = CELLS[name](INPUT_SIZE, HIDDEN_SIZE)
    together = (cell.bias_ih + cell.bias_hh).detach().split(HIDDEN_SIZE)
    for index, gate in enumerate(together):
        forget = isinstance(cell, LSTMCell) and index == 1
        assert gate.tolist() == [1.0 if forget else 0.0] * HIDDEN_SIZE


@pytest.mark.parametrize(
    ("weights", "states"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
@pytest.mark.parametrize("name", CELL_NAMES)
def test_states_are_kept_in_float32_or_above(
    name: str, weights: torch.dtype, states: torch.dtype
) -> None:
    cell = CELLS[name](INPUT_SIZE, HIDDEN_SIZE).to(weights)
    state = cell.start(ROWS)
    assert len(state) == cell.num_states
    for part in state:
        assert part.shape == (ROWS, HIDDEN_SIZE)
        assert part.dtype == states
        assert not part.any()
    for _ in range(2):
        projected = cell.project(torch.randn(ROWS, INPUT_SIZE))
        assert projected.dtype == weights
        state = cell(projected, state)
        assert {part.dtype for part in state} == {states}


@pytest.mark.parametrize("name", CELL_NAMES)
def test_bfloat16_weights_give_about_the_same_states(name: str) -> None:
    cell = CELLS[name](INPUT_SIZE, HIDDEN_SIZE)
    low = CELLS[name](INPUT_SIZE, HIDDEN_SIZE)
    low.load_state_dict(cell.state_dict())
    low.to(torch.bfloat16)
    state, low_state = cell.start(ROWS), low.start(ROWS)
    for _ in range(5):
        inputs = torch.randn(ROWS, INPUT_SIZE)
        state = cell(cell.project(inputs), state)
        low_state = low(low.project(inputs), low_state)
    torch.testing.assert_close(low_state, state, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("name", CELL_NAMES)
def test_states_stay_in_float32_under_autocast(name: str) -> None:
    cell = CELLS[name](INPUT_SIZE, HIDDEN_SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        state = cell(cell.project(torch.randn(ROWS, INPUT_SIZE)), cell.start(ROWS))
    assert {part.dtype for part in state} == {torch.float32}


@pytest.mark.parametrize("name", CELL_NAMES)
def test_the_gates_are_those_by_which_the_state_is_updated(name: str) -> None:
    cell = make_cell(name)
    projected, recurrent = torch.randn(2, ROWS, cell.num_gates * HIDDEN_SIZE, dtype=torch.float64)
    state = tuple(torch.randn(cell.num_states, ROWS, HIDDEN_SIZE, dtype=torch.float64))
    gates = cell.gates(projected, recurrent)
    assert all(gate.shape == (ROWS, HIDDEN_SIZE) for gate in gates.values())
    inputs, states = projected.chunk(cell.num_gates, 1), recurrent.chunk(cell.num_gates, 1)
    if name == "lstm":
        new = torch.tanh(inputs[2] + states[2])
        memory = gates["forget"] * state[1] + gates["input"] * new
        expected = (gates["output"] * torch.tanh(memory), memory)
    elif name == "gru":
        new = torch.tanh(inputs[2] + gates["reset"] * states[2])
        expected = (gates["update"] * state[0] + (1 - gates["update"]) * new,)
    else:
        assert gates == {}
        expected = (torch.tanh(projected + recurrent),)
    torch.testing.assert_close(cell.update(projected, recurrent, state), expected)
