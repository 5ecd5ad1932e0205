"""The device and the precision of a training run."""

import platform
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seq2seq.config import ConfigurationError, TrainingConfig, choose
from seq2seq.devices import describe_device, find_device, is_bfloat16_fast, keep_freed_memory
from seq2seq.language_config import LanguageTrainingConfig


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
        precision = "bfloat16" if self.bfloat16 else "float32"
        return f"{describe_device(self.device)} in {precision}"


def choose_hardware(
    config: TrainingConfig | LanguageTrainingConfig,
    *,
    local_rank: int = 0,
    threads: int | None = None,
) -> Hardware:
    """Turns the wishes of a recipe into what is there, and prepares the process for it.

    Args:
        local_rank: Number of the process among those of this machine, each of which has a GPU.
        threads: Processor threads if the recipe names none; as many as cores if not given.

    Raises:
        ConfigurationError: If the device is unknown or not there.
    """
    wishes = {"auto": None, "float32": False, "bfloat16": True}
    wish = choose(wishes, config.precision, field="training.precision")
    device = find_device(config.device, field="training.device")
    if device.type == "cuda" and local_rank:
        device = find_device(f"cuda:{local_rank}", field="training.device")
    threads = config.threads or threads
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    return Hardware(device, is_bfloat16_fast(device) if wish is None else wish)


def check_devices(config: TrainingConfig, hardware: Hardware, *, local_size: int) -> None:
    """Refuses more processes than there are GPUs, or several that would share the one named.

    Args:
        local_size: Processes that this machine is to have.

    Raises:
        ConfigurationError: If they cannot have a GPU each.
    """
    if hardware.device.type != "cuda" or local_size == 1:
        return
    if hardware.device.index is not None:
        raise ConfigurationError(
            f"`training.device` is {config.device}, one GPU, but {local_size} processes are to "
            f"train; cuda gives each its own."
        )
    if local_size > torch.cuda.device_count():
        raise ConfigurationError(
            f"`training.devices` asks for {local_size} GPUs on a machine, but there are "
            f"{torch.cuda.device_count()}."
        )


def describe_machine(hardware: Hardware) -> dict[str, Any]:
    """What stands beside the times of a run: hardware, threads and precision."""
    if hardware.device.type == "cuda":
        name = torch.cuda.get_device_name(hardware.device)
    else:
        name = f"{_processor_name()}, {torch.backends.cpu.get_cpu_capability()}"
    return {
        "hardware": name,
        "threads": torch.get_num_threads(),
        "precision": "bfloat16" if hardware.bfloat16 else "float32",
    }


def _processor_name() -> str:
    """Linux tells it in a file only; elsewhere the architecture may be all there is."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        match = re.search(r"model name\s*: (.+)", information.read_text("utf-8", "replace"))
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine()
