"""Buttons on a page that moves: its film as a file, to be passed on."""

from collections.abc import Iterator

import gradio as gr

from qsneg.rendering import moving
from qsneg.ui.components import PRIVATE, kept, script, sentence

NAMES = {"webp": "WebP", "gif": "GIF", "mp4": "MP4"}


class FilmButtons:
    """A button for every kind of film; `page` is the inner page on which they stand."""

    def __init__(self, page):
        self.page = page
        with gr.Row(elem_classes="films", visible=False) as self.place:
            gr.HTML("<span>Film as</span>", container=False)
            self.buttons = {
                kind: gr.Button(NAMES[kind], size="sm", scale=0, min_width=64, elem_classes="quiet")
                for kind in moving.KINDS
            }

    def made(self, kind: str, subject, shown) -> Iterator[dict]:
        """The film of what stands on the page, as a file: what is at work, then the file; or why there is none."""
        page = self.page
        try:
            if shown is None:
                raise ValueError("There is nothing on this page yet.")
            if kind == "mp4":
                moving.encoder()
            subject, selection = shown
            *_, seen = page.page.steps(page.views, subject)
            looked, frames = page.page.look(seen, selection), []
            drawn, count = page.page.film(looked, selection, subject.family)
            for number, frame in enumerate(drawn, 1):
                frames.append(frame)
                if number % 4 == 1:
                    yield page.status.at_work(f"Drawing the film: frame {number} of {count}")
            yield page.status.at_work(f"Writing the film as {NAMES[kind]}")
            words = "qsneg", page.page.name, subject.family, f"picture-{selection.picture + 1}"
            file = kept(moving.encoded(frames, kind), f"{'-'.join(words)}.{kind}")
            yield {page.file: file} | page.status.cleared()
        except Exception as error:
            yield {page.file: None} | page.status.refused(sentence(error))

    def wire(self, **common) -> None:
        """What happens when; `common` is said of every event."""
        page = self.page
        inputs, outputs = [page.visit.subject, page.shown], [page.file, page.status.place]
        for kind, button in self.buttons.items():

            def make(subject, shown, kind=kind):
                yield from self.made(kind, subject, shown)

            made = button.click(make, inputs, outputs, **common)
            made.success(None, js=script("save.js", name=page.page.name), **PRIVATE)
