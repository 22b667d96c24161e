"""What belongs to a visitor: the picture and models looked at, what is chosen on the pages. Small; arrays lie elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, field

import gradio as gr

from qsneg.pages.selection import Selection
from qsneg.ui import limits
from qsneg.ui.line import Wish
from qsneg.ui.own_weights import OWN


@dataclass(frozen=True)
class Subject:
    """What a visitor looks at: a picture's file and digest, the family, its methods, the working size asked for, and
    what names the visitor's own weights, which are method "own"; and by whom, which does not make it another: a name of
    the session, "" for calls of endpoints and what stands there at first."""

    path: str
    digest: str
    family: str
    methods: tuple[str, ...]
    size: int
    own: str = ""
    visitor: str = field(default="", compare=False)

    def home(self, method: str) -> str:
        """Where `Models.translator` finds a method: the family, or what names the visitor's own weights."""
        return self.own if method == OWN else self.family


def chosen(**values) -> Selection:
    """A selection within the app's limits."""
    return Selection(most=limits.GLOBAL, **values)


class Latest:
    """What a visitor has chosen on a page last: what is still at work for an older choice is done again for it."""

    def __init__(self):
        self.number, self.selection = 0, None

    def choose(self, selection: Selection) -> None:
        self.number, self.selection = self.number + 1, selection


class Visit:
    """A visitor's state in gradio: each of these is kept per session."""

    def __init__(self, subject: Subject | None, forget: Callable[[tuple[str, str] | None], None]):
        """forget: what is done with own weights when the session ends."""
        self.subject = gr.State(subject)
        self.selection, self.latest = gr.State(chosen()), gr.State(Latest())
        self.tab, self.tour = gr.State("compare"), gr.State(0)  # which page; which step of the tour over it, 0: none
        self.wish, self.looking = gr.State(Wish()), gr.State(Wish())  # a translation; something to look into
        self.own = gr.State(None, delete_callback=forget)  # own weights: what names them, and a title
