"""Which device computes, and whether it is fast in bfloat16."""

import ctypes
import platform
from functools import cache
from pathlib import Path

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


def describe_device(device: torch.device) -> str:
    """The device and, of a processor, its threads; of a GPU, its name."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"{device} with {threads} thread{'s' if threads > 1 else ''}"


def is_bfloat16_fast(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster than in float32 on this device."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def is_onednn_faster(device: torch.device) -> bool:
    """Whether oneDNN multiplies float32 matrices faster than what torch takes by itself.

    By itself torch takes MKL, which keeps its AVX-512 routines to Intel's processors.
    """
    return device.type == "cpu" and _mkl_is_held_back()


def keep_freed_memory() -> None:
    """Lets the process keep large blocks that it frees, to use them again.

    By default glibc gives them back to the system, which then hands out zeroed pages anew: a fifth
    of a training step. Elsewhere than with glibc this does nothing.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mmap_threshold, trim_threshold = -3, -1  # numbers in glibc's malloc.h
    set_option(mmap_threshold, 32 * 2**20)  # the largest that it takes
    set_option(trim_threshold, 512 * 2**20)


@cache
def _mkl_is_held_back() -> bool:
    return (
        torch.backends.mkl.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and "AuthenticAMD" in _processor_vendor()
    )


def _processor_vendor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        return information.read_text("utf-8", "replace")[:1000]
    return platform.processor()
