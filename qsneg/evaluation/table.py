"""The evaluation's columns: what each means, and how rows of them become a table and figures.

    markdown_table([{"name": "day2sunset/cut", "method": "CUT", "swd": 0.22}])
    dot_plot({"day2sunset/cut": [row]}, {"untranslated": other}, {"day2sunset/cut": "#0072B2"}).savefig("plot.png")

A row is a dictionary with the keys of COLUMNS, as far as they could be measured, and "<key>_error" for a spread.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from qsneg.data.cityscapes import COLOURS
from qsneg.rendering.markdown import table

TRUTH = "true counterpart"
DRAWN_COLOURS = np.array([[135, 190, 230], [205, 180, 120], [60, 130, 70], [200, 60, 50]], np.uint8)  # as drawn.LABELS
STREET_COLOURS = np.array([*COLOURS.values(), (0, 0, 0)], np.uint8)  # as Cityscapes' CLASSES; black: does not count


@dataclass(frozen=True)
class Column:
    """A figure of the table."""

    title: str
    better: str  # "lower", "higher", or "truth": best where the true counterpart is
    digits: int
    about: str


COLUMNS = {
    "background": Column("background", "lower", 3, "error outside the animals, to the truth; 1: untranslated"),
    "luminance": Column("luminance", "lower", 3, "distance of the animals' luminances to the truth; 1: untranslated"),
    "swd": Column("SWD", "lower", 3, "sliced Wasserstein distance to the target domain; 1: untranslated"),
    "pixel_accuracy": Column("pixel acc.", "higher", 3, "share of pixels labelled as in the source's label map"),
    "class_accuracy": Column("class acc.", "higher", 3, "the same per label, averaged over the labels"),
    "mean_iou": Column("mean IoU", "higher", 3, "intersection over union of found and true labels, mean over labels"),
    "frechet": Column("Fréchet", "lower", 3, "Fréchet distance of the segmenter's features to the target domain"),
    "fid": Column("FID", "lower", 1, "Fréchet Inception distance to the target domain"),
    "kid": Column("KID × 1000", "lower", 2, "kernel Inception distance to the target domain"),
    "kid_lite0": Column("KID, EfficientNet-Lite0 features × 1000", "lower", 1, "KID on features of another network"),
    "edges": Column("edges", "truth", 3, "correlation of edge magnitudes with the source; 1: all edges kept"),
    "self_similarity": Column("self-sim.", "truth", 3, "correlation of local self-similarities with the source"),
    "milliseconds": Column("ms / picture", "lower", 1, "median time to translate one picture, alone"),
}
ARROWS = {"lower": " ↓", "higher": " ↑", "truth": ""}


def present(rows: list[dict]) -> list[str]:
    """The keys of the columns that any row has."""
    return [k for k in COLUMNS if any(k in row for row in rows)]


def cell(row: dict, key: str) -> str:
    if key not in row:
        return "–"
    digits = COLUMNS[key].digits
    error = f" ± {row[key + '_error']:.{digits}f}" if key + "_error" in row else ""
    return f"{row[key]:.{digits}f}{error}"


def markdown_table(rows: list[dict], heads: tuple[str, ...] = ("model", "method")) -> str:
    """Rows with a "name", a "method" and figures as a Markdown table; a third of `heads` is that of their "note"."""
    keys = present(rows)
    head = [*heads[:2], *(COLUMNS[k].title + ARROWS[COLUMNS[k].better] for k in keys), *heads[2:]]
    last = ["note"] * (len(heads) - 2)
    lines = [
        [row["name"], row["method"] or "–", *(cell(row, k) for k in keys), *(row.get(k, "–") for k in last)]
        for row in rows
    ]
    return table(head, lines)


def legend(rows: list[dict]) -> list[str]:
    """What each column means, as a Markdown list."""
    return [f"- **{COLUMNS[k].title}**: {COLUMNS[k].about}." for k in present(rows)]


def short(name: str) -> str:
    """A name that fits beside a figure: the end of a long path."""
    return name if len(name) <= 28 else "…" + name[-27:]


def dot_plot(groups: dict[str, list[dict]], lines: dict[str, dict], looks: dict[str, dict]) -> Figure:
    """A figure: a panel per column, a line per group, a mark per run; `lines` are rows drawn as vertical lines, `looks`
    the colour and marker of each group."""
    keys = present([row for rows in groups.values() for row in rows])
    wide = min(4, len(keys))
    high = -(-len(keys) // wide)
    figure = Figure(figsize=(2.6 * wide + 2, high * (0.9 + 0.26 * len(groups))), layout="constrained")
    axes = figure.subplots(high, wide, sharey=True, squeeze=False)
    for axis in axes.flat[len(keys) :]:
        axis.set_visible(False)
    for axis, key in zip(axes.flat, keys):
        for (name, row), style in zip(lines.items(), ("--", ":")):
            if key in row:
                axis.axvline(row[key], color="#555555", ls=style, lw=1, label=name)
        for y, (name, rows) in enumerate(groups.items()):
            values = [row[key] for row in rows if key in row]
            errors = [row.get(key + "_error", 0) for row in rows if key in row]
            axis.errorbar(
                values,
                [y] * len(values),
                xerr=errors if any(errors) else None,
                ls="none",
                ms=5,
                alpha=0.75,
                **looks[name],
            )
            if len(values) > 1:
                axis.plot(np.mean(values), y, "|", ms=15, mew=2, color=looks[name]["color"])
        axis.set_title(COLUMNS[key].title + ARROWS[COLUMNS[key].better], fontsize=9)
        axis.tick_params(labelsize=8)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_yticks(range(len(groups)), map(short, groups))
    axes[0, 0].set_ylim(len(groups) - 0.5, -0.5)
    handles, names = axes[0, 0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower right", ncols=2, frameon=False, fontsize=8)
    return figure


def examples(samples: dict[str, tuple[Tensor, Tensor | None]], colours: np.ndarray = DRAWN_COLOURS) -> Figure:
    """A figure: the first test pictures, a row each for the sources, the models and the truth; with labels found, in
    these colours (labels beyond in the last)."""
    samples = {name: samples[name] for name in sorted(samples, key=lambda n: n == TRUTH)}  # the truth below
    count, both = len(samples["source"][0]), samples["source"][1] is not None
    columns = count * (1 + both)
    margin = 0.09 * max(len(short(name)) for name in samples)  # inches for the names
    size = (1.25 * columns + margin, 1.3 * len(samples))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(samples), columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], frame_on=False)
    for row, (name, (pictures, labels)) in zip(axes, samples.items()):
        row[0].set_ylabel(short(name), rotation=0, ha="right", va="center", fontsize=8)
        for i, picture in enumerate(pictures):
            row[i * (1 + both)].imshow((picture.permute(1, 2, 0) / 2 + 0.5).numpy())
            if labels is not None:
                row[2 * i + 1].imshow(colours[labels[i].long().clamp(max=len(colours) - 1).numpy()])
    return figure
