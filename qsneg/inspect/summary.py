"""An inspection in numbers and words.

from qsneg.inspect.summary import sentence, summary
print(sentence(result), summary(view, result)["loss_mean_nats"])
"""

import numpy as np

from qsneg.inspect.features import View
from qsneg.inspect.inspection import Inspection

TILES = 12  # the picture is cut into about 12×12 tiles to say how concentrated anchors are
SHARE = 0.6  # of the positions that the tiles are to hold


def concentration(positions: np.ndarray, shape: tuple[int, int], share: float = SHARE) -> tuple[float, float]:
    """How concentrated positions N×2 are on a grid: (share of the positions, share of the area that holds them).

    The fullest tiles of the picture are taken until they hold at least `share` of the positions: so the first number is
    that or little more, and it is the second that tells.
    """
    rows, columns = (np.arange(n) * min(TILES, n) // n for n in shape)
    tiles = (min(TILES, shape[0]), min(TILES, shape[1]))
    area = np.zeros(tiles)
    np.add.at(area, (rows[:, None], columns[None, :]), 1)
    count = np.zeros(tiles)
    np.add.at(count, (rows[positions[:, 0]], columns[positions[:, 1]]), 1)
    order = np.argsort(-(count / area), axis=None)
    held, covered = np.cumsum(count.ravel()[order]), np.cumsum(area.ravel()[order])
    last = int(np.searchsorted(held, share * len(positions)))
    return float(held[last] / len(positions)), float(covered[last] / area.sum())


def staying(frames: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How many places of each frame are among those of the next: of S×…×N×2 on a grid, (S−1)×… whole numbers."""
    index = frames[..., 0] * shape[1] + frames[..., 1]
    is_there = np.zeros((*index.shape[:-1], shape[0] * shape[1]), bool)
    np.put_along_axis(is_there, index.astype(np.int64), True, axis=-1)
    return (is_there[1:] & is_there[:-1]).sum(-1)


def percentages(shares: dict[str, float], digits: int = 0) -> dict[str, float]:
    """Shares that sum to 1 in percent of so many digits that sum to 100: rounded down, then up where most was lost."""
    parts = 100 * 10**digits
    whole = {name: int(parts * share) for name, share in shares.items()}
    lost = sorted(shares, key=lambda name: whole[name] - parts * shares[name])[: parts - sum(whole.values())]
    return {name: (count + (name in lost)) / 10**digits for name, count in whole.items()}


def selfish(result: Inspection) -> int:
    """How many of QS-Attn's gathered values come from the anchor itself more than from any other position."""
    return int((result.giver == result.asked).all(1).sum())


def gathering(result: Inspection) -> str:
    """Where the values come from that QS-Attn contrasts at its anchors, in words."""
    places = len(np.unique(result.giver, axis=0))
    return (
        f"Most of what is gathered at the {len(result.giver)} anchors comes from {places} "
        f"position{'s' if places != 1 else ''}; at {selfish(result)} of them, from the anchor itself."
    )


def sentence(result: Inspection) -> str:
    """What is seen, in words: where anchors gather, compared with random positions."""
    area, random = (concentration(at, result.grid.shape)[1] for at in (result.anchors, result.random))
    words = f"{SHARE:.0%} of the anchors fit on {area:.0%} of the picture; random ones need {random:.0%}."
    if result.mode == "local+global":
        words += " Anchors are those of local attention: local+global differs in what is gathered there."
    if result.giver is not None:
        words += f" {gathering(result)}"
    if result.underflow:
        total = result.entropy.size
        words += (
            f" {result.underflow} of {total} positions have an entropy too small for float32 (exactly 0): they are "
            "ranked by its logarithm."
        )
    return words


def summary(view: View, result: Inspection) -> dict:
    """The numbers of an inspection, JSON-ready."""
    quartiles = {f"{q}%": float(np.percentile(result.log_entropy, q)) for q in (0, 25, 50, 75, 100)}
    values = {
        "method": view.weights.title,
        "layer": result.layer,
        "mode": result.mode,
        "grid": list(result.grid.shape),
        "picture": list(view.source.size),
        "anchors": len(result.anchors),
        "log_entropy_nats": quartiles,
        "entropy_maximum_possible_nats": float(np.log(result.keys)),
        "underflow": result.underflow,
        "in_words": sentence(result),
    }
    for name, field in (
        ("loss_mean_nats", result.loss),
        ("similarity_mean", result.similarity),
        ("probability_mean", result.probability),
        ("trained_loss_mean_nats", result.asked_loss),
    ):
        if field is not None:
            values[name] = float(field.mean())
    if result.asked is not None:
        values["negatives"] = len(result.asked)
    if result.giver is not None:
        values |= {
            "distinct_givers": len(np.unique(result.giver, axis=0)),
            "anchors_that_give_most_to_themselves": selfish(result),
        }
    if lacks := view.weights.why_not():
        values |= {"lacks": lacks, "in_words": f"{values['in_words']} {lacks}"}
    if result.negatives is not None:
        values["diversity"] = result.diversity
    return values
