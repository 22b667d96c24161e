"""The app: one picture through CUT, QS-Attn and NEGCUT, side by side.

    python app.py                                   # http://127.0.0.1:7860
    python app.py --checkpoints checkpoints --device cpu --port 8000

Gradio's environment variables (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, …) hold where no flag is given. Everything that
uses a model waits in one queue; the same picture, model and size are translated once (gradio's cache). Nothing is
fetched from other hosts.
"""

import argparse
import hashlib
import importlib.util
import io
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import gradio.component_meta
from gradio.utils import get_upload_folder
from PIL import Image, PngImagePlugin

from qsneg import examples, fragments
from qsneg.compare import Comparison, Models, Refused, Result, Source, compare, labelled, pictures
from qsneg.config import METHODS, TITLES
from qsneg.device import describe

SIZES = (256, 384, 512, 768)
CONTROLS = ("picture", "family", "methods", "size")  # those that a refusal can be about
MODEL = dict(concurrency_id="model", concurrency_limit=1)  # the one queue of everything that uses a model
UNEXPECTED = "Something went wrong on the server, which has logged it: try again, or try another picture."
HERE = Path(__file__).parent
CHOOSE = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("select", {index: Number(button.dataset.index)});
})"""
FOLD = """() => { if (innerWidth < 800) document.querySelector("#settings > button")?.click() }"""  # on a phone

gradio.component_meta.create_or_modify_pyi = lambda *_: None  # else gradio writes app.pyi beside this file


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
    if examples.KEY in image.info:
        text.add_text(examples.KEY, image.info[examples.KEY])
    image.save(data := io.BytesIO(), "PNG", pnginfo=text, compress_level=1)
    folder = Path(get_upload_folder()) / hashlib.sha256(data.getvalue()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("-".join(("qsneg", *map(str, words))) + ".png")
    path.write_bytes(data.getvalue())
    return str(path)


class App:
    """The page and its endpoints over a folder of models."""

    def __init__(self, models: Models):
        self.models = models
        self.examples = examples.examples()

        def key(call):
            return call["source"].digest, call["family"], call["method"], call["size"]

        def translate(source, family, method, size):  # a plain tuple, whose size gradio's cache can tell
            result = models.translate(source, family, method, size)
            return result.image, result.seconds

        self.once = gr.cache(translate, key=key, max_size=1024, max_memory="512mb")

    def translated(self, source: Source, family: str, method: str, size: int) -> Result:
        """`Models.translate`, computed once."""
        return Result(method, *self.once(source, family, method, size))

    def steps(self, path: str | None, family: str, methods: list[str], size: int) -> Iterator[str | Comparison]:
        """`compare` for a file. Raises only Refused, whatever goes wrong."""
        try:
            yield from compare(self.models, Source.read(path), family, methods, size, self.translated)
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
        facts = {"family": family, "width": width, "height": height, "device": comparison.device,
                 "seconds": {result.method: round(result.seconds, 3) for result in comparison.results}}
        return stored(labelled(comparison), "comparison", family, int(size)), facts

    def list_models(self) -> list[dict]:
        """List the models: name, family, method, title, and the card of each (data, steps, figures).

        Returns:
            One object for each model
        """
        return [{"name": f"{family}/{method}", "family": family, "method": method, "title": TITLES[method],
                 "card": self.models.card(family, method)}
                for family, methods in self.models.families().items() for method in methods]

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
            return tuple(stored(examples.scene(examples.test_seed(index), size, d), "scene", index, d) for d in "AB")
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

    # --- what the page does ---

    def run(self, path, family, methods, size, wiped):
        """Translate: the step at work while it works, then the cards; or what is wrong, and the last result stays."""
        clear = {f"{control} message": dict(visible=False) for control in CONTROLS}
        try:
            for step in self.steps(path, family, methods, size):
                if isinstance(step, str):
                    status = dict(value=fragments.status(step), visible=True)
                    yield self.updates({**clear, **BUSY, "status": status})
                else:
                    yield self.updates({**clear, **IDLE, **self.shown(step, wiped)})
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
            "summary": dict(value=fragments.summary(comparison)), "save": dict(value=sheet, visible=True),
            "wiped": dict(choices=choices, value=wiped), "wipe": dict(value=(files["source"], files[wiped])),
            "wipe ends": dict(value=fragments.wipe_ends(wiped)), "wipe row": dict(visible=True),
        }

    def wipe(self, wiped, *files):
        """Another picture under the wipe: the cards' own files, nothing is computed."""
        files = dict(zip(self.cards, files))
        return (files["source"], files[wiped]), fragments.wipe_ends(wiped)

    def choose(self, event: gr.EventData):
        """An example: its picture, and the family that it is meant for, if there is one."""
        example, families = self.examples[event.index], self.models.families()
        family = example.family if example.family in families else next(iter(families), None)
        return stored(example.picture(), example.file_name), family, *self.set_family(family, None)

    def set_family(self, family, methods):
        """The methods that a family has; those that were ticked stay ticked."""
        present = self.models.families().get(family, [])
        kept = [method for method in methods or [] if method in present] or present
        choices = [(TITLES[method], method) for method in present]
        return gr.CheckboxGroup(choices=choices, value=kept), fragments.family_note(self.models, family)

    # --- the page ---

    def build(self) -> gr.Blocks:
        """The page, with a finished comparison in it."""
        families = self.models.families()
        family = next(iter(families), None)
        example = next((e for e in self.examples if e.family == family), self.examples[0])
        picture = stored(example.picture(), example.file_name)
        present = [method for method in METHODS if any(method in have for have in families.values())]
        self.cards, self.ui = ["source", *present, "counterpart"], {}
        first = {}
        try:
            *_, comparison = self.steps(picture, family, families.get(family, []), SIZES[0])
            first = self.shown(comparison)
        except Refused as refusal:
            first[f"{refusal.control} message"] = dict(value=fragments.message(str(refusal)), visible=True)
        with gr.Blocks(title="qsneg: three image translators", fill_width=True, delete_cache=(3600, 86400)) as demo:
            with gr.Row(elem_id="top"):
                gr.HTML(fragments.header(describe(self.models.device)))
                cards = gr.Button("Model cards", size="sm", elem_id="to-cards", scale=0, min_width=110)
            with gr.Row(elem_id="page"):
                with gr.Column(elem_id="controls", scale=0, min_width=300):
                    self.controls(picture, family, first)
                with gr.Column(elem_id="pages", min_width=300), gr.Tabs() as tabs:
                    with gr.Tab("Compare", id="compare"):
                        self.compare_page(first)
                    with gr.Tab("About", id="about"):
                        gr.Markdown(fragments.about(self.models), elem_id="about")
            cards.click(lambda: gr.Tabs(selected="about"), None, tabs, queue=False, api_visibility="private")
            demo.load(None, js=FOLD, api_visibility="private")
            self.wire()
            self.endpoints(families)
        return demo

    def controls(self, picture, family, first):
        """The left column: picture, examples, family, methods, working size and the button."""
        ui = self.ui

        def message(control):
            ui[f"{control} message"] = gr.HTML(**{"visible": False, **first.get(f"{control} message", {})})

        ui["picture"] = Picture(picture, type="filepath", image_mode=None, format="png", label="Picture", height=190,
                                sources=["upload", "clipboard", "webcam"], buttons=[], elem_id="picture",
                                alt_text="The picture to translate")
        message("picture")
        ui["examples"] = gr.HTML(fragments.thumbnails(self.examples), js_on_load=CHOOSE, elem_id="examples")
        with gr.Accordion("Settings", elem_id="settings"):
            titles = [(fragments.family_title(name), name) for name in self.models.families()]
            ui["family"] = gr.Radio(titles, value=family, label="Model family", elem_id="family")
            ui["family note"] = gr.HTML(fragments.family_note(self.models, family))
            message("family")
            present = self.models.families().get(family, [])
            ui["methods"] = gr.CheckboxGroup([(TITLES[m], m) for m in present], value=present, label="Methods",
                                             elem_id="methods")
            message("methods")
            ui["size"] = gr.Radio(SIZES, value=SIZES[0], label="Working size, pixels of the short side", elem_id="size")
            message("size")
        ui["go"] = gr.Button("Translate", variant="primary", elem_id="go")
        ui["stop"] = gr.Button("Stop", visible=False, elem_id="stop")
        ui["status"] = gr.HTML(visible=False)

    def compare_page(self, first):
        """The cards in a row, and the wipe under them."""
        ui = self.ui
        gr.HTML(f'<p class="read">{fragments.READ}</p>')
        with gr.Row(elem_id="line"):
            ui["summary"] = gr.HTML(**first.get("summary", {}))
            ui["save"] = gr.DownloadButton("Save comparison", size="sm", scale=0, min_width=150, elem_id="save",
                                           **first.get("save", {"visible": False}))
        with gr.Row(elem_id="cards", equal_height=False):
            for key in self.cards:
                with gr.Column(min_width=150, elem_classes=["card", key],
                               **first.get(f"{key} card", {"visible": False})) as ui[f"{key} card"]:
                    ui[f"{key} head"] = gr.HTML(**first.get(f"{key} head", {}))
                    ui[key] = Picture(type="filepath", image_mode=None, format="png", show_label=False, container=False,
                                      interactive=False, buttons=["download", "fullscreen"],
                                      alt_text=fragments.NAMES[key], label=fragments.NAMES[key], **first.get(key, {}))
        with gr.Row(elem_id="wipe", **first.get("wipe row", {"visible": False})) as ui["wipe row"]:
            with gr.Column(min_width=280, elem_id="slider"):
                ui["wipe ends"] = gr.HTML(**first.get("wipe ends", {}))
                ui["wipe"] = gr.ImageSlider(type="filepath", image_mode=None, format="png", show_label=False,
                                            container=False, buttons=["fullscreen"], interactive=False, max_height=460,
                                            label="Wipe between the source and a translation", **first.get("wipe", {}))
            with gr.Column(min_width=240, elem_id="wipe-choice"):
                gr.HTML("<h3>Wipe</h3><p>Drag the handle across the picture: the source lies on the left of it, the "
                        "translation on the right. What keeps its place under the handle has kept its shape.</p>")
                ui["wiped"] = gr.Radio(**{"choices": [], **first.get("wiped", {})}, label="On the right")

    def wire(self):
        """What happens when."""
        ui, private = self.ui, dict(api_visibility="private")
        inputs = [ui[name] for name in ("picture", "family", "methods", "size", "wiped")]
        settings = ("picture", "examples", "family", "family note", "methods", "size")
        outputs = [component for name, component in ui.items() if name not in settings]
        run = dict(fn=self.run, inputs=inputs, outputs=outputs, show_progress="minimal",
                   show_progress_on=[ui["status"]], **MODEL, **private)
        family = [ui["methods"], ui["family note"]]
        running = [
            ui["go"].click(**run),
            ui["examples"].select(self.choose, None, [ui["picture"], ui["family"], *family], show_progress="hidden",
                                  **private).then(**run),
        ]
        ui["picture"].upload(self.check, ui["picture"], ui["picture message"], show_progress="hidden", **private)
        ui["family"].input(self.set_family, [ui["family"], ui["methods"]], family, show_progress="hidden", **private)
        ui["wiped"].input(self.wipe, [ui["wiped"], *(ui[key] for key in self.cards)], [ui["wipe"], ui["wipe ends"]],
                          show_progress="hidden", **private)
        ui["stop"].click(lambda: self.updates(IDLE), None, [ui[name] for name in IDLE], cancels=running, queue=False,
                         **private)

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
            image, other = (Picture(format="png", label=label) for label in ("Picture", "Counterpart"))
            facts, button = gr.JSON(label="Facts"), gr.Button()
        button.click(self.translate, [picture, method, family, size], image, api_name="translate", **MODEL)
        button.click(self.compare, [picture, chosen, family, size], [image, facts], api_name="compare", **MODEL)
        button.click(self.draw, [index, size], [image, other], api_name="draw")
        gr.api(self.list_models, api_name="models")


BUSY = {"go": dict(visible=False), "stop": dict(visible=True)}
IDLE = {"status": dict(visible=False), "go": dict(visible=True), "stop": dict(visible=False)}


def theme() -> gr.themes.Base:
    """Calm: the system's fonts, greys, and ink as the one accent; the methods have the colours."""
    sans = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    return gr.themes.Base(primary_hue="slate", secondary_hue="slate", neutral_hue="slate", radius_size="sm", font=sans,
                          font_mono=mono)


def main() -> None:
    """Read the flags, load the models and serve the page."""
    parser = argparse.ArgumentParser(description="Compare contrastive image translators in the browser.")
    parser.add_argument("--host", help="address to listen on (GRADIO_SERVER_NAME, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port (GRADIO_SERVER_PORT, else the first free from 7860)")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--checkpoints", help="folder of <family>/<method>.safetensors (else QSNEG_CHECKPOINTS, "
                                              "else checkpoints)")
    flags = parser.parse_args()
    try:
        models = Models(flags.checkpoints, flags.device)
    except ValueError as error:
        parser.error(str(error))
    demo = App(models).build()
    models.warm_up()
    has_mcp = importlib.util.find_spec("mcp") is not None
    try:
        demo.launch(
            server_name=flags.host, server_port=flags.port, theme=theme(), css_paths=[HERE / "qsneg" / "app.css"],
            footer_links=["api", "settings"], run_history=False, max_file_size="100mb",
            mcp_server=has_mcp and os.environ.get("GRADIO_MCP_SERVER", "True").lower() == "true",
        )
    except OSError as error:  # the port is taken
        sys.exit(f"The app could not start: {error}")


if __name__ == "__main__":
    main()
