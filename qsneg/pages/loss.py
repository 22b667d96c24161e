"""The Loss page: contrastive loss of every patch for every method under one scale, and the similarity behind it."""

import numpy as np

import qsneg.pages.controls as controls
from qsneg.config import CUT, NEGCUT, QS_ATTN
from qsneg.inspect import Inspection, View, inspect, summary
from qsneg.pages.page import Looked, ViewPage, Words, source_panel
from qsneg.pages.selection import Selection
from qsneg.rendering.colormaps import linear, percent, title_of
from qsneg.rendering.rows import Panel, Row


class Loss(ViewPage):
    name, title = "loss", "Loss"
    words = Words(
        "The contrastive loss of every patch, under each method's own negatives and on one scale. It is high where the "
        "translation no longer resembles its own place in the source more than the negatives do.",
        "loss<sub>i</sub> = −ln [ e<sup>q<sub>i</sub>·p<sub>i</sub>/τ</sup> / "
        "(e<sup>q<sub>i</sub>·p<sub>i</sub>/τ</sup> + Σ<sub>n</sub> e<sup>q<sub>i</sub>·n/τ</sup>) ], &ensp; τ = 0.07",
        "CUT: negatives at random positions. QS-Attn, at layers 12 and 16: the gathered values of its anchors. NEGCUT: "
        "generated. A guess among N negatives and the positive costs ln(N + 1).",
        (CUT, QS_ATTN, NEGCUT),
    )
    controls = controls.layer(), controls.mode("QS-Attn's selection"), controls.seed(), controls.opacity()
    needs_heads = True

    def find(self, view: View, selection: Selection) -> Inspection:
        return inspect(view, selection.layer, selection.the_mode(view), seed=selection.seed)

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        results: dict[str, Inspection] = looked.found
        grid = next(iter(results.values())).grid
        units = {"loss": "contrastive loss, nats", "similarity": "cosine similarity to the positive"}
        losses = linear({m: r.loss for m, r in results.items()}, units["loss"], (0.0, None))
        similar = linear({m: r.similarity for m, r in results.items()}, units["similarity"], (None, 1.0))
        above, below = [source_panel(looked, grid)], []
        for method, result in results.items():
            label = f"{title_of(method)}: {units['loss']}"
            above.append(Panel(method, "loss", looked.source, grid, losses[method], words=words(result), label=label))
            said, label = f"Mean {result.similarity.mean():.2f}.", f"{title_of(method)}: {units['similarity']}"
            below.append(
                Panel(method, "similarity", looked.result(method), grid, similar[method], words=said, label=label)
            )
        legend = Panel("", words="High where the translation has kept what the source shows there.")
        return [
            looked.row(
                f"Contrastive loss, layer {selection.layer}",
                "One scale for all methods; each under its own negatives, so a low loss may also mean easy negatives.",
                above,
            ),
            looked.row(
                "Similarity to the positive",
                "Of the translation's patch to the same place of the source, over the translation.",
                [legend, *below],
            ),
        ]

    def facts(self, looked: Looked, selection: Selection) -> dict:
        return {m: summary.summary(looked.seen[m], result) for m, result in looked.found.items()}

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        kept = ("loss", "similarity", "probability")
        return {m: {name: getattr(result, name) for name in kept} for m, result in looked.found.items()}


def words(result: Inspection) -> str:
    """How high the loss is, and how it is spread."""
    count = len(result.asked)
    worst = np.argsort(-result.loss, axis=None)[: max(1, result.loss.size // 10)]
    hard = np.stack(np.unravel_index(worst, result.loss.shape), axis=1)
    held, area = summary.concentration(hard, result.grid.shape)
    return (
        f"<b>Mean {result.loss.mean():.2f} nats</b> (a guess among {count} negatives: {np.log(count + 1):.2f}). Of the "
        f"worst tenth of the patches, {percent(held)} lie on {percent(area)} of the picture."
    )
