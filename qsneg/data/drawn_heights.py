"""Height maps and their shaded views, drawn: two domains of different channels, whose right answer is known.

python -m qsneg draw --set heights --split train --count 200 --size 96 --out heights

Domain A is a landscape's height, one channel of 16 bits; domain B how it looks from above with the sun in the north
west: coloured by height (water, grass, rock, snow), shaded by its slope (Lambert's cosine law).
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = np.array([[40, 70, 140], [70, 130, 60], [130, 110, 80], [240, 240, 245]]) / 255  # at heights 0, ⅓, ⅔, 1
SUN = np.array([-1.0, -1.0, 1.2]) / np.linalg.norm([-1.0, -1.0, 1.2])  # x to the right, y down, z up
RELIEF = 12  # pixels that a height of 1 stands above 0, at 96 pixels


def height(seed: int, size: int) -> np.ndarray:
    """A landscape's height, size×size from 0 to 1: waves of many lengths, the longer the higher."""
    rng = np.random.default_rng([seed, 7])
    y, x = np.mgrid[:size, :size] / size
    total = np.zeros((size, size))
    for octave in range(1, 6):
        for _ in range(4):
            direction, phase = rng.uniform(0, 2 * np.pi, 2)
            waves = 2 ** (octave - 1) * rng.uniform(0.7, 1.4)
            total += np.sin(2 * np.pi * waves * (x * np.cos(direction) + y * np.sin(direction)) + phase) / 2**octave
    return (total - total.min()) / np.ptp(total)


def shaded(heights: np.ndarray) -> np.ndarray:
    """The view of H×W heights from above, H×W×3 bytes: the right answer."""
    slopes = np.gradient(heights * RELIEF * min(heights.shape) / 96)  # per pixel, down and to the right
    normal = np.stack([-slopes[1], -slopes[0], np.ones_like(heights)], -1)
    light = (normal @ SUN / np.linalg.norm(normal, axis=-1)).clip(0, 1)
    at = np.linspace(0, 1, len(COLOURS))
    colour = np.stack([np.interp(heights, at, channel) for channel in COLOURS.T], -1)
    return (colour * (0.25 + 0.75 * light[..., None]) * 255).round().clip(0, 255).astype(np.uint8)


def stored(heights: np.ndarray) -> np.ndarray:
    """Heights as 16 bits."""
    return (heights * 65535).round().astype(np.uint16)


def write(
    split: str, count: int, size: int, seed: int, out: Path, progress: Callable[[Iterable], Iterable] = iter
) -> None:
    """Write `count` pictures per domain, A as 16-bit PNG, B as 8-bit PNG: of "train" B has other landscapes, of "test"
    the right answers."""
    if split not in ("train", "test"):
        raise ValueError(f"Unknown split '{split}': choose train or test.")
    for letter in "AB":
        (out / f"{split}{letter}").mkdir(parents=True, exist_ok=True)
    first = 2 * 10**6 if split == "test" else 0
    for i in progress(range(count)):
        other = 10**6 if split == "train" else 0
        a = height(seed * 10**7 + first + i, size)
        Image.fromarray(stored(a)).save(out / f"{split}A" / f"{i:04}.png")
        b = height(seed * 10**7 + first + other + i, size)
        Image.fromarray(shaded(b)).save(out / f"{split}B" / f"{i:04}.png")
