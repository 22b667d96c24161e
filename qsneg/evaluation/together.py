"""What training together costs: a step's gradients sent round, beside its computation. All sides in one run.

    torchrun --nproc-per-node 2 -m qsneg bench --communication

Every process takes steps on a batch of its own, with gradients averaged and without, in turn; and the averages alone.
"""

import statistics

import torch

from qsneg import device as devices
from qsneg import methods
from qsneg.config import METHODS, ModelConfig, main_methods
from qsneg.evaluation.speed import seconds, stepper
from qsneg.training.processes import Processes


def bench_communication(
    size: int = 256, width: int = 64, rounds: int = 3, device: str = "auto", precision: str = "auto"
) -> None:
    """Print for each method the seconds of a step alone and together, of its all-reduces, and their megabytes.

    Raises:
        ValueError: where there is one process alone.
    """
    processes = Processes()
    if processes.size == 1:
        raise ValueError(
            "One process has nobody to talk to: `torchrun --nproc-per-node 2 -m qsneg bench --communication`."
        )
    place = processes.device(devices.pick(device))
    used = devices.precision(place, precision)
    if processes.first:
        machine = f"{devices.describe(place)}, {used}, torch {torch.__version__}"
        print(f"{processes.size} processes, each {machine}, {size}×{size}, width {width}, median of {rounds}")
        print(f"{'':18}{'alone s':>9}{'together s':>12}{'all-reduce s':>14}{'MB':>7}{'pictures/s':>12}{'of ideal':>10}")
    for name in main_methods():
        config = ModelConfig(method=name, width=width, disc_width=width)
        t, sent = times(config, size, place, used, rounds, processes)
        if processes.first:
            alone, together, exchange = (t[side] for side in ("alone", "together", "exchange"))
            print(
                f"{METHODS[name].title:18}{alone:9.3f}{together:12.3f}{exchange:14.3f}{sent / 1e6:7.1f}"
                f"{processes.size / together:12.2f}{alone / together:10.0%}",
                flush=True,
            )


def times(
    config: ModelConfig, size: int, place: torch.device, precision: str, rounds: int, processes: Processes
) -> tuple[dict[str, float], int]:
    """Median seconds of a step without exchange, with it, and of the exchange alone, the slowest process's; and the
    bytes exchanged. Every process computes in all three, so that they have the machine to the same share."""
    groups = methods.create(config).to(place, memory_format=devices.layout(place)).groups()

    def exchange() -> None:
        for name, parameters in groups.items():
            processes.average(name, parameters, parameters)

    sides = {
        "alone": stepper(config, size, place, False, precision),
        "together": stepper(config, size, place, False, precision, processes.average),
        "exchange": torch.no_grad()(exchange),
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds + 1):
        for name, run in sides.items():
            processes.wait()
            t = seconds(run, place)
            if i:  # the first warms up
                taken[name].append(t)
    medians = {name: max(processes.gather(statistics.median(t))) for name, t in taken.items()}
    return medians, sum(p.numel() * p.element_size() for group in groups.values() for p in group)
