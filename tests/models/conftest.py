import pytest
import torch

from seq2seq.models import products


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1)


@pytest.fixture
def onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products in float32 by oneDNN, whatever the processor."""
    monkeypatch.setattr(products, "is_onednn_faster", lambda device: device.type == "cpu")
