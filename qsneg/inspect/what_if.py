"""What if the loss had other negatives, fewer of them, or another temperature: the loss of every position, and how hard
it pulls at the features, from features that are there.

    found = what_if(view, layer=12, temperature=0.2, num=64)
    found.loss, found.gradient, what_if(view, 12).loss      # H×W each; the last as trained
    length, seconds = on_pixels(view, 12, (20, 31))         # one forward and backward of the encoder

Positions are (row, column). All negatives weigh the same, as in CUT; those of NEGCUT are generated, those of QS-Attn at
its attention layers gathered.
"""

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from qsneg.bounds import check_mode
from qsneg.image_io import to_tensor
from qsneg.inspect.features import BLOCK, View
from qsneg.inspect.inspection import against, compared, how_many, places
from qsneg.memory_limits import MIN_SIDE
from qsneg.networks import tokens


@dataclass(frozen=True)
class WhatIf:
    """The loss of every position under negatives that may be other than the trained ones."""

    loss: np.ndarray  # H×W, nats
    gradient: np.ndarray  # H×W, length of the gradient of each position's loss at the translation's feature there
    negatives: int  # how many were left
    hardest: np.ndarray  # indices of those taken away
    at: np.ndarray | None  # n×2, where those lie, row and column; None for generated ones
    layer: int
    view: View = field(repr=False, compare=False)  # what it was read from


class Rivals:
    """The negatives of a layer, n×K; and the positions that they have, n, or None for generated ones."""

    def __init__(self, view: View, layer: int, num: int | None, seed: int, mode: str | None):
        check_mode(mode := mode or view.config.attention)
        if why_not := view.weights.why_not():
            raise ValueError(why_not)
        count = how_many(view, layer, num)
        generated = view.negatives(layer, seed, count)
        asked = None if generated is not None else compared(view, layer, mode, count, view.config.window, seed)
        self.keys = generated.clone() if asked is None else asked.keys.clone()
        self.at = None if asked is None else asked.at.clone()
        self.view, self.layer = view, layer

    def without_some(self, index: Tensor, away: int, first: int, near: tuple[int, int] | None) -> Tensor:
        """Take away what `what_if` is asked to, for the patch at a row-major index, 1; returns which."""
        if near is not None:
            self.view.index(self.layer, near)  # raises where that lies outside
        if not away or (near is not None and self.at is None):  # generated ones lie nowhere
            return torch.empty(0, dtype=torch.long, device=self.keys.device)
        if near is not None:
            return self.without_nearest(near, away)
        query = self.view.projected(self.layer, "result", index)[0]
        return self.without_hardest(query.clone(), int(index), away, first)

    def without_hardest(self, query: Tensor, index: int, count: int, first: int = 1) -> Tensor:
        """Take away `count` negatives, from the `first`-hardest on, of a query K at row-major position `index`; returns
        which. The hardest is the most similar; one stays, and what would lie beyond the last is counted from it."""
        cosine = self.keys @ query
        if self.at is not None:
            cosine = cosine.masked_fill(self.at == index, -torch.inf)  # it is none of its own negatives
        count = min(count, len(cosine) - 1)
        start = min(first - 1, len(cosine) - count)
        return self.without(cosine.sort(descending=True, stable=True).indices[start : start + count])

    def without_nearest(self, place: tuple[int, int], count: int) -> Tensor:
        """Take away the `count` negatives whose places lie nearest to a row and column; returns which. One stays."""
        columns = self.view.grid(self.layer).shape[1]
        row, column = self.at // columns, self.at % columns
        away = (row - place[0]) ** 2 + (column - place[1]) ** 2
        return self.without(away.sort(stable=True).indices[: min(count, len(away) - 1)])

    def without(self, gone: Tensor) -> Tensor:
        kept = torch.ones(len(self.keys), dtype=torch.bool, device=self.keys.device).index_fill(0, gone, False)
        self.keys, self.at = self.keys[kept], None if self.at is None else self.at[kept]
        return gone

    def losses(self, query: Tensor, key: Tensor, index: Tensor, temperature: float) -> Tensor:
        """The contrastive losses of queries m×K at row-major positions m, with positives m×K."""
        return against(query, key, index, self.keys, self.at, temperature)[1]


def what_if(
    view: View,
    layer: int,
    position: tuple[int, int] = (0, 0),
    num: int | None = None,
    temperature: float | None = None,
    away: int = 0,
    seed: int = 0,
    mode: str | None = None,
    first: int = 1,
    near: tuple[int, int] | None = None,
) -> WhatIf:
    """Losses and gradients of all positions.

    Args:
        position: the patch whose hardest negatives are taken away.
        num: negatives; None: the model's patches. temperature: τ; None: the model's.
        away: how many are taken away, first: from which on, 1 for the hardest; at least one negative stays.
        near: row and column; then those that lie nearest to it are taken away, and of generated ones none.
        seed: of random places and of NEGCUT's noise. mode: QS-Attn: how its negatives are selected.

    Raises:
        ValueError: if the position, the layer or a number is out of range, or the model lacks what losses need.
    """
    tau = view.config.temperature if temperature is None else temperature
    if not 0 < tau < math.inf:
        raise ValueError(f"The temperature must be a number above 0, not {temperature}.")
    if away < 0:
        raise ValueError(f"The number of negatives taken away must be at least 0, not {away}.")
    if first < 1:
        raise ValueError(f"The first negative taken away must be at least the 1st, not {first}.")
    index, shape = view.index(layer, position)[0], view.grid(layer).shape
    taken = (away, int(index), first, near) if away or near is not None else ()  # else the position does not matter
    key = "what if", layer, num, tau, taken, seed, mode

    def make() -> list[Tensor]:
        rivals = Rivals(view, layer, num, seed, mode)
        every = rivals.at
        gone = rivals.without_some(index, away, first, near)
        at = [] if every is None else [every[gone]]
        return [*pulls(view, layer, rivals, tau), gone, torch.tensor(len(rivals.keys)), *at]

    loss, length, gone, left, *at = view.once(key, make)
    maps = (t.reshape(shape).cpu().numpy() for t in (loss, length))
    return WhatIf(*maps, int(left), gone.cpu().numpy(), places(at[0], shape) if at else None, layer, view)


def pulls(view: View, layer: int, rivals: Rivals, temperature: float) -> tuple[Tensor, Tensor]:
    """The loss of every position, and the length of its gradient at the translation's feature there: L each."""
    losses, lengths, start, number = [], [], 0, view.number(layer)
    source, result = (tokens(view.map(layer, which))[0] for which in ("source", "result"))  # L×C
    for feature, other in zip(result.split(BLOCK), source.split(BLOCK)):
        feature = feature.clone().requires_grad_()
        with torch.no_grad():
            key = view.heads(other.clone()[None], number)[0]
        query = view.heads(feature[None], number)[0]
        at = torch.arange(start, start + len(query), device=view.device)
        loss = rivals.losses(query, key, at, temperature)
        (gradient,) = torch.autograd.grad(loss.sum(), feature)  # each loss depends on its own feature alone
        losses.append(loss.detach())
        lengths.append(gradient.norm(dim=1))
        start += len(query)
    return torch.cat(losses), torch.cat(lengths)


def on_pixels(
    view: View,
    layer: int,
    position: tuple[int, int],
    num: int | None = None,
    temperature: float | None = None,
    away: int = 0,
    seed: int = 0,
    mode: str | None = None,
    first: int = 1,
    near: tuple[int, int] | None = None,
) -> tuple[np.ndarray, float]:
    """The length of the gradient of one patch's loss at every pixel of the translation, H×W, and the seconds that it
    took: one forward and backward of the encoder, without a margin. Arguments and errors are those of `what_if`."""
    if min(view.result.size) < MIN_SIDE:
        raise ValueError(f"The encoder needs a picture of at least {MIN_SIDE} pixels on its short side.")
    start, index, number = time.perf_counter(), view.index(layer, position)[0], view.number(layer)
    rivals, tau = Rivals(view, layer, num, seed, mode), temperature or view.config.temperature
    key = view.projected(layer, "source", index).clone()
    rivals.without_some(index, away, first, near)
    pixels = to_tensor(view.result).to(view.device).requires_grad_()
    features = view.weights.generator.encode(pixels, [layer])[0]
    query = view.heads(tokens(features)[:, index], number)[0]
    loss = rivals.losses(query, key, index, tau)
    (gradient,) = torch.autograd.grad(loss.sum(), pixels)
    return gradient[0].norm(dim=0).cpu().numpy(), time.perf_counter() - start
