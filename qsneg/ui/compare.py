"""The Compare page: one picture through several models, side by side, with figures and a wipe; and its computation.

*steps, result = compare(models, models.sources.read("photo.jpg"), "day2sunset", ["cut", "negcut"], 256)
labelled(result).save("comparison.png")
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr
from PIL import Image

from qsneg import device
from qsneg.config import DRAWN
from qsneg.rendering import sample_pictures
from qsneg.rendering.colormaps import colour_of, title_of
from qsneg.rendering.sheets import Column, columns
from qsneg.ui import texts, verdict
from qsneg.ui.components import BARE, FILES, LINE, PRIVATE, Picture, script, sentence, stored
from qsneg.ui.controls import Controls
from qsneg.ui.feature_cache import Views
from qsneg.ui.figures import WIDE
from qsneg.ui.line import Wish
from qsneg.ui.models import Models, Result
from qsneg.ui.own_weights import OWN
from qsneg.ui.selection import Subject, Visit
from qsneg.ui.uploads import Refused, Source
from qsneg.ui.verdict import Verdict
from qsneg.ui.wipe import wipe

ONE = dict(concurrency_id="figures", concurrency_limit=1)


@dataclass(frozen=True)
class Comparison:
    """A picture and its translations, all of one size; the true counterpart where there is one."""

    family: str
    size: int
    device: str
    source: Image.Image
    results: tuple[Result, ...]
    counterpart: Image.Image | None
    note: str = ""  # on how far the picture was enlarged

    @property
    def is_wide(self) -> bool:
        """Whether its pictures stand below each other, since side by side they would be low."""
        return self.source.width > WIDE * self.source.height

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)


def compare(
    models: Models, source: Source, family: str, methods: list[str], size: int, own: str = ""
) -> Iterator[str | Comparison]:
    """Translate with one method after the other: yields a sentence before each, and the comparison last.

    own: names the visitor's own weights.

    Raises:
        Refused: see `Models.check` and `Models.translate`.
    """
    methods = models.check(family, methods, size, own)
    size, results = int(size), []
    for number, method in enumerate(methods, 1):
        yield f"{title_of(method)}: translating, {number} of {len(methods)}"
        results.append(models.translated(source, own if method == OWN else family, method, size))
    shape = results[0].image.size
    counterpart = None
    if source.seed is not None and family == DRAWN and size % 4 == 0:
        counterpart = sample_pictures.scene(source.seed, size, "B")
    shown = source.at(size)
    shown = shown if shown.size == shape else shown.resize(shape, Image.Resampling.LANCZOS)
    used = f"{device.describe(models.device)}, {models.precision}"
    yield Comparison(family, size, used, shown, tuple(results), counterpart, source.enlarged(size))


def pictures(comparison: Comparison) -> Iterator[tuple[str, str, Image.Image]]:
    """(key of a colour, title, picture) of everything in a comparison, from left to right."""
    yield "source", "Source", comparison.source
    for result in comparison.results:
        yield result.method, title_of(result.method), result.image
    if comparison.counterpart:
        yield "counterpart", "True counterpart", comparison.counterpart


def labelled(comparison: Comparison) -> Image.Image:
    """The comparison as one picture: a row with a title over each picture, and a line that says how it was made."""
    width, height = comparison.source.size
    times = {result.method: f"{result.seconds:.2f} s" for result in comparison.results}
    row = [Column(t, colour_of(key), [(image, "")], times.get(key, "")) for key, t, image in pictures(comparison)]
    title = texts.family_title(comparison.family).lower()
    line = f"qsneg, {title} ({comparison.family}), {width} by {height} pixels, {comparison.device}"
    return columns(row, width, line)


def summary(comparison: Comparison) -> str:
    """One line on how a comparison was made."""
    count, (width, height) = len(comparison.results), comparison.source.size
    methods = f"{count} method{'s' if count != 1 else ''}"
    own = [result.method for result in comparison.results] == [OWN]
    title = title_of(OWN) if own else texts.family_title(comparison.family)
    line = (
        f"<b>{html.escape(title)}</b>, {width} × {height} pixels: {methods} in "
        f"{comparison.seconds:.2f} s on {html.escape(comparison.device)}. {comparison.note}"
    )
    shape = f"<style>#pages {{ --shape: {width / height:.4f}; }}</style>"  # room for the cards, before they are there
    return f'{shape}<p class="summary{" wide" * comparison.is_wide}">{line.strip()}</p>'


class Shown:
    """A comparison as the page shows it: a file for each picture, by key, and for all of them together."""

    def __init__(self, comparison: Comparison):
        family, size = comparison.family, comparison.size
        self.summary = summary(comparison)
        titles = {key: title for key, title, _ in pictures(comparison)}
        self.seconds = {result.method: result.seconds for result in comparison.results}
        self.files = {key: stored(image, key, family, size) for key, _, image in pictures(comparison)}
        self.sheet = stored(labelled(comparison), "comparison", family, size)
        self.wipe = wipe(self.files, titles, comparison.source.size)


class Card:
    """One picture of the row: colour, name and time over it. It is not there where a comparison has none such."""

    def __init__(self, key: str, shown: Shown | None, verdict: Verdict | None):
        self.key = key
        column, head, picture = self.values(shown)
        with gr.Column(min_width=150, elem_classes=["card", key], **column) as self.column:
            self.head = gr.HTML(**head)
            named, buttons = dict(label=title_of(key), alt_text=title_of(key)), ["download", "fullscreen"]
            self.picture = Picture(buttons=buttons, **named, **FILES, **BARE, **picture)
            self.figures = gr.HTML(self.said(verdict), elem_classes="figures")

    def values(self, shown: Shown | None) -> tuple[dict, dict, dict]:
        """What column, head and picture are given."""
        if shown is None or self.key not in shown.files:
            return dict(visible=False), {}, {}
        head = texts.card_head(self.key, shown.seconds.get(self.key))
        return dict(visible=True), dict(value=head), dict(value=shown.files[self.key])

    def update(self, shown: Shown) -> dict:
        parts = zip((self.column, self.head, self.picture), self.values(shown))
        measured = {} if self.key == "counterpart" else {self.figures: gr.update(value=verdict.WAIT)}
        return {part: gr.update(**values) for part, values in parts} | measured

    def said(self, found: Verdict | None) -> str:
        """What stands under the picture."""
        if found is None:
            return ""
        return found.legend() if self.key == "source" else found.table(self.key)


class ComparePage:
    """The cards in a row with their figures, what the figures say, and the wipe."""

    ZOOM = (
        '<div class="zoom" role="group" aria-label="Zoom of all pictures; arrow keys move what is seen"><button '
        'type="button" data-factor="0.667" aria-label="Smaller">−</button><output>100\u202f%</output><button '
        'type="button" data-factor="1.5" aria-label="Larger">+</button></div>'
    )

    def __init__(self, views: Views, visit: Visit, controls: Controls, first: Comparison | None, found: Verdict | None):
        self.views, self.models, self.visit, self.controls = views, views.models, visit, controls
        shown = first and Shown(first)
        gr.HTML(f'<p class="read">{texts.READ}</p>')
        with gr.Row(elem_id="line"):
            self.summary = gr.HTML(shown.summary if shown else None)
            gr.HTML(self.ZOOM, js_on_load=script("zoom.js"), elem_id="zoom")
            look = dict(size="sm", scale=0, min_width=150, elem_id="save", visible=shown is not None)
            self.save = gr.DownloadButton("Save comparison", shown.sheet if shown else None, **look)
        with gr.Row(elem_id="cards", equal_height=False):
            keys = "source", *self.models.present(), OWN, "counterpart"
            self.cards = [Card(key, shown, found) for key in keys]
        self.verdict = gr.HTML(found.sentences() if found else None)
        self.wipe = gr.HTML(shown.wipe if shown else None, js_on_load=script("wipe.js"), elem_id="wipe")

    def update(self, shown: Shown) -> dict:
        """What a comparison sets."""
        values = {self.summary: gr.update(value=shown.summary), self.save: gr.update(value=shown.sheet, visible=True)}
        for card in self.cards:
            values |= card.update(shown)
        return values | {self.verdict: gr.update(value=""), self.wipe: gr.update(value=shown.wipe)}

    def judged(self, subject: Subject | None) -> Iterator[dict]:
        """Put the figures under the pictures, once they are measured."""
        places = self.judged_parts()
        if subject is None:
            yield dict.fromkeys(places, gr.skip())
            return
        try:
            found = verdict.judge(self.views, subject)
        except Exception as error:
            yield dict.fromkeys(places, gr.update(value="")) | {
                self.verdict: gr.update(value=texts.message(sentence(error)))
            }
            return
        values = {card.figures: gr.update(value=card.said(found)) for card in self.cards}
        yield values | {self.verdict: gr.update(value=found.sentences())}

    def judged_parts(self) -> list:
        return [self.verdict, *(card.figures for card in self.cards)]

    def run(self, wish: Wish, path, family, methods, size, own, request: gr.Request = None):
        """Translate, if that is still the wish: the place in the line, the step at work, then the cards; or what is
        wrong, and the last result stays."""
        yield gr.skip()
        controls, token, number = self.controls, own[0] if own else "", wish.take()
        if number is None:
            return
        try:
            work = steps(self.models, path, family or (own and OWN), methods, size, token)
            for step in self.models.line.served(work, lambda: wish.number == number):
                if isinstance(step, str):
                    yield controls.told() | controls.busy(step)
                else:
                    found = subject(self.models, path, step, token, request.session_hash if request else "")
                    done = controls.told() | controls.idle() | {self.visit.subject: found}
                    yield done | self.update(Shown(step))
        except Refused as refusal:
            if wish.number == number:
                yield controls.idle() | controls.told(refusal)
        if wish.is_dropped:  # what was said meanwhile may have come after the answer to Stop
            yield controls.idle()

    def wire(self, *events) -> list:
        """What happens when; returns the events after which there is something else to look into. `events` are others
        after which something is translated."""
        controls = self.controls
        inputs = [self.visit.wish, controls.picture, controls.family, controls.methods, controls.size]
        inputs += [self.visit.own]
        mine = [self.summary, self.save, self.wipe, *self.judged_parts()]
        cards = [part for card in self.cards for part in (card.column, card.head, card.picture)]
        outputs = [*controls.parts(), self.visit.subject, *mine, *cards]
        run = dict(fn=self.run, inputs=inputs, outputs=outputs, show_progress="hidden", **LINE, **PRIVATE)
        found = dict(fn=self.judged, inputs=self.visit.subject, outputs=self.judged_parts(), show_progress="hidden")
        done = [asked.then(**run) for asked in controls.asked(*events)]
        for translated in done:
            translated.then(**found, trigger_mode="multiple", **ONE, **PRIVATE)
        return done


def steps(
    models: Models, path: str | None, family: str, methods: list[str], size: int, own: str = ""
) -> Iterator[str | Comparison]:
    """`compare` for a file. Raises only Refused, whatever goes wrong."""
    try:
        yield from compare(models, models.sources.read(path), family, methods, size, own)
    except Refused:
        raise
    except Exception as error:
        raise Refused("picture", sentence(error)) from None


def subject(models: Models, path: str, comparison: Comparison, own: str = "", visitor: str = "") -> Subject:
    """What the other pages look at: the picture, models and size of a comparison, and by whom."""
    methods = tuple(result.method for result in comparison.results)
    own = own if OWN in methods else ""
    digest = models.sources.read(path).digest
    return Subject(path, digest, comparison.family, methods, comparison.size, own, visitor)
