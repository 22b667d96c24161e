"""The Hard negatives page: one query against its positive and its negatives, in numbers, on the picture, as patches."""

import numpy as np

import qsneg.pages.controls as controls
from qsneg.config import CUT, NEGCUT
from qsneg.inspect import Query, View, query, summary
from qsneg.pages.page import CLICK, Looked, ViewPage, Words, source_panel
from qsneg.pages.selection import Selection
from qsneg.rendering import plots
from qsneg.rendering.colormaps import linear, percent, title_of
from qsneg.rendering.rows import Dots, Givers, Mark, Panel, Patch, Ring, Row, Triangles

HARDEST = 10  # patches shown
CLOSE = (
    "Similarities are those of the query, the translation's feature, to features of the source, and to generated ones. "
    "For QS-Attn, at layers 12 and 16, in-image negatives are the gathered values of its anchors."
)
FLAT = (
    "Open ring: the query. Filled: its positive. Open dots: in-image negatives. Triangles: generated negatives. Move "
    "the noise seed to see how they vary."
)


class HardNegatives(ViewPage):
    name, title = "negatives", "Hard negatives"
    words = Words(
        "The chosen patch of the translation, the query, should be closer to the same place of the source, its "
        "positive, than to its negatives: the closer those are, the harder. CUT and QS-Attn take patches of the "
        "picture itself; NEGCUT generates negatives that have no place, so the nearest patch to each is looked up.",
        "loss = −ln [ e<sup>q·p/τ</sup> / (e<sup>q·p/τ</sup> + Σ<sub>n</sub> e<sup>q·n/τ</sup>) ], &ensp; τ = 0.07; "
        "&ensp; NEGCUT: n = N(mean f, z), &ensp; z ∼ 𝒩(0, 1)",
        "A triangle marks the nearest patch to a generated negative, not a place that it came from. Another noise seed "
        "gives other generated negatives, and other random positions.",
        (NEGCUT, CUT),
    )
    controls = (
        controls.layer(),
        controls.mode("QS-Attn's selection"),
        *controls.row_and_column(),
        controls.seed("Noise seed"),
        controls.opacity(),
    )
    needs_heads = True

    def prepare_one(self, view: View, selection: Selection) -> None:
        for _ in view.blocks(selection.layer):
            pass
        self.find(view, selection)

    def find(self, view: View, selection: Selection) -> tuple[Query, np.ndarray]:
        """The query, and the similarity of the source's positions to it, H×W."""
        layer, position = selection.layer, selection.position(view.grid(selection.layer))
        number, mode = selection.patches or None, selection.the_mode(view)
        found = query(view, layer, position, number, selection.seed, mode)
        return found, view.similarity(layer, position, of="result")

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        found: dict[str, Query] = {m: q for m, (q, _) in looked.found.items()}
        grid, ends, number = looked.view.grid(selection.layer), limits(found), len(next(iter(found.values())).in_image)
        position = selection.position(grid)
        lines, thumbs, clouds = [], [], []
        for method, q in found.items():
            lines.append(Panel(method, "similarities", plot=strip(q, ends, method), words=share_words(q)))
            several = "" if q.generated is None else "Nearest patch to each generated negative; several share one."
            several = several if q.giver is None else "The patches that give most to each gathered negative."
            thumbs.append(Panel(method, "patches", patches=patches(q, looked, grid), words=several))
            clouds.append(Panel(method, "components", plot=plots.scatter(q.points, method)))
        under = [("source", looked.source)] + [(title_of(m), looked.result(m)) for m in looked.seen]
        pairs = tuple(Patch(position, title, picture, grid, title, 64) for title, picture in under)
        return [
            looked.row(
                f"Where the negatives lie, layer {selection.layer}",
                f"Open dots: in-image negatives, {number} as there are generated ones. Of QS-Attn they are its "
                "anchors, tied to the positions that give most to what is gathered there. Triangles: the nearest "
                "patch to each generated negative, larger where several share it. Under them: how similar every patch "
                "of the source is.",
                self.places(looked, selection),
            ),
            looked.row(
                "How close they are",
                "A dot per negative; the line is the median. The farther right, the harder.",
                [Panel("", words=CLOSE), *lines],
            ),
            looked.row(
                "The hardest, as patches",
                "Hardest first, with the cosine.",
                [Panel("", words="The query's patch in the source and in each translation.", patches=pairs), *thumbs],
            ),
            looked.row(
                "In two dimensions",
                "Query, positive and negatives on their first two principal components.",
                [Panel("", words=FLAT), *clouds],
            ),
        ]

    def places(self, looked: Looked, selection: Selection) -> list[Panel]:
        """The source with the query, and every method's negatives where they lie."""
        maps = linear({m: s for m, (_, s) in looked.found.items()}, "cosine similarity to the query", (None, 1.0))
        grid, at = looked.view.grid(selection.layer), (selection.x, selection.y)
        position = selection.position(grid)
        place, ring = f"row {position[0]}, column {position[1]}", Ring(position)
        said = f"The query is the translation at this place: {place}. {CLICK}"
        panels = [source_panel(looked, grid, said, f"The source, the query at {place}", marks=(ring,), aim=at)]
        for method, (q, _) in looked.found.items():
            what = "in-image negatives" if q.generated is None else "nearest patches to the generated negatives"
            look = dict(marks=(mark(q), ring), words=words(q), label=f"{title_of(method)}: {what}", aim=at)
            panels.append(Panel(method, "negatives", looked.source, grid, maps[method], **look))
        return panels

    def facts(self, looked: Looked, selection: Selection) -> dict:
        out = {}
        for method, (q, _) in looked.found.items():
            cosines, at = hardest(q)
            place = "position" if q.generated is None else "nearest_patch"
            out[method] = {
                "layer": selection.layer,
                "seed": selection.seed,
                "position": list(q.position),
                "pixel": [selection.x, selection.y],
                "positive": q.positive,
                "negatives": "in-image" if q.generated is None else "generated",
                "closer_than_the_positive": int((cosines > q.positive).sum()),
                "number": len(cosines),
                "shares": q.shares,
                "hardest": [{place: p.tolist(), "cosine": float(c)} for c, p in zip(cosines[:HARDEST], at)],
            }
            if q.giver is not None:
                out[method] |= {"gathered_from": len(np.unique(q.giver, axis=0)), "from_itself": own(q)}
        return out

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        out = {}
        for method, (q, similarity) in looked.found.items():
            out[method] = {"positive": np.array(q.positive), "position": np.array(q.position), "similarity": similarity}
            out[method] |= {"in_image": q.in_image, "in_image_at": q.in_image_at}
            out[method] |= {f"components_{k}": v for k, v in q.points.items()}
            if q.generated is not None:
                out[method] |= {"generated": q.generated, "generated_nearest": q.generated_at}
            if q.giver is not None:
                out[method] |= {"in_image_giver": q.giver, "in_image_given": q.given}
        return out


def hardest(q: Query, gathered: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The method's own negatives, hardest first: cosines n, and positions n×2 (of generated ones the nearest patch; of
    gathered ones, where `gathered`, the position that gives most)."""
    cosines, at = (q.in_image, q.in_image_at) if q.generated is None else (q.generated, q.generated_at)
    at = q.giver if gathered and q.giver is not None else at
    order = np.argsort(-cosines, kind="stable")
    return cosines[order], at[order]


def mark(q: Query) -> Mark:
    """Where the method's own negatives lie."""
    if q.generated is not None:
        return Triangles(q.generated_at)
    return Dots(q.in_image_at, False, True) if q.giver is None else Givers(q.in_image_at, q.giver)


def own(q: Query) -> int:
    """How many gathered negatives come from their own anchor more than from any other position."""
    return int((q.giver == q.in_image_at).all(1).sum())


def words(q: Query) -> str:
    """How hard the negatives are."""
    cosines, at = hardest(q)
    places, harder = len(np.unique(at, axis=0)), int((cosines > q.positive).sum())
    what = "negatives" if q.generated is None else "generated negatives"
    text = f"<b>{harder} of {len(cosines)} {what} are closer to the query than its positive</b> ({q.positive:.2f}). "
    if q.generated is not None:
        text += f"Their nearest patches are {places} different one{'s' if places != 1 else ''}."
    if q.giver is not None:
        givers = len(np.unique(q.giver, axis=0))
        text += f"What is gathered at these {places} anchors comes mostly from {givers} position"
        text += f"{'s' if givers != 1 else ''}; at {own(q)} of them, from the anchor itself."
    return text


def share_words(q: Query) -> str:
    names = {"positive": "positive", "in_image": "in-image", "generated": "generated negatives"}
    whole = summary.percentages(q.shares)
    parts = [f"{names[k]} {percent(v / 100)}" for k, v in whole.items()]
    return "Shares of the softmax with all of them in it: " + ", ".join(parts) + "."


def limits(found: dict[str, Query]) -> tuple[float, float]:
    """Shared ends of the strip plots."""
    every = np.concatenate(
        [np.r_[q.positive, q.in_image, [] if q.generated is None else q.generated] for q in found.values()]
    )
    low, high = np.floor(10 * every.min()) / 10, np.ceil(10 * every.max()) / 10
    return float(low), float(max(high, low + 0.1))


def strip(q: Query, ends: tuple[float, float], method: str) -> str:
    return plots.strip({"positive": [q.positive], "in_image": q.in_image, "generated": q.generated}, ends, method)


def patches(q: Query, looked: Looked, grid) -> tuple[Patch, ...]:
    """The hardest, hardest first, or what gives most to them; equal places are shown once."""
    cosines, at = hardest(q, gathered=True)
    first = np.sort(np.unique(at, axis=0, return_index=True)[1])[:HARDEST]
    what = "Patch" if q.generated is None else "Nearest patch to this generated negative"
    what = what if q.giver is None else "Patch that gives most to this gathered negative"
    return tuple(
        Patch(
            at[i],
            f"{what}: row {at[i][0]}, column {at[i][1]}, cosine {cosines[i]:.2f}",
            looked.source,
            grid,
            f"{cosines[i]:.2f}",
        )
        for i in first
    )
