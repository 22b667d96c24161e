"""One picture looked into, as a folder of files: the rows of the pages Anchors and Loss, arrays, a summary.

    python -m qsneg inspect photo.jpg --checkpoint day2sunset/negcut --layer 12 --mode global --out seen

Writes `inspection.npz` (the arrays of `qsneg.inspect.Inspection` by name), `summary.json`, the source and the result,
and what the pages show as PNG and SVG.
"""

from pathlib import Path

import numpy as np

from qsneg.filesystem import output_folder
from qsneg.inspect import Inspection, View, inspect, observe_file
from qsneg.inspect.summary import summary
from qsneg.pages import PAGES
from qsneg.pages.page import Looked
from qsneg.pages.selection import Selection
from qsneg.rendering import report
from qsneg.rendering.rows import Dots, Panel, Row, Triangles
from qsneg.translate import Translator


def rows(view: View, result: Inspection) -> list[Row]:
    """What the pages show of an inspection; without projection heads there is no contrast."""
    method, selection = view.config.method, Selection(layer=result.layer, mode=result.mode)
    looked = Looked({method: view}, {method: result})
    found = PAGES["anchors"].selected(looked, selection)
    if result.loss is not None:
        found += PAGES["loss"].rows(looked, selection)
    if result.giver is not None:
        marks = (Dots(np.unique(result.giver, axis=0), ranked=False),)
        found.append(Row("Givers", "", (Panel(method, "givers", looked.source, result.grid, marks=marks),)))
    if result.nearest is not None:
        marks = (Triangles(result.nearest),)
        found.append(Row("Negatives", "", (Panel(method, "negatives", looked.source, result.grid, marks=marks),)))
    return found


def inspect_file(
    picture: Path | str,
    translator: Translator,
    out: Path | str,
    layer: int = 12,
    mode: str = "global",
    num_anchors: int | None = None,
    seed: int = 0,
    size: int | None = None,
    white: float | None = None,
) -> dict:
    """Inspect a picture file and write the report; returns its summary. `white` as in `image_io.read`.

    Raises:
        ValueError: if the picture cannot be read or does not fit in memory, or a setting is out of range.
        FileNotFoundError: if there is no such file.
    """
    out = output_folder(out)
    view, note = observe_file(translator, picture, size, white)
    result = inspect(view, layer, mode, num_anchors, seed)
    drawn = {path.split("/", 1)[1]: file for path, file in report.pictures(rows(view, result)).items()}
    drawn["random.png"] = drawn.pop("random-positions.png")
    values = summary(view, result)
    values["in_words"] += f" {note}" if note else ""
    numbers = {"inspection.npz": result.arrays(), "summary.json": values}
    report.write(drawn | numbers | {"result.png": view.result}, out)
    return values
