"""The place in the left column where a visitor's own weights are opened and closed: one more method, for one session."""

import html
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from qsneg.ui import texts
from qsneg.ui.components import AT_ONCE, PRIVATE, Message, sentence
from qsneg.ui.controls import Controls
from qsneg.ui.own_weights import OWN


class OwnWeights:
    """The fold, its components as attributes."""

    def __init__(self, controls: Controls):
        self.controls, self.opened, self.own = controls, controls.models.own, controls.visit.own
        with gr.Accordion("Your own weights", open=False, elem_id="own"):
            gr.HTML(f'<p class="note">{texts.OWN_WORDS}</p>')
            self.file = gr.File(label="Weights file", type="filepath", height=120, elem_id="own-file")
            self.name = gr.Textbox(
                label="Or on the Hugging Face Hub", placeholder="user/repository", max_lines=1, elem_id="own-name"
            )
            self.fetch = gr.Button("Open from the Hub", size="sm", elem_id="own-open")
            self.message = Message()
            self.close = gr.Button("Close your weights", size="sm", visible=False, elem_id="own-close")

    def open_file(self, path, family, methods, own):
        """A visitor's own weights from a file."""
        path = path if isinstance(path, str) else ""
        return self.open(lambda: self.opened.open(path), Path(path).stem, family, methods, own, path or None)

    def open_hub(self, name, family, methods, own):
        """The same from the Hugging Face Hub."""
        return self.open(lambda: self.opened.fetch(name or ""), (name or "").strip(), family, methods, own)

    def open(self, make: Callable[[], str], title: str, family, methods, own, path=None) -> dict:
        """Open what `make` gives the token of, in place of what was open; or say what is wrong, and that stays."""
        try:
            token = make()
        except Exception as error:
            said = sentence(error) + (f" {own[1]} stays open." if own else "")
            return self.message.refused(said) | {self.file: gr.update(value=None)}
        self.opened.close(own)
        own = token, title if len(title) <= 40 else title[:39] + "…"
        group, _ = self.controls.set_family(family, [m for m in methods or [] if m != OWN] + [OWN], own)
        said = self.message.said(kind(own[1], self.opened.find(token)))
        buttons = {self.close: gr.update(visible=True), self.file: gr.update(value=path)}
        return said | buttons | {self.own: own, self.controls.methods: group}

    def closed(self, family, methods, own) -> dict:
        """The visitor has removed the file, or pressed the button."""
        self.opened.close(own)
        group, _ = self.controls.set_family(family, [method for method in methods or [] if method != OWN])
        values = {self.close: gr.update(visible=False), self.file: gr.update(value=None)}
        return self.message.cleared() | values | {self.own: None, self.controls.methods: group}

    def parts(self) -> list:
        """What is set by opening and closing."""
        return [self.own, self.controls.methods, self.file, self.message.place, self.close]

    def wire(self) -> None:
        now = [self.controls.family, self.controls.methods, self.own]
        outputs = self.parts()
        opening = dict(outputs=outputs, concurrency_id="own", concurrency_limit=2, show_progress="hidden", **PRIVATE)
        begin = dict(fn=lambda: self.message.at_work("Opening."), outputs=self.message.place, **AT_ONCE)
        self.file.upload(**begin).then(self.open_file, [self.file, *now], **opening)
        for event in (self.file.clear, self.close.click):
            event(self.closed, now, outputs, show_progress="hidden", **PRIVATE)
        for event in (self.fetch.click, self.name.submit):
            event(**begin).then(self.open_hub, [self.name, *now], **opening)


def kind(title: str, translator) -> str:
    """What kind of model a visitor has opened, and what it lacks."""
    c, lacks = translator.config, translator.weights.why_not()
    bare = "a generator of the kind of " if translator.weights.heads is None and translator.title == "CUT" else ""
    kind = f"{bare}{translator.title}, width {c.width}, {c.blocks} blocks, {c.resampling} resampling"
    text = f"<b>{html.escape(title)}</b> is open: {kind}. {lacks} It is ticked among the methods: press Translate."
    return f'<p class="note" role="status">{" ".join(text.split())}</p>'
