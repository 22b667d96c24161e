"""The Loss page: contrastive loss of every patch for every method under one scale, and the similarity behind it."""

import numpy as np

import qsneg.pages.controls as controls
from qsneg.config import CUT, NEGCUT, QS_ATTN
from qsneg.inspect import Inspection, View, summary
from qsneg.pages.page import LAYER, NAT, TAU, Looked, ViewPage, Words, inspected, source_panel
from qsneg.pages.selection import Selection
from qsneg.rendering.colormaps import OUTSIDE, Scaled, linear, percent, title_of
from qsneg.rendering.rows import Cross, Panel, Row, Values

ASKED = (
    "A dot for each place: bright where the loss is high. In QS-Attn a value is a mean over the anchor's attention "
    "row, so anchors that look at the same position have nearly the same value, and are hard to tell apart."
)


class Loss(ViewPage):
    name, title = "loss", "Loss"
    words = Words(
        "The contrastive loss of every patch, under each method's own negatives and on one scale. It is high where the "
        "translation no longer resembles its own place in the source more than the negatives do.",
        "loss<sub>i</sub> = −ln [ e<sup>q<sub>i</sub>·p<sub>i</sub>/τ</sup> / "
        "(e<sup>q<sub>i</sub>·p<sub>i</sub>/τ</sup> + Σ<sub>n</sub> e<sup>q<sub>i</sub>·n/τ</sup>) ], &ensp; τ = 0.07",
        "CUT: negatives at random positions. QS-Attn, at layers 12 and 16: the gathered values of its anchors. NEGCUT: "
        "generated. Negatives are equally many for all. A guess among N of them and the positive costs ln(N + 1).",
        (CUT, QS_ATTN, NEGCUT),
        (LAYER, NAT, TAU),
    )
    controls = controls.layer(), controls.mode("QS-Attn's selection"), controls.seed(), controls.opacity()
    needs_heads = True

    def find(self, view: View, selection: Selection) -> Inspection:
        return inspected(view, selection)

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        results: dict[str, Inspection] = looked.found
        grid = next(iter(results.values())).grid
        units = {"loss": "contrastive loss, nats", "similarity": "cosine similarity to the positive"}
        losses, trained = scaled(results, units["loss"])
        similar = linear({m: r.similarity for m, r in results.items()}, units["similarity"], (None, 1.0))
        above, below, asked = [source_panel(looked, grid)], [], []
        for method, result in results.items():
            label = f"{title_of(method)}: {units['loss']}"
            look = dict(marks=(Cross(worst(result)),), words=words(result), label=label)
            above.append(Panel(method, "loss", looked.source, grid, losses[method], **look))
            said, label = f"Mean {result.similarity.mean():.2f}.", f"{title_of(method)}: {units['similarity']}"
            below.append(
                Panel(method, "similarity", looked.result(method), grid, similar[method], words=said, label=label)
            )
            asked.append(asked_panel(looked, method, result, trained[method], units["loss"]))
        legend = Panel("", words="High where the translation has kept what the source shows there.")
        number = len(next(iter(results.values())).asked)
        return [
            looked.row(
                f"Contrastive loss, layer {selection.layer}",
                f"Of every patch's own feature. One scale for all methods, each under {number} of its own negatives: a "
                "low loss may also mean easy negatives. The cross marks each method's worst place.",
                above,
            ),
            looked.row(
                "The loss that is trained",
                "On the same scale, at the places where training asks: QS-Attn at its anchors, of gathered values; the "
                "others at random places.",
                [Panel("", words=ASKED), *asked],
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
        kept = ("loss", "similarity", "probability", "asked", "asked_loss", "giver", "given")
        return {m: {k: v for k, v in result.arrays().items() if k in kept} for m, result in looked.found.items()}


def scaled(results: dict[str, Inspection], unit: str) -> tuple[dict[str, Scaled], dict[str, Scaled]]:
    """Every method's loss map, and the losses that are trained, all under one scale."""
    kinds = [{m: getattr(r, kind) for m, r in results.items()} for kind in ("loss", "asked_loss")]
    tops = [np.percentile(np.concatenate([v.ravel() for v in kind.values()]), 100 - OUTSIDE) for kind in kinds]
    every = linear({(m, n): v for n, kind in enumerate(kinds) for m, v in kind.items()}, unit, (0.0, max(tops)))
    return tuple({m: every[m, n] for m in results} for n in range(2))


def asked_panel(looked: Looked, method: str, result: Inspection, losses: Scaled, unit: str) -> Panel:
    """The loss that is trained, at the places that training asks."""
    count, label = len(result.asked), f"{title_of(method)}: {unit} where training asks"
    mean = f"<b>Mean {result.asked_loss.mean():.2f} nats</b>"
    if result.giver is None:
        said = f"{mean} at {count} places."
    else:
        alone = result.loss[tuple(result.asked.T)].mean()
        said = f"{mean} at its {count} anchors, of gathered values; their own features have {alone:.2f}. "
        said += summary.gathering(result)
    marks, look = (Values(result.asked, losses.values),), dict(bar=losses, words=said, label=label)
    return Panel(method, "trained-loss", looked.source, result.grid, marks=marks, **look)


def worst(result: Inspection) -> tuple[int, int]:
    """The position of the highest loss."""
    return tuple(int(v) for v in np.unravel_index(result.loss.argmax(), result.loss.shape))


def words(result: Inspection) -> str:
    """How high the loss is, and how it is spread."""
    count, (row, column) = len(result.asked), worst(result)
    tenth = np.argsort(-result.loss, axis=None)[: max(1, result.loss.size // 10)]
    hard = np.stack(np.unravel_index(tenth, result.loss.shape), axis=1)
    area = summary.concentration(hard, result.grid.shape)[1]
    return (
        f"<b>Mean {result.loss.mean():.2f} nats</b> (a guess among {count} negatives: {np.log(count + 1):.2f}). "
        f"Worst: {result.loss[row, column]:.1f} nats at row {row}, column {column}. {percent(summary.SHARE)} of the "
        f"worst tenth of the patches fit on {percent(area)} of the picture."
    )
