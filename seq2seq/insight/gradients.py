"""How far gradients reach: the loss of a step, by the hidden states of the steps before it.

Bengio et al. (1994), https://doi.org/10.1109/72.279181; Pascanu et al. (2013),
https://proceedings.mlr.press/v28/pascanu13.html.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from seq2seq.config import ConfigurationError
from seq2seq.language_model import LanguageModel
from seq2seq.models.cells import Cell, CellState
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.models.products import plain_path

RADII = (0.5, 1.0, 1.5)
_ROWS = 50  # places at a time
_CELL_NAMES = {"rnn": "tanh RNN", "gru": "GRU", "lstm": "LSTM"}


@dataclass(frozen=True)
class GradientFlow:
    """Norms of the gradient of a step's loss, from 0 to so many steps back; means over places."""

    hidden: Sequence[float]
    """By the top layer's hidden state, while its memory cell and the layers below stay as they are.
    """
    memory: Sequence[float]
    """By the top layer's memory cell, from which its hidden state is read, too; empty without one.
    """


@dataclass(frozen=True)
class Gradients:
    """The gradient flow of several models, by their names."""

    trained: Mapping[str, GradientFlow]
    fresh: Mapping[str, GradientFlow]
    """With the weights of their initialisation."""
    by_radius: Mapping[str, Mapping[float, GradientFlow]]
    """As initialised, but with recurrent matrices of so large a spectral radius."""
    places: int
    """Steps of the text of which these are the means."""


def find_gradients(
    models: Mapping[str, LanguageModel],
    lines: Sequence[str],
    *,
    steps_back: int = 100,
    places: int = 100,
) -> Gradients:
    """Follows the gradients of trained models, and of the same ones before they learnt anything.

    Args:
        models: By name, of running text.
        lines: A text that they have not learnt.
        steps_back: How far to follow.
        places: Steps whose losses are followed, evenly spread over the text.

    Raises:
        ConfigurationError: If a model is one of sentences, or the text too short.
    """

    def flow(model: LanguageModel) -> GradientFlow:
        return find_gradient_flow(model, lines, steps_back=steps_back, places=places)

    return Gradients(
        {name: flow(model) for name, model in models.items()},
        {name: flow(as_initialised(model)) for name, model in models.items()},
        {
            name: {radius: flow(as_initialised(model, radius=radius)) for radius in RADII}
            for name, model in models.items()
        },
        places,
    )


def names_of(models: Sequence[LanguageModel]) -> list[str]:
    """What models are called in a figure: by their cells, and where these are the same by name."""
    cells = [_CELL_NAMES.get(model.recipe.model.cell, model.recipe.model.cell) for model in models]
    return [
        cell if cells.count(cell) == 1 else f"{model.recipe.name} ({cell})"
        for model, cell in zip(models, cells, strict=True)
    ]


def find_gradient_flow(
    model: LanguageModel, lines: Sequence[str], *, steps_back: int = 100, places: int = 100
) -> GradientFlow:
    """The norm of d loss_t / d h_{t-k} for k = 0 ... steps_back, in float64.

    The loss is that of the one piece which follows step t. Gradients are autograd's, on the plain
    path; every place is reached from the zero state, `steps_back` steps before the first that is
    looked at.

    Raises:
        ConfigurationError: If the model is one of sentences, or the text too short.
    """
    if model.recipe.text.lines != "text":
        raise ConfigurationError(
            f"{model.recipe.name} is a model of sentences, but gradients are followed through "
            f"running text; train one with `--text.lines text`."
        )
    ids = torch.tensor([model.first_id, *model.encode(lines)], device=model.device)
    size = 2 * steps_back + 2
    if len(ids) < size:
        raise ConfigurationError(
            f"The text must have at least {size - 1} pieces to look {steps_back} steps back, but "
            f"has {len(ids) - 1}."
        )
    starts = torch.linspace(0, len(ids) - size, places, device=model.device).long()
    windows = ids[starts.unsqueeze(1) + torch.arange(size, device=model.device)]
    network = copy.deepcopy(model.network).double().requires_grad_(False)
    with plain_path():
        norms = torch.cat([_norms(network, rows, steps_back) for rows in windows.split(_ROWS)], 2)
    hidden, *memory = norms.mean(dim=2).tolist()
    return GradientFlow(hidden, memory[0] if memory else [])


def as_initialised(
    model: LanguageModel, *, radius: float | None = None, seed: int | None = None
) -> LanguageModel:
    """The model as its training began.

    Args:
        seed: That of the recipe if not given.
        radius: Spectral radius to which the recurrent matrix of every gate and layer is scaled;
            they are orthogonal, of radius 1, if not given.
    """
    torch.manual_seed(model.recipe.training.seed if seed is None else seed)
    network = LanguageNetwork(model.recipe.model, model.tokenizer.vocabulary_size)
    if radius is not None:
        for cell in network.layers:
            scale_recurrence(cast(Cell, cell), radius)
    return LanguageModel(network, model.tokenizer, model.recipe, device=model.device)


@torch.no_grad()
def scale_recurrence(cell: Cell, radius: float) -> None:
    """Gives the recurrent matrix of each gate a spectral radius, its largest |eigenvalue|."""
    for matrix in cell.weight_hh.chunk(cell.num_gates):
        matrix.mul_(radius / torch.linalg.eigvals(matrix).abs().max())


def _norms(network: LanguageNetwork, rows: Tensor, steps_back: int) -> Tensor:
    """[parts of the state, steps_back + 1, rows], from the last step to the first.

    Args:
        rows: Ids [rows, 2 * steps_back + 2]: to get going, to look back over, to predict.
    """
    before, read, following = rows.split([steps_back, steps_back + 1, 1], dim=1)
    _, state = network(before, network.start(len(rows)))
    for part in state.layers[-1]:
        part.requires_grad_()
    with _recorded(cast(Cell, network.layers[-1])) as states:
        features, _ = network(read, state)
    loss = functional.cross_entropy(
        network.logits(features[:, -1]), following.squeeze(1), reduction="sum"
    )
    num_parts = len(states[0])
    gradients = torch.autograd.grad(loss, [part for state in states for part in state])
    norms = torch.stack([gradient.norm(dim=1) for gradient in gradients])
    return norms.view(-1, num_parts, len(rows)).transpose(0, 1).flip(1)


@contextmanager
def _recorded(cell: Cell) -> Iterator[list[CellState]]:
    """The states after each step, which the plain path takes one by one."""
    states: list[CellState] = []
    hook = cell.register_forward_hook(lambda _, __, state: states.append(state))
    try:
        yield states
    finally:
        hook.remove()
