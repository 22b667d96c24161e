"""What a page is: words and controls, `look` (what is seen, as arrays), `rows` (what is drawn), `facts` (numbers).

    page = PAGES["anchors"]
    looked = page.look({"cut": view}, Selection(layer=16).on(view.source.size))
    page.rows(looked, selection), page.facts(looked, selection)

A page draws nothing: `qsneg.ui.figures` shows its rows in the browser, `qsneg.rendering.report` as files. A new page is
one file with a subclass of `Page` or `ViewPage`, and its name in `qsneg.pages`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from PIL import Image

from qsneg.config import Paper
from qsneg.inspect import Grid, Inspection, View, inspect
from qsneg.pages.controls import Control
from qsneg.pages.selection import Selection
from qsneg.rendering import report
from qsneg.rendering.colormaps import title_of
from qsneg.rendering.rows import Panel, Picture, Row

CLICK = "Click, or focus a picture and use the arrow keys."
TERMS = {
    "Layer n": "the n-th module of the generator, counted from the picture. In the shipped models a position of layers "
    "0 and 4 is one pixel, of layer 8 two by two, of layers 12 and 16 four by four; the higher the layer, the more of "
    "the surroundings it has seen.",
    "Nat": "the unit of what the natural logarithm measures, 1.44 bits. A loss of 0.69 nats: the positive holds half "
    "of the softmax. An entropy of 0.69 nats: as spread as an even choice between two positions.",
    "τ": "the temperature: cosines are divided by it before the softmax. The smaller, the more the hardest negatives "
    "count.",
}
LAYER, NAT, TAU = TERMS


@dataclass(frozen=True)
class Words:
    """What a page says of itself: what is seen and how to read it in two sentences, the formula, the papers, the terms
    of TERMS that it uses."""

    read: str
    formula: str
    more: str
    papers: tuple[Paper, ...]
    terms: tuple[str, ...] = (LAYER,)


@dataclass(frozen=True)
class Looked:
    """What a page looked at (views or films by method), what it found in each, why other methods cannot be shown."""

    seen: dict
    found: dict
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def view(self) -> View:
        """The first view, whose source is that of all."""
        return next(iter(self.seen.values()))

    @property
    def source(self) -> Picture:
        return Picture("source", lambda: self.view.source)

    def result(self, method: str) -> Picture:
        return Picture(f"result-{method}", lambda: self.seen[method].result)

    def row(self, title: str, note: str, panels: list[Panel], absent: dict[str, str] | None = None) -> Row:
        """A row that ends with the methods which cannot be shown."""
        missing = absent or self.absent
        return Row(title, note, (*panels, *(Panel(method, absent=why) for method, why in missing.items())))


class Page:
    """A page; see the module's own words. `seen` are what `steps` ends with: views, or films, by method."""

    name: str
    title: str
    words: Words
    controls: tuple[Control, ...]
    moves = False  # whether it gives a film
    pictures_of = "views"  # pages with the same word have the same pictures under their maps

    def steps(self, views, subject) -> Iterator:
        """A sentence before everything slow that has to be made first; at last what is seen, by method."""

    def fit(self, selection: Selection, seen: dict) -> Selection:
        """The selection as it applies to what is seen."""
        return selection

    def reads(self, selection: Selection) -> tuple:
        """The part of a selection that the page depends on."""
        return tuple(getattr(selection, name) for control in self.controls for name in control.fields)

    def clicked(self, selection: Selection, x: float, y: float) -> Selection:
        """The selection after a click on a picture, or the arrow keys: the query is there."""
        return selection.at(x, y)

    def suffix(self, selection: Selection) -> str:
        """The last word in the name of a download."""
        return ""

    def prepare(self, seen: dict, selection: Selection) -> Iterator[str]:
        """The slow part of `look`, whose results are kept until layer or mode change: a sentence before each step."""
        return iter(())

    def look(self, seen: dict, selection: Selection) -> Looked:
        """What there is to see, as arrays. Raises ValueError if that is nothing, or the selection is out of range."""

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        """What is drawn."""

    def facts(self, looked: Looked, selection: Selection) -> dict:
        """The numbers by method, JSON-ready."""

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        """Arrays by method and name, for download."""

    def head(self, looked: Looked, selection: Selection, title: str, size: int) -> str:
        """One line, with some HTML: what is shown. title: of the models' family; size: the working size asked for."""

    def pictures(self, seen: dict) -> dict[str, Image.Image | bytes]:
        """What lies under the maps by the names that `rows` refers to, as pictures or WebP files."""

    def film(self, looked: Looked, selection: Selection, family: str) -> tuple[Iterator[Image.Image], int]:
        """Its frames as a film to pass on, and how many they are; of pages that move."""

    def files(self, looked: Looked, selection: Selection) -> dict:
        """Everything on the page as files by name (see `qsneg.rendering.report`)."""
        out = report.pictures(self.rows(looked, selection))
        out |= {f"{method}/arrays.npz": arrays for method, arrays in self.arrays(looked, selection).items()}
        facts = self.facts(looked, selection)
        return out | {"summary.json": facts, "numbers.csv": facts}


class ViewPage(Page):
    """A page that looks into models: it reads arrays off views and never runs a generator."""

    needs_heads = False  # whether a model without projection heads cannot be shown

    def find(self, view: View, selection: Selection):
        """What is found in one method."""

    def prepare_one(self, view: View, selection: Selection) -> None:
        """The slow part for one method: by default all of it."""
        self.find(view, selection)

    def steps(self, views, subject) -> Iterator:
        return views.steps(subject)

    def fit(self, selection: Selection, seen: dict[str, View]) -> Selection:
        patches = min(view.config.patches for view in seen.values())
        return replace(selection.on(next(iter(seen.values())).source.size), patches=patches, methods=tuple(seen))

    def suffix(self, selection: Selection) -> str:
        return f"layer-{selection.layer}"

    def prepare(self, seen: dict[str, View], selection: Selection) -> Iterator[str]:
        key = "prepared", self.name, *selection.slow
        left = {method: view for method, view in self.split(seen, selection)[0].items() if key not in view.kept}
        for number, (method, view) in enumerate(left.items(), 1):
            yield f"{title_of(method)}: reading layer {selection.layer}, {number} of {len(left)}"
            self.prepare_one(view, selection)
            view.kept[key] = []

    def look(self, seen: dict[str, View], selection: Selection) -> Looked:
        able, absent = self.split(seen, selection)
        for view in able.values():
            selection.check(view)
        return Looked(able, {method: self.find(view, selection) for method, view in able.items()}, absent)

    def pictures(self, seen: dict[str, View]) -> dict[str, Image.Image]:
        source = next(iter(seen.values())).source
        return {"source": source} | {f"result-{method}": view.result for method, view in seen.items()}

    def split(self, seen: dict[str, View], selection: Selection) -> tuple[dict[str, View], dict[str, str]]:
        """The views that can be shown, and of the others the reason why not: opened or imported models may lack heads,
        and may have other layers and grids than the first.

        Raises:
            ValueError: with the reason, if none can be shown.
        """
        able, absent, layer = {}, {}, selection.layer
        for method, view in seen.items():
            reason = view.weights.why_not() if self.needs_heads else ""
            if layer not in view.config.layers:
                layers = ", ".join(map(str, view.config.layers))
                reason = reason or f"There is no layer {layer} to compare in this model: choose one of {layers}."
            elif able and view.grid(layer) != (first := next(iter(able.values()))).grid(layer):
                reason = reason or other_grid(view, first, layer)
            if reason:
                absent[method] = reason
            else:
                able[method] = view
        if not able:
            raise ValueError(next(iter(absent.values())))
        return able, absent

    def head(self, looked: Looked, selection: Selection, title: str, size: int) -> str:
        view = looked.view
        width, height = view.source.size
        text = f"<b>{title}</b>, inspected at {width} × {height} pixels in {view.precision}."
        if min(width, height) < size:
            text += (
                f" The working size of {size} is reduced here, since attention compares every position with every "
                "other and a page should not keep you waiting."
            )
        return text + self.local_words(view, selection)

    def local_words(self, view: View, selection: Selection) -> str:
        """Where there are too many positions to compare each with all."""
        if selection.the_mode(view) == selection.mode:
            return ""
        rows, columns = view.grid(selection.layer).shape
        return (
            f" Layer {selection.layer} has {rows * columns} positions, more than the {selection.most} that are "
            "compared all with all: local mode is shown."
        )


def other_grid(view: View, first: View, layer: int) -> str:
    """Why a layer of two models cannot be compared, and which layers can."""
    own, other = (v.grid(layer).stride for v in (view, first))
    alike = [n for n in view.config.layers if n in first.config.layers and view.grid(n) == first.grid(n)]
    return (
        f"At layer {layer} this generator has {own} pixels per position and the first model {other}: choose one of "
        f"{', '.join(map(str, alike))}."
    )


def inspected(view: View, selection: Selection) -> Inspection:
    """What is read off a view at the chosen layer, mode and seed, with as many anchors and negatives as `patches`."""
    count, mode = selection.patches or None, selection.the_mode(view)
    return inspect(view, selection.layer, mode, count, selection.seed, num_negatives=count)


def source_panel(looked: Looked, grid: Grid, words: str = "", label: str = "The source", **more) -> Panel:
    """The source alone, in colour, as the first column of a row."""
    return Panel("source", "source", looked.source, grid, words=words, label=label, grey=False, **more)
