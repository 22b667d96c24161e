"""Who is pushed away from one query, and how hard: the force on every negative, as four papers would have it.

    from qsneg.inspect import forces, observe
    found = forces(observe(qsneg.load("day2sunset/cut"), image), layer=12, position=(20, 31))
    print(found.effective, forces(view, 12, (20, 31), "monce").effective)

The loss of a query is −log e^{q·k⁺/τ} / (e^{q·k⁺/τ} + Σ_j w_j e^{q·k_j/τ}), so its gradient with respect to q·k_j/τ is
w_j e^{q·k_j/τ} over that denominator: the force on negative j. With the positive's e^{q·k⁺/τ} over it, its probability,
they sum to 1. In hDCE the positive is not in the denominator: there the forces alone sum to 1.

All weights need only features that are there: any model can be asked "how would another have weighed these?".
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

import qsneg.inspect.inspection as inspection
from qsneg.bounds import check_mode
from qsneg.inspect.features import View
from qsneg.inspect.inspection import Compared, how_many, places, read_at
from qsneg.losses import resemblance_weights, transport_weights

WEIGHTINGS = ("cut", "hdce", "monce", "negcut")
HARDEST = 10  # negatives whose share is told


@dataclass(frozen=True)
class Forces:
    """The forces on n negatives of one query, at one layer; positions are (row, column)."""

    position: tuple[int, int]  # the query's
    weighting: str  # cut, hdce, monce or negcut
    force: np.ndarray  # n, the share of the query's gradient that goes to each negative
    weight: np.ndarray  # n, w_j, in sum n (MoNCE's and hDCE's other places, CUT's, NEGCUT's: all on average 1)
    cosine: np.ndarray  # n, q·k_j
    at: np.ndarray  # n×2, where each lies; of generated ones the source position most similar to it, not an origin
    giver: np.ndarray | None  # n×2, QS-Attn: the position that gives most to the value gathered for each
    probability: float  # the positive's, e^{q·k⁺/τ} over the sum of it and all w_j e^{q·k_j/τ}
    loss: float  # nats
    pull: float  # length of the loss's gradient with respect to the query, in units of 1/τ
    layer: int
    view: View = field(repr=False, compare=False)  # what it was read from

    @property
    def effective(self) -> float:
        """The effective number of negatives: e to the entropy of the forces over their sum. n if all are equal."""
        share = self.force / self.force.sum()
        share = share[share > 0]
        return float(np.exp(-(share * np.log(share)).sum()))

    @property
    def hardest(self) -> float:
        """The share of all force that the ten hardest take, 0…1."""
        return float(np.sort(self.force)[::-1][:HARDEST].sum() / self.force.sum())


@torch.inference_mode()
def forces(
    view: View,
    layer: int,
    position: tuple[int, int],
    weighting: str | None = None,
    num: int | None = None,
    seed: int = 0,
    mode: str | None = None,
    temperature: float | None = None,
    gamma: float | None = None,
    without: tuple[int, int] | None = None,
) -> Forces:
    """The forces on the negatives of the translation's patch at a position.

    Args:
        weighting: whose: cut (all weigh 1), hdce, monce, or negcut (generated ones); None: the model's own.
        num: places that are compared, the query's own among them, or generated negatives; None: the model's patches.
        seed: of the random places and of NEGCUT's noise. QS-Attn's places at its attention layers are its anchors.
        mode: QS-Attn: how they are selected; None: as the model does.
        temperature: τ; None: the model's. gamma: hDCE's γ; None: that of the end of a training.
        without: leave out the negative at this position.

    Raises:
        ValueError: if what is asked for is not there, `num` is below 2, or `temperature` or `gamma` not above 0.
    """
    weighting = weighting or own_weighting(view)
    check(view, weighting, temperature, gamma, count := how_many(view, layer, num))
    tau, index = temperature or view.config.temperature, int(view.index(layer, position))
    shape = view.grid(layer).shape
    if weighting == "negcut":
        query, key = (view.projected(layer, w, torch.tensor([index], device=view.device)) for w in ("result", "source"))
        negatives = view.negatives(layer, seed, count)
        giver, at, weight = None, view.nearest_negatives(layer, seed, count), torch.ones(count, device=view.device)
    else:
        keys, queries, at, giver, _ = compared(view, layer, index, count, seed, mode)
        weight = weights(weighting, queries, keys, view, gamma)[1:]
        query, key, negatives, at = queries[:1], keys[:1], keys[1:], at[1:]
        giver = None if giver is None else giver[1:]
    if without is not None:
        kept = at != int(view.index(layer, without))
        negatives, weight, at = negatives[kept], weight[kept], at[kept]
        giver = None if giver is None else giver[kept]
    cosine, positive = (query @ negatives.T)[0], (query @ key.T)[0, 0]  # n, scalar
    terms = (cosine / tau + weight.log()).double()
    total = torch.cat([terms, (positive / tau).double()[None]]).logsumexp(0)
    denominator = terms.logsumexp(0) if weighting == "hdce" else total
    force = (terms - denominator).exp()  # n
    given = 1.0 if weighting == "hdce" else float(1 - (positive / tau - total).exp())  # the pull towards the positive
    return Forces(
        tuple(position),
        weighting,
        *(values.cpu().numpy() for values in (force, weight, cosine)),
        places(at, shape),
        None if giver is None else places(giver, shape),
        float((positive / tau - total).exp()),
        float(denominator - positive / tau),
        float((force.to(negatives) @ negatives - given * key[0]).norm()),
        layer,
        view,
    )


def own_weighting(view: View) -> str:
    """The weighting of a model's own loss."""
    if view.config.traits.generates and view.weights.negative_generator is not None:
        return "negcut"
    return view.config.method if view.config.traits.weighs else "cut"


def check(view: View, weighting: str, temperature: float | None, gamma: float | None, count: int) -> None:
    """Raises ValueError where forces cannot be had so."""
    if count < 2:
        raise ValueError("To push a negative away takes 2 places or more.")
    if weighting not in WEIGHTINGS:
        raise ValueError(f"Unknown weighting '{weighting}': choose one of {', '.join(WEIGHTINGS)}.")
    if why_not := view.weights.why_not("heads"):
        raise ValueError(why_not)
    if weighting == "negcut" and view.weights.negative_generator is None:
        raise ValueError("This model generates no negatives: choose another weighting.")
    for name, value in {"temperature": temperature, "gamma": gamma}.items():
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"The {name} must be a number above 0, not {value}.")


def compared(view: View, layer: int, index: int, count: int, seed: int, mode: str | None) -> Compared:
    """What the model's loss compares at n places: the one asked about first, then the others as they are drawn, or
    selected."""
    check_mode(mode := mode or view.config.attention)
    own = read_at(view, layer, torch.tensor([index], device=view.device), mode, view.config.window)
    drawn = inspection.compared(view, layer, mode, count, view.config.window, seed)
    rest = (drawn.at != index).nonzero()[: count - 1, 0]
    return Compared(*(torch.cat([a, b[rest]]) for a, b in zip(own, drawn) if a is not None))


def weights(weighting: str, queries: Tensor, keys: Tensor, view: View, gamma: float | None) -> Tensor:
    """w_j of the first of n queries, n: all 1, hDCE's or MoNCE's."""
    if weighting == "monce":
        return transport_weights(queries[None], keys[None], view.config.transport)[0, 0]
    if weighting == "hdce":
        return resemblance_weights(keys[None], gamma or view.config.gamma_end)[0, 0]
    return torch.ones(len(keys), device=keys.device)
