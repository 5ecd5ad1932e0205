"""Which device computes, and whether it is fast in bfloat16."""

import ctypes
import gc
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


def device_of_process(name: str, index: int) -> str:
    """The device of one of several processes of a machine: they share the processor, or have a GPU
    each.

    Args:
        name: auto, cpu or cuda.
        index: Of the process, from 0.

    Raises:
        ConfigurationError: If there are fewer GPUs, or one of them is named.
    """
    if find_device(name).type == "cpu":
        return "cpu"
    if ":" in name:
        raise ConfigurationError(
            f"`device` is {name}, but several processes need a GPU each; give cuda or cpu."
        )
    if index >= torch.cuda.device_count():
        raise ConfigurationError(
            f"there are not as many GPUs as processes, but {torch.cuda.device_count()}; start no "
            f"more processes, or give `device` cpu."
        )
    return f"cuda:{index}"


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
    _keep_blocks(32 * 2**20, 512 * 2**20)  # no larger ones can be kept


def give_back_memory() -> None:
    """Frees what can be freed where memory has run short; from now on freed blocks are given back.

    Otherwise libraries that ask the system itself, as oneDNN does for its routines, would get none.
    """
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    _keep_blocks(128 * 2**10, 128 * 2**10)  # as glibc begins


def _keep_blocks(largest: int, in_all: int) -> None:
    """Tells glibc the bytes of the largest freed block to keep, and those of all at the end."""
    try:
        libc = ctypes.CDLL(None)
        mmap_threshold, trim_threshold = -3, -1  # numbers in its malloc.h
        libc.mallopt(mmap_threshold, largest)
        libc.mallopt(trim_threshold, in_all)
        libc.malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return


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
