"""What a page costs once features have been read: seconds of `look` and of `rows`.

    python -m qsneg bench --inspection

It stands here since `qsneg.evaluation` comes before the pages in the order of imports.
"""

import statistics
import time

import numpy as np
import torch

from qsneg.config import ModelConfig
from qsneg.evaluation.speed import bench_click, bench_entropy
from qsneg.image_io import to_image
from qsneg.inspect import View, observe
from qsneg.pages import PAGES
from qsneg.pages.recorded import PICTURES, Recorded
from qsneg.pages.selection import Selection
from qsneg.training.film import ANCHORS, LAYERS, frame_steps
from qsneg.translate import Translator
from qsneg.weights import Weights


def seconds(seen: dict, layer: int = 12, rounds: int = 7) -> dict[str, tuple[float, float]]:
    """Median seconds of `look` and of `rows` by page, for all methods in `seen` together: what a click costs, but for
    the HTML. `seen` are views by method; the film's are made up."""
    times: dict[str, tuple[float, float]] = {}
    for name, page in PAGES.items():
        mine = seen if page.pictures_of == "views" else {method: recorded() for method in seen}
        selection = page.fit(Selection(layer=layer), mine)
        for _ in page.prepare(mine, selection):
            pass
        measured = []
        for n in range(rounds + 1):  # the first sets things up
            width, height = (max(1, side) for side in selection.size)
            selection = selection.at((37 * n + 11) % width, (53 * n + 29) % height)
            start = time.perf_counter()
            looked = page.look(mine, selection)
            middle = time.perf_counter()
            page.rows(looked, selection)
            measured.append((middle - start, time.perf_counter() - middle))
        times[name] = tuple(statistics.median(m) for m in zip(*measured[1:]))
    return times


def recorded() -> Recorded:
    """A film of random values, as long as one of 10,000 steps."""
    steps, random = frame_steps(10000), np.random.default_rng(0)
    shape = len(steps), PICTURES, len(LAYERS)
    logs = random.standard_normal((*shape, 48, 48), dtype=np.float32)
    return Recorded(steps, list(LAYERS), logs, random.integers(0, 48, (*shape, ANCHORS, 2)), [b""] * len(steps), b"")


def views(width: int, device: str, size: int, precision: str = "float32") -> dict[str, View]:
    """Random weights of the three methods and a random picture."""
    torch.manual_seed(0)
    picture, found = to_image(torch.rand(3, size, size) * 2 - 1), {}
    for method in ("cut", "qs-attn", "negcut"):
        weights = Weights.empty(ModelConfig(method=method, width=width))
        found[method] = observe(Translator(weights, device, precision), picture)
    return found


def bench_pages(width: int = 32, device: str = "auto", size: int = 256, precision: str = "float32") -> None:
    """Print what every page costs, for three methods together."""
    print(f"\npages at {size}×{size}, layer 12, three methods: milliseconds of look and of rows")
    for name, (look, rows) in seconds(views(width, device, size, precision)).items():
        print(f"{PAGES[name].title:16}{look * 1000:8.0f}{rows * 1000:8.0f}", flush=True)


def bench_inspection(device: str = "auto", precision: str = "float32") -> None:
    """Print what looking inside costs: a click, every page, and the entropies of pictures of several sizes."""
    for measure in (bench_click, bench_pages):
        measure(device=device, precision=precision)
    bench_entropy(device=device)
