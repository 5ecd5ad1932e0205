from typing import Any

import pytest
import torch
from reference import Reference
from small_models import (
    CELL_NAMES,
    CONTEXTS,
    TARGET_VOCABULARY,
    Sentences,
    gradients,
    run_steps,
    small_config,
    small_model,
    three_sentences,
)
from torch import Tensor, nn

from seq2seq.config import BOS_ID, EOS_ID, ConfigurationError
from seq2seq.models.attention import FixedContext
from seq2seq.models.decoder import Decoder, DecoderState


class Halve(nn.Module):
    """Stands for dropout: like it, it tells how often it acted; unlike it, it draws nothing."""

    def forward(self, features: Tensor) -> Tensor:
        return features / 2


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_dropout_acts_at_the_same_places_in_both_paths(cell: str, context: str) -> None:
    model = small_model(small_config(cell=cell, decoder_layers=4, **CONTEXTS[context]))
    plain = model.logits(model(*three_sentences().inputs))
    model.decoder.dropout = Halve()
    halved = model.logits(model(*three_sentences().inputs))
    torch.testing.assert_close(halved, run_steps(model, three_sentences()))
    assert not torch.allclose(halved, plain)


def test_rows_are_selected_and_the_position_stays() -> None:
    layers = tuple(torch.randn(2, 3, 5) for _ in range(2))
    rows = torch.tensor([2, 0, 0, 1])
    selected = DecoderState(layers, position=7).select(rows)
    assert selected.position == 7
    for part, expected in zip(selected.layers, layers, strict=True):
        assert part.shape == (2, 4, 5)
        torch.testing.assert_close(part, expected[:, rows])


@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_features_have_the_size_of_the_vocabulary_weights(tie_embeddings: bool) -> None:
    model = small_model(small_config(tie_embeddings=tie_embeddings))
    features = model(*three_sentences().inputs)
    assert features.shape == (3, 4, 6 if tie_embeddings else 14)
    assert model.logits(features).shape == (3, 4, TARGET_VOCABULARY)
    tied = model.decoder.vocabulary.weight is model.decoder.embedding.weight
    assert tied == tie_embeddings


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"`model\.cell` must be one of rnn, gru, lstm, but is 'mamba'\."
    ):
        Decoder(
            nn.Embedding(13, 6),
            FixedContext(every_step=True),
            cell="mamba",
            encoder_size=14,
            hidden_size=14,
            num_layers=1,
            tie_embeddings=False,
            dropout=0.0,
        )


LONG = Sentences(
    sources=[[4, 10, EOS_ID], [5, 6, 6, 9, EOS_ID]],
    target_inputs=[[BOS_ID, 7, 10, 4, 4, 12, 11], [BOS_ID, 8, 5, 9]],
    target_outputs=[[7, 10, 4, 4, 12, 11, EOS_ID], [8, 5, 9, EOS_ID]],
)


def loss_and_gradients(model: nn.Module, **options: Any) -> tuple[Tensor, dict[str, Tensor | None]]:
    output = model.loss(*LONG.all, label_smoothing=0.1, **options)
    output.loss.backward()
    return output.loss.detach(), gradients(model)


@pytest.mark.parametrize("truncation_steps", [1, 2, 3, 6])
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_truncated_gradients_equal_a_loop_that_detaches_its_state(
    cell: str, context: str, truncation_steps: int
) -> None:
    config = small_config(cell=cell, decoder_layers=3, encoder_layers=2, **CONTEXTS[context])
    model = small_model(config)
    reference = Reference(model, config)
    expected = reference.loss(
        LONG.sources,
        LONG.target_inputs,
        LONG.target_outputs,
        label_smoothing=0.1,
        truncation_steps=truncation_steps,
    )
    expected.backward()
    loss, found = loss_and_gradients(model, truncation_steps=truncation_steps)
    torch.testing.assert_close(loss, expected.detach())
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, reference.weights[name].grad)


@pytest.mark.parametrize("context", CONTEXTS)
def test_truncation_changes_gradients_only_and_only_below_the_length(context: str) -> None:
    model = small_model(small_config(decoder_layers=2, **CONTEXTS[context]))
    loss, full = loss_and_gradients(model)
    for steps in (7, 8, 100):
        same_loss, same = loss_and_gradients(model, truncation_steps=steps)
        torch.testing.assert_close((same_loss, same), (loss, full))
    cut_loss, cut = loss_and_gradients(model, truncation_steps=3)
    torch.testing.assert_close(cut_loss, loss)
    for name, gradient in cut.items():
        # Only readout and vocabulary hang on no earlier step.
        expected = name.startswith(("decoder.readout", "decoder.vocabulary"))
        assert torch.allclose(gradient, full[name]) == expected, name


@pytest.mark.parametrize("context", ["bahdanau", "every"])
def test_every_stretch_reaches_the_encoder(context: str) -> None:
    model = small_model(small_config(decoder_layers=2, **CONTEXTS[context]))
    weights = list(model.encoder.parameters())
    logits = model.logits(model(*LONG.inputs, truncation_steps=2))
    for stretch in range(0, 7, 2):
        part = logits[0, stretch : stretch + 2].log_softmax(-1)[:, 4].sum()
        for gradient in torch.autograd.grad(part, weights, retain_graph=True):
            assert gradient.abs().max() > 1e-6


def test_a_first_step_context_is_out_of_reach_after_the_first_stretch() -> None:
    model = small_model(small_config(decoder_layers=2, **CONTEXTS["first"]))
    features = model(*LONG.inputs, truncation_steps=2)
    weights = list(model.encoder.parameters())
    found = torch.autograd.grad(features[:, 2:].sum(), weights, materialize_grads=True)
    assert not any(gradient.any() for gradient in found)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_alignments_of_given_targets_are_those_of_the_steps(cell: str, context: str) -> None:
    model = small_model(small_config(cell=cell, decoder_layers=2, **CONTEXTS[context]))
    *source, targets = three_sentences().inputs
    state = model.start(*source)
    found = model.decoder.align(targets, state.decoder, state.memory)
    expected = []
    for previous_ids in targets.unbind(1):
        _, state = model.step(previous_ids, state)
        expected.append(state.alignment)
    if context == "bahdanau":
        torch.testing.assert_close(found, torch.stack(expected, dim=1))
    else:
        assert found is None
