"""Training data of other channels than RGB: as `qsneg.data.unpaired`, of the files that `qsneg.data.arrays` reads.

data = UnpairedArrays(TrainConfig(data="scans", crop=64, resize=64), ModelConfig(channels_a=1, channels_b=3))
x, y, broken = data[0]      # 1×3×64×64 each, x filled up by repetition
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qsneg.config import DRAWN, ModelConfig, TrainConfig
from qsneg.data import arrays
from qsneg.data.unpaired import Domain, Unpaired
from qsneg.filesystem import look_through
from qsneg.image_io import filled


def listed(folder: Path) -> list[Path]:
    """The pictures and arrays of a domain's folder.

    Raises:
        ValueError: if there are none.
    """
    found = look_through(folder, arrays.ENDINGS)[0] if folder.is_dir() else []
    if not found:
        raise ValueError(f"There are no pictures or arrays in '{folder}': put some into trainA and trainB.")
    return found


class ArrayDomain(Domain):
    """Pictures as H×W×channels float32 from 0 to 1."""

    def __init__(self, config: TrainConfig, letter: str, paths: list[Path], channels: int):
        super().__init__(config, letter, paths)
        self.channels, self.kept = channels, None
        self.made(0, config.resize)  # the first must be right

    def made(self, index: int, short: int) -> np.ndarray:
        values, _ = arrays.read(self.paths[index], self.channels)
        if min(values.shape[:2]) < self.config.crop:
            raise ValueError(f"'{self.paths[index]}' is smaller than the crop of {self.config.crop} pixels.")
        return arrays.resized(values, short)


class UnpairedArrays(Unpaired):
    """Batches by step: x and y as B×C×crop×crop in [-1, 1], C the larger number of channels.

    Raises:
        ValueError: one sentence, if a domain cannot be used, or a setting is for RGB alone.
    """

    def __init__(self, config: TrainConfig, model: ModelConfig, rank: int = 0, size: int = 1):
        if config.data == DRAWN or config.degrade or config.squash:
            what = config.data if config.data == DRAWN else "--degrade" if config.degrade else "--squash"
            raise ValueError(f"{what} is for RGB pictures: leave out --channels, or give other data and settings.")
        self.config, self.rank, self.size, self.channels = config, rank, size, model.wide
        self.left_out, self.unscaled_from = {}, None
        self.domains = [
            ArrayDomain(config, letter, listed(Path(config.data) / f"train{letter}"), channels)
            for letter, channels in zip("AB", model.domains)
        ]

    def together(self, items: list[np.ndarray]) -> Tensor:
        x = torch.from_numpy(np.stack(items)).permute(0, 3, 1, 2)  # B×c×H×W
        return filled(2 * x - 1, self.channels).contiguous()
