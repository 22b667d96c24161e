"""Pictures with maps and marks as HTML: what the pages are made of. Pure functions from arrays to text.

A picture is a stack: the photograph below (a custom property of the page, sent once per picture), a heat map above it
(a small PNG with one pixel per position, enlarged by the browser without smoothing), marks on top (SVG in pixels of
the picture). So a click sends some kilobytes, the opacity is the browser's, and nothing is compressed with loss.
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib import colormaps
from PIL import Image

from qsneg.inspect import Grid, View
from qsneg.rendering.colormaps import INK, MAP, PAPER, RANKS, VERMILION, Scaled, colours, title_of
from qsneg.ui.fragments import swatch

BINS = 16  # colours of ranked dots


def data_uri(image: Image.Image) -> str:
    """A picture as PNG in a data URI."""
    image.save(data := io.BytesIO(), "PNG", compress_level=4)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def bases(views: dict[str, View]) -> str:
    """The pictures that lie under the maps, as custom properties: --source, and --result-<method>."""
    pictures = {"source": next(iter(views.values())).source}
    pictures |= {f"result-{method}": view.result for method, view in views.items()}
    values = " ".join(f"--{name}: url({data_uri(image)});" for name, image in pictures.items())
    return f"<style>#pages {{ {values} }}</style>"


def map_png(values: np.ndarray, name: str = MAP) -> Image.Image:
    """Values 0…1 as a palette picture, one pixel per position; nan is transparent."""
    if np.isnan(values).any():
        alpha = np.where(np.isnan(values), 0, 255).astype(np.uint8)[..., None]
        return Image.fromarray(np.concatenate([colours(np.nan_to_num(values), (0, 1), name), alpha], axis=2))
    image = Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8)).convert("P")
    image.putpalette((colormaps[name](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes())
    return image


def heat(values: np.ndarray, grid: Grid, name: str = MAP) -> str:
    """A map H×W of values 0…1 as the <img> that covers a stack: the cells on the picture, in their places."""
    values, (left, top, right, bottom) = grid.cover(values)
    width, height = grid.size
    place = (
        f"left:{left / width:.4%};top:{top / height:.4%};width:{(right - left) / width:.4%};"
        f"height:{(bottom - top) / height:.4%}"
    )
    return f'<img class="over" alt="" style="{place}" src="{data_uri(map_png(values, name))}">'


def stack(under: str, size: tuple[int, int], label: str, over: str = "", marks: str = "", grey: bool = False,
          query: Grid | None = None, at: tuple[float, float] = (0, 0)) -> str:  # fmt: skip
    """A picture of width × height pixels: photograph `under` (a name of `bases`), map, marks.

    label: what it shows, in words. query: makes it a place where the query is chosen, by click or arrow keys, in steps
    of this grid from the pixel `at`; the keyboard reaches those that are not grey.
    """
    width, height = size
    attributes = f'role="img" aria-label="{html.escape(label)}"'
    if query is not None:
        label = html.escape(f"{label}. Click, or move the query with the arrow keys.")
        attributes = (
            f'role="application" tabindex="{-grey}" aria-label="{label}" data-x="{at[0]:g}" data-y="{at[1]:g}" '
            f'data-step="{query.stride}" data-width="{width}" data-height="{height}"'
        )
    return (
        f'<div class="stack{" aim" if query is not None else ""}" {attributes} style="aspect-ratio:{width}/{height}">'
        f'<div class="under{" grey" if grey else ""}" style="background-image:var(--{under})"></div>{over}'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">{marks}</svg></div>'
    )


def unit(grid: Grid) -> float:
    """Length in pixels of the picture for marks: about 1 at 256."""
    return min(max(grid.size), 2 * min(grid.size)) / 256


def centre(grid: Grid, position: Sequence[int]) -> tuple[float, float]:
    left, top, right, bottom = grid.box(int(position[0]), int(position[1]))
    return (left + right) / 2, (top + bottom) / 2


def ring(grid: Grid, position: Sequence[int], filled: bool = False) -> str:
    """The query: a white ring with a dark edge; filled, its positive."""
    (x, y), u = centre(grid, position), unit(grid)
    inner = f'<circle r="{2.5 * u:.2f}" fill="{PAPER}" stroke="{INK}" stroke-width="{u:.2f}"/>' if filled else ""
    return (
        f'<g class="ring" transform="translate({x:g} {y:g})" fill="none"><circle r="{6 * u:.2f}" stroke="{INK}" '
        f'stroke-width="{3.6 * u:.2f}"/><circle r="{6 * u:.2f}" stroke="{PAPER}" '
        f'stroke-width="{1.8 * u:.2f}"/>{inner}</g>'
    )


def dots(grid: Grid, positions: np.ndarray, ranked: bool = True, hollow: bool = False) -> str:
    """Positions N×2 as dots: coloured by rank (the first is brightest and on top), grey, or open and grey."""
    if not len(positions):
        return ""
    u = unit(grid) * min(1.0, 16 / len(positions) ** 0.5 + 0.35)  # many are drawn smaller
    bins = np.array_split(np.asarray(positions), min(BINS, len(positions))) if ranked else [np.asarray(positions)]
    fills = ["#%02x%02x%02x" % tuple(c) for c in colours(np.linspace(1, 0.1, len(bins)), (0, 1), RANKS)]
    fills = fills if ranked else ["#6b7280" if hollow else "#c9ced6"]

    def path(part: np.ndarray, colour: str, width: float) -> str:
        d = "".join("M{:g} {:g}h0".format(*centre(grid, p)) for p in part)
        return f'<path d="{d}" stroke="{colour}" stroke-width="{width:.2f}" stroke-linecap="round"/>'

    drawn = []
    for part, fill in reversed(list(zip(bins, fills))):
        drawn += [path(part, PAPER if hollow else INK, 4.6 * u), path(part, fill, 3.2 * u)]
        if hollow:
            drawn.append(path(part, PAPER, 1.6 * u))
    return f'<g fill="none">{"".join(drawn)}</g>'


def triangles(grid: Grid, positions: np.ndarray) -> str:
    """Generated negatives at their nearest patches; the more of them at one place, the larger."""
    places, counts = np.unique(positions, axis=0, return_counts=True)
    drawn = ""
    for place, count in zip(places, counts):
        (x, y), r = centre(grid, place), unit(grid) * min(3 + np.sqrt(count), 12)
        drawn += f"M{x:g} {y - r:.1f}l{r:.1f} {1.8 * r:.1f}h{-2 * r:.1f}z"
    return f'<path d="{drawn}" fill="{VERMILION}" stroke="{PAPER}" stroke-width="{0.8 * unit(grid):.2f}"/>'


def boxes(grid: Grid, positions: np.ndarray) -> str:
    """Cells as numbered boxes, a cell of margin around each."""
    u, drawn = unit(grid), []
    for number, (row, column) in enumerate(positions, 1):
        left, top, right, bottom = grid.box(int(row), int(column))
        pad = max(grid.stride, 3 * u)
        place = (
            f'x="{left - pad:g}" y="{top - pad:g}" width="{right - left + 2 * pad:g}" '
            f'height="{bottom - top + 2 * pad:g}"'
        )
        inside = right + pad + 12 * u < grid.size[0]
        at = f'x="{right + pad + 2 * u:g}"' if inside else f'x="{left - pad - 2 * u:g}" text-anchor="end"'
        drawn.append(
            f'<rect {place} stroke="{INK}" stroke-width="{3 * u:.2f}"/><rect {place} stroke="{PAPER}" '
            f'stroke-width="{1.4 * u:.2f}"/><text {at} y="{top + 6 * u:g}" font-size="{9.5 * u:.1f}" fill="{PAPER}" '
            f'stroke="{INK}" stroke-width="{2.2 * u:.1f}" paint-order="stroke">{number}</text>'
        )
    return f'<g fill="none" font-weight="600">{"".join(drawn)}</g>'


def patch(
    grid: Grid, position: Sequence[int], title: str, under: str = "source", around: int = 3, side: int = 44
) -> str:
    """The picture around a cell as a small square that carries a title; empty outside the picture."""
    left, top, right, bottom = grid.box(int(position[0]), int(position[1]))
    pad = max(around * grid.stride, 8)
    scale = side / (right - left + 2 * pad)
    width, height = (v * scale for v in grid.size)
    style = (
        f"width:{side}px;height:{side}px;background-image:var(--{under});background-size:{width:.1f}px {height:.1f}px;"
        f"background-position:{(pad - left) * scale:.1f}px {(pad - top) * scale:.1f}px"
    )
    title = html.escape(title)
    return f'<span class="patch" role="img" aria-label="{title}" title="{title}" style="{style}"></span>'


def bar(ticks: Sequence[str], label: str, name: str = MAP) -> str:
    """A colour bar: raw values at evenly spaced ticks, and what they are."""
    stops = ",".join("#%02x%02x%02x" % tuple(c) for c in colours(np.linspace(0, 1, 17), (0, 1), name))
    values = "".join(f"<span>{html.escape(tick)}</span>" for tick in ticks)
    return (
        f'<div class="bar"><i style="background:linear-gradient(90deg,{stops})"></i><div class="ticks">{values}</div>'
        f"<p>{html.escape(label)}</p></div>"
    )


def scaled_bar(scaled: Scaled) -> str:
    return bar(scaled.ticks, scaled.label)


def figure(key: str, body: str, words: str = "", title: str = "") -> str:
    """A column: the method's colour and name, then pictures and bars, then what is seen, in words."""
    words = f'<p class="words">{words}</p>' if words else ""
    head = f'<figcaption class="head">{swatch(key)}<h3>{html.escape(title or title_of(key))}</h3></figcaption>'
    return f'<figure class="fig {key}">{head}{body}{words}</figure>'


def row(title: str, explanation: str, figures: Iterable[str], lead: str = "",
        absent: dict[str, str] | None = None) -> str:  # fmt: skip
    """One row of a page: its title and how to read it, then figures in columns of equal width; last, the methods that
    cannot be shown, with the reason of each."""
    figures = [*figures, *(figure(m, f'<p class="absent">{html.escape(why)}</p>') for m, why in (absent or {}).items())]
    columns = len(figures) + bool(lead)
    return (
        f'<section class="band"><h3 class="title">{html.escape(title)}</h3><p class="note">{explanation}</p>'
        f'<div class="columns" style="--columns:{columns}">{lead}{"".join(figures)}</div></section>'
    )


def legend(text: str, body: str = "") -> str:
    """What stands in the first column where there is no picture: how to read the row."""
    return f'<div class="fig legend"><p class="note">{text}</p>{body}</div>'
