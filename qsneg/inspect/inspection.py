"""What one layer of a model sees in a picture: entropies and anchors, contrast, negatives.

from qsneg.inspect import inspect, observe
result = inspect(observe(qsneg.load("day2sunset/negcut"), image), layer=12, mode="global")
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qsneg import attention, methods
from qsneg.inspect.features import Grid, View, check_mode
from qsneg.losses import diversity


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
def inspect(
    view: View, layer: int = 12, mode: str = "global", num_anchors: int = 256, seed: int = 0, window: int | None = None
) -> Inspection:
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
        layer,
        mode,
        grid,
        field(nats),
        field(log),
        field(rank),
        places(order[:num]),
        places(drawn),
        int((nats == 0).sum()),
        field(similarity),
        field(loss),
        None if loss is None else field((-loss).exp()),
        None if generated is None else generated.cpu().numpy(),
        None if generated is None else places(view.nearest_negatives(layer, seed)),
        None if generated is None else -float(diversity(generated[None])),
    )


def own_negatives(
    view: View, layer: int, mode: str, num: int, window: int, drawn: Tensor, seed: int
) -> tuple[Tensor, Tensor | None]:
    """The negatives that the model's own loss uses at this layer, M×K, and the positions they belong to (M, or None).

    CUT: the keys at its random positions. QS-Attn, at its attention layers: the routed values of its anchors.
    NEGCUT: the generated ones, which belong to no position.
    """
    generated = view.negatives(layer, seed)
    if generated is not None:
        return generated, None
    return in_image_negatives(view, layer, mode, num, window, drawn)


def in_image_negatives(
    view: View, layer: int, mode: str, num: int, window: int, drawn: Tensor
) -> tuple[Tensor, Tensor]:
    """The negatives that the picture itself has for the model, M×K, and their positions M."""
    if view.config.traits.selects and layer in view.config.attention_layers:
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
