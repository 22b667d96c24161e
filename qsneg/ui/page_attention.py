"""The Attention page: one patch's attention row, its similarity maps in source and translation, its nearest patches."""

from dataclasses import dataclass

import numpy as np

from qsneg.inspect import View, neighbours
from qsneg.rendering import overlays
from qsneg.rendering.colormaps import Scaled, by_log, linear, title_of
from qsneg.ui import figures
from qsneg.ui.selection import Choice

NAME, TITLE = "attention", "Attention"
CONTROLS = ("layer", "mode", "scale", "row", "column", "count", "radius", "opacity")
NEEDS_HEADS = False  # the attention rows are those of raw features; for similarities the page says what is missing
PLACES = ("source", "result")
SAID = {"source": "source", "result": "translation"}


@dataclass(frozen=True)
class Looked:
    """One method's maps for the query, each H×W; boxes n×2 are the nearest patches by place."""

    attention: np.ndarray  # natural logarithm of the row; nan outside a local window
    similarity: dict[str, np.ndarray]  # cosine, by place; empty for a model without heads
    boxes: dict[str, np.ndarray]
    position: tuple[int, int]
    lacks: str  # why there are no similarities


def prepare(view: View, choice: Choice) -> None:
    """The slow part, once per layer: projecting all positions."""
    for which in () if view.weights.lacks() else PLACES:
        for _ in view.blocks(choice.layer, which):
            pass


def scale(choice: Choice) -> str:
    """By rank unless chosen otherwise: a row spans hundreds of orders of magnitude."""
    return choice.scale or "by rank"


def look(seen: dict[str, View], choice: Choice) -> dict[str, Looked]:
    """What the query sees in every method."""
    found = {}
    for method, view in seen.items():
        choice.check(view)
        position = choice.position(view.grid(choice.layer))
        row = view.log_attention(choice.layer, position, "local" if choice.mode == "local" else "global")
        places, lacks = ((), view.weights.lacks()) if view.weights.lacks() else (PLACES, "")
        similar = {which: view.similarity(choice.layer, position, which) for which in places}
        near = {which: neighbours(m, position, choice.count, choice.radius) for which, m in similar.items()}
        found[method] = Looked(np.where(np.isfinite(row), row, np.nan), similar, near, position, lacks)
    return found


def scaled(found: dict[str, Looked], choice: Choice) -> tuple[dict[str, Scaled], dict[str, dict[str, Scaled]]]:
    """The maps as they are coloured: attention under one scale, similarities in both places under another."""
    rows = by_log({m: f.attention for m, f in found.items()}, scale(choice), "attention")
    every = {(m, which): values for m, f in found.items() for which, values in f.similarity.items()}
    similar = linear(every, "cosine similarity", (None, 1.0)) if every else {}
    return rows, {m: {which: similar[m, which] for which in f.similarity} for m, f in found.items()}


def words(f: Looked) -> str:
    """What the attention row does."""
    weights = np.sort(np.exp(f.attention[np.isfinite(f.attention)]))[::-1]
    half = int(np.searchsorted(np.cumsum(weights), 0.5)) + 1
    own = float(np.exp(f.attention[f.position]))
    held = "99.9\u202f% or more" if own >= 0.9995 else f"{own:.1%}".replace("%", "\u202f%")
    share = f"half of it goes to {half:,} of {weights.size:,} positions"
    return f"The query gives {held} of its attention to itself; {share}."


def nearest_words(f: Looked, which: str) -> str:
    values = [f"{f.similarity[which][tuple(p)]:.2f}" for p in f.boxes[which]]
    if not values:
        return "No position lies farther than the radius."
    first = f"{values[0]} (1)" + (f" to {values[-1]} ({len(values)})" if len(values) > 1 else "")
    if which == "source":
        return f"Nearest patches: cosines {first}."
    return f"Its own place: <b>{f.similarity[which][f.position]:.2f}</b>. Nearest others: {first}."


def html(seen: dict[str, View], choice: Choice, absent: dict[str, str] | None = None) -> str:
    """The page under its controls; `absent` are the methods that it cannot show, with the reason."""
    found = look(seen, choice)
    rows, similar = scaled(found, choice)
    view = next(iter(seen.values()))
    grid, size, at = view.grid(choice.layer), view.source.size, (choice.x, choice.y)
    position = choice.position(grid)
    ring = figures.ring(grid, position)
    kind = "local" if choice.mode == "local" else "global"
    place = f"row {position[0]}, column {position[1]}"

    def picture(under: str, label: str, values: np.ndarray, marks: str) -> str:
        return figures.stack(under, size, label, figures.heat(values, grid), marks, grey=True, query=grid, at=at)

    lines = {"attention": [], "source": [], "result": []}
    for method, f in found.items():
        name = title_of(method)
        drawn = picture(
            "source", f"{name}: attention of the query at {place}, over the source", rows[method].values, ring
        )
        lines["attention"].append(figures.figure(method, drawn + figures.scaled_bar(rows[method]), words(f)))
        for which in f.similarity:
            under = "source" if which == "source" else f"result-{method}"
            own = figures.ring(grid, position, filled=which == "result")
            drawn = picture(
                under,
                f"{name}: similarity to the query at {place}, in the {SAID[which]}",
                similar[method][which].values,
                figures.boxes(grid, f.boxes[which]) + own,
            )
            body = drawn + figures.scaled_bar(similar[method][which])
            lines[which].append(figures.figure(method, body, nearest_words(f, which)))
    source = figures.stack("source", size, f"The source, the query at {place}", marks=ring, query=grid, at=at)
    x, y = figures.centre(grid, position)
    lead = figures.figure(
        "source",
        source,
        f"The query: {place} of {grid.shape[0]} × {grid.shape[1]}, around pixel "
        f"({x:.0f}, {y:.0f}). Click, or focus a picture and use the arrow keys.",
    )
    near = figures.legend(
        "White boxes: the patches most similar to the query, numbered from the nearest; those within the "
        "radius are left out.",
        figures.patch(grid, position, "The query's patch", side=120),
    )
    other = figures.legend(
        "The same query, compared with the translation. The filled ring is its own place: a translation "
        "that keeps what it shows is most similar there."
    )
    layer = f"layer {choice.layer}"
    without = {method: f.lacks for method, f in found.items() if f.lacks} | (absent or {})
    return "".join(
        (
            figures.row(
                f"Attention row, {layer}, {kind}",
                "Where the query's attention goes, in each method's own features. It sums to 1.",
                lines["attention"],
                lead,
                absent,
            ),
            figures.row(
                "Similarity in the source",
                "After the projection head, as the loss compares them; one scale for both rows.",
                lines["source"],
                near,
                without,
            ),
            figures.row(
                "Similarity in the translation",
                "Bright away from the ring: the translation shows the same thing there too.",
                lines["result"],
                other,
                without,
            ),
        )
    )


def facts(found: dict[str, Looked], seen: dict[str, View], choice: Choice) -> dict:
    """The numbers, JSON-ready."""
    out = {}
    for method, f in found.items():
        grid = seen[method].grid(choice.layer)
        weights = np.exp(f.attention[np.isfinite(f.attention)])
        out[method] = {
            "layer": choice.layer,
            "mode": "local" if choice.mode == "local" else "global",
            "position": list(f.position),
            "pixel": [choice.x, choice.y],
            "grid": list(grid.shape),
            "attention_to_itself": float(np.exp(f.attention[f.position])),
            "attention_sum": float(weights.sum()),
        }
        if f.lacks:
            out[method]["lacks"] = f.lacks
            continue
        out[method] |= {
            "similarity_at_its_place_in_the_translation": float(f.similarity["result"][f.position]),
            "nearest": {
                SAID[w]: [{"position": p.tolist(), "cosine": float(f.similarity[w][tuple(p)])} for p in f.boxes[w]]
                for w in PLACES
            },
        }
    return out


def files(seen: dict[str, View], choice: Choice) -> dict:
    """Everything on the page as files by name (see `bundle`)."""
    found = look(seen, choice)
    rows, similar = scaled(found, choice)
    view = next(iter(seen.values()))
    grid = view.grid(choice.layer)
    at = choice.position(grid)
    out = {"source/source.png": overlays.ring(overlays.canvas(view.source), at, grid)}
    for method, f in found.items():
        drawn = overlays.heat(view.source, np.nan_to_num(rows[method].values), grid, (0, 1))
        out |= {
            f"{method}/attention.png": overlays.ring(drawn, at, grid),
            f"{method}/attention-bar.png": overlays.colour_bar((0, 1), rows[method].label, ticks=rows[method].ticks),
        }
        for which in f.similarity:
            s = similar[method][which]
            below = view.source if which == "source" else seen[method].result
            drawn = overlays.boxes(overlays.heat(below, s.values, grid, (0, 1)), f.boxes[which], grid)
            out |= {
                f"{method}/similarity-{SAID[which]}.png": overlays.ring(drawn, at, grid, filled=which == "result"),
                f"{method}/similarity-{SAID[which]}-bar.png": overlays.colour_bar((0, 1), s.label, ticks=s.ticks),
            }
        out[f"{method}/arrays.npz"] = (
            {"log_attention": f.attention, "position": np.array(f.position)}
            | {f"similarity_{SAID[w]}": f.similarity[w] for w in f.similarity}
            | {f"nearest_{SAID[w]}": f.boxes[w] for w in f.boxes}
        )
    return out | {"summary.json": facts(found, seen, choice)}
