"""The device and the precision of a training run."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from seq2seq.config import TrainingConfig, choose
from seq2seq.devices import find_device, is_bfloat16_fast


@dataclass(frozen=True)
class Hardware:
    """Where a network computes, and in which precision its products are."""

    device: torch.device
    bfloat16: bool
    """Products are bfloat16; weights, states and sums stay float32."""

    def autocast(self) -> AbstractContextManager:
        """Context in which products have the precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def __str__(self) -> str:
        if self.device.type == "cuda":
            place = f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        else:
            place = f"{self.device} with {torch.get_num_threads()} threads"
        return f"{place} in {'bfloat16' if self.bfloat16 else 'float32'}"


def choose_hardware(config: TrainingConfig) -> Hardware:
    """Turns the wishes of a recipe into what is there, and sets the number of threads.

    Raises:
        ConfigurationError: If the device is unknown or not there.
    """
    wishes = {"auto": None, "float32": False, "bfloat16": True}
    wish = choose(wishes, config.precision, field="training.precision")
    device = find_device(config.device, field="training.device")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    return Hardware(device, is_bfloat16_fast(device) if wish is None else wish)
