"""The About page, Markdown with some HTML: contents, methods and papers, findings, model cards, settings."""

import html
import io
import re
from pathlib import Path
from urllib.parse import quote

from qsneg import image_io
from qsneg.config import ENCO, METHODS, Paper, main_methods
from qsneg.device import describe
from qsneg.evaluation.findings import CLAIMS, findings
from qsneg.rendering.colormaps import title_of
from qsneg.ui.components import kept
from qsneg.ui.models import Models
from qsneg.ui.texts import FAMILIES, SHARED, family_title, swatch

MAKERS = "How they were made", "Training"  # sections of a family's README for whoever trains, not for visitors


def about(models: Models) -> str:
    """The About page, Markdown with some HTML: contents, then methods and papers, findings, model cards, settings."""
    found = findings(models.folder).removeprefix(f"## {CLAIMS}\n")
    parts = {
        "methods": ("The methods", methods_and_papers()),
        "findings": (CLAIMS, found),
        "models": ("Model cards", cards(models)),
        "settings": ("Settings", SETTINGS.format(describe(models.device), models.folder.name)),
    }
    parts = {name: part for name, part in parts.items() if part[1]}
    contents = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, (title, _) in parts.items())
    text = [f'<nav aria-label="Contents of this page"><ul>{contents}</ul></nav>\n']
    text += [f'<h2 id="{name}">{title}</h2>\n\n{part}\n' for name, (title, part) in parts.items()]
    return "\n".join(text)


SETTINGS = (
    "- Device: {}.\n- Checkpoint folder: `{}`.\n- Working size: the short side in pixels; the long side follows.\n"
    "- Time: the translation alone, once the model is loaded. The same request is computed only once.\n"
)
DOUBT = (
    "Of this method only its way of choosing places is here, on the page Anchors: half of them are those where the "
    "discriminator finds the translation least real. Any of the methods above can be trained with it."
)


def methods_and_papers() -> str:
    text = [SHARED + "\n"]
    for name in main_methods():
        method = METHODS[name]
        text.append(told(swatch(name) + method.title, method.idea, method.paper))
    return "\n".join([*text, told(ENCO.name, DOUBT, ENCO)])


def told(title: str, idea: str, paper: Paper) -> str:
    return f"### {title}\n\n{idea}\n\n*{paper.title}*. {paper.authors}. [{paper.url[8:]}]({paper.url})\n"


def cards(models: Models) -> str:
    """What each family's README says to visitors, and the cards in its files."""
    text = []
    for family, methods in models.families().items():
        text.append(f"### {html.escape(family_title(family))}\n\n{FAMILIES.get(family, ('', ''))[1]}\n")
        readme, table = models.folder / family / "README.md", card_table(models, family, methods)
        if readme.is_file():
            text.append(demoted(readme) + "\n")
            table = table and f"<details><summary>What the files say of themselves</summary>{table}</details>\n"
            text.append(
                f"How they were trained: `{html.escape(models.folder.name)}/{html.escape(family)}/README.md`.\n"
            )
        text.append(table)
    return "\n".join(text) or f"There are no weights in the folder `{models.folder.name}`.\n"


def demoted(path: Path) -> str:
    """A Markdown file as part of a page: without front matter, title and what is for makers alone, headings two levels
    lower, pictures from the app."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        text = text.split("\n---\n", 1)[1]
    lines, code, is_wanted = [], False, True
    for line in text.strip().splitlines():
        code ^= line.startswith("```")
        if line.startswith("# ") and not code and not lines:
            continue
        if line.startswith("## ") and not code:
            is_wanted = line[3:] not in MAKERS
        if is_wanted:
            lines.append("##" + line if line.startswith("#") and not code else line)
    return re.sub(r"!\[(.*?)\]\((.*?)\)", lambda m: picture(path.parent / m[2], m[1]), "\n".join(lines).strip())


def picture(path: Path, alt: str) -> str:
    """A picture file as an <img> of known size, at most 1200 pixels wide, that is fetched once it is seen; nothing if
    it cannot be read."""
    try:
        image = image_io.read(path)
    except (ValueError, OSError):
        return ""
    image.thumbnail((1200, 4096))
    image.save(data := io.BytesIO(), "WEBP", quality=85)
    address = "gradio_api/file=" + quote(kept(data.getvalue(), f"{path.stem}.webp"))
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img src="{address}" {size} loading="lazy" alt="{html.escape(alt)}">'


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
