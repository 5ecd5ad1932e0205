import ctypes
import subprocess
import sys

import pytest
import torch

from seq2seq import devices
from seq2seq.config import ConfigurationError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _forget():
    devices._mkl_is_held_back.cache_clear()
    yield
    devices._mkl_is_held_back.cache_clear()


@pytest.mark.parametrize(
    ("vendor", "faster"), [("vendor_id : AuthenticAMD", True), ("vendor_id : GenuineIntel", False)]
)
def test_onednn_is_chosen_where_mkl_is_held_back(vendor, faster, monkeypatch):
    monkeypatch.setattr(devices, "_processor_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert devices.is_onednn_faster(CPU) is faster
    assert not devices.is_onednn_faster(torch.device("meta"))


def test_without_mkl_torch_chooses_by_itself(monkeypatch):
    monkeypatch.setattr(devices, "_processor_vendor", lambda: "AuthenticAMD")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    assert not devices.is_onednn_faster(CPU)


PAGED_IN = """
import resource, sys, torch
from seq2seq.devices import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    blocks = [torch.zeros(2**22) for _ in range(6)]
work()
before = faults()
for _ in range(5):
    work()
print(faults() - before)
"""


def test_kept_memory_is_not_paged_in_anew():
    def count(word):
        command = [sys.executable, "-c", PAGED_IN, word]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    has_glibc = hasattr(ctypes.CDLL(None), "mallopt")
    assert count("keep") < count("return") or not has_glibc


def test_without_glibc_nothing_happens(monkeypatch):
    def refuse(name):
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    devices.keep_freed_memory()


def test_memory_that_is_given_back_is_kept_no_more(monkeypatch):
    calls = []

    class Library:
        def mallopt(self, option, value):
            calls.append((option, value))

        def malloc_trim(self, pad):
            calls.append("trim")

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    devices.keep_freed_memory()
    devices.give_back_memory()
    assert calls[3:] == [(-3, 2**17), (-1, 2**17), "trim"]
    assert calls[:2] != calls[3:5]


def test_processes_have_a_gpu_each_or_share_the_processor(monkeypatch):
    assert devices.device_of_process("cpu", 7) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [devices.device_of_process("auto", index) for index in (0, 1)] == ["cuda:0", "cuda:1"]
    assert devices.device_of_process("cuda", 1) == "cuda:1"
    assert devices.device_of_process("cpu", 7) == "cpu"
    with pytest.raises(ConfigurationError, match="not as many GPUs as processes, but 2; start no"):
        devices.device_of_process("auto", 2)
    with pytest.raises(ConfigurationError, match="`device` is cuda:1, but several processes need"):
        devices.device_of_process("cuda:1", 0)
