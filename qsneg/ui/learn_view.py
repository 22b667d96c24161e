"""A run as HTML: where it stands, translations over its steps, anchors with their trails, losses. Pure functions."""

import functools
import html
import io
import time

import numpy as np
from PIL import Image

from qsneg.learning.live import LOSSES, Watched, left, trails
from qsneg.learning.order import HEIGHTS
from qsneg.learning.run import FAILED, LEARNING, PREPARING, WAITING, Run
from qsneg.pages.recorded import PICTURES, strip_of
from qsneg.rendering import plots
from qsneg.rendering.colormaps import title_of
from qsneg.rendering.rows import Dots, Panel, Row, Trails
from qsneg.training.film import cut
from qsneg.ui import figures
from qsneg.ui.texts import data_uri, message, swatch

FRAMES = 6  # of a film that stand side by side


def address(secret: str, run: Run, ends: float, hours: float) -> str:
    """The run's secret address, which the browser completes (static/learn.js), and how long it holds."""
    until = f"{hours:g} hours after its end" if run.is_moving else time.strftime("%-d %B, %H:%M UTC", time.gmtime(ends))
    return (
        f'<div class="address" data-run="{html.escape(secret)}"><label>Address of this run<input readonly></label>'
        '<button type="button" class="copy">Copy</button><p class="note">Whoever has it can watch the run, stop and '
        f"resume it, and use its weights: keep it if you close this page. The run stays until <b>{until}</b>, then it "
        "is removed, with its pictures.</p></div>"
    )


def status(run: Run, seen: dict[str, Watched], before: int) -> str:
    """Where it stands, and how far each method is."""
    body = f'<p class="state"><b>{run.state.capitalize()}:</b> {words(run, seen, before)}</p>'
    if run.state == FAILED:
        body = message(f"The run has failed. {run.note}")
    bars = "".join(bar(method, run, watched) for method, watched in seen.items()) if run.state != WAITING else ""
    return f'<div class="run"><h3>{html.escape(run.order.title)}</h3>{body}<div class="bars">{bars}</div></div>'


def words(run: Run, seen: dict[str, Watched], before: int) -> str:
    """What there is to say of the state."""
    if run.state == WAITING:
        before_yours = f"{before} run{'s' * (before != 1)} before yours. You may close this page."
        return before_yours if before else "it begins in a moment."
    if run.note or run.state not in (PREPARING, LEARNING):
        return html.escape(run.note) or "all its steps."
    if run.state == PREPARING:
        return (
            "height maps are drawn." if run.order.domain == HEIGHTS else "your pictures are looked through for copies."
        )
    speed = next((w.speed for w in reversed(seen.values()) if w.speed), 0.0)
    if (remaining := left(run, seen)) is None:
        return "the first steps: speed and time will be known in a moment."
    seconds, is_short = remaining
    early = ": its minutes will be up before its last step" * is_short
    return f"{speed:.1f} steps a second, {duration(seconds)} left{early}."


def duration(seconds: float) -> str:
    if seconds < 50:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {minutes} minute{'s' * (minutes != 1)}"


def bar(method: str, run: Run, watched: Watched) -> str:
    """How far a method is."""
    share = min(1.0, watched.step / run.order.steps)
    return (
        f'<div class="progress">{swatch(method)}<span>{title_of(method)}</span><div class="track" role="progressbar" '
        f'aria-label="{title_of(method)}" aria-valuenow="{watched.step}" aria-valuemin="0" '
        f'aria-valuemax="{run.order.steps}"><i style="width:{share:.2%}"></i></div>'
        f"<span>step {watched.step:,} of {run.order.steps:,}</span></div>"
    )


def log(run: Run) -> str:
    """What the commands said last, where something went wrong; folded."""
    if run.state != FAILED or not (text := run.log()):
        return ""
    return (
        f'<details class="log"><summary>What the training said last</summary><pre>{html.escape(text)}</pre></details>'
    )


def pictures(seen: dict[str, Watched], picture: int) -> str:
    """Translations over the steps, then anchors with their trails, of one of the film's pictures."""
    films = {method: watched.film for method, watched in seen.items() if watched.film}
    if not films:
        return ""
    rows = "".join(timeline(method, film, picture) for method, film in films.items())
    title = '<h3 class="title">Translations over the steps</h3><p class="note">By the average of the weights, as they '
    title += "are shipped: it follows them slowly.</p>"
    return f'<section class="band">{title}{rows}</section>' + anchors(films, picture)


def timeline(method: str, film, picture: int) -> str:
    """The source and frames of a film, evenly chosen among those that are there, the last one always."""
    count = len(film.steps)
    chosen = np.unique(np.linspace(0, count - 1, min(FRAMES - 1, count)).round().astype(int)).tolist()
    shown = [("source", webp(film.source, picture))]
    shown += [(f"step {film.steps[n]:,}", webp(film.strips[n], picture)) for n in chosen]
    figures_of = "".join(
        f'<figure><img src="{uri}" alt="{title_of(method)}, {name}"><figcaption>{name}</figcaption></figure>'
        for name, uri in shown
    )
    head = f'<div class="head">{swatch(method)}<h3>{title_of(method)}</h3></div>'
    return f'{head}<div class="timeline" style="--frames:{FRAMES}">{figures_of}</div>'


@functools.lru_cache(maxsize=512)
def webp(strip: bytes, picture: int) -> str:
    """One picture of a strip as a data URI of some kilobytes."""
    return data_uri(cut(Image.open(io.BytesIO(strip)).convert("RGB"))[picture % PICTURES], "WEBP", quality=82)


def anchors(films: dict, picture: int) -> str:
    """The anchors of the last frame on the source in grey, with trails."""
    first = next(iter(films.values()))
    source = strip_of("learn-source", first.source, picture)
    panels = []
    for method, film in films.items():
        at = film.anchors[:, picture, -1]
        said = f"Step {film.steps[-1]:,}, layer {film.layers[-1]}."
        marks = (Trails(trails(at)), Dots(at[-1]))
        label = f"{title_of(method)}: anchors of picture {picture + 1}"
        panels.append(Panel(method, "anchors", source, film.grid, marks=marks, words=said, label=label))
    panels.append(Panel("", words="Do they gather where the picture has to change, or along outlines?"))
    note = (
        "The 256 patches of lowest entropy, brighter dots rank higher. A line leads back from each of the first 96 to the "
        "nearest anchor in the frame before, over three frames: none where it stayed, or came from nowhere near."
    )
    under = f"<style>#pages {{ --learn-source: url({data_uri(first.source)}); }}</style>"
    return under + figures.row(Row("Anchors and where they came from", note, tuple(panels)))


def curves(seen: dict[str, Watched], steps: int) -> str:
    """The losses of all methods."""
    drawn = ""
    for title in LOSSES:
        lines = {method: w.curves[title] for method, w in seen.items() if w.curves[title]}
        if lines:
            plot = plots.curves(lines, steps, title)
            drawn += f'<figure class="fig"><figcaption class="head"><h3>{title}</h3></figcaption>{plot}</figure>'
    if not drawn:
        return ""
    note = (
        "Means over ten steps. Contrast falls as patches of the translation find theirs in the source; the other two are "
        "a game of two, in which neither loss falls for long."
    )
    keys = "".join(f"<span>{swatch(method)} {title_of(method)}</span>" for method in seen)
    return (
        f'<section class="band"><h3 class="title">Losses</h3><p class="note">{note}</p><p class="keys">{keys}</p>'
        f'<div class="columns" style="--columns:3">{drawn}</div></section>'
    )
