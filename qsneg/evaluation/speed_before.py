"""This version beside another: training steps and translations of two checkouts, in turns, in one run.

    git worktree add ../before HEAD~1
    python -m qsneg bench --against ../before
    python -m qsneg bench --checkpointing           # steps as they are beside steps with --gradient-checkpointing

Each side is a process of its own, which imports the qsneg of its checkout and takes the same step on the same pictures.
Quote the ratios: times drift with whatever else the machine does.
"""

import subprocess
import sys
from pathlib import Path
from statistics import median

import torch

from qsneg import device as devices
from qsneg.config import METHODS, main_methods

HERE = Path(__file__).parents[2]
WORKER = """
import resource, sys
import torch
from qsneg import device as devices
from qsneg.config import ModelConfig
from qsneg.evaluation.speed import seconds, stepper, translator

name, size, width, place, precision, *options = sys.argv[1:]
place = devices.pick(place)
getattr(devices, "keep_memory", lambda device: None)(place)
torch.manual_seed(0)
config = ModelConfig(method="cut" if name == "translation" else name, width=int(width), disc_width=int(width))
make = translator if name == "translation" else stepper
run = make(config, int(size), place, False, precision, **{option: True for option in options})
for _ in sys.stdin:
    taken = seconds(run, place)
    is_cuda = place.type == "cuda"
    most = torch.cuda.max_memory_allocated() if is_cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(taken, most, flush=True)
"""


class Side:
    """A checkout's process, which takes a step whenever it is asked."""

    def __init__(self, checkout: Path, *settings):
        """settings: what the worker reads: a method or "translation", side, width, device, precision, options."""
        self.checkout = checkout
        command = [sys.executable, "-c", WORKER, *map(str, settings)]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.process = subprocess.Popen(command, cwd=checkout, **pipes)

    def take(self) -> tuple[float, float]:
        """Seconds of one step, and the most memory that the process had so far.

        Raises:
            ValueError: if the checkout's qsneg cannot do it.
        """
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            last = (self.process.stderr.read().strip().splitlines() or ["it ended"])[-1]
            raise ValueError(f"The qsneg in '{self.checkout}' cannot be measured ({last}): choose a nearer version.")
        return tuple(map(float, line.split()))

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def in_turns(sides: list[Side], rounds: int) -> list[tuple[float, float]]:
    """Median seconds and greatest memory of each side, after two steps that warm up."""
    taken = [[] for _ in sides]
    try:
        for i in range(rounds + 2):
            for side, found in zip(sides, taken):
                found.append(side.take())
    finally:
        for side in sides:
            side.end()
    return [(median(t for t, _ in found[2:]), found[-1][1]) for found in taken]


def bench_against(
    other: Path | str, size: int = 256, width: int = 64, rounds: int = 3, device: str = "auto", precision: str = "auto"
) -> None:
    """Print the seconds of steps and translations of `other` and of this checkout, and the ratios of time and memory.

    Raises:
        ValueError: if `other` is no checkout of qsneg, or one that cannot be measured.
    """
    other = Path(other)
    if not (other / "qsneg" / "evaluation" / "speed.py").is_file():
        raise ValueError(f"'{other}' is no checkout of qsneg that can be measured: make one with `git worktree add`.")
    used = begin_table(size, width, rounds, device, precision)
    print(f"{'':26}{'there s':>9}{'here s':>9}{'ratio':>8}{'memory':>8}")
    measured = [(f"step, {METHODS[name].title}", name, used) for name in main_methods()]
    measured += [(f"translation, {p}", "translation", p) for p in dict.fromkeys(("float32", used))]
    for label, name, precise in measured:
        settings = name, size, width, device, precise
        print_row(label, [Side(checkout, *settings) for checkout in (other.resolve(), HERE)], rounds)


def bench_checkpointing(
    size: int = 256, width: int = 64, rounds: int = 3, device: str = "auto", precision: str = "auto"
) -> None:
    """Print the seconds of training steps without and with gradient checkpointing, the ratios of time and memory."""
    used = begin_table(size, width, rounds, device, precision)
    print(f"{'':26}{'kept s':>9}{'anew s':>9}{'ratio':>8}{'memory':>8}")
    for name in main_methods():
        settings = HERE, name, size, width, device, used
        print_row(f"step, {METHODS[name].title}", [Side(*settings), Side(*settings, "checkpointing")], rounds)


def begin_table(size: int, width: int, rounds: int, device: str, precision: str) -> str:
    """Say where and how is measured; returns the precision."""
    place = devices.pick(device)
    used = devices.precision(place, precision)
    machine = f"{devices.describe(place)}, {used}, torch {torch.__version__}"
    print(f"{machine}, {size}×{size}, width {width}, median of {rounds}")
    return used


def print_row(label: str, sides: list[Side], rounds: int) -> None:
    """Measure two sides in turns; their seconds, and the ratios of the second to the first in time and memory."""
    (first, was), (second, now) = in_turns(sides, rounds)
    print(f"{label:26}{first:9.3f}{second:9.3f}{second / first:8.2f}{now / was:8.2f}", flush=True)
