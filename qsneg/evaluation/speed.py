"""How much faster than a plain version? Both sides measured in turn, in one run.

    python -m qsneg bench                       # 256 pixels, width 64: some minutes on two cores
    python -m qsneg bench --size 128 --width 32 --profile
    python -m qsneg bench --against ../before   # another checkout beside this one
    python -m qsneg bench --growth              # against batch, size and processes
    python -m qsneg bench --inspection          # entropies at 256, 512 and 1024 pixels, and a click

Plain means: float32 without autocast, contiguous, torch's own instance norm, and features computed anew each
time they are needed (an encoder pass for the sources; in NEGCUT passes of their own for the update of the
negative generator). Quote the ratios: times drift with whatever else the machine does.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from qsneg import attention, methods
from qsneg import device as devices
from qsneg.config import METHODS, ModelConfig, main_methods
from qsneg.evaluation import side_process
from qsneg.image_io import to_image
from qsneg.inspect import observe, query
from qsneg.layers import InstanceNorm
from qsneg.memory_limits import check_fits
from qsneg.networks import Generator
from qsneg.translate import Translator
from qsneg.weights import Weights


class PlainInstanceNorm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.instance_norm(x)


def with_plain_norms(net: nn.Module) -> nn.Module:
    """Put torch's own instance norm into a network."""
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm):
                setattr(module, name, PlainInstanceNorm())
    return net


def plain(method: methods.CUT) -> methods.CUT:
    """The same method (not a Fast one), computing features anew each time they are needed."""
    base = type(method)

    class Plain(base):
        def translate(self, real):
            self.start = self.draws.generator.get_state()
            output = self.generator(real)
            self.pair = real, output
            return output, self.generator.encode(real, self.config.layers)

        def update_negatives(self, passes, update):
            if self.config.traits.generates:
                after = self.draws.generator.get_state()
                self.draws.generator.set_state(self.start)  # the same positions again
                features = [self.generator.encode(x, self.config.layers) for x in self.pair]
                passes = self.passes(*features, [], len(passes))
                self.draws.generator.set_state(after)
            return super().update_negatives(passes, update)

    method.__class__ = Plain
    return with_plain_norms(method)


def stepper(
    config: ModelConfig,
    size: int,
    device: torch.device,
    is_plain: bool,
    precision: str = "auto",
    average: Callable = lambda name, grads, parameters: grads,
    batch: int = 1,
    checkpointing: bool = False,
) -> Callable[[], dict]:
    """A function that takes one training step on `batch` fixed random pictures, with gradients that are averaged so."""
    torch.manual_seed(0)
    layout = torch.contiguous_format if is_plain else devices.layout(device)
    context = devices.autocast(device, "float32" if is_plain else precision)
    method = methods.create(config, methods.Draws(0, device), context).to(device, memory_format=layout)
    if is_plain:
        method = plain(method)
    method.generator.checkpointing = checkpointing
    groups = method.groups()
    optimisers = {
        k: torch.optim.Adam(v, 2e-4, (0.5, 0.999), fused=device.type in ("cpu", "cuda")) for k, v in groups.items()
    }

    def update(name: str, loss: torch.Tensor) -> None:
        grads = average(name, torch.autograd.grad(loss, groups[name]), groups[name])
        for p, g in zip(groups[name], grads):
            p.grad = g
        optimisers[name].step()

    x, y = (torch.rand(batch, 3, size, size).mul(2).sub(1).to(device, memory_format=layout) for _ in range(2))
    return lambda: method.step(x, y, update)


def translator(
    config: ModelConfig, size: int, device: torch.device, is_plain: bool, precision: str = "auto", batch: int = 1
) -> Callable[[], torch.Tensor]:
    """A function that translates `batch` fixed random pictures."""
    torch.manual_seed(0)
    layout = torch.contiguous_format if is_plain else devices.layout(device)
    generator = Generator(config.width, config.blocks).eval()
    generator = (with_plain_norms(generator) if is_plain else generator).to(device, memory_format=layout)
    context = devices.autocast(device, "float32" if is_plain else precision)
    x = torch.rand(batch, 3, size, size).mul(2).sub(1).to(device, memory_format=layout)

    def run() -> torch.Tensor:
        with torch.inference_mode(), context():
            return generator(x)

    return run


def seconds(run: Callable, device: torch.device) -> float:
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(sides: dict[str, Callable], rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each side, run in turn `rounds` times after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds + 1):
        for name, run in sides.items():
            t = seconds(run, device)
            if i:
                times[name].append(t)
    return {name: statistics.median(t) for name, t in times.items()}


def product_rate(device: torch.device, precision: str, side: int = 4096) -> float:
    """Floating-point operations per second of a large matrix product: what the machine can do at most."""
    a, b = (torch.rand(side, side, device=device, dtype=getattr(torch, precision)) for _ in range(2))
    return 2 * side**3 / compare({"product": lambda: a @ b}, 3, device)["product"]


def operations(run: Callable) -> int:
    """Floating-point operations of convolutions and products in a run, forwards and backwards."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def line(t: dict[str, float], count: int, rate: float) -> str:
    """Seconds of both sides, their ratio, a run's operations, and their share of what the machine can do."""
    share = count / t["qsneg"] / rate
    return f"{t['plain']:9.3f}{t['qsneg']:9.3f}{t['qsneg'] / t['plain']:8.2f}{count / 1e9:8.0f}{share:8.0%}"


def bench(
    size: int = 256,
    width: int = 64,
    rounds: int = 3,
    device: str = "auto",
    profile: bool = False,
    precision: str = "auto",
) -> None:
    """Print the table: seconds of both sides and their ratio, then each method's step relative to CUT's."""
    place = devices.pick(device)
    devices.keep_memory(place)  # for both sides
    used = devices.precision(place, precision)
    if size % 4 or size < 32:
        raise ValueError(f"The size must be divisible by 4 and at least 32, not {size}.")
    if rounds < 1:
        raise ValueError(f"The number of rounds must be at least 1, not {rounds}.")
    configs = {m: ModelConfig(method=m, width=width, disc_width=width) for m in main_methods()}
    check_fits((size, size), width, place)
    machine = f"{devices.describe(place)}, {used}, torch {torch.__version__}"
    print(f"{machine}, {size}×{size}, width {width}, median of {rounds}")
    rate = product_rate(place, used)
    print(f"a large product in {used}: {rate / 1e9:.0f} GFLOP/s; share: how near to it qsneg's operations come")
    print(f"{'':22}{'plain s':>9}{'qsneg s':>9}{'ratio':>8}{'GFLOP':>8}{'share':>8}")
    fast = {}
    for name, config in configs.items():
        sides = {label: stepper(config, size, place, label == "plain", used) for label in ("plain", "qsneg")}
        t = compare(sides, rounds, place)
        fast[name] = sides["qsneg"]
        print(f"step, {METHODS[name].title:16}{line(t, operations(sides['qsneg']), rate)}", flush=True)
    sides = {label: translator(configs["cut"], size, place, label == "plain", used) for label in ("plain", "qsneg")}
    t = compare(sides, 3 * rounds, place)
    print(f"{'translation':22}{line(t, operations(sides['qsneg']), rate)}", flush=True)
    t = compare(fast, rounds, place)
    print("steps relative to CUT's: " + ", ".join(f"{METHODS[k].title} {t[k] / t['cut']:.2f}" for k in t if k != "cut"))
    if profile:
        for name, run in fast.items():
            with torch.profiler.profile() as p:
                run()
            print(f"\n{METHODS[name].title}: where a step's time goes")
            print(p.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=44))


def entropy_cost(size: int, mode: str, width: int, device_name: str, pipe) -> None:
    """In a process of its own: seconds and peak bytes beyond the features of one layer-12 map's entropies."""
    device = devices.pick(device_name)
    torch.manual_seed(0)
    features = torch.randn(1, 4 * width, size // 4, size // 4, device=device) / 3  # as layers 12 and 16
    attention.entropy(features[:, :, :8, :8], mode)  # what is loaded once does not count
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        before = resident()
    taken = seconds(lambda: attention.entropy(features, mode), device)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else resident(peak=True)
    pipe.send((taken, peak - before))


def resident(peak: bool = False) -> int:
    """Bytes of memory that this process has, or had at most (Linux; elsewhere always the most)."""
    status = Path("/proc/self/status")
    if status.exists():
        name = "VmHWM:" if peak else "VmRSS:"
        return next(int(l.split()[1]) * 1024 for l in status.read_text().splitlines() if l.startswith(name))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def bench_entropy(width: int = 32, device: str = "auto", sizes: tuple[int, ...] = (256, 512, 1024)) -> None:
    """Print time and peak memory, beyond the features, of one layer's entropies at several picture sizes."""
    print(f"\nentropies of one map of layers 12 or 16, width {width}: seconds, peak MB beyond the features")
    print(f"{'pixels':>10}{'positions':>11}" + "".join(f"{mode:>22}" for mode in ("global", "local")))
    for size in sizes:
        row = f"{size:>10}{(size // 4) ** 2:>11}"
        for mode in ("global", "local"):
            ours, theirs = side_process.CONTEXT.Pipe()
            process = side_process.start(entropy_cost, size, mode, width, device, theirs)
            theirs.close()  # so that a child that fails is noticed
            taken, peak = ours.recv()
            process.join()
            row += f"{taken:>12.2f} s{peak / 1e6:>6.0f} MB"
        print(row, flush=True)


def bench_click(
    width: int = 32, device: str = "auto", size: int = 256, rounds: int = 20, precision: str = "float32"
) -> None:
    """Print what a click costs: an attention row, two similarity maps, the query's contrast; features are there."""
    torch.manual_seed(0)
    translator = Translator(Weights.empty(ModelConfig(method="negcut", width=width)), device, precision)
    view = observe(translator, to_image(torch.rand(3, size, size) * 2 - 1))

    def click() -> None:
        position = (size // 8, size // 8)
        view.attention(12, position)
        for which in ("source", "result"):
            view.similarity(12, position, which)
        query(view, 12, position)

    t = compare({"click": click}, rounds, translator.device)["click"]
    print(f"\na click at {size}×{size}, per model: {t * 1000:.0f} ms")
