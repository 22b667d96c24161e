"""Training data: pairs of unpaired pictures, one from each domain, as a pure function of step, rank and processes.

    data = Unpaired(TrainConfig(data="horse2zebra-drawn", crop=128, resize=128))
    x, y, broken = data[0]      # 1×3×128×128 in [-1, 1] each

Because everything random comes from (seed, domain, number of the picture), a resumed run sees what an uninterrupted one
would, with any number of worker processes. What several processes that train together see in a step is, side by side,
what one would see with a batch as large.
"""

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qsneg.config import DRAWN, TrainConfig
from qsneg.data import drawn_scenes
from qsneg.filesystem import find_images, look_through, say_once, some
from qsneg.image_io import TooManyPixels, check_decodes, opened, read, resize_short, to_batch
from qsneg.memory_limits import TooLarge
from qsneg.picture_formats import EXTENSIONS

CACHE_BYTES = 1 << 30  # resized pictures kept in memory while a domain fits


def check_folder(
    folder: Path | str, crop: int, needed: tuple[str, ...] = ("trainA", "trainB"), skip_small: bool = False
) -> dict[str, list[Path]]:
    """The pictures of each needed domain, after looking at every header; with `skip_small` without those smaller than
    `crop`.

    Raises:
        ValueError: one sentence, if a domain is missing or empty, or pictures are unreadable or smaller than `crop`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(
            f"There is no data folder '{folder}': give one with trainA and trainB in it, or {DRAWN} (`python -m qsneg "
            "data` fetches the papers' sets)."
        )
    found, unreadable, small = {}, [], {}
    for domain in needed:
        if not (folder / domain).is_dir():
            raise ValueError(
                f"'{folder}' has no folder '{domain}': put the pictures of each domain into trainA and trainB."
            )
        found[domain], left_out = look_through(folder / domain)
        if not found[domain]:
            endings = ", ".join(sorted(EXTENSIONS))
            raise ValueError(f"'{folder / domain}' holds no pictures (looked for {endings}). {left_out}".strip())
        if left_out:
            say_once(left_out)
        for path in found[domain]:
            try:
                with opened(path) as image:
                    size = image.size
                    check_decodes(image, crop)
            except TooManyPixels:
                raise
            except TooLarge as error:
                raise ValueError(f"'{path}': {error} Remove it, or replace it.") from None
            except (ValueError, OSError):
                unreadable.append(f"'{path}'")
            else:
                if min(size) < crop:
                    small[path] = f"'{path}' ({size[0]}×{size[1]})"
    if unreadable:
        raise ValueError(f"Pictures that cannot be read: {some(unreadable)}; remove or replace them.")
    if small and not skip_small:
        raise ValueError(
            f"Pictures smaller than the crop of {crop} pixels: {some(list(small.values()))}; remove them, leave them "
            "out with --skip-small, or set a smaller --crop."
        )
    found = {domain: [path for path in paths if path not in small] for domain, paths in found.items()}
    for domain in needed:
        if not found[domain]:
            raise ValueError(
                f"Every picture in '{folder / domain}' is smaller than the crop of {crop} pixels: set a smaller --crop."
            )
    return found


class Domain:
    """The pictures of one domain: length, and picture `i` as uint8 array of short side from resize to resize_max."""

    def __init__(self, config: TrainConfig, letter: str, paths: list[Path] | None = None):
        self.config, self.letter, self.paths = config, letter, paths
        self.length = config.scenes if paths is None else len(paths)
        small = self.length * config.resize**2 * 4 < CACHE_BYTES
        # a drawn scene has one size for good; a photograph is kept when its size does not vary either
        self.kept: dict[tuple[int, int], np.ndarray] | None = (
            {} if config.data == DRAWN or (small and not config.resize_max) else None
        )

    def __len__(self) -> int:
        return self.length

    def picture(self, index: int, short: int) -> np.ndarray:
        """H×W×3 uint8. Raises ValueError if it cannot be read."""
        if self.kept is None:
            return self.made(index, short)
        if (index, short) not in self.kept:
            self.kept[index, short] = self.made(index, short)
        return self.kept[index, short]

    def made(self, index: int, short: int) -> np.ndarray:
        if self.config.data == DRAWN:
            seed = drawn_scenes.scene_seed("train", self.letter, index, self.config.seed)
            return drawn_scenes.draw(seed, short, self.letter)
        picture = read(self.paths[index], short=short)
        if self.config.squash:
            return np.asarray(picture.resize((short, short), Image.Resampling.LANCZOS))
        return np.asarray(resize_short(picture, short))

    def size_of(self, index: int, rng: np.random.Generator, unscaled: bool = False) -> int:
        """The short side that picture `index` is brought to; where it is `unscaled`, that of the crop."""
        if unscaled:
            return self.config.crop
        low, high = self.config.resize, self.config.resize_max or self.config.resize
        if self.config.data == DRAWN:  # by the scene, so that each is drawn once; mostly near the lower end
            return int(low + (high - low) * (index % 5 / 4) ** 2) // 4 * 4
        return int(rng.integers(low, high + 1))


class Unpaired(torch.utils.data.Dataset):
    """Batches by step: x and y as B×3×crop×crop in [-1, 1], and the names of broken pictures that were skipped.

    left_out: how many pictures of trainA and trainB are smaller than the crop, where they are left out.
    unscaled_from: the step from which pictures are brought to the crop's own size; None: never.
    """

    def __init__(self, config: TrainConfig, rank: int = 0, size: int = 1):
        """Of `size` processes that train together, the pictures of the one of that rank."""
        self.config, self.rank, self.size = config, rank, size
        self.left_out, self.unscaled_from = {}, None
        paths = {} if config.data == DRAWN else check_folder(config.data, config.crop, skip_small=config.skip_small)
        for name, found in paths.items():
            if count := len(find_images(Path(config.data) / name)) - len(found):
                self.left_out[name] = count
        self.domains = [Domain(config, letter, paths.get(f"train{letter}")) for letter in "AB"]

    def epoch(self) -> int:
        """Steps in an epoch: one pass over the larger domain."""
        return -(-max(map(len, self.domains)) // (self.config.batch * self.size))

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, list[str]]:
        broken: list[str] = []
        x, y = (self.batch(i, d, step, broken) for i, d in enumerate(self.domains))
        return x, y, broken

    def batch(self, number: int, domain: Domain, step: int, broken: list[str]) -> Tensor:
        items, first = [], (step * self.size + self.rank) * self.config.batch
        for i in range(first, first + self.config.batch):
            epoch, place = divmod(i, len(domain))
            rng = np.random.default_rng([self.config.seed, number, i])
            index = int(permutation(self.config.seed, number, epoch, len(domain))[place])
            unscaled = self.unscaled_from is not None and step >= self.unscaled_from
            crop = self.crop(self.readable(domain, index, rng, broken, unscaled), rng)
            if domain.letter == "A" and self.config.degrade and rng.random() < self.config.degrade:
                crop = degraded(crop, rng)
            items.append(crop)
        return self.together(items)

    def together(self, items: list[np.ndarray]) -> Tensor:
        return to_batch(items)

    def readable(
        self, domain: Domain, index: int, rng: np.random.Generator, broken: list[str], unscaled: bool
    ) -> np.ndarray:
        """Picture `index`, or the next one that can be read."""
        for i in range(len(domain)):
            at = (index + i) % len(domain)
            try:
                return domain.picture(at, domain.size_of(at, rng, unscaled))
            except ValueError:
                broken.append(str(domain.paths[at]))
        raise ValueError(f"No picture of domain {domain.letter} can be read any more.")

    def crop(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        c = self.config.crop
        top, left = (int(rng.integers(0, side - c + 1)) for side in picture.shape[:2])
        picture = picture[top : top + c, left : left + c]
        return picture[:, ::-1] if self.config.flip and rng.random() < 0.5 else picture


def degraded(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture, H×W×3 uint8, shrunk to 0.4 of its size at least, saved as JPEG of low quality, enlarged again."""
    image, file, share = Image.fromarray(np.ascontiguousarray(picture)), io.BytesIO(), rng.uniform(0.4, 1.0)
    small = image.resize([round(side * share) for side in image.size], Image.Resampling.BICUBIC)
    small.save(file, "JPEG", quality=int(rng.integers(15, 60)))
    return np.asarray(Image.open(file).resize(image.size, Image.Resampling.BICUBIC))


@lru_cache(maxsize=8)
def permutation(seed: int, domain: int, epoch: int, length: int) -> np.ndarray:
    return np.random.default_rng([seed, domain, epoch, 1 << 20]).permutation(length)
