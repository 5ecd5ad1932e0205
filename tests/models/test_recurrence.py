import pytest
import torch
from small_models import CELL_NAMES, randomise
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from seq2seq.models.cells import CELLS
from seq2seq.models.recurrence import run_recurrence

TORCH_LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
INPUT_SIZE, HIDDEN_SIZE = 5, 7
LENGTHS = [[6, 4, 4, 1], [6, 6, 6, 6], [3], [1, 1], [9, 8, 7, 1, 1], [4, 1]]


@pytest.mark.parametrize("zero_state", [True, False])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELL_NAMES)
def test_outputs_states_and_gradients_equal_those_of_torch(
    name: str, reverse: bool, lengths: list[int], zero_state: bool
) -> None:
    cell = CELLS[name](INPUT_SIZE, HIDDEN_SIZE).double()
    randomise(cell)
    layer = TORCH_LAYERS[name](INPUT_SIZE, HIDDEN_SIZE, batch_first=True, bidirectional=True)
    layer.double().load_state_dict(
        {
            f"{part}_l0{suffix}": weight
            for part, weight in cell.state_dict().items()
            for suffix in ("", "_reverse")
        }
    )
    padded = torch.randn(len(lengths), max(lengths), INPUT_SIZE, dtype=torch.float64)
    packed = pack_padded_sequence(padded.requires_grad_(), torch.tensor(lengths), batch_first=True)
    start = cell.start(len(lengths))
    if not zero_state:
        start = tuple(torch.randn_like(part) for part in start)
    start = tuple(part.clone().requires_grad_() for part in start)

    outputs, final = run_recurrence(
        cell, cell.project(packed.data), packed.batch_sizes.tolist(), start, reverse=reverse
    )
    both_directions = tuple(part.expand(2, -1, -1).contiguous() for part in start)
    torch_packed, torch_final = layer(
        packed, both_directions if name == "lstm" else both_directions[0]
    )
    torch_final = torch_final if name == "lstm" else (torch_final,)

    direction = slice(HIDDEN_SIZE, None) if reverse else slice(HIDDEN_SIZE)
    torch_outputs = torch_packed.data[:, direction]
    torch_final = tuple(part[int(reverse)] for part in torch_final)
    torch.testing.assert_close(outputs, torch_outputs)
    torch.testing.assert_close(final, torch_final)

    weights = [torch.randn_like(part) for part in (outputs, *final)]
    used = [
        getattr(layer, f"{part}_l0{'_reverse' if reverse else ''}") for part in cell.state_dict()
    ]

    def gradients(results: tuple[Tensor, ...], parameters: list[Tensor]) -> tuple[Tensor, ...]:
        asked = [padded, *start, *parameters]
        return torch.autograd.grad(results, asked, weights, retain_graph=True)

    torch.testing.assert_close(
        gradients((outputs, *final), list(cell.parameters())),
        gradients((torch_outputs, *torch_final), used),
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_states_without_gradients_equal_those_with(reverse: bool) -> None:
    cell = CELLS["lstm"](INPUT_SIZE, HIDDEN_SIZE).double()
    projected = cell.project(torch.randn(8, INPUT_SIZE, dtype=torch.float64))
    arguments = (cell, projected, [3, 3, 2], cell.start(3))
    expected = run_recurrence(*arguments, reverse=reverse)
    with torch.inference_mode():
        torch.testing.assert_close(run_recurrence(*arguments, reverse=reverse), expected)
