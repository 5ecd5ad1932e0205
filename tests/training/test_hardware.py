import pytest
import torch

from seq2seq.config import ConfigurationError, TrainingConfig
from seq2seq.training import hardware
from seq2seq.training.hardware import Hardware, check_devices, choose_hardware


@pytest.mark.parametrize(
    ("precision", "fast", "expected"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("float32", True, False),
        ("bfloat16", False, True),
    ],
)
def test_bfloat16_is_taken_where_it_is_fast_or_asked_for(monkeypatch, precision, fast, expected):
    monkeypatch.setattr(hardware, "is_bfloat16_fast", lambda device: fast)
    chosen = choose_hardware(TrainingConfig(device="cpu", precision=precision))
    assert chosen.bfloat16 is expected
    with chosen.autocast():
        product = torch.ones(2, 3) @ torch.ones(3, 5)
    assert product.dtype == (torch.bfloat16 if expected else torch.float32)


def test_it_says_what_was_chosen():
    chosen = choose_hardware(TrainingConfig(device="cpu", precision="float32", threads=1))
    assert str(chosen) == "cpu with 1 thread in float32"


@pytest.mark.parametrize(("wish", "share", "expected"), [(None, 3, 3), (2, 3, 2)])
def test_threads_are_those_of_the_recipe_or_the_share_of_the_process(wish, share, expected):
    choose_hardware(TrainingConfig(device="cpu", threads=wish), threads=share)
    assert torch.get_num_threads() == expected


def test_each_process_of_a_machine_has_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    config = TrainingConfig(device="cuda", precision="float32")
    devices = [choose_hardware(config, local_rank=rank).device for rank in (0, 1)]
    assert [device.index or 0 for device in devices] == [0, 1]
    with pytest.raises(ConfigurationError, match="is cuda:2, but there is no such device"):
        choose_hardware(config, local_rank=2)


@pytest.mark.parametrize(
    ("device", "local_size", "message"),
    [
        ("cuda:1", 2, "^`training.device` is cuda:1, one GPU, but 2 processes are to train; cuda "),
        ("cuda", 3, "^`training.devices` asks for 3 GPUs on a machine, but there are 2.$"),
    ],
)
def test_processes_that_would_share_a_gpu_are_refused(monkeypatch, device, local_size, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    hardware = Hardware(torch.device(device), bfloat16=False)
    with pytest.raises(ConfigurationError, match=message):
        check_devices(TrainingConfig(device=device), hardware, local_size=local_size)


def test_processes_that_fit_are_not_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device, local_size in (("cuda", 2), ("cuda:1", 1), ("cpu", 64)):
        hardware = Hardware(torch.device(device), bfloat16=False)
        check_devices(TrainingConfig(device=device), hardware, local_size=local_size)
