"""The pages that read arrays, by name; what is common to them; what a click costs.

Every page is a module with `NAME`, `TITLE`, `CONTROLS`, and functions of the views by method and a `Choice`:
`prepare(view, choice)` computes what is slow, once; `html(seen, choice, absent)` draws the page; `files(seen, choice)`
gives everything on it as files. None of them runs a generator. `NEEDS_HEADS` says whether a model without projection
heads cannot be shown; see `split`.
"""

import statistics
import time

from qsneg.inspect import View
from qsneg.rendering.colormaps import title_of
from qsneg.ui import page_anchors, page_attention, page_loss, page_negatives
from qsneg.ui.compare import OWN
from qsneg.ui.limits import GLOBAL
from qsneg.ui.selection import Choice
from qsneg.ui.texts import FAMILIES

PAGES = {page.NAME: page for page in (page_anchors, page_attention, page_negatives, page_loss)}


def head(seen: dict[str, View], choice: Choice, family: str, size: int, name: str) -> str:
    """One line under the controls: what is inspected, at which size, and where that is not what was asked for."""
    view = next(iter(seen.values()))
    width, height = view.source.size
    title = title_of(OWN) if list(seen) == [OWN] else FAMILIES.get(family, (family,))[0]
    text = f"<b>{title}</b>, inspected at {width} × {height} pixels."
    if min(width, height) < size:
        text += (
            f" The working size of {size} is reduced here, since attention compares every position with every other "
            "and a page should not keep you waiting."
        )
    if name != "attention" and choice.the_mode(view) != choice.mode:
        rows, columns = view.grid(choice.layer).shape
        text += (
            f" Layer {choice.layer} has {rows * columns} positions, more than the {GLOBAL} that are compared all "
            "with all: local mode is shown."
        )
    return f'<p class="summary">{text}</p>'


def split(name: str, seen: dict[str, View], choice: Choice) -> tuple[dict[str, View], dict[str, str]]:
    """The views that a page can show, and of the others the reason why not: opened or imported models may lack heads,
    and may have other layers and grids than the first.

    Raises:
        ValueError: with the reason, if none can be shown.
    """
    able, absent = {}, {}
    for method, view in seen.items():
        reason = view.weights.lacks(negatives=True) if PAGES[name].NEEDS_HEADS else ""
        if choice.layer not in view.config.layers:
            layers = ", ".join(map(str, view.config.layers))
            reason = reason or f"There is no layer {choice.layer} to compare in this model: choose one of {layers}."
        elif able and view.grid(choice.layer) != (first := next(iter(able.values()))).grid(choice.layer):
            own, other = (v.grid(choice.layer).stride for v in (view, first))
            alike = [n for n in view.config.layers if n in first.config.layers and view.grid(n) == first.grid(n)]
            reason = reason or (f"At layer {choice.layer} this generator has {own} pixels per position and the first model "
                                f"{other}: choose one of {', '.join(map(str, alike))}.")  # fmt: skip
        if reason:
            absent[method] = reason
        else:
            able[method] = view
    if not able:
        raise ValueError(next(iter(absent.values())))
    return able, absent


def click_seconds(seen: dict[str, View], layer: int = 12, rounds: int = 7) -> dict[str, float]:
    """Median seconds of the function behind a click, by page, for all methods in `seen` together.

    Features have been read and `prepare` has run, as for a visitor. Nothing but gradio's own way lies between this
    and a click in the browser.
    """
    times: dict[str, list[float]] = {"attention": [], "negatives": []}
    width, height = next(iter(seen.values())).source.size
    for name in times:
        choice = Choice(layer=layer).on((width, height))
        for view in seen.values():
            PAGES[name].prepare(view, choice)
        for n in range(rounds + 1):  # the first sets things up
            choice = choice.at((37 * n + 11) % width, (53 * n + 29) % height)
            start = time.perf_counter()
            PAGES[name].html(seen, choice)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t[1:]) for name, t in times.items()}
