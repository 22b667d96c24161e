"""The Film page: what training recorded, all methods at once, a slider over the steps.

    films = load(Path("checkpoints/day2sunset"), ["cut", "negcut"])    # <method>.film beside the weights
    page = html(films, FilmChoice(picture=0, layer=16), ["cut", "negcut"], "day2sunset")

The page holds every frame; moving between them is the browser's work. The arrays are described in `film`.
"""

import base64
import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg.inspect import Grid, summary
from qsneg.rendering import colormaps, overlays
from qsneg.rendering.colormaps import Scaled, by_log, title_of
from qsneg.training.film import SIZE, cut, log_entropy
from qsneg.ui import figures
from qsneg.ui.compare import OWN

NAME, TITLE = "film", "Film"
PICTURES = 4


@dataclass(frozen=True)
class Recorded:
    """One film: S frames of P pictures, L layers, a grid of H×W."""

    steps: list[int]
    layers: list[int]
    log_entropy: np.ndarray  # S×P×L×H×W, nats
    anchors: np.ndarray  # S×P×L×N×2, row and column
    strips: list[bytes]  # the translations of each frame, WebP of P pictures side by side
    source: bytes


@dataclass(frozen=True)
class FilmChoice:
    """What the controls of the page say."""

    picture: int = 0
    layer: int = 16
    scale: str = "by rank"


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
        a = {name: file[name] for name in file.files}
    logs = log_entropy(a)
    anchors = np.stack(np.unravel_index(a["anchors"].astype(np.int64), tuple(a["grid"])), axis=-1)
    steps = a["steps"].tolist()
    strips = [(path / f"{step:07d}.webp").read_bytes() for step in steps]
    return Recorded(steps, a["layers"].tolist(), logs, anchors, strips, (path / "source.webp").read_bytes())


def all_steps(films: dict[str, Recorded]) -> list[int]:
    """The steps of all films together, in order."""
    return sorted({step for film in films.values() for step in film.steps})


def spans(film: Recorded, steps: list[int]) -> list[tuple[int, int, int]]:
    """(frame, first, last): a film's frames, and the indices in `steps` between which each is its latest."""
    starts = [steps.index(step) for step in film.steps]
    stops = [start - 1 for start in starts[1:]] + [len(steps) - 1]
    return [(n, start, stop) for n, (start, stop) in enumerate(zip(starts, stops))]


def uri(webp: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(webp).decode()


def bases(films: dict[str, Recorded]) -> str:
    """The strips, as they were recorded, as custom properties: --film-source and --film-<method>-<frame>."""
    values = [
        f"--film-{method}-{n}: url({uri(strip)});"
        for method, film in films.items()
        for n, strip in enumerate(film.strips)
    ]
    values += [f"--film-source: url({uri(film.source)});" for film in list(films.values())[:1]]
    return f"<style>#pages {{ {' '.join(values)} }}</style>"


def grid_of(film: Recorded) -> Grid:
    shape = film.log_entropy.shape[-2:]
    return Grid(12, shape, (SIZE, SIZE), SIZE // shape[0], 0)


def crop(strip: bytes, picture: int) -> Image.Image:
    """One picture of a strip."""
    return cut(Image.open(io.BytesIO(strip)).convert("RGB"))[picture]


def scaled(films: dict[str, Recorded], choice: FilmChoice) -> dict[str, list[Scaled]]:
    """The entropy maps of one picture and layer as they are coloured: all methods and frames under one scale."""
    logs = {(m, n): film.log_entropy[n, choice.picture, film.layers.index(layer_of(film, choice))]
            for m, film in films.items() for n in range(len(film.steps))}  # fmt: skip
    maps = by_log(logs, choice.scale, "entropy, nats") if logs else {}
    return {m: [maps[m, n] for n in range(len(film.steps))] for m, film in films.items()}


def layer_of(film: Recorded, choice: FilmChoice) -> int:
    """The layer asked for, or the last that was recorded."""
    return choice.layer if choice.layer in film.layers else film.layers[-1]


def html(films: dict[str, Recorded], choice: FilmChoice, methods: list[str], family: str) -> str:
    """The page under its controls; `methods` are those chosen, with or without a film."""
    absent = {OWN: "Weights that were opened bring no film."} if OWN in methods else {}
    words = "".join(
        f'<p class="note">{title_of(m)}: no film beside its weights (<code>{family}/{m}.film</code>).</p>'
        for m in methods if m not in films and m not in absent
    )  # fmt: skip
    if not films:
        return f'{words}<p class="note">{absent.get(OWN, "")} Training records one: python -m qsneg train.</p>'
    steps, maps = all_steps(films), scaled(films, choice)
    last = len(steps) - 1
    lines: dict[str, list[str]] = {"translation": [], "entropy": [], "anchors": []}
    for method, film in films.items():
        grid, name = grid_of(film), title_of(method)
        layer = film.layers.index(layer_of(film, choice))
        parts: dict[str, list[str]] = {"translation": [], "entropy": [], "anchors": [], "bar": [], "words": []}
        for at, start, stop in spans(film, steps):
            span = f'data-from="{start}" data-to="{stop}"' + ("" if stop == last else " hidden")
            anchors, s = film.anchors[at, choice.picture, layer], maps[method][at]
            held, area = summary.concentration(anchors, grid.shape)
            parts["translation"].append(
                f'<div class="layer" {span}>{under(f"film-{method}-{at}", choice.picture)}</div>'
            )
            parts["entropy"].append(f'<div class="layer" {span}>{figures.heat(s.values, grid)}</div>')
            parts["anchors"].append(f'<div class="layer" {span}>{drawn(figures.dots(grid, anchors))}</div>')
            parts["bar"].append(f"<div {span}>{figures.scaled_bar(s)}</div>")
            said = f"{held:.0%} of the anchors lie on {area:.0%} of the picture.".replace("%", "\u202f%")
            parts["words"].append(f"<span {span}>Step {film.steps[at]:,}: {said}</span>")
        below = under("film-source", choice.picture, grey=True)
        for kind, base in (("translation", ""), ("entropy", below), ("anchors", below)):
            picture = frame(base + "".join(parts[kind]), f"{name}: {kind} of picture {choice.picture + 1}")
            after = "".join(parts["bar"]) if kind == "entropy" else ranks(anchors) if kind == "anchors" else ""
            lines[kind].append(
                figures.figure(method, picture + after, "".join(parts["words"]) if kind == "anchors" else "")
            )
    source = figures.figure(
        "source",
        frame(under("film-source", choice.picture), "The source"),
        "One of four pictures that training looked at from time to time.",
    )
    marks = "".join(f"<option value='{n}'></option>" for n in range(len(steps)))
    shown = f"layer {'/'.join(str(layer) for layer in sorted({layer_of(f, choice) for f in films.values()}))}"
    return words + (
        f'<div class="film" data-steps="{" ".join(map(str, steps))}"><div class="transport"><button type="button" '
        'class="play">Play'
        f'</button><input type="range" min="0" max="{last}" value="{last}" step="1" list="film-marks" '
        'aria-label="Frame of the film">'
        f'<datalist id="film-marks">{marks}</datalist><output>step {steps[-1]:,}</output></div>'
        + figures.row("Translation", "As recorded, 192 × 192 pixels.", lines["translation"], source, absent)
        + figures.row(
            f"Entropy, {shown}",
            "One scale for all methods and steps; by rank, each frame by its own order.",
            lines["entropy"],
            figures.legend("Low entropy: the position stands out. High: it resembles much else."),
            absent,
        )
        + figures.row(
            f"Anchors, {shown}",
            "The 256 positions of lowest entropy; brighter dots rank higher.",
            lines["anchors"],
            figures.legend("Do they gather where the picture has to change, or along outlines?"),
            absent,
        )
        + "</div>"
    )


def ranks(anchors: np.ndarray) -> str:
    n = len(anchors)
    return figures.bar((str(n), str(n // 2), "1"), "rank of the anchor (1: lowest entropy)", colormaps.RANKS)


def under(name: str, picture: int, grey: bool = False) -> str:
    """One picture of a strip, as a layer."""
    place = f"background-size:{PICTURES * 100}% 100%;background-position:{picture / (PICTURES - 1):.4%} 0"
    return f'<div class="under{" grey" if grey else ""}" style="background-image:var(--{name});{place}"></div>'


def drawn(marks: str) -> str:
    return f'<svg viewBox="0 0 {SIZE} {SIZE}" aria-hidden="true">{marks}</svg>'


def frame(body: str, label: str) -> str:
    return f'<div class="stack" role="img" aria-label="{label}" style="aspect-ratio:1">{body}</div>'


def files(films: dict[str, Recorded], choice: FilmChoice) -> dict:
    """Every frame of the chosen picture as files by name (see `bundle`), and the arrays of all pictures."""
    out: dict = {}
    maps = scaled(films, choice)
    for method, film in films.items():
        grid = grid_of(film)
        layer = film.layers.index(layer_of(film, choice))
        source = crop(film.source, choice.picture)
        out["source/source.png"] = source
        for n, step in enumerate(film.steps):
            out |= {
                f"{method}/translation-{step:07d}.png": crop(film.strips[n], choice.picture),
                f"{method}/entropy-{step:07d}.png": overlays.heat(source, maps[method][n].values, grid, (0, 1)),
                f"{method}/anchors-{step:07d}.png": overlays.dots(overlays.canvas(source, grey=True),
                                                                  film.anchors[n, choice.picture, layer], grid),
            }  # fmt: skip
        out[f"{method}/arrays.npz"] = {
            "steps": np.array(film.steps),
            "layers": np.array(film.layers),
            "log_entropy": film.log_entropy.astype(np.float16),
            "anchors": film.anchors.astype(np.int16),
        }
    summary = {m: {"steps": f.steps, "layers": f.layers, "picture": choice.picture + 1} for m, f in films.items()}
    return out | {"summary.json": summary}
