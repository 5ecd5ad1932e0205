import pytest
import torch
from copy_corpus import TINY_MODEL
from lightning.pytorch import Trainer
from torch.nn.utils import get_total_norm

from seq2seq.config import ConfigurationError, TrainingConfig
from seq2seq.data.batch import make_batch
from seq2seq.models.encoder_decoder import build_model
from seq2seq.training.module import OPTIMIZERS, TrainingError, TranslationModule, Window


@pytest.fixture
def batch():
    return make_batch([[4, 5, 6], [7]], [[8, 9], [5, 6, 7, 8]])


def make_module(**training):
    network = build_model(TINY_MODEL, 11, 13)
    return TranslationModule(network, TrainingConfig(**training), total_steps=100)


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
    module = make_module(seed=3)
    module.trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    noises = {}
    for place in (0, 1, 0):
        torch.rand(place + 5)
        module.on_train_batch_start(batch, place)
        noises.setdefault(place, []).append(torch.rand(3).tolist())
    assert noises[0][0] == noises[0][1] != noises[1][0]
    module.config = TrainingConfig(seed=4)
    module.on_train_batch_start(batch, 0)
    assert torch.rand(3).tolist() != noises[0][0]


@pytest.mark.parametrize(("name", "attribute"), [("loss", "loss"), ("gradient", "gradient_norm")])
def test_what_is_not_finite_is_named(name, attribute):
    module = make_module()
    module.trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    module.check_finite()
    setattr(module.window, attribute, torch.tensor(float("nan")))
    with pytest.raises(TrainingError, match=rf"^The {name} became nan in epoch 1 after 0 steps; "):
        module.check_finite()


def test_names_are_checked():
    with pytest.raises(ConfigurationError, match=r"`training.optimizer` must be one of adam, sgd"):
        make_module(optimizer="lion").configure_optimizers()


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
