"""The features of a picture at every layer, and what is read off them: entropies, attention rows, similarities.

    from qsneg.inspect import observe
    view = observe(qsneg.load("day2sunset/negcut"), image)      # runs the network, once
    row = view.attention(12, (20, 31))                          # one row of the attention, H×W

Positions are (row, column) on the grid of a layer. `Grid` maps them to pixels and back: layer 0 is the picture with
the generator's own padding of 3 pixels, then there is a position per pixel, per 2×2 and per 4×4
(`Generator.stride`). A position's patch, its receptive field, is centred on a pixel: with 2 pixels per position
on pixel 2i, with 4 on 4i.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qsneg import attention
from qsneg.bounds import check_mode
from qsneg.networks import ProjectionHeads, tokens
from qsneg.weights import Weights

PADDING = 3  # pixels of reflection around the picture at layer 0, where the generator pads it itself
BLOCK = 8192  # positions projected at a time
KEEP = 1 << 25  # largest number of projected values that are kept, per layer and picture


@dataclass(frozen=True)
class Grid:
    """The positions of one layer over a picture of `size` (width, height) pixels.

    Pixels are counted from 0, and whole numbers are their middles. The centre of position (row, column) is pixel
    (column · stride − margin, row · stride − margin): that of its receptive field, as gradients show it.
    """

    layer: int
    shape: tuple[int, int]  # rows, columns
    size: tuple[int, int]  # width and height of the picture
    stride: int  # pixels per position
    margin: int  # pixels by which the grid begins outside the picture: 3 at layer 0

    def centre(self, row: int, column: int) -> tuple[int, int]:
        """The pixel (x, y) at the middle of a position's patch."""
        return column * self.stride - self.margin, row * self.stride - self.margin

    def position(self, x: float, y: float) -> tuple[int, int]:
        """The position (row, column) whose centre is nearest to pixel (x, y), of two equally near the first; points
        outside the picture are moved to its edge."""
        return tuple(
            min(math.ceil((min(max(v, 0), side - 1) + self.margin) / self.stride - 0.5), count - 1)
            for v, side, count in zip((y, x), self.size[::-1], self.shape)
        )

    def box(self, row: int, column: int) -> tuple[float, float, float, float]:
        """The cell around a position's centre: left, top, right, bottom in pixels from the picture's corner (pixel x
        reaches from x to x + 1); `stride` wide, so with halves where that is even; may reach outside the picture."""
        left, top = (v - (self.stride - 1) / 2 for v in self.centre(row, column))
        return left, top, left + self.stride, top + self.stride

    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """For every row of pixels the row of the position drawn there, the one with the nearest centre; and for every
        column of pixels its column."""
        width, height = self.size
        rows = np.array([self.position(0, y)[0] for y in range(height)])
        return rows, np.array([self.position(x, 0)[1] for x in range(width)])

    def cover(self, values: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float, float]]:
        """A map H×W as the cells that cover the picture, and the box that these fill (see `box`): the last row and
        column twice where their cells end before the picture does."""
        rows, columns = self.visible()
        left, top = self.box(rows.start, columns.start)[:2]
        right, bottom = self.box(rows.stop - 1, columns.stop - 1)[2:]
        more = [(0, int(end < side)) for end, side in zip((bottom, right), self.size[::-1])]
        end = right + self.stride * more[1][1], bottom + self.stride * more[0][1]
        return np.pad(values[rows, columns], more, mode="edge"), (left, top, *end)

    def visible(self) -> tuple[slice, slice]:
        """Rows and columns of the grid that lie on the picture."""
        width, height = self.size
        (top, left), (bottom, right) = self.position(0, 0), self.position(width - 1, height - 1)
        return slice(top, bottom + 1), slice(left, right + 1)


class View:
    """A picture as one model sees it: the translation, and the features of both at every layer, in float32.

    Made by `observe`; everything else reads from it and never runs the generator again. `precision` says in words in
    which the generator ran.
    """

    def __init__(
        self,
        weights: Weights,
        source: Image.Image,
        result: Image.Image,
        features: dict[str, list[Tensor]],
        device: torch.device,
        precision: str = "float32",
    ):
        self.weights, self.config, self.source, self.result = weights, weights.config, source, result
        self.device, self.precision = device, precision
        self.features = features  # "source" and "result": 1×C×H×W per layer
        self.kept: dict[tuple, list[Tensor]] = {}  # what `once` computed

    def nbytes(self) -> int:
        """Bytes held: for a cache with a bound."""
        return sum(f.nbytes for fs in (*self.features.values(), *list(self.kept.values())) for f in fs)

    def once(self, key: tuple, make: Callable[[], list[Tensor]]) -> list[Tensor]:
        """What `make` gives, computed the first time and kept under `key`, until `kept` is cleared."""
        kept = self.kept.get(key)
        if kept is None:
            kept = self.kept[key] = make()
        return kept

    @property
    def heads(self) -> ProjectionHeads:
        """The projection heads.

        Raises:
            ValueError: if the model came without them.
        """
        if self.weights.heads is None:
            raise ValueError(self.weights.why_not())
        return self.weights.heads

    def map(self, layer: int, which: str = "source") -> Tensor:
        """The feature map of a layer, 1×C×H×W.

        Raises:
            ValueError: if the model does not contrast that layer.
        """
        return self.features[which][self.number(layer)]

    def number(self, layer: int) -> int:
        if layer not in self.config.layers:
            raise ValueError(f"There is no layer {layer}: choose one of {', '.join(map(str, self.config.layers))}.")
        return self.config.layers.index(layer)

    def grid(self, layer: int) -> Grid:
        shape = tuple(self.map(layer).shape[2:])
        stride = self.weights.generator.stride(layer)
        return Grid(layer, shape, self.source.size, stride, PADDING if layer == 0 else 0)

    def index(self, layer: int, position: tuple[int, int]) -> Tensor:
        """A position as 1×1 row-major index.

        Raises:
            ValueError: if it lies outside the grid.
        """
        rows, columns = self.grid(layer).shape
        row, column = position
        if not (0 <= row < rows and 0 <= column < columns):
            raise ValueError(
                f"Position {row}, {column} lies outside the grid of layer {layer}: {rows} rows, {columns} columns."
            )
        return torch.tensor([[row * columns + column]], device=self.device)

    def blocks(self, layer: int, which: str = "source") -> Iterator[tuple[slice, Tensor]]:
        """The projected features of all positions, of unit length: slices of row-major positions and n×K."""
        t, i = tokens(self.map(layer, which))[0], self.number(layer)  # L×C
        heads = self.heads
        made = (heads(block[None], i)[0] for block in t.split(BLOCK))
        if len(t) * self.config.dim <= KEEP:  # else computed anew each time
            half = len(t) > BLOCK and t.dtype == torch.float32  # many positions take half the memory
            made = self.once((layer, which), lambda: [block.half() if half else block for block in made])
        for number, block in enumerate(made):
            yield slice(number * BLOCK, number * BLOCK + len(block)), block.to(t.dtype)

    def entropy(self, layer: int, mode: str = "global", window: int | None = None) -> list[Tensor]:
        """Entropies of all L positions in nats, and their logarithms; computed once."""
        window = window or self.config.window
        kind = "global" if mode == "global" else "local"
        return self.once(
            ("entropy", layer, kind, window), lambda: [e[0] for e in attention.entropy(self.map(layer), mode, window)]
        )

    def projected(self, layer: int, which: str, index: Tensor) -> Tensor:
        """The projected features at row-major positions N: N×K in float32."""
        return self.heads(tokens(self.map(layer, which))[:, index], self.number(layer))[0]

    def attention(
        self, layer: int, position: tuple[int, int], mode: str = "global", window: int | None = None
    ) -> np.ndarray:
        """One row of the attention over the source, H×W, summing to 1; in local mode 0 outside the window."""
        return np.exp(self.log_attention(layer, position, mode, window))

    def log_attention(
        self, layer: int, position: tuple[int, int], mode: str = "global", window: int | None = None
    ) -> np.ndarray:
        """The natural logarithm of a row, which keeps its digits where weights underflow; −inf outside the window."""
        check_mode(mode)
        index, shape = self.index(layer, position)[0], self.grid(layer).shape
        t = tokens(self.map(layer))[0]  # L×C
        scores = t @ t[index[0]]
        if mode == "local":
            places, inside = attention.window_positions(index[0], shape, window or self.config.window)
            row = torch.full_like(scores, -torch.inf)
            row[places[inside]] = scores[places[inside]]
            scores = row
        return scores.log_softmax(-1).reshape(shape).cpu().numpy()

    def similarity(
        self, layer: int, position: tuple[int, int], which: str = "source", of: str = "source"
    ) -> np.ndarray:
        """Cosine similarity of the projected feature of `of` at `position` to all of `which`, H×W; each is the source
        or the result."""
        query = self.projected(layer, of, self.index(layer, position)[0])[0]
        values = torch.cat([block @ query for _, block in self.blocks(layer, which)])
        return values.reshape(self.grid(layer).shape).cpu().numpy()

    def negatives(self, layer: int, seed: int = 0, num: int | None = None) -> Tensor | None:
        """NEGCUT's generated negatives of this picture, M×K: `num`, or the model's own number of patches. With another
        number the first are the same. None for models without a negative generator."""
        w, c = self.weights, self.config
        if w.negative_generator is None:
            return None
        i, num = self.number(layer), c.patches if num is None else num

        def make() -> list[Tensor]:
            random = torch.Generator().manual_seed(seed)
            noise = torch.randn(len(c.layers), c.patches, c.noise_dim, generator=random)[i]
            more = torch.randn(max(0, num - c.patches), c.noise_dim, generator=random)
            noise = torch.cat([noise, more])[:num]
            mean = self.once(("mean", layer), lambda: [w.slow_heads.mean(tokens(self.map(layer)), i)])[0]
            return [w.negative_generator(mean, noise[None].to(mean), i)[0]]

        return self.once(("negatives", layer, seed, num), make)[0]

    def nearest_negatives(self, layer: int, seed: int = 0, num: int | None = None) -> Tensor | None:
        """For each generated negative the source position most similar to it (a look-up, not an origin): M row-major
        indices, computed once; None for models without a negative generator."""
        generated = self.negatives(layer, seed, num)
        if generated is None:
            return None
        return self.once(("nearest", layer, seed, num), lambda: [nearest(self, layer, generated)])[0]


def nearest(view: View, layer: int, vectors: Tensor) -> Tensor:
    """The source position whose projected feature is most similar to each of M×K vectors: M row-major indices."""
    best = vectors.new_full((len(vectors),), -2.0)
    at = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)
    for place, block in view.blocks(layer):
        value, index = (vectors @ block.T).max(1)
        better = value > best
        best, at = torch.where(better, value, best), torch.where(better, index + place.start, at)
    return at
