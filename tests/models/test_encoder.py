import pytest
import torch
from reference import Reference
from small_models import (
    CELL_NAMES,
    SOURCE_VOCABULARY,
    gradients,
    pad,
    small_config,
    small_model,
    three_sentences,
)
from torch import nn

from seq2seq.config import EOS_ID, ConfigurationError
from seq2seq.models.encoder import Encoder

ENCODER_SIZE, BATCH, SOURCE_LENGTH = 14, 3, 5


@pytest.mark.parametrize("reverse_source", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_a_batch_equals_the_plain_loop_one_by_one(
    cell: str, num_layers: int, bidirectional: bool, reverse_source: bool
) -> None:
    config = small_config(
        cell=cell,
        encoder_layers=num_layers,
        bidirectional=bidirectional,
        reverse_source=reverse_source,
    )
    model = small_model(config)
    reference = Reference(model, config)
    sentences = three_sentences()
    source_ids, source_lengths = sentences.source
    encoded = model.encoder(source_ids, source_lengths)

    assert encoded.encoder_outputs.shape == (BATCH, SOURCE_LENGTH, ENCODER_SIZE)
    assert len(encoded.final_state) == (2 if cell == "lstm" else 1)
    for part in encoded.final_state:
        assert part.shape == (num_layers, BATCH, ENCODER_SIZE)
    loss = expected_loss = torch.zeros((), dtype=torch.float64)
    for index, source in enumerate(sentences.sources):
        outputs, finals = reference.encode(source)
        length = len(source)
        torch.testing.assert_close(
            encoded.encoder_outputs[index, :length], torch.stack(outputs), msg=f"sentence {index}"
        )
        assert not encoded.encoder_outputs[index, length:].any()
        assert encoded.source_mask[index].tolist() == [True] * length + [False] * (5 - length)
        states = tuple(torch.stack(parts) for parts in zip(*finals, strict=True))
        torch.testing.assert_close(tuple(part[:, index] for part in encoded.final_state), states)
        for part in states:
            expected_loss = expected_loss + part.pow(2).sum()
        expected_loss = expected_loss + torch.stack(outputs).sin().sum()
    loss = encoded.encoder_outputs.sin().sum() + sum(
        part.pow(2).sum() for part in encoded.final_state
    )
    loss.backward()
    expected_loss.backward()
    for name, gradient in gradients(model.encoder).items():
        torch.testing.assert_close(gradient, reference.weights[f"encoder.{name}"].grad)


@pytest.mark.parametrize("extra", [0, 3])
def test_padding_does_not_change_the_answer(extra: int) -> None:
    model = small_model(small_config(encoder_layers=3))
    sentences = three_sentences()
    together = model.encoder(*sentences.source)
    for index, source in enumerate(sentences.sources):
        padded = pad([source, [1] * (len(source) + extra)])[:1]
        alone = model.encoder(padded, torch.tensor([len(source)]))
        assert alone.encoder_outputs.shape[1] == len(source) + extra
        torch.testing.assert_close(
            alone.encoder_outputs[0, : len(source)], together.encoder_outputs[index, : len(source)]
        )
        for part, parts in zip(alone.final_state, together.final_state, strict=True):
            torch.testing.assert_close(part[:, 0], parts[:, index])


def test_what_stands_at_padding_does_not_matter() -> None:
    model = small_model(small_config(encoder_layers=2))
    source_ids, source_lengths = three_sentences().source
    expected = model.encoder(source_ids, source_lengths)
    other_ids = source_ids.masked_fill(~expected.source_mask, 7)
    torch.testing.assert_close(model.encoder(other_ids, source_lengths), expected)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_reversing_the_source_equals_flipping_it(cell: str) -> None:
    options = {"cell": cell, "bidirectional": False, "encoder_layers": 2}
    forward = small_model(small_config(**options, reverse_source=False))
    backward = small_model(small_config(**options, reverse_source=True))
    backward.load_state_dict(forward.state_dict())
    sentences = three_sentences()
    source_ids, source_lengths = sentences.source
    flipped_ids = pad([source[::-1] for source in sentences.sources])
    expected = forward.encoder(flipped_ids, source_lengths)
    encoded = backward.encoder(source_ids, source_lengths)
    torch.testing.assert_close(encoded.final_state, expected.final_state)
    for outputs, others, length in zip(
        encoded.encoder_outputs, expected.encoder_outputs, source_lengths, strict=True
    ):
        torch.testing.assert_close(outputs[:length].flip(0), others[:length])


def test_the_final_state_is_the_last_output_of_each_direction() -> None:
    model = small_model(small_config(encoder_layers=2))
    sentences = three_sentences()
    encoded = model.encoder(*sentences.source)
    half = ENCODER_SIZE // 2
    for index, source in enumerate(sentences.sources):
        hidden = encoded.final_state[0][-1, index]
        outputs = encoded.encoder_outputs[index]
        torch.testing.assert_close(hidden[:half], outputs[len(source) - 1, :half])
        torch.testing.assert_close(hidden[half:], outputs[0, half:])


def test_torch_lstm_gives_the_same_two_layers() -> None:
    model = small_model(small_config(cell="lstm", encoder_layers=2))
    layers = nn.LSTM(6, 7, num_layers=2, bidirectional=True, batch_first=True).double()
    layers.load_state_dict(
        {
            f"{name}_l{depth}{suffix}": weight
            for depth in range(2)
            for direction, suffix in enumerate(("", "_reverse"))
            for name, weight in model.encoder.layers[depth][direction].state_dict().items()
        }
    )
    source_ids = torch.tensor([[5, 6, 8, EOS_ID], [9, 9, 4, EOS_ID]])
    outputs, (hidden, _) = layers(model.encoder.embedding(source_ids))
    encoded = model.encoder(source_ids, torch.tensor([4, 4]))
    torch.testing.assert_close(encoded.encoder_outputs, outputs)
    torch.testing.assert_close(encoded.final_state[0][1], torch.cat([hidden[2], hidden[3]], dim=-1))


def test_dropout_acts_in_training_only() -> None:
    model = small_model(small_config(dropout=0.5, encoder_layers=2))
    source = three_sentences().source
    first, second = (model.encoder(*source).encoder_outputs for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    first, second = (model.encoder(*source).encoder_outputs for _ in range(2))
    assert torch.equal(first, second)


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"`model\.cell` must be one of rnn, gru, lstm, but is 'qrnn'\."
    ):
        Encoder(
            nn.Embedding(SOURCE_VOCABULARY, 6),
            cell="qrnn",
            encoder_size=14,
            num_layers=1,
            bidirectional=True,
            reverse_source=False,
            dropout=0.0,
        )
