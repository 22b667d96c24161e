"""An inspection as files: arrays, overlays, a summary in numbers and words.

    python -m qsneg inspect photo.jpg --checkpoint day2sunset/negcut --layer 12 --mode global --out seen

Writes `inspection.npz` (the arrays of `qsneg.inspect.Inspection` by name), `summary.json`, the source and the result, and
overlays as PNG.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg import overlays
from qsneg.data import output_folder
from qsneg.images import read
from qsneg.inspect import Inspection, View, inspect, observe
from qsneg.translate import Translator

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
    words = f"{held:.0%} of the anchors lie on {area:.0%} of the picture; as many random positions spread over {random_area:.0%}."
    if result.underflow:
        total = result.entropy.size
        words += (f" {result.underflow} of {total} positions have an entropy too small for float32 (exactly 0): they are "
                  "ranked by its logarithm.")
    return words


def summary(view: View, result: Inspection) -> dict:
    """The numbers of an inspection, JSON-ready."""
    quartiles = {f"{q}%": float(np.percentile(result.log_entropy, q)) for q in (0, 25, 50, 75, 100)}
    values = {
        "method": view.weights.title, "layer": result.layer, "mode": result.mode, "grid": list(result.grid.shape),
        "picture": list(view.source.size), "anchors": len(result.anchors), "log_entropy_nats": quartiles,
        "entropy_maximum_possible_nats": float(np.log(result.entropy.size)), "underflow": result.underflow,
        "in_words": sentence(result),
    }
    for name, field in (("loss_mean_nats", result.loss), ("similarity_mean", result.similarity),
                        ("probability_mean", result.probability)):  # fmt: skip
        if field is not None:
            values[name] = float(field.mean())
    if lacks := view.weights.lacks(negatives=True):
        values |= {"lacks": lacks, "in_words": f"{values['in_words']} {lacks}"}
    if result.negatives is not None:
        values |= {"negatives": len(result.negatives), "diversity": result.diversity}
    return values


def draw(view: View, result: Inspection) -> dict[str, Image.Image]:
    """The overlays by file name."""
    grid, source = result.grid, view.source
    log = result.log_entropy
    limits = (float(log.min()), float(log.max()))
    plain = overlays.canvas(source, grey=True)
    pictures = {
        "source": source,
        "result": view.result,
        "entropy": overlays.heat(source, log, grid, limits),
        "anchors": overlays.dots(overlays.canvas(source), result.anchors, grid),
        "random": overlays.dots(plain, result.random, grid, ranked=False),
        "entropy-bar": overlays.colour_bar(limits, "log-entropy, ln nats"),
    }
    if result.loss is not None:
        losses = (0.0, float(result.loss.max()))
        pictures |= {
            "loss": overlays.heat(source, result.loss, grid, losses),
            "similarity": overlays.heat(source, result.similarity, grid, (-1.0, 1.0)),
            "loss-bar": overlays.colour_bar(losses, "contrastive loss, nats"),
        }
    if result.nearest is not None:
        pictures["negatives"] = overlays.triangles(plain, result.nearest, grid)
    return pictures


def write(view: View, result: Inspection, out: Path | str) -> dict:
    """Write everything into a folder; returns the summary."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out / "inspection.npz", **result.arrays())
    values = summary(view, result)
    (out / "summary.json").write_text(json.dumps(values, indent=2) + "\n")
    for name, picture in draw(view, result).items():
        picture.save(out / f"{name}.png")
    return values


def inspect_file(picture: Path | str, translator: Translator, out: Path | str, layer: int = 12, mode: str = "global",
                 num_anchors: int = 256, seed: int = 0, size: int | None = None) -> dict:  # fmt: skip
    """Inspect a picture file and write the report; returns its summary.

    Raises:
        ValueError: if the picture cannot be read or does not fit in memory, or a setting is out of range.
        FileNotFoundError: if there is no such file.
    """
    out = output_folder(out)
    view = observe(translator, read(picture), size)
    return write(view, inspect(view, layer, mode, num_anchors, seed), out)
