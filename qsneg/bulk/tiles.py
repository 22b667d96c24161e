"""One picture larger than memory: translated in tiles, with the norms' statistics of the whole picture.

    result = translate_in_tiles(translator, np.asarray(picture))        # H×W×3 bytes, as the picture

An instance norm looks at the whole picture, and each at what the one before has made of it. So the network is gone
through norm by norm: its input is computed tile by tile for the statistics alone, and then again with the norm, as a
fixed scaling, among the layers. What the layers in between give is put on the disk, in float16, where the grid is half
the picture's or coarser; finer grids are computed anew. The convolutions run about 1.3 times as often as in one piece.
A tile is computed with `HALO` positions around it, more than the layers between two norms reach: no seam.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from qsneg import device as devices
from qsneg.image_io import filled, from_bytes, to_bytes
from qsneg.layers import BlurDown, InstanceNorm
from qsneg.memory_limits import TooLarge, in_words, padded_side
from qsneg.networks import ResidualBlock
from qsneg.translate import MARGIN, Translator, mirrored

TILE = 512  # positions each way
HALO = 16
GIVE_BACK = 4  # tiles after which freed memory goes back to the system
Part = tuple[slice, slice]  # rows and columns


class Picture:
    """A picture H×W×C, bytes or values from 0 to 1, continued by its mirror image as `translate.pad` does."""

    def __init__(self, values: np.ndarray, margin: int, channels: int):
        self.values, self.channels = values, channels
        self.index = [mirrored(side, padded_side(side, margin), -margin).numpy() for side in values.shape[:2]]
        self.shape = tuple(map(len, self.index))

    def read(self, part: Part) -> Tensor:
        """1×C×h×w in [-1, 1]."""
        rows, columns = (index[p] for index, p in zip(self.index, part))
        x = torch.from_numpy(self.values[np.ix_(rows, columns)]).permute(2, 0, 1)[None]
        return filled(from_bytes(x) if x.dtype == torch.uint8 else 2 * x - 1, self.channels)


class OnDisk:
    """A feature map in a file, H×W×C; mapped into memory only while a part is read or written."""

    def __init__(self, path: Path, shape: tuple[int, int], channels: int, kind: type):
        self.path, self.shape, self.full, self.kind = path, shape, (*shape, channels), kind
        np.memmap(path, kind, "w+", shape=self.full)

    def read(self, part: Part) -> Tensor:
        """1×C×h×w float32."""
        values = np.array(np.memmap(self.path, self.kind, "r", shape=self.full)[part])
        return torch.from_numpy(values).float().permute(2, 0, 1)[None]

    def write(self, part: Part, x: Tensor) -> None:
        values = x[0].permute(1, 2, 0).to("cpu", torch.float16 if self.kind == np.float16 else torch.float32)
        np.memmap(self.path, self.kind, "r+", shape=self.full)[part] = values.numpy()  # torch converts faster


class Fixed(nn.Module):
    """An instance norm whose statistics are known, C each."""

    def __init__(self, mean: Tensor, variance: Tensor):
        super().__init__()
        self.mean, self.scale = mean.view(1, -1, 1, 1).float(), (variance + 1e-5).rsqrt().view(1, -1, 1, 1).float()

    def forward(self, x: Tensor) -> Tensor:
        return ((x.float() - self.mean) * self.scale).to(x.dtype)


class Passes:
    """Goes through a generator. `source` is the last map that there is whole, `layers` are those after it, not yet
    computed."""

    def __init__(self, source: Picture, folder: Path, device: torch.device, tile: int, kind: type, halo: int = HALO):
        self.source, self.full, self.layers, self.halo = source, source.shape, [], halo
        self.folder, self.device, self.tile, self.kind, self.files = folder, device, tile, kind, 0

    def tiles(self) -> Iterator[tuple[Part, Tensor]]:
        """The output of the layers, tile by tile, and where in it that lies."""
        height, width = self.source.shape
        tile = self.tile * height // max(height, self.grid()[0])  # what comes out is no larger
        for top in range(0, height, tile):
            for number, left in enumerate(range(0, width, tile)):
                if number % GIVE_BACK == 0:
                    devices.give_memory_back()
                ends = [(a, min(a + tile, side)) for a, side in ((top, height), (left, width))]
                crop = [
                    (max(0, a - self.halo), min(b + self.halo, side)) for (a, b), side in zip(ends, (height, width))
                ]
                x = self.source.read(tuple(slice(*c) for c in crop)).to(self.device)
                before = x.shape[2]
                for layer in self.layers:
                    x = layer(x)
                ratio = x.shape[2] / before  # 1/2, 1 or 2, exactly
                inner = [slice(int((a - c) * ratio), int((b - c) * ratio)) for (a, b), (c, _) in zip(ends, crop)]
                yield tuple(slice(int(a * ratio), int(b * ratio)) for a, b in ends), x[:, :, inner[0], inner[1]]

    def new(self, shape: tuple[int, int], channels: int) -> OnDisk:
        self.files += 1
        return OnDisk(self.folder / f"{self.files}.map", shape, channels, self.kind)

    def compute(self, each: Callable[[Part, Tensor], Tensor] = lambda part, x: x, keep: bool = True) -> OnDisk | None:
        """Write the output of the layers, changed by `each`, to the disk, where it is the new source."""
        made = None
        for part, x in self.tiles():
            x = each(part, x)
            if keep:
                made = made or self.new(self.grid(), x.shape[1])
                made.write(part, x)
        if keep:
            self.replace(made)
        return made

    def replace(self, made: OnDisk) -> None:
        if isinstance(self.source, OnDisk):
            self.source.path.unlink(missing_ok=True)
        self.source, self.layers = made, []

    def grid(self) -> tuple[int, int]:
        """Height and width of the output of the layers."""
        x = self.source.read((slice(0, 4 * HALO), slice(0, 4 * HALO))).to(self.device)
        before = x.shape[2]
        for layer in self.layers:
            x = layer(x)
        return tuple(int(side * x.shape[2] / before) for side in self.source.shape)

    def norm(self, keep: bool) -> None:
        """The statistics of the output of the layers, by Chan's method, and a norm that has them as the next layer.
        Where they are to be kept, the outputs are put on the disk."""
        count, mean, spread = 0, 0.0, 0.0

        def add(part: Part, x: Tensor) -> Tensor:
            nonlocal count, mean, spread
            values = x.float().permute(0, 2, 3, 1).flatten(0, 2)  # n×C, as it lies in memory
            centre = values.mean(0)
            more, variance, centre = len(values), (values - centre).square_().mean(0).double(), centre.double()
            total = count + more
            spread = spread + variance * more + (centre - mean) ** 2 * count * more / total
            mean, count = mean + (centre - mean) * more / total, total
            return x

        self.compute(add, keep)
        self.layers.append(Fixed(mean, spread / count))

    def block(self, block: ResidualBlock) -> None:
        """x + the block's layers."""
        if self.layers:
            self.compute()
        x, self.source = self.source, Kept(self.source)
        for layer in block.conv_block:
            self.norm(keep=True) if isinstance(layer, InstanceNorm) else self.layers.append(layer)
        self.compute(lambda part, y: y + x.read(part).to(y))
        x.path.unlink()

    def through(self, model: Sequence[nn.Module]) -> None:
        for module, later in zip(model, [*model[2:], None, None]):
            if isinstance(module, ResidualBlock):
                self.block(module)
            elif isinstance(module, InstanceNorm):
                fine = self.grid()[0] == self.full[0]
                self.norm(keep=not fine and not isinstance(later, BlurDown))
            else:
                self.layers.append(module)
                if isinstance(module, BlurDown):
                    self.compute()


class Kept:
    """A map whose file stays when another takes its place as source."""

    def __init__(self, source: OnDisk):
        self.shape, self.read = source.shape, source.read


def translate_in_tiles(
    translator: Translator,
    values: np.ndarray,
    margin: int = MARGIN,
    tile: int = TILE,
    folder: Path | str | None = None,
    kind: type = np.float16,
) -> np.ndarray:
    """Translate H×W×3 bytes to the same, or values H×W×C from 0 to 1 to others, as `Translator` does in one piece.

    Args:
        margin: as in `Translator.translate`.
        tile: side of the tiles, divisible by 4; of memory they take about width · tile² · 24 bytes.
        folder: where the maps are put meanwhile; None: where the system puts temporary files (TMPDIR says where).
        kind: of the numbers on the disk.

    Raises:
        TooLarge: (a ValueError) if there is no room on the disk.
    """
    config, (height, width) = translator.config, values.shape[:2]
    with tempfile.TemporaryDirectory(prefix="qsneg-", dir=folder) as place, torch.inference_mode():
        picture = Picture(values, margin, config.wide)
        needed = np.dtype(kind).itemsize * config.width * picture.shape[0] * picture.shape[1]
        if (free := shutil.disk_usage(place).free) < needed:
            raise TooLarge(
                f"Translating {width}×{height} pixels in tiles needs about {in_words(needed)} on the disk and "
                f"{in_words(free)} are free: make room, or set TMPDIR to a folder on another disk."
            )
        passes = Passes(picture, Path(place), translator.device, tile, kind)
        with devices.autocast(translator.device, translator.precision)():
            passes.through(translator.weights.generator.model)
            channels, rgb = config.domains[1], values.dtype == np.uint8
            result = np.empty((*passes.full, channels), np.uint8 if rgb else np.float32)
            for part, y in passes.tiles():
                y = y[0, :channels].permute(1, 2, 0).float()
                result[part] = (to_bytes(y) if rgb else (y + 1) / 2).cpu().numpy()
    return result[margin : margin + height, margin : margin + width]
