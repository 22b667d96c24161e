"""How the cost grows: throughput against the number of pictures together, their size and the number of processes.

    python -m qsneg bench --growth --size 256 --width 64

Each table is one run; the first row of each is the same case. Processes share the machine's cores evenly.
"""

import time

import torch

from qsneg import device as devices
from qsneg.config import ModelConfig
from qsneg.evaluation.side_process import CONTEXT, start
from qsneg.evaluation.speed import compare, stepper, translator


def bench_growth(
    size: int = 256, width: int = 64, rounds: int = 3, device: str = "auto", precision: str = "auto"
) -> None:
    """Print pictures per second of CUT's training step and of translation, as batch, size and processes grow."""
    place = devices.pick(device)
    devices.keep_memory(place)
    used = devices.precision(place, precision)
    config = ModelConfig(width=width, disc_width=width)
    print(f"{devices.describe(place)}, {used}, torch {torch.__version__}, width {width}, median of {rounds}")
    print(f"{'':26}{'steps: pictures/s':>19}{'translation: pictures/s':>26}")

    def row(label: str, batch: int, side: int) -> None:
        sides = {
            "step": stepper(config, side, place, False, used, batch=batch),
            "translation": translator(config, side, place, False, used, batch),
        }
        t = compare(sides, rounds, place)
        print(f"{label:26}{batch / t['step']:19.2f}{batch / t['translation']:26.2f}", flush=True)

    for batch in (1, 2, 4):
        row(f"{batch} together, {size}×{size}", batch, size)
    for side in (size // 2 // 4 * 4, size * 2):
        row(f"1 alone, {side}×{side}", 1, side)
    if place.type == "cpu":
        cores = torch.get_num_threads()
        for count in range(2, cores + 1):
            rates = [
                in_processes(kind, count, cores // count, config, size, used, rounds)
                for kind in ("step", "translation")
            ]
            print(f"{count} processes, {size}×{size}    {rates[0]:19.2f}{rates[1]:26.2f}", flush=True)


def in_processes(
    kind: str, count: int, threads: int, config: ModelConfig, size: int, precision: str, rounds: int
) -> float:
    """Pictures per second of several processes together, each on its share of the cores."""
    ready, pipes = CONTEXT.Barrier(count), [CONTEXT.Pipe() for _ in range(count)]
    settings = kind, threads, config, size, precision, rounds, ready
    workers = [start(work, *settings, theirs) for _, theirs in pipes]
    for _, theirs in pipes:
        theirs.close()  # so that a child that fails is noticed
    taken = [ours.recv() for ours, _ in pipes]
    for worker in workers:
        worker.join()
    return count * rounds / max(taken)


def work(kind: str, threads: int, config: ModelConfig, size: int, precision: str, rounds: int, ready, pipe) -> None:
    """In a process of its own: the seconds of `rounds` steps or translations, begun together with the others."""
    torch.set_num_threads(threads)
    place = torch.device("cpu")
    devices.keep_memory(place)
    make = stepper if kind == "step" else translator
    run = make(config, size, place, False, precision)
    run()
    ready.wait()
    began = time.perf_counter()
    for _ in range(rounds):
        run()
    pipe.send(time.perf_counter() - began)
