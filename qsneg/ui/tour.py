"""The tour as a dialog over the page: six steps on what was translated last, each with one thing to try and a way into
the page that it belongs to. Walking, keyboard and focus are the browser's: see static/tour.js.

`Visit.tour` says which step is open, from 1; 0: none.
"""

from dataclasses import replace

import gradio as gr

from qsneg.pages import PAGES
from qsneg.pages.selection import Selection
from qsneg.pages.tour import TOUR
from qsneg.pages.tour.step import Step
from qsneg.rendering.rows import Row
from qsneg.ui import figures
from qsneg.ui.arguments import numbers, whole
from qsneg.ui.components import script
from qsneg.ui.feature_cache import Views
from qsneg.ui.selection import Visit
from qsneg.ui.shown_page import Bases, ShownPage

BUTTON = '<button type="button" id="to-tour" data-step="1" aria-haspopup="dialog">Take the tour</button>'


class TourStep(ShownPage):
    """One step."""

    def __init__(self, step: Step, number: int, views: Views, visit: Visit, bases: Bases):
        with gr.Column(elem_classes="step", elem_id=f"step-{number}"):
            super().__init__(step, views, visit, bases)
            self.head = gr.HTML(visible=False)
            self.place()
            with gr.Row(elem_classes="try"):
                gr.HTML(f"<p><b>Try it.</b> {step.hint}</p>", elem_classes="grow")
                self.bar()
        self.connect()

    def drawn(self, rows: list[Row]) -> str:
        return "".join(map(figures.row, rows))


class Tour:
    """The dialog: its frame and its steps."""

    def __init__(self, views: Views, visit: Visit, bases: Bases):
        self.visit = visit
        with gr.Column(elem_id="tour"):
            self.frame = gr.HTML(frame(), js_on_load=script("tour.js", count=len(TOUR)), elem_id="tour-frame")
            self.steps = [TourStep(step, n, views, visit, bases) for n, step in enumerate(TOUR, 1)]
            gr.HTML(foot(), elem_id="tour-foot")

    def turned(self, looking, subject, selection, event: gr.EventData) -> tuple[int, Selection | dict]:
        """Another step is looked at, or none; a page that is opened from one shows the method that was shown there."""
        looking.make()
        step, left = (whole(name, *numbers(event, name), 0, len(TOUR)) for name in ("step", "left"))
        method = TOUR[left - 1].preferred(subject.methods) if left and subject else None
        return step, replace(selection, method=method) if method else gr.skip()


def frame() -> str:
    """The line at the top: which step, and the way out."""
    return (
        '<p class="unseen" role="status" aria-live="polite"></p>'
        f'<div class="frame"><h2 id="tour-title">A tour in {in_words(len(TOUR))} steps</h2><p class="count"></p>'
        '<button type="button" data-step="0" class="close" aria-label="Close the tour">×</button></div>'
    )


def foot() -> str:
    """The line at the bottom: back, every step, forward; and the page that a step belongs to."""
    dots = "".join(
        f'<li><button type="button" data-step="{n}" title="{step.title}" data-page="{PAGES[step.leads].title}" '
        f'aria-label="Step {n}: {step.title}"></button></li>'
        for n, step in enumerate(TOUR, 1)
    )
    return (
        '<div class="foot"><button type="button" class="back">Back</button>'
        f'<ol class="dots">{dots}</ol><button type="button" class="next">Next</button>'
        '<button type="button" class="leads quiet"></button></div>'
    )


def in_words(count: int) -> str:
    return ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")[count]
