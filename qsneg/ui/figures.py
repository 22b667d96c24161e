"""Rows as HTML: what the pages are made of. Pure functions from rows to text; see `qsneg.rendering.rows`.

A picture is a stack: the photograph below (a custom property of the page, sent once per picture), a heat map above it
(a small PNG with one pixel per position, enlarged by the browser without smoothing), marks on top (SVG in pixels of
the picture). So a click sends some kilobytes, the opacity is the browser's, and nothing is compressed with loss.
"""

import base64
import html
import itertools
from collections.abc import Iterable

import numpy as np
from PIL import Image

from qsneg.inspect import Grid
from qsneg.rendering.colormaps import MAP, Bar, Scaled, colours, hexes, title_of
from qsneg.rendering.overlays import surroundings
from qsneg.rendering.rows import Panel, Patch, Picture, Row, Shape
from qsneg.ui.texts import data_uri, swatch

COLUMNS = 4  # side by side
MANY = 5000  # cells of a map from which their values are sent in one byte each
WIDE = 2  # width over height from which pictures stand below each other


def page(rows: list[Row]) -> str:
    """All rows of a page; those of a film under its slider."""
    body = "".join(map(row, rows))
    steps = next((r.steps for r in rows if r.steps), ())
    if steps:
        return f'<div class="film" data-steps="{" ".join(map(str, steps))}">{transport(steps)}{body}</div>'
    return lookout(rows) + body


def lookout(rows: list[Row]) -> str:
    """The source and the query once more: on a phone they stay in sight while the maps scroll (static/app.css)."""
    found = (panel for row in rows for panel in row.panels if panel.key == "source" and panel.under)
    panel = next(found, None)
    if panel is None:
        return ""
    return f'<div class="lookout">{stack(panel, layers(panel))}<p class="words">{panel.words}</p></div>'


def row(row: Row) -> str:
    """One row: its title and how to read it, then its panels in columns of equal width; more than four in two lines."""
    if not row.title:
        return f'<p class="note">{row.note}</p>'
    last = len(row.steps) - 1
    found = [column(list(panels), last) for _, panels in itertools.groupby(row.panels, key=lambda panel: panel.key)]
    columns = len(found) if len(found) <= COLUMNS else -(-len(found) // 2)
    sizes = [panel.grid.size for panel in row.panels if panel.under]
    wide = " wide" * any(width > WIDE * height for width, height in sizes)
    return (
        f'<section class="band"><h3 class="title">{html.escape(row.title)}</h3><p class="note">{row.note}</p>'
        f'<div class="columns{wide}" style="--columns:{columns}">{"".join(found)}</div></section>'
    )


def column(panels: list[Panel], last: int) -> str:
    """A column: the method's colour and name, then what is seen; or, without a key, how to read the row. Panels with a
    span are frames of a film, of which those that end with its `last` step are shown first."""
    first = panels[0]
    if not first.key:
        return f'<div class="fig legend"><p class="note">{first.words}</p>{"".join(map(patches, panels))}</div>'
    body = reel(panels, last) if first.span else "".join(map(content, panels))
    title = html.escape(first.title or title_of(first.key))
    head = f'<figcaption class="head">{swatch(first.key)}<h3>{title}</h3></figcaption>'
    return f'<figure class="fig {first.key}">{head}{body}</figure>'


def content(panel: Panel) -> str:
    """Picture, bar, plot, patches and words of a panel."""
    if panel.absent:
        return f'<p class="absent">{html.escape(panel.absent)}</p>'
    words = f'<p class="words">{panel.words}</p>' if panel.words else ""
    picture = stack(panel, layers(panel)) if panel.under else ""
    return picture + bar(panel.scale) + panel.plot + patches(panel) + words


def reel(panels: list[Panel], last: int) -> str:
    """Pictures, bars and words of the frames of a film, each for its span; a bar that is the same in all stands once."""
    spans = [f'data-from="{a}" data-to="{b}"' + ("" if b == last else " hidden") for a, b in (p.span for p in panels)]
    pictures = "".join(f'<div class="layer" {span}>{layers(panel)}</div>' for span, panel in zip(spans, panels))
    bars = [bar(panel.scale) for panel in panels]
    bars = bars[:1] if len(set(bars)) == 1 else [f"<div {span}>{b}</div>" for span, b in zip(spans, bars)]
    words = "".join(f"<span {span}>{panel.words}</span>" for span, panel in zip(spans, panels) if panel.words)
    return stack(panels[0], pictures) + "".join(bars) + (f'<p class="words">{words}</p>' if words else "")


def stack(panel: Panel, body: str) -> str:
    """The place of a panel's picture. Where the query is chosen on it, that is by click or arrow keys, in steps of the
    grid; the keyboard reaches those that are not grey."""
    width, height = panel.grid.size
    aim, attributes = "", f'role="img" aria-label="{html.escape(panel.label)}"'
    if panel.aim is not None:
        label = html.escape(f"{panel.label}. Click, or move the query with the arrow keys.")
        aim, attributes = (
            " aim",
            (
                f'role="application" tabindex="{-panel.grey}" aria-label="{label}" data-x="{panel.aim[0]:g}" '
                f'data-y="{panel.aim[1]:g}" data-step="{panel.grid.stride}" data-width="{width}" data-height="{height}"'
            ),
        )
    return f'<div class="stack{aim}" {attributes} style="--ratio:{width / height:.4f}">{body}</div>'


def layers(panel: Panel) -> str:
    """A panel's picture, its map over it, the marks on top."""
    (width, height), over = panel.grid.size, heat(panel.map, panel.grid, bool(panel.span)) if panel.map else ""
    marks = ""
    for mark in panel.marks:
        shapes = "".join(map(svg, mark.shapes(panel.grid)))
        marks += f'<g class="{type(mark).__name__.lower()}">{shapes}</g>'
    if marks:
        marks = f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">{marks}</svg>'
    return f'<div class="under{" grey" if panel.grey else ""}" style="{background(panel.under)}"></div>{over}{marks}'


def background(picture: Picture) -> str:
    number, count = picture.part
    place = (
        f";background-size:{count * 100}% 100%;background-position:{number / (count - 1):.4%} 0" if count > 1 else ""
    )
    return f"background-image:var(--{picture.name}){place}"


def svg(shape: Shape) -> str:
    """A shape as SVG; many points of one look are one element."""
    edge = f' stroke="{shape.edge}" stroke-width="{shape.width:.2f}"' if shape.edge else ""
    look = f'fill="{shape.fill or "none"}"{edge}'
    if shape.kind == "word":
        (x, y), anchor = shape.points, ' text-anchor="end"' if shape.at_end else ""
        return (
            f'<text x="{x:g}" y="{y:g}"{anchor} font-size="{shape.size:.1f}" font-weight="600" {look} '
            f'paint-order="stroke">{shape.text}</text>'
        )
    if shape.kind == "polygons":
        outlines = ("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "z" for corners in shape.points)
        return f'<path d="{"".join(outlines)}" {look}/>'
    if not shape.edge:  # round ends of lines without length
        places = "".join(f"M{x:g} {y:g}h0" for x, y in shape.points)
        return f'<path d="{places}" stroke="{shape.fill}" stroke-width="{2 * shape.size:.2f}" stroke-linecap="round"/>'
    return "".join(f'<circle cx="{x:g}" cy="{y:g}" r="{shape.size:.2f}" {look}/>' for x, y in shape.points)


def heat(scaled: Scaled, grid: Grid, is_one_of_many: bool = False) -> str:
    """A map H×W as the <img> that covers a picture: the cells on it, in their places."""
    values, (left, top, right, bottom) = grid.cover(scaled.values)
    width, height = grid.size
    place = (
        f"left:{left / width:.4%};top:{top / height:.4%};width:{(right - left) / width:.4%};"
        f"height:{(bottom - top) / height:.4%}"
    )
    told = "" if scaled.raw is None else raw_values(scaled, grid, is_one_of_many)
    return f'<img class="over" alt="" style="{place}" src="{data_uri(map_png(values, scaled.name))}"{told}>'


def raw_values(scaled: Scaled, grid: Grid, is_one_of_many: bool) -> str:
    """What a map shows at every cell on the picture, for the browser to tell under the pointer (static/values.js): steps
    between the least and the greatest, two bytes each, or one where there are many; the highest step stands for none."""
    rows, columns = grid.visible()
    values = np.asarray(scaled.raw, float)[rows, columns]
    there = np.isfinite(values)
    low, high = (float(end(values[there], initial=0 if not there.any() else None)) for end in (np.min, np.max))
    kind = np.uint8 if is_one_of_many or values.size > MANY else np.dtype("<u2")
    most = np.iinfo(kind).max - 1
    steps = np.full(values.shape, most + 1)
    steps[there] = ((values[there] - low) / max(high - low, 1e-300) * most).round()
    data = {
        "values": base64.b64encode(steps.astype(kind).tobytes()).decode(),
        "shape": f"{values.shape[0]},{values.shape[1]},{rows.start},{columns.start}",
        "grid": f"{grid.size[0]},{grid.size[1]},{grid.stride},{grid.margin}",
        "ends": f"{low!r},{high!r}",
        "log": int(scaled.is_log),
        "unit": html.escape(scaled.unit),
    }
    return "".join(f' data-{name}="{value}"' for name, value in data.items())


def map_png(values: np.ndarray, name: str = MAP) -> Image.Image:
    """Values 0…1 as a palette picture, one pixel per position; nan is transparent."""
    if np.isnan(values).any():
        alpha = np.where(np.isnan(values), 0, 255).astype(np.uint8)[..., None]
        return Image.fromarray(np.concatenate([colours(np.nan_to_num(values), (0, 1), name), alpha], axis=2))
    image = Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8)).convert("P")
    image.putpalette(colours(np.arange(256) / 255, (0, 1), name).tobytes())
    return image


def bases(pictures: dict[str, Image.Image | bytes]) -> str:
    """The pictures that lie under the maps, as custom properties, such as --source and --result-cut."""
    values = " ".join(f"--{name}: url({data_uri(image)});" for name, image in pictures.items())
    return f"<style>#pages, #tour {{ {values} }}</style>"


def bar(bar: Bar | None) -> str:
    """A colour bar: raw values at evenly spaced ticks, and what they are."""
    if bar is None:
        return ""
    stops = ",".join(hexes(np.linspace(0, 1, 17), bar.name))
    values = "".join(f"<span>{html.escape(tick)}</span>" for tick in bar.ticks)
    return (
        f'<div class="bar"><i style="background:linear-gradient(90deg,{stops})"></i><div class="ticks">{values}</div>'
        f"<p>{html.escape(bar.label)}</p></div>"
    )


def patches(panel: Panel) -> str:
    """Small squares with a word under each; a single one without a word stands alone."""
    shown = [patch(p) + (f"<small>{html.escape(p.caption)}</small>" if p.caption else "") for p in panel.patches]
    if len(shown) == 1 and not panel.patches[0].caption:
        return shown[0]
    return '<div class="patches">' + "".join(f"<div>{s}</div>" for s in shown) + "</div>" if shown else ""


def patch(patch: Patch) -> str:
    """The picture around a cell as a small square that carries a title; empty outside the picture."""
    left, top, right, _ = surroundings(patch)
    scale = patch.side / (right - left)
    width, height = (v * scale for v in patch.grid.size)
    style = (
        f"width:{patch.side}px;height:{patch.side}px;background-image:var(--{patch.under.name});"
        f"background-size:{width:.1f}px {height:.1f}px;background-position:{-left * scale:.1f}px {-top * scale:.1f}px"
    )
    title = html.escape(patch.title)
    return f'<span class="patch" role="img" aria-label="{title}" title="{title}" style="{style}"></span>'


def transport(steps: Iterable[int]) -> str:
    """What plays a film: a button, a slider over its frames, the step."""
    steps = list(steps)
    marks = "".join(f"<option value='{n}'></option>" for n in range(len(steps)))
    last = len(steps) - 1
    return (
        '<div class="transport"><button type="button" class="play">Play</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" step="1" list="film-marks" '
        'aria-label="Frame of the film">'
        f'<datalist id="film-marks">{marks}</datalist><output>step {steps[-1]:,}</output></div>'
    )
