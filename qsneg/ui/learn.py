"""The page Learn: what is to be trained is ordered here, and watched while it learns (`app.py --learn`).

The runs are `qsneg.learning`'s; whoever holds a run's secret address, ?run=SECRET, sees it and may do everything with it.
The page looks again every few seconds while a run moves, and only sends what has changed.
"""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from qsneg.config import main_methods
from qsneg.learning import live, zips
from qsneg.learning.order import DOMAINS, OWN, SCENES, Order
from qsneg.learning.run import Run
from qsneg.learning.schedule import Schedule
from qsneg.pages.recorded import PICTURES
from qsneg.rendering.colormaps import title_of
from qsneg.ui import learn_view as view
from qsneg.ui.arguments import methods_of, text, whole
from qsneg.ui.components import AT_ONCE, PRIVATE, TOLD, Message, Ticks, Track, kept, script, sentence
from qsneg.ui.controls import Controls
from qsneg.ui.own_panel import OwnWeights
from qsneg.ui.selection import Visit

EVERY = 2.0  # seconds between looks
GONE = "There is no run at this address any more: runs are removed {hours:g} hours after their end. Start another."
READ = (
    "Train a translator here, on drawn pictures or on two zips of your own, and watch it learn: its translations, where "
    "its anchors go, its losses. It goes on when you close this page; its address brings you back."
)
NOTE = (
    "On two free cores 1,000 steps of one method take about four minutes, and already turn photographs into ink. One run "
    "trains at a time, and translating goes first. Each visitor has {minutes} minutes in 24 hours. A zip may hold {most}; "
    "some hundreds of at least 128 pixels are a good start, and none needs to correspond to one in the other zip."
)
QUEUED = PRIVATE | dict(show_progress="hidden", concurrency_id="learn", concurrency_limit=2)


class LearnPage:
    """The tab, its components as attributes."""

    def __init__(self, schedule: Schedule, visit: Visit, controls: Controls, own: OwnWeights):
        self.schedule, self.visit, self.controls, self.own = schedule, visit, controls, own
        with gr.Tab("Learn", id="learn", elem_id="learn") as self.tab:
            gr.HTML(f'<p class="read">{READ}</p>')
            with gr.Accordion("A new run", open=True, elem_id="order") as self.form:
                self.build_form()
            self.message = Message()
            self.status = gr.HTML(visible=False)
            with gr.Row(visible=False, elem_id="run-buttons") as self.buttons:
                self.build_buttons()
            self.file = gr.DownloadButton("weights", visible="hidden", elem_id="file-learn")
            self.where = gr.HTML(js_on_load=script("learn.js"), visible=False)
            self.pictures = gr.HTML(visible=False, elem_classes="stage")
            self.curves, self.log = gr.HTML(visible=False), gr.HTML(visible=False)

    def build_form(self) -> None:
        bounds = self.schedule.bounds
        domains = [(title, name) for name, title in DOMAINS.items()]
        self.domain = gr.Radio(domains, value=SCENES, label="Pictures", elem_classes="control")
        with gr.Row(visible=False) as self.zips:
            look = dict(type="filepath", height=130)
            self.a = gr.File(label="Sources: a zip of pictures", **look)
            self.b = gr.File(label="Targets: a zip of what they become", **look)
        choices = [(title_of(m), m) for m in main_methods()]
        with gr.Row(elem_classes="bar-of-controls"):
            self.methods = Ticks(choices, value=["cut"], label="Methods", elem_classes="control", scale=0)
            least = 100 if bounds.steps >= 200 else 1
            look = dict(buttons=[], elem_classes="control", scale=0, min_width=60)
            self.steps = Track(least, bounds.steps, min(1000, bounds.steps), step=least, label="Steps", **look)
            self.minutes = Track(1, bounds.minutes, min(10, bounds.minutes), step=1, label="Minutes at most", **look)
            self.begin = gr.Button("Start learning", variant="primary", scale=0, min_width=150, elem_id="learn-go")
        most = f"{bounds.pictures:,} pictures, {bounds.unpacked >> 20} MB unpacked"
        gr.HTML(f'<p class="note">{NOTE.format(most=most, minutes=bounds.minutes)}</p>')

    def build_buttons(self) -> None:
        small = dict(size="sm", scale=0, min_width=90, elem_classes="quiet")
        self.halt, self.go_on = gr.Button("Stop", **small), gr.Button("Resume", **small)
        self.method = gr.Radio([], label="Weights of", elem_classes="control", scale=0, visible=False)
        self.use = gr.Button("Use these weights in all pages", **small | dict(min_width=230))
        self.save = gr.Button("Download the weights", **small | dict(min_width=170))
        numbers = [(str(n + 1), n) for n in range(PICTURES)]
        self.picture = gr.Radio(numbers, value=0, label="Picture", elem_classes="control", scale=0, visible=False)

    # --- what is shown ---

    def shown(self, secret: str, picture: int, sent: dict) -> dict:
        """The run of a secret: of its parts those that are not as they were sent."""
        run = self.schedule.find(secret)
        if run is None:
            hidden = dict.fromkeys((self.where, self.status, self.buttons, self.pictures, self.curves, self.log))
            gone = self.message.refused(GONE.format(hours=self.schedule.bounds.hours)) if secret else {}
            rest = {self.secret: "", self.sent: {}, self.timer: gr.Timer(active=False), self.form: gr.update(open=True)}
            return {part: gr.update(visible=False) for part in hidden} | gone | rest
        seen, number = live.watch(run), whole("picture", picture, 0, PICTURES - 1)
        frames = tuple(len(w.film.steps) if w.film else 0 for w in seen.values())
        lines = tuple(w.step for w in seen.values())
        has = {method: run.step(method) for method in run.weights()}
        wanted = {
            "where": (secret, run.is_moving, run.changed),
            "status": view.status(run, seen, self.schedule.before(run)),
            "pictures": (secret, number, frames),
            "curves": (secret, lines),
            "buttons": (secret, run.state, tuple(has), any(frames)),
        }
        news = {name for name, value in wanted.items() if sent.get(name) != value}
        make = {
            "where": (
                self.where,
                lambda: view.address(secret, run, self.schedule.ends(run), self.schedule.bounds.hours),
            ),
            "status": (self.status, lambda: wanted["status"]),
            "pictures": (self.pictures, lambda: view.pictures(seen, number)),
            "curves": (self.curves, lambda: view.curves(seen, run.order.steps)),
            "buttons": (self.log, lambda: view.log(run)),
        }
        drawn = {part: draw() for name, (part, draw) in make.items() if name in news}
        values = {part: gr.update(value=value, visible=bool(value)) for part, value in drawn.items()}
        values |= self.pressed(run, has, any(frames)) if "buttons" in news else {}
        return values | ({self.sent: wanted} if news else {})

    def pressed(self, run: Run, has: dict[str, int], is_filmed: bool) -> dict:
        """The buttons, and whether to look again."""
        choices = [(title_of(method), method) for method in has]
        is_early = not run.is_moving and not run.is_done
        return {
            self.buttons: gr.update(visible=True),
            self.halt: gr.update(visible=run.is_moving),
            self.go_on: gr.update(visible=is_early),
            self.method: gr.update(choices=choices, value=next(iter(has), None), visible=len(has) > 1),
            self.use: gr.update(visible=bool(has)),
            self.save: gr.update(visible=bool(has)),
            self.picture: gr.update(visible=is_filmed),
            self.timer: gr.Timer(active=run.is_moving),
        }

    # --- what visitors do ---

    def order(self, domain, a, b, methods, steps, minutes, picture, request: gr.Request) -> Iterator[dict]:
        """Start was pressed."""
        yield self.message.at_work("Unpacking your pictures." if domain == OWN else "Ordering the run.")
        bounds = self.schedule.bounds
        try:
            wanted = Order(
                text("pictures", domain, "one of those that are shown"),
                tuple(methods_of(methods)),
                whole("number of steps", steps, 1, bounds.steps),
                whole("number of minutes", minutes, 1, bounds.minutes),
            )
            bring = (lambda given: zips.unpack_both(a, b, given, bounds)) if domain == OWN else (lambda given: None)
            secret, _ = self.schedule.order(wanted, who(request), bring)
        except Exception as error:
            yield self.message.refused(sentence(error))
            return
        opened = {self.secret: secret, self.form: gr.update(open=False)}
        yield self.message.cleared() | opened | self.shown(secret, picture, {})

    def arrive(self, secret, picture):
        """Somebody comes by an address, perhaps one of a run."""
        if not secret:
            return dict.fromkeys([*self.parts, self.visit.tab, self.tabs], gr.skip())
        opened = {self.secret: secret, self.form: gr.update(open=False)}
        turned = {self.tabs: gr.Tabs(selected="learn"), self.visit.tab: "learn"}
        return turned | opened | self.shown(str(secret), picture, {})

    def look(self, secret, picture, sent):
        """Look again."""
        return self.shown(secret, picture, sent) or gr.skip()

    def stop(self, secret, picture, sent):
        return self.after(lambda run: self.schedule.stop(run), secret, picture, sent)

    def resume(self, secret, picture, sent, request: gr.Request):
        return self.after(lambda run: self.schedule.resume(run, who(request)), secret, picture, sent)

    def after(self, act, secret, picture, sent) -> dict:
        """Do something with a run, if it is still there, and show it."""
        run, said = self.schedule.find(secret), self.message.cleared()
        try:
            if run is not None:
                act(run)
        except ValueError as error:
            said = self.message.refused(str(error))
        return said | self.shown(secret, picture, sent)

    def weights(self, secret, method) -> tuple[Path, str]:
        """The file of a run's weights, and a title. Raises ValueError if there are none."""
        run = self.schedule.find(secret)
        found = run.weights() if run else {}
        if not found:
            raise ValueError("This run has no weights yet, or is gone.")
        method = method if method in found else next(iter(found))
        return found[method], f"learnt {title_of(method)}, step {run.step(method)}"

    def open(self, secret, method, family, methods, own, used) -> dict:
        """Make a run's weights the visitor's own, in place of what was open; they are translated with at once."""
        try:
            path, title = self.weights(secret, method)
        except ValueError as error:
            return self.message.refused(str(error))
        opened = self.own.open(lambda: self.own.opened.open(path), title, family, methods, own)
        if self.visit.own not in opened:
            return opened | {self.message.place: opened[self.own.message.place]}
        turned = {self.tabs: gr.Tabs(selected="compare"), self.visit.tab: "compare"}
        return opened | self.message.cleared() | turned | {self.used: used + 1}

    def download(self, secret, method) -> str:
        """The weights as a file for download."""
        try:
            path, title = self.weights(secret, method)
            name = "-".join(title.replace(",", "").lower().split())
            return kept(path.read_bytes(), f"qsneg-{name}.safetensors")
        except (ValueError, OSError) as error:
            raise gr.Error(str(error), print_exception=False) from None

    def wire(self, demo: gr.Blocks, tabs: gr.Tabs):
        """What happens when; returns the event after which there is something to translate."""
        self.tabs = tabs
        self.asked = gr.Textbox(visible="hidden")
        self.timer = gr.Timer(EVERY, active=False)
        self.secret, self.sent, self.used = gr.State(""), gr.State({}), gr.State(0)
        self.parts = [self.form, self.message.place, self.where, self.status, self.buttons, self.halt, self.go_on]
        self.parts += [self.method, self.use, self.save, self.picture, self.pictures, self.curves, self.log]
        self.parts += [self.timer, self.secret, self.sent]
        picture, now = self.picture, [self.secret, self.picture, self.sent]
        arriving = "(_, picture) => [new URLSearchParams(location.search).get('run') ?? '', picture]"
        arrived = [*self.parts, self.visit.tab, tabs]
        demo.load(self.arrive, [self.asked, picture], arrived, js=arriving, show_progress="hidden", **PRIVATE)
        self.tab.select(lambda: "learn", None, self.visit.tab, **TOLD)
        self.domain.input(lambda domain: gr.update(visible=domain == OWN), self.domain, self.zips, **AT_ONCE)
        ordered = [self.domain, self.a, self.b, self.methods, self.steps, self.minutes, picture]
        self.begin.click(self.order, ordered, self.parts, trigger_mode="once", **QUEUED)
        self.timer.tick(self.look, now, self.parts, **AT_ONCE)
        self.picture.input(self.look, now, self.parts, **AT_ONCE)
        self.halt.click(self.stop, now, self.parts, **AT_ONCE)
        self.go_on.click(self.resume, now, self.parts, **AT_ONCE)
        c, own = self.controls, self.visit.own
        opened = [*self.own.parts(), self.message.place, tabs, self.visit.tab, self.used]
        self.use.click(self.open, [self.secret, self.method, c.family, c.methods, own, self.used], opened, **QUEUED)
        made = self.save.click(self.download, [self.secret, self.method], self.file, **QUEUED)
        made.success(None, js=script("save.js", name="learn"), **PRIVATE)
        return self.used.change(None, js="() => {}", **PRIVATE)


def who(request: gr.Request | None) -> str:
    """What a visitor's minutes are counted by: the address that the request came from."""
    client = getattr(request, "client", None)
    return str(getattr(client, "host", "") or "")
