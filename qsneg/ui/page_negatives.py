"""The Hard negatives page: one query against its positive and its negatives, in numbers, on the picture, as patches."""

import numpy as np

from qsneg.inspect import Query, View, query
from qsneg.rendering import overlays
from qsneg.rendering.colormaps import Scaled, linear, title_of
from qsneg.ui import figures, plots
from qsneg.ui.selection import Choice

NAME, TITLE = "negatives", "Hard negatives"
CONTROLS = ("layer", "mode", "row", "column", "seed", "opacity")
NEEDS_HEADS = True
HARDEST = 10  # patches shown
NUM = None  # negatives of either kind: the model's own number


def prepare(view: View, choice: Choice) -> None:
    """The slow part, once per layer: projections, and QS-Attn's anchors or NEGCUT's look-up."""
    for _ in view.blocks(choice.layer):
        pass
    query(
        view,
        choice.layer,
        choice.on(view.source.size).position(view.grid(choice.layer)),
        NUM,
        choice.seed,
        choice.the_mode(view),
    )


def look(seen: dict[str, View], choice: Choice) -> dict[str, Query]:
    """The query in every method."""
    found = {}
    for method, view in seen.items():
        choice.check(view)
        position = choice.position(view.grid(choice.layer))
        found[method] = query(view, choice.layer, position, NUM, choice.seed, choice.the_mode(view))
    return found


def kind(q: Query) -> str:
    return "in_image" if q.generated is None else "generated"


def hardest(q: Query) -> tuple[np.ndarray, np.ndarray]:
    """The method's own negatives, hardest first: cosines n, and positions n×2 (of generated ones the nearest patch)."""
    cosines, at = (q.in_image, q.in_image_at) if q.generated is None else (q.generated, q.generated_at)
    order = np.argsort(-cosines, kind="stable")
    return cosines[order], at[order]


def maps(seen: dict[str, View], found: dict[str, Query], choice: Choice) -> dict[str, Scaled]:
    """Similarity of the source's positions to the query, the translation's feature, under one scale."""
    return linear(
        {m: view.similarity(choice.layer, found[m].position, of="result") for m, view in seen.items()},
        "cosine similarity to the query",
        (None, 1.0),
    )


def words(q: Query) -> str:
    """How hard the negatives are."""
    cosines, at = hardest(q)
    places = len(np.unique(at, axis=0))
    harder = int((cosines > q.positive).sum())
    what = "negatives" if q.generated is None else "generated negatives"
    text = f"<b>{harder} of {len(cosines)} {what} are closer to the query than its positive</b> ({q.positive:.2f}). "
    if q.generated is not None:
        text += f"Their nearest patches are {places} different one{'s' if places != 1 else ''}."
    return text


def share_words(q: Query) -> str:
    names = {"positive": "positive", "in_image": "in-image", "generated": "generated negatives"}
    parts = [f"{names[k]} {v:.0%}".replace("%", "\u202f%") for k, v in q.shares.items()]
    return "Shares of the softmax with all of them in it: " + ", ".join(parts) + "."


def limits(found: dict[str, Query]) -> tuple[float, float]:
    """Shared ends of the strip plots."""
    every = np.concatenate(
        [np.r_[q.positive, q.in_image, [] if q.generated is None else q.generated] for q in found.values()]
    )
    return float(np.floor(10 * every.min()) / 10), float(
        max(np.ceil(10 * every.max()) / 10, np.floor(10 * every.min()) / 10 + 0.1)
    )


def strips(found: dict[str, Query]) -> dict[str, str]:
    ends = limits(found)
    return {
        m: plots.strip({"positive": np.array([q.positive]), "in_image": q.in_image, "generated": q.generated}, ends, m)
        for m, q in found.items()
    }


def patches(q: Query, view: View, layer: int) -> str:
    """Thumbnails, hardest first; equal places are shown once."""
    cosines, at = hardest(q)
    first = np.sort(np.unique(at, axis=0, return_index=True)[1])[:HARDEST]
    what = "Patch" if q.generated is None else "Nearest patch to this generated negative"
    shown = [
        figures.patch(view.grid(layer), at[i], f"{what}: row {at[i][0]}, column {at[i][1]}, cosine {cosines[i]:.2f}")
        + f"<small>{cosines[i]:.2f}</small>"
        for i in first
    ]
    return '<div class="patches">' + "".join(f"<div>{s}</div>" for s in shown) + "</div>"


def html(seen: dict[str, View], choice: Choice, absent: dict[str, str] | None = None) -> str:
    """The page under its controls; `absent` are the methods that it cannot show, with the reason."""
    found = look(seen, choice)
    scaled, plotted = maps(seen, found, choice), strips(found)
    view = next(iter(seen.values()))
    grid, size, at = view.grid(choice.layer), view.source.size, (choice.x, choice.y)
    position = choice.position(grid)
    place = f"row {position[0]}, column {position[1]}"
    places, lines, thumbs, clouds = [], [], [], []
    for method, q in found.items():
        name = title_of(method)
        marks = (
            figures.dots(grid, q.in_image_at, ranked=False, hollow=True)
            if q.generated is None
            else figures.triangles(grid, q.generated_at)
        )
        label = f"{name}: " + (
            "in-image negatives" if q.generated is None else "nearest patches to the generated negatives"
        )
        picture = figures.stack("source", size, label, figures.heat(scaled[method].values, grid),
                                marks + figures.ring(grid, position), grey=True, query=grid, at=at)  # fmt: skip
        places.append(figures.figure(method, picture + figures.scaled_bar(scaled[method]), words(q)))
        lines.append(figures.figure(method, plotted[method], share_words(q)))
        caption = "" if q.generated is None else "Nearest patch to each generated negative; several share one."
        thumbs.append(figures.figure(method, patches(q, seen[method], choice.layer), caption))
        clouds.append(figures.figure(method, plots.scatter(q.points, method)))
    source = figures.stack(
        "source", size, f"The source, the query at {place}", marks=figures.ring(grid, position), query=grid, at=at
    )
    lead = figures.figure(
        "source",
        source,
        f"The query is the translation at this place: {place}. Click, or focus a picture and use the arrow keys.",
    )
    pairs = "".join(
        f"<div>{figures.patch(grid, position, title, under, side=64)}<small>{title}</small></div>"
        for title, under in [("source", "source")] + [(title_of(m), f"result-{m}") for m in seen]
    )
    return "".join(
        (
            figures.row(
                f"Where the negatives lie, layer {choice.layer}",
                "Open dots: in-image negatives, at their real places. "
                "Triangles: the nearest patch to each generated negative, larger where several share it. Under "
                "them: how similar every patch of the source is.",
                places,
                lead,
                absent,
            ),
            figures.row(
                "How close they are",
                "A dot per negative; the line is the median. The farther right, the harder.",
                lines,
                figures.legend(
                    "Similarities are those of the query, the translation's feature, to features of the source, "
                    "and to generated ones. For QS-Attn, at layers 12 and 16, in-image negatives are the "
                    "gathered values of its anchors."
                ),
                absent,
            ),
            figures.row(
                "The hardest, as patches",
                "Hardest first, with the cosine.",
                thumbs,
                figures.legend(
                    "The query's patch in the source and in each translation.", f'<div class="patches">{pairs}</div>'
                ),
                absent,
            ),
            figures.row(
                "In two dimensions",
                "Query, positive and negatives on their first two principal components.",
                clouds,
                figures.legend(
                    "Open ring: the query. Filled: its positive. Open dots: in-image negatives. Triangles: "
                    "generated negatives. Move the noise seed to see how they vary."
                ),
                absent,
            ),
        )
    )


def facts(found: dict[str, Query], seen: dict[str, View], choice: Choice) -> dict:
    """The numbers, JSON-ready."""
    out = {}
    for method, q in found.items():
        cosines, at = hardest(q)
        out[method] = {
            "layer": choice.layer,
            "seed": choice.seed,
            "position": list(q.position),
            "pixel": [choice.x, choice.y],
            "positive": q.positive,
            "negatives": "generated" if q.generated is not None else "in-image",
            "closer_than_the_positive": int((cosines > q.positive).sum()),
            "number": len(cosines),
            "shares": q.shares,
            "hardest": [
                {"nearest_patch" if q.generated is not None else "position": p.tolist(), "cosine": float(c)}
                for c, p in zip(cosines[:HARDEST], at)
            ],
        }
    return out


def files(seen: dict[str, View], choice: Choice) -> dict:
    """Everything on the page as files by name (see `bundle`)."""
    found = look(seen, choice)
    scaled, plotted = maps(seen, found, choice), strips(found)
    view = next(iter(seen.values()))
    grid, source = view.grid(choice.layer), view.source
    at = choice.position(grid)
    out = {"source/source.png": overlays.ring(overlays.canvas(source), at, grid)}
    for method, q in found.items():
        s = scaled[method]
        drawn = overlays.heat(source, s.values, grid, (0, 1))
        drawn = (
            overlays.dots(drawn, q.in_image_at, grid, ranked=False)
            if q.generated is None
            else overlays.triangles(drawn, q.generated_at, grid)
        )
        out |= {
            f"{method}/negatives.png": overlays.ring(drawn, at, grid),
            f"{method}/similarity-bar.png": overlays.colour_bar((0, 1), s.label, ticks=s.ticks),
            f"{method}/similarities.svg": plots.standalone(plotted[method]),
            f"{method}/components.svg": plots.standalone(plots.scatter(q.points, method)),
        }
        for number, place in enumerate(hardest(q)[1][:HARDEST], 1):
            out[f"{method}/patches/{number:02d}.png"] = overlays.thumbnail(source, place, grid)
        arrays = {
            "positive": np.array(q.positive),
            "in_image": q.in_image,
            "in_image_at": q.in_image_at,
            "position": np.array(q.position),
        } | {f"components_{k}": v for k, v in q.points.items()}
        if q.generated is not None:
            arrays |= {"generated": q.generated, "generated_nearest": q.generated_at}
        out[f"{method}/arrays.npz"] = arrays
    return out | {"summary.json": facts(found, seen, choice)}
