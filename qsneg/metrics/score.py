"""Figures of merit that need no download.

    python -m qsneg score horse2zebra-drawn/cut horse2zebra-drawn/negcut

On drawn test scenes the right answer is known, so each figure is an error against the true counterpart,
relative to that of the untranslated input (1 = as if nothing had been done, 0 = perfect):

    background   mean absolute error outside the animals
    luminance    earth mover's distance between the luminance histograms inside the animals

On a folder with testA and testB: the sliced Wasserstein distance to testB (Karras et al., ICLR 2018,
appendix: 7×7 patches of a Laplacian pyramid of three levels), again relative to the untranslated pictures.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from qsneg.config import DRAWN
from qsneg.data import drawn_scenes
from qsneg.filesystem import find_images
from qsneg.image_io import readable, square, to_batch
from qsneg.translate import load

Translate = Callable[[Tensor], Tensor]  # B×3×H×W in [-1, 1] to the same

ANIMAL = drawn_scenes.LABELS.index("animal")
LUMA = np.array([0.299, 0.587, 0.114])


class Recorder:
    """A translator that keeps what passes through it, so that more can be measured on the same pictures."""

    def __init__(self, translate: Translate):
        self.translate, self.inputs, self.outputs, self.seconds = translate, [], [], []

    def __call__(self, x: Tensor) -> Tensor:
        start = time.perf_counter()
        result = self.translate(x).float().cpu()
        self.seconds.append((time.perf_counter() - start) / len(x))
        self.inputs.append(x.cpu())
        self.outputs.append(result)
        return result

    def pictures(self) -> tuple[Tensor, Tensor]:
        """Sources and translations, N×3×H×W each."""
        return torch.cat(self.inputs), torch.cat(self.outputs).clamp(-1, 1)


def figures(translate: Translate, data: str, count: int | None = None, size: int = 128) -> dict[str, float]:
    """The figures for a data set, at `size` pixels: `horse2zebra-drawn` (`count` scenes, or 200) or a folder
    (`count` pictures of each domain, or all); {} where it has no test pictures."""
    if data == DRAWN:
        return drawn_figures(translate, count or 200, size)
    folders = [Path(data) / name for name in ("testA", "testB")]
    if not all(f.is_dir() and find_images(f) for f in folders):
        return {}
    a, b = (squares(f, count, size) for f in folders)
    result = torch.cat([translate(x[None]).float().cpu() for x in a])
    return {"swd": sliced_wasserstein(result, b) / sliced_wasserstein(a, b)}


def drawn_figures(translate: Translate, count: int = 200, size: int = 128, split: str = "test") -> dict[str, float]:
    """Background and luminance error over the first `count` scenes of a split, "test" or "val", relative to the
    untranslated input."""
    total = np.zeros((2, 2))  # source, translation × background, luminance
    for index in range(count):
        seed = drawn_scenes.scene_seed(split, "A", index)
        source, truth = (drawn_scenes.draw(seed, size, d).astype(np.float64) / 255 for d in "AB")
        animal = drawn_scenes.label_map(seed, size) == ANIMAL
        x = torch.from_numpy(source).permute(2, 0, 1)[None].float() * 2 - 1
        result = (translate(x)[0].float().cpu().clamp(-1, 1).permute(1, 2, 0).double().numpy() + 1) / 2
        for row, picture in enumerate((source, result)):
            total[row] += background_error(picture, truth, ~animal), luminance_distance(picture, truth, animal)
    background, luminance = total[1] / total[0]
    return {"background": float(background), "luminance": float(luminance)}


def background_error(picture: np.ndarray, truth: np.ndarray, outside: np.ndarray) -> float:
    """Mean absolute error of H×W×3 pictures in [0, 1] over the positions of a boolean map H×W."""
    return float(np.abs(picture - truth)[outside].mean())


def luminance_distance(picture: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> float:
    """Earth mover's distance between the two luminance distributions inside a boolean map, in [0, 1]:
    with equally many samples on both sides it is the mean difference of the sorted values."""
    a, b = (np.sort((p @ LUMA)[inside]) for p in (picture, truth))
    return float(np.abs(a - b).mean())


def squares(folder: Path, count: int | None = None, size: int = 128) -> Tensor:
    """The middle squares of a folder's pictures that can be read, N×3×size×size in [-1, 1].

    Raises:
        ValueError: if there are none.
    """
    arrays = [np.asarray(square(picture, size)) for picture in islice(readable(folder), count)]
    if not arrays:
        raise ValueError(f"None of the pictures in '{folder}' can be read.")
    return to_batch(arrays)


def sliced_wasserstein(
    a: Tensor, b: Tensor, levels: int = 3, patches: int = 256, directions: int = 512, seed: int = 0
) -> float:
    """Sliced Wasserstein distance between two sets of pictures N×3×H×W, the mean over pyramid levels.

    Per level: `patches` random 7×7 patches per picture, projected on random unit directions.
    """
    random = torch.Generator().manual_seed(seed)
    distances = []
    for pa, pb in zip(laplacian_pyramid(a, levels), laplacian_pyramid(b, levels)):
        da, db = (descriptors(p, patches, random) for p in (pa, pb))  # M×147
        n = min(len(da), len(db))
        da, db = (d[torch.randperm(len(d), generator=random)[:n]] for d in (da, db))
        directions_ = F.normalize(torch.randn(da.shape[1], directions, generator=random), dim=0)
        a_line, b_line = ((d @ directions_).T.contiguous().sort().values for d in (da, db))  # directions×M, each sorted
        distances.append((a_line - b_line).abs().mean())
    return float(torch.stack(distances).mean())


def laplacian_pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """Band-pass pictures of falling size, the last a low-pass."""
    bands = []
    for _ in range(levels - 1):
        small = F.avg_pool2d(x, 2)
        bands.append(x - F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False))
        x = small
    return [*bands, x]


def descriptors(x: Tensor, patches: int, random: torch.Generator, side: int = 7) -> Tensor:
    """Random patches of every picture as rows, M×(3·side²), on a common scale (that of [-1, 1] pictures)."""
    n, _, h, w = x.shape
    top = torch.randint(0, h - side + 1, (n, patches), generator=random)
    left = torch.randint(0, w - side + 1, (n, patches), generator=random)
    offset = torch.arange(side)
    rows = (top[..., None] + offset)[..., :, None]  # N×P×side×1
    columns = (left[..., None] + offset)[..., None, :]  # N×P×1×side
    picked = x[torch.arange(n)[:, None, None, None], :, rows, columns]  # N×P×side×side×3
    return picked.reshape(n * patches, -1)


def lines(
    checkpoints: list[str], count: int, data: str | None, device: str = "auto", precision: str = "float32"
) -> Iterator[str]:
    """A table of the figures of models by name, line by line as they are measured; `data`: a folder, or None for drawn
    scenes.

    Raises:
        ValueError: if the count is below 1, or there is nothing to score on.
    """
    if count < 1:
        raise ValueError(f"The count must be at least 1, not {count}.")
    if data and not Path(data).is_dir():
        raise ValueError(f"There is no data folder '{data}'.")
    for i, name in enumerate(checkpoints):
        row = figures(load(name, device, precision=precision).as_shown, data or DRAWN, count)
        if not row:
            raise ValueError(f"'{data}' has no pictures in testA and testB to score on.")
        if i == 0:
            yield f"{'checkpoint':40}" + "".join(f"{k:>14}" for k in row)
        yield f"{name:40}" + "".join(f"{v:14.3f}" for v in row.values())
