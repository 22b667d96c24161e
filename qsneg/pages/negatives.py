"""The Negatives page: who is pushed away from one patch, and how hard, under every method and under four papers; how
close the negatives are, on the picture, as patches, in numbers."""

import numpy as np

import qsneg.pages.controls as controls
import qsneg.pages.forces as forces
from qsneg.config import CUT, HDCE, MONCE, NEGCUT
from qsneg.inspect import Query, View, own_weighting, query, summary
from qsneg.pages.forces import Found
from qsneg.pages.page import LAYER, TAU, Looked, ViewPage, Words
from qsneg.pages.selection import Selection
from qsneg.rendering import plots
from qsneg.rendering.colormaps import linear, percent, title_of
from qsneg.rendering.rows import Dots, Givers, Mark, Panel, Patch, Ring, Row, Triangles

GAMMA = "gamma: how evenly hDCE's weights spread; its training goes from 50 to 10"
BRIGHT = "Bright: the source looks to the network like the query there. Negatives on bright places are pushed hardest."
CLOSE = (
    "Similarities are those of the query, the translation's feature, to features of the source, and to generated ones. "
    "For QS-Attn, at layers 12 and 16, in-image negatives are the gathered values of its anchors; query and positive "
    "are the place's own features here, where its loss compares gathered ones."
)
FLAT = (
    "Open ring: the query. Filled: its positive. Open dots: in-image negatives. Triangles: generated negatives. Move "
    "the noise seed to see how they vary."
)


class Negatives(ViewPage):
    name, title = "negatives", "Negatives"
    words = Words(
        "The chosen patch of the translation, the query, should be closer to the same place of the source, its "
        "positive, than to its negatives: the closer those are, the harder they are pushed away. Papers differ in who "
        "is pushed, and how hard: CUT and QS-Attn take patches of the picture, NEGCUT generates negatives, MoNCE and "
        "hDCE weigh them.",
        "loss = −ln [ e<sup>q·p/τ</sup> / (e<sup>q·p/τ</sup> + Σ<sub>n</sub> w<sub>n</sub> e<sup>q·n/τ</sup>) ], "
        "&ensp; τ = 0.07; &ensp; force on n = w<sub>n</sub> e<sup>q·n/τ</sup> over the denominator; &ensp; NEGCUT: "
        "n = N(mean f, z), &ensp; z ∼ 𝒩(0, 1)",
        "w = 1 in CUT, QS-Attn and NEGCUT. MoNCE: (N − 1) times a plan of optimal transport between queries and keys. "
        "hDCE: (N − 1) softmax(p·n/γ), and the positive is not in the denominator. The effective number of negatives "
        "is e to the entropy of the forces over their sum. A triangle marks the nearest patch to a generated negative, "
        "not a place that it came from. Another seed gives other generated negatives, and other random positions.",
        (CUT, NEGCUT, MONCE, HDCE),
        (LAYER, TAU),
    )
    controls = (
        controls.layer(),
        controls.mode("QS-Attn's selection"),
        *controls.row_and_column(),
        controls.seed("Seed"),
        controls.whose("Features in the second row"),
        controls.Control("gamma", "hDCE's γ", 10, GAMMA, range=(10, 50, 1)),
        controls.opacity(),
    )
    needs_heads = True

    def prepare_one(self, view: View, selection: Selection) -> None:
        for _ in view.blocks(selection.layer):
            pass
        self.find(view, selection)

    def find(self, view: View, selection: Selection) -> Found:
        layer, position = selection.layer, selection.position(view.grid(selection.layer))
        number, mode = selection.patches or None, selection.the_mode(view)
        found = query(view, layer, position, number, selection.seed, mode)
        papers = forces.of(view, layer, position, number, selection.seed, mode, selection.gamma)
        return Found(found, view.similarity(layer, position, of="result"), own_weighting(view), papers)

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        found: dict[str, Query] = {m: f.query for m, f in looked.found.items()}
        grid, ends, number = looked.view.grid(selection.layer), limits(found), len(next(iter(found.values())).in_image)
        position, pairs = selection.position(grid), []
        lines, thumbs, clouds = [], [], []
        for method, q in found.items():
            lines.append(Panel(method, "similarities", plot=strip(q, ends, method), words=share_words(q)))
            thumbs += forces.patch_panels(method, looked, selection)
            clouds.append(Panel(method, "components", plot=plots.scatter(q.points, method)))
        for title, picture in [("source", looked.source)] + [(title_of(m), looked.result(m)) for m in looked.seen]:
            pairs.append(Patch(position, title, picture, grid, title, 64))
        return [
            forces.own_row(looked, selection),
            forces.papers_row(looked, selection),
            looked.row(
                f"How similar every patch is, layer {selection.layer}",
                f"The cosine of the query to all positions of the source. Open dots: in-image negatives, {number} as "
                "there are generated ones. Of QS-Attn they are its anchors, tied to the positions that give most to "
                "what is gathered there. Triangles: the nearest patch to each generated negative, larger where several "
                "share it.",
                self.places(looked, selection),
            ),
            looked.row(
                "The hardest, as patches",
                "Hardest first, with their share of the force; of generated and in-image ones together where a method "
                "generates them.",
                [
                    Panel("", words="The query's patch in the source and in each translation.", patches=tuple(pairs)),
                    *thumbs,
                ],
            ),
            looked.row(
                "How close they are",
                "A dot per negative, as many of either kind; the line is the median. The farther right, the harder.",
                [Panel("", words=CLOSE), *lines],
            ),
            looked.row(
                "In two dimensions",
                "Query, positive and negatives on their first two principal components.",
                [Panel("", words=FLAT), *clouds],
            ),
        ]

    def places(self, looked: Looked, selection: Selection) -> list[Panel]:
        """Every method's negatives where they lie, on the similarity of all positions to the query."""
        maps = linear({m: f.similarity for m, f in looked.found.items()}, "cosine similarity to the query", (None, 1.0))
        grid, at = looked.view.grid(selection.layer), (selection.x, selection.y)
        ring, panels = Ring(selection.position(grid)), [Panel("", words=BRIGHT)]
        for method, found in looked.found.items():
            q = found.query
            what = "in-image negatives" if q.generated is None else "nearest patches to the generated negatives"
            look = dict(marks=(mark(q), ring), words=words(q), label=f"{title_of(method)}: {what}", aim=at)
            panels.append(Panel(method, "negatives", looked.source, grid, maps[method], **look))
        return panels

    def facts(self, looked: Looked, selection: Selection) -> dict:
        out = {}
        for method, found in looked.found.items():
            q = found.query
            cosines = q.in_image if q.generated is None else q.generated
            out[method] = {
                "layer": selection.layer,
                "seed": selection.seed,
                "position": list(q.position),
                "pixel": list(looked.view.grid(selection.layer).centre(*q.position)),
                "positive": q.positive,
                "negatives": "in-image" if q.generated is None else "generated",
                "closer_than_the_positive": int((cosines > q.positive).sum()),
                "number": len(cosines),
                "shares": q.shares,
                "weighting": found.own,
                "gamma": selection.gamma,
                "forces": {name: forces.facts(f) for name, f in found.papers.items()},
                "hardest": forces.facts_of_hardest(found),
            }
            if q.giver is not None:
                out[method] |= {"gathered_from": len(np.unique(q.giver, axis=0)), "from_itself": own(q)}
        return out

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        out = {}
        for method, found in looked.found.items():
            q = found.query
            out[method] = {"positive": np.array(q.positive), "position": np.array(q.position)}
            out[method] |= {"similarity": found.similarity, "in_image": q.in_image, "in_image_at": q.in_image_at}
            out[method] |= {f"components_{k}": v for k, v in q.points.items()}
            for name, f in found.papers.items():
                out[method] |= {f"{name}_{k}": getattr(f, k) for k in ("force", "weight", "cosine", "at")}
            if q.generated is not None:
                out[method] |= {"generated": q.generated, "generated_nearest": q.generated_at}
            if q.giver is not None:
                out[method] |= {"in_image_giver": q.giver, "in_image_given": q.given}
        return out


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
    cosines, at = (q.in_image, q.in_image_at) if q.generated is None else (q.generated, q.generated_at)
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
