"""What can be watched of a run while it learns: how far each method is and how fast, its losses, its film so far.

look = watch(run)
look["cut"].step, look["cut"].speed, look["cut"].film
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qsneg.learning.run import Run
from qsneg.pages.recorded import Recorded, of_run

LOSSES = {  # what is plotted: its title, and which of metrics.jsonl's losses are summed
    "Contrast": ("NCE",),
    "Against the discriminator": ("G_GAN",),
    "Discriminator": ("D_real", "D_fake"),
}
RECENT = 6  # lines of the metrics that the speed is taken from
TRAIL, FOLLOWED = 4, 96  # frames that a trail is long; anchors that have one, the first by rank
FAR = 8  # cells beyond which an anchor has come from nowhere


@dataclass(frozen=True)
class Watched:
    """One method of a run."""

    step: int
    speed: float  # steps a second, 0.0 where it is not known yet
    curves: dict[str, list[tuple[int, float]]]  # of LOSSES: steps and values
    film: Recorded | None


def watch(run: Run) -> dict[str, Watched]:
    """What there is to see of every method, in order."""
    return {method: look(run.folder / method) for method in run.order.methods}


def look(folder: Path) -> Watched:
    """What there is to see in a folder of training."""
    lines = metrics(folder / "metrics.jsonl")
    curves = {
        title: [(line["step"], sum(line[n] for n in names)) for line in lines if all(n in line for n in names)]
        for title, names in LOSSES.items()
    }
    recent, speed = lines[-RECENT:], 0.0
    if len(recent) > 1 and (passed := recent[-1]["seconds"] - recent[0]["seconds"]) > 0:
        speed = (recent[-1]["step"] - recent[0]["step"]) / passed
    return Watched(lines[-1]["step"] if lines else 0, speed, curves, film(folder / "film"))


def metrics(path: Path) -> list[dict]:
    """The lines of a metrics.jsonl that is being written."""
    try:
        return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]  # the last may be half written
    except (OSError, ValueError):
        return []


def film(folder: Path) -> Recorded | None:
    """The frames recorded so far; None before the first."""
    return _film(folder, len(list(folder.glob("[0-9]*.npz"))))


@functools.lru_cache(maxsize=16)
def _film(folder: Path, frames: int) -> Recorded | None:
    try:
        return of_run(folder)
    except (OSError, ValueError, KeyError):
        return None


def left(run: Run, seen: dict[str, Watched]) -> tuple[float, bool] | None:
    """Seconds until the run's end by the speed that was seen last, and whether its time is up before its last step;
    None where no speed is known yet."""
    speeds = [seen[m].speed for m in run.left() if seen[m].speed] or [w.speed for w in seen.values() if w.speed]
    if not speeds:
        return None
    needed = sum((run.order.steps - seen[method].step) / speeds[-1] for method in run.left())
    allowed = max(0.0, run.allowed - run.used)
    return min(needed, allowed), needed > allowed


def trails(anchors: np.ndarray) -> np.ndarray:
    """Where the first anchors of the last frame may have come from: of frames' anchors S×N×2, T×M×2 positions, oldest
    first. From frame to frame back it is the nearest anchor, or the same place where none is near."""
    paths = [anchors[-1][:FOLLOWED]]
    for before in anchors[-2 : -TRAIL - 1 : -1]:
        away = np.abs(paths[-1][:, None] - before[None]).max(-1)  # M×N
        nearest = before[away.argmin(1)]
        paths.append(np.where((away.min(1) <= FAR)[:, None], nearest, paths[-1]))
    return np.stack(paths[::-1])
