"""Panels as PIL images: the picture, its map over it, the marks on top; colour bars; patches.

    from qsneg.rendering.overlays import bar, draw
    draw(panel).save("anchors.png"), bar(panel.scale).save("anchors-bar.png")

One visual language everywhere: heat maps over a greyed source, cells enlarged without smoothing; marks as in `rows`.
"""

import numpy as np
from PIL import Image, ImageDraw

from qsneg.inspect import Grid
from qsneg.rendering.colormaps import Bar, colours, font
from qsneg.rendering.rows import OPACITY, Panel, Patch, Shape

SIDE = 512  # overlays are drawn with about this many pixels on the short side, so that marks are crisp


def draw(panel: Panel) -> Image.Image:
    """A panel's picture with everything on it; untouched where there is neither map nor mark."""
    image = panel.under.read()
    if panel.map is None and not panel.marks:
        return image
    scale = max(1, round(SIDE / min(image.size)))
    picture = canvas(image, scale, panel.grey)
    if panel.map is not None:
        values = on_picture(panel.map.values, panel.grid)
        there = Image.fromarray(np.where(np.isnan(values), 0, round(255 * OPACITY)).astype(np.uint8))
        above = Image.fromarray(colours(np.nan_to_num(values), (0, 1), panel.map.name))
        above, there = (layer.resize(picture.size, Image.Resampling.NEAREST) for layer in (above, there))
        picture.paste(above, (0, 0), there)
    pen = ImageDraw.Draw(picture)
    for mark in panel.marks:
        for shape in mark.shapes(panel.grid):
            put(pen, shape, scale)
    return picture


def canvas(image: Image.Image, scale: int, grey: bool) -> Image.Image:
    """A picture enlarged to draw on; greyed and softened, so that map colours keep their meaning."""
    image = image.convert("RGB")
    if grey:
        image = Image.blend(image.convert("L").convert("RGB"), Image.new("RGB", image.size, "#808080"), 0.15)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)


def on_picture(values: np.ndarray, grid: Grid) -> np.ndarray:
    """A map H×W brought to the picture's pixels, height×width: every pixel takes the value of the nearest position."""
    return values[np.ix_(*grid.nearest())]


def put(pen: ImageDraw.ImageDraw, shape: Shape, scale: int) -> None:
    """Draw a shape on a picture enlarged by `scale`."""
    points, width = np.asarray(shape.points) * scale, max(1, round(shape.width * scale))
    if shape.kind == "circles":
        r = shape.size * scale + (width / 2 if shape.edge else 0)  # Pillow draws edges inside the outline
        for x, y in points:
            pen.ellipse((x - r, y - r, x + r, y + r), shape.fill or None, shape.edge or None, width)
    elif shape.kind == "polygons":
        for corners in points:
            closed = [tuple(c) for c in (*corners, *corners[:2])]
            if shape.fill:
                pen.polygon(closed, shape.fill)
            pen.line(closed, shape.edge, width, joint="curve")
    else:
        x, y = points
        anchor = "rs" if shape.at_end else "ls"
        letters = font(max(9, round(shape.size * scale)))
        pen.text(
            (x, y), shape.text, shape.fill, letters, anchor, stroke_width=max(1, width // 2), stroke_fill=shape.edge
        )


def thumbnail(patch: Patch, side: int = 96) -> Image.Image:
    """A patch, enlarged without smoothing; black outside the picture."""
    image = patch.under.read()
    return image.crop(surroundings(patch)).resize((side, side), Image.Resampling.NEAREST)


def surroundings(patch: Patch, around: int = 3) -> tuple[float, float, float, float]:
    """The pixels of a patch, a cell with some others on each side: left, top, right, bottom."""
    left, top, right, bottom = patch.grid.box(*map(int, patch.position))
    pad = max(around * patch.grid.stride, 8)
    return left - pad, top - pad, right + pad, bottom + pad


def bar(bar: Bar, width: int = 512, ink: str = "#333333") -> Image.Image:
    """A horizontal colour bar, its ticks evenly spaced, what they are under them; transparent."""
    picture = Image.new("RGBA", (width, 44), (0, 0, 0, 0))
    strip = colours(np.linspace(0, 1, width)[None].repeat(12, 0), (0, 1), bar.name)
    picture.paste(Image.fromarray(strip), (0, 0))
    pen, letters, last = ImageDraw.Draw(picture), font(13), len(bar.ticks) - 1
    for i, tick in enumerate(bar.ticks):
        x = i * (width - 1) / max(1, last)
        pen.text((x, 15), tick, ink, letters, anchor="lt" if i == 0 else "rt" if i == last else "mt")
    pen.text((width / 2, 43), bar.label, ink, letters, anchor="mb")
    return picture
