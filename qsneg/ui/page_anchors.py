"""The Anchors page: entropies under one scale, anchors beside random positions, histograms with the cut-off."""

import numpy as np

from qsneg.inspect import Inspection, View, inspect, summary
from qsneg.rendering import colormaps, overlays
from qsneg.rendering.colormaps import Scaled, by_log, colour_of, power, shared_limits, title_of
from qsneg.ui import figures, plots
from qsneg.ui.selection import Choice

NAME, TITLE = "anchors", "Anchors"
CONTROLS = ("layer", "mode", "anchors", "scale", "seed", "opacity")
NEEDS_HEADS = False  # entropies are those of raw features


def prepare(view: View, choice: Choice) -> None:
    """The slow part, once per layer and mode: the entropies."""
    view.entropy(choice.layer, choice.the_mode(view))


def scale(choice: Choice) -> str:
    return choice.the_scale()


def look(seen: dict[str, View], choice: Choice) -> tuple[dict[str, Inspection], dict[str, Scaled]]:
    """What is found in every method, and its entropies as they are coloured."""
    found = {}
    for method, view in seen.items():
        choice.check(view)
        found[method] = inspect(view, choice.layer, choice.the_mode(view), choice.anchors, choice.seed)
    return found, by_log({m: f.log_entropy for m, f in found.items()}, scale(choice), "entropy, nats")


def words(result: Inspection) -> str:
    """What is seen in one method."""
    held, area = summary.concentration(result.anchors, result.grid.shape)
    random = summary.concentration(result.random, result.grid.shape)[1]
    text = (
        f"<b>{held:.0%} of the anchors lie on {area:.0%} of the picture</b>; random positions need {random:.0%}. "
    ).replace("%", "\u202f%")
    median = power(float(np.median(result.log_entropy)))
    text += f"Median entropy {median} nats, of at most {np.log(result.keys):.1f}."
    if result.underflow:
        text += f" Rounded to float32 it is 0 at {result.underflow:,} of {result.entropy.size:,} positions."
    return text


def histograms(found: dict[str, Inspection], choice: Choice) -> dict[str, str]:
    """A histogram per method with shared axes: linear where the scale is, else logarithmic."""
    is_linear = scale(choice) == "linear"
    values = {m: np.exp(f.log_entropy) if is_linear else f.log_entropy for m, f in found.items()}
    limits = (0.0, max(float(v.max()) for v in values.values())) if is_linear else shared_limits(values)
    tick = colormaps.number if is_linear else power
    ticks = [tick(limits[0] + n / 2 * (limits[1] - limits[0])) for n in range(3)]
    most = max(float(plots.shares(v, limits).max()) for v in values.values())
    label = "entropy, nats" + (" (linear)" if is_linear else " (log; tails in the end bars)")
    return {m: plots.histogram(v, float(v[tuple(found[m].anchors[-1])]), limits, ticks, colour_of(m), label, most)
            for m, v in values.items()}  # fmt: skip


def html(seen: dict[str, View], choice: Choice, absent: dict[str, str] | None = None) -> str:
    """The page under its controls; `absent` are the methods that it cannot show, with the reason."""
    found, scaled = look(seen, choice)
    first = next(iter(found.values()))
    grid, size, bars, num = first.grid, first.grid.size, histograms(found, choice), len(first.anchors)
    layer, mode = f"layer {choice.layer}", "local + global" if first.mode == "local+global" else first.mode
    ranks = figures.bar((str(num), str((num + 1) // 2), "1"), "rank of the anchor (1: lowest entropy)", colormaps.RANKS)
    entropies, anchors, counts = [], [], []
    for method, result in found.items():
        name = title_of(method)
        over = figures.heat(scaled[method].values, grid)
        picture = figures.stack("source", size, f"{name}: entropies at {layer} over the source", over, grey=True)
        entropies.append(figures.figure(method, picture + figures.scaled_bar(scaled[method]), words(result)))
        marks = figures.dots(grid, result.anchors)
        picture = figures.stack("source", size, f"{name}: {num} anchors on the source", marks=marks, grey=True)
        anchors.append(figures.figure(method, picture + ranks))
        counts.append(figures.figure(method, bars[method], cut_words(result)))
    source = figures.figure(
        "source",
        figures.stack("source", size, "The source"),
        f"{size[0]} × {size[1]} pixels; the grid of {layer} has {grid.shape[0]} rows of {grid.shape[1]} positions.",
    )
    random = figures.figure("source", figures.stack("source", size, f"{num} random positions on the source",
                            marks=figures.dots(grid, first.random, ranked=False), grey=True),
                            "CUT draws these at random; another seed gives others.", "Random positions")  # fmt: skip
    legend = figures.legend(
        "Full bars are the anchors, pale ones the other positions; the dashed line is the entropy of the "
        "last anchor. Axes are shared."
    )
    return "".join(
        (
            figures.row(
                f"Entropy, {layer}, {mode}",
                "Each position's attention entropy over the greyed source: low stands out, high resembles much else.",
                entropies,
                source,
                absent,
            ),
            figures.row(
                f"Anchors, the {num} positions of lowest entropy",
                "Brighter dots rank higher. Random positions are those that CUT would ask instead.",
                anchors,
                random,
                absent,
            ),
            figures.row("Distribution of entropies", "How many positions have which entropy.", counts, legend, absent),
        )
    )


def cut_words(result: Inspection) -> str:
    cut = power(float(result.log_entropy[tuple(result.anchors[-1])]))
    share = len(result.anchors) / result.entropy.size
    return f"Cut-off: {cut} nats. The anchors are {share:.0%} of all positions.".replace("%", "\u202f%")


def facts(found: dict[str, Inspection], seen: dict[str, View]) -> dict:
    """The numbers, JSON-ready: per method the summary, the anchors and the random positions (row, column)."""
    out = {}
    for method, f in found.items():
        places = {"anchor_positions": f.anchors.tolist(), "random_positions": f.random.tolist()}
        out[method] = summary.summary(seen[method], f) | places | {"stride": f.grid.stride, "margin": f.grid.margin}
    return out


def files(seen: dict[str, View], choice: Choice) -> dict:
    """Everything on the page as files by name (see `bundle`)."""
    found, scaled = look(seen, choice)
    first, bars = next(iter(found.values())), histograms(found, choice)
    source = next(iter(seen.values())).source
    grey, num = overlays.canvas(source, grey=True), len(first.anchors)
    ticks = [str(num), str((num + 1) // 2), "1"]
    rank_bar = overlays.colour_bar((0, 1), "rank of the anchor (1: lowest entropy)", name=colormaps.RANKS, ticks=ticks)
    out = {
        "source/source.png": source,
        "source/random-positions.png": overlays.dots(grey, first.random, first.grid, ranked=False, colour="#c9ced6"),
    }
    for method, result in found.items():
        s = scaled[method]
        out |= {
            f"{method}/entropy.png": overlays.heat(source, s.values, result.grid, (0, 1)),
            f"{method}/entropy-bar.png": overlays.colour_bar((0, 1), s.label, ticks=s.ticks),
            f"{method}/anchors.png": overlays.dots(grey, result.anchors, result.grid),
            f"{method}/anchors-bar.png": rank_bar,
            f"{method}/histogram.svg": plots.standalone(bars[method]),
            f"{method}/arrays.npz": result.arrays(),
        }
    return out | {"summary.json": facts(found, seen)}
