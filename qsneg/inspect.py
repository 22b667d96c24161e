"""What a model sees in a picture: entropies, anchors, attention rows, contrast, negatives. Arrays only, no drawing.

    from qsneg.inspect import inspect, observe
    view = observe(qsneg.load("day2sunset/negcut"), image)      # runs the network, once
    result = inspect(view, layer=12, mode="global")             # reads features: entropy, anchors, loss, negatives
    row = view.attention(12, (20, 31))                          # one row of the attention, H×W

Positions are (row, column) on the grid of a layer. `Grid` maps them to pixels and back: layer 0 is the picture with the
generator's margin of 3 pixels, then there is a position per pixel, per 2×2 and per 4×4 (`networks.feature_stride`).
Any weights can be inspected in any mode, since selection has no parameters; similarities and losses need projection
heads, which imported generators may lack.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qsneg import attention, methods
from qsneg.images import resize_short, to_image, to_tensor, upright_rgb
from qsneg.losses import diversity
from qsneg.networks import ProjectionHeads, feature_stride, tokens
from qsneg.translate import Translator, check_fits, pad, short_size
from qsneg.weights import Weights

MARGIN = 3  # pixels of reflection around the picture at layer 0
BLOCK = 8192  # positions projected at a time
KEEP = 1 << 25  # largest number of projected values that are kept, per layer and picture


@dataclass(frozen=True)
class Grid:
    """The positions of one layer over a picture of `size` (width, height) pixels, which may have been padded."""

    layer: int
    shape: tuple[int, int]  # rows, columns
    size: tuple[int, int]  # width and height of the picture, without padding
    stride: int  # pixels per position
    margin: int  # pixels by which the grid begins outside the picture

    def position(self, x: float, y: float) -> tuple[int, int]:
        """The position (row, column) at pixel (x, y); points outside the picture are moved to its edge."""
        x, y = (min(max(v, 0), side - 1) for v, side in zip((x, y), self.size))
        return int((y + self.margin) // self.stride), int((x + self.margin) // self.stride)

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """The pixels of a position: left, top, right, bottom (exclusive); may reach outside the picture."""
        left, top = column * self.stride - self.margin, row * self.stride - self.margin
        return left, top, left + self.stride, top + self.stride

    def visible(self) -> tuple[slice, slice]:
        """Rows and columns of the grid that lie on the picture."""
        width, height = self.size
        (top, left), (bottom, right) = self.position(0, 0), self.position(width - 1, height - 1)
        return slice(top, bottom + 1), slice(left, right + 1)


class View:
    """A picture as one model sees it: the translation, and the features of both at every layer, in float32.

    Made by `observe`; everything else reads from it and never runs the generator again.
    """

    def __init__(self, weights: Weights, source: Image.Image, result: Image.Image,
                 features: dict[str, list[Tensor]], device: torch.device):  # fmt: skip
        self.weights, self.config, self.source, self.result, self.device = weights, weights.config, source, result, device
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
            raise ValueError(self.weights.lacks())
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
        stride = feature_stride(layer, self.config.resampling)
        return Grid(layer, shape, self.source.size, stride, MARGIN if layer == 0 else 0)

    def index(self, layer: int, position: tuple[int, int]) -> Tensor:
        """A position as 1×1 row-major index.

        Raises:
            ValueError: if it lies outside the grid.
        """
        rows, columns = self.grid(layer).shape
        row, column = position
        if not (0 <= row < rows and 0 <= column < columns):
            raise ValueError(f"Position {row}, {column} lies outside the grid of layer {layer}: {rows} rows, {columns} columns.")
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
        return self.once(("entropy", layer, kind, window),
                         lambda: [e[0] for e in attention.entropy(self.map(layer), mode, window)])  # fmt: skip

    def projected(self, layer: int, which: str, index: Tensor) -> Tensor:
        """The projected features at row-major positions N: N×K in float32."""
        return self.heads(tokens(self.map(layer, which))[:, index], self.number(layer))[0]

    def attention(self, layer: int, position: tuple[int, int], mode: str = "global",
                  window: int | None = None) -> np.ndarray:  # fmt: skip
        """One row of the attention over the source, H×W, summing to 1; in local mode 0 outside the window."""
        return np.exp(self.log_attention(layer, position, mode, window))

    def log_attention(self, layer: int, position: tuple[int, int], mode: str = "global",
                      window: int | None = None) -> np.ndarray:  # fmt: skip
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

    def similarity(self, layer: int, position: tuple[int, int], which: str = "source", of: str = "source") -> np.ndarray:
        """Cosine similarity of the projected feature of `of` at `position` to all of `which`, H×W; each is the source
        or the result."""
        query = self.projected(layer, of, self.index(layer, position)[0])[0]
        values = torch.cat([block @ query for _, block in self.blocks(layer, which)])
        return values.reshape(self.grid(layer).shape).cpu().numpy()

    def negatives(self, layer: int, seed: int = 0) -> Tensor | None:
        """NEGCUT's generated negatives of this picture, M×K; None for models without a negative generator."""
        w = self.weights
        if w.negative_generator is None:
            return None
        i, random = self.number(layer), torch.Generator().manual_seed(seed)
        noise = torch.randn(len(self.config.layers), self.config.patches, self.config.noise_dim, generator=random)[i]
        mean = self.once(("mean", layer), lambda: [w.slow_heads.mean(tokens(self.map(layer)), i)])[0]
        return w.negative_generator(mean, noise[None].to(mean), i)[0]

    def nearest_negatives(self, layer: int, seed: int = 0) -> Tensor | None:
        """For each generated negative the source position most similar to it (a look-up, not an origin): M row-major
        indices, computed once; None for models without a negative generator."""
        generated = self.negatives(layer, seed)
        if generated is None:
            return None
        return self.once(("nearest", layer, seed), lambda: [nearest(self, layer, generated)])[0]


@torch.inference_mode()
def observe(translator: Translator, image: Image.Image, size: int | None = None) -> View:
    """Translate a picture and keep the features of source and result. The generator runs in float32.

    `size` is the short side in pixels that the picture is brought to; None keeps its own.

    Raises:
        ValueError: if it does not fit in memory, or `size` is no whole number of at least 1.
    """
    image = upright_rgb(image)
    short = min(image.size) if size is None else size
    check_fits(short_size(image.size, short), 2 * translator.config.width, translator.device)
    image = resize_short(image, short)
    x = pad(to_tensor(image).to(translator.device)).contiguous(memory_format=translator.layout)
    generator, layers = translator.weights.generator, translator.config.layers
    for net in translator.weights.parts().values():
        net.to(translator.device)
    y, source = generator.translate_with_features(x, layers)
    result = generator.encode(y, layers)
    shown = to_image(y[:, :, : image.height, : image.width])
    return View(translator.weights, image, shown, {"source": source, "result": result}, translator.device)


@dataclass(frozen=True)
class Inspection:
    """What `inspect` finds at one layer; H×W is the layer's grid, positions are (row, column)."""

    layer: int
    mode: str  # global, local or local+global
    grid: Grid
    entropy: np.ndarray  # H×W, nats; 0 where it underflows in float32
    log_entropy: np.ndarray  # H×W, natural logarithm of the entropy in nats
    rank: np.ndarray  # H×W, 0 is the most significant
    anchors: np.ndarray  # N×2, most significant first
    random: np.ndarray  # N×2, the positions that CUT draws with this seed
    underflow: int  # positions whose plain float32 entropy is exactly 0 (trap: they cannot be ranked by it)
    similarity: np.ndarray | None  # H×W, cosine of the translation's projected feature to its positive
    loss: np.ndarray | None  # H×W, contrastive loss under the model's own negatives, nats
    probability: np.ndarray | None  # H×W, what the softmax gives the positive, e^−loss; all three None without heads
    negatives: np.ndarray | None = None  # M×K, NEGCUT's generated negatives
    nearest: np.ndarray | None = None  # M×2, the source position most similar to each: a look-up, not an origin
    diversity: float | None = None  # mean absolute difference of the two halves of the negatives

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields that are arrays and present, by name."""
        return {k: v for k, v in vars(self).items() if isinstance(v, np.ndarray)}


@torch.inference_mode()
def inspect(view: View, layer: int = 12, mode: str = "global", num_anchors: int = 256, seed: int = 0,
            window: int | None = None) -> Inspection:  # fmt: skip
    """Selection, contrast and negatives of one layer.

    Args:
        view: from `observe`.
        layer: one of the model's layers.
        mode: how anchors are selected: global, local or local+global (QS-Attn, section 3.2).
        num_anchors: how many, at most the number of positions.
        seed: of CUT's random positions and of NEGCUT's noise.
        window: side of the local window; None takes the model's.

    Raises:
        ValueError: on an unknown layer or mode, or fewer than one anchor.
    """
    check_mode(mode)
    if num_anchors < 1:
        raise ValueError(f"The number of anchors must be at least 1, not {num_anchors}.")
    grid = view.grid(layer)
    window = window or view.config.window
    length = grid.shape[0] * grid.shape[1]
    num = min(num_anchors, length)
    nats, log = view.entropy(layer, mode, window)
    order = log.argsort(stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(length, device=order.device))
    drawn = methods.Draws(seed).positions(layer, length, num).to(view.device)
    similarity = loss = None
    if not view.weights.lacks(negatives=True):
        similarity, loss = contrast(view, layer, *own_negatives(view, layer, mode, num, window, drawn, seed))
    generated = view.negatives(layer, seed)

    def field(t: Tensor | None) -> np.ndarray | None:
        return None if t is None else t.reshape(grid.shape).cpu().numpy()

    def places(index: Tensor) -> np.ndarray:
        return np.stack(np.unravel_index(index.cpu().numpy(), grid.shape), axis=1)

    return Inspection(
        layer, mode, grid, field(nats), field(log), field(rank), places(order[:num]), places(drawn),
        int((nats == 0).sum()), field(similarity), field(loss),
        None if loss is None else field((-loss).exp()),
        None if generated is None else generated.cpu().numpy(),
        None if generated is None else places(view.nearest_negatives(layer, seed)),
        None if generated is None else -float(diversity(generated[None])),
    )  # fmt: skip


def check_mode(mode: str) -> None:
    if mode not in attention.MODES:
        raise ValueError(f"Unknown attention mode '{mode}': choose one of {', '.join(attention.MODES)}.")


def own_negatives(view: View, layer: int, mode: str, num: int, window: int, drawn: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
    """The negatives that the model's own loss uses at this layer, M×K, and the positions they belong to (M, or None).

    CUT: the keys at its random positions. QS-Attn, at its attention layers: the routed values of its anchors.
    NEGCUT: the generated ones, which belong to no position.
    """
    config = view.config
    generated = view.negatives(layer, seed)
    if generated is not None:
        return generated, None
    if config.method == "qs-attn" and layer in config.attention_layers:
        return tuple(view.once(("own", layer, mode, num, window), lambda: routed(view, layer, mode, num, window)))
    return view.projected(layer, "source", drawn), drawn


def routed(view: View, layer: int, mode: str, num: int, window: int) -> list[Tensor]:
    """QS-Attn's negatives, n×K: the routed and projected values of its n anchors; and the anchors' positions."""
    features, anchors = view.map(layer), view.entropy(layer, mode, window)[1].argsort(stable=True)[None, :num]
    local = mode == "local"
    rows = attention.local_rows(features, anchors, window) if local else attention.global_rows(features, anchors)
    values = attention.Selection(anchors, rows, window if local else None).route(features)
    return [view.heads(values, view.number(layer))[0], anchors[0]]


def contrast(view: View, layer: int, negatives: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
    """For every position the similarity to its positive and its contrastive loss under `negatives`, L each.

    A position that is itself among the negatives' positions does not count as its own negative.
    """
    length, tau = view.map(layer).shape[2:].numel(), view.config.temperature
    similarity, loss = negatives.new_empty(2, length)
    for (at, query), (_, key) in zip(view.blocks(layer, "result"), view.blocks(layer, "source")):  # n×K each
        positive = (query * key).sum(-1)
        others = query @ negatives.T  # n×M
        if positions is not None:
            own = positions[None] == torch.arange(at.start, at.stop, device=view.device)[:, None]
            others = others.masked_fill(own, -10.0)
        logits = torch.cat([positive[:, None], others], dim=1) / tau
        similarity[at], loss[at] = positive, logits.logsumexp(1) - logits[:, 0]
    return similarity, loss


def nearest(view: View, layer: int, vectors: Tensor) -> Tensor:
    """The source position whose projected feature is most similar to each of M×K vectors: M row-major indices."""
    best = vectors.new_full((len(vectors),), -2.0)
    at = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)
    for place, block in view.blocks(layer):
        value, index = (vectors @ block.T).max(1)
        better = value > best
        best, at = torch.where(better, value, best), torch.where(better, index + place.start, at)
    return at


@dataclass(frozen=True)
class Query:
    """One query, the translation's feature at a position, against everything it is contrasted with (cosines)."""

    position: tuple[int, int]
    positive: float  # to the source at the same position
    in_image: np.ndarray  # n, to the source at other positions: random ones, or the anchors that QS-Attn contrasts with
    in_image_at: np.ndarray  # n×2, those positions
    generated: np.ndarray | None  # M, to NEGCUT's negatives
    generated_at: np.ndarray | None  # M×2, the source position nearest to each: a look-up, not an origin
    shares: dict[str, float]  # of the denominator of the loss, were all three groups in it: they sum to 1
    points: dict[str, np.ndarray]  # first two principal components: "query" and "positive" 2, "in_image" n×2, "generated" M×2


@torch.inference_mode()
def query(view: View, layer: int, position: tuple[int, int], num: int = 256, seed: int = 0,
          mode: str | None = None) -> Query:  # fmt: skip
    """Similarities of one query to its positive, to `num` in-image negatives, and to generated ones.

    In-image negatives lie at random positions; those of QS-Attn at its attention layers are its anchors, selected in
    `mode` (None: the model's), with routed values.

    Raises:
        ValueError: if the position lies outside the grid, there is no such layer, or the model came without its heads
            or its negative generator.
    """
    if lacks := view.weights.lacks(negatives=True):
        raise ValueError(lacks)
    shape, index = view.grid(layer).shape, view.index(layer, position)[0]
    drawn = methods.Draws(seed).positions(layer, shape[0] * shape[1], num).to(view.device)
    q, positive = (view.projected(layer, which, index)[0] for which in ("result", "source"))
    if view.config.method == "qs-attn":
        check_mode(mode := mode or view.config.attention)
        keys, drawn = own_negatives(view, layer, mode, num, view.config.window, drawn, seed)
    else:
        keys = view.once(("keys", layer, num, seed), lambda: [view.projected(layer, "source", drawn)])[0]
    keys, drawn = keys[drawn != index], drawn[drawn != index]
    generated = view.negatives(layer, seed)
    groups = {"positive": positive[None], "in_image": keys} | ({} if generated is None else {"generated": generated})
    cosines = {name: vectors @ q for name, vectors in groups.items()}
    weight = {name: (c / view.config.temperature).double().logsumexp(0) for name, c in cosines.items()}
    total = torch.stack(list(weight.values())).logsumexp(0)
    everything = torch.cat([q[None], *groups.values()])
    centred = everything - everything.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -2:].flip(1)  # K×2, the first explains most
    flat = centred @ axes
    flat = flat * torch.where(flat[0] < 0, -1, 1)  # signs are free: the query lies right and above
    split = flat.cpu().split([1, *map(len, groups.values())])
    points = {name: p.numpy() for name, p in zip(("query", *groups), split)}

    def places(at: Tensor) -> np.ndarray:
        return np.stack(np.unravel_index(at.cpu().numpy(), shape), axis=1)

    return Query(
        position, float(cosines["positive"]), cosines["in_image"].cpu().numpy(), places(drawn),
        None if generated is None else cosines["generated"].cpu().numpy(),
        None if generated is None else places(view.nearest_negatives(layer, seed)),
        {name: float((w - total).exp()) for name, w in weight.items()},
        points | {name: points[name][0] for name in ("query", "positive")},
    )  # fmt: skip


def neighbours(values: np.ndarray, position: tuple[int, int], count: int = 8, radius: int = 2) -> np.ndarray:
    """The `count` positions of highest value on an H×W map that lie more than `radius` cells from `position`: n×2."""
    rows, columns = np.indices(values.shape)
    far = np.maximum(abs(rows - position[0]), abs(columns - position[1])) > radius
    order = np.argsort(np.where(far, -values, np.inf), axis=None)[: min(count, int(far.sum()))]
    return np.stack(np.unravel_index(order, values.shape), axis=1)
