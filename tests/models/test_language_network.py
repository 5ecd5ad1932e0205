import pytest
import torch

from seq2seq.config import PAD_ID, ConfigurationError
from seq2seq.language_config import LanguageNetworkConfig
from seq2seq.models.cells import CELLS
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.models.products import plain_path

VOCABULARY = 11


def make_network(**settings):
    torch.manual_seed(3)
    config = LanguageNetworkConfig(
        **{"embedding_size": 5, "hidden_size": 7, "dropout": 0.0, **settings}
    )
    network = LanguageNetwork(config, VOCABULARY).double()
    with torch.no_grad():  # biases start at 0, which would hide one left out
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


def draw_ids(rows=3, length=6):
    generator = torch.Generator().manual_seed(5)
    return torch.randint(1, VOCABULARY, (rows, length), generator=generator)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("num_layers", [1, 2])
def test_features_are_those_of_torch(cell, num_layers):
    network = make_network(cell=cell, num_layers=num_layers)
    ids = draw_ids()
    reference = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](
        5, 7, num_layers, batch_first=True
    ).double()
    for index, layer in enumerate(network.layers):
        for name, parameter in layer.named_parameters():
            reference.get_parameter(f"{name}_l{index}").data.copy_(parameter)
    expected, _ = reference(network.embedding(ids))
    features, _ = network(ids, network.start(3))
    assert torch.allclose(features, expected, atol=1e-12)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_steps_and_chunks_come_to_the_same(cell, num_layers, tie_embeddings):
    network = make_network(cell=cell, num_layers=num_layers, tie_embeddings=tie_embeddings)
    ids = draw_ids()
    features, final = network(ids, network.start(3))
    logits = network.logits(features)
    state = network.start(3)
    for index, previous_ids in enumerate(ids.unbind(1)):
        stepped, state = network.step(previous_ids, state)
        assert torch.allclose(stepped, logits[:, index], atol=1e-12)
    first, after = network(ids[:, :4], network.start(3))
    second, after = network(ids[:, 4:], after)
    assert torch.allclose(torch.cat([first, second], 1), features, atol=1e-12)
    for layers in (state.layers, after.layers):
        for ours, expected in zip(layers, final.layers, strict=True):
            for part, wanted in zip(ours, expected, strict=True):
                assert torch.allclose(part, wanted, atol=1e-12)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_the_fast_path_has_the_loss_and_gradients_of_the_plain_one(cell):
    ids = draw_ids()
    outputs = draw_ids().roll(1, 0)
    outputs[1, 4:] = PAD_ID
    found = []
    for plain in (True, False):
        network = make_network(cell=cell, num_layers=2).float()
        with plain_path(plain):
            output, _ = network.loss(ids, outputs, network.start(3))
            output.loss.backward()
        assert output.num_tokens == 16
        found.append([output.loss, *(parameter.grad for parameter in network.parameters())])
    for plain, fast in zip(*found, strict=True):
        assert torch.allclose(plain, fast, atol=2e-5)


def test_a_detached_state_lets_no_gradient_flow_back():
    network = make_network()
    ids = draw_ids()
    _, state = network(ids, network.start(3))
    embedding = network.embedding.weight
    for before, flows in ((state, True), (state.detach(), False)):
        features, _ = network(ids.new_full((3, 1), 4), before)
        gradient = torch.autograd.grad(features.sum(), embedding, retain_graph=True)[0]
        others = [index for index in range(VOCABULARY) if index != 4]
        assert bool(gradient[others].any()) == flows


def test_rows_of_a_state_can_be_gathered():
    network = make_network(cell="lstm", num_layers=2)
    ids = draw_ids()
    _, state = network(ids, network.start(3))
    rows = torch.tensor([2, 0, 0])
    logits, _ = network.step(torch.tensor([4, 5, 5]), state.select(rows))
    expected, _ = network.step(torch.tensor([5, 1, 4]), state)
    assert torch.allclose(logits, expected[rows], atol=1e-12)


def test_an_unknown_cell_is_named():
    with pytest.raises(ConfigurationError, match=r"`model\.cell` must be one of rnn, gru, lstm"):
        make_network(cell="lstn")
