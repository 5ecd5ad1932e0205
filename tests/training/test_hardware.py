import pytest
import torch

from seq2seq.config import TrainingConfig
from seq2seq.training import hardware
from seq2seq.training.hardware import choose_hardware


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
