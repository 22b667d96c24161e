"""The rows of the Anchors page about one method: four ways of choosing side by side, and what one place gathers.

ways_row(looked, selection)        # random, global, local, doubt, with their overlaps
gathered_row(looked, selection)    # the attention rows of the place nearest to the click

`looked` is an `AnchorsLooked`, whose `choice` is made by `look`.
"""

from dataclasses import dataclass

import numpy as np

from qsneg.inspect import Attended, Chosen, View, attended, choose
from qsneg.pages.attention import row_words
from qsneg.pages.page import CLICK, Looked
from qsneg.pages.selection import Selection
from qsneg.rendering.colormaps import RANKS, Bar, by_log, number, percent, title_of
from qsneg.rendering.rows import Cross, Dots, Mark, Panel, Patch, Ring, Row

HEADS = {"random": "Random", "global": "Global entropy", "local": "Local entropy", "doubt": "Doubt"}
WORDS = {
    "random": "As CUT, NEGCUT, MoNCE and hDCE draw them.",
    "global": "QS-Attn: lowest entropy of attention to all positions.",
    "local": "Lowest entropy of attention in a window; local + global asks here, too, and gathers along global rows.",
    "doubt": "EnCo's half that the discriminator finds least real, brighter the less; grey, a random half.",
}
TOO_MANY = "This layer has too many positions to compare each with all: choose layer 12 or 16."
GIVERS = 6  # patches shown
NOTHING = 0.001  # a share of the attention that is not told


@dataclass(frozen=True)
class Choice:
    """What one method's features give: places by way, and the attention rows of the place nearest to the query."""

    method: str
    chosen: Chosen
    position: tuple[int, int]
    rows: dict[str, np.ndarray]  # global and local: natural logarithm, H×W; nan outside the window
    attended: dict[str, Attended]


@dataclass(frozen=True)
class AnchorsLooked(Looked):
    """With the choice of one method beside what was found in all."""

    choice: Choice | None = None


def of(view: View, method: str, selection: Selection) -> Choice:
    """The choice in one method's features."""
    layer = selection.layer
    rows, columns = view.grid(layer).shape
    ways = [way for way in HEADS if way != "global" or rows * columns <= selection.most]
    chosen = choose(view, layer, selection.number, selection.seed, ways)
    if "global" not in ways:
        chosen.lacks["global"] = TOO_MANY
    position = chosen.nearest(selection.position(view.grid(layer)))
    logs = {mode: view.log_attention(layer, position, mode) for mode in ("global", "local")}
    return Choice(
        method,
        chosen,
        position,
        {mode: np.where(np.isfinite(log), log, np.nan) for mode, log in logs.items()},
        {mode: attended(view, layer, position, mode) for mode in logs},
    )


def ways_row(looked: AnchorsLooked, selection: Selection) -> Row:
    """Every way of choosing in one method's features."""
    choice, grid, panels = looked.choice, looked.view.grid(selection.layer), []
    ring, at = Ring(choice.position), (selection.x, selection.y)
    for way, title in HEADS.items():
        if way in choice.chosen.lacks:
            panels.append(Panel(way, title=title, absent=choice.chosen.lacks[way]))
            continue
        marks = dots(way, choice.chosen)
        under = looked.result(choice.method) if way == "doubt" else looked.source
        label = f"{title_of(choice.method)}: places chosen by {title.lower()}"
        look = dict(
            title=title, label=label, words=overlap_words(way, choice.chosen), aim=at, bar=rank_bar(way, choice.chosen)
        )
        panels.append(Panel(way, f"places-{choice.method}", under, grid, marks=(*marks, ring), **look))
    return Row(
        f"Four ways of choosing, {title_of(choice.method)}",
        f"Where each would ask in {title_of(choice.method)}'s features; choose another method above. {CLICK} The "
        "nearest of all these places is ringed, and looked at below.",
        tuple(panels),
    )


def dots(way: str, chosen: Chosen) -> tuple[Mark, ...]:
    """The places of one way; of doubt the random half is grey."""
    at = chosen.places[way]
    if way == "doubt":
        return Dots(at[chosen.doubtful :], ranked=False), Dots(at[: chosen.doubtful])
    return (Dots(at, ranked=way != "random"),)


def rank_bar(way: str, chosen: Chosen) -> Bar | None:
    """What the colours of a way's dots mean."""
    if way == "random":
        return None
    count = chosen.doubtful if way == "doubt" else len(chosen.places[way])
    what = "1: least real" if way == "doubt" else "1: lowest entropy"
    return Bar([str(count), str((count + 1) // 2), "1"], f"rank ({what})", RANKS)


def overlap_words(way: str, chosen: Chosen) -> str:
    """How many places it shares with the others, against chance."""
    shared = [f"{chosen.overlap(way, other)} with {HEADS[other].lower()}" for other in chosen.places if other != way]
    count, chance = len(chosen.places[way]), number(round(chosen.by_chance, 1))
    return f"{WORDS[way]} <b>Of {count} places it shares {', '.join(shared)}</b>; by chance {chance}."


def gathered_row(looked: AnchorsLooked, selection: Selection) -> Row:
    """Where the attention of the ringed place goes, and what is gathered there."""
    choice, grid = looked.choice, looked.view.grid(selection.layer)
    maps, at = by_log(choice.rows, "by rank", "attention"), (selection.x, selection.y)
    row, column = choice.position
    panels = []
    for mode, scaled in maps.items():
        found = choice.attended[mode]
        marks = Ring(choice.position), *([Cross(found.most)] if found.most != choice.position else [])
        label = f"{title_of(choice.method)}: {mode} attention of row {row}, column {column}, over the source"
        look = dict(
            title=f"{mode.capitalize()} attention row", words=row_words(found, choice.position), label=label, aim=at
        )
        panels.append(Panel(mode, f"attention-{choice.method}", looked.source, grid, scaled, marks, **look))
    for mode, logs in choice.rows.items():
        panels.append(
            Panel(
                f"gathered-{mode}",
                f"gathered-{choice.method}",
                patches=givers(logs, looked, selection),
                words="The value is a mean along the row: these positions give most to it, with their shares.",
                title=f"Gathered, {mode}",
            )
        )
    return Row(
        f"What is gathered at row {row}, column {column}",
        "QS-Attn compares no feature of the place itself, but the mean of all features, weighted by its attention row; "
        "in source and translation with the same weights. The cross marks what gets most.",
        tuple(panels),
    )


def givers(logs: np.ndarray, looked: AnchorsLooked, selection: Selection) -> tuple[Patch, ...]:
    """The patches that give most to what is gathered, with their shares; at least one, and none that gives nothing."""
    grid = looked.view.grid(selection.layer)
    order = np.argsort(-logs, axis=None, kind="stable")[: min(GIVERS, np.isfinite(logs).sum())]  # nan comes last
    found = np.stack(np.unravel_index(order, logs.shape), axis=1)
    return tuple(
        Patch(at, f"Row {at[0]}, column {at[1]}", looked.source, grid, share_of(float(np.exp(logs[tuple(at)]))))
        for n, at in enumerate(found)
        if n == 0 or logs[tuple(at)] > np.log(NOTHING)
    )


def share_of(share: float) -> str:
    """A share of the attention: never 100 %, which no position has."""
    return f"≥\u202f{percent(1 - NOTHING, 1)}" if share > 1 - NOTHING / 2 else percent(share, 1)


def facts(choice: Choice) -> dict:
    """The numbers of a choice, JSON-ready."""
    chosen, ways = choice.chosen, list(choice.chosen.places)
    pairs = [(a, b) for n, a in enumerate(ways) for b in ways[n + 1 :]]
    return {
        "places": {way: at.tolist() for way, at in chosen.places.items()},
        "overlap": {f"{a} and {b}": chosen.overlap(a, b) for a, b in pairs},
        "overlap_by_chance": chosen.by_chance,
        "absent": chosen.lacks,
        "looked_at": list(choice.position),
        "attention": {
            mode: {"to_itself": found.own, "most_to": list(found.most), "its_share": found.share, "half_to": found.half}
            for mode, found in choice.attended.items()
        },
    }
