"""The left column: picture, examples, family, methods, working size, the button; what is wrong stands beside each."""

import html

import gradio as gr

from qsneg.rendering import sample_pictures
from qsneg.rendering.colormaps import title_of
from qsneg.rendering.sample_pictures import Example
from qsneg.ui import limits, texts
from qsneg.ui.arguments import numbers, whole
from qsneg.ui.components import AT_ONCE, FILES, PRIVATE, Message, Picture, Ticks, script, stored
from qsneg.ui.line import Wish
from qsneg.ui.models import Models, listed
from qsneg.ui.own_weights import OWN
from qsneg.ui.selection import Visit
from qsneg.ui.uploads import Refused


class Controls:
    """The column, its components as attributes."""

    def __init__(self, models: Models, visit: Visit, picture: str, family: str | None, refusal: Refused | None):
        self.models, self.visit = models, visit
        self.examples = sample_pictures.examples()
        self.messages = []
        look = dict(label="Picture", height=190, buttons=[], elem_id="picture", alt_text="The picture to translate")
        self.picture = Picture(picture, sources=["upload", "clipboard", "webcam"], **look, **FILES)
        self.message("picture", refusal)
        self.gone = Message()  # an address's picture that is not to be had: said until another is chosen
        thumbs = thumbnails(self.examples)
        self.thumbnails = gr.HTML(thumbs, js_on_load=script("choose.js"), elem_id="examples")
        with gr.Accordion("Settings", elem_id="settings"):
            titles = [(texts.family_title(name), name) for name in models.families()]
            self.family = gr.Radio(titles, value=family, label="Model family", elem_id="family")
            self.family_note = gr.HTML(self.note(family))
            self.message("family", refusal)
            present = models.families().get(family, [])
            choices = [(title_of(m), m) for m in present]
            self.methods = Ticks(choices, value=present, label="Methods", elem_id="methods")
            self.message("methods", refusal)
            label = "Working size, pixels of the short side"
            self.size = gr.Radio(limits.OFFERED, value=limits.OFFERED[0], label=label, elem_id="size")
            self.message("size", refusal)
        self.go = gr.Button("Translate", variant="primary", elem_id="go")
        self.stop = gr.Button("Stop", visible=False, elem_id="stop")
        self.status = Message()

    def message(self, about: str, refusal: Refused | None) -> None:
        self.messages.append(Message(about, refusal))

    def told(self, refusal: Refused | None = None) -> dict:
        """The messages: only that of a refusal is there, under the button if it is about none of the controls."""
        values = {}
        for message in self.messages:
            is_about = refusal is not None and refusal.control == message.about
            values |= message.refused(str(refusal)) if is_about else message.cleared()
        if refusal is not None and refusal.control not in [message.about for message in self.messages]:
            values |= self.status.refused(str(refusal))
        return values

    def busy(self, step: str) -> dict:
        return {self.go: gr.update(visible=False), self.stop: gr.update(visible=True)} | self.status.at_work(step)

    def ask(self, wish: Wish) -> dict:
        """Translate was pressed, or an example: from here on it can be stopped."""
        wish.make()
        return self.told() | self.busy("Starting.")

    def leave_off(self, wish: Wish) -> dict:
        """Stop was pressed: what is at work comes to nothing."""
        wish.drop()
        return self.idle()

    def idle(self) -> dict:
        return {self.go: gr.update(visible=True), self.stop: gr.update(visible=False)} | self.status.cleared()

    def idle_parts(self) -> list:
        return [self.go, self.stop, self.status.place]

    def parts(self) -> list:
        """What `told`, `busy` and `idle` set."""
        return [*self.idle_parts(), *(message.place for message in self.messages)]

    def note(self, family: str | None) -> str:
        """What a family was trained on, and which methods that other families have are missing, with the reason."""
        note = html.escape(texts.FAMILIES.get(family, ("", ""))[1])
        present = self.models.families().get(family, [])
        missing = [title_of(m) for m in self.models.present() if present and m not in present]
        if missing:
            folder = html.escape(f"{self.models.folder.name}/{family}")
            note += f" {listed(missing, 'and')}: no weights in <code>{folder}</code>."
        return f'<p class="note">{note}</p>'

    def check(self, path: str | None) -> dict:
        """Say at once that an upload is no picture."""
        mine = self.messages[0]
        try:
            self.models.sources.read(path)
        except Refused as refusal:
            return mine.refused(str(refusal))
        return mine.cleared()

    def choose(self, own, event: gr.EventData):
        """An example: its picture, and the family that it is meant for, if there is one."""
        index = whole("example", *numbers(event, "index"), 0, len(self.examples) - 1)
        example, families = self.examples[index], self.models.families()
        family = example.family if example.family in families else next(iter(families), None)
        return stored(example.picture(), example.file_name), family, *self.set_family(family, None, own)

    def set_family(self, family, methods, own=None):
        """The methods that a family has, and the visitor's own; those that were ticked stay ticked."""
        choices = [(title_of(method), method) for method in self.models.families().get(family, [])]
        choices += [(f"{title_of(OWN)}: {own[1]}", OWN)] if own else []
        present = [method for _, method in choices]
        kept = [method for method in methods or [] if method in present] or present
        return gr.CheckboxGroup(choices=choices, value=kept), self.note(family)

    def asked(self, *events) -> list:
        """The events after which something is translated: the button, an example once it is chosen, and others."""
        outputs = [self.picture, self.family, self.methods, self.family_note]
        chosen = self.thumbnails.select(self.choose, self.visit.own, outputs, show_progress="hidden", **PRIVATE)
        ask = dict(fn=self.ask, inputs=self.visit.wish, outputs=self.parts(), **AT_ONCE)
        return [self.go.click(**ask), *(event.then(**ask) for event in (chosen, *events))]

    def wire(self) -> None:
        hidden = PRIVATE | dict(show_progress="hidden")
        self.stop.click(self.leave_off, self.visit.wish, self.idle_parts(), **AT_ONCE)
        self.picture.upload(self.check, self.picture, self.messages[0].place, **hidden)
        for other in (self.picture.upload, self.picture.clear, self.thumbnails.select):
            other(self.gone.cleared, None, self.gone.place, **hidden)
        inputs = [self.family, self.methods, self.visit.own]
        self.family.input(self.set_family, inputs, [self.methods, self.family_note], **hidden)


def thumbnails(examples: list[Example]) -> str:
    """The examples as buttons with small pictures, in groups: photographs, drawn scenes."""
    groups: dict[str, str] = {}
    for number, example in enumerate(examples):
        title = html.escape(f"Example: {example.name.lower()} ({example.rights})")
        image = f'<img src="{texts.data_uri(example.thumbnail(), "WEBP", quality=85)}" alt="{title}">'
        button = f'<button type="button" data-index="{number}" title="{title}">{image}</button>'
        name = "Photographs" if example.index is None else "Drawn scenes"
        groups[name] = groups.get(name, "") + button
    shown = "".join(
        f'<div><h2>{name}</h2><div class="thumbs">{buttons}</div></div>' for name, buttons in groups.items()
    )
    rights = "".join(f"<li>{html.escape(f'{e.name}: {e.rights}')}</li>" for e in examples if e.path)
    return shown + f'<details class="rights"><summary>Whose photographs these are</summary><ul>{rights}</ul></details>'
