import math

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch.autograd.graph import saved_tensors_hooks

from seq2seq.config import BOS_ID, PAD_ID
from seq2seq.data.running_text import Chunk, EncodedText, StreamChunks
from seq2seq.language_config import LanguageNetworkConfig, LanguageTrainingConfig
from seq2seq.models.cells import CELLS
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.training.errors import TrainingError
from seq2seq.training.language_module import LanguageModule
from seq2seq.training.skipping import SkippedSteps
from seq2seq.training.world import World

VOCABULARY_SIZE, ROWS, LENGTH = 11, 2, 12


def make_module(cell="lstm", num_layers=1, limit=2, **training):
    torch.manual_seed(1)
    config = LanguageNetworkConfig(
        cell=cell, embedding_size=5, hidden_size=7, num_layers=num_layers, dropout=0.0
    )
    world = World()
    return LanguageModule(
        LanguageNetwork(config, VOCABULARY_SIZE),
        LanguageTrainingConfig(**{"gradient_clip": 0.0, **training}),
        total_steps=100,
        world=world,
        skipped=SkippedSteps(limit, world, describe=lambda chunk: "a chunk", say=print),
    )


def with_trainer(module):
    """The module, able to tell the epoch and the step."""
    module.trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    return module


def make_text(length=ROWS * LENGTH):
    ids = np.random.default_rng(2).integers(4, VOCABULARY_SIZE, length).astype(np.int32)
    return EncodedText(ids, np.array([length]), characters=length, words=1)


def chunks_of(text, steps):
    return list(StreamChunks(text, streams=ROWS, steps=steps).plan(0))


def gradients_of(module, chunks):
    """The gradients of all chunks together, the loss of each summed over its pieces."""
    module.network.zero_grad()
    for index, chunk in enumerate(chunks):
        (module.training_step(chunk, index) * chunk.num_pieces).backward()
    return {name: weight.grad.double() for name, weight in module.network.named_parameters()}


def loop_gradients(module, inputs, outputs, steps):
    """The same, one piece after another in float64, the state let go after so many steps."""
    network = module.network.double()
    network.zero_grad()
    state = [
        tuple(torch.zeros(ROWS, cell.hidden_size, dtype=torch.float64) for _ in before)
        for cell, before in zip(network.layers, network.start(ROWS).layers, strict=True)
    ]
    loss = torch.zeros((), dtype=torch.float64)
    for step in range(inputs.shape[1]):
        if step % steps == 0:
            state = [tuple(part.detach() for part in layer) for layer in state]
        features = network.embedding(inputs[:, step])
        for index, cell in enumerate(network.layers):
            state[index] = cell(cell.project(features), state[index])
            hidden = state[index][0]
            features = features + hidden if index >= 2 else hidden
        logits = network.vocabulary(features)
        loss = loss + torch.nn.functional.cross_entropy(
            logits, outputs[:, step], ignore_index=PAD_ID, reduction="sum"
        )
    loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in network.named_parameters()}
    network.float()
    return gradients


@pytest.mark.parametrize("steps", [1, 5, LENGTH, 3 * LENGTH])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_a_loop_that_lets_go_of_the_state(cell, num_layers, steps):
    module = make_module(cell, num_layers)
    chunks = chunks_of(make_text(), steps)
    inputs = torch.cat([chunk.input_ids for chunk in chunks], dim=1)
    outputs = torch.cat([chunk.output_ids for chunk in chunks], dim=1)
    found = gradients_of(module, chunks)
    expected = loop_gradients(module, inputs, outputs, steps)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cut_changes_gradients_but_no_loss(cell):
    text, losses, gradients = make_text(), {}, {}
    for steps in (3, LENGTH):
        module = make_module(cell)
        gradients[steps] = gradients_of(module, chunks_of(text, steps))["layers.0.weight_hh"]
        losses[steps] = sum(float(each.total) for each in module.learnt)
    assert losses[3] == pytest.approx(losses[LENGTH], rel=1e-6)
    assert not torch.allclose(gradients[3], gradients[LENGTH], rtol=1e-2, atol=1e-3)


def test_the_plain_path_learns_the_same():
    chunks = chunks_of(make_text(), 5)
    fast, plain = (gradients_of(make_module(plain=plain), chunks) for plain in (False, True))
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


def most_kept(text, steps):
    """Bytes that a step keeps for its gradient at most, in the chunks of a text."""
    module, most = make_module(), 0
    for index, chunk in enumerate(chunks_of(text, steps)):
        kept = []
        with saved_tensors_hooks(
            lambda tensor, kept=kept: kept.append(tensor.nbytes) or tensor, lambda tensor: tensor
        ):
            loss = module.training_step(chunk, index)
        most = max(most, sum(kept))
        loss.backward()
        module.learnt.clear()
    return most


def test_what_a_step_keeps_grows_with_the_stretch_and_not_with_the_text():
    short, long = make_text(ROWS * 40), make_text(ROWS * 400)
    assert most_kept(long, 20) == most_kept(short, 20)
    assert most_kept(long, 200) > 5 * most_kept(long, 20)


def test_the_state_goes_on_until_a_chunk_begins_anew():
    module = make_module()
    first = chunks_of(make_text(), 4)[0]
    begun = float(module.training_step(first, 0).detach())
    after = float(module.training_step(first._replace(begins=False), 1).detach())
    again = float(module.training_step(first, 2).detach())
    assert begun == again != after


def test_a_loaded_state_goes_to_the_device_of_the_chunk(monkeypatch):
    module, resumed, checkpoint = make_module(), make_module(), {}
    first, second, *_ = chunks_of(make_text(), 4)
    module.training_step(first, 0)
    module.on_save_checkpoint(checkpoint)
    resumed.on_load_checkpoint(checkpoint)
    found = []

    def loss(input_ids, output_ids, state):
        found.extend(part.device.type for layer in state.layers for part in layer)
        return original(second.input_ids, second.output_ids, module.network.start(ROWS))

    original = resumed.network.loss
    monkeypatch.setattr(resumed.network, "loss", loss)
    resumed.training_step(second._replace(input_ids=second.input_ids.to("meta")), 1)
    assert found == ["meta", "meta"]


def test_padding_weighs_nothing():
    module = make_module()
    inputs, outputs = torch.tensor([[BOS_ID, 5, 6]]), torch.tensor([[5, 6, 7]])
    loss = module.training_step(Chunk(inputs, outputs, begins=True), 0).detach()
    padded = Chunk(
        torch.cat([inputs, torch.tensor([[7, PAD_ID]])], 1),
        torch.cat([outputs, torch.tensor([[PAD_ID, PAD_ID]])], 1),
        begins=True,
    )
    assert float(module.training_step(padded, 1).detach()) == pytest.approx(float(loss))
    assert [each.counts.target_pieces for each in module.learnt] == [3, 3]


def test_a_step_that_is_not_finite_is_left_out_and_rows_begin_anew():
    module = with_trainer(make_module(limit=1))
    optimizer = torch.optim.SGD(module.network.parameters(), lr=1.0)
    first, second, *_ = chunks_of(make_text(), 4)
    before = {name: weight.clone() for name, weight in module.network.named_parameters()}
    begun = float(module.training_step(second._replace(begins=True), 0).detach())
    for index in range(2):
        (module.training_step(first, index) * math.nan).backward()
        if index:
            with pytest.raises(TrainingError, match="gradient was not finite in step 1"):
                module.configure_gradient_clipping(optimizer)
        else:
            module.configure_gradient_clipping(optimizer)
            optimizer.step()
            assert float(module.training_step(second, 1).detach()) == begun
    for name, weight in module.network.named_parameters():
        assert torch.equal(weight, before[name]), name
