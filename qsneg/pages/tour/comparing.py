"""The tour's second half: what attention gathers, who is pushed away, and where content was lost."""

import numpy as np

import qsneg.pages.controls as controls
from qsneg.inspect import WEIGHTINGS, Inspection, View, attended
from qsneg.pages import choices, forces
from qsneg.pages.attention import row_words
from qsneg.pages.loss import worst
from qsneg.pages.negatives import GAMMA
from qsneg.pages.page import Looked, inspected
from qsneg.pages.selection import Selection
from qsneg.pages.tour.step import SIDE, Step
from qsneg.rendering.colormaps import RANKS, by_log, decades, linear, percent, title_of
from qsneg.rendering.rows import Bubbles, Cross, Panel, Patch, Ring, Row


class Gathered(Step):
    """An attention row, and the mean along it."""

    name, title, leads = "tour-4", "What attention gathers", "attention"
    hint = "Choose local, or click a patch that repeats, such as sky or fur, and one that stands alone."
    controls = (controls.mode("Attention", ("global", "local")),)
    prefers = ("qs-attn",)
    lacks = "QS-Attn is not among the methods here: {}'s features are gathered in its place."

    def find(self, view: View, selection: Selection) -> tuple:
        layer, position = selection.layer, selection.position(view.grid(selection.layer))
        mode = "local" if selection.mode == "local" else "global"
        row = view.log_attention(layer, position, mode)
        seen = np.where(np.isfinite(row), row, np.nan)
        return seen, attended(view, layer, position, mode), inspected(view, selection)

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        (method, (logs, row, found)), (position, common) = self.only(looked), self.place(looked, selection)
        (scale,) = by_log({method: logs}, "by rank", "attention").values()
        marks = Ring(position), *([Cross(row.most)] if row.most != position else [])
        label = f"{title_of(method)}: attention of row {position[0]}, column {position[1]}, over the source"
        look = dict(marks=marks, words=row_words(row, position), label=label, title="Attention row")
        panels = [Panel(method, "attention", looked.source, map=scale, **look, **common)]
        words = "These places give most to the value that is gathered here, with their shares."
        if found.giver is not None:
            alone = found.loss[tuple(found.asked.T)].mean()
            words += (
                f" At its {len(found.asked)} anchors QS-Attn's loss is <b>{found.asked_loss.mean():.2f} nats for "
                f"gathered values</b>, and {alone:.2f} for the places' own features."
            )
        patches = choices.givers(logs, looked, selection)
        panels.append(Panel("gathered", "gathered", patches=patches, words=words, title="Gathered"))
        note = (
            "The patch's row says how much of its attention every place gets; the cross marks what gets most. QS-Attn "
            "compares no patch alone, but the mean of all features along its row, in source and translation with the "
            "same weights: what looks alike there answers together."
        )
        return self.row(looked, note, panels)


class Pushed(Step):
    """Who is pushed away, and how hard, under four papers."""

    name, title, leads = "tour-5", "Negatives, made hard", "negatives"
    hint = (
        "Click another patch, and see whom it pushes hardest. γ moves hDCE's weights a little: they differ by a factor "
        "of 1.22 at most."
    )
    controls = (controls.Control("gamma", "hDCE's γ", 10, GAMMA, range=(10, 50, 1)),)
    needs_heads = True
    prefers = "negcut", "cut"

    def find(self, view: View, selection: Selection) -> dict:
        position, number = selection.position(view.grid(selection.layer)), selection.patches or None
        mode = selection.the_mode(view)
        return forces.of(view, selection.layer, position, number, selection.seed, mode, selection.gamma)

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        (method, papers), (position, common) = self.only(looked), self.place(looked, selection)
        logs = {name: np.log(np.maximum(f.force, 1e-300)) for name, f in papers.items()}
        scales = decades(logs, "force: share of the query's gradient", name=RANKS)
        panels = []
        for name in WEIGHTINGS:
            if name not in papers:
                why = "Its negatives are generated, and that takes NEGCUT's own weights: tick NEGCUT, and translate."
                panels.append(Panel(name, absent=why))
                continue
            found = papers[name]
            first = found.at[found.force.argmax()]
            what = "the nearest patch to a generated one is at" if name == "negcut" else "at"
            words = (
                f"<b>Hardest: {what} row {first[0]}, column {first[1]}</b>, with {percent(found.force.max(), 1)} of "
                f"the query's gradient. All take {percent(found.force.sum(), 1)}, and of that the ten hardest "
                f"{percent(found.hardest)}."
            )
            marks = Bubbles(found.at, found.force, scales[name], name == "negcut"), Cross(first), Ring(position)
            look = dict(marks=marks, bar=scales[name], words=words, label=f"Force on every negative, {title_of(name)}")
            panels.append(Panel(name, "forces", looked.source, **look, **common))
        note = (
            "A negative is hard where it resembles the query: the more it does, the harder it is pushed away. Bright "
            "ones take much of the query's gradient, large ones much of their map's. Four papers weigh "
            f"{title_of(method)}'s features for the ringed patch: all alike (CUT), more what resembles the positive "
            "(hDCE), by transport (MoNCE), or with generated rivals (NEGCUT)."
        )
        return self.row(looked, note, panels)


class Lost(Step):
    """Where a translation lost what the source shows."""

    name, title, leads = "tour-6", "Where content was lost", "loss"
    hint = "Click a cross, then go back through the dots below: the other steps are about that patch now."
    needs_heads = True

    def find(self, view: View, selection: Selection) -> Inspection:
        return inspected(view, selection)

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        position, common = self.place(looked, selection)
        scales = linear({m: f.loss for m, f in looked.found.items()}, "contrastive loss, nats", (0.0, None))
        panels = []
        for method, found in looked.found.items():
            at = worst(found)
            pair = [("source", looked.source), ("translation", looked.result(method))]
            patches = tuple(Patch(at, f"The worst place, {w}", p, common["grid"], w, SIDE) for w, p in pair)
            words = (
                f"<b>Worst at row {at[0]}, column {at[1]}</b>: {found.loss[at]:.1f} nats; the mean is "
                f"{found.loss.mean():.2f}, a guess {np.log(len(found.asked) + 1):.1f}."
            )
            look = dict(marks=(Cross(at), Ring(position)), patches=patches, words=words)
            label = f"{title_of(method)}: loss of every patch"
            panels.append(Panel(method, "loss", looked.source, map=scales[method], label=label, **look, **common))
        note = (
            "The loss of every patch, on one scale, is high where the translation resembles other places of the source "
            "more than its own, so that what was there may be lost. The cross marks the worst place of each method; "
            "but a low loss may also mean that the negatives were easy."
        )
        return self.row(looked, note, panels)
