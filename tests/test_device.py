"""The device module: which precision "auto" means on a CPU, and its effect on memory: what is freed is kept."""

import platform
import subprocess
import sys

import pytest
import torch

from qsneg import device

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("amx", "avx512", "ratio", "expected"),
    [
        (True, True, None, "bfloat16"),
        (False, True, 0.5, "bfloat16"),
        (False, True, 2.0, "float32"),  # AVX-512's bfloat16 at half the rate of float32, as on a Xeon without AMX
        (False, False, None, "float32"),
    ],
)
def test_auto_is_bfloat16_where_a_cpu_is_faster_in_it(monkeypatch, amx, avx512, ratio, expected):
    def measured(dtype):
        assert ratio, "nothing is to be measured here"
        return ratio if dtype is torch.bfloat16 else 1.0

    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(device, "convolution_seconds", measured)
    device.has_bfloat16.cache_clear()
    try:
        assert device.precision(CPU, "auto") == expected
        assert device.precision(CPU, "bfloat16") == "bfloat16"  # whoever asks for it gets it
    finally:
        device.has_bfloat16.cache_clear()


def test_convolutions_are_timed_in_both_precisions():
    assert all(device.convolution_seconds(dtype, rounds=2) > 0 for dtype in (torch.float32, torch.bfloat16))


FAULTS = """
import resource, sys, torch
from qsneg.device import keep_memory

if sys.argv[1] == "kept":
    keep_memory(torch.device("cpu"))
for _ in range(40):  # until as much is kept as is ever needed: six as a rule, once more than eight
    torch.ones(1 << 24)  # 64 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="keep_memory speaks to glibc")
def test_kept_memory_is_not_cleared_again():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "given back")
    }
    assert faults["kept"] < 5_000 < 50_000 < faults["given back"]  # a page is 4096 bytes: 16,384 a time


HELD = """
import torch
from qsneg.device import give_memory_back, keep_memory
from qsneg.evaluation.speed import resident

keep_memory(torch.device("cpu"))
blocks = [torch.ones(1 << 22) for _ in range(20)]  # 16 MB each
last = torch.ones(1 << 22)  # above them, so that the heap's end stays where it is
del blocks
before = resident()
give_memory_back()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="give_memory_back speaks to glibc")
def test_kept_memory_can_be_given_back():
    given = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True).stdout
    assert int(given) > 250_000_000  # of 336
