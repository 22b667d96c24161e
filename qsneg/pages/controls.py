"""Controls of pages, declared: what they are called, what they offer, which field of `Selection` they set."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from qsneg.bounds import ATTENTION_MODES
from qsneg.inspect import View
from qsneg.pages.selection import SCALES, Selection
from qsneg.rendering.colormaps import title_of
from qsneg.rendering.rows import OPACITY

HUGE = 1e300  # beyond this nothing counts as a number


@dataclass(frozen=True)
class Control:
    """Buttons where there are `choices` (what they say, value), a slider where there is a `range` (least, most, step),
    else a field for a whole number."""

    name: str
    label: str
    default: object
    tooltip: str  # the code's name, and what it is
    choices: tuple[tuple[str, object], ...] = ()
    range: tuple[float, float, float] = ()
    field: str = ""  # of Selection; "" for one of its own name

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of Selection that it shows."""
        return (self.field or self.name,)

    def bounds(self, selection: Selection, view: View | None) -> tuple[float, float] | None:
        """The least and greatest number that it takes; None where it is a choice."""
        return self.range[:2] or None

    def accept(self, selection: Selection, value, view: View | None) -> tuple[object, str]:
        """What of a visitor's value is taken, and a sentence if that is another: numbers are rounded to whole ones and
        moved into the bounds; where there is none, the one that is set stays."""
        bounds = self.bounds(selection, view)
        if bounds is None:
            return value, ""
        (least, most), now = bounds, self.shown(selection, view)["value"]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < HUGE:
            return now, f"{self.label}: there is no number in the field, {now} stays."
        taken = min(max(round(value), least), most)
        is_other = f"{self.label} is a whole number from {least} to {most}: {value:.10g} became {taken}."
        return taken, "" if taken == value else is_other

    def set(self, selection: Selection, value, view: View | None) -> Selection:
        """The selection with a new value; `view` is the first of those that are looked at, if there are any."""
        return replace(selection, **{self.field or self.name: value})

    def shown(self, selection: Selection, view: View | None) -> dict:
        """What it shows for a selection: value, and what else has changed."""
        return {"value": getattr(selection, self.field or self.name)}


class Layer(Control):
    """A layer, of those that the model has."""

    def shown(self, selection: Selection, view: View) -> dict:
        return {"value": selection.layer, "choices": list(view.config.layers)}


class Number(Control):
    """How many: as many as the models' own patches, until it is chosen."""

    def shown(self, selection: Selection, view: View) -> dict:
        return {"value": getattr(selection, self.name) or selection.patches or view.config.patches}


class Temperature(Control):
    """τ in hundredths: the model's own, until it is chosen."""

    def shown(self, selection: Selection, view: View) -> dict:
        return {"value": selection.tau or max(1, round(100 * view.config.temperature))}


class Whose(Control):
    """One of the methods that are looked at."""

    def shown(self, selection: Selection, view: View) -> dict:
        choices = [(title_of(method), method) for method in selection.methods]
        return {"value": selection.the_method(selection.methods), "choices": choices}


class Mode(Control):
    """An attention mode, of those that it offers."""

    def shown(self, selection: Selection, view: View) -> dict:
        offered = [value for _, value in self.choices]
        return {"value": selection.mode if selection.mode in offered else self.default}


@dataclass(frozen=True)
class Scale(Control):
    """A colour scale: what `own` makes of a selection."""

    own: Callable[[Selection], str] = None

    def shown(self, selection: Selection, view: View) -> dict:
        return {"value": self.own(selection)}


class Coordinate(Control):
    """Row or column of the query on the layer's grid."""

    fields = "x", "y"

    def bounds(self, selection: Selection, view: View) -> tuple[int, int]:
        inside = view.grid(selection.layer).visible()[("row", "column").index(self.name)]
        return inside.start, inside.stop - 1

    def set(self, selection: Selection, value, view: View) -> Selection:
        grid = view.grid(selection.layer)
        place = dict(zip(("row", "column"), selection.position(grid)))
        return selection.moved(grid, **place | {self.name: value})

    def shown(self, selection: Selection, view: View) -> dict:
        row, column = selection.position(view.grid(selection.layer))
        least, most = self.bounds(selection, view)
        return {"value": row if self.name == "row" else column, "label": f"{self.label}, {least} to {most}"}


class InBrowser(Control):
    """One that the browser obeys on its own."""

    fields = ()


def named(values) -> tuple[tuple[str, object], ...]:
    return tuple((str(value).replace("+", " + "), value) for value in values)


LAYER = "layer: index of the generator's layer whose features are read"


def layer() -> Control:
    return Layer("layer", "Layer", Selection().layer, LAYER, named((0, 4, 8, 12, 16)))


def whose(label: str) -> Control:
    """Its choices are there once something is looked at."""
    return Whose("method", label, "", "whose features are read", (("", ""),))


def mode(label: str, modes=ATTENTION_MODES) -> Control:
    tooltip = "mode: what a position attends to: all positions, or a window of 7 × 7"
    return Mode("mode", label, "global", tooltip, named(modes))


def scale(own: Callable[[Selection], str], field: str = "scale") -> Control:
    """own: the scale that a selection has on the page; field: what holds it."""
    tip = "how values become colours"
    return Scale("scale", "Colour scale", own(Selection()), tip, named(SCALES), field=field, own=own)


def seed(label: str = "Seed") -> Control:
    return Control("seed", label, 0, "seed: of random positions and of NEGCUT's noise", range=(0, 40, 1))


def row_and_column() -> tuple[Control, Control]:
    return (
        Coordinate("row", "Row", 0, "position: row on the layer's grid"),
        Coordinate("column", "Column", 0, "position: column on the layer's grid"),
    )


def opacity() -> Control:
    tooltip = "how strongly the map covers the picture"
    return InBrowser("opacity", "Map opacity", OPACITY, tooltip, range=(0, 1, 0.05))
