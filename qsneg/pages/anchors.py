"""The Anchors page: entropies under one scale, anchors beside random positions, histograms with the cut-off; four ways
of choosing side by side, and what is gathered."""

from collections.abc import Iterator

import numpy as np

import qsneg.pages.choices as choices
import qsneg.pages.controls as controls
from qsneg.config import CUT, ENCO, QS_ATTN
from qsneg.inspect import Inspection, View, inspect, summary
from qsneg.pages.choices import AnchorsLooked
from qsneg.pages.page import LAYER, NAT, Looked, ViewPage, Words, source_panel
from qsneg.pages.selection import Selection
from qsneg.rendering import plots
from qsneg.rendering.colormaps import RANKS, Bar, by_log, colour_of, number, percent, power, shared_limits, title_of
from qsneg.rendering.rows import Dots, Panel, Row

HOW_MANY = "how many positions of lowest entropy; at first as many as the models' own patches"
SAME = "Local and local + global choose the same: they differ in what is gathered there."


class Anchors(ViewPage):
    name, title = "anchors", "Anchors"
    words = Words(
        "Entropy says how widely a position attends over the picture: low where it stands out, high where it resembles "
        "much else. QS-Attn asks its loss at the positions of lowest entropy, the anchors; here the same rule reads "
        "each method's features, with as many random positions, as CUT draws them, on the left. Below, four ways of "
        "choosing in one method's features, and what attention gathers at one place.",
        "S = T·T<sup>⊤</sup>, &ensp; A<sub>ij</sub> = e<sup>S<sub>ij</sub></sup> / Σ<sub>k</sub> "
        "e<sup>S<sub>ik</sub></sup>, &ensp; h<sub>i</sub> = −Σ<sub>j</sub> A<sub>ij</sub> ln A<sub>ij</sub>; &ensp; "
        "anchors: the N positions of lowest h",
        "T holds a feature vector for every position. In local mode j runs over the window of 7 × 7 positions around "
        "i; local + global selects by local entropy and gathers along global rows. Entropies here are found through "
        "their logarithm, since many are too small for ordinary numbers.",
        (QS_ATTN, CUT, ENCO),
        (LAYER, NAT),
    )
    controls = (
        controls.layer(),
        controls.mode("QS-Attn's selection"),
        controls.Number("anchors", "Anchors", 256, f"num_anchors: {HOW_MANY}", range=(16, 1024, 16)),
        controls.scale(Selection.the_scale),
        controls.seed(),
        controls.whose("Ways of choosing in"),
        *controls.row_and_column(),
        controls.opacity(),
    )

    def prepare_one(self, view: View, selection: Selection) -> None:
        view.entropy(selection.layer, selection.the_mode(view))

    def find(self, view: View, selection: Selection) -> Inspection:
        return inspect(
            view,
            selection.layer,
            selection.the_mode(view),
            selection.number,
            selection.seed,
            num_negatives=selection.patches or None,
        )

    def prepare(self, seen: dict[str, View], selection: Selection) -> Iterator[str]:
        yield from super().prepare(seen, selection)
        able, _ = self.split(seen, selection)
        method = selection.the_method(able)
        key = "prepared", self.name, "choices", selection.number, *selection.slow
        if key not in able[method].kept:
            yield f"{title_of(method)}: choosing places in other ways"
            choices.of(able[method], method, selection)
            able[method].kept[key] = []

    def look(self, seen: dict[str, View], selection: Selection) -> AnchorsLooked:
        looked = super().look(seen, selection)
        method = selection.the_method(looked.seen)
        choice = choices.of(looked.seen[method], method, selection)
        return AnchorsLooked(looked.seen, looked.found, looked.absent, choice)

    def rows(self, looked: AnchorsLooked, selection: Selection) -> list[Row]:
        return [
            *self.selected(looked, selection),
            choices.ways_row(looked, selection),
            choices.gathered_row(looked, selection),
        ]

    def selected(self, looked: Looked, selection: Selection) -> list[Row]:
        """The rows about all methods: entropies, anchors, histograms."""
        found: dict[str, Inspection] = looked.found
        first = next(iter(found.values()))
        grid, count, layer = first.grid, len(first.anchors), f"layer {selection.layer}"
        scaled = by_log({m: f.log_entropy for m, f in found.items()}, selection.the_scale(), "entropy, nats")
        bars, ranks = histograms(found, selection), rank_bar(count)
        entropies, anchors, counts = [], [], []
        for method, result in found.items():
            under = dict(under=looked.source, grid=grid)
            label = f"{title_of(method)}: entropies at {layer} over the source"
            entropies.append(Panel(method, "entropy", map=scaled[method], words=words(result), label=label, **under))
            label = f"{title_of(method)}: {count} anchors on the source"
            anchors.append(Panel(method, "anchors", marks=(Dots(result.anchors),), bar=ranks, label=label, **under))
            counts.append(Panel(method, "histogram", plot=bars[method], words=cut_words(result)))
        width, height = grid.size
        said = f"{width} × {height} pixels; the grid of {layer} has {grid.shape[0]} rows of {grid.shape[1]} positions."
        random = Panel(
            "source",
            "random-positions",
            looked.source,
            grid,
            marks=(Dots(first.random, ranked=False),),
            words="CUT draws these at random; another seed gives others.",
            title="Random positions",
            label=f"{count} random positions on the source",
        )
        legend = Panel(
            "",
            words="Full bars are the anchors, pale ones the other positions; the dashed line is the entropy of the "
            "last anchor. Axes are shared.",
        )
        return [
            looked.row(
                f"Entropy, {layer}, {first.mode.replace('+', ' + ')}",
                "Each position's attention entropy over the greyed source: low stands out, high resembles much else.",
                [source_panel(looked, grid, said, aim=(selection.x, selection.y)), *entropies],
            ),
            looked.row(
                f"Anchors, the {count} positions of lowest entropy",
                "Brighter dots rank higher. Random positions are those that CUT would ask instead."
                + (f" {SAME}" if first.mode != "global" else ""),
                [random, *anchors],
            ),
            looked.row("Distribution of entropies", "How many positions have which entropy.", [legend, *counts]),
        ]

    def facts(self, looked: Looked, selection: Selection) -> dict:
        out = {}
        for method, f in looked.found.items():
            places = {"anchor_positions": f.anchors.tolist(), "random_positions": f.random.tolist()}
            grid = {"stride": f.grid.stride, "margin": f.grid.margin}
            out[method] = summary.summary(looked.seen[method], f) | places | grid
        out[looked.choice.method]["ways_of_choosing"] = choices.facts(looked.choice)
        return out

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        out = {method: result.arrays() for method, result in looked.found.items()}
        out[looked.choice.method] |= {f"places_{way}": at for way, at in looked.choice.chosen.places.items()}
        return out


def rank_bar(count: int) -> Bar:
    """What the colours of ranked dots mean."""
    return Bar([str(count), str((count + 1) // 2), "1"], "rank of the anchor (1: lowest entropy)", RANKS)


def words(result: Inspection) -> str:
    """What is seen in one method."""
    area, random = (summary.concentration(at, result.grid.shape)[1] for at in (result.anchors, result.random))
    text = f"<b>{percent(summary.SHARE)} of the anchors fit on {percent(area)} of the picture</b>; random ones need "
    text += f"{percent(random)}. Median entropy {power(float(np.median(result.log_entropy)))} nats, of at most "
    text += f"{np.log(result.keys):.1f}."
    if result.underflow:
        text += f" Rounded to float32 it is 0 at {result.underflow:,} of {result.entropy.size:,} positions."
    return text


def cut_words(result: Inspection) -> str:
    cut = power(float(result.log_entropy[tuple(result.anchors[-1])]))
    share = percent(len(result.anchors) / result.entropy.size)
    return f"Cut-off: {cut} nats. The anchors are {share} of all positions."


def histograms(found: dict[str, Inspection], selection: Selection) -> dict[str, str]:
    """A histogram per method with shared axes: linear where the scale is, else logarithmic."""
    is_linear = selection.the_scale() == "linear"
    values = {m: np.exp(f.log_entropy) if is_linear else f.log_entropy for m, f in found.items()}
    limits = (0.0, max(float(v.max()) for v in values.values())) if is_linear else shared_limits(values)
    tick = number if is_linear else power
    ticks = [tick(limits[0] + n / 2 * (limits[1] - limits[0])) for n in range(3)]
    most = max(float(plots.shares(v, limits).max()) for v in values.values())
    label = "entropy, nats" + (" (linear)" if is_linear else " (log; tails in the end bars)")
    return {
        m: plots.histogram(v, float(v[tuple(found[m].anchors[-1])]), limits, ticks, colour_of(m), label, most)
        for m, v in values.items()
    }
