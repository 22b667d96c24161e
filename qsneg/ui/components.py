"""Components and files that the parts of the app share."""

import io
import json
import traceback
from pathlib import Path

import gradio as gr
import gradio.component_meta
from PIL import Image, PngImagePlugin

from qsneg.pages.controls import Control
from qsneg.rendering import sample_pictures
from qsneg.ui import texts
from qsneg.ui.arguments import methods_of
from qsneg.ui.disk import DISK
from qsneg.ui.uploads import Refused

MODEL = dict(concurrency_id="model", concurrency_limit=1)  # endpoints' calls; one of them is in `Models.line`
LINE = dict(concurrency_limit=None, trigger_mode="multiple")  # visitors, who wait in `Models.line`
PRIVATE = dict(api_visibility="private")
AT_ONCE = PRIVATE | dict(queue=False, show_progress="hidden", trigger_mode="multiple")  # what waits for nobody
TOLD = PRIVATE | dict(concurrency_limit=None, show_progress="hidden", trigger_mode="multiple")
# nor does this, but it goes through gradio's queue: only there is the change of a state an event of its own
FILES = dict(type="filepath", image_mode=None, format="png")  # pictures come and go as files
BARE = dict(show_label=False, container=False, interactive=False)
UNEXPECTED = "Something went wrong on the server, which has logged it: try again, or try another picture."
STATIC = Path(__file__).parent / "static"

gradio.component_meta.create_or_modify_pyi = lambda *_: None  # else gradio writes a .pyi beside this file


class Picture(gr.Image):
    """An image component that hands a file over unread: `Sources.read` says in one sentence what is wrong with it."""

    is_template = True  # to gradio an Image like any other

    def preprocess(self, payload):
        if payload is None or (payload.path and not (payload.url or "").startswith("data:")):
            return payload and payload.path
        try:
            return super().preprocess(payload)
        except Exception:
            raise gr.Error("This is not a picture that can be read: send a JPEG, PNG or WebP file.") from None


def unread(component, payload):
    """A `preprocess` that hands a value over as it came: `arguments` and `Control.accept` say what is wrong with it."""
    return payload


class Whole(gr.Number):
    is_template, preprocess = True, unread


class Track(gr.Slider):  # what is typed into its field may lie outside
    is_template, preprocess = True, unread


class Choice(gr.Dropdown):
    is_template, preprocess = True, unread


class Ticks(gr.CheckboxGroup):
    """Methods to tick: another family may have come since they were ticked, so `Models.check` says which are none."""

    is_template = True

    def preprocess(self, payload):
        return methods_of(payload)


class Message:
    """A place for what is wrong, what is at work or what was done; beside the control that it is about, if any."""

    def __init__(self, about: str = "", refusal: Refused | None = None):
        self.about = about
        is_mine = refusal is not None and refusal.control == about
        self.place = gr.HTML(texts.message(str(refusal)) if is_mine else None, visible=is_mine)

    def refused(self, sentence: str) -> dict:
        return self.said(texts.message(sentence))

    def at_work(self, sentence: str) -> dict:
        return self.said(texts.status(sentence))

    def said(self, text: str) -> dict:
        return {self.place: gr.update(value=text, visible=True)}

    def cleared(self) -> dict:
        return {self.place: gr.update(visible=False)}


def sentence(error: Exception) -> str:
    """What a visitor is told of an error; one that nobody expected goes to the log."""
    if isinstance(error, ValueError):  # Refused is one
        return str(error)
    traceback.print_exception(error)
    return UNEXPECTED


def drawn(control: Control) -> gr.components.Component:
    """A control of a page."""
    common = dict(label=control.label, elem_classes=["control", control.name], container=True, min_width=60, scale=0)
    if control.choices:
        return gr.Radio(list(control.choices), value=control.default, **common)
    if control.range:
        least, most, step = control.range
        return Track(least, most, value=control.default, step=step, buttons=[], **common)
    return Whole(control.default, precision=0, **common)


def script(file: str, **words) -> str:
    """A file of JavaScript, each $word in it replaced by a value."""
    text = (STATIC / file).read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"${word}", json.dumps(value, ensure_ascii=False))
    return text


def stored(image: Image.Image, *words) -> str:
    """Write a picture to gradio's folder of files, under a name made of the words that a download will have."""
    text = PngImagePlugin.PngInfo()
    if sample_pictures.KEY in image.info:
        text.add_text(sample_pictures.KEY, image.info[sample_pictures.KEY])
    image.save(data := io.BytesIO(), "PNG", pnginfo=text, compress_level=1)
    return kept(data.getvalue(), "-".join(("qsneg", *map(str, words))) + ".png")


def kept(data: bytes, name: str) -> str:
    """Write a file for download."""
    return str(DISK.write(name, data))
