import copy
import math

import numpy as np
import pytest
import torch
from copy_corpus import TINY_MODEL
from lightning.pytorch import Trainer
from torch.nn.utils import get_total_norm

from seq2seq.config import ConfigurationError, TrainingConfig
from seq2seq.data.batch import make_batch
from seq2seq.models.encoder_decoder import build_model
from seq2seq.training.errors import TrainingError
from seq2seq.training.module import OPTIMIZERS, TranslationModule, Window
from seq2seq.training.skipping import SkippedSteps
from seq2seq.training.world import World


@pytest.fixture
def batch():
    return make_batch([[4, 5, 6], [7]], [[8, 9], [5, 6, 7, 8]])


def make_module(say=print, **training):
    network = build_model(TINY_MODEL, 11, 13)
    config = TrainingConfig(**training)
    skipped = SkippedSteps(
        config.non_finite_limit,
        World(),
        describe=lambda batch: f"pairs {batch.sentence_indices}",
        say=say,
    )
    return TranslationModule(network, config, total_steps=100, world=World(), skipped=skipped)


def with_trainer(module):
    """The module, able to tell the epoch and the step."""
    module.trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    return module


def test_encoder_and_decoder_are_in_sight():
    module = make_module()
    assert module.encoder is module.network.encoder
    assert module.decoder is module.network.decoder
    assert {name.split(".")[0] for name in module.state_dict()} == {"network"}


def test_no_hyper_parameters_are_saved():
    assert not make_module().hparams


def test_the_loss_is_per_real_target_piece(batch):
    module = make_module(label_smoothing=0.2).eval()
    loss = module.training_step(batch, 0)
    logits = module.network.logits(
        module.network(batch.source_ids, batch.source_lengths, batch.target_input_ids)
    )
    expected = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), batch.target_output_ids, ignore_index=0, label_smoothing=0.2
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_loss_of_guided_attention_is_added_and_logged_apart():
    links = [np.array([[0, 1], [2, 0]]), np.array([[0, 3]])]
    guided = make_batch([[4, 5, 6], [7]], [[8, 9], [5, 6, 7, 8]], links=links)
    losses = {}
    for weight in (0.0, 2.0):
        torch.manual_seed(1)
        module = make_module(guided_attention=weight).eval()
        losses[weight] = module.training_step(guided, 0)
    losses[2.0].backward()
    module.configure_gradient_clipping(torch.optim.SGD(module.parameters(), lr=1.0))
    pieces = module.window.target_pieces
    assert float(module.window.loss) / pieces == pytest.approx(losses[0.0].item())
    attention_loss = float(module.window.attention_loss) / pieces
    assert losses[2.0].item() == pytest.approx(losses[0.0].item() + 2.0 * attention_loss)
    assert attention_loss > 0


def test_the_plain_path_learns_the_same_from_the_same_steps(batch, monkeypatch):
    states, steps = {}, []
    for plain in (True, False):
        torch.manual_seed(1)
        module = make_module(plain=plain).eval()
        step = module.decoder.step
        monkeypatch.setattr(
            module.decoder, "step", lambda *inputs, step=step: steps.append(1) or step(*inputs)
        )
        module.training_step(batch, 0).backward()
        states[plain] = [parameter.grad for parameter in module.parameters()]
    torch.testing.assert_close(states[True], states[False])
    assert len(steps) == batch.target_input_ids.shape[1]


def test_gradients_are_clipped_and_their_norm_before_is_known(batch):
    module = make_module(gradient_clip=0.01)
    module.training_step(batch, 0).backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    before = get_total_norm(gradients).item()
    module.configure_gradient_clipping(torch.optim.SGD(module.parameters(), lr=1.0))
    assert float(module.window.gradient_norm) == pytest.approx(before)
    assert get_total_norm(gradients).item() == pytest.approx(0.01, rel=1e-3) != before


def test_no_clipping_leaves_the_gradients(batch):
    module = make_module(gradient_clip=0.0)
    module.training_step(batch, 0).backward()
    before = [parameter.grad.clone() for parameter in module.parameters()]
    module.configure_gradient_clipping(torch.optim.SGD(module.parameters(), lr=1.0))
    for parameter, gradient in zip(module.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_matrices_decay_and_biases_do_not(optimizer):
    module = make_module(
        optimizer=optimizer,
        weight_decay=0.1,
        schedule="constant",
        warmup_steps=0,
        learning_rate=1e-3,
    )
    configured = module.configure_optimizers()["optimizer"]
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    configured.step()
    for name, parameter in module.named_parameters():
        rate = 1 - 1e-3 * 0.1 if parameter.dim() > 1 else 1.0
        torch.testing.assert_close(parameter, before[name] * rate)


def test_the_noise_of_a_batch_depends_on_its_place_only(batch):
    module = with_trainer(make_module(seed=3))
    noises = {}
    for place in (0, 1, 0):
        torch.rand(place + 5)
        module.on_train_batch_start(batch, place)
        noises.setdefault(place, []).append(torch.rand(3).tolist())
    assert noises[0][0] == noises[0][1] != noises[1][0]
    module.config = TrainingConfig(seed=4)
    module.on_train_batch_start(batch, 0)
    assert torch.rand(3).tolist() != noises[0][0]
    module.config, module.world = TrainingConfig(seed=3), World(1, 2)  # another process
    module.on_train_batch_start(batch, 0)
    assert torch.rand(3).tolist() != noises[0][0]


def step_with(module, optimizer, batch, more=0.0):
    """An optimiser step; what is added to the loss leaves its own gradients as they are."""
    original = module.network.loss

    def loss(*inputs, **settings):
        output = original(*inputs, **settings)
        return output._replace(loss=output.loss + more)

    module.network.loss = loss
    module.training_step(batch, 0).backward()
    module.network.loss = original
    module.configure_gradient_clipping(optimizer)
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("more", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_changes_nothing_and_is_said(batch, optimizer, more):
    said = []
    module = with_trainer(make_module(optimizer=optimizer, say=said.append))
    configured = module.configure_optimizers()["optimizer"]
    for _ in range(3):
        step_with(module, configured, batch)
    before = copy.deepcopy([module.state_dict(), configured.state_dict()["state"]])
    loss, pieces = float(module.window.loss), module.window.target_pieces
    step_with(module, configured, batch, more)
    assert module.skipped.in_a_row == 1
    after = [module.state_dict(), configured.state_dict()["state"]]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert (float(module.window.loss), module.window.target_pieces) == (loss, pieces)
    assert said == ["step 1 of epoch 1 is left out: its loss is not finite, with pairs (0, 1)"]
    step_with(module, configured, batch)
    assert module.skipped.in_a_row == 0
    assert not torch.equal(
        module.decoder.embedding.weight, before[0]["network.decoder.embedding.weight"]
    )


def test_gradients_alone_may_be_infinite(batch):
    said = []
    module = with_trainer(make_module(say=said.append))
    output = module.training_step(batch, 0)
    (output * 1e38 * 1e38).backward()
    module.configure_gradient_clipping(torch.optim.SGD(module.parameters(), lr=1.0))
    assert "its gradient is not finite" in said[0]
    assert all(parameter.grad is None for parameter in module.parameters())


def test_too_many_steps_in_a_row_end_training(batch):
    module = with_trainer(make_module(non_finite_limit=2))
    optimizer = module.configure_optimizers()["optimizer"]
    for more in (math.nan, 0.0, math.nan, math.nan):
        step_with(module, optimizer, batch, more)
    with pytest.raises(
        TrainingError,
        match=r"^The loss was not finite in step 1 of epoch 1, as in the 2 before it, with pairs "
        r"\(0, 1\); look at them, lower `training.learning_rate` or `training.gradient_clip`, or "
        r"raise `training.warmup_steps`.$",
    ):
        step_with(module, optimizer, batch, math.nan)


def test_a_limit_of_none_ends_training_at_once(batch):
    module = with_trainer(make_module(non_finite_limit=0))
    optimizer = module.configure_optimizers()["optimizer"]
    with pytest.raises(TrainingError, match=r"allows none, with pairs"):
        step_with(module, optimizer, batch, math.nan)


def test_a_checkpoint_knows_the_steps_that_were_left_out():
    module, resumed = make_module(), make_module()
    module.skipped.in_a_row = 3
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    resumed.on_load_checkpoint(checkpoint)
    assert resumed.skipped.in_a_row == 3
    resumed.on_load_checkpoint({})  # of an earlier version
    assert resumed.skipped.in_a_row == 0


def test_names_are_checked():
    with pytest.raises(ConfigurationError, match=r"`training.optimizer` must be one of adam, sgd"):
        make_module(optimizer="lion").configure_optimizers()


def test_a_window_whose_steps_were_all_left_out_has_no_numbers():
    assert math.isnan(Window().means()["loss"])


def test_a_window_counts_pieces_and_padding(batch):
    window, total = Window(), Window()
    window.add(torch.tensor(12.0), batch)
    window.gradient_norm = 3.0
    total.merge(window)
    total.merge(window)
    means = total.means()
    assert total.target_pieces == 2 * (3 + 5)
    assert means["loss"] == pytest.approx(12 / 8)
    assert means["gradient_norm"] == 3.0
    assert means["padding_share"] == pytest.approx(1 - (4 + 2 + 3 + 5) / (2 * 4 + 2 * 5))
