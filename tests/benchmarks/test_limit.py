"""The limit counts the products that the network's own code forms."""

import limit
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seq2seq.config import ModelConfig
from seq2seq.data.batch import make_batch
from seq2seq.models.encoder_decoder import build_model
from seq2seq.models.products import plain_path

SIZES = {"embedding_size": 6, "hidden_size": 14, "attention_size": 9, "dropout": 0.0}
BATCH, LENGTH, VOCABULARY = 3, 5, 11


def gflop(products):
    return sum(product.gflop for product in products)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "none", "cell": "gru"},
        {"attention": "none", "bidirectional": False, "tie_embeddings": False},
        {"encoder_layers": 2, "decoder_layers": 3},
        {"cell": "rnn", "tie_embeddings": False},
    ],
    ids=str,
)
def test_products_of_the_forward_pass_are_those_of_the_plain_network(changes):
    config = ModelConfig(**SIZES, **changes)
    model = build_model(config, VOCABULARY, VOCABULARY)
    batch = make_batch([[5] * (LENGTH - 1)] * BATCH, [[6] * (LENGTH - 1)] * BATCH)
    with plain_path(), FlopCounterMode(display=False) as counter:
        model.loss(
            batch.source_ids, batch.source_lengths, batch.target_input_ids, batch.target_output_ids
        )
    counted = counter.get_total_flops()
    if config.attention != "none":  # scores and contexts, which the limit leaves out
        counted -= 2 * BATCH * LENGTH * LENGTH * (config.attention_size + config.hidden_size)
    training = limit.training_products(config, BATCH, LENGTH, VOCABULARY)
    # Gradients of inputs and of weights take as much as the products themselves.
    assert gflop(training) / 3 == pytest.approx(counted * 1e-9)


def test_decoding_multiplies_as_training_does_but_for_every_hypothesis():
    config = ModelConfig(**SIZES)
    forward = gflop(limit.training_products(config, BATCH, LENGTH, VOCABULARY)) / 3
    encoder = gflop(limit.encoder_products(config, BATCH, LENGTH))
    decoding = gflop(limit.decoding_products(config, BATCH, LENGTH, VOCABULARY, 5))
    assert decoding - encoder == pytest.approx(5 * (forward - encoder))


def test_weight_gradients_of_a_loop_are_one_product():
    products = limit.training_products(ModelConfig(**SIZES), BATCH, LENGTH, VOCABULARY)
    (gradient,) = (p for p in products if p.name == "decoder, context: weight gradient")
    assert gradient == ("decoder, context: weight gradient", 4 * 14, BATCH * LENGTH, 14, 1)


def test_missing_routines_are_left_out(monkeypatch):
    def lacking(product):
        raise AttributeError("no such operator")

    monkeypatch.setitem(limit.ROUTINES, "float32", [limit._torch, lacking])
    found = limit.routines(limit.Product("p", 4, 8, 16), "float32", weights_stay=False)
    assert list(found) == ["torch"]


def test_every_routine_that_is_there_gives_the_product_its_shape():
    product = limit.Product("p", 4, 32, 64)
    for precision in limit.ROUTINES:
        for routine in limit.routines(product, precision, weights_stay=True).values():
            assert routine().shape == torch.Size([4, 64])


def test_a_limit_forms_every_product_as_often_as_the_network(monkeypatch):
    calls = []

    def maker(product):
        return lambda: calls.append(product.name)

    monkeypatch.setitem(limit.ROUTINES, "float32", [maker])
    products = [limit.Product("a", 1, 1, 1, 2), limit.Product("b", 1, 1, 1)]
    found = limit.Limit(products, "float32", weights_stay=False)
    calls.clear()
    found()
    assert calls == ["a", "a", "b"]
