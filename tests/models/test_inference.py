import gc
import weakref
from itertools import product

import pytest
import torch
from small_models import (
    CELL_NAMES,
    CONTEXTS,
    DEPTHS,
    Sentences,
    run_steps,
    small_config,
    small_model,
    three_sentences,
)
from test_encoder_decoder import describe

from seq2seq.config import EOS_ID, PAD_ID, ModelConfig
from seq2seq.models.cells import Cell, LSTMCell
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.inference import InferenceModel

COMBINATIONS = [
    small_config(
        cell=cell,
        bidirectional=bidirectional,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        **CONTEXTS[context],
    )
    for cell, context, bidirectional, (encoder_layers, decoder_layers) in product(
        CELL_NAMES, CONTEXTS, (True, False), DEPTHS
    )
] + [
    small_config(**option)
    for option in (
        {"reverse_source": True},
        {"reverse_source": True, "bidirectional": False},
        {"tie_embeddings": False},
        {"share_embeddings": True},
    )
]
every_combination = pytest.mark.parametrize("config", COMBINATIONS, ids=describe)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def trained(config: ModelConfig) -> EncoderDecoder:
    return small_model(config).float().eval()


def prepare(model: EncoderDecoder, precision: str = "float32") -> InferenceModel:
    return InferenceModel(model, precision)


def alignments(model, sentences: Sentences) -> list[torch.Tensor | None]:
    source_ids, source_lengths, target_input_ids = sentences.inputs
    state = model.start(source_ids, source_lengths)
    assert state.alignment is None
    found = []
    for previous_ids in target_input_ids.unbind(1):
        _, state = model.step(previous_ids, state)
        found.append(state.alignment)
    return found


@every_combination
def test_logits_and_alignments_are_those_of_the_network(config):
    model, sentences = trained(config), three_sentences()
    expected = run_steps(model, sentences)
    found = run_steps(prepare(model), sentences)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(
        alignments(prepare(model), sentences), alignments(model, sentences), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@every_combination
def test_low_precision_stays_close_and_finds_the_same_best(config, precision):
    model, sentences = trained(config), three_sentences()
    expected = run_steps(model, sentences)
    found = run_steps(prepare(model, precision), sentences)
    torch.testing.assert_close(found, expected, atol=0.5, rtol=0)
    assert (found - expected).abs().mean() < 0.05
    chosen = expected.gather(2, found.argmax(dim=2, keepdim=True)).squeeze(2)
    assert (expected.amax(dim=2) - chosen).max() < 0.5


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_rows_and_sentences_are_gathered_as_in_the_network(cell, context):
    model = trained(small_config(cell=cell, decoder_layers=3, **CONTEXTS[context]))
    logits = []
    for network in (model, prepare(model)):
        source_ids, source_lengths, target_ids = three_sentences().inputs
        _, state = network.step(target_ids[:, 0], network.start(source_ids, source_lengths))
        state = state.select(torch.tensor([0, 0, 1, 1, 2, 2]))
        _, state = network.step(torch.tensor([4, 5, 6, 7, 8, 9]), state)
        state = state.select_sentences(torch.tensor([2, 0])).select(torch.tensor([5, 5, 1, 0]))
        assert state.alignment is None or len(state.alignment) == 4
        logits.append(network.step(torch.tensor([5, 4, 9, 6]), state)[0])
    torch.testing.assert_close(logits[1], logits[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("precision", ["plain", "float32", "bfloat16", "int8"])
def test_with_a_shortlist_logits_are_those_of_its_ids(context, precision):
    model = trained(small_config(**CONTEXTS[context]))
    network = model if precision == "plain" else prepare(model, precision)
    source_ids, source_lengths, target_ids = three_sentences().inputs
    candidate_ids = torch.tensor(
        [[EOS_ID, 5, 6, 9], [1, EOS_ID, PAD_ID, PAD_ID], [EOS_ID, 4, 12, PAD_ID]]
    )
    whole = network.start(source_ids, source_lengths)
    short = network.start(source_ids, source_lengths, candidate_ids)
    assert whole.candidate_ids is None
    for step in range(2):
        ids = target_ids[:, step]
        if step:
            rows, kept = torch.tensor([2, 2, 0, 0]), torch.tensor([2, 0])
            whole = whole.select_sentences(kept).select(rows)
            short = short.select_sentences(kept).select(rows)
            ids = ids[rows]
        expected, whole = network.step(ids, whole)
        found, short = network.step(ids, short)
        of_rows = short.candidate_ids.repeat_interleave(len(ids) // len(short.candidate_ids), 0)
        expected = expected.gather(1, of_rows).masked_fill(of_rows == PAD_ID, -torch.inf)
        tolerance = 1e-5 if precision in ("plain", "float32") else 0.2
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=1e-5)


def test_a_cell_without_a_fast_step_takes_its_plain_one(monkeypatch):
    model = trained(small_config())
    expected = run_steps(model, three_sentences())
    monkeypatch.setattr(LSTMCell, "backpropagate", Cell.backpropagate)
    monkeypatch.setattr(LSTMCell, "advance", Cell.advance)
    found = run_steps(prepare(model), three_sentences())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_saturated_attention_is_finite():
    model = trained(small_config())
    model.decoder.attention.project_query.weight.mul_(1e4)
    model.decoder.attention.project_key.weight.mul_(1e4)
    assert run_steps(prepare(model), three_sentences()).isfinite().all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_the_network_may_be_dropped(precision):
    model = trained(small_config(decoder_layers=2, tie_embeddings=False))
    weights = [weakref.ref(cell.weight_hh) for cell in model.decoder.layers]
    weights += [weakref.ref(model.decoder.vocabulary.weight), weakref.ref(model.bridge)]
    network = InferenceModel(model, precision, with_shortlists=False)
    del model
    gc.collect()
    assert [weight() for weight in weights] == [None] * 4
    assert run_steps(network, three_sentences()).isfinite().all()
