"""What a step of the tour is: a page without a tab of its own, that draws one row."""

from collections.abc import Iterable

from qsneg.inspect import View
from qsneg.pages.page import Looked, ViewPage
from qsneg.pages.selection import Selection
from qsneg.rendering.colormaps import title_of
from qsneg.rendering.rows import Panel, Row

SIDE = 72  # pixels of a patch on the page


class Step(ViewPage):
    """A step: title, two sentences and a figure in its row; `leads` names the page that it belongs to."""

    leads: str  # the page that it belongs to
    hint: str  # one thing to try
    controls = ()
    prefers: tuple[str, ...] = ()  # methods of which the first that is there is shown; none: all of them
    lacks = ""  # what is said where none of them is there, with the title of the one that is shown

    def reads(self, selection: Selection) -> tuple:
        own = (field for control in self.controls for field in control.fields)
        return tuple(getattr(selection, name) for name in ("layer", "mode", "x", "y", *own))

    def split(self, seen: dict[str, View], selection: Selection) -> tuple[dict[str, View], dict[str, str]]:
        able, absent = super().split(seen, selection)
        if not self.prefers:
            return able, absent
        method = self.preferred(able) or next(iter(able))
        return {method: able[method]}, {}

    def preferred(self, methods: Iterable[str]) -> str | None:
        """The first that it prefers of some methods; None where none of them is there."""
        return next((m for m in self.prefers if m in methods), None)

    def row(self, looked: Looked, note: str, panels: list[Panel]) -> list[Row]:
        """What the step draws; where no method is there that it prefers, it says whose features it reads."""
        method = next(iter(looked.seen))
        if self.lacks and method not in self.prefers:
            note += " " + self.lacks.format(title_of(method))
        return [looked.row(self.title, note, panels)]

    def only(self, looked: Looked) -> tuple:
        """The method that is shown, where it is one, and what was found in it."""
        return next(iter(looked.found.items()))

    def place(self, looked: Looked, selection: Selection) -> tuple[tuple[int, int], dict]:
        """The chosen patch, and what every picture of the tour has: its grid, and that a click chooses a patch."""
        grid = looked.view.grid(selection.layer)
        return selection.position(grid), dict(grid=grid, aim=(selection.x, selection.y))
