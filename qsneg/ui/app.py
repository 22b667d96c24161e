"""The app: one picture through CUT, QS-Attn and NEGCUT, side by side.

    python app.py                                   # http://127.0.0.1:7860
    python app.py --checkpoints checkpoints --device cpu --port 8000

Gradio's environment variables (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, …) hold where no flag is given. Everything that
uses a model waits in one queue; the same picture, model and size are translated once (gradio's cache). Nothing is
fetched from other hosts, but for the weights that a visitor opens from the Hugging Face Hub.
"""

import argparse
import hashlib
import importlib.util
import inspect
import io
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import gradio.component_meta
from gradio.utils import get_upload_folder
from PIL import Image, PngImagePlugin

from qsneg.config import ATTENTION_MODES, METHODS
from qsneg.device import describe
from qsneg.rendering import sample_pictures
from qsneg.rendering.colormaps import title_of
from qsneg.ui import bundle, figures, fragments, inner_pages, limits, page_film, scripts, texts
from qsneg.ui.compare import OWN, Comparison, Models, Refused, Result, Source, compare, labelled, pictures
from qsneg.ui.feature_cache import Subject, Views
from qsneg.ui.inner_pages import PAGES
from qsneg.ui.page_film import FilmChoice
from qsneg.ui.selection import SCALES, Choice

SIZES = (256, 384, 512, 768)
CONTROLS = ("picture", "family", "methods", "size")  # those that a refusal can be about
MODEL = dict(concurrency_id="model", concurrency_limit=1)  # the one queue of everything that uses a model
UNEXPECTED = "Something went wrong on the server, which has logged it: try again, or try another picture."
STATIC = Path(__file__).parent / "static"

gradio.component_meta.create_or_modify_pyi = lambda *_: None  # else gradio writes app.pyi beside app.py


class Picture(gr.Image):
    """An image component that hands a file over unread: `Source.read` says in one sentence what is wrong with it."""

    is_template = True  # to gradio an Image like any other

    def preprocess(self, payload):
        if payload is None or (payload.path and not (payload.url or "").startswith("data:")):
            return payload and payload.path
        try:
            return super().preprocess(payload)
        except Exception:
            raise gr.Error("This is not a picture that can be read: send a JPEG, PNG or WebP file.") from None


class Whole(gr.Number):
    """A number that is handed over unread, since `Models.check` says what is wrong with it."""

    is_template = True

    def preprocess(self, payload):
        return payload


def stored(image: Image.Image, *words) -> str:
    """Write a picture to gradio's folder of files, under a name made of the words that a download will have."""
    text = PngImagePlugin.PngInfo()
    if sample_pictures.KEY in image.info:
        text.add_text(sample_pictures.KEY, image.info[sample_pictures.KEY])
    image.save(data := io.BytesIO(), "PNG", pnginfo=text, compress_level=1)
    return kept(data.getvalue(), "-".join(("qsneg", *map(str, words))) + ".png")


def kept(data: bytes, name: str) -> str:
    """Write a file for download."""
    folder = Path(get_upload_folder()) / hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return str(folder / name)


class App:
    """The page and its endpoints over a folder of models."""

    def __init__(self, models: Models):
        self.models, self.views = models, Views(models)
        self.examples = sample_pictures.examples()

        def key(call):
            return call["source"].digest, call["family"], call["method"], call["size"]

        def translate(source, family, method, size):  # a plain tuple, whose size gradio's cache can tell
            result = models.translate(source, family, method, size)
            return result.image, result.seconds

        self.once = gr.cache(translate, key=key, max_size=1024, max_memory="512mb")

    def translated(self, source: Source, family: str, method: str, size: int) -> Result:
        """`Models.translate`, computed once."""
        return Result(method, *self.once(source, family, method, size))

    def steps(self, path: str | None, family: str, methods: list[str], size: int,
              own: str = "") -> Iterator[str | Comparison]:  # fmt: skip
        """`compare` for a file. Raises only Refused, whatever goes wrong."""
        try:
            yield from compare(self.models, Source.read(path), family, methods, size, self.translated, own)
        except Refused:
            raise
        except Exception:
            traceback.print_exc()
            raise Refused("picture", UNEXPECTED) from None

    # --- endpoints ---

    def translate(self, picture, method="cut", family="day2sunset", size=256, progress=gr.Progress()):
        """Translate a picture with one method.

        Args:
            picture: the picture to translate
            method: cut, qs-attn or negcut, or another method that /models lists
            family: what the model translates: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side of the result in pixels, from 64 to 2048

        Returns:
            The translated picture, a PNG file
        """
        result = self._last(picture, family, [method], size, progress).results[0]
        return stored(result.image, method, family, int(size))

    def compare(self, picture, methods=None, family="day2sunset", size=256, progress=gr.Progress()):
        """Translate a picture with several methods and lay the results side by side.

        Args:
            picture: the picture to translate
            methods: names of methods that /models lists; none for all that the family has
            family: what the models translate: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side of each picture in pixels, from 64 to 2048

        Returns:
            One labelled picture: the source, the translations, and for a drawn scene its true counterpart; and facts:
            width and height of each picture, the device, and the seconds that each method took
        """
        methods = methods or self.models.families().get(family, [])
        comparison = self._last(picture, family, methods, size, progress)
        width, height = comparison.source.size
        facts = {
            "family": family,
            "width": width,
            "height": height,
            "device": comparison.device,
            "seconds": {result.method: round(result.seconds, 3) for result in comparison.results},
        }
        return stored(labelled(comparison), "comparison", family, int(size)), facts

    def list_models(self) -> list[dict]:
        """List the models: name, family, method, title, and the card of each (data, steps, figures).

        Returns:
            One object for each model
        """
        return [
            {
                "name": f"{family}/{method}",
                "family": family,
                "method": method,
                "title": METHODS[method].title,
                "card": self.models.card(family, method),
            }
            for family, methods in self.models.families().items()
            for method in methods
        ]

    def draw(self, index=0, size=256):
        """Draw a test scene of horses, and the same scene with zebras: its true counterpart.

        Args:
            index: which scene of the test split, from 0
            size: side of the square pictures in pixels, a multiple of 4 from 32 to 2048

        Returns:
            The scene with horses, to be translated; and with zebras, to compare a translation with
        """
        try:
            if not isinstance(index, int) or not isinstance(size, int):
                raise ValueError("The index and the size must be whole numbers.")
            seed = sample_pictures.test_seed(index)
            return tuple(stored(sample_pictures.scene(seed, size, d), "scene", index, d) for d in "AB")
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def _last(self, picture, family, methods, size, progress) -> Comparison:
        try:
            for number, step in enumerate(self.steps(picture, family, methods, size)):
                if isinstance(step, str):
                    progress((number, len(methods)), desc=step, unit="methods")
            return step
        except Refused as refusal:
            raise gr.Error(str(refusal), print_exception=False) from None

    def anchors(
        self,
        picture,
        methods=None,
        family="day2sunset",
        size=256,
        layer=16,
        mode="global",
        number=256,
        seed=0,
        progress=gr.Progress(),
    ):
        """Find the entropies and anchors (QS-Attn's selection) in each method's features of a picture.

        Args:
            picture: the picture to look into
            methods: names of methods that /models lists; none for all that the family has
            family: which models: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side in pixels; a large picture is inspected at a reduced size, which the numbers state
            layer: 0, 4, 8, 12 or 16
            mode: global, local or local+global; layers with many positions are always read in local mode
            number: how many anchors
            seed: of the random positions beside them

        Returns:
            One labelled sheet of pictures; numbers per method: concentration in words, anchors and random positions
            as row and column, entropies' quartiles, loss; and a zip with all pictures and arrays
        """
        choice = Choice(layer=layer, mode=mode, anchors=number, seed=seed)
        return self._inspected("anchors", picture, methods, family, size, choice, progress)

    def attention(
        self,
        picture,
        x=-1,
        y=-1,
        methods=None,
        family="day2sunset",
        size=256,
        layer=12,
        mode="global",
        neighbours=6,
        radius=2,
        progress=gr.Progress(),
    ):
        """Follow one patch of a picture: its attention row, its similarity maps, its nearest patches, in each method.

        Args:
            picture: the picture to look into
            x: column of the query in pixels of the inspected source, from 0; −1 for the middle
            y: row of the query in pixels of the inspected source, from 0; −1 for the middle
            methods: names of methods that /models lists; none for all that the family has
            family: which models: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side in pixels; a large picture is inspected at a reduced size, which the numbers state
            layer: 0, 4, 8, 12 or 16
            mode: global or local
            neighbours: how many nearest patches
            radius: how many cells around the query do not count as nearest

        Returns:
            One labelled sheet of pictures; numbers per method: the position on the layer's grid, attention to itself,
            nearest patches with their cosines; and a zip with all pictures and arrays
        """
        choice = Choice(x, y, layer=layer, mode=mode, count=neighbours, radius=radius)
        return self._inspected("attention", picture, methods, family, size, choice, progress)

    def negatives(
        self,
        picture,
        x=-1,
        y=-1,
        methods=None,
        family="day2sunset",
        size=256,
        layer=12,
        mode="global",
        seed=0,
        progress=gr.Progress(),
    ):
        """Compare one patch of the translation with its positive and its negatives, in each method.

        Args:
            picture: the picture to look into
            x: column of the query in pixels of the inspected source, from 0; −1 for the middle
            y: row of the query in pixels of the inspected source, from 0; −1 for the middle
            methods: names of methods that /models lists; none for all that the family has
            family: which models: day2sunset or horse2zebra-drawn, or another that /models lists
            size: short side in pixels; a large picture is inspected at a reduced size, which the numbers state
            layer: 0, 4, 8, 12 or 16
            mode: how QS-Attn selects its negatives: global, local or local+global
            seed: of the random positions and of NEGCUT's noise

        Returns:
            One labelled sheet of pictures; numbers per method: similarity to the positive, the hardest negatives with
            their positions (of a generated one its nearest patch, a look-up), shares of the softmax; and a zip with all
            pictures and arrays
        """
        choice = Choice(x, y, layer=layer, mode=mode, seed=seed)
        return self._inspected("negatives", picture, methods, family, size, choice, progress)

    def _inspected(self, name, picture, methods, family, size, choice, progress):
        """A page as one sheet, numbers and a zip."""
        try:
            methods = self.models.check(family, methods or self.models.families().get(family, []), size)
            subject = Subject(picture or "", Source.read(picture).digest, family, tuple(methods), int(size))
            whole = (choice.layer, choice.anchors, choice.count, choice.radius, choice.seed, choice.x, choice.y)
            if not all(isinstance(value, (int, float)) and value == int(value) for value in whole):
                raise ValueError("Layer, position, seed and numbers must be whole numbers.")
            for number, step in enumerate(self.views.steps(subject)):
                if isinstance(step, str):
                    progress((number, len(methods)), desc=step, unit="methods")
            seen, absent = inner_pages.split(name, step, choice)
            choice = choice.on(next(iter(seen.values())).source.size)
            files = PAGES[name].files(seen, choice)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            traceback.print_exc()
            raise gr.Error(UNEXPECTED, print_exception=False) from None
        width, height = choice.size
        line = f"qsneg, {name}, {family}, {width} by {height} pixels, layer {choice.layer}"
        facts = {"family": family, "width": width, "height": height, "methods": files["summary.json"]}
        facts |= {"absent": absent} if absent else {}
        archive = kept(bundle.zipped(files), f"qsneg-{name}-{family}-layer-{choice.layer}.zip")
        return stored(bundle.sheet(files, line), name, family, f"layer-{choice.layer}"), facts, archive

    # --- what the page does ---

    def run(self, path, family, methods, size, wiped, own):
        """Translate: the step at work while it works, then the cards; or what is wrong, and the last result stays."""
        clear = {f"{control} message": dict(visible=False) for control in CONTROLS}
        try:
            token = own[0] if own else ""
            for step in self.steps(path, family or (own and OWN), methods, size, token):
                if isinstance(step, str):
                    status = dict(value=fragments.status(step), visible=True)
                    yield self.updates({**clear, **BUSY, "status": status})
                else:
                    subject = self.subject(path, step, token)
                    yield self.updates({**clear, **IDLE, **self.shown(step, wiped)}) | {self.ui["subject"]: subject}
        except Refused as refusal:
            message = {f"{refusal.control} message": dict(value=fragments.message(str(refusal)), visible=True)}
            yield self.updates({**clear, **IDLE, **message})

    def check(self, path):
        """Say at once that an upload is no picture."""
        try:
            Source.read(path)
        except Refused as refusal:
            return gr.HTML(fragments.message(str(refusal)), visible=True)
        return gr.HTML(visible=False)

    def subject(self, path: str, comparison: Comparison, own: str = "") -> Subject:
        """What the other pages look at: the picture, models and size of a comparison."""
        methods = tuple(result.method for result in comparison.results)
        return Subject(path, Source.read(path).digest, comparison.family, methods, comparison.size, own)

    def opened(self, name, subject, choice, film, drawn):
        """A page whose tab was chosen, or whose picture has changed; nothing, if it is as it should be."""
        yield {self.ui["tab"]: name}
        if name in PAGES and drawn.get(name) != (subject, choice):
            yield from self.fill(name, subject, choice, drawn)
        elif name == "film" and drawn.get(name) != (subject, film):
            yield self.fill_film(subject, film, drawn)

    def fill(self, name, subject, choice, drawn):
        """Fill a page: the step at work while it works, then the page; or what is wrong, and the page stays."""
        ui, page, status = self.ui, PAGES[name], f"{name} status"
        if subject is None:
            text = "There is nothing to look into yet: translate a picture first."
            yield self.updates({status: dict(value=fragments.message(text), visible=True)})
            return
        try:
            for seen in self.views.steps(subject):
                if isinstance(seen, str):
                    yield self.updates({status: dict(value=fragments.status(seen), visible=True)})
            able, absent = inner_pages.split(name, seen, choice)
            view = next(iter(able.values()))
            choice = choice.on(view.source.size)
            before = drawn.get(name)
            if not before or before[0] != subject or (before[1].layer, before[1].mode) != (choice.layer, choice.mode):
                for number, (method, one) in enumerate(able.items(), 1):
                    step = f"{title_of(method)}: reading layer {choice.layer}, {number} of {len(able)}"
                    yield self.updates({status: dict(value=fragments.status(step), visible=True)})
                    page.prepare(one, choice)
            values = {
                name: dict(value=page.html(able, choice, absent)),
                status: dict(visible=False),
                f"{name} head": dict(value=inner_pages.head(able, choice, subject.family, subject.size, name)),
                **self.settings(name, view, choice),
            }
            if drawn.get("bases") != subject:
                values["bases"] = dict(value=figures.bases(seen))
            drawn = {**drawn, "bases": subject, name: (subject, choice)}
            yield self.updates(values) | {ui["choice"]: choice, ui["drawn"]: drawn}
        except ValueError as error:  # Refused is one
            yield self.updates({status: dict(value=fragments.message(str(error)), visible=True)})
        except Exception:
            traceback.print_exc()
            yield self.updates({status: dict(value=fragments.message(UNEXPECTED), visible=True)})

    def settings(self, name, view, choice) -> dict[str, dict]:
        """What a page's controls show for a choice."""
        page = PAGES[name]
        rows, columns = view.grid(choice.layer).visible()
        row, column = choice.position(view.grid(choice.layer))
        values = {
            "layer": dict(value=choice.layer, choices=list(view.config.layers)), "seed": dict(value=choice.seed),
            "mode": dict(value="global" if name == "attention" and choice.mode != "local" else choice.mode),
            "anchors": dict(value=choice.anchors), "count": dict(value=choice.count),
            "radius": dict(value=choice.radius),
            "scale": dict(value=page.scale(choice)) if "scale" in page.CONTROLS else {},
            "row": dict(value=row, label=f"Row, {rows.start} to {rows.stop - 1}"),
            "column": dict(value=column, label=f"Column, {columns.start} to {columns.stop - 1}"),
        }  # fmt: skip
        return {f"{name} {control}": values[control] for control in page.CONTROLS if control in values}

    def chosen(self, name, control, subject, choice, drawn, value):
        """A control of a page was moved."""
        if subject is None or value is None:
            return
        if control in ("row", "column"):
            try:
                view = self.views.get(subject, subject.methods[0])
                choice, grid = choice.on(view.source.size), view.grid(choice.layer)
            except ValueError as error:
                yield self.updates({f"{name} status": dict(value=fragments.message(str(error)), visible=True)})
                return
            row, column = choice.position(grid)
            choice = choice.moved(grid, *((int(value), column) if control == "row" else (row, int(value))))
        else:
            choice = replace(choice, **{control: value})
        for update in self.fill(name, subject, choice, drawn):
            mine = self.ui[f"{name} {control}"]
            if mine in update and update[mine].get("value") == value:  # it may have moved on since: leave it alone
                del update[mine]
            yield update

    def aimed(self, name, subject, choice, drawn, event: gr.EventData):
        """A patch was clicked, or reached with the arrow keys."""
        if subject is not None:
            yield from self.fill(name, subject, choice.at(event.x, event.y), drawn)

    def fill_film(self, subject, film, drawn):
        """The film of the subject's models."""
        if subject is None:
            message = fragments.message("There is nothing to show yet: translate a picture first.")
            return self.updates({"film status": dict(value=message, visible=True)})
        films = page_film.load(self.models.folder / subject.family, list(subject.methods))
        title = f"<b>{fragments.family_title(subject.family)}</b>, {len(page_film.all_steps(films))} frames."
        values = {
            "film": dict(value=page_film.html(films, film, list(subject.methods), subject.family)),
            "film head": dict(value=f'<p class="summary">{title if films else ""}</p>'),
            "film status": dict(visible=False),
            "film zip": dict(visible=bool(films)),
        }
        models = subject.family, subject.methods
        if drawn.get("film bases") != models:
            values["film bases"] = dict(value=page_film.bases(films))
        drawn = {**drawn, "film": (subject, film), "film bases": models}
        return self.updates(values) | {self.ui["drawn"]: drawn, self.ui["film choice"]: film}

    def film_chosen(self, subject, drawn, picture, layer, scale):
        return self.fill_film(subject, FilmChoice(picture, layer, scale), drawn)

    def download(self, name, subject, drawn):
        """Everything on a page, as it is shown, in one zip."""
        if name not in drawn:
            raise gr.Error("There is nothing on this page yet.", print_exception=False)
        if name == "film":
            films = page_film.load(self.models.folder / subject.family, list(subject.methods))
            files, words = page_film.files(films, drawn[name][1]), (drawn[name][0].family,)
        else:
            subject, choice = drawn[name]
            seen = {method: self.views.get(subject, method) for method in subject.methods}
            seen, _ = inner_pages.split(name, seen, choice)
            files, words = PAGES[name].files(seen, choice), (subject.family, f"layer-{choice.layer}")
        return kept(bundle.zipped(files), "-".join(("qsneg", name, *words)) + ".zip")

    def updates(self, values: dict[str, dict]) -> dict:
        return {self.ui[name]: gr.update(**value) for name, value in values.items()}

    def shown(self, comparison: Comparison, wiped: str | None = None) -> dict[str, dict]:
        """Names of components to what a comparison sets in them."""
        files = {key: stored(image, key, comparison.family, comparison.size) for key, _, image in pictures(comparison)}
        seconds = {result.method: result.seconds for result in comparison.results}
        values = {f"{key} card": dict(visible=key in files) for key in self.cards}
        for key, file in files.items():
            values |= {key: dict(value=file), f"{key} head": dict(value=fragments.card_head(key, seconds.get(key)))}
        choices = [(title, key) for key, title, _ in pictures(comparison) if key != "source"]
        wiped = wiped if wiped in files else choices[0][1]
        sheet = stored(labelled(comparison), "comparison", comparison.family, comparison.size)
        return values | {
            "summary": dict(value=fragments.summary(comparison)),
            "save": dict(value=sheet, visible=True),
            "wiped": dict(choices=choices, value=wiped),
            "wipe": dict(value=(files["source"], files[wiped])),
            "wipe ends": dict(value=fragments.wipe_ends(wiped)),
            "wipe row": dict(visible=True),
        }

    def wipe(self, wiped, *files):
        """Another picture under the wipe: the cards' own files, nothing is computed."""
        files = dict(zip(self.cards, files))
        return (files["source"], files[wiped]), fragments.wipe_ends(wiped)

    def choose(self, own, event: gr.EventData):
        """An example: its picture, and the family that it is meant for, if there is one."""
        example, families = self.examples[event.index], self.models.families()
        family = example.family if example.family in families else next(iter(families), None)
        return stored(example.picture(), example.file_name), family, *self.set_family(family, None, own)

    def set_family(self, family, methods, own=None):
        """The methods that a family has, and the visitor's own; those that were ticked stay ticked."""
        choices = [(METHODS[method].title, method) for method in self.models.families().get(family, [])]
        choices += [(f"{title_of(OWN)}: {own[1]}", OWN)] if own else []
        present = [method for _, method in choices]
        kept = [method for method in methods or [] if method in present] or present
        return gr.CheckboxGroup(choices=choices, value=kept), fragments.family_note(self.models, family)

    def open_file(self, path, family, methods, own):
        """A visitor's own weights from a file: one more method, for this session alone."""
        return self.open_own(lambda: self.models.own.open(path), Path(path or "").stem, family, methods, own, path)

    def open_hub(self, name, family, methods, own):
        """The same from the Hugging Face Hub."""
        return self.open_own(lambda: self.models.own.fetch(name or ""), (name or "").strip(), family, methods, own)

    def open_own(self, make, title, family, methods, own, path=None):
        """Open what `make` gives the token of, in place of what was open; or say what is wrong, and that stays."""
        try:
            token = make()
        except Exception as error:
            if not isinstance(error, ValueError):
                traceback.print_exc()
            sentence = str(error) if isinstance(error, ValueError) else UNEXPECTED
            sentence += f" {own[1]} stays open." if own else ""
            values = {
                "own message": dict(value=fragments.message(sentence), visible=True),
                "own file": dict(value=None),
            }
            return self.updates(values)
        self.forget(own)
        own = token, title if len(title) <= 40 else title[:39] + "…"
        group, _ = self.set_family(family, [m for m in methods or [] if m != OWN] + [OWN], own)
        said = fragments.opened(own[1], self.models.own.find(token))
        values = {
            "own message": dict(value=said, visible=True),
            "own close": dict(visible=True),
            "own file": dict(value=path),
        }
        return self.updates(values) | {self.ui["mine"]: own, self.ui["methods"]: group}

    def close_own(self, family, methods, own):
        """The visitor has removed the file, or pressed the button."""
        self.forget(own)
        group, _ = self.set_family(family, [method for method in methods or [] if method != OWN])
        values = {"own message": dict(visible=False), "own close": dict(visible=False), "own file": dict(value=None)}
        return self.updates(values) | {self.ui["mine"]: None, self.ui["methods"]: group}

    def forget(self, own) -> None:
        if own:
            self.models.own.forget(own[0])

    # --- the page ---

    def build(self) -> gr.Blocks:
        """The page, with a finished comparison in it."""
        families = self.models.families()
        family = next(iter(families), None)
        example = next((e for e in self.examples if e.family == family), self.examples[0])
        picture = stored(example.picture(), example.file_name)
        present = [method for method in METHODS if any(method in have for have in families.values())]
        self.cards, self.ui = ["source", *present, OWN, "counterpart"], {}
        first, subject = {}, None
        try:
            *_, comparison = self.steps(picture, family, families.get(family, []), SIZES[0])
            first, subject = self.shown(comparison), self.subject(picture, comparison)
        except Refused as refusal:
            first[f"{refusal.control} message"] = dict(value=fragments.message(str(refusal)), visible=True)
        with gr.Blocks(title="qsneg: three image translators", fill_width=True, delete_cache=(3600, 86400)) as demo:
            states = {
                "subject": subject,
                "choice": Choice(),
                "film choice": FilmChoice(),
                "drawn": {},
                "tab": "compare",
            }
            self.ui |= {name: gr.State(value) for name, value in states.items()}
            self.ui["mine"] = gr.State(None, delete_callback=self.forget)  # own weights: what names them, and a title
            with gr.Row(elem_id="top"):
                gr.HTML(fragments.header(describe(self.models.device)))
                cards = gr.Button("Model cards", size="sm", elem_id="to-cards", scale=0, min_width=110)
            self.ui["bases"] = gr.HTML(visible="hidden")
            with gr.Row(elem_id="page"):
                with gr.Column(elem_id="controls", scale=0, min_width=300):
                    self.controls(picture, family, first)
                with gr.Column(elem_id="pages", min_width=300), gr.Tabs() as tabs:
                    with gr.Tab("Compare", id="compare") as self.ui["compare tab"]:
                        self.compare_page(first)
                    for page in PAGES.values():
                        with gr.Tab(page.TITLE, id=page.NAME) as self.ui[f"{page.NAME} tab"]:
                            self.inner_page(page)
                    with gr.Tab(page_film.TITLE, id="film") as self.ui["film tab"]:
                        self.film_page()
                    with gr.Tab("About", id="about"):
                        gr.Markdown(fragments.about(self.models), elem_id="about")
            cards.click(lambda: gr.Tabs(selected="about"), None, tabs, queue=False, api_visibility="private")
            demo.load(None, js=scripts.FOLD, api_visibility="private")
            self.wire()
            self.wire_pages()
            self.endpoints(families)
        return demo

    def controls(self, picture, family, first):
        """The left column: picture, examples, family, methods, working size and the button."""
        ui = self.ui

        def message(control):
            ui[f"{control} message"] = gr.HTML(**{"visible": False, **first.get(f"{control} message", {})})

        ui["picture"] = Picture(
            picture,
            type="filepath",
            image_mode=None,
            format="png",
            label="Picture",
            height=190,
            sources=["upload", "clipboard", "webcam"],
            buttons=[],
            elem_id="picture",
            alt_text="The picture to translate",
        )
        message("picture")
        ui["examples"] = gr.HTML(fragments.thumbnails(self.examples), js_on_load=scripts.CHOOSE, elem_id="examples")
        with gr.Accordion("Settings", elem_id="settings"):
            titles = [(fragments.family_title(name), name) for name in self.models.families()]
            ui["family"] = gr.Radio(titles, value=family, label="Model family", elem_id="family")
            ui["family note"] = gr.HTML(fragments.family_note(self.models, family))
            message("family")
            present = self.models.families().get(family, [])
            ui["methods"] = gr.CheckboxGroup(
                [(METHODS[m].title, m) for m in present], value=present, label="Methods", elem_id="methods"
            )
            message("methods")
            ui["size"] = gr.Radio(SIZES, value=SIZES[0], label="Working size, pixels of the short side", elem_id="size")
            message("size")
        ui["go"] = gr.Button("Translate", variant="primary", elem_id="go")
        ui["stop"] = gr.Button("Stop", visible=False, elem_id="stop")
        ui["status"] = gr.HTML(visible=False)
        with gr.Accordion("Your own weights", open=False, elem_id="own"):
            gr.HTML(f'<p class="note">{fragments.OWN}</p>')
            ui["own file"] = gr.File(label="Weights file", type="filepath", height=120, elem_id="own-file")
            ui["own name"] = gr.Textbox(
                label="Or on the Hugging Face Hub", placeholder="user/repository", max_lines=1, elem_id="own-name"
            )
            ui["own open"] = gr.Button("Open from the Hub", size="sm", elem_id="own-open")
            ui["own message"] = gr.HTML(visible=False)
            ui["own close"] = gr.Button("Close your weights", size="sm", visible=False, elem_id="own-close")

    def compare_page(self, first):
        """The cards in a row, and the wipe under them."""
        ui = self.ui
        gr.HTML(f'<p class="read">{fragments.READ}</p>')
        with gr.Row(elem_id="line"):
            ui["summary"] = gr.HTML(**first.get("summary", {}))
            ui["save"] = gr.DownloadButton(
                "Save comparison",
                size="sm",
                scale=0,
                min_width=150,
                elem_id="save",
                **first.get("save", {"visible": False}),
            )
        with gr.Row(elem_id="cards", equal_height=False):
            for key in self.cards:
                with gr.Column(
                    min_width=150, elem_classes=["card", key], **first.get(f"{key} card", {"visible": False})
                ) as ui[f"{key} card"]:
                    ui[f"{key} head"] = gr.HTML(**first.get(f"{key} head", {}))
                    ui[key] = Picture(
                        type="filepath",
                        image_mode=None,
                        format="png",
                        show_label=False,
                        container=False,
                        interactive=False,
                        buttons=["download", "fullscreen"],
                        alt_text=title_of(key),
                        label=title_of(key),
                        **first.get(key, {}),
                    )
        with gr.Row(elem_id="wipe", **first.get("wipe row", {"visible": False})) as ui["wipe row"]:
            with gr.Column(min_width=280, elem_id="slider"):
                ui["wipe ends"] = gr.HTML(**first.get("wipe ends", {}))
                ui["wipe"] = gr.ImageSlider(
                    type="filepath",
                    image_mode=None,
                    format="png",
                    show_label=False,
                    container=False,
                    buttons=["fullscreen"],
                    interactive=False,
                    max_height=460,
                    label="Wipe between the source and a translation",
                    **first.get("wipe", {}),
                )
                gr.HTML(scripts.HANDLE, js_on_load=scripts.WIPE, elem_id="handle")
            with gr.Column(min_width=240, elem_id="wipe-choice"):
                gr.HTML(
                    "<h3>Wipe</h3><p>Drag the handle across the picture, or move the slider under it with the "
                    "arrow keys: the source lies on the left, the translation on the right. What keeps its place "
                    "under the handle has kept its shape.</p>"
                )
                ui["wiped"] = gr.Radio(**{"choices": [], **first.get("wiped", {})}, label="On the right")

    def inner_page(self, page):
        """A page that looks into the models: what is seen, the controls, the pictures, the download."""
        ui, name = self.ui, page.NAME
        gr.HTML(texts.opening(name))
        with gr.Row(elem_classes="bar-of-controls"):
            for control in page.CONTROLS:
                ui[f"{name} {control}"] = self.control(name, control)
        self.stage(name, scripts.AIM)

    def film_page(self):
        gr.HTML(texts.opening("film"))
        with gr.Row(elem_classes="bar-of-controls"):
            for control in ("picture", "layer", "scale"):
                self.ui[f"film {control}"] = self.control("film", control)
        self.ui["film bases"] = gr.HTML(visible="hidden")
        self.stage("film", scripts.FILM)

    def stage(self, name, script):
        """Under the controls: a line on what is inspected, the download, messages, the pictures."""
        with gr.Row(elem_classes="line"):
            self.ui[f"{name} head"] = gr.HTML(elem_classes="grow")
            self.ui[f"{name} zip"] = gr.Button(
                "Download everything (zip)", size="sm", scale=0, min_width=190, elem_classes="quiet"
            )
            self.ui[f"{name} file"] = gr.DownloadButton("zip", visible="hidden", elem_id=f"file-{name}")
        self.ui[f"{name} status"] = gr.HTML(visible=False)
        self.ui[name] = gr.HTML(js_on_load=script, elem_id=f"stage-{name}", elem_classes="stage")

    def control(self, name, control):
        """One control, by the name of the field of `Choice` or `FilmChoice` that it sets."""
        is_film, common = name == "film", dict(elem_classes=["control", control], container=True, min_width=60, scale=0)
        modes = [(mode.replace("+", " + "), mode) for mode in ATTENTION_MODES if name != "attention" or "+" not in mode]
        if control == "layer":
            layers, layer = ([12, 16], FilmChoice().layer) if is_film else ([0, 4, 8, 12, 16], Choice().layer)
            return gr.Radio(layers, value=layer, label="Layer", **common)
        if control == "mode":
            label = "Attention" if name == "attention" else "QS-Attn's selection"
            return gr.Radio(modes, value="global", label=label, **common)
        if control == "scale":
            scale = FilmChoice().scale if is_film else PAGES[name].scale(Choice())
            return gr.Radio(SCALES, value=scale, label="Colour scale", **common)
        if control == "picture":
            return gr.Radio([(str(n + 1), n) for n in range(page_film.PICTURES)], value=0, label="Picture", **common)
        if control in ("row", "column"):
            return gr.Number(value=0, precision=0, label=control.title(), **common)
        label, least, most, step, value = {
            "anchors": ("Anchors", 16, 1024, 16, 256),
            "seed": ("Noise seed" if name == "negatives" else "Seed", 0, 40, 1, 0),
            "count": ("Nearest patches", 1, 16, 1, 6), "radius": ("Leave out, cells", 0, 16, 1, 2),
            "opacity": ("Map opacity", 0, 1, 0.05, 0.75),
        }[control]  # fmt: skip
        return gr.Slider(least, most, value=value, step=step, label=label, buttons=[], **common)

    def wire_pages(self):
        """What happens when on the pages beside Compare. A page that is not looked at is not computed."""
        ui, hidden = self.ui, dict(api_visibility="private")
        private = hidden | dict(show_progress="hidden", concurrency_id="pages", concurrency_limit=1)
        clicks = private | dict(concurrency_id="clicks", concurrency_limit=2)  # they need no network and wait for none
        states = {name: ui[name] for name in ("subject", "choice", "film choice", "drawn", "tab")}

        def parts(name):
            own = [c for key, c in ui.items() if key == name or key.startswith(f"{name} ")]
            return [c for c in own if c not in states.values() and not isinstance(c, gr.Tab)]

        given = [states[name] for name in ("subject", "choice", "film choice", "drawn")]
        always = [*states.values(), ui["bases"]]
        for name in ("compare", *PAGES, "film"):
            outputs = always + (parts(name) if name != "compare" else [])
            ui[f"{name} tab"].select(named(self.opened, name), given, outputs, **private).then(
                None, js=scripts.TOOLTIPS, **hidden)  # fmt: skip
        everything = always + [c for name in (*PAGES, "film") for c in parts(name)]
        for event in self.compared:
            event.then(self.opened, [ui["tab"], *given], everything, **private)
        for name, page in PAGES.items():
            inputs, outputs = [ui["subject"], ui["choice"], ui["drawn"]], always + parts(name)
            for control in page.CONTROLS:
                if control != "opacity":
                    moved = ui[f"{name} {control}"]
                    event = moved.input
                    event(named(self.chosen, name, control), [*inputs, moved], outputs, trigger_mode="always_last",
                          **private)  # fmt: skip
            ui[name].select(named(self.aimed, name), inputs, outputs, trigger_mode="multiple", **clicks)
            ui[f"{name} opacity"].input(None, ui[f"{name} opacity"], js=scripts.OPACITY % name, **hidden)
        film = [ui[f"film {c}"] for c in ("picture", "layer", "scale")]
        for control in film:
            control.input(self.film_chosen, [ui["subject"], ui["drawn"], *film], always + parts("film"), **private)
        for name in (*PAGES, "film"):
            made = ui[f"{name} zip"].click(
                named(self.download, name),
                [ui["subject"], ui["drawn"]],
                ui[f"{name} file"],
                **private | dict(show_progress="minimal"),
            )
            made.success(None, js=scripts.SAVE % name, **hidden)

    def wire(self):
        """What happens when."""
        ui, private = self.ui, dict(api_visibility="private")
        inputs = [ui[name] for name in ("picture", "family", "methods", "size", "wiped", "mine")]
        names = (
            *IDLE,
            *(f"{control} message" for control in CONTROLS),
            "summary",
            "save",
            "wiped",
            "wipe",
            "wipe ends",
            "wipe row",
            "subject",
        )
        cards = [name for key in self.cards for name in (key, f"{key} head", f"{key} card")]
        outputs = [ui[name] for name in (*names, *cards)]
        run = dict(
            fn=self.run,
            inputs=inputs,
            outputs=outputs,
            show_progress="minimal",
            show_progress_on=[ui["status"]],
            **MODEL,
            **private,
        )
        family = [ui["methods"], ui["family note"]]
        self.compared = running = [
            ui["go"].click(**run),
            ui["examples"]
            .select(self.choose, ui["mine"], [ui["picture"], ui["family"], *family], show_progress="hidden", **private)
            .then(**run),
        ]
        ui["picture"].upload(self.check, ui["picture"], ui["picture message"], show_progress="hidden", **private)
        now = [ui[name] for name in ("family", "methods", "mine")]
        ui["family"].input(self.set_family, now, family, show_progress="hidden", **private)
        shown = [ui[name] for name in ("mine", "methods", "own file", "own message", "own close")]
        opening = dict(outputs=shown, show_progress="minimal", show_progress_on=[ui["own message"]], **MODEL, **private)
        ui["own file"].upload(self.open_file, [ui["own file"], *now], **opening)
        for event in (ui["own file"].clear, ui["own close"].click):
            event(self.close_own, now, shown, show_progress="hidden", **private)
        for event in (ui["own open"].click, ui["own name"].submit):
            event(self.open_hub, [ui["own name"], *now], **opening)
        ui["wiped"].input(
            self.wipe,
            [ui["wiped"], *(ui[key] for key in self.cards)],
            [ui["wipe"], ui["wipe ends"]],
            show_progress="hidden",
            **private,
        )
        ui["stop"].click(
            lambda: self.updates(IDLE), None, [ui[name] for name in IDLE], cancels=running, queue=False, **private
        )

    def endpoints(self, families):
        """The typed endpoints, for gradio_client and MCP; their components are not shown."""
        methods = [method for method in METHODS if any(method in have for have in families.values())]
        with gr.Group(visible=False):
            picture = Picture(type="filepath", image_mode=None, format="png", label="Picture")
            free = dict(allow_custom_value=True)  # what is not there is refused by `Models.check`
            method = gr.Dropdown(methods, value=next(iter(methods), None), label="Method", **free)
            chosen = gr.Dropdown(methods, multiselect=True, label="Methods", **free)
            family = gr.Dropdown(list(families), value=next(iter(families), None), label="Family", **free)
            size = Whole(SIZES[0], precision=0, label="Working size")
            index = Whole(0, precision=0, label="Index")
            numbers = {"Layer": 12, "Number": 256, "Seed": 0, "x": -1, "y": -1, "Neighbours": 6, "Radius": 2}
            layer, number, seed, x, y, near, radius = (Whole(v, precision=0, label=k) for k, v in numbers.items())
            mode = gr.Dropdown(list(ATTENTION_MODES), value="global", label="Mode", **free)
            archive = gr.File(label="Pictures, arrays and numbers")
            image, other = (Picture(format="png", label=label) for label in ("Picture", "Counterpart"))
            facts, button = gr.JSON(label="Facts"), gr.Button()
        button.click(self.translate, [picture, method, family, size], image, api_name="translate", **MODEL)
        button.click(self.compare, [picture, chosen, family, size], [image, facts], api_name="compare", **MODEL)
        look, seen = [chosen, family, size, layer, mode], [image, facts, archive]
        button.click(self.anchors, [picture, *look, number, seed], seen, api_name="anchors", **MODEL)
        button.click(self.attention, [picture, x, y, *look, near, radius], seen, api_name="attention", **MODEL)
        button.click(self.negatives, [picture, x, y, *look, seed], seen, api_name="negatives", **MODEL)
        button.click(self.draw, [index, size], [image, other], api_name="draw")
        gr.api(self.list_models, api_name="models")


def named(handler, *names: str):
    """A handler of one page (and control) for gradio, which looks at signatures and at what is a generator."""
    if "event" in inspect.signature(handler).parameters:

        def one(subject, choice, drawn, event: gr.EventData):
            yield from handler(*names, subject, choice, drawn, event)
    elif inspect.isgeneratorfunction(handler):

        def one(*values):
            yield from handler(*names, *values)
    else:

        def one(*values):
            return handler(*names, *values)

    return one


BUSY = {"go": dict(visible=False), "stop": dict(visible=True)}
IDLE = {"status": dict(visible=False), "go": dict(visible=True), "stop": dict(visible=False)}


def theme() -> gr.themes.Base:
    """Calm: the system's fonts, greys, and ink as the one accent; the methods have the colours."""
    sans = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    return gr.themes.Base(
        primary_hue="slate", secondary_hue="slate", neutral_hue="slate", radius_size="sm", font=sans, font_mono=mono
    )


def main() -> None:
    """Read the flags, load the models and serve the page."""
    parser = argparse.ArgumentParser(description="Compare contrastive image translators in the browser.")
    parser.add_argument("--host", help="address to listen on (GRADIO_SERVER_NAME, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port (GRADIO_SERVER_PORT, else the first free from 7860)")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--precision", default="float32", help="float32, bfloat16, or auto (bfloat16 where it is fast)")
    parser.add_argument(
        "--checkpoints", help="folder of <family>/<method>.safetensors (else QSNEG_CHECKPOINTS, else checkpoints)"
    )
    flags = parser.parse_args()
    try:
        models = Models(flags.checkpoints, flags.device, precision=flags.precision)
    except ValueError as error:
        parser.error(str(error))
    demo = App(models).build()
    models.warm_up()
    has_mcp = importlib.util.find_spec("mcp") is not None
    try:
        demo.launch(
            server_name=flags.host,
            server_port=flags.port,
            theme=theme(),
            css_paths=[STATIC / "app.css"],
            footer_links=["api", "settings"],
            run_history=False,
            max_file_size=limits.UPLOAD,
            mcp_server=has_mcp and os.environ.get("GRADIO_MCP_SERVER", "True").lower() == "true",
        )
    except OSError as error:  # the port is taken
        sys.exit(f"The app could not start: {error}")
