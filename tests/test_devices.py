import ctypes
import subprocess
import sys

import pytest
import torch

from seq2seq import devices

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
