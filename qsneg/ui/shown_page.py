"""A page as it is shown: its controls, its pictures, what is wrong; and what happens when one of them is touched.

`inner_pages` gives it a tab, `tour` a place among its steps. What is not looked at is not computed; a click computes a
page's `look` once.
"""

from collections.abc import Iterator

import gradio as gr

from qsneg.pages.controls import Control, InBrowser
from qsneg.pages.page import Looked, Page
from qsneg.pages.selection import SLOW, Selection
from qsneg.rendering.colormaps import title_of
from qsneg.rendering.rows import Row
from qsneg.ui import figures, texts
from qsneg.ui.arguments import numbers
from qsneg.ui.components import AT_ONCE, LINE, PRIVATE, Message, Track, Whole, drawn, script, sentence
from qsneg.ui.feature_cache import Views
from qsneg.ui.line import Wish
from qsneg.ui.own_weights import OWN
from qsneg.ui.selection import Latest, Subject, Visit

HIDDEN = PRIVATE | dict(show_progress="hidden")
PAGES = HIDDEN | dict(concurrency_id="pages", concurrency_limit=1)
CLICKS = HIDDEN | dict(concurrency_id="clicks", concurrency_limit=2)  # they need no network and wait for none


class Bases:
    """The pictures that lie under the maps of some pages, sent once per picture; and whose they are."""

    def __init__(self):
        self.html, self.held = gr.HTML(visible="hidden"), gr.State(None)


class Moved:
    """A control of a page, and what happens when it is moved."""

    def __init__(self, page: "ShownPage", control: Control):
        self.page, self.control, self.component = page, control, drawn(control)

    def obey(self, subject, selection, shown, held, value, latest=None) -> Iterator[dict]:
        """Fill the page for a new value; the control is left alone, for somebody may be typing."""
        for update in self.page.fill(subject, selection, shown, held, latest, self, value):
            update.pop(self.component, None)
            yield update

    def settle(self, subject, selection, shown, held, value, event: gr.EventData, latest=None) -> Iterator[dict]:
        """A number was entered, or its field left: it shows what is taken of it."""
        if isinstance(self.component, Track):
            value = event._data  # as it was typed: gradio has moved it into the bounds since
        for update in self.page.fill(subject, selection, shown, held, latest, self, value):
            if update.get(self.component) == gr.update(value=value):  # as it stands there: typing may have gone on
                del update[self.component]
            yield update

    def choose(self, looking: Wish, selection, value):
        """Another layer or mode, which takes a while: what it needs is made before the page is filled."""
        looking.make()
        return self.control.set(selection, value, None)

    def wire(self) -> None:
        if isinstance(self.control, InBrowser):
            self.component.input(None, self.component, js=script(f"{self.control.name}.js"), **PRIVATE)
            return
        *values, latest = self.page.inputs
        inputs, typed, visit = [*values, self.component, latest], self.component, self.page.visit
        if set(self.control.fields) & set(SLOW):
            chosen = [visit.looking, visit.selection, typed]
            self.page.follow(typed.input(self.choose, chosen, visit.selection, **AT_ONCE))
            return
        typed.input(self.obey, inputs, self.page.outputs, trigger_mode="always_last", **PAGES)
        settled = {Track: ("release",), Whole: ("submit", "blur")}.get(type(typed), ())
        for event in (getattr(typed, name) for name in settled):
            event(self.settle, inputs, self.page.outputs, trigger_mode="always_last", **PAGES)


class ShownPage:
    """One page: its components as attributes, what they do as methods. Who lays it out calls `bar`, `place` and
    `connect`, and makes `head`.

    `shown` is (subject, selection) of what stands on it, None at first; `held` are the models and picture of its bases.
    """

    head: gr.HTML

    def __init__(self, page: Page, views: Views, visit: Visit, bases: Bases):
        self.page, self.views, self.visit, self.bases = page, views, visit, bases
        self.shown = gr.State(None)

    def bar(self) -> None:
        """Its controls."""
        with gr.Row(elem_classes="bar-of-controls", visible=bool(self.page.controls)):
            self.controls = [Moved(self, control) for control in self.page.controls]

    def place(self) -> None:
        """Its pictures, and over them what is at work or wrong."""
        self.status = Message()
        stage = script("aim.js") + script("film.js")
        self.stage = gr.HTML(js_on_load=stage, elem_id=f"stage-{self.page.name}", elem_classes="stage")

    def connect(self, *more) -> None:
        """What its functions are given, and what they set; `more` of the latter."""
        self.inputs = [self.visit.subject, self.visit.selection, self.shown, self.bases.held, self.visit.latest]
        parts = [self.head, self.status.place, self.stage, *(c.component for c in self.controls)]
        self.outputs = [self.visit.selection, self.shown, self.bases.held, self.bases.html, *parts, *more]

    def opened(self, subject, selection, shown, held, latest=None) -> Iterator[dict]:
        """It is looked at, a layer or a mode was chosen, or there is another picture; nothing, if it is as it should
        be."""
        if shown is None or shown[0] != subject or self.page.reads(shown[1]) != self.page.reads(selection):
            yield from self.fill(subject, selection, shown, held, latest)

    def made(self, looking: Wish, subject, selection) -> Iterator[dict]:
        """Make what the page needs, if that is still the wish: the place in the line, the step at work, at last neither;
        or what is wrong. The page stays as it is."""
        yield gr.skip()
        number = looking.take()
        if number is None:
            return
        steps, said = self.needs(subject, selection), {}
        try:
            for step in self.views.models.line.served(steps, lambda: looking.number == number):
                yield self.status.at_work(step)
                said = self.status.cleared()
            looking.fulfil(number)
            if said:  # else there may stand what is wrong with a number that was typed meanwhile
                yield said
        except Exception as error:
            yield self.status.refused(sentence(error))

    def needs(self, subject: Subject | None, selection: Selection) -> Iterator[str]:
        """Make what the page needs: a sentence before everything slow."""
        if subject is None:
            return
        for seen in self.page.steps(self.views, subject):
            if isinstance(seen, str):
                yield seen
        yield from self.page.prepare(seen, self.page.fit(selection, seen))

    def followed(self, looking: Wish, *values) -> Iterator[dict]:
        """`opened`, once everything is made."""
        yield gr.skip()
        if looking.is_fulfilled:
            yield from self.opened(*values)

    def follow(self, event):
        """After an event, make what the page needs and fill it."""
        visit = self.visit
        inputs = [visit.looking, visit.subject, visit.selection]
        made = event.then(self.made, inputs, self.status.place, **LINE, **HIDDEN)
        return made.then(self.followed, [visit.looking, *self.inputs], self.outputs, trigger_mode="multiple", **PAGES)

    def aimed(self, subject, selection, shown, held, event: gr.EventData, latest=None) -> Iterator[dict]:
        """A patch was clicked, or reached with the arrow keys."""
        selection, latest = self.page.clicked(selection, *numbers(event, "x", "y")), latest or Latest()
        latest.choose(selection)
        yield {self.visit.selection: selection}  # at once: whatever begins from now on reads it
        yield from self.fill(subject, selection, shown, held, latest)

    def fill(
        self,
        subject: Subject | None,
        selection: Selection,
        shown,
        held,
        latest: Latest | None = None,
        moved: Moved | None = None,
        value=None,
    ) -> Iterator[dict]:
        """Fill the page, after a control was set to a value if one was: the step at work while it works, then the page;
        or what is wrong, and the page stays. What was chosen meanwhile is what the page is filled for."""
        latest = latest or Latest()
        number = latest.number
        if subject is None:
            yield self.status.refused("There is nothing to look into yet: translate a picture first.")
            return
        try:
            for seen in self.page.steps(self.views, subject):
                if isinstance(seen, str):
                    yield self.status.at_work(seen)
            selection, said = self.page.fit(selection, seen), self.status.cleared()
            if moved:
                first = next(iter(seen.values()))
                value, word = moved.control.accept(selection, value, first)
                selection = moved.control.set(selection, value, first)
                said = self.status.at_work(word) if word else said
                latest.choose(selection)
                number = latest.number
            if shown == (subject, selection):
                yield said | ({moved.component: gr.update(value=value)} if moved else {})
                return
            for step in self.page.prepare(seen, selection):
                yield self.status.at_work(step)
            looked = self.page.look(seen, selection)
            while number != latest.number:
                number, selection = latest.number, self.page.fit(latest.selection, seen)
                looked = self.page.look(seen, selection)
            yield self.filled(subject, selection, looked) | self.laid_under(subject, seen, held) | said
        except Exception as error:
            yield self.status.refused(sentence(error))

    def filled(self, subject: Subject, selection: Selection, looked: Looked) -> dict:
        """The page, its head and its controls."""
        title = title_of(OWN) if list(looked.seen) == [OWN] else texts.family_title(subject.family)
        head, first = self.page.head(looked, selection, title, subject.size), next(iter(looked.seen.values()), None)
        mine = [c for c in self.controls if not isinstance(c.control, InBrowser)]
        return {c.component: gr.update(**c.control.shown(selection, first)) for c in mine} | {
            self.stage: gr.update(value=self.drawn(self.page.rows(looked, selection))),
            self.head: gr.update(value=f'<p class="summary">{head}</p>'),
            self.visit.selection: selection,
            self.shown: (subject, selection),
        }

    def drawn(self, rows: list[Row]) -> str:
        """Its pictures as HTML."""
        return figures.page(rows)

    def laid_under(self, subject: Subject, seen: dict, held) -> dict:
        """The pictures below the maps, if they are not there yet."""
        if held == subject:
            return {}
        return {self.bases.html: gr.update(value=figures.bases(self.page.pictures(seen))), self.bases.held: subject}

    def wire(self) -> None:
        """What happens when."""
        self.stage.select(self.aimed, self.inputs, self.outputs, trigger_mode="multiple", **CLICKS)
        for control in self.controls:
            control.wire()
