"""The frames of a film as sheets that can be passed on: what training recorded, or one picture through kept weights.

    frames = recorded_frames(load(folder, ["cut", "negcut"]), "photo2ink", Selection(film_layer=16))
    moving.write(frames, Path("film.webp"))

Each says of which family and step it is, and how many of its anchors were there in the frame before.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg.inspect import Grid, inspect, observe
from qsneg.inspect.summary import staying
from qsneg.pages.recorded import Recorded, all_steps, recorded_at, strip_of
from qsneg.pages.selection import Selection
from qsneg.rendering import overlays, sheets
from qsneg.rendering.colormaps import RANKS, Bar, colour_of, percent, title_of
from qsneg.rendering.moving import captioned
from qsneg.rendering.rows import Dots, Panel, Picture
from qsneg.rendering.sheets import Column
from qsneg.translate import load

WIDTH = 256  # pixels of a recorded picture in a film
LARGEST = 1280  # of one's own


def recorded_frames(films: dict[str, Recorded], family: str, selection: Selection) -> Iterator[Image.Image]:
    """A frame for every step: source, and by method translation and anchors of one picture and layer; where a film
    has not every step, of which step each is."""
    steps, first = all_steps(films), next(iter(films.values()))
    source = strip_of("source", first.source, selection.picture)
    count, layers = first.anchors.shape[-2], " or ".join(sorted({str(f.layer(selection)) for f in films.values()}))
    key = overlays.bar(Bar([str(count), "1"], "rank of the anchor", RANKS), WIDTH)
    line = explained(count, layers, first.by_chance)
    for number, step in enumerate(steps):
        shown = [Column("Source", colour_of("source"), [(enlarged(source.read()), ""), (key, "")])]
        for method, film in films.items():
            at, (picture, layer) = film.frame(step), film.place(selection)
            translation = strip_of("result", film.strips[at], picture).read()
            dots, stay = film.anchors[at, picture, layer], film.stay[at - 1, picture, layer] if at else None
            cells = [(enlarged(translation), recorded_at(films, film, at))]
            cells += [(enlarged(dotted(source, film.grid, dots)), stayed(count, stay))]
            shown.append(Column(title_of(method), colour_of(method), cells))
        sheet = sheets.columns(shown, WIDTH, line)
        yield captioned(sheet, f"{family}, step {step:,}", number / max(1, len(steps) - 1), "qsneg")


def picture_frames(
    kept: dict[int, Path],
    picture: Image.Image,
    size: int | None,
    layer: int | None = None,
    device: str = "auto",
    precision: str = "float32",
) -> Iterator[Image.Image]:
    """A frame for each of the weights that a run kept, by step: the picture, its translation, and where there is a
    layer, its anchors there.

    Raises:
        ValueError: if weights cannot be read, have no such layer, or the picture does not fit in memory.
    """
    total, before = max(kept), None
    for step, path in kept.items():
        model = load(path, device, precision=precision)
        method, caption, line = model.config.method, f"{data_of(model.card)}step {step:,} of {total:,}", ""
        if layer is None:
            source, result, third = model.prepare(picture, size, 0), model.translate(picture, size), []
        else:
            view = observe(model, picture, size)
            source, result, grid = view.source, view.result, view.grid(layer)
            found = inspect(view, layer, model.config.attention if model.config.traits.selects else "global").anchors
            stay = None if before is None else int(staying(np.stack([before, found]), grid.shape)[0])
            anchors, before = dotted(Picture("source", lambda: source), grid, found), found
            third = [Column("Anchors", colour_of(method), [(anchors, stayed(len(found), stay))])]
            line = explained(len(found), str(layer), len(found) / (grid.shape[0] * grid.shape[1]))
        columns = [Column("Source", colour_of("source"), [(source, "")])]
        columns += [Column(title_of(method), colour_of(method), [(result, "")]), *third]
        sheet = sheets.columns(columns, min(LARGEST, source.width), line)
        yield captioned(sheet, caption, step / total, "qsneg")


def enlarged(image: Image.Image) -> Image.Image:
    """A picture brought to a film's width, smoothly, since it is no map."""
    return image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.BICUBIC)


def dotted(source: Picture, grid: Grid, places: np.ndarray) -> Image.Image:
    """A picture with anchors on it."""
    return overlays.draw(Panel("source", "anchors", source, grid, marks=(Dots(places),)))


def stayed(count: int, stay: int | None) -> str:
    """What is said under anchors."""
    return f"{count} anchors" if stay is None else f"{stay} of {count} stayed ({percent(stay / count)})"


def explained(count: int, layer: str, chance: float) -> str:
    """The line under a film with anchors."""
    share = percent(chance, int(chance < 0.01))
    return f"Anchors: the {count} positions of lowest entropy, layer {layer}. By chance {share} stay."


def data_of(card: dict) -> str:
    """What a model was trained on, for a caption."""
    return f"{card['data']}, " if isinstance(card.get("data"), str) else ""
