"""One query, a patch of the translation, against its positive and its negatives; where its attention goes; and its
nearest patches on a map.

from qsneg.inspect import observe, query
found = query(observe(qsneg.load("day2sunset/negcut"), image), layer=12, position=(20, 31))
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qsneg.bounds import check_mode
from qsneg.inspect.features import View
from qsneg.inspect.inspection import compared, how_many, places


@dataclass(frozen=True)
class Query:
    """One query, the translation's feature at a position, against everything it is contrasted with (cosines).

    There are as many generated negatives as in-image ones, n.
    """

    position: tuple[int, int]
    positive: float  # to the source at the same position
    in_image: np.ndarray  # n, to the source at other positions: random ones, or the anchors that QS-Attn contrasts with
    in_image_at: np.ndarray  # n×2, those positions
    giver: np.ndarray | None  # n×2, QS-Attn: the position that gives most to the value gathered for each anchor
    given: np.ndarray | None  # n, its share of that value, 0…1
    generated: np.ndarray | None  # n, to NEGCUT's negatives
    generated_at: np.ndarray | None  # n×2, the source position nearest to each: a look-up, not an origin
    shares: dict[str, float]  # of the denominator of the loss, were all three groups in it: they sum to 1
    points: dict[str, np.ndarray]  # first two principal components: "query" and "positive" 2, the negatives n×2
    layer: int
    view: View = field(repr=False, compare=False)  # what it was read from


@torch.inference_mode()
def query(
    view: View, layer: int, position: tuple[int, int], num: int | None = None, seed: int = 0, mode: str | None = None
) -> Query:
    """Similarities of one query to its positive, to in-image negatives, and to as many generated ones.

    In-image negatives lie at random positions other than the query's; those of QS-Attn at its attention layers are its
    anchors, selected in `mode` (None: the model's), with gathered values.

    Args:
        num: negatives of either kind, less where the layer has no more other positions; None: the model's own number
            of patches. To compare models whose numbers differ, give the smallest.

    Raises:
        ValueError: if the position lies outside the grid, there is no such layer, `num` is below 1, or the model came
            without its heads or its negative generator.
    """
    rivals, shape = contrasted(view, layer, position, num, seed, mode), view.grid(layer).shape
    cosines, count = rivals.cosines(), len(rivals.at)

    def array(values: Tensor | None) -> np.ndarray | None:
        return None if values is None else values.cpu().numpy()

    return Query(
        position,
        float(cosines["positive"]),
        array(cosines["in_image"]),
        places(rivals.at, shape),
        None if rivals.giver is None else places(rivals.giver, shape),
        array(rivals.given),
        array(cosines.get("generated")),
        places(view.nearest_negatives(layer, seed, count), shape) if "generated" in cosines else None,
        shares(cosines, view.config.temperature),
        components(rivals.query, rivals.groups),
        layer,
        view,
    )


class Contrasted(NamedTuple):
    """A query and what it is contrasted with, as vectors of unit length."""

    query: Tensor  # K
    groups: dict[str, Tensor]  # "positive" 1×K, "in_image" n×K, of NEGCUT "generated" n×K
    at: Tensor  # n row-major positions of the in-image negatives
    giver: Tensor | None  # n and n, see `Query`
    given: Tensor | None

    def cosines(self) -> dict[str, Tensor]:
        return {name: vectors @ self.query for name, vectors in self.groups.items()}


def contrasted(
    view: View, layer: int, position: tuple[int, int], num: int | None = None, seed: int = 0, mode: str | None = None
) -> Contrasted:
    """The vectors that `query` compares; arguments and errors are its."""
    if why_not := view.weights.why_not():
        raise ValueError(why_not)
    index, count = view.index(layer, position)[0], how_many(view, layer, num)
    length = view.map(layer).shape[2:].numel()
    q, positive = (view.projected(layer, which, index)[0] for which in ("result", "source"))
    check_mode(mode := mode or view.config.attention)
    keys, _, at, giver, given = compared(view, layer, mode, min(count + 1, length), view.config.window, seed)
    rest = (at != index).nonzero()[:count, 0]  # one more was drawn, in case one is the query's own position
    keys, at, giver, given = (v if v is None else v[rest] for v in (keys, at, giver, given))
    groups = {"positive": positive[None], "in_image": keys}
    if (generated := view.negatives(layer, seed, len(at))) is not None:
        groups["generated"] = generated
    return Contrasted(q, groups, at, giver, given)


def shares(cosines: dict[str, Tensor], temperature: float) -> dict[str, float]:
    """What each group holds of the denominator of the contrastive loss, were all of them in it."""
    weight = {name: (c / temperature).double().logsumexp(0) for name, c in cosines.items()}
    total = torch.stack(list(weight.values())).logsumexp(0)
    return {name: float((w - total).exp()) for name, w in weight.items()}


def components(q: Tensor, groups: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """The first two principal components of a query K and of groups of vectors n×K: 2 each, n×2 of the negatives."""
    everything = torch.cat([q[None], *groups.values()])
    centred = everything - everything.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -2:].flip(1)  # K×2, the first explains most
    flat = centred @ axes
    flat = flat * torch.where(flat[0] < 0, -1, 1)  # signs are free: the query lies right and above
    split = flat.cpu().split([1, *map(len, groups.values())])
    points = {name: p.numpy() for name, p in zip(("query", *groups), split)}
    return points | {name: points[name][0] for name in ("query", "positive")}


@dataclass(frozen=True)
class Attended:
    """Where the attention of one position goes, in numbers."""

    own: float  # the share that it gives to itself
    most: tuple[int, int]  # the position that it gives most to
    share: float  # what it gives there
    shorter: float  # the share of the positions seen whose features are shorter (in L2 norm) than that position's
    half: int  # positions that hold half of it
    keys: int  # positions that the row sees


@torch.inference_mode()
def attended(
    view: View, layer: int, position: tuple[int, int], mode: str = "global", window: int | None = None
) -> Attended:
    """Where a row of the attention goes. Products of features are not normalised (QS-Attn, section 3.2), so a long
    feature may take nearly all of it, from every query that does not point away from it: `shorter` tells.

    Raises:
        ValueError: if the position lies outside the grid, or there is no such layer or mode.
    """
    log = view.log_attention(layer, position, mode, window)
    norm = view.map(layer)[0].square().sum(0).cpu().numpy()
    most = tuple(int(v) for v in np.unravel_index(log.argmax(), log.shape))
    seen = np.isfinite(log)
    weights = np.sort(np.exp(log[seen]))[::-1]
    half = int(np.searchsorted(np.cumsum(weights), 0.5)) + 1
    own, share, shorter = (
        float(np.exp(log[tuple(position)])),
        float(np.exp(log[most])),
        (norm[seen] < norm[most]).mean(),
    )
    return Attended(own, most, share, float(shorter), min(half, weights.size), weights.size)


def neighbours(values: np.ndarray, position: tuple[int, int], count: int = 8, radius: int = 2) -> np.ndarray:
    """The `count` positions of highest value on an H×W map that lie more than `radius` cells from `position`: n×2."""
    rows, columns = np.indices(values.shape)
    far = np.maximum(abs(rows - position[0]), abs(columns - position[1])) > radius
    order = np.argsort(np.where(far, -values, np.inf), axis=None)[: min(count, int(far.sum()))]
    return np.stack(np.unravel_index(order, values.shape), axis=1)
