import torch
from small_models import small_config

from seq2seq.models.encoder_decoder import build_model
from seq2seq.models.weightless import without_weights


def test_a_network_has_shapes_and_no_memory():
    with without_weights():
        empty = build_model(small_config(decoder_layers=2), 11, 13)
    full = build_model(small_config(decoder_layers=2), 11, 13)
    shapes = {name: tensor.shape for name, tensor in full.state_dict().items()}
    assert {name: tensor.shape for name, tensor in empty.state_dict().items()} == shapes
    assert {tensor.device.type for tensor in empty.state_dict().values()} == {"meta"}


def test_nothing_is_drawn():
    before = torch.random.get_rng_state()
    with without_weights():
        torch.nn.Embedding(5, 7)
        weight = torch.nn.init.uniform_(torch.nn.Linear(3, 4).weight, 2.0, 3.0)
    assert weight.shape == (4, 3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_afterwards_weights_are_drawn_again():
    with without_weights():
        pass
    assert torch.nn.Embedding(5, 7).weight.abs().sum() > 0
