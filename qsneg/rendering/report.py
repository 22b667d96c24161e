"""An inspection as files: arrays, overlays, a summary in numbers and words.

    python -m qsneg inspect photo.jpg --checkpoint day2sunset/negcut --layer 12 --mode global --out seen

Writes `inspection.npz` (the arrays of `qsneg.inspect.Inspection` by name), `summary.json`, the source and the result,
and overlays as PNG.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg.filesystem import output_folder
from qsneg.image_io import read
from qsneg.inspect import Inspection, View, inspect, observe
from qsneg.inspect.summary import summary
from qsneg.rendering import overlays
from qsneg.translate import Translator


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
    if result.giver is not None:
        pictures["givers"] = overlays.dots(plain, np.unique(result.giver, axis=0), grid, ranked=False)
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


def inspect_file(
    picture: Path | str,
    translator: Translator,
    out: Path | str,
    layer: int = 12,
    mode: str = "global",
    num_anchors: int | None = None,
    seed: int = 0,
    size: int | None = None,
) -> dict:
    """Inspect a picture file and write the report; returns its summary.

    Raises:
        ValueError: if the picture cannot be read or does not fit in memory, or a setting is out of range.
        FileNotFoundError: if there is no such file.
    """
    out = output_folder(out)
    view = observe(translator, read(picture), size)
    return write(view, inspect(view, layer, mode, num_anchors, seed), out)
