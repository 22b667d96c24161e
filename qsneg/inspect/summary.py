"""An inspection in numbers and words.

from qsneg.inspect.summary import sentence, summary
print(sentence(result), summary(view, result)["loss_mean_nats"])
"""

import numpy as np

from qsneg.inspect.features import View
from qsneg.inspect.inspection import Inspection

TILES = 12  # the picture is cut into about 12×12 tiles to say how concentrated anchors are


def concentration(positions: np.ndarray, shape: tuple[int, int], share: float = 0.6) -> tuple[float, float]:
    """How concentrated positions N×2 are on a grid: (share of the positions, share of the area that holds them).

    The fullest tiles of the picture are taken until they hold at least `share` of the positions.
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


def sentence(result: Inspection) -> str:
    """What is seen, in words: where anchors gather, compared with random positions."""
    held, area = concentration(result.anchors, result.grid.shape)
    random_area = concentration(result.random, result.grid.shape)[1]
    words = f"{held:.0%} of the anchors lie on {area:.0%} of the picture; "
    words += f"as many random positions spread over {random_area:.0%}."
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
        "entropy_maximum_possible_nats": float(np.log(result.entropy.size)),
        "underflow": result.underflow,
        "in_words": sentence(result),
    }
    for name, field in (
        ("loss_mean_nats", result.loss),
        ("similarity_mean", result.similarity),
        ("probability_mean", result.probability),
    ):
        if field is not None:
            values[name] = float(field.mean())
    if lacks := view.weights.lacks(negatives=True):
        values |= {"lacks": lacks, "in_words": f"{values['in_words']} {lacks}"}
    if result.negatives is not None:
        values |= {"negatives": len(result.negatives), "diversity": result.diversity}
    return values
