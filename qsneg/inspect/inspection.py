"""What one layer of a model sees in a picture: entropies and anchors, contrast, negatives.

from qsneg.inspect import inspect, observe
result = inspect(observe(qsneg.load("day2sunset/negcut"), image), layer=12, mode="global")

Negatives of every kind are equally many wherever they are compared: the model's own number of patches, unless another
is asked for; never more than the layer has positions.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qsneg import attention, methods
from qsneg.bounds import check_mode
from qsneg.inspect.features import Grid, View
from qsneg.losses import MASKED, diversity, patch_nce


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
    keys: int  # positions that a row attends to: all, or those of a local window; no entropy is above ln(keys)
    similarity: np.ndarray | None = None  # H×W, cosine of the translation's projected feature to its positive
    loss: np.ndarray | None = None  # H×W, contrastive loss of every position's own feature under the model's negatives
    probability: np.ndarray | None = None  # H×W, what the softmax gives the positive, e^−loss
    asked: np.ndarray | None = (
        None  # M×2, positions that the model's training would ask: anchors, or random with the seed
    )
    asked_loss: np.ndarray | None = None  # M, the loss that is trained there, nats; of QS-Attn's gathered values
    giver: np.ndarray | None = None  # M×2, QS-Attn: the position that gives most to the value gathered for an anchor
    given: np.ndarray | None = None  # M, its share of that value, 0…1; all six None without heads, these two elsewhere
    negatives: np.ndarray | None = None  # M×K, NEGCUT's generated negatives
    nearest: np.ndarray | None = None  # M×2, the source position most similar to each: a look-up, not an origin
    diversity: float | None = None  # mean absolute difference of the two halves of the negatives
    view: View | None = field(default=None, repr=False, compare=False)  # what it was read from

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields that are arrays and present, by name."""
        return {k: v for k, v in vars(self).items() if isinstance(v, np.ndarray)}


@torch.inference_mode()
def inspect(
    view: View,
    layer: int = 12,
    mode: str = "global",
    num_anchors: int | None = None,
    seed: int = 0,
    window: int | None = None,
    num_negatives: int | None = None,
) -> Inspection:
    """Selection, contrast and negatives of one layer.

    The loss map is that of every position's own feature, whose negatives all weigh the same. `asked_loss` is the loss
    that is trained: where QS-Attn attends, of the values gathered by the anchors' rows, in source and translation alike
    (section 3.2); of MoNCE and hDCE with their weights, as at the end of a training. Where training asks at the places
    that the discriminator doubts, random ones stand for them.

    Args:
        view: from `observe`.
        layer: one of the model's layers.
        mode: how anchors are selected: global, local or local+global (QS-Attn, section 3.2).
        num_anchors: how many, at most the number of positions; None: the model's own number of patches.
        seed: of CUT's random positions and of NEGCUT's noise.
        window: side of the local window; None takes the model's.
        num_negatives: how many negatives the losses have, at most the number of positions; None: the model's own
            number of patches. To compare models whose numbers differ, give the smallest.

    Raises:
        ValueError: on an unknown layer or mode, or fewer than one anchor or negative.
    """
    check_mode(mode)
    grid, window = view.grid(layer), window or view.config.window
    length = grid.shape[0] * grid.shape[1]
    num, count = (
        how_many(view, layer, n, what) for n, what in ((num_anchors, "anchors"), (num_negatives, "negatives"))
    )
    nats, log = view.entropy(layer, mode, window)
    order = log.argsort(stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(length, device=order.device))
    drawn = methods.Draws(seed).positions(layer, length, num)

    def as_map(t: Tensor) -> np.ndarray:
        return t.reshape(grid.shape).cpu().numpy()

    found = {} if view.weights.lacks else contrasts(view, layer, mode, count, window, seed, as_map)
    keys = length if mode == "global" else min(window, grid.shape[0]) * min(window, grid.shape[1])
    return Inspection(
        layer,
        mode,
        grid,
        as_map(nats),
        as_map(log),
        as_map(rank),
        places(order[:num], grid.shape),
        places(drawn, grid.shape),
        int((nats == 0).sum()),
        keys,
        **found,
        view=view,
    )


def how_many(view: View, layer: int, number: int | None, what: str = "negatives") -> int:
    """A number of anchors or negatives: as asked for, or the model's patches; at most the layer's positions.

    Raises:
        ValueError: if it is below 1.
    """
    number = view.config.patches if number is None else number
    if number < 1:
        raise ValueError(f"The number of {what} must be at least 1, not {number}.")
    return min(number, view.map(layer).shape[2:].numel())


def places(index: Tensor, shape: tuple[int, int]) -> np.ndarray:
    """Row-major positions N as (row, column), N×2."""
    return np.stack(np.unravel_index(index.cpu().numpy(), shape), axis=1)


def contrasts(view: View, layer: int, mode: str, count: int, window: int, seed: int, as_map) -> dict:
    """The fields of `Inspection` that need heads; `as_map` makes an H×W array of L values."""
    shape, tau = view.grid(layer).shape, view.config.temperature
    asked, generated = compared(view, layer, mode, count, window, seed), view.negatives(layer, seed, count)
    rivals = (asked.keys, asked.at) if generated is None else (generated, None)
    similarity, loss = contrast(view, layer, *rivals)
    queries, keys, made = (t if t is None else t[None] for t in (asked.queries, asked.keys, generated))
    push = methods.CLASSES.get(view.config.method, methods.CUT).push  # imported ones weigh all alike
    trained = patch_nce(queries, keys, made, tau, reduction="none", **push(view.config, queries, keys))[0]
    found = {"similarity": as_map(similarity), "loss": as_map(loss), "probability": as_map((-loss).exp())}
    found |= {"asked": places(asked.at, shape), "asked_loss": trained.cpu().numpy()}
    if asked.giver is not None:
        found |= {"giver": places(asked.giver, shape), "given": asked.given.cpu().numpy()}
    if generated is not None:
        found |= {"negatives": generated.cpu().numpy(), "diversity": -float(diversity(generated[None]))}
        found["nearest"] = places(view.nearest_negatives(layer, seed, count), shape)
    return found


def attends(view: View, layer: int) -> bool:
    """Whether the model's training selects and gathers by attention at a layer: QS-Attn at its attention layers."""
    return view.config.traits.selects and layer in view.config.attention_layers


class Compared(NamedTuple):
    """What the model's training compares at a layer: n places, read in source and translation and projected."""

    keys: Tensor  # n×K, from the source
    queries: Tensor  # n×K, from the translation
    at: Tensor  # n row-major positions
    giver: Tensor | None = None  # n, where values are gathered: the position whose weight is largest in each row
    given: Tensor | None = None  # n, that weight


def compared(view: View, layer: int, mode: str, num: int, window: int, seed: int) -> Compared:
    """`num` places that ask, and what is compared there, computed once.

    CUT, NEGCUT and others: features at random places, those of the seed. QS-Attn at its attention layers: the anchors'
    gathered values. Other methods that ask by entropy: features at the anchors.
    """
    config, features = view.config, view.map(layer)
    by_entropy = layer in config.attention_layers and (config.traits.selects or config.asking == "entropy")

    def make() -> list[Tensor]:
        if by_entropy:
            at = view.entropy(layer, mode, window)[1].argsort(stable=True)[:num]
        else:
            at = methods.Draws(seed).positions(layer, features.shape[2:].numel(), num).to(view.device)
        return [value for value in read_at(view, layer, at, mode, window) if value is not None]

    which = (mode, window) if by_entropy else (seed,)
    return Compared(*view.once(("compared", layer, num, *which), make))


def read_at(view: View, layer: int, at: Tensor, mode: str, window: int) -> Compared:
    """What the model's training compares at given row-major positions n."""
    if not attends(view, layer):
        return Compared(view.projected(layer, "source", at), view.projected(layer, "result", at), at)
    features = view.map(layer)
    selection = attention.select_at(features, at[None], mode, window)
    values = (view.heads(selection.route(view.map(layer, w)), view.number(layer))[0] for w in ("source", "result"))
    given, giver = selection.rows[0].max(-1)
    if mode == "local":
        around = attention.window_positions(at, tuple(features.shape[2:]), window)[0]
        giver = around.gather(1, giver[:, None])[:, 0]
    return Compared(*values, at, giver, given)


def contrast(view: View, layer: int, negatives: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
    """For every position the similarity to its positive and its contrastive loss under `negatives`, L each.

    A position that is itself among the negatives' positions does not count as its own negative, as in training: it has
    one fewer.
    """
    length, tau = view.map(layer).shape[2:].numel(), view.config.temperature
    similarity, loss = negatives.new_empty(2, length)
    for (at, query), (_, key) in zip(view.blocks(layer, "result"), view.blocks(layer, "source")):  # n×K each
        index = torch.arange(at.start, at.stop, device=view.device)
        similarity[at], loss[at] = against(query, key, index, negatives, positions, tau)
    return similarity, loss


def against(
    query: Tensor, key: Tensor, index: Tensor, negatives: Tensor, positions: Tensor | None, temperature: float
) -> tuple[Tensor, Tensor]:
    """Similarities to positives n×K and contrastive losses, n each, of queries n×K at row-major positions n, under
    negatives M×K; `positions` M are those of negatives in the picture, None of generated ones."""
    positive = (query * key).sum(-1)
    others = query @ negatives.T  # n×M
    if positions is not None:
        others = others.masked_fill(positions[None] == index[:, None], MASKED)
    logits = torch.cat([positive[:, None], others], dim=1) / temperature
    return positive, logits.logsumexp(1) - logits[:, 0]
