"""The Compare page: one picture through several models, side by side, with a wipe; and its computation.

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
from qsneg.ui import texts
from qsneg.ui.components import BARE, FILES, LINE, PRIVATE, Picture, script, sentence, stored
from qsneg.ui.controls import Controls
from qsneg.ui.figures import WIDE
from qsneg.ui.line import Wish
from qsneg.ui.models import Models, Result
from qsneg.ui.own_weights import OWN
from qsneg.ui.selection import Subject, Visit
from qsneg.ui.uploads import Refused, Source


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
    return f'<p class="summary{" wide" * comparison.is_wide}">{line.strip()}</p>'


class Shown:
    """A comparison as the page shows it: a file for each picture, by key, and for all of them together."""

    def __init__(self, comparison: Comparison):
        family, size = comparison.family, comparison.size
        self.summary = summary(comparison)
        self.titles = [(title, key) for key, title, _ in pictures(comparison) if key != "source"]
        self.seconds = {result.method: result.seconds for result in comparison.results}
        self.files = {key: stored(image, key, family, size) for key, _, image in pictures(comparison)}
        self.sheet = stored(labelled(comparison), "comparison", family, size)


class Card:
    """One picture of the row: colour, name and time over it. It is not there where a comparison has none such."""

    def __init__(self, key: str, shown: Shown | None):
        self.key = key
        column, head, picture = self.values(shown)
        with gr.Column(min_width=150, elem_classes=["card", key], **column) as self.column:
            self.head = gr.HTML(**head)
            named, buttons = dict(label=title_of(key), alt_text=title_of(key)), ["download", "fullscreen"]
            self.picture = Picture(buttons=buttons, **named, **FILES, **BARE, **picture)

    def values(self, shown: Shown | None) -> tuple[dict, dict, dict]:
        """What column, head and picture are given."""
        if shown is None or self.key not in shown.files:
            return dict(visible=False), {}, {}
        head = texts.card_head(self.key, shown.seconds.get(self.key))
        return dict(visible=True), dict(value=head), dict(value=shown.files[self.key])

    def update(self, shown: Shown) -> dict:
        parts = zip((self.column, self.head, self.picture), self.values(shown))
        return {part: gr.update(**values) for part, values in parts}


class Wipe:
    """Source and one translation under a handle."""

    HANDLE = '<input type="range" min="0" max="100" value="50" aria-label="Place of the handle, percent of the width">'
    TEXT = (
        "<h3>Wipe</h3><p>Drag the handle across the picture, or move the slider under it with the arrow keys: the source "
        "lies on the left, the translation on the right. What keeps its place under the handle has kept its shape.</p>"
    )

    def __init__(self, cards: list[Card], shown: Shown | None):
        self.cards = cards
        row, ends, slider, right = self.values(shown)
        with gr.Row(elem_id="wipe", **row) as self.row:
            with gr.Column(min_width=280, elem_id="slider"):
                self.ends = gr.HTML(**ends)
                named = dict(label="Wipe between the source and a translation", buttons=["fullscreen"])
                self.slider = gr.ImageSlider(max_height=460, **named, **FILES, **BARE, **slider)
                gr.HTML(self.HANDLE, js_on_load=script("wipe.js"), elem_id="handle")
            with gr.Column(min_width=240, elem_id="wipe-choice"):
                gr.HTML(self.TEXT)
                self.right = gr.Radio(**{"choices": [], **right}, label="On the right")

    def values(self, shown: Shown | None, key: str | None = None) -> tuple[dict, dict, dict, dict]:
        """What row, ends, slider and choice are given; `key` stays on the right if it is there."""
        if shown is None:
            return dict(visible=False), {}, {}, {}
        key = key if key in shown.files else shown.titles[0][1]
        pair = shown.files["source"], shown.files[key]
        return (
            dict(visible=True),
            dict(value=texts.wipe_ends(key)),
            dict(value=pair),
            dict(choices=shown.titles, value=key),
        )

    def update(self, shown: Shown, key: str | None) -> dict:
        parts = zip((self.row, self.ends, self.slider, self.right), self.values(shown, key))
        return {part: gr.update(**values) for part, values in parts}

    def turn(self, key: str, *files: str):
        """Another picture on the right: the cards' own files, nothing is computed."""
        by_key = dict(zip((card.key for card in self.cards), files))
        return (by_key["source"], by_key[key]), texts.wipe_ends(key)

    def wire(self) -> None:
        files = [card.picture for card in self.cards]
        self.right.input(self.turn, [self.right, *files], [self.slider, self.ends], show_progress="hidden", **PRIVATE)


class ComparePage:
    """The cards in a row, and the wipe under them."""

    def __init__(self, models: Models, visit: Visit, controls: Controls, first: Comparison | None):
        self.models, self.visit, self.controls = models, visit, controls
        shown = first and Shown(first)
        gr.HTML(f'<p class="read">{texts.READ}</p>')
        with gr.Row(elem_id="line"):
            self.summary = gr.HTML(shown.summary if shown else None)
            look = dict(size="sm", scale=0, min_width=150, elem_id="save", visible=shown is not None)
            self.save = gr.DownloadButton("Save comparison", shown.sheet if shown else None, **look)
        with gr.Row(elem_id="cards", equal_height=False):
            self.cards = [Card(key, shown) for key in ("source", *models.present(), OWN, "counterpart")]
        self.wipe = Wipe(self.cards, shown)

    def update(self, shown: Shown, right: str | None) -> dict:
        """What a comparison sets."""
        values = {self.summary: gr.update(value=shown.summary), self.save: gr.update(value=shown.sheet, visible=True)}
        for card in self.cards:
            values |= card.update(shown)
        return values | self.wipe.update(shown, right)

    def run(self, wish: Wish, path, family, methods, size, right, own):
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
                    found = subject(self.models, path, step, token)
                    done = controls.told() | controls.idle() | {self.visit.subject: found}
                    yield done | self.update(Shown(step), right)
        except Refused as refusal:
            if wish.number == number:
                yield controls.idle() | controls.told(refusal)
        if wish.is_dropped:  # what was said meanwhile may have come after the answer to Stop
            yield controls.idle()

    def wire(self) -> list:
        """What happens when; returns the events after which there is something else to look into."""
        controls = self.controls
        inputs = [self.visit.wish, controls.picture, controls.family, controls.methods, controls.size]
        inputs += [self.wipe.right, self.visit.own]
        mine = [self.summary, self.save, self.wipe.row, self.wipe.ends, self.wipe.slider, self.wipe.right]
        cards = [part for card in self.cards for part in (card.column, card.head, card.picture)]
        outputs = [*controls.parts(), self.visit.subject, *mine, *cards]
        run = dict(fn=self.run, inputs=inputs, outputs=outputs, show_progress="hidden", **LINE, **PRIVATE)
        self.wipe.wire()
        return [asked.then(**run) for asked in controls.asked()]


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


def subject(models: Models, path: str, comparison: Comparison, own: str = "") -> Subject:
    """What the other pages look at: the picture, models and size of a comparison."""
    methods = tuple(result.method for result in comparison.results)
    own = own if OWN in methods else ""
    return Subject(path, models.sources.read(path).digest, comparison.family, methods, comparison.size, own)
