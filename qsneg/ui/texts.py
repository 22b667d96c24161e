"""Words of the app and the small pieces of HTML around them: of families, papers, controls; pure functions from values to
text. What a page says of itself stands in its file in `qsneg.pages`."""

import base64
import html
import io

from PIL import Image

from qsneg.config import METHODS
from qsneg.pages.page import TERMS, Words
from qsneg.rendering.colormaps import colour_of, marker_of, title_of

FAMILIES = {
    "photo2ink": (
        "Photograph to ink",
        "Trained on photographs of horses and ink paintings; other subjects take to it too.",
    ),
    "day2sunset": ("Photograph to sunset", "Trained on photographs of skies: animals may turn orange."),
    "horse2zebra-drawn": ("Drawn horse to zebra", "Trained on drawn scenes: on photographs it gives nothing useful."),
}
OUTLINES = {  # of swatches, by the marker that a method has in plots
    "o": "circle()",
    "s": "inset(0.5px)",
    "^": "polygon(50% 2%, 100% 96%, 0 96%)",
    "v": "polygon(50% 98%, 100% 4%, 0 4%)",
    "D": "polygon(50% 0, 100% 50%, 50% 100%, 0 50%)",
    "X": "polygon(20% 0, 50% 30%, 80% 0, 100% 20%, 70% 50%, 100% 80%, 80% 100%, 50% 70%, 20% 100%, 0 80%, 30% 50%, 0 20%)",
}
SHARED = (
    "All three share one network and one loss. They differ in what the loss compares: places drawn at random (CUT), "
    "places that attention singles out (QS-Attn), or generated rivals (NEGCUT)."
)
READ = f"{SHARED} Look first at what keeps its shape, then at what changes its colour."
OWN_WORDS = (
    "A weights file of qsneg's (.safetensors), or a generator as CUT, FastCUT, QS-Attn, NEGCUT and CycleGAN publish it "
    "(.pth). It becomes one more method, for you alone, and is forgotten when you leave."
)


def header(device: str, tour: str) -> str:
    return (
        '<a class="skip" href="#pages">To the pages</a><p id="said" class="unseen" role="status" aria-live="polite"></p>'
        f'<header class="top"><h1>qsneg</h1>{tour}<p>Three contrastive image translators on one picture, side by side.</p>'
        f'<span class="device" title="Where the models run">{html.escape(device)}</span></header>'
    )


def message(sentence: str) -> str:
    """What is wrong and what to do, for the place next to a control."""
    return f'<p class="refused" role="alert">{html.escape(sentence)}</p>'


def status(sentence: str) -> str:
    return f'<p class="status" role="status">{html.escape(sentence)}</p>'


def swatch(key: str) -> str:
    """The colour and marker of a method; that of the counterpart is light in dark mode (static/app.css)."""
    shape = f"; clip-path: {OUTLINES[marker_of(key)]}" if key in METHODS else ""
    return f'<i class="swatch {key}" style="--key: {colour_of(key)}{shape}"></i>'


def card_head(key: str, seconds: float | None) -> str:
    """The line over a picture: colour, name and the time taken."""
    title = "Time of the translation, without loading"
    time = f'<span class="time" title="{title}">{seconds:.2f} s</span>' if seconds else ""
    return f'<div class="head">{swatch(key)}<h3>{title_of(key)}</h3>{time}</div>'


def family_title(family: str) -> str:
    return FAMILIES.get(family, (family, ""))[0]


def opening(words: Words) -> str:
    """A page's first lines; formula, terms and papers are one click away."""
    links = ""
    for paper in words.papers:
        link = f'<a href="{paper.url}" target="_blank" rel="noopener">{paper.name}: {paper.title}</a>'
        links += f"<li>{link}, {paper.authors}</li>"
    terms = "".join(f'<p class="note"><b>{term}:</b> {TERMS[term]}</p>' for term in words.terms)
    return (
        f'<p class="read">{words.read}</p><details class="formula"><summary>Formula, terms, papers</summary><p '
        f'class="math">{words.formula}</p><p class="note">{words.more}</p>{terms}<ul>{links}</ul></details>'
    )


def data_uri(image: Image.Image | bytes, kind: str = "PNG", **settings) -> str:
    """A picture in a data URI, without loss unless the settings say so; a WebP file as it is."""
    if isinstance(image, bytes):
        return "data:image/webp;base64," + base64.b64encode(image).decode()
    image.save(data := io.BytesIO(), kind, **{"compress_level": 4} if kind == "PNG" else settings)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(data.getvalue()).decode()
