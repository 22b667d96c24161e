"""The Loss page: contrastive loss of every patch for every method under one scale, and the similarity behind it."""

import numpy as np

from qsneg.inspect import Inspection, View, inspect, summary
from qsneg.rendering import overlays
from qsneg.rendering.colormaps import Scaled, linear, title_of
from qsneg.ui import figures
from qsneg.ui.selection import Choice

NAME, TITLE = "loss", "Loss"
CONTROLS = ("layer", "mode", "seed", "opacity")
NEEDS_HEADS = True
KINDS = {"loss": "contrastive loss, nats", "similarity": "cosine similarity to the positive"}


def prepare(view: View, choice: Choice) -> None:
    """The slow part, once per layer and mode: entropies and projections."""
    found(view, choice)


def found(view: View, choice: Choice) -> Inspection:
    choice.check(view)
    return inspect(view, choice.layer, choice.the_mode(view), seed=choice.seed)


def look(seen: dict[str, View], choice: Choice) -> tuple[dict[str, Inspection], dict[str, dict[str, Scaled]]]:
    """What is found in every method; its maps as they are coloured, by kind."""
    results = {m: found(view, choice) for m, view in seen.items()}
    return results, {
        "loss": linear({m: r.loss for m, r in results.items()}, KINDS["loss"], (0.0, None)),
        "similarity": linear({m: r.similarity for m, r in results.items()}, KINDS["similarity"], (None, 1.0)),
    }


def negatives(method: str, result: Inspection, view: View) -> int:
    return len(result.asked)


def words(result: Inspection, count: int) -> str:
    hard = np.stack(
        np.unravel_index(np.argsort(-result.loss, axis=None)[: max(1, result.loss.size // 10)], result.loss.shape),
        axis=1,
    )
    held, area = summary.concentration(hard, result.grid.shape)
    return (
        f"<b>Mean {result.loss.mean():.2f} nats</b> (a guess among {count} negatives: {np.log(count + 1):.2f}). Of the "
        f"worst tenth of the patches, {held:.0%} lie on {area:.0%} of the picture."
    ).replace("%", "\u202f%")


def html(seen: dict[str, View], choice: Choice, absent: dict[str, str] | None = None) -> str:
    """The page under its controls; `absent` are the methods that it cannot show, with the reason."""
    results, scaled = look(seen, choice)
    grid = next(iter(results.values())).grid
    lines: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for method, result in results.items():
        for kind, unit in KINDS.items():
            s = scaled[kind][method]
            under = "source" if kind == "loss" else f"result-{method}"
            picture = figures.stack(
                under, grid.size, f"{title_of(method)}: {unit}", figures.heat(s.values, grid), grey=True
            )
            said = (
                words(result, negatives(method, result, seen[method]))
                if kind == "loss"
                else f"Mean {result.similarity.mean():.2f}."
            )
            lines[kind].append(figures.figure(method, picture + figures.scaled_bar(s), said))
    source = figures.figure("source", figures.stack("source", grid.size, "The source"))
    return figures.row(
        f"Contrastive loss, layer {choice.layer}",
        "One scale for all methods; each under its own negatives, so a low loss may also mean easy negatives.",
        lines["loss"],
        source,
        absent,
    ) + figures.row(
        "Similarity to the positive",
        "Of the translation's patch to the same place of the source, over the translation.",
        lines["similarity"],
        figures.legend("High where the translation has kept what the source shows there."),
        absent,
    )


def facts(results: dict[str, Inspection], seen: dict[str, View]) -> dict:
    """The numbers, JSON-ready."""
    return {m: summary.summary(seen[m], r) for m, r in results.items()}


def files(seen: dict[str, View], choice: Choice) -> dict:
    """Everything on the page as files by name (see `bundle`)."""
    results, scaled = look(seen, choice)
    source = next(iter(seen.values())).source
    out = {"source/source.png": source}
    for method, result in results.items():
        for kind, below in (("loss", source), ("similarity", seen[method].result)):
            s = scaled[kind][method]
            out |= {
                f"{method}/{kind}.png": overlays.heat(below, s.values, result.grid, (0, 1)),
                f"{method}/{kind}-bar.png": overlays.colour_bar((0, 1), s.label, ticks=s.ticks),
            }
        out[f"{method}/arrays.npz"] = {
            "loss": result.loss,
            "similarity": result.similarity,
            "probability": result.probability,
        }
    return out | {"summary.json": facts(results, seen)}
