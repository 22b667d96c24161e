"""Arrays drawn over pictures: heat maps, anchors, the query, boxes. Pure functions from arrays to PIL images.

    from qsneg.rendering.overlays import colour_bar, dots, heat, ring
    picture = heat(view.source, result.entropy, result.grid, (0, 8.3), opacity=0.7)

One visual language everywhere: heat maps in viridis over a greyed source, cells enlarged without smoothing; the query
a white ring with a dark edge, its positive the same ring filled; anchors as dots coloured by rank (plasma).
"""

import numpy as np
from PIL import Image, ImageDraw

from qsneg.inspect import Grid
from qsneg.rendering.colormaps import GREY, INK, MAP, PAPER, RANKS, VERMILION, colours, font, number

SIDE = 512  # overlays are drawn with about this many pixels on the short side, so that marks are crisp


def scale_of(image: Image.Image) -> int:
    """By how much a picture is enlarged to be drawn on."""
    return max(1, round(SIDE / min(image.size)))


def canvas(image: Image.Image, grey: bool = False) -> Image.Image:
    """A picture enlarged to draw on; greyed and softened, so that map colours keep their meaning."""
    if grey:
        image = Image.blend(image.convert("L").convert("RGB"), Image.new("RGB", image.size, "#808080"), 0.15)
    scale = scale_of(image)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)


def on_picture(values: np.ndarray, grid: Grid) -> np.ndarray:
    """A map H×W brought to the picture's pixels, height×width: every pixel takes the value of the nearest position."""
    return values[np.ix_(*grid.nearest())]


def heat(
    image: Image.Image,
    values: np.ndarray,
    grid: Grid,
    limits: tuple[float, float],
    opacity: float = 0.7,
    name: str = MAP,
) -> Image.Image:
    """A map H×W over the greyed picture; `limits` are the values at the ends of the colour scale."""
    below = canvas(image, grey=True)
    above = Image.fromarray(colours(on_picture(values, grid), limits, name)).resize(
        below.size, Image.Resampling.NEAREST
    )
    return Image.blend(below, above, opacity)


def centre(grid: Grid, position, scale: int) -> tuple[float, float]:
    """The middle of a cell on the enlarged picture."""
    left, top, right, bottom = grid.box(int(position[0]), int(position[1]))
    return (left + right) / 2 * scale, (top + bottom) / 2 * scale


def dots(
    picture: Image.Image, positions: np.ndarray, grid: Grid, ranked: bool = True, colour: str = GREY
) -> Image.Image:
    """Positions N×2 as dots on an enlarged picture: coloured by rank (first is brightest), or all in one colour."""
    picture = picture.copy()
    scale = picture.width // grid.size[0]
    pen, radius = ImageDraw.Draw(picture), max(2.5, min(picture.size) / 150)
    ends = np.linspace(1, 0.1, len(positions))
    fills = [tuple(c) for c in colours(ends, (0, 1), RANKS)] if ranked else [colour] * len(positions)
    for position, fill in reversed(list(zip(positions, fills))):  # the most significant on top
        x, y = centre(grid, position, scale)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill, outline=INK)
    return picture


def ring(picture: Image.Image, position, grid: Grid, filled: bool = False) -> Image.Image:
    """The query as a white ring with a dark edge; filled, its positive."""
    picture = picture.copy()
    scale = picture.width // grid.size[0]
    pen, (x, y) = ImageDraw.Draw(picture), centre(grid, position, scale)
    radius = max(7, min(picture.size) / 45)
    for r, width, colour in ((radius + 2, 6, INK), (radius, 3, PAPER)):
        pen.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=width)
    if filled:
        pen.ellipse((x - radius / 2, y - radius / 2, x + radius / 2, y + radius / 2), fill=PAPER, outline=INK)
    return picture


def boxes(picture: Image.Image, positions: np.ndarray, grid: Grid, colour: str = PAPER, around: int = 1) -> Image.Image:
    """Cells (with `around` cells on each side) as numbered boxes."""
    picture = picture.copy()
    scale = picture.width // grid.size[0]
    pen, letters = ImageDraw.Draw(picture), font(max(12, min(picture.size) // 32))
    for count, (row, column) in enumerate(positions, 1):
        left, top, right, bottom = grid.box(int(row), int(column))
        pad = around * grid.stride
        box = [(v * scale) for v in (left - pad, top - pad, right + pad, bottom + pad)]
        pen.rectangle((box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1), outline=INK, width=4)
        pen.rectangle(box, outline=colour, width=2)
        pen.text((box[2] + 2, box[1]), str(count), colour, letters, stroke_width=2, stroke_fill=INK)
    return picture


def triangles(picture: Image.Image, positions: np.ndarray, grid: Grid, colour: str = VERMILION) -> Image.Image:
    """Generated negatives at their nearest patches."""
    picture = picture.copy()
    scale = picture.width // grid.size[0]
    pen, r = ImageDraw.Draw(picture), max(4, min(picture.size) / 90)
    for position in positions:
        x, y = centre(grid, position, scale)
        pen.polygon([(x, y - r), (x - r, y + 0.8 * r), (x + r, y + 0.8 * r)], fill=colour, outline=INK)
    return picture


def thumbnail(image: Image.Image, position, grid: Grid, around: int = 3, side: int = 96) -> Image.Image:
    """The picture around a cell, enlarged without smoothing; black outside the picture."""
    left, top, right, bottom = grid.box(int(position[0]), int(position[1]))
    pad = max(around * grid.stride, 6)
    return image.crop((left - pad, top - pad, right + pad, bottom + pad)).resize((side, side), Image.Resampling.NEAREST)


def colour_bar(
    limits: tuple[float, float],
    label: str,
    width: int = 512,
    name: str = MAP,
    ticks: list[str] | None = None,
    dark: bool = False,
) -> Image.Image:
    """A horizontal colour bar with raw values: its two ends and the middle, or the given `ticks` evenly spaced."""
    low, high = limits
    ink = "#e6e6e6" if dark else "#333333"
    bar = Image.new("RGBA", (width, 44), (0, 0, 0, 0))
    strip = colours(np.linspace(0, 1, width)[None].repeat(12, 0), (0, 1), name)
    bar.paste(Image.fromarray(strip), (0, 0))
    pen, letters = ImageDraw.Draw(bar), font(13)
    ticks = ticks or [number(v) for v in (low, (low + high) / 2, high)]
    for i, tick in enumerate(ticks):
        x = i * (width - 1) / max(1, len(ticks) - 1)
        pen.text((x, 15), tick, ink, letters, anchor="lt" if i == 0 else "rt" if i == len(ticks) - 1 else "mt")
    pen.text((width / 2, 43), label, ink, letters, anchor="mb")
    return bar
