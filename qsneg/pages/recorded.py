"""Films as training recorded them (see `qsneg.training.film`), read to be looked at.

films = load(Path("checkpoints/day2sunset"), ["cut", "negcut"])    # <method>.film beside the weights
films["cut"].stay[:, 0, 1]           # how many anchors of each frame are there in the next, of picture 0, layer 16
"""

import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg.inspect import Grid
from qsneg.inspect.summary import staying
from qsneg.pages.selection import Selection
from qsneg.rendering.rows import Picture
from qsneg.training.film import SIZE, cut, gathered, log_entropy

PICTURES = 4


@dataclass(frozen=True)
class Recorded:
    """One film: S frames of P pictures, L layers, a grid of H×W."""

    steps: list[int]
    layers: list[int]
    log_entropy: np.ndarray  # S×P×L×H×W, nats
    anchors: np.ndarray  # S×P×L×N×2, row and column
    strips: list[bytes]  # the translations of each frame, WebP of P pictures side by side
    source: bytes

    @property
    def grid(self) -> Grid:
        shape = self.log_entropy.shape[-2:]
        return Grid(12, shape, (SIZE, SIZE), SIZE // shape[0], 0)

    @functools.cached_property
    def stay(self) -> np.ndarray:
        """How many anchors of each frame but the last are anchors in the next, (S−1)×P×L."""
        return staying(self.anchors, self.grid.shape)

    @property
    def by_chance(self) -> float:
        """The share of the anchors that would stay if they were drawn anew at random: N/(H·W)."""
        return self.anchors.shape[-2] / self.log_entropy[0, 0, 0].size

    def layer(self, selection: Selection) -> int:
        """The layer asked for, or the last that was recorded."""
        return selection.film_layer if selection.film_layer in self.layers else self.layers[-1]

    def place(self, selection: Selection) -> tuple[int, int]:
        """Picture and layer, as indices."""
        return selection.picture, self.layers.index(self.layer(selection))

    def frame(self, step: int) -> int:
        """The latest frame at a step of training; before all of them the first."""
        return max(0, int(np.searchsorted(self.steps, step, side="right")) - 1)


def load(folder: Path, methods: list[str]) -> dict[str, Recorded]:
    """The films that lie beside a family's weights and can be read."""
    films = {}
    for method in methods:
        path = Path(folder) / f"{method}.film"
        try:
            films[method] = _load(path, (path / "film.npz").stat().st_mtime_ns)
        except (OSError, ValueError, KeyError, IndexError):
            continue  # the page says that there is none
    return films


@functools.lru_cache(maxsize=16)
def _load(path: Path, changed: int) -> Recorded:
    with np.load(path / "film.npz") as file:
        return recorded(path, {name: file[name] for name in file.files})


def of_run(folder: Path) -> Recorded:
    """The frames so far of a run's film. Raises ValueError with a sentence if there are none."""
    return recorded(folder, gathered(folder))


def recorded(folder: Path, a: dict[str, np.ndarray]) -> Recorded:
    """A film by its folder and what `qsneg.training.film.gathered` gives."""
    anchors = np.stack(np.unravel_index(a["anchors"].astype(np.int64), tuple(a["grid"])), axis=-1)
    steps = a["steps"].tolist()
    strips = [(folder / f"{step:07d}.webp").read_bytes() for step in steps]
    return Recorded(steps, a["layers"].tolist(), log_entropy(a), anchors, strips, (folder / "source.webp").read_bytes())


def all_steps(films: dict[str, Recorded]) -> list[int]:
    """The steps of all films together, in order."""
    return sorted({step for film in films.values() for step in film.steps})


def recorded_at(films: dict[str, Recorded], film: Recorded, frame: int) -> str:
    """Of which step a frame is, where some film lacks steps of the others', so that what is shown may be later."""
    steps = all_steps(films)
    apart = any(one.steps != steps for one in films.values())
    return f"Recorded at step {film.steps[frame]:,}" if apart else ""


def spans(film: Recorded, steps: list[int]) -> list[tuple[int, int, int]]:
    """(frame, first, last): a film's frames, and the indices in `steps` between which each is its latest."""
    starts = [steps.index(step) for step in film.steps]
    stops = [start - 1 for start in starts[1:]] + [len(steps) - 1]
    return [(n, start, stop) for n, (start, stop) in enumerate(zip(starts, stops))]


def strip_of(name: str, strip: bytes, picture: int) -> Picture:
    """One picture of a strip."""
    return Picture(name, lambda: cut(Image.open(io.BytesIO(strip)).convert("RGB"))[picture], (picture, PICTURES))
