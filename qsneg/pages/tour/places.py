"""The tour's first half: a patch and its place, places at random, and places that stand out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import qsneg.pages.controls as controls
from qsneg.inspect import Chosen, Inspection, View, choose
from qsneg.pages import choices
from qsneg.pages.anchors import rank_bar
from qsneg.pages.loss import scaled
from qsneg.pages.page import Looked, inspected, source_panel
from qsneg.pages.recorded import Recorded, load
from qsneg.pages.selection import Selection
from qsneg.pages.tour.step import SIDE, Step
from qsneg.rendering.colormaps import by_log, number, percent, title_of
from qsneg.rendering.rows import Dots, Panel, Patch, Ring, Row, Values

SETTLED = 0.1  # nats: a loss below which the positive has nine tenths of the softmax
KNOWN = {"doubt": "the discriminator's doubt", "local": "local entropy", "global": "global entropy"}


class OnePatch(Step):
    """The patch and its place in every translation."""

    name, title, leads = "tour-1", "One patch, and its place in the translation", "attention"
    hint = "Click another patch, in any of the pictures: all six steps follow it."
    needs_heads = True

    def find(self, view: View, selection: Selection) -> np.ndarray:
        position = selection.position(view.grid(selection.layer))
        return view.similarity(selection.layer, position, of="result")

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        position, common = self.place(looked, selection)
        said = f"The patch at row {position[0]}, column {position[1]} of layer {selection.layer}."
        pair = dict(position=position, grid=common["grid"], side=SIDE)
        own = (Patch(title="The patch in the source", under=looked.source, **pair),)
        panels = [
            source_panel(
                looked, words=said, label="The source and the patch", marks=(Ring(position),), patches=own, **common
            )
        ]
        for method, similar in looked.found.items():
            here, rank = similar[position], 1 + int((similar > similar[position]).sum())
            words = (
                f"Of {similar.size:,} places in the source its own is <b>{nth(rank)} most similar</b>, with a cosine "
                f"of {here:.2f}."
            )
            title = f"The patch in {title_of(method)}'s translation"
            patch = Patch(title=title, under=looked.result(method), **pair)
            look = dict(marks=(Ring(position, filled=True),), words=words, label=title, patches=(patch,), grey=False)
            panels.append(Panel(method, "place", looked.result(method), **look, **common))
        note = (
            "The ringed patch of each translation is a query: it should look new, but be closest to the same place of "
            "the source, its positive. All that it must not resemble more are its negatives, and the loss counts how "
            "far it fails."
        )
        return self.row(looked, note, panels)


class AtRandom(Step):
    """What the loss gets from places that are drawn at random."""

    name, title, leads = "tour-2", "Asked at random", "loss"
    hint = "Slide the seed: other places, of which about as many say nothing."
    controls = (controls.seed(),)
    needs_heads = True
    prefers = "cut", "negcut", "monce", "hdce"
    lacks = "CUT is not among the methods here: its draw is shown in {}'s features."

    def find(self, view: View, selection: Selection) -> Inspection:
        return inspected(view, selection)

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        (method, found), (position, common) = self.only(looked), self.place(looked, selection)
        losses = found.loss[tuple(found.random.T)]
        (scale,) = scaled({method: found}, "contrastive loss, nats")[0].values()
        shown = np.clip(losses / scale.limits[1], 0, 1)
        count, quiet = len(losses), int((losses < SETTLED).sum())
        most = np.sort(losses)[-max(1, count // 10) :].sum() / max(losses.sum(), 1e-12)
        label = f"{title_of(method)}: the loss at {count} random places"
        look = dict(marks=(Values(found.random, shown), Ring(position)), bar=scale, label=label)
        words = (
            f"Of {count} places <b>{quiet} are told apart already</b>, with a loss below {SETTLED} nats; the hardest "
            f"tenth holds {percent(most)} of all loss. Mean {losses.mean():.2f} nats."
        )
        note = (
            f"{title_of(method)} asks its loss at places drawn at random, {count} of {found.loss.size:,}; a dot is "
            "bright where the answer is wrong or in doubt. The dark ones say nothing: their patch is nearest to its "
            "own place already, and a training step learns next to nothing there."
        )
        return self.row(looked, note, [Panel(method, "asked", looked.source, **look, **common), Panel("", words=words)])


@dataclass(frozen=True)
class AnchorsLooked(Looked):
    """With the films beside the weights."""

    films: dict[str, Recorded] = field(default_factory=dict)


class Seen(dict):
    """Views by method, and the films that lie beside their weights."""

    films: dict[str, Recorded] = {}


class StandOut(Step):
    """Entropy, and the anchors that it picks."""

    name, title, leads = "tour-3", "What stands out: anchors", "anchors"
    hint = "Choose local: only a window of 7 × 7 places counts, and other anchors stand out."
    controls = (controls.mode("Entropy", ("global", "local")),)
    prefers = ("qs-attn",)
    lacks = "QS-Attn is not among the methods here: its rule reads {}'s features."

    def steps(self, views, subject) -> Iterator:
        for step in views.steps(subject):
            if isinstance(step, str):
                yield step
        seen = Seen(step)
        seen.films = load(Path(views.models.folder) / subject.family, list(subject.methods))
        yield seen

    def find(self, view: View, selection: Selection) -> tuple[Inspection, Chosen]:
        layer, mode, count = selection.layer, selection.the_mode(view), selection.patches or None
        ways = [way for way in choices.HEADS if way != "global" or mode == "global"]
        return inspected(view, selection), choose(view, layer, count, selection.seed, ways)

    def look(self, seen: dict[str, View], selection: Selection) -> AnchorsLooked:
        looked = super().look(seen, selection)
        return AnchorsLooked(looked.seen, looked.found, looked.absent, getattr(seen, "films", {}))

    def rows(self, looked: AnchorsLooked, selection: Selection) -> list[Row]:
        (method, (found, chosen)), (position, common) = self.only(looked), self.place(looked, selection)
        (scale,) = by_log({method: found.log_entropy}, selection.the_scale(), "entropy, nats").values()
        count, ring, title = len(found.anchors), Ring(position), title_of(method)
        look = dict(title=f"Entropy, {found.mode}", marks=(ring,), label=f"{title}: entropies over the source")
        rank = int(found.rank[position]) + 1
        words = f"The ringed patch has rank {rank:,} of {found.rank.size:,}: "
        words += "it is an anchor." if rank <= count else "it is no anchor."
        panels = [Panel("entropy", "entropy", looked.source, map=scale, words=words, **look, **common)]
        look = dict(title="Anchors", marks=(Dots(found.anchors), ring), label=f"{title}: {count} anchors on the source")
        words = f"{overlaps(chosen, found.mode)} {journey(looked.films.get(method), method, selection)}"
        panels.append(Panel("anchors", "anchors", looked.source, bar=rank_bar(count), words=words, **look, **common))
        note = (
            "Every place spreads attention over the picture: where that has low entropy, the place resembles little "
            "else, so that the question of where it came from has one answer. QS-Attn asks its loss only there, at the "
            f"{count} places of lowest entropy, its anchors."
        )
        return self.row(looked, note, panels)


def nth(rank: int) -> str:
    """1 as "the", 2 as "the 2nd", and so on."""
    if rank == 1:
        return "the"
    ending = "th" if 10 <= rank % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"the {rank:,}{ending}"


def overlaps(chosen: Chosen, mode: str) -> str:
    """How many of a mode's anchors the other ways of choosing share."""
    mode = "global" if mode == "global" else "local"
    shared = [(w, chosen.overlap(mode, w)) for w in KNOWN if w != mode and w in chosen.places]
    count, chance = len(chosen.places[mode]), number(round(chosen.by_chance, 1))
    told = " and ".join(f"{n} by {KNOWN[way]}" for way, n in shared)
    return f"<b>Of these {count} places {told} would be chosen too</b>; {chance} by chance." if told else ""


def journey(found: Recorded | None, method: str, selection: Selection) -> str:
    """How the anchors moved while a method learned, on the pictures of its film."""
    if found is None or len(found.steps) < 2:
        return f"No film lies beside {title_of(method)}'s weights, to say how they moved in training."
    layer = selection.layer if selection.layer in found.layers else found.layers[-1]
    at = found.anchors[:, :, found.layers.index(layer)]  # S×P×N×2
    index = at[..., 0] * found.grid.shape[1] + at[..., 1]
    kept = [np.mean([np.isin(last, now).mean() for last, now in zip(index[-1], frame)]) for frame in index]
    half = next(step for step, share in zip(found.steps, kept) if share >= 0.5)
    return (
        f"While {title_of(method)} learned they moved: of those at its end, on the film's pictures, {percent(kept[0])} "
        f"were anchors at the start, and half of them by step {half:,}. The page Film shows it."
    )
