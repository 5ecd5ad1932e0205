import json
import sys

import bench_language_model
import pytest
import torch

from seq2seq.language_config import LanguageNetworkConfig
from seq2seq.models.language_model import LanguageNetwork


def test_every_variant_is_measured(tmp_path, monkeypatch):
    file = tmp_path / "result.json"
    options = "--hidden 6 --embedding 4 --vocabulary 9 --streams 2 --steps 3 --rounds 1 --threads 1"
    argv = ["bench", *options.split(), "--cell", "gru", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", argv)
    bench_language_model.main()
    (table,) = json.loads(file.read_text("utf-8"))["tables"]
    assert table["title"] == "Pieces per second, 1 x gru of 6, 2 streams of 3 steps"
    assert [row["variant"] for row in table["rows"]] == ["torch.nn", "plain", "float32", "bfloat16"]
    assert all(row["per second"] > 0 for row in table["rows"])


@pytest.mark.parametrize("cell", bench_language_model.RECURRENCES)
def test_the_yardstick_is_the_same_network(cell):
    config = LanguageNetworkConfig(
        cell=cell, embedding_size=4, hidden_size=6, num_layers=2, dropout=0.0
    )
    network = LanguageNetwork(config, 9)
    yardstick = bench_language_model.Yardstick(config, 9)
    yardstick.embedding.weight.data.copy_(network.embedding.weight)
    yardstick.vocabulary.load_state_dict(network.vocabulary.state_dict())
    for index, layer in enumerate(network.layers):
        for name, weight in layer.named_parameters():
            yardstick.recurrence.get_parameter(f"{name}_l{index}").data.copy_(weight)
    ids = torch.randint(4, 9, (2, 3, 5))
    own = bench_language_model.own_loss(network, ids, torch.float32, plain=False)
    torch.testing.assert_close(yardstick.loss(*ids), own)
