"""The yardstick is the same network and the same search as the toolkit's, only written plainly."""

import sys

import pytest
import torch
import yardstick
from measure import shown
from shapes import make_model_directory, random_sentences

from seq2seq.config import EOS_ID, ModelConfig
from seq2seq.data.batch import make_batch
from seq2seq.decoding.beam_search import beam_search
from seq2seq.models.encoder_decoder import build_model
from seq2seq.translator import Translator

SIZES = {"embedding_size": 6, "hidden_size": 14, "attention_size": 9, "dropout": 0.0}
VARIANTS = [
    {"cell": "lstm", "tie_embeddings": False},
    {"cell": "gru"},
    {"cell": "rnn", "bidirectional": False},
    {"attention": "none"},
    {"cell": "gru", "attention": "none", "context_steps": "first", "bidirectional": False},
    {"encoder_layers": 1, "decoder_layers": 4},
    {"encoder_layers": 4, "decoder_layers": 2},
    {"reverse_source": True},
    {"cell": "gru", "reverse_source": True, "bidirectional": False, "attention": "none"},
    {"share_embeddings": True},
]
SOURCES = [[5, 6, 7, 8], [9, 4], [4, 10, 5]]
TARGETS = [[5, 9], [6, 7, 8], [10]]


def small_pair(changes):
    torch.manual_seed(1)
    config = ModelConfig(**SIZES, **changes)
    model = build_model(config, 11, 11).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model, yardstick.Yardstick.from_model(model, config), config


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("sources", [SOURCES, [[5, 6], [9, 4], [4, 10]]], ids=["padded", "even"])
def test_loss_and_gradients_are_the_toolkits(changes, sources):
    model, first, config = small_pair(changes)
    batch = make_batch(sources, TARGETS)
    inputs = (batch.source_ids, batch.source_lengths, batch.target_input_ids)
    output = model.loss(*inputs, batch.target_output_ids, label_smoothing=0.1)
    own = output.loss / output.num_tokens
    plain = first.loss(*inputs, batch.target_output_ids, label_smoothing=0.1)
    torch.testing.assert_close(plain, own)
    own.backward()
    plain.backward()
    gradients = {name: p.grad for name, p in first.named_parameters(remove_duplicate=False)}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        gradient = gradients.pop(yardstick._name(name, config))
        torch.testing.assert_close(gradient, parameter.grad, msg=lambda m, n=name: f"{n}: {m}")
    assert not gradients


@pytest.mark.parametrize("beam_size", [1, 2, 5])
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_random_weights_give_the_toolkits_text(tmp_path, changes, beam_size):
    torch.manual_seed(1)
    make_model_directory(
        tmp_path,
        ModelConfig(**SIZES, **changes),
        source_length=6,
        target_length=13,
        vocabulary_size=30,
    )
    sentences = [
        sentence for length in (3, 9, 1) for sentence in random_sentences(3, length, length, 30)
    ]
    expected = Translator.load(tmp_path, "cpu", "float32", plain=True).translate(
        sentences, beam_size=beam_size
    )
    found = yardstick.load(tmp_path).translate(sentences, beam_size=beam_size, batch_size=4)
    assert found == [translation.text for translation in expected]
    assert len(set(found)) > 1


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_the_search_stops_by_the_toolkits_rules(beam_size, length_penalty):
    """Strong weights and few pieces: many hypotheses end early, many better ones would follow."""
    model, first, _ = small_pair({})
    with torch.no_grad():
        for part in (model.decoder.vocabulary.bias, first.output.bias):
            part[EOS_ID] += 1.0
    sources = torch.randint(4, 11, (40, 6))
    lengths = torch.full((40,), 6)
    limits = [3 + index % 20 for index in range(40)]
    with torch.inference_mode():
        state = model.start(sources, lengths)
        expected = beam_search(
            model.step,
            state,
            beam_size=beam_size,
            max_lengths=limits,
            length_penalty=length_penalty,
        )
    found = first.search(
        sources, lengths, limits, beam_size=beam_size, length_penalty=length_penalty
    )
    assert found == [hypotheses[0].ids for hypotheses in expected]
    assert any(ids[-1] == EOS_ID for ids in found)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_trained_weights_give_the_toolkits_text(tiny_directory, known_pairs, beam_size):
    found = yardstick.load(tiny_directory).translate(
        known_pairs.sources, beam_size=beam_size, batch_size=5
    )
    assert found == known_pairs.targets  # learnt by heart: most end before the longest allowed


def test_the_check_puts_another_file_beside_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "other.py").write_text(
        "def train(n): return 1e9\ndef decode(n): return 1e-9\n", "utf-8"
    )
    monkeypatch.setattr(yardstick, "SHAPES", {"common": ModelConfig(**SIZES)})
    argv = ["yardstick.py", "check", "--against", str(tmp_path / "other.py"), "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", [*argv, "--threads", "1"])
    yardstick.main()
    training, decoding = capsys.readouterr().out.split("### decoding")
    assert f"| other.py | {shown(1e9)} | " in training
    assert "| 0.00 |" in training.split("| yardstick |")[1]  # next to nothing beside 1e9
    assert f"| other.py | {shown(1e-9)} | " in decoding
