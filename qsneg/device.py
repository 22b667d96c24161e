"""Where and in which precision to compute: device, autocast, memory layout.

from qsneg import device
place = device.pick("auto")
"""

import contextlib
import ctypes
import functools
import platform
import timeit
from collections.abc import Callable
from pathlib import Path

import torch

PRECISIONS = ("auto", "float32", "bfloat16")


def pick(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        ValueError: if `name` is no device or not present on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"Unknown device '{name}': choose auto, cuda, mps or cpu.") from None
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(device.type, False):
        raise ValueError(f"This machine has no device '{name}': choose auto, or cpu.")
    return device


@functools.cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast there: computed by the hardware, not emulated. Of a CPU that has AVX-512's bfloat16
    without AMX it is measured, once in a process: on some it takes half of float32's time, on others twice."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    if getattr(torch.cpu, "_is_amx_tile_supported", bool)():
        return True
    there = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    return there and convolution_seconds(torch.bfloat16) < convolution_seconds(torch.float32)


def convolution_seconds(dtype: torch.dtype, rounds: int = 5) -> float:
    """The shortest time on the CPU of a convolution as in the generator's blocks, at 256 pixels and width 32."""
    x = torch.ones(1, 128, 64, 64, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.ones(128, 128, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.conv2d(x, weight)  # warms up
        return min(timeit.repeat(lambda: torch.conv2d(x, weight), number=1, repeat=rounds))


def precision(device: torch.device, setting: str = "float32") -> str:
    """The precision that a setting means there, "float32" or "bfloat16": "auto" is bfloat16 where it is faster;
    "off" is an older name of float32.

    Raises:
        ValueError: on another setting.
    """
    if setting not in (*PRECISIONS, "off"):
        raise ValueError(f"Unknown precision '{setting}': choose {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}.")
    fast = setting == "bfloat16" or (setting == "auto" and has_bfloat16(device))
    return "bfloat16" if fast else "float32"


def autocast(device: torch.device, setting: str = "auto") -> Callable[[], contextlib.AbstractContextManager]:
    """A factory of autocast contexts for a precision (see `precision`): bfloat16 under autocast, or nothing.

    Raises:
        ValueError: on an unknown precision.
    """
    if precision(device, setting) == "float32":
        return contextlib.nullcontext
    return functools.partial(torch.autocast, device.type, torch.bfloat16)


def layout(device: torch.device) -> torch.memory_format:
    """The memory layout of networks and pictures that measured fastest there, in training and translation."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


@functools.cache
def keep_memory(device: torch.device) -> None:
    """Let this process keep the memory that it frees, for what is computed next on the CPU.

    The C library gives blocks of 32 MB and more back to the system each time, which clears every page of them anew: a
    tenth to a fifth of a training step at 256 pixels and width 64. For processes that do nothing else, such as a
    training: the greatest use of memory stays as it is, but it is kept to the end. Elsewhere than on Linux with glibc
    nothing happens.
    """
    if device.type != "cpu" or not (libc := glibc()):
        return
    most_mapped, trim_above = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    libc.mallopt(most_mapped, 0)
    libc.mallopt(trim_above, 2**31 - 1)


def give_memory_back() -> None:
    """Give the memory that this process has freed back to the system, also where `keep_memory` is in force: for work on
    many large blocks of different sizes, among which what is kept would grow. Needs glibc, as that does."""
    if libc := glibc():
        libc.malloc_trim(0)


@functools.cache
def glibc() -> ctypes.CDLL | None:
    """The C library, where it is glibc."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def describe(device: torch.device) -> str:
    """The device in words, such as "CPU, 2 threads" or "NVIDIA H100"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple GPU ({platform.machine()})"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"


def machine(device: torch.device) -> str:
    """The machine in words, for cards."""
    if device.type != "cpu":
        return describe(device)
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        name = next(
            (l.split(":")[1].strip() for l in info.read_text().splitlines() if l.startswith("model name")), name
        )
    return f"{name}, {describe(device)}"
