"""HTML fragments and words of the app: pure functions from values to text."""

import base64
import html
import io
import re
from pathlib import Path

from PIL import Image

from qsneg import image_io
from qsneg.config import METHODS, main_methods
from qsneg.device import describe
from qsneg.evaluation.findings import findings
from qsneg.rendering.colormaps import colour_of, title_of
from qsneg.rendering.sample_pictures import Example
from qsneg.ui import compare
from qsneg.ui.compare import Comparison, Models
from qsneg.ui.texts import FAMILIES

SHARED = (
    "All three share one network and one loss. They differ in what the loss compares: places drawn at random (CUT), "
    "places that attention singles out (QS-Attn), or generated rivals (NEGCUT)."
)
READ = f"{SHARED} Look first at what keeps its shape, then at what changes its colour."
OWN = (
    "A weights file of qsneg's (.safetensors), or a generator as CUT, FastCUT, QS-Attn, NEGCUT and CycleGAN publish it "
    "(.pth). It becomes one more method, for you alone, and is forgotten when you leave."
)


def header(device: str) -> str:
    return (
        '<header class="top"><h1>qsneg</h1><p>Three contrastive image translators on one picture, side by side.</p>'
        f'<span class="device" title="Where the models run">{html.escape(device)}</span></header>'
    )


def thumbnails(examples: list[Example]) -> str:
    """The examples as buttons with small pictures, in groups: photographs, drawn scenes."""
    groups: dict[str, str] = {}
    for number, example in enumerate(examples):
        title = html.escape(f"Example: {example.name.lower()}")
        image = f'<img src="{data_uri(example.thumbnail())}" alt="{title}">'
        button = f'<button type="button" data-index="{number}" title="{title}">{image}</button>'
        name = "Photographs" if example.index is None else "Drawn scenes"
        groups[name] = groups.get(name, "") + button
    return "".join(f'<div><h4>{name}</h4><div class="thumbs">{buttons}</div></div>' for name, buttons in groups.items())


def message(sentence: str) -> str:
    """What is wrong and what to do, for the place next to a control."""
    return f'<p class="refused" role="alert">{html.escape(sentence)}</p>'


def opened(title: str, translator) -> str:
    """What kind of model a visitor has opened, and what it lacks."""
    c, lacks = translator.config, translator.weights.lacks(negatives=True)
    bare = "a generator of the kind of " if translator.weights.heads is None and translator.title == "CUT" else ""
    kind = f"{bare}{translator.title}, width {c.width}, {c.blocks} blocks, {c.resampling} resampling"
    text = f"<b>{html.escape(title)}</b> is open: {kind}. {lacks} It is ticked among the methods: press Translate."
    return f'<p class="note" role="status">{" ".join(text.split())}</p>'


def status(sentence: str) -> str:
    return f'<p class="status" role="status">{html.escape(sentence)}</p>'


def swatch(key: str) -> str:
    """The colour of a method; that of the counterpart is light in dark mode (static/app.css)."""
    return f'<i class="swatch {key}" style="--key: {colour_of(key)}"></i>'


def card_head(key: str, seconds: float | None) -> str:
    """The line over a picture: colour, name and the time taken."""
    title = "Time of the translation, without loading"
    time = f'<span class="time" title="{title}">{seconds:.2f} s</span>' if seconds else ""
    return f'<div class="head">{swatch(key)}<h3>{title_of(key)}</h3>{time}</div>'


def wipe_ends(key: str) -> str:
    """What lies left and right of the wipe's handle."""
    return f'<div class="ends"><span>{swatch("source")}Source</span><span>{title_of(key)}{swatch(key)}</span></div>'


def summary(comparison: Comparison) -> str:
    """One line on how a comparison was made."""
    count, (width, height) = len(comparison.results), comparison.source.size
    methods = f"{count} method{'s' if count != 1 else ''}"
    own = [result.method for result in comparison.results] == [compare.OWN]
    title = title_of(compare.OWN) if own else family_title(comparison.family)
    line = (
        f"<b>{html.escape(title)}</b>, {width} × {height} pixels: {methods} in "
        f"{comparison.seconds:.2f} s on {html.escape(comparison.device)}."
    )
    return f'<p class="summary">{line}</p>'


def family_title(family: str) -> str:
    return FAMILIES.get(family, (family, ""))[0]


def family_note(models: Models, family: str | None) -> str:
    """What a family was trained on, and which of the three methods are missing with the reason."""
    note = html.escape(FAMILIES.get(family, ("", ""))[1])
    present = models.families().get(family, [])
    missing = [title_of(m) for m in main_methods() if present and m not in present]
    if missing:
        folder = html.escape(f"{models.folder.name}/{family}")
        note += f" {' and '.join(missing)}: no weights in <code>{folder}</code>."
    return f'<p class="note">{note}</p>'


def about(models: Models) -> str:
    """The About page, Markdown with some HTML: methods and papers, model cards, settings."""
    text = ["## The methods\n", SHARED + "\n"]
    for name in main_methods():
        method, paper = METHODS[name], METHODS[name].paper
        text.append(f"### {swatch(name)}{method.title}\n\n{method.idea}\n")
        text.append(f"*{paper.title}*. {paper.authors}. [{paper.url[8:]}]({paper.url})\n")
    text.append("## Model cards\n")
    for family, methods in models.families().items():
        text.append(f"### {html.escape(family_title(family))}\n\n{FAMILIES.get(family, ('', ''))[1]}\n")
        readme, table = models.folder / family / "README.md", card_table(models, family, methods)
        if readme.is_file():
            text.append(demoted(readme) + "\n")
            table = table and f"<details><summary>What the files say of themselves</summary>{table}</details>\n"
        text.append(table)
    text.append(findings(models.folder))
    if not models.families():
        text.append(f"There are no weights in the folder `{models.folder.name}`.\n")
    text.append(
        "## Settings\n\n"
        f"- Device: {describe(models.device)}.\n- Checkpoint folder: `{models.folder.name}`.\n"
        "- Working size: the short side in pixels; the long side follows.\n"
        "- Time: the translation alone, once the model is loaded. The same request is computed only once.\n"
    )
    return "\n".join(text)


def demoted(path: Path) -> str:
    """A Markdown file as part of a page: without front matter and title, headings two levels lower, pictures inside."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        text = text.split("\n---\n", 1)[1]
    lines, code = [], False
    for line in text.strip().splitlines():
        code ^= line.startswith("```")
        if line.startswith("# ") and not code and not lines:
            continue
        lines.append("##" + line if line.startswith("#") and not code else line)
    return re.sub(r"!\[(.*?)\]\((.*?)\)", lambda m: embedded(path.parent / m[2], m[1]), "\n".join(lines).strip())


def embedded(path: Path, alt: str) -> str:
    """A picture file as an <img> that carries it, at most 1200 pixels wide; nothing if it cannot be read."""
    try:
        image = image_io.read(path)
    except (ValueError, OSError):
        return ""
    image.thumbnail((1200, 4096))
    return f'<img src="{data_uri(image)}" alt="{html.escape(alt)}">'


def data_uri(image: Image.Image) -> str:
    image.save(data := io.BytesIO(), "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


def card_table(models: Models, family: str, methods: list[str]) -> str:
    """The cards in the files' metadata as one table, a column per method, without the training configuration."""
    cards = {method: flat(models.card(family, method)) for method in methods}
    rows = list(dict.fromkeys(key for card in cards.values() for key in card))
    head = "<tr><th></th>" + "".join(f"<th>{title_of(method)}</th>" for method in methods) + "</tr>"
    body = ""
    for key in rows:
        values = "".join(f"<td>{cell(cards[method].get(key, ''))}</td>" for method in methods)
        body += f"<tr><td>{html.escape(key)}</td>{values}</tr>"
    return f"<table>{head}{body}</table>\n" if rows else ""


def flat(card: dict) -> dict[str, object]:
    """{"last": {"swd": 0.7}} as {"last, swd": 0.7}; the training configurations are left out."""
    out = {}
    for key, value in card.items():
        if key not in ("train_config", "stages"):
            inner = {f"{key}, {k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
            out |= {name.replace("_", " "): v for name, v in inner.items()}
    return out


def cell(value: object) -> str:
    """A value in a table's cell."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return html.escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))
