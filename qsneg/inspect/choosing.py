"""Four ways of choosing the places that ask, in one layer of one model: at random, by the entropy of global or local
attention, and where the discriminator doubts.

    from qsneg.inspect import choose, observe
    found = choose(observe(qsneg.load("photo2ink/cut"), image), layer=12, num=128)
    print(found.overlap("global", "local"), found.by_chance)

None of them needs a training: any model can be asked where each would ask.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from qsneg import methods
from qsneg.attention import OVERSAMPLE, doubtful_positions
from qsneg.image_io import to_tensor
from qsneg.inspect.features import View
from qsneg.inspect.inspection import how_many, places

WAYS = ("random", "global", "local", "doubt")
LEAST = 24  # pixels of a side that the discriminator needs


@dataclass(frozen=True)
class Chosen:
    """N places by each way, and of the ways that cannot be had the reason."""

    places: dict[str, np.ndarray]  # N×2, row and column: by entropy and by doubt the most significant first
    doubtful: int  # how many of doubt's places the discriminator singles out; the rest of them is random
    lacks: dict[str, str]
    length: int  # positions of the layer

    def overlap(self, way: str, other: str) -> int:
        """How many places two ways share."""
        return len(set(map(tuple, self.places[way].tolist())) & set(map(tuple, self.places[other].tolist())))

    @property
    def by_chance(self) -> float:
        """How many places two draws at random share on average: N²/L."""
        return len(next(iter(self.places.values()))) ** 2 / self.length

    def nearest(self, position: tuple[int, int]) -> tuple[int, int]:
        """The chosen place that is nearest to a position, whatever way chose it."""
        every = np.concatenate(list(self.places.values()))
        return tuple(every[np.abs(every - np.array(position)).max(1).argmin()].tolist())


def choose(view: View, layer: int, num: int | None = None, seed: int = 0, ways: Iterable[str] = WAYS) -> Chosen:
    """Choose places in every way that the model has.

    Args:
        num: how many, at most the layer's positions; None: the model's patches.
        seed: of the random places, and of the candidates and the random half that doubt needs, drawn after them.
        ways: those that are wanted; doubt needs the discriminator's verdict on the translation as it is shown.

    Raises:
        ValueError: on an unknown way or layer, or a number below 1.
    """
    if unknown := set(ways) - set(WAYS):
        raise ValueError(f"Unknown way of choosing '{min(unknown)}': choose from {', '.join(WAYS)}.")
    count, shape = how_many(view, layer, num, "places"), view.grid(layer).shape
    length, draws, found, lacks = shape[0] * shape[1], methods.Draws(seed), {}, {}
    random = draws.positions(layer, length, count)
    for way in ways:
        if way == "random":
            at = random
        elif way != "doubt":
            at = view.entropy(layer, way)[1].argsort(stable=True)[:count]
        elif why := no_verdict(view):
            lacks[way] = why
            continue
        else:
            drawn = (draws.positions(layer, length, n).to(view.device) for n in (OVERSAMPLE * count, count))
            at = doubtful_positions(verdict(view), shape, *drawn)[0]
        found[way] = places(at, shape)
    return Chosen(found, count // 2, lacks, length)


def no_verdict(view: View) -> str:
    """Why the discriminator cannot be asked, in one sentence; "" if it can."""
    if view.weights.discriminator is None:
        return "This model came without its discriminator, whose doubt it takes: weights trained from now on bring it."
    if min(view.result.size) < LEAST:
        return f"The discriminator needs a picture of at least {LEAST} pixels on its short side."
    return ""


def verdict(view: View):
    """How real the discriminator finds the translation, 1×1×h×w, computed once."""
    net, image = view.weights.discriminator, to_tensor(view.result)
    return view.once(("verdict",), lambda: [net(image.to(view.device))])[0]
