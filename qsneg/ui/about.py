"""The About page, Markdown with some HTML: methods and papers, model cards, settings."""

import html
import re
from pathlib import Path

from qsneg import image_io
from qsneg.config import METHODS, main_methods
from qsneg.device import describe
from qsneg.evaluation.findings import findings
from qsneg.rendering.colormaps import title_of
from qsneg.ui.models import Models
from qsneg.ui.texts import FAMILIES, SHARED, data_uri, family_title, swatch


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
    return f'<img src="{data_uri(image, "WEBP", quality=85)}" alt="{html.escape(alt)}">'


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
