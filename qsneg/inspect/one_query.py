"""One query, a patch of the translation, against its positive and its negatives; and its nearest patches on a map.

from qsneg.inspect import observe, query
found = query(observe(qsneg.load("day2sunset/negcut"), image), layer=12, position=(20, 31))
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qsneg import methods
from qsneg.inspect.features import View, check_mode
from qsneg.inspect.inspection import in_image_negatives


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
    points: dict[
        str, np.ndarray
    ]  # first two principal components: "query" and "positive" 2, "in_image" n×2, "generated" M×2


@torch.inference_mode()
def query(
    view: View, layer: int, position: tuple[int, int], num: int = 256, seed: int = 0, mode: str | None = None
) -> Query:
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
    if view.config.traits.selects:
        check_mode(mode := mode or view.config.attention)
        keys, drawn = in_image_negatives(view, layer, mode, num, view.config.window, drawn)
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
        position,
        float(cosines["positive"]),
        cosines["in_image"].cpu().numpy(),
        places(drawn),
        None if generated is None else cosines["generated"].cpu().numpy(),
        None if generated is None else places(view.nearest_negatives(layer, seed)),
        {name: float((w - total).exp()) for name, w in weight.items()},
        points | {name: points[name][0] for name in ("query", "positive")},
    )


def neighbours(values: np.ndarray, position: tuple[int, int], count: int = 8, radius: int = 2) -> np.ndarray:
    """The `count` positions of highest value on an H×W map that lie more than `radius` cells from `position`: n×2."""
    rows, columns = np.indices(values.shape)
    far = np.maximum(abs(rows - position[0]), abs(columns - position[1])) > radius
    order = np.argsort(np.where(far, -values, np.inf), axis=None)[: min(count, int(far.sum()))]
    return np.stack(np.unravel_index(order, values.shape), axis=1)
