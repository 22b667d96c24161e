"""The Film page: what training recorded, all methods at once, a slider over the steps.

    films = load(Path("checkpoints/day2sunset"), ["cut", "negcut"])    # <method>.film beside the weights

Its rows hold every frame; moving between them is the browser's work. The arrays are described in `qsneg.training.film`.
"""

import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import qsneg.pages.controls as controls
from qsneg.config import CUT, NEGCUT, QS_ATTN
from qsneg.inspect import Grid, summary
from qsneg.pages.anchors import rank_bar
from qsneg.pages.page import Looked, Page, Words
from qsneg.pages.selection import Selection
from qsneg.rendering.colormaps import by_log, percent, title_of
from qsneg.rendering.rows import Dots, Panel, Picture, Row
from qsneg.training.film import SIZE, cut, log_entropy

PICTURES = 4
GRID = Grid(12, (48, 48), (SIZE, SIZE), 4, 0)  # of a picture that stands alone


@dataclass(frozen=True)
class Recorded:
    """One film: S frames of P pictures, L layers, a grid of H×W."""

    steps: list[int]
    layers: list[int]
    log_entropy: np.ndarray  # S×P×L×H×W, nats
    anchors: np.ndarray  # S×P×L×N×2, row and column
    strips: list[bytes]  # the translations of each frame, WebP of P pictures side by side
    source: bytes

    @property
    def grid(self) -> Grid:
        shape = self.log_entropy.shape[-2:]
        return Grid(12, shape, (SIZE, SIZE), SIZE // shape[0], 0)

    def layer(self, selection: Selection) -> int:
        """The layer asked for, or the last that was recorded."""
        return selection.film_layer if selection.film_layer in self.layers else self.layers[-1]


def load(folder: Path, methods: list[str]) -> dict[str, Recorded]:
    """The films that lie beside a family's weights and can be read."""
    films = {}
    for method in methods:
        path = Path(folder) / f"{method}.film"
        try:
            films[method] = _load(path, (path / "film.npz").stat().st_mtime_ns)
        except (OSError, ValueError, KeyError, IndexError):
            continue  # the page says that there is none
    return films


@functools.lru_cache(maxsize=16)
def _load(path: Path, changed: int) -> Recorded:
    with np.load(path / "film.npz") as file:
        return recorded(path, {name: file[name] for name in file.files})


def recorded(path: Path, arrays: dict[str, np.ndarray]) -> Recorded:
    """A film by its folder and what `qsneg.training.film.gathered` gives."""
    anchors = np.unravel_index(arrays["anchors"].astype(np.int64), tuple(arrays["grid"]))
    steps = arrays["steps"].tolist()
    strips = [(path / f"{step:07d}.webp").read_bytes() for step in steps]
    source = (path / "source.webp").read_bytes()
    layers = arrays["layers"].tolist()
    return Recorded(steps, layers, log_entropy(arrays), np.stack(anchors, axis=-1), strips, source)


class Film(Page):
    name, title = "film", "Film"
    words = Words(
        "What training recorded beside the weights: the translations of four fixed pictures, the entropies of their "
        "positions and their anchors, at about twenty steps. Play it, or move the slider, and see when the change "
        "comes and where the anchors go.",
        "steps of the frames: 0, then evenly spaced on a logarithmic scale",
        "A method whose training had no frame at a step shows its latest before it; nothing is interpolated.",
        (CUT, QS_ATTN, NEGCUT),
    )
    controls = (
        controls.Control("picture", "Picture", 0, "", tuple((str(n + 1), n) for n in range(PICTURES))),
        controls.Control("layer", "Layer", 16, controls.LAYER, controls.named((12, 16)), field="film_layer"),
        controls.scale(lambda selection: selection.film_scale, "film_scale"),
    )
    pictures_of = "films"

    def steps(self, views, subject) -> Iterator[dict]:
        """The films of a subject's methods; of those that have none, why."""
        folder = Path(views.models.folder) / subject.family
        films = load(folder, list(subject.methods))
        why = {m: f"no film beside its weights (<code>{subject.family}/{m}.film</code>)." for m in subject.methods}
        why |= {"own": "weights that were opened bring no film."}
        yield {m: films.get(m, why[m]) for m in subject.methods}

    def look(self, seen: dict[str, Recorded | str], selection: Selection) -> Looked:
        """Found are the log-entropies of one picture and layer, S×H×W, and its anchors, S×N×2."""
        films = {m: film for m, film in seen.items() if not isinstance(film, str)}
        found = {}
        for method, film in films.items():
            at = selection.picture, film.layers.index(film.layer(selection))
            found[method] = film.log_entropy[:, *at], film.anchors[:, *at]
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
        ]

    def source(self, films: dict[str, Recorded], selection: Selection) -> Picture:
        return strip_of("film-source", next(iter(films.values())).source, selection.picture)

    def frames(self, looked: Looked, selection: Selection) -> tuple[list[Panel], list[Panel], list[Panel]]:
        """Translations, entropies and anchors of all methods and steps."""
        films, steps, picture = looked.seen, all_steps(looked.seen), selection.picture
        logs = {(m, n): log for m, (entropies, _) in looked.found.items() for n, log in enumerate(entropies)}
        maps, source = by_log(logs, selection.film_scale, "entropy, nats"), self.source(films, selection)
        translations, entropies, anchors = [], [], []
        for method, film in films.items():
            at = looked.found[method][1]
            label, ranks = f"{title_of(method)}: {{}} of picture {picture + 1}", rank_bar(at.shape[1])
            for n, first, last in spans(film, steps):
                step, common = f"{film.steps[n]:07d}", dict(grid=film.grid, span=(first, last))
                below = strip_of(f"film-{method}-{n}", film.strips[n], picture)
                look = dict(label=label.format("translation"), grey=False)
                translations.append(Panel(method, f"translation-{step}", below, **look, **common))
                look = dict(label=label.format("entropy"), map=maps[method, n])
                entropies.append(Panel(method, f"entropy-{step}", source, **look, **common))
                share, area = percent(summary.SHARE), percent(summary.concentration(at[n], film.grid.shape)[1])
                said = f"Step {film.steps[n]:,}: {share} of the anchors fit on {area} of the picture."
                look = dict(label=label.format("anchors"), marks=(Dots(at[n]),), bar=ranks, words=said)
                anchors.append(Panel(method, f"anchors-{step}", source, **look, **common))
        return translations, entropies, anchors

    def facts(self, looked: Looked, selection: Selection) -> dict:
        films, picture = looked.seen, selection.picture + 1
        return {m: {"steps": f.steps, "layers": f.layers, "picture": picture} for m, f in films.items()}

    def arrays(self, looked: Looked, selection: Selection) -> dict[str, dict]:
        """Those of all pictures and layers."""
        out = {}
        for method, film in looked.seen.items():
            out[method] = {"steps": np.array(film.steps), "layers": np.array(film.layers)}
            out[method] |= {
                "log_entropy": film.log_entropy.astype(np.float16),
                "anchors": film.anchors.astype(np.int16),
            }
        return out


def all_steps(films: dict[str, Recorded]) -> list[int]:
    """The steps of all films together, in order."""
    return sorted({step for film in films.values() for step in film.steps})


def spans(film: Recorded, steps: list[int]) -> list[tuple[int, int, int]]:
    """(frame, first, last): a film's frames, and the indices in `steps` between which each is its latest."""
    starts = [steps.index(step) for step in film.steps]
    stops = [start - 1 for start in starts[1:]] + [len(steps) - 1]
    return [(n, start, stop) for n, (start, stop) in enumerate(zip(starts, stops))]


def strip_of(name: str, strip: bytes, picture: int) -> Picture:
    """One picture of a strip."""
    return Picture(name, lambda: cut(Image.open(io.BytesIO(strip)).convert("RGB"))[picture], (picture, PICTURES))
