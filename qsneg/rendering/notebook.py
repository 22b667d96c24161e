"""Results draw themselves in a notebook: views, inspections, queries, forces and what-ifs, as a sheet of overlays over
a small table of numbers. (A translation is a PIL image, which does so anyway.)

Importing this module gives them their rich representation; `qsneg.load` does so wherever IPython runs.

    view = observe(qsneg.load("day2sunset/cut"), image, size=256)
    inspect(view, layer=12)                      # the last line of a cell: a picture and a table
    sheet(inspect(view, layer=12)).save("seen.png")
"""

import base64
import html
import io
from functools import singledispatch

import numpy as np
from PIL import Image

from qsneg.inspect import Forces, Grid, Inspection, Query, View, WhatIf, summary
from qsneg.rendering.colormaps import RANKS, Bar, Scaled, by_log, colour_of, decades, linear, number, percent
from qsneg.rendering.overlays import bar, draw
from qsneg.rendering.rows import Bubbles, Dots, Givers, Mark, Panel, Picture, Ring, Triangles
from qsneg.rendering.sheets import Column, columns

WIDTH = 256  # pixels of each picture

Look = tuple[str, Image.Image, Bar | None]  # a picture's title, it, its colour bar


@singledispatch
def pictures(result) -> list[Look]:
    """What is drawn of a result, from left to right."""
    raise TypeError(f"A {type(result).__name__} has no picture of its own.")


@singledispatch
def numbers(result) -> dict[str, str]:
    """The few numbers that stand under it."""
    return {}


def over(view: View, grid: Grid, scaled: Scaled | None = None, marks: tuple[Mark, ...] = (), ticks: Bar | None = None):
    """A map and marks over the greyed source, and their bar."""
    panel = Panel("", "", Picture("source", lambda: view.source), grid, scaled, marks, ticks)
    return draw(panel), panel.scale


@pictures.register
def _(view: View) -> list[Look]:
    return [("Source", view.source, None), (view.weights.title, view.result, None)]


@numbers.register
def _(view: View) -> dict[str, str]:
    layers = ", ".join(map(str, view.config.layers))
    width, height = view.source.size
    return {"method": view.weights.title, "picture": f"{width} × {height}", "layers": layers, "ran in": view.precision}


@pictures.register
def _(result: Inspection) -> list[Look]:
    view, grid = result.view, result.grid
    scale = "by rank" if result.layer >= 16 else "logarithmic"
    ranks = Bar([str(len(result.anchors)), "1"], "rank of the anchor", RANKS)
    looks = [
        ("Entropy", *over(view, grid, by_log({0: result.log_entropy}, scale, "entropy, nats")[0])),
        ("Anchors", *over(view, grid, marks=(Dots(result.anchors),), ticks=ranks)),
    ]
    if result.loss is not None:
        looks.append(("Loss", *over(view, grid, linear({0: result.loss}, "nats", (0.0, None))[0])))
    if result.nearest is not None:
        looks.append(("Negatives", *over(view, grid, marks=(Triangles(result.nearest),))))
    return looks


@numbers.register
def _(result: Inspection) -> dict[str, str]:
    found = {"layer": f"{result.layer}, {result.mode}", "anchors": str(len(result.anchors))}
    if result.loss is not None:
        found |= {"mean loss, nats": number(float(result.loss.mean()))}
        found |= {"mean similarity to the positive": number(float(result.similarity.mean()))}
    return found | {"in words": summary.sentence(result)}


@pictures.register
def _(result: Query) -> list[Look]:
    grid, ring = result.view.grid(result.layer), Ring(np.array(result.position))
    if result.generated is not None:
        mark: Mark = Triangles(result.generated_at)
    elif result.giver is not None:
        mark = Givers(result.in_image_at, result.giver)
    else:
        mark = Dots(result.in_image_at, False, True)
    similar = result.view.similarity(result.layer, result.position, of="result")
    scaled = linear({0: similar}, "cosine similarity", (None, 1.0))[0]
    return [
        ("The query", *over(result.view, grid, marks=(ring,))),
        ("Negatives", *over(result.view, grid, scaled, (mark, ring))),
    ]


@numbers.register
def _(result: Query) -> dict[str, str]:
    cosines = result.in_image if result.generated is None else result.generated
    closer = int((cosines > result.positive).sum())
    shares = ", ".join(f"{name.replace('_', '-')} {percent(share)}" for name, share in result.shares.items())
    return {
        "position": f"row {result.position[0]}, column {result.position[1]}",
        "cosine to the positive": number(result.positive),
        "negatives closer than it": f"{closer} of {len(cosines)}",
        "shares of the denominator": shares,
    }


@pictures.register
def _(result: Forces) -> list[Look]:
    scale = decades({0: np.log(np.maximum(result.force, 1e-300))}, "force", name=RANKS)[0]
    marks = Bubbles(result.at, result.force, scale, result.weighting == "negcut"), Ring(np.array(result.position))
    return [("Force on every negative", *over(result.view, result.view.grid(result.layer), marks=marks, ticks=scale))]


@numbers.register
def _(result: Forces) -> dict[str, str]:
    return {
        "weighed as": result.weighting,
        "negatives": str(len(result.force)),
        "effective number": number(round(result.effective, 1)),
        "share of the ten hardest": percent(result.hardest),
        "probability of the positive": number(result.probability),
        "loss, nats": number(result.loss),
    }


@pictures.register
def _(result: WhatIf) -> list[Look]:
    grid = result.view.grid(result.layer)
    maps = {"Loss": (result.loss, "nats"), "Gradient at the features": (result.gradient, "length")}
    return [
        (title, *over(result.view, grid, linear({0: v}, unit, (0.0, None))[0])) for title, (v, unit) in maps.items()
    ]


@numbers.register
def _(result: WhatIf) -> dict[str, str]:
    means = {"mean loss, nats": result.loss, "mean length of the gradient": result.gradient}
    return {"negatives": str(result.negatives)} | {name: number(float(v.mean())) for name, v in means.items()}


def sheet(result) -> Image.Image:
    """A result's pictures side by side, each with its colour bar."""
    view = result if isinstance(result, View) else result.view
    colour = colour_of(view.config.method)
    made = [
        Column(title, colour, [(image, ""), *([(bar(ticks, WIDTH), "")] if ticks else [])])
        for title, image, ticks in pictures(result)
    ]
    return columns(made, WIDTH, view.weights.title)


def png(result) -> bytes:
    """The sheet as a PNG file."""
    sheet(result).save(data := io.BytesIO(), "PNG")
    return data.getvalue()


def markup(result) -> str:
    """The sheet and the numbers as HTML."""
    cells = "".join(
        f'<tr style="text-align: left"><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in numbers(result).items()
    )
    picture = base64.b64encode(png(result)).decode()
    return f'<div><img alt="" src="data:image/png;base64,{picture}"><table>{cells}</table></div>'


for kind in (View, Inspection, Query, Forces, WhatIf):
    kind._repr_html_, kind._repr_png_ = markup, png
