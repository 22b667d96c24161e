"""The Film page: what training recorded, all methods at once, a slider over the steps; and the film to pass on.

Its rows hold every frame; moving between them is the browser's work. The films themselves are `qsneg.pages.recorded`'s.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import qsneg.pages.controls as controls
from qsneg.config import CUT, NEGCUT, QS_ATTN
from qsneg.inspect import Grid, summary
from qsneg.pages.anchors import rank_bar
from qsneg.pages.film_frames import recorded_frames
from qsneg.pages.page import LAYER, NAT, Looked, Page, Words
from qsneg.pages.recorded import PICTURES, Recorded, all_steps, load, recorded_at, spans, strip_of
from qsneg.pages.selection import Selection
from qsneg.rendering import plots
from qsneg.rendering.colormaps import by_log, colour_of, percent, title_of
from qsneg.rendering.rows import Dots, Panel, Picture, Row
from qsneg.training.film import SIZE

GRID = Grid(12, (48, 48), (SIZE, SIZE), 4, 0)  # of a picture that stands alone


class Film(Page):
    name, title = "film", "Film"
    words = Words(
        "What training recorded beside the weights: the translations of four fixed pictures, the entropies of their "
        "positions and their anchors, at about twenty steps. Play it, or move the slider, and see when the change "
        "comes and where the anchors go.",
        "steps of the frames: 0, then evenly spaced on a logarithmic scale",
        "A method whose training had no frame at a step shows its latest before it; nothing is interpolated.",
        (CUT, QS_ATTN, NEGCUT),
        (LAYER, NAT),
    )
    controls = (
        controls.Control("picture", "Picture", 0, "", tuple((str(n + 1), n) for n in range(PICTURES))),
        controls.Control("layer", "Layer", 16, controls.LAYER, controls.named((12, 16)), field="film_layer"),
        controls.scale(lambda selection: selection.film_scale, "film_scale"),
    )
    moves = True
    pictures_of = "films"

    def steps(self, views, subject) -> Iterator[dict]:
        """The films of a subject's methods; of those that have none, why."""
        folder = Path(views.models.folder) / subject.family
        films = load(folder, list(subject.methods))
        why = {m: f"no film beside its weights (<code>{subject.family}/{m}.film</code>)." for m in subject.methods}
        why |= {"own": "weights that were opened bring no film."}
        yield {m: films.get(m, why[m]) for m in subject.methods}

    def look(self, seen: dict[str, Recorded | str], selection: Selection) -> Looked:
        """Found are of one picture and layer the log-entropies, S×H×W, the anchors, S×N×2, and how many of a frame's
        are there in the next, S−1."""
        films = {m: film for m, film in seen.items() if not isinstance(film, str)}
        found = {}
        for method, film in films.items():
            at = film.place(selection)
            found[method] = film.log_entropy[:, *at], film.anchors[:, *at], film.stay[:, *at]
        return Looked(films, found, {m: why for m, why in seen.items() if m not in films})

    def head(self, looked: Looked, selection: Selection, title: str, size: int) -> str:
        return f"<b>{title}</b>, {len(all_steps(looked.seen))} frames." if looked.seen else ""

    def pictures(self, seen: dict[str, Recorded | str]) -> dict[str, bytes]:
        films = {m: film for m, film in seen.items() if not isinstance(film, str)}
        strips = {f"film-{m}-{n}": strip for m, film in films.items() for n, strip in enumerate(film.strips)}
        return strips | {"film-source": film.source for film in list(films.values())[:1]}

    def rows(self, looked: Looked, selection: Selection) -> list[Row]:
        films, steps = looked.seen, tuple(all_steps(looked.seen))
        remarks = [Row("", f"{title_of(method)}: {why}") for method, why in looked.absent.items()]
        if not films:
            return [*remarks, Row("", "Training records one: python -m qsneg train.")]
        shown = f"layer {'/'.join(str(layer) for layer in sorted({f.layer(selection) for f in films.values()}))}"
        source, (translations, entropies, anchors) = self.source(films, selection), self.frames(looked, selection)
        said = "One of four pictures that training looked at from time to time."
        lead = Panel("source", "source", source, GRID, words=said, label="The source", grey=False)
        low = Panel("", words="Low entropy: the position stands out. High: it resembles much else.")
        ask = Panel("", words="Do they gather where the picture has to change, or along outlines?")
        scale = "One scale for all methods and steps; by rank, each frame by its own order."
        rank = "The 256 positions of lowest entropy; brighter dots rank higher."
        return [
            *remarks,
            Row("Translation", "As recorded, 192 × 192 pixels.", (lead, *translations), steps),
            Row(f"Entropy, {shown}", scale, (low, *entropies), steps),
            Row(f"Anchors, {shown}", rank, (ask, *anchors), steps),
            *([self.staying(looked, shown)] if len(steps) > 1 else []),
        ]

    def staying(self, looked: Looked, shown: str) -> Row:
        """How many anchors are the same in the next frame, over the steps of all methods."""
        (_, first), last = all_steps(looked.seen)[:2], all_steps(looked.seen)[-1]
        ticks, chance = ticks_between(first, last), max(film.by_chance for film in looked.seen.values())
        read = "High: what is asked has settled. Low: training still looks elsewhere. Later frames lie further apart."
        panels = [Panel("", words=read)]
        for method, (_, anchors, stay) in looked.found.items():
            count, steps = anchors.shape[1], looked.seen[method].steps[1:]
            points = [(place_of(step, first, last), s / count) for step, s in zip(steps, stay)]
            plot = plots.course(points, chance, ticks, colour_of(method), "step of the later frame, log")
            panels.append(Panel(method, "anchors-that-stay", plot=plot, words=stay_words(looked.seen[method], stay)))
        note = "How many anchors of a frame are anchors in the next one, too. Dashed: as many as of two random draws, "
        return Row(f"Anchors that stay, {shown}", f"{note}{percent(chance)}.", tuple(panels))

    def source(self, films: dict[str, Recorded], selection: Selection) -> Picture:
        return strip_of("film-source", next(iter(films.values())).source, selection.picture)

    def frames(self, looked: Looked, selection: Selection) -> tuple[list[Panel], list[Panel], list[Panel]]:
        """Translations, entropies and anchors of all methods and steps."""
        films, steps, picture = looked.seen, all_steps(looked.seen), selection.picture
        logs = {(m, n): log for m, (entropies, *_) in looked.found.items() for n, log in enumerate(entropies)}
        maps, source = by_log(logs, selection.film_scale, "entropy, nats"), self.source(films, selection)
        translations, entropies, anchors = [], [], []
        for method, film in films.items():
            _, at, stays = looked.found[method]
            label, ranks = f"{title_of(method)}: {{}} of picture {picture + 1}", rank_bar(at.shape[1])
            for n, first, last in spans(film, steps):
                step, common = f"{film.steps[n]:07d}", dict(grid=film.grid, span=(first, last))
                below = strip_of(f"film-{method}-{n}", film.strips[n], picture)
                look = dict(label=label.format("translation"), grey=False, words=recorded_at(films, film, n))
                translations.append(Panel(method, f"translation-{step}", below, **look, **common))
                look = dict(label=label.format("entropy"), map=maps[method, n])
                entropies.append(Panel(method, f"entropy-{step}", source, **look, **common))
                share, area = percent(summary.SHARE), percent(summary.concentration(at[n], film.grid.shape)[1])
                said = f"Step {film.steps[n]:,}: {share} of the anchors fit on {area} of the picture."
                said += f" {kept_since(film, n, stays)}" if n else ""
                look = dict(label=label.format("anchors"), marks=(Dots(at[n]),), bar=ranks, words=said)
                anchors.append(Panel(method, f"anchors-{step}", source, **look, **common))
        return translations, entropies, anchors

    def facts(self, looked: Looked, selection: Selection) -> dict:
        out = {}
        for method, film in looked.seen.items():
            count, stay = film.anchors.shape[-2], looked.found[method][2].tolist()
            found = {str(step): {"count": n, "share": round(n / count, 4)} for step, n in zip(film.steps[1:], stay)}
            out[method] = {"steps": film.steps, "layers": film.layers, "picture": selection.picture + 1}
            out[method] |= {"layer": film.layer(selection), "anchors": count, "anchors_that_stay": found}
            out[method] |= {"share_by_chance": round(film.by_chance, 4)}
        return out

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        """Those of all pictures and layers."""
        out = {}
        for method, film in looked.seen.items():
            out[method] = {"steps": np.array(film.steps), "layers": np.array(film.layers)}
            out[method] |= {
                "log_entropy": film.log_entropy.astype(np.float16),
                "anchors": film.anchors.astype(np.int16),
                "anchors_that_stay": film.stay.astype(np.int16),
            }
        return out

    def film(self, looked: Looked, selection: Selection, family: str) -> tuple[Iterator[Image.Image], int]:
        return recorded_frames(looked.seen, family, selection), len(all_steps(looked.seen))


def kept_since(film: Recorded, frame: int, stay: np.ndarray) -> str:
    """How many anchors of a frame, not the first, were there in the one before."""
    count, since = int(stay[frame - 1]), film.steps[frame - 1]
    of = film.anchors.shape[-2]
    return f"{count} of {of} were there at step {since:,} ({percent(count / of)}; by chance {percent(film.by_chance)})."


def stay_words(film: Recorded, stay: np.ndarray) -> str:
    """Between which frames fewest anchors stay, and how many do at the end."""
    if not len(stay):
        return "One frame alone."
    of, least = film.anchors.shape[-2], int(stay.argmin())
    last, fewest = (f"{int(n)} of {of} ({percent(n / of)})" for n in (stay[-1], stay[least]))
    steps = "step {:,} to {:,}"
    return (
        f"<b>{last}</b> stay from {steps.format(*film.steps[-2:])}; fewest, {fewest}, from "
        f"{steps.format(*film.steps[least : least + 2])}."
    )


def place_of(step: int, first: int, last: int) -> float:
    """Where a step stands on a logarithmic axis, 0…1."""
    return float(np.log(step / first) / np.log(last / first)) if last > first else 0.5


def ticks_between(first: int, last: int) -> list[tuple[float, str]]:
    """Both ends of a logarithmic axis, and the powers of ten that have room between them."""
    powers = [10**n for n in range(1, 9) if first < 10**n < last]
    there = {step: place_of(step, first, last) for step in dict.fromkeys((first, *powers, last))}
    ends = (there[first], there[last])
    return [(p, f"{s:,}") for s, p in there.items() if s in (first, last) or min(abs(p - e) for e in ends) > 0.2]
