"""The address holds what a visitor looks at, so that reload, back and a pasted link restore it; an upload excepted.

written(subject, selection, "anchors", "a-lion")     # "?family=photo2ink&example=a-lion&tab=anchors&layer=12&at=20,31"
read("?tab=anchors&layer=12", models.families())    # a `Wanted`, with what could be understood

What an address says is checked like anything else that comes from outside: what makes no sense is left out here, or
refused in one sentence by the page that it is for.
"""

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlencode

import gradio as gr

from qsneg.pages import PAGES
from qsneg.pages.selection import Selection
from qsneg.ui import limits
from qsneg.ui.components import AT_ONCE, PRIVATE, script, stored
from qsneg.ui.controls import Controls
from qsneg.ui.own_weights import OWN
from qsneg.ui.selection import Subject, Visit, chosen

COMPARE, UPLOAD = "compare", "upload"
APART = ("x", "y", "size", "methods", "patches", "most")  # fields of Selection that are not written under their names
FIELDS = {f.name: f.default for f in dataclasses.fields(Selection) if f.name not in APART}
LONGEST = 2000  # characters of an address that are read
GONE = "This address is of a picture that was uploaded: addresses do not hold those. Choose it again."


@dataclass(frozen=True)
class Wanted:
    """What an address asks for; None or "" where it says nothing that can be understood."""

    family: str | None = None
    methods: tuple[str, ...] = ()
    size: int | None = None
    example: str = ""
    page: str = COMPARE
    selection: Selection = field(default_factory=chosen)


def written(subject: Subject, selection: Selection, page: str, example: str, tour: int = 0) -> str:
    """The address of what is looked at: only what is other than at first."""
    values = {"family": subject.family, "example": example or UPLOAD, "size": subject.size, "tab": page}
    values["methods"] = ",".join(m for m in subject.methods if m != OWN)
    values |= {name: getattr(selection, name) for name, usual in FIELDS.items() if getattr(selection, name) != usual}
    if selection.x >= 0 and (page != COMPARE or tour):
        values["at"] = f"{selection.x:g},{selection.y:g}"
    values |= {"tour": tour} if tour else {}
    return "?" + urlencode({k: v for k, v in values.items() if v != ""}, safe=",")


def read(address: str, families: dict[str, list[str]], others: tuple[str, ...] = ()) -> Wanted:
    """What an address asks for; `others` are pages besides those that look inside."""
    found = {name: values[-1] for name, values in parse_qs(address[:LONGEST].lstrip("?")).items()}
    selection = chosen()
    for name, usual in FIELDS.items():
        if (value := found.get(name)) is not None and (isinstance(usual, str) or is_whole(value)):
            selection = replace(selection, **{name: type(usual)(value)})
    at = found.get("at", "").split(",")
    if len(at) == 2 and all(map(is_whole, at)):
        selection = replace(selection, x=float(at[0]), y=float(at[1]))
    family = found.get("family") if found.get("family") in families else None
    methods = tuple(m for m in found.get("methods", "").split(",") if m in families.get(family, ()))
    size, page = found.get("size", ""), found.get("tab", "")
    return Wanted(
        family,
        methods,
        int(size) if is_whole(size) and int(size) in limits.OFFERED else None,
        found.get("example", ""),
        page if page in (*PAGES, *others) else COMPARE,
        selection,
    )


def is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


class Address:
    """Its components: where the browser finds the address to show, and what it presses when it has one to restore."""

    def __init__(self, visit: Visit, controls: Controls, tabs: gr.Tabs, others: tuple[str, ...] = ()):
        self.visit, self.controls, self.tabs, self.others = visit, controls, tabs, others
        self.place = gr.HTML(visible="hidden", js_on_load=script("address.js"), elem_id="address")
        self.asked, self.button = gr.Textbox(visible="hidden"), gr.Button(visible="hidden", elem_id="restore")

    @functools.cached_property
    def examples(self) -> dict[str, str]:
        """The examples' names by the digests of their files; not made before an address asks."""
        read = self.controls.models.sources.read
        return {read(stored(e.picture(), e.file_name)).digest: e.file_name for e in self.controls.examples}

    def write(self, subject: Subject | None, selection: Selection, tab: str, tour: int) -> str | dict:
        """The address of what is looked at, for the browser."""
        if subject is None or not subject.family:
            return gr.skip()
        query = written(subject, selection, tab, self.examples.get(subject.digest, ""), tour)
        return f'<i data-query="{query.replace("&", "&amp;")}"></i>'

    def restore(self, address: str, own) -> Iterator[dict]:
        """Set the controls as an address says; what is missing in it stays."""
        controls, families = self.controls, self.controls.models.families()
        wanted = read(str(address or ""), families, self.others)
        values = {self.visit.selection: wanted.selection, self.visit.tab: wanted.page}
        values |= {self.tabs: gr.Tabs(selected=wanted.page)}
        example = next((e for e in controls.examples if e.file_name == wanted.example), None)
        if example:
            values[controls.picture] = stored(example.picture(), example.file_name)
        elif wanted.example == UPLOAD:
            values |= controls.gone.refused(GONE)
        if wanted.family:
            methods, note = controls.set_family(wanted.family, list(wanted.methods), own)
            values |= {controls.family: wanted.family, controls.methods: methods, controls.family_note: note}
        if wanted.size:
            values[controls.size] = wanted.size
        yield values

    def wire(self, filled: list):
        """What happens when, `filled` being the events of pages that were filled; returns the event after which there is
        something to translate."""
        visit, c = self.visit, self.controls
        moved = [visit.subject.change, visit.tab.change, visit.tour.change, *filled]
        gr.on(moved, self.write, [visit.subject, visit.selection, visit.tab, visit.tour], self.place, **AT_ONCE)
        outputs = [visit.selection, visit.tab, self.tabs, c.picture, c.gone.place, c.family, c.methods]
        outputs += [c.family_note, c.size]
        inputs, hidden = [self.asked, visit.own], dict(show_progress="hidden")
        return self.button.click(
            self.restore, inputs, outputs, js="(_, own) => [location.search, own]", **hidden, **PRIVATE
        )
