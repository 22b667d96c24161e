"""The app: one picture through CUT, QS-Attn and NEGCUT, side by side.

    python app.py                                   # http://127.0.0.1:7860
    python app.py --checkpoints checkpoints --device cpu --port 8000

Gradio's environment variables (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, …) hold where no flag is given. Everything that
uses a model waits in one queue; the same picture, model and size are translated once (gradio's cache). Nothing is
fetched from other hosts, but for the weights that a visitor opens from the Hugging Face Hub.
"""

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

try:
    import gradio as gr
except ModuleNotFoundError as error:
    from qsneg import what_to_do

    raise SystemExit(what_to_do(error)) from None
from starlette.middleware import Middleware

from qsneg.device import describe
from qsneg.pages import PAGES
from qsneg.pages.tour import TOUR
from qsneg.rendering import sample_pictures
from qsneg.ui import limits, texts
from qsneg.ui.about import about
from qsneg.ui.address import Address
from qsneg.ui.compare import ComparePage, steps, subject
from qsneg.ui.components import LINE, PRIVATE, STATIC, TOLD, script, stored
from qsneg.ui.compression import CompressedPage
from qsneg.ui.controls import Controls
from qsneg.ui.disk import DISK, Uploads
from qsneg.ui.endpoints import Endpoints
from qsneg.ui.feature_cache import Views
from qsneg.ui.guarded import Guarded, Sentences
from qsneg.ui.inner_pages import InnerPage
from qsneg.ui.line import Wish
from qsneg.ui.models import Models
from qsneg.ui.outdated import Outdated
from qsneg.ui.own_panel import OwnWeights
from qsneg.ui.selection import Visit
from qsneg.ui.shown_page import HIDDEN, Bases, ShownPage
from qsneg.ui.shown_page import PAGES as ONE_AT_A_TIME
from qsneg.ui.tour import BUTTON, Tour
from qsneg.ui.uploads import Refused
from qsneg.ui.verdict import judge


class App:
    """The page and its endpoints over a folder of models: its parts, put together."""

    def __init__(self, models: Models, schedule=None):
        """schedule: of the page Learn, a `qsneg.learning.schedule.Schedule`; None: there is no such page."""
        self.models, self.views, self.schedule, self.learn = models, Views(models), schedule, None
        if schedule:
            models.line.tell = schedule.give_way  # a training is held while somebody translates or looks inside

    def build(self) -> gr.Blocks:
        """The page, with a finished comparison in it."""
        models, families, examples = self.models, self.models.families(), sample_pictures.examples()
        family, comparison, refused = next(iter(families), None), None, None
        example = next((e for e in examples if e.family == family), examples[0])
        picture = stored(example.picture(), example.file_name)
        try:
            *_, comparison = steps(models, picture, family, families.get(family, []), limits.OFFERED[0])
        except Refused as refusal:
            refused = refusal
        with Guarded(title="qsneg: three image translators", fill_width=True, delete_cache=(3600, 86400)) as demo:
            first_look = comparison and subject(models, picture, comparison)
            found = first_look and judge(self.views, first_look)
            self.visit = Visit(first_look, models.own.close)
            with gr.Row(elem_id="top"):
                gr.HTML(texts.header(describe(models.device), BUTTON))
                cards = gr.Button("Model cards", size="sm", elem_id="to-cards", scale=0, min_width=110)
            bases = {page.pictures_of: Bases() for page in PAGES.values()}
            with gr.Row(elem_id="page"):
                with gr.Column(elem_id="controls", scale=0, min_width=300):
                    self.controls = Controls(models, self.visit, picture, family, refused)
                    self.own = OwnWeights(self.controls)
                with gr.Column(elem_id="pages", min_width=300):
                    self.outdated = Outdated(models, self.visit, self.controls)
                    with gr.Tabs() as tabs:
                        with gr.Tab("Compare", id="compare") as first:
                            self.compare = ComparePage(self.views, self.visit, self.controls, comparison, found)
                        pages = PAGES.values()
                        self.pages = [InnerPage(p, self.views, self.visit, bases[p.pictures_of]) for p in pages]
                        if self.schedule:
                            from qsneg.ui.learn import LearnPage

                            self.learn = LearnPage(self.schedule, self.visit, self.controls, self.own)
                        with gr.Tab("About", id="about") as last:
                            gr.Markdown(about(models), elem_id="about")
            self.tour = Tour(self.views, self.visit, bases[TOUR[0].pictures_of])
            self.address = Address(self.visit, self.controls, tabs, ("about", *["learn"] * bool(self.learn)))
            cards.click(lambda: (gr.Tabs(selected="about"), "about"), None, [tabs, self.visit.tab], **TOLD)
            for tab in (first, last):
                tab.select(lambda name=tab.id: name, None, self.visit.tab, **TOLD)
            for file in ("page.js", "values.js"):
                demo.load(None, js=script(file), **PRIVATE)
            self.wire(*[self.learn.wire(demo, tabs)] if self.learn else [])
            Endpoints(models, self.views).build()
        DISK.pin()
        return demo

    def wire(self, *events) -> None:
        """What happens when; after a translation the page that is looked at follows. `events` are those after which
        something is translated, besides what the left column and an address ask for."""
        self.controls.wire()
        self.own.wire()
        self.outdated.wire()
        told = {c.control.name: c.control.tooltip for page in self.pages for c in page.controls if c.control.tooltip}
        for page in self.pages:
            page.wire(script("tooltips.js", texts=told))
        for step in self.tour.steps:
            step.wire()
        visit, every = self.visit, self.every()
        inputs = [visit.looking, visit.tab, visit.tour, *(part for page in every for part in page.inputs)]
        outputs = list(dict.fromkeys(part for page in every for part in page.outputs))
        places = [page.status.place for page in every]
        wanted = [visit.looking, visit.tab, visit.tour, visit.subject, visit.selection]
        asked = [visit.looking, visit.subject, visit.selection]
        turned = self.tour.frame.select(self.tour.turned, asked, [visit.tour, visit.selection], **TOLD)
        restored = self.address.wire([page.stage.change for page in every])
        for event in (turned, *self.compare.wire(restored, *events)):
            made = event.then(self.made, wanted, places, **LINE, **HIDDEN)
            made.then(self.refresh, inputs, outputs, trigger_mode="multiple", **ONE_AT_A_TIME)

    def every(self) -> list[ShownPage]:
        """The pages, and the steps of the tour."""
        return [*self.pages, *self.tour.steps]

    def looked_at(self, tab: str, step: int) -> list[int]:
        """Which of `every` is looked at: a step of the tour, else the page whose tab is open; none for others."""
        names = [page.page.name for page in self.every()]
        return [names.index(name) for name in [TOUR[step - 1].name if step else tab] if name in names]

    def made(self, looking: Wish, tab, step, subject, selection) -> Iterator[dict]:
        """Make what the page needs that is looked at."""
        yield gr.skip()
        looking.make()
        for number in self.looked_at(tab, step):
            yield from self.every()[number].made(looking, subject, selection)

    def refresh(self, looking: Wish, tab, step, *values) -> Iterator[dict]:
        """Fill the page that is looked at, once everything is made."""
        yield gr.skip()
        if not looking.is_fulfilled:
            return
        for number in self.looked_at(tab, step):
            page, count = self.every()[number], len(values) // len(self.every())
            yield from page.opened(*values[number * count : (number + 1) * count])


def theme() -> gr.themes.Base:
    """Calm: the system's fonts, greys, and ink as the one accent; the methods have the colours."""
    sans = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    return gr.themes.Base(
        primary_hue="slate", secondary_hue="slate", neutral_hue="slate", radius_size="sm", font=sans, font_mono=mono
    )


def from_tenth(text: str) -> float:
    """A number from 0.1, of a flag."""
    value = float(text)
    if not 0.1 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"a number from 0.1 is needed, not {text}")
    return value


def from_one(text: str) -> int:
    """A whole number from 1, of a flag."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is needed, not {text}")
    return int(text)


def own_folder() -> Path:
    """Where uploads and results lie if GRADIO_TEMP_DIR says nothing: not among those of other apps."""
    user = os.getuid() if hasattr(os, "getuid") else "app"
    return Path(tempfile.gettempdir()) / f"qsneg-{user}"


def read_flags() -> argparse.ArgumentParser:
    """The flags that there are."""
    parser = argparse.ArgumentParser(description="Compare contrastive image translators in the browser.")
    parser.add_argument("--host", help="address to listen on (GRADIO_SERVER_NAME, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port (GRADIO_SERVER_PORT, else the first free from 7860)")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--precision", default="float32", help="float32, bfloat16, or auto (bfloat16 where it is fast)")
    parser.add_argument(
        "--checkpoints", help="folder of <family>/<method>.safetensors (else QSNEG_CHECKPOINTS, else checkpoints)"
    )
    disk, pixels = limits.DISK_BYTES / 1e9, limits.UPLOADED / 1e6
    room = "GB of disk that uploads and results may take; the oldest go first (%(default).3g)"
    parser.add_argument("--disk", type=from_tenth, default=disk, metavar="GB", help=room)
    largest = "megapixels of the largest picture that is taken (%(default).3g)"
    parser.add_argument("--megapixels", type=from_tenth, default=pixels, metavar="MP", help=largest)
    parser.add_argument("--learn", action="store_true", help="a page on which visitors train models, and watch")
    most = "with --learn: most steps of a run, for each of its methods (%(default)s)"
    parser.add_argument("--learn-steps", type=from_one, default=limits.LEARN_STEPS, metavar="N", help=most)
    most = "with --learn: minutes of training that a visitor may use in 24 hours (%(default)s)"
    parser.add_argument("--learn-minutes", type=from_one, default=limits.LEARN_MINUTES, metavar="N", help=most)
    return parser


def main() -> None:
    """Read the flags, load the models and serve the page."""
    flags = (parser := read_flags()).parse_args()
    os.environ.setdefault("GRADIO_TEMP_DIR", str(own_folder()))
    DISK.limit = int(flags.disk * 1e9)
    try:
        models = Models(
            flags.checkpoints, flags.device, precision=flags.precision, max_pixels=int(flags.megapixels * 1e6)
        )
        schedule = schedule_of(flags)
    except ValueError as error:
        parser.error(str(error))
    with contextlib.closing(schedule) if schedule else contextlib.nullcontext():
        serve(flags, models, App(models, schedule).build().queue(max_size=limits.QUEUED))


def schedule_of(flags: argparse.Namespace):
    """What the page Learn trains by, to be closed with the app, however that is told to end; None without --learn."""
    if not flags.learn:
        return None
    from qsneg.learning.order import Bounds
    from qsneg.learning.schedule import Schedule

    schedule = Schedule(DISK.apart, Bounds(flags.learn_steps, flags.learn_minutes), device=flags.device)

    def end(number: int, _) -> None:
        schedule.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    return schedule


def serve(flags: argparse.Namespace, models: Models, demo: gr.Blocks) -> None:
    """Serve the page until it is stopped."""
    models.warm_up()
    has_mcp = importlib.util.find_spec("mcp") is not None
    try:
        demo.launch(
            server_name=flags.host,
            server_port=flags.port,
            theme=theme(),
            css_paths=[STATIC / "app.css", STATIC / "tour.css"],
            head=f"<script>{script('arrival.js')}</script>",
            footer_links=["api", "settings"],
            run_history=False,
            app_kwargs={"middleware": [Middleware(CompressedPage), Middleware(Sentences), Middleware(Uploads)]},
            max_file_size=limits.UPLOAD,
            blocked_paths=[str(DISK.apart)],
            mcp_server=has_mcp and os.environ.get("GRADIO_MCP_SERVER", "True").lower() == "true",
        )
    except OSError as error:  # the port is taken
        sys.exit(f"The app could not start: {error}")
