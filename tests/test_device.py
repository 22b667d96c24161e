"""The device module's effect on memory: what is freed is kept."""

import platform
import subprocess
import sys

import pytest

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
