"""The What if page: other negatives, fewer of them, another temperature; what the loss and its gradient would be."""

from dataclasses import dataclass, replace

import numpy as np

import qsneg.pages.controls as controls
from qsneg.config import CUT
from qsneg.inspect import Grid, View, WhatIf, on_pixels, what_if
from qsneg.pages.page import CLICK, LAYER, NAT, TAU, Looked, ViewPage, Words, source_panel
from qsneg.pages.selection import Selection
from qsneg.rendering.colormaps import linear, number, title_of
from qsneg.rendering.rows import Cross, Panel, Ring, Row

AWAY = (("none", 0), ("one", 1), ("ten", 10))
AWAY_TIP = "away: negatives taken away, by their similarity to the chosen patch"
CLICK_TIP = "whether a click chooses the patch, or takes away the negatives that lie nearest (near)"
FIRST_TIP = "first: the hardest of those taken away, 1 for the most similar of all to the chosen patch"
PULL = (
    "Long where a step of the training would change the feature most. A small τ pulls at few positions and hard, a "
    "large one at all alike. Losses of different τ have different scales."
)


class Rank(controls.Control):
    """From the hardest negative on, wherever they lie."""

    def set(self, selection: Selection, value, view: View | None) -> Selection:
        return replace(selection, first=value, near_x=-1, near_y=-1)


@dataclass(frozen=True)
class Found:
    """One method's loss and gradient under what is chosen, and as trained; on pixels where that was asked for."""

    now: WhatIf
    trained: WhatIf
    pixels: tuple[np.ndarray, float] | None = None  # H×W of the picture, and seconds


class IfPage(ViewPage):
    name, title = "what-if", "What if"
    words = Words(
        "What would the loss be with more or fewer negatives, another temperature, or without any one of them? "
        "Nothing is trained or translated for this: the features are there, only the loss is computed anew.",
        "loss<sub>i</sub>(τ, N) = −ln [ e<sup>q<sub>i</sub>·p<sub>i</sub>/τ</sup> / (e<sup>q<sub>i</sub>·p<sub>i</sub>"
        "/τ</sup> + Σ<sub>n</sub> e<sup>q<sub>i</sub>·n/τ</sup>) ], &ensp; |∂ loss<sub>i</sub> / ∂ f<sub>i</sub>|",
        "f is the translation's feature before the projection head. On pixels: the gradient of the chosen patch's loss "
        "at the translation itself, one forward and backward of the encoder; it shows what the patch looks at. All "
        "negatives weigh the same here.",
        (CUT,),
        (LAYER, NAT, TAU),
    )
    controls = (
        controls.layer(),
        controls.mode("QS-Attn's selection"),
        *controls.row_and_column(),
        controls.Number("rivals", "Negatives", 128, "num: how many negatives", range=(2, 1024, 1)),
        controls.Temperature("tau", "τ, hundredths", 7, "temperature: τ of the loss", range=(1, 100, 1)),
        controls.Control("away", "Take away", 0, AWAY_TIP, AWAY),
        Rank("first", "From the n-th hardest", 1, FIRST_TIP, range=(1, 1024, 1)),
        controls.Control("click", "A click", 0, CLICK_TIP, (("chooses", 0), ("takes away", 1))),
        controls.Control("pixels", "Gradient", 0, "one pass of the encoder", (("at features", 0), ("on pixels", 1))),
        controls.seed(),
        controls.opacity(),
    )
    needs_heads = True

    def clicked(self, selection: Selection, x: float, y: float) -> Selection:
        """The patch is chosen, or the negatives that lie nearest are taken away: at least one."""
        if not selection.click:
            return super().clicked(selection, x, y)
        return replace(selection, near_x=max(0, round(x)), near_y=max(0, round(y)), away=selection.away or 1)

    def reads(self, selection: Selection) -> tuple:
        return *super().reads(selection), selection.near_x, selection.near_y

    def prepare_one(self, view: View, selection: Selection) -> None:
        what_if(view, **trained(view, selection))

    def find(self, view: View, selection: Selection) -> Found:
        common = trained(view, selection)
        position = selection.position(view.grid(selection.layer))
        changed = common | dict(
            position=position,
            num=selection.rivals or common["num"],
            temperature=selection.tau / 100 if selection.tau else None,
            away=selection.away,
            first=selection.first,
            near=selection.near(view.grid(selection.layer)),
        )
        pixels = on_pixels(view, **changed) if selection.pixels else None
        return Found(what_if(view, **changed), what_if(view, **common), pixels)

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        found: dict[str, Found] = looked.found
        grid, at = looked.view.grid(selection.layer), (selection.x, selection.y)
        if selection.click and selection.near(grid):
            at = selection.near_x, selection.near_y  # from where the arrow keys go on
        position = selection.position(grid)
        place, ring = f"row {position[0]}, column {position[1]}", (Ring(position),)
        losses = linear({m: f.now.loss for m, f in found.items()}, "contrastive loss, nats", (0.0, None))
        pulls = linear({m: f.now.gradient for m, f in found.items()}, "length of the gradient", (0.0, None))
        said = f"The chosen patch: {place}. {CLICK}"
        above, below = [source_panel(looked, grid, said, f"The source, the query at {place}", marks=ring, aim=at)], []
        for method, f in found.items():
            gone = f.now.at if f.now.at is not None and len(f.now.at) else None
            marks = ring if gone is None else (Cross(gone), *ring)
            look = dict(aim=at, marks=marks, label=f"{title_of(method)}: loss of every patch")
            words = change(f.now.loss, f.trained.loss, position, "nats") + left(f)
            if selection.away and gone is None and f.now.at is None and selection.near(grid):
                words += " Its negatives are generated and lie nowhere: none is taken away."
            above.append(Panel(method, "loss", looked.source, grid, losses[method], words=words, **look))
            look["label"] = f"{title_of(method)}: length of the gradient at every feature"
            words = change(f.now.gradient, f.trained.gradient, position)
            below.append(Panel(method, "gradient", looked.source, grid, pulls[method], words=words, **look))
        rows = [
            looked.row(
                f"The loss, layer {selection.layer}",
                "Of every patch under what is chosen above, one scale for all methods; in words beside what it is as "
                "trained. Crosses: what was taken away, where it lies in the picture.",
                above,
            ),
            looked.row(
                "How hard it pulls at the features", "One scale for all methods.", [Panel("", words=PULL), *below]
            ),
        ]
        return rows + ([self.on_pixels(looked, selection)] if selection.pixels else [])

    def on_pixels(self, looked: Looked, selection: Selection) -> Row:
        """The gradient of the chosen patch's loss at the translation's pixels."""
        maps = linear({m: f.pixels[0] for m, f in looked.found.items()}, "length of the gradient", (0.0, None))
        panels = []
        for method, scaled in maps.items():
            grid = Grid(selection.layer, scaled.values.shape, looked.view.source.size, 1, 0)
            label = f"{title_of(method)}: gradient of the chosen patch's loss at the translation's pixels"
            words = f"One forward and backward of the encoder: {looked.found[method].pixels[1]:.2f} s."
            look = dict(words=words, label=label, aim=(selection.x, selection.y))
            panels.append(Panel(method, "pixels", looked.result(method), grid, scaled, **look))
        said = Panel("", words="What the patch looks at: where a pixel would change its loss most.")
        return looked.row(
            "How hard it pulls at the pixels",
            "Of the chosen patch's loss alone, over each translation; one scale.",
            [said, *panels],
        )

    def facts(self, looked: Looked, selection: Selection) -> dict:
        position = selection.position(looked.view.grid(selection.layer))
        return {
            method: {
                "position": list(position),
                "negatives": f.now.negatives,
                "temperature": selection.tau / 100 or looked.seen[method].config.temperature,
                "taken_away": len(f.now.hardest),
                "taken_away_at": None if f.now.at is None else f.now.at.tolist(),
                "loss_mean_nats": float(f.now.loss.mean()),
                "loss_mean_nats_as_trained": float(f.trained.loss.mean()),
                "loss_here_nats": float(f.now.loss[position]),
                "gradient_mean": float(f.now.gradient.mean()),
                "gradient_mean_as_trained": float(f.trained.gradient.mean()),
            }
            for method, f in looked.found.items()
        }

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        out = {m: {"loss": f.now.loss, "gradient": f.now.gradient} for m, f in looked.found.items()}
        for method, f in looked.found.items():
            out[method] |= {} if f.pixels is None else {"pixels": f.pixels[0]}
        return out


def trained(view: View, selection: Selection) -> dict:
    """The arguments of `what_if` for the loss as it is trained."""
    mode = selection.the_mode(view)
    return dict(layer=selection.layer, num=selection.patches or None, seed=selection.seed, mode=mode, position=(0, 0))


def change(now: np.ndarray, before: np.ndarray, position: tuple[int, int], unit: str = "") -> str:
    """Mean and value at the chosen patch, beside what they are as trained."""
    values = [number(float(v)) for v in (now.mean(), before.mean(), now[position], before[position])]
    unit = f" {unit}" * bool(unit)
    if np.array_equal(now, before):
        return f"<b>Mean {values[0]}{unit}</b>, at the chosen patch {values[2]}{unit}: as trained."
    return (
        f"<b>Mean {values[0]}{unit}</b>, as trained {values[1]}. At the chosen patch {values[2]}{unit}, as trained "
        f"{values[3]}."
    )


def left(found: Found) -> str:
    """How many negatives there are, if not as trained."""
    count, before = found.now.negatives, found.trained.negatives
    return f" {count} negatives, as trained {before}." if count != before else ""
