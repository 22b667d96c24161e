"""The line over the pages that says that what they show was made with other settings; it is pale while it says so."""

import gradio as gr

from qsneg.ui.components import AT_ONCE
from qsneg.ui.controls import Controls
from qsneg.ui.models import Models
from qsneg.ui.own_weights import OWN
from qsneg.ui.selection import Subject, Visit
from qsneg.ui.uploads import Refused

WORDS = "What is shown here was made with other settings: press Translate for those on the left."


class Outdated:
    """The line as a component; it follows every control of the left column, and every translation."""

    def __init__(self, models: Models, visit: Visit, controls: Controls):
        self.models, self.visit, self.controls = models, visit, controls
        self.place = gr.HTML(visible=False, elem_id="outdated")

    def follow(self, subject: Subject | None, path, family, methods, size, own) -> dict:
        """Say it, or say it no longer."""
        is_old = subject is not None and self.asked(path, family, methods, size, own) != (
            subject.digest,
            subject.family,
            set(subject.methods),
            subject.size,
            subject.own,
        )
        return gr.update(value=f'<p class="outdated" role="status">{WORDS}</p>' if is_old else "", visible=is_old)

    def asked(self, path, family, methods, size, own) -> tuple:
        """What the left column says, as a subject has it."""
        try:
            digest = self.models.sources.read(path).digest
        except Refused:
            digest = None
        methods = set(methods or [])
        return digest, family or (own and OWN), methods, size, own[0] if own and OWN in methods else ""

    def wire(self) -> None:
        c, visit = self.controls, self.visit
        inputs = [visit.subject, c.picture, c.family, c.methods, c.size, visit.own]
        changes = [c.picture.change, c.family.change, c.methods.change, c.size.change, visit.subject.change]
        gr.on(changes, self.follow, inputs, self.place, **AT_ONCE)
