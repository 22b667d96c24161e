"""The Attention page: one patch's attention row, its similarity maps in source and translation, its nearest patches."""

from dataclasses import dataclass

import numpy as np

import qsneg.pages.controls as controls
from qsneg.config import QS_ATTN
from qsneg.inspect import Attended, View, attended, neighbours
from qsneg.pages.page import CLICK, Looked, ViewPage, Words, source_panel
from qsneg.pages.selection import Selection
from qsneg.rendering.colormaps import by_log, linear, percent, title_of
from qsneg.rendering.rows import Boxes, Cross, Panel, Patch, Ring, Row

AROUND = "cells around the query that do not count as near"
SAID = {"source": "source", "result": "translation"}
BOXES = (
    "White boxes: the patches most similar to the query, numbered from the nearest; those within the radius are left "
    "out."
)
FILLED = (
    "The same query, compared with the translation. The filled ring is its own place: a translation that keeps what it "
    "shows is most similar there."
)


@dataclass(frozen=True)
class Found:
    """One method's maps for the query, each H×W; boxes n×2 are the nearest patches by place."""

    attention: np.ndarray  # natural logarithm of the row; nan outside a local window
    similarity: dict[str, np.ndarray]  # cosine, by place; empty for a model without heads
    boxes: dict[str, np.ndarray]
    position: tuple[int, int]
    lacks: str  # why there are no similarities
    row: Attended  # the attention row in numbers


def own_scale(selection: Selection) -> str:
    """By rank unless chosen otherwise: a row spans hundreds of orders of magnitude."""
    return selection.scale or "by rank"


class Attention(ViewPage):
    name, title = "attention", "Attention"
    words = Words(
        "Choose a patch of the source: the first row shows where its attention goes, the other two how similar every "
        "patch of the source and of the translation is to it. Bright places are what the network takes for the same; "
        "the numbered boxes are the nearest ones, and one and the same patch is followed through all methods and "
        "layers.",
        "attention A<sub>qj</sub> = e<sup>t<sub>q</sub>·t<sub>j</sub></sup> / Σ<sub>k</sub> "
        "e<sup>t<sub>q</sub>·t<sub>k</sub></sup>, &ensp; similarity cos(q, j) = f<sub>q</sub>·f<sub>j</sub> with |f| = "
        "1",
        "t are the generator's own features, f those after the projection head, which the loss compares.",
        (QS_ATTN,),
    )

    controls = (
        controls.layer(),
        controls.mode("Attention", ("global", "local")),
        controls.scale(own_scale),
        *controls.row_and_column(),
        controls.Control("count", "Nearest patches", 6, "count: how many nearest patches", range=(1, 16, 1)),
        controls.Control("radius", "Leave out, cells", 2, f"radius: {AROUND}", range=(0, 16, 1)),
        controls.opacity(),
    )

    def prepare_one(self, view: View, selection: Selection) -> None:
        for which in () if "heads" in view.weights.lacks else SAID:
            for _ in view.blocks(selection.layer, which):
                pass

    def find(self, view: View, selection: Selection) -> Found:
        layer, position = selection.layer, selection.position(view.grid(selection.layer))
        mode = "local" if selection.mode == "local" else "global"
        row = view.log_attention(layer, position, mode)
        lacks = view.weights.why_not("heads")
        similar = {which: view.similarity(layer, position, which) for which in (() if lacks else SAID)}
        near = {w: neighbours(m, position, selection.count, selection.radius) for w, m in similar.items()}
        return Found(
            np.where(np.isfinite(row), row, np.nan),
            similar,
            near,
            position,
            lacks,
            attended(view, layer, position, mode),
        )

    def local_words(self, view: View, selection: Selection) -> str:
        return ""  # one row is short, whatever the mode

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        grid = looked.view.grid(selection.layer)
        position = selection.position(grid)
        x, y = grid.centre(*position)
        place = f"row {position[0]}, column {position[1]}"
        said = f"The query: {place} of {grid.shape[0]} × {grid.shape[1]}, around pixel ({x}, {y}). {CLICK}"
        label, at = f"The source, the query at {place}", (selection.x, selection.y)
        source = source_panel(looked, grid, said, label, marks=(Ring(position),), aim=at)
        similar = self.similar(looked, selection)
        near = Panel("", words=BOXES, patches=(Patch(position, "The query's patch", looked.source, grid, side=120),))
        without = {method: f.lacks for method, f in looked.found.items() if f.lacks} | looked.absent
        return [
            looked.row(
                f"Attention row, layer {selection.layer}, {'local' if selection.mode == 'local' else 'global'}",
                "Where the query's attention goes, in each method's own features. It sums to 1. The cross marks the "
                "position that gets most of it, where that is another.",
                [source, *self.attention(looked, selection)],
            ),
            looked.row(
                "Similarity in the source",
                "After the projection head, as the loss compares them; one scale for both rows.",
                [near, *similar["source"]],
                without,
            ),
            looked.row(
                "Similarity in the translation",
                "Bright away from the ring: the translation shows the same thing there too.",
                [Panel("", words=FILLED), *similar["result"]],
                without,
            ),
        ]

    def attention(self, looked: Looked, selection: Selection) -> list[Panel]:
        """The query's attention row in every method."""
        maps = by_log({m: f.attention for m, f in looked.found.items()}, own_scale(selection), "attention")
        grid, at, panels = looked.view.grid(selection.layer), (selection.x, selection.y), []
        for method, f in looked.found.items():
            row, column = f.position
            label = f"{title_of(method)}: attention of the query at row {row}, column {column}, over the source"
            marks = Ring(f.position), *([Cross(f.row.most)] if f.row.most != f.position else [])
            look = dict(marks=marks, words=row_words(f.row, f.position), label=label, aim=at)
            panels.append(Panel(method, "attention", looked.source, grid, maps[method], **look))
        return panels

    def similar(self, looked: Looked, selection: Selection) -> dict[str, list[Panel]]:
        """What is similar to the query in every method, by place."""
        every = {(m, which): values for m, f in looked.found.items() for which, values in f.similarity.items()}
        maps = linear(every, "cosine similarity", (None, 1.0)) if every else {}
        grid, at, panels = looked.view.grid(selection.layer), (selection.x, selection.y), {place: [] for place in SAID}
        for method, which in every:
            f, said = looked.found[method], SAID[which]
            under = looked.result(method) if which == "result" else looked.source
            place = f"row {f.position[0]}, column {f.position[1]}"
            label = f"{title_of(method)}: similarity to the query at {place}, in the {said}"
            marks = Boxes(f.boxes[which]), Ring(f.position, filled=which == "result")
            look = dict(marks=marks, words=nearest_words(f, which), label=label, aim=at)
            panels[which].append(Panel(method, f"similarity-{said}", under, grid, maps[method, which], **look))
        return panels

    def facts(self, looked: Looked, selection: Selection) -> dict:
        out = {}
        for method, f in looked.found.items():
            weights = np.exp(f.attention[np.isfinite(f.attention)])
            out[method] = {
                "layer": selection.layer,
                "mode": "local" if selection.mode == "local" else "global",
                "position": list(f.position),
                "pixel": list(looked.view.grid(selection.layer).centre(*f.position)),
                "grid": list(looked.view.grid(selection.layer).shape),
                "attention_to_itself": f.row.own,
                "attends_most_to": {
                    "position": list(f.row.most),
                    "attention": f.row.share,
                    "share_of_positions_with_shorter_features": f.row.shorter,
                },
                "attention_sum": float(weights.sum()),
            }
            if f.lacks:
                out[method]["lacks"] = f.lacks
                continue
            near = {
                SAID[w]: [{"position": p.tolist(), "cosine": float(f.similarity[w][tuple(p)])} for p in f.boxes[w]]
                for w in SAID
            }
            own = float(f.similarity["result"][f.position])
            out[method] |= {"similarity_at_its_place_in_the_translation": own, "nearest": near}
        return out

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        return {
            method: {"log_attention": f.attention, "position": np.array(f.position)}
            | {f"similarity_{SAID[w]}": values for w, values in f.similarity.items()}
            | {f"nearest_{SAID[w]}": boxes for w, boxes in f.boxes.items()}
            for method, f in looked.found.items()
        }


def row_words(row: Attended, position: tuple[int, int]) -> str:
    """What the attention row of a position does, and why where one position takes most of it."""
    text = f"The query gives {held(row.own)} of its attention to itself"
    if row.most != position:
        text += f" and {held(row.share)} to the cross at row {row.most[0]}, column {row.most[1]}"
        if row.share >= 0.5 and row.shorter >= 0.9:
            longest = row.shorter * row.keys > row.keys - 1.5
            than = (
                "the longest of all" if longest else f"longer than those of {percent(row.shorter, 1)} of the positions"
            )
            text += f", whose feature is {than}: products are not normalised, so the longest take most of every row"
    return f"{text}. Half of it goes to {row.half:,} of {row.keys:,} positions."


def held(share: float) -> str:
    """A share of the attention: never 100 %, which no position has."""
    return f"{percent(0.999, 1)} or more" if share >= 0.9995 else percent(share, 1)


def nearest_words(f: Found, which: str) -> str:
    values = [f"{f.similarity[which][tuple(p)]:.2f}" for p in f.boxes[which]]
    if not values:
        return "No position lies farther than the radius."
    first = f"{values[0]} (1)" + (f" to {values[-1]} ({len(values)})" if len(values) > 1 else "")
    if which == "source":
        return f"Nearest patches: cosines {first}."
    return f"Its own place: <b>{f.similarity[which][f.position]:.2f}</b>. Nearest others: {first}."
