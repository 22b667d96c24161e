"""The rows of the Negatives page that show forces: who is pushed away from the query, and how hard.

own_row(looked, selection)         # every method's negatives, as its own loss pushes them
papers_row(looked, selection)      # one method's features under the weights of four papers

`looked.found` are `Found` by method. All maps share one scale, so that rows can be compared.
"""

from dataclasses import dataclass

import numpy as np

from qsneg.config import METHODS
from qsneg.inspect import WEIGHTINGS, Forces, Query, View, forces
from qsneg.pages.page import CLICK, Looked, source_panel
from qsneg.pages.selection import Selection
from qsneg.rendering.colormaps import RANKS, Scaled, decades, number, percent, title_of
from qsneg.rendering.rows import Bubbles, Panel, Patch, Ring, Row

SHOWN = 10  # patches, the hardest
GROUPS = {
    "generated": "Generated: the nearest patch to each; shares as if both kinds were in the loss.",
    "in-image": "In the picture, beside them.",
}
PAPERS = "How would other papers have weighted these?"
SHAPES = "Dots are negatives in the picture; open triangles the nearest patches to generated ones, together where several share one."  # noqa: E501


@dataclass(frozen=True)
class Found:
    """What the page finds in one method."""

    query: Query
    similarity: np.ndarray  # of the source's positions to the query, H×W
    own: str  # the weighting of the method's own loss
    papers: dict[str, Forces]  # by weighting; NEGCUT's only where negatives are generated

    @property
    def forces(self) -> Forces:
        """Those of the method's own loss."""
        return self.papers[self.own]

    def groups(self) -> dict[str, tuple[Forces, np.ndarray]]:
        """The method's own negatives and their shares of all force; of NEGCUT generated and in-image ones, were both in
        the loss."""
        if self.own != "negcut":
            return {"in-image": (self.forces, self.forces.force / self.forces.force.sum())}
        found = {"generated": self.forces, "in-image": self.papers["cut"]}
        sums = {name: 1 / f.probability for name, f in found.items()}  # denominators, in units of the positive's term
        terms = {name: f.force * sums[name] for name, f in found.items()}
        return {name: (f, terms[name] / sum(map(np.sum, terms.values()))) for name, f in found.items()}


def of(view: View, layer: int, position: tuple[int, int], number, seed: int, mode: str, gamma) -> dict[str, Forces]:
    """The forces in one model by weighting, those that can be had."""
    able = [w for w in WEIGHTINGS if w != "negcut" or view.weights.negative_generator is not None]
    return {w: forces(view, layer, position, w, number, seed, mode, gamma=gamma) for w in able}


def own_row(looked: Looked, selection: Selection) -> Row:
    """The source with the query, and the force on every method's negatives."""
    grid, at = looked.view.grid(selection.layer), (selection.x, selection.y)
    position = selection.position(grid)
    place, scales = f"row {position[0]}, column {position[1]}", scaled(looked)
    said = f"The query is the translation at this place: {place}. {CLICK}"
    ring = (Ring(position),)
    panels = [source_panel(looked, grid, said, f"The source, the query at {place}", marks=ring, aim=at)]
    for method, found in looked.found.items():
        words = f"<b>{spread(found.forces)}</b>; the positive's probability is {number(found.forces.probability)}"
        words += "." if found.forces.giver is None else ", all of them gathered values, as the loss compares them."
        label = f"{title_of(method)}: force on every negative"
        look = dict(marks=marks(found, found.own, scales[method, found.own], position), label=label, words=words)
        panels.append(Panel(method, "forces", looked.source, grid, bar=scales[method, found.own], aim=at, **look))
    return looked.row(
        f"Force on every negative, layer {selection.layer}",
        "How hard each is pushed away by the method's own loss: its share of the query's gradient. Colours have one "
        "scale for this row and the next; areas are shares within a map. The chosen patch is one of the places that "
        f"the loss compares; the seed draws the others. {SHAPES}",
        panels,
    )


def papers_row(looked: Looked, selection: Selection) -> Row:
    """The features of one method under each paper's weights."""
    method = selection.the_method(looked.found)
    found, grid, scales = looked.found[method], looked.view.grid(selection.layer), scaled(looked)
    position, panels = selection.position(grid), []
    for weighting in WEIGHTINGS:
        name, title = f"forces-on-{method}", METHODS[weighting].title + (", its own" if weighting == found.own else "")
        if weighting not in found.papers:
            why = f"{title_of(method)} came without a network that generates negatives: only NEGCUT's weights have one."
            panels.append(Panel(weighting, absent=why))
            continue
        label = f"{title_of(method)}'s negatives as {METHODS[weighting].title} weighs them"
        drawn = marks(found, weighting, scales[method, weighting], position)
        words = f"<b>{spread(found.papers[weighting])}</b>. {weights_in_words(found.papers[weighting], selection)}"
        look = dict(bar=scales[method, weighting], aim=(selection.x, selection.y), title=title, label=label)
        panels.append(Panel(weighting, name, looked.source, grid, marks=drawn, words=words, **look))
    note = (
        f"{title_of(method)}'s features as they are, under the weights of four papers; nothing is trained for this. "
        "Choose another method's features above."
    )
    return Row(PAPERS, note, tuple(panels))


def scaled(looked: Looked) -> dict[tuple[str, str], Scaled]:
    """All forces under one scale, by method and weighting."""
    logs = {(m, w): np.log(np.maximum(f.force, 1e-300)) for m, x in looked.found.items() for w, f in x.papers.items()}
    return decades(logs, "force: share of the query's gradient", name=RANKS)


def marks(found: Found, weighting: str, scale: Scaled, position: tuple[int, int]) -> tuple:
    """Negatives where they lie, and the query on top."""
    drawn = Bubbles(found.papers[weighting].at, found.papers[weighting].force, scale, weighting == "negcut")
    return drawn, Ring(position)


def spread(found: Forces) -> str:
    """On how many the force falls."""
    return (
        f"The ten hardest of {len(found.force)} take {percent(found.hardest)} of the force, which spreads as over "
        f"{number(round(found.effective, 1))} equal ones"
    )


def weights_in_words(found: Forces, selection: Selection) -> str:
    """How unlike the weights are."""
    if found.weighting in ("cut", "negcut"):
        return "All weigh the same." if found.weighting == "cut" else "Generated ones; all weigh the same."
    ends = f"Weights from {number(found.weight.min())} to {number(found.weight.max())}"
    if found.weighting == "hdce":
        return f"{ends} at γ = {selection.gamma}; the positive is not in the denominator."
    return f"{ends}, by a plan of optimal transport."


def hardest(at: np.ndarray, force: np.ndarray) -> list[np.ndarray]:
    """Indices of the negatives at each of the hardest places, hardest first; the force of those at one is one."""
    _, place = np.unique(at, axis=0, return_inverse=True)
    order = np.argsort(-np.bincount(place.ravel(), force), kind="stable")[:SHOWN]
    return [sorted(np.flatnonzero(place.ravel() == p), key=lambda i: -force[i]) for p in order]


def patch_panels(method: str, looked: Looked, selection: Selection) -> list[Panel]:
    """The hardest of a method's negatives as small squares: of NEGCUT generated ones, and those
    in the picture; of gathered ones what gives most to each."""
    grid, panels = looked.view.grid(selection.layer), []
    groups = looked.found[method].groups()
    for kind, (found, force) in groups.items():
        what = "Patch" if kind == "in-image" else "Nearest patch to this generated negative"
        what = what if found.giver is None else "Patch that gives most to this gathered negative"
        at = found.at if found.giver is None else found.giver
        shown = tuple(
            Patch(
                at[first],
                f"{what}: row {at[first][0]}, column {at[first][1]}, cosine {found.cosine[first]:.2f}, weight "
                f"{number(found.weight[first])}" + f"; with {len(others)} more of this place" * bool(others),
                looked.source,
                grid,
                percent(force[[first, *others]].sum(), 1),
            )
            for first, *others in hardest(at, force)
        )
        words = "" if found.giver is None else "The patches that give most to each gathered negative, together."
        if len(groups) > 1:
            words = GROUPS[kind]
        panels.append(Panel(method, f"patches-{kind}", patches=shown, words=words))
    return panels


def facts(found: Forces) -> dict:
    """The numbers of one weighting."""
    return {
        "negatives": len(found.force),
        "effective_number": found.effective,
        "share_of_the_ten_hardest": found.hardest,
        "probability_of_the_positive": found.probability,
        "loss_nats": found.loss,
        "weights_from_to": [float(found.weight.min()), float(found.weight.max())],
    }


def facts_of_hardest(found: Found) -> list[dict]:
    """The hardest of the method's own negatives; of a generated one its nearest patch."""
    own = found.forces
    place = "position" if found.own != "negcut" else "nearest_patch"
    return [
        {
            place: own.at[i].tolist(),
            "cosine": float(own.cosine[i]),
            "weight": float(own.weight[i]),
            "force": float(own.force[i]),
        }
        for i in np.argsort(-own.force, kind="stable")[:SHOWN]
    ]
