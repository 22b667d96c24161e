"""What fits in memory: the bytes that translating a picture needs, those that are free, and the size that would fit.

from qsneg.memory_limits import check_fits
check_fits((6000, 4000), 64, torch.device("cpu"))       # raises TooLarge, which names the size that fits
"""

import contextlib
import os
import sys
from pathlib import Path, PurePosixPath

import torch

from qsneg import device as devices

with contextlib.suppress(ImportError):  # not on Windows, which has no /proc either
    import resource

MIN_SIDE = 16  # pixels: smaller pictures are padded to it, so that the bottleneck is 4×4 at least


class TooLarge(ValueError):
    """The picture does not fit in memory. `size`: the shorter side in pixels at which it would, if that is known."""

    def __init__(self, sentence: str, size: int | None = None):
        super().__init__(sentence)
        self.size = size


def padded_side(side: int, margin: int = 0) -> int:
    return max(MIN_SIDE, -(-(side + 2 * margin) // 4) * 4)


def short_size(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Width and height, in pixels, of a picture of `size` made so that its shorter side is `short`.

    Raises:
        ValueError: if `short` is less than 1 or no whole number.
    """
    if isinstance(short, bool) or short != int(short) or short < 1:
        raise ValueError(f"The size is the shorter side in pixels, a whole number of at least 1, not {short}.")
    width, height = size
    scale = short / min(size)
    return max(int(short), round(width * scale)), max(int(short), round(height * scale))


BYTES = {torch.channels_last: 20, torch.contiguous_format: 28}
# Peak of a forward pass in bytes per pixel and unit of width. Measured on the CPU as the growth of the process's
# largest resident size, for widths 32 and 64 at 512×512, 1024×768 and 1536×1024: 18.2 to 18.6 in channels-last and
# 26.1 to 26.5 in contiguous layout, in float32 and in bfloat16 alike (whose blurs go by way of float32); the rest is
# margin. The picture itself, in the forms that it takes meanwhile, counts as two more units of width (measured: 30
# bytes per pixel). On GPUs the tensors are the same, but it has not been measured there.


def needed_bytes(size: tuple[int, int], width: int, device: torch.device, batch: int = 1, margin: int = 0) -> int:
    """Memory in bytes that translating pictures of `size` (width, height) takes, for a generator of `width`."""
    pixels = batch * padded_side(size[0], margin) * padded_side(size[1], margin)
    return BYTES[devices.layout(device)] * (width + 2) * pixels


def check_fits(
    size: tuple[int, int], width: int, device: torch.device, batch: int = 1, free: int | None = None, margin: int = 0
) -> None:
    """Refuse what does not fit in `free` bytes; by default, those that are free now.

    Raises:
        TooLarge: naming the largest size (shorter side) that would fit, by the same rule.
    """
    free = free_bytes(device) if free is None else free
    needed = needed_bytes(size, width, device, batch, margin)
    if needed <= free:
        return
    fits, too_large = 0, min(size)  # the largest that fits lies from the one to below the other
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if needed_bytes(short_size(size, middle), width, device, batch, margin) <= free:
            fits = middle
        else:
            too_large = middle
    what = "this picture" if batch == 1 else f"{batch} pictures at once"
    remedy = f"translate it at size {fits} or less (the shorter side in pixels)"
    raise TooLarge(
        f"Translating {what} at {size[0]}×{size[1]} pixels needs about {in_words(needed)} of memory and "
        f"{in_words(free)} are free: {remedy if fits else 'free some memory, no size of it fits'}.",
        fits or None,
    )


def ran_out(error: BaseException, needed: int, device: torch.device) -> bool:
    """Whether an error of torch's is for want of memory. It has a kind of its own for that on GPUs; on the CPU it
    raises what it raises for anything else, and the forecast tells: whether more than half of what is free is needed.
    """
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        device.type == "cpu" and type(error) is RuntimeError and needed > free_bytes(device) / 2
    )


def in_words(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def free_bytes(device: torch.device) -> int:
    """Memory in bytes that a computation on `device` can still take; a huge number where that cannot be known."""
    if device.type == "cuda":
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reusable
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():  # Linux: what the kernel calls available, and what the container's limit leaves
        line = next((line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable:")), None)
        free = int(line.split()[1]) * 1024 if line else sys.maxsize
        return max(0, min(free, cgroup_free_bytes(), process_free_bytes()))
    try:  # macOS has no figure for what is available: half of what is built in
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # Windows
        return sys.maxsize


def process_free_bytes() -> int:
    """What a limit on this process's own addresses (`ulimit -v`) leaves, in bytes."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - pages * resource.getpagesize()


def cgroup_free_bytes(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """What the tightest memory limit of this process's control groups (containers, services) leaves, in bytes."""
    free = sys.maxsize
    try:
        groups = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return free
    for _, controllers, path in groups:
        if controllers == "":  # version 2
            base, limit, usage, cache = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):  # version 1
            base, limit, usage = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        relative = PurePosixPath(path.strip().lstrip("/"))
        for group in {base / relative, *(base / p for p in relative.parents), base}:
            try:  # files that are not there, and "max", mean no limit
                left = int((group / limit).read_text()) - int((group / usage).read_text())
                stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            except (OSError, ValueError):
                continue
            free = min(free, left + int(stat.get(cache, 0)))  # cached files make way
    return free
