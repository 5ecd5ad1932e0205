"""Which device computes, and whether it is fast in bfloat16."""

import torch

from seq2seq.config import ConfigurationError


def find_device(name: str, *, field: str = "device") -> torch.device:
    """Turns auto, cpu, cuda or cuda:N into a device that is there.

    Raises:
        ConfigurationError: If the name is none of these, or there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if name != "cpu" and not (kind == "cuda" and (name == "cuda" or index.isdecimal())):
        raise ConfigurationError(
            f"`{field}` must be one of auto, cpu, cuda, cuda:N, but is {name!r}."
        )
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"`{field}` is {name}, but there is no such device here; auto takes what there is."
        )
    return torch.device(name)


def is_bfloat16_fast(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster than in float32 on this device."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)
