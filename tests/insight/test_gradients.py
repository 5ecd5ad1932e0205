import copy
import dataclasses
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from torch.nn import functional

from seq2seq.cli import main
from seq2seq.config import EOS_ID, ConfigurationError, TokenizerConfig
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.insight.bare_training import Update
from seq2seq.insight.clipping import Clipping, Trial, find_clipping
from seq2seq.insight.gradients import (
    GradientFlow,
    Gradients,
    as_initialised,
    find_gradient_flow,
    find_gradients,
    names_of,
    scale_recurrence,
)
from seq2seq.insight.gradients_figure import draw_gradients
from seq2seq.language_config import (
    LanguageNetworkConfig,
    LanguageRecipe,
    LanguageTrainingConfig,
    TextConfig,
)
from seq2seq.language_model import LanguageModel
from seq2seq.models.cells import CELLS
from seq2seq.models.language_model import LanguageNetwork, LanguageState
from seq2seq.training.train_language_model import make_network

LINES = ["def f(x):", "    return [x, y]", "", "a = f(1)"] * 3
STEPS_BACK = 5


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(
        LINES, TokenizerConfig(kind="character", character_coverage=1.0, byte_fallback=False)
    )


def make_model(tokenizer: Tokenizer, cell: str, num_layers: int = 1) -> LanguageModel:
    recipe = LanguageRecipe(
        name=f"tiny-{cell}",
        model=LanguageNetworkConfig(
            cell=cell, embedding_size=5, hidden_size=7, num_layers=num_layers
        ),
        training=LanguageTrainingConfig(seed=7, streams=2, truncation_steps=6),
    )
    torch.manual_seed(3)
    network = LanguageNetwork(recipe.model, tokenizer.vocabulary_size)
    with torch.no_grad():  # biases start at 0, which would hide one left out
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return LanguageModel(network, tokenizer, recipe)


def windows(model: LanguageModel, places: int) -> list[list[int]]:
    """Evenly spread over the text: ids to get going, to look back over, and the one to predict."""
    ids = [EOS_ID, *model.encode(LINES)]
    size = 2 * STEPS_BACK + 2
    starts = [int(place) for place in np.linspace(0, len(ids) - size, places)]
    return [ids[start : start + size] for start in starts]


def test_gradients_of_a_tanh_network_are_products_of_its_jacobians(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, "rnn")
    weights = {k: v.double().numpy() for k, v in model.network.state_dict().items()}
    inner, recurrent = weights["layers.0.weight_ih"], weights["layers.0.weight_hh"]
    bias = weights["layers.0.bias_ih"] + weights["layers.0.bias_hh"]
    norms = np.zeros(STEPS_BACK + 1)
    for *read, following in windows(model, places=4):
        states = [np.zeros(7)]
        for id_ in read:
            embedded = weights["embedding.weight"][id_]
            states.append(np.tanh(inner @ embedded + recurrent @ states[-1] + bias))
        logits = weights["vocabulary.weight"] @ states[-1] + weights["vocabulary.bias"]
        error = np.exp(logits - logits.max())
        error /= error.sum()
        error[following] -= 1
        gradient = weights["vocabulary.weight"].T @ error
        for back in range(STEPS_BACK + 1):
            norms[back] += np.linalg.norm(gradient) / 4
            jacobian = (1 - states[-1 - back] ** 2)[:, None] * recurrent
            gradient = jacobian.T @ gradient
    found = find_gradient_flow(model, LINES, steps_back=STEPS_BACK, places=4)
    assert found.hidden == pytest.approx(norms.tolist(), rel=1e-9)
    assert found.memory == []


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("num_layers", [1, 3])
def test_gradients_are_finite_differences_of_the_loss(
    tokenizer: Tokenizer, cell: str, num_layers: int
) -> None:
    model = make_model(tokenizer, cell, num_layers)
    network = copy.deepcopy(model.network).double()
    (window,) = windows(model, places=1)
    read, following = torch.tensor([window[:-1]]), torch.tensor(window[-1:])

    @torch.no_grad()
    def loss(back: int, part: int, shift: torch.Tensor) -> float:
        """After the top layer's state was shifted so many steps before the last one."""
        state = network.start(1)
        for step in range(read.shape[1]):
            features, state = network(read[:, step : step + 1], state)
            if step == read.shape[1] - 1 - back:
                top = list(state.layers[-1])
                if part == 1:  # the hidden state is read from the memory cell
                    top[0] = top[0] * torch.tanh(top[1] + shift) / torch.tanh(top[1])
                top[part] = top[part] + shift
                state = LanguageState((*state.layers[:-1], tuple(top)))
        return functional.cross_entropy(network.logits(features[:, -1]), following).item()

    found = find_gradient_flow(model, LINES, steps_back=STEPS_BACK, places=1)
    for part, norms in enumerate([found.hidden, found.memory]):
        for back in (1, 2, 5) if norms else ():
            slopes = [
                (loss(back, part, shift) - loss(back, part, -shift)) / 2e-5
                for shift in torch.eye(7).double() * 1e-5
            ]
            assert norms[back] == pytest.approx(np.linalg.norm(slopes), rel=1e-4)
    assert len(found.memory) == (STEPS_BACK + 1 if cell == "lstm" else 0)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_a_fresh_model_is_the_one_with_which_training_begins(
    tokenizer: Tokenizer, cell: str
) -> None:
    model = make_model(tokenizer, cell)
    expected = make_network(model.recipe, tokenizer).state_dict()
    found = as_initialised(model).network.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    assert not torch.equal(
        found["layers.0.weight_hh"], model.network.state_dict()["layers.0.weight_hh"]
    )


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_every_gate_gets_the_spectral_radius(cell: str) -> None:
    layer = CELLS[cell](5, 7)
    with torch.no_grad():
        layer.weight_hh.add_(torch.randn_like(layer.weight_hh))
    before = copy.deepcopy(layer)
    scale_recurrence(layer, 1.5)
    old = before.weight_hh.detach().numpy().reshape(-1, 7, 7)
    new = layer.weight_hh.detach().numpy().reshape(-1, 7, 7)
    assert len(new) == layer.num_gates
    for matrix, original in zip(new, old, strict=True):
        assert np.abs(np.linalg.eigvals(matrix)).max() == pytest.approx(1.5, rel=1e-4)
        assert matrix / matrix[0, 0] == pytest.approx(original / original[0, 0], rel=1e-3)
    assert torch.equal(layer.weight_ih, before.weight_ih)


def test_a_larger_radius_carries_gradients_further(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, "rnn")
    found = find_gradients({"tanh RNN": model}, LINES, steps_back=STEPS_BACK, places=3)
    small, one, large = (flow.hidden for flow in found.by_radius["tanh RNN"].values())
    assert small[5] < one[5] < large[5]
    assert one == pytest.approx(found.fresh["tanh RNN"].hidden, rel=1e-5), "they are orthogonal"


def test_texts_that_cannot_be_followed_are_refused(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, "gru")
    with pytest.raises(ConfigurationError, match="at least 201 pieces to look 100 steps back"):
        find_gradient_flow(model, LINES[:2])
    recipe = dataclasses.replace(model.recipe, text=TextConfig(lines="sentences"))
    sentences = LanguageModel(model.network, tokenizer, recipe)
    with pytest.raises(ConfigurationError, match="tiny-gru is a model of sentences"):
        find_gradient_flow(sentences, LINES)


def test_models_of_one_cell_are_told_apart_by_name(tokenizer: Tokenizer) -> None:
    rnn, gru = make_model(tokenizer, "rnn"), make_model(tokenizer, "gru")
    assert names_of([rnn, gru]) == ["tanh RNN", "GRU"]
    other = LanguageModel(gru.network, tokenizer, dataclasses.replace(gru.recipe, name="other"))
    assert names_of([gru, rnn, other]) == ["tiny-gru (GRU)", "tanh RNN", "other (GRU)"]


def test_without_clipping_a_high_rate_is_lost_and_with_it_not(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, "rnn")
    found = find_clipping(
        "tanh RNN", model, LINES, num_updates=20, learning_rates=[0.01, 30.0], seeds=[1, 2]
    )
    losses = {(one.learning_rate, one.seed, one.is_clipped): one for one in found.trials}
    assert len(losses) == 8
    for (_, _, is_clipped), trial in losses.items():
        assert len(trial.updates) == 20
        assert trial.last_loss == pytest.approx(sum(one.loss for one in trial.updates[-2:]) / 2)
        assert (
            is_clipped
            or trial.updates[0] == losses[trial.learning_rate, trial.seed, True].updates[0]
        ), "both begin with the same weights"
    assert losses[30.0, 1, True].last_loss < losses[30.0, 1, False].last_loss
    assert losses[0.01, 1, True].updates != losses[0.01, 2, True].updates


def test_the_figure_shows_every_curve_at_its_values(tokenizer: Tokenizer) -> None:
    models = {"tanh RNN": make_model(tokenizer, "rnn"), "LSTM": make_model(tokenizer, "lstm")}
    found = find_gradients(models, LINES, steps_back=STEPS_BACK, places=3)
    figure = ElementTree.fromstring(draw_gradients(found))
    charts = figure.findall("{http://www.w3.org/2000/svg}svg")
    assert [one.attrib["aria-label"] for one in charts] == [
        "Before (dashed) and after training",
        "tanh RNN as initialised: by spectral radius",
        "LSTM as initialised: by spectral radius",
    ]
    titles = [one.text for one in figure.iter("{http://www.w3.org/2000/svg}title")]
    assert f"LSTM memory c, 0: {found.trained['LSTM'].memory[0]:.3g}" in titles
    assert f"tanh RNN, before, 3: {found.fresh['tanh RNN'].hidden[3]:.3g}" in titles
    assert f"radius 1.5, 5: {found.by_radius['LSTM'][1.5].hidden[5]:.3g}" in titles
    assert "Mean over 3 places" in " ".join(figure.itertext())


@pytest.mark.parametrize("seeds", [(4,), (1, 2)], ids=["one seed", "two seeds"])
def test_losses_are_shown_at_the_highest_rate_that_clipping_saves(
    tokenizer: Tokenizer, seeds: tuple[int, ...]
) -> None:
    flow = GradientFlow([1.0, 0.5], [])
    found = Gradients({"GRU": flow}, {"GRU": flow}, {"GRU": {1.0: flow}}, places=3)
    last = {0.1: (2.0, 2.5), 0.3: (3.0, 40.0), 1.0: (9.0, 80.0)}  # clipped, and not
    trials = [
        Trial(is_clipped, rate, seed, [Update(6.0, 1.0), Update(loss + seed / 8, 1.0)])
        for rate, losses in last.items()
        for is_clipped, loss in zip((True, False), losses, strict=True)
        for seed in seeds
    ]
    drawn = draw_gradients(found, Clipping("GRU", trials, num_updates=2))
    figure = ElementTree.fromstring(drawn)
    *_, course, by_rate = figure.findall("{http://www.w3.org/2000/svg}svg")
    assert course.attrib["aria-label"] == "GRU, learning rate 0.3"
    titles = [one.text for one in course.iter("{http://www.w3.org/2000/svg}title")]
    mean = sum(seeds) / len(seeds) / 8
    assert f"clipped, 2: {3 + mean:.3g}" in titles
    assert f"not clipped, 2: {40 + mean:.3g}" in titles
    titles = [one.text for one in by_rate.iter("{http://www.w3.org/2000/svg}title")]
    assert f"not clipped, 1: {80 + mean:.3g}" in titles
    text = " ".join(figure.itertext())
    assert ("means over 2 seeds (1, 2)" in text) == (len(seeds) == 2)
    assert ("seed 4;" in text) == (len(seeds) == 1)


def test_the_command_draws_models_on_their_development_text(
    text_directory, tmp_path, capsys
) -> None:
    output, text = tmp_path / "gradients.svg", tmp_path / "text.py"
    text.write_text("def f(x):\n    return [2]\n")
    argv = ["picture", "gradients", str(text_directory), "--text", str(text), "--steps_back", "4"]
    argv += ["--places", "2", "--clipping_updates", "0", "--output", str(output)]
    assert main(argv) == 0
    assert capsys.readouterr().out == f"picture: {output}\n"
    assert "How far gradients reach: GRU" in output.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps_back", "0"], "`--steps_back` must be at least 1"),
        (["--places", "0"], "`--places` must be at least 1"),
        (["--clipping_updates", "-1"], "`--clipping_updates` must be at least 0"),
        (["--text", "{text}"], "The text must have at least 201 pieces"),
    ],
    ids=["steps", "places", "updates", "text"],
)
def test_mistakes_are_named(text_directory, tmp_path, capsys, options, message) -> None:
    (tmp_path / "text.py").write_text("def f(x):\n")
    options = [option.format(text=tmp_path / "text.py") for option in options]
    argv = ["picture", "gradients", str(text_directory), "--output", str(tmp_path / "x.svg")]
    assert main([*argv, *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.svg").exists()
