"""What a translation keeps of its picture, in figures; and how they spread over test pictures, so that a difference
between two translations can be judged.

    figures(view, counterpart)                                  # {"edges": 0.71, "self_similarity": 0.8, …}
    write("photo2ink/cut", "folder", count=60)                  # checkpoints/photo2ink/cut.spread.json
    compared(read(path), read(other), "edges")                  # on how many pictures the first has more

`python -m qsneg evaluate … --spread 60` writes them beside the weights; the app's first page reads them.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from qsneg.config import DRAWN
from qsneg.filesystem import whole
from qsneg.image_io import readable, to_tensor
from qsneg.inspect import View, observe
from qsneg.metrics import structure
from qsneg.rendering import sample_pictures
from qsneg.translate import Translator
from qsneg.weights import find

SIZE = 256  # pixels of the short side, as the app first shows pictures
LAYER = 12  # whose similarities are told


class Figure(NamedTuple):
    """One figure in words."""

    title: str
    meaning: str
    better: int  # 1: more is better; −1: less


FIGURES = {
    "edges": Figure("Edges kept", "correlation of the edges of source and translation", 1),
    "self_similarity": Figure("Shapes kept", "how alike their local self-similarities are", 1),
    "similarity": Figure("Like its source", "mean cosine of each patch to its positive, layer 12", 1),
    "error": Figure("Off the truth", "mean difference to the true counterpart, of 255 levels", -1),
}


def figures(view: View, counterpart: Image.Image | None = None) -> dict[str, float]:
    """The figures of one translation by the names of FIGURES, those that can be had: similarity needs projection
    heads, error the true counterpart in the translation's size."""
    source, result = to_tensor(view.source), to_tensor(view.result)
    found = structure.agreements(source, result)
    if "heads" not in view.weights.lacks:
        found["similarity"] = similarity(view, LAYER if LAYER in view.config.layers else view.config.layers[-1])
    if counterpart is not None:
        found["error"] = float((to_tensor(counterpart) - result).abs().mean()) * 255 / 2
    return found


def similarity(view: View, layer: int) -> float:
    """The mean cosine of the translation's patches to the same places of the source."""
    pairs = zip(view.blocks(layer, "result"), view.blocks(layer, "source"))
    total = sum(float((query * key).sum()) for (_, query), (_, key) in pairs)
    return total / view.map(layer).shape[2:].numel()


def pictures(data: str, count: int) -> Iterator[tuple[Image.Image, Image.Image | None]]:
    """The first test pictures of a data set, with the true counterpart of drawn scenes."""
    if data != DRAWN:
        yield from ((picture, None) for picture in islice(readable(Path(data) / "testA"), count))
        return
    for index in range(count):
        seed = sample_pictures.test_seed(index)
        yield tuple(sample_pictures.scene(seed, SIZE, domain) for domain in "AB")


def measure(translator: Translator, data: str, count: int) -> dict:
    """The figures of test pictures, in their order: {"data": …, "size": 256, "pictures": N, "figures": {name: N}}."""
    rows = []
    for picture, counterpart in pictures(data, count):
        view = observe(translator, picture, SIZE)
        rows.append(figures(view, counterpart))
    found = {name: [round(row[name], 4) for row in rows] for name in rows[0]}
    return {"data": Path(data).name, "size": SIZE, "pictures": len(rows), "figures": found}


def beside(weights: Path) -> Path:
    """The file of a model's spread."""
    return weights.with_suffix(".spread.json")


def write(name: str, translator: Translator, data: str, count: int) -> Path:
    """Measure a model on test pictures, and write the file beside its weights.

    Raises:
        ValueError: if there are no test pictures, or `count` is below 2: one picture has no spread.
    """
    if count < 2:
        raise ValueError(f"A spread takes 2 pictures or more, not {count}.")
    if data != DRAWN and not (Path(data) / "testA").is_dir():
        raise ValueError(f"'{data}' has no pictures in testA to measure on.")
    path = beside(find(name))
    with whole(path) as part:
        part.write_text(json.dumps(measure(translator, data, count)) + "\n")
    return path


def read(weights: Path) -> dict | None:
    """The spread beside a weights file; None if there is none that can be read."""
    try:
        found = json.loads(beside(weights).read_text())
        values = {name: [float(v) for v in found["figures"][name]] for name in FIGURES if name in found["figures"]}
        return {"data": str(found["data"]), "pictures": int(found["pictures"]), "figures": values} if values else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def usual(spread: dict, name: str) -> tuple[float, float] | None:
    """Between what values the middle half of the test pictures lies; None where a figure was not measured."""
    values = spread["figures"].get(name)
    return tuple(map(float, np.percentile(values, (25, 75)))) if values else None


def compared(one: dict, other: dict, name: str) -> tuple[int, int] | None:
    """On how many test pictures `one` does better than `other`, of how many; None where they were not measured on the
    same."""
    pair = [spread["figures"].get(name, []) for spread in (one, other)]
    if one["data"] != other["data"] or len(pair[0]) != len(pair[1]) or not pair[0]:
        return None
    difference = FIGURES[name].better * (np.array(pair[0]) - np.array(pair[1]))
    return int((difference > 0).sum()), len(difference)
