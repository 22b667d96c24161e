"""The model card of one file on the Hugging Face Hub: front matter that the Hub shows as scores, and what the file says
of itself in Markdown.

    from qsneg.sharing.hub_card import hub_card
    print(hub_card("somebody/day2sunset-cut", weights.load("day2sunset/cut"), "cc-by-4.0"))

huggingface_hub is imported when it is needed, as everywhere.
"""

import math
import re
from pathlib import Path

from qsneg.config import ModelConfig
from qsneg.evaluation.table import ARROWS, COLUMNS
from qsneg.rendering.markdown import table
from qsneg.training.commands import command
from qsneg.weights import Weights

FACTS = (
    "data",
    "steps",
    "seed",
    "crop",
    "resize",
    "batch",
    "processes",
    "channels",
    "minutes",
    "machine",
    "torch",
)  # of the card
STATED = re.compile(r"Licence of these weights:\W*([a-z0-9][a-z0-9.+-]*)")  # in a family's DATA.md
OTHER = "other"  # a licence that the Hub has no word for, which the card has to tell


def hub_card(repository: str, model: Weights, licence: str | None = None) -> str:
    """The model card in Markdown with the Hub's front matter: data, licence, figures, how to load it. What lies beside
    the weights as DATA.md, as in a family that was published, becomes its section on data.

    Args:
        repository: "user/name".
        model: what is uploaded.
        licence: of the weights as the Hub spells it; None: that of the file's card, or as DATA.md states it, or unsaid.

    Raises:
        ValueError: if the licence is not spelt as the Hub's identifiers are.
    """
    c, card, about = model.config, model.card, data_beside(model.path)
    stated = STATED.search(about)
    licence = licence or card.get("licence") or (stated[1] if stated else None)
    if licence and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", str(licence)):
        raise ValueError(
            f"'{licence}' is no licence as the Hub spells them: write it like mit, apache-2.0 or cc-by-4.0."
        )
    rows = [
        ("method", model.title),
        ("generator", f"width {c.width}, {c.blocks} blocks, {c.resampling} resampling"),
        *((name, card[name]) for name in FACTS if name in card),
    ]
    rows += [(f"imported {part.replace('_', ' ')}", name) for part, name in plain(card.get("imported")).items()]
    for when in ("last", "best"):
        values = plain(card.get(when))
        step = f" (step {values['step']})" if "step" in values else ""
        rows += [(f"{name}, {when}", f"{value}{step}") for name, value in values.items() if name != "step"]
    paper = f"\n\nPaper: [{c.traits.paper.name}]({c.traits.paper.url})."
    digits = "with the digits of the files that it was imported from" if "imported" in card else "saved in float16"
    lacks = f"\n\n{model.why_not()} It translates all the same." if model.lacks else ""
    return f"""---
{front_matter(repository, model, licence)}
---
# {repository.split("/")[-1]}

An unpaired image-to-image translator: one feed-forward generator, {digits}.{paper}{lacks}

{table(["", ""], rows)}{explained(card)}
{f"{chr(10)}## Data{chr(10)}{chr(10)}{about}{chr(10)}" if about else ""}
## Use

```python
import qsneg
from PIL import Image

model = qsneg.load("{repository}")
model.translate(Image.open("photo.jpg")).save("translated.png")
```

On the command line: `python -m qsneg translate photos --checkpoint {repository} --out translated`.
{training(c, card)}"""


def front_matter(repository: str, model: Weights, licence: str | None) -> str:
    """The card's metadata as YAML: what the Hub searches by, and the figures of the file as results."""
    from huggingface_hub import ModelCardData

    more = {}
    if licence == OTHER:  # of which the Hub wants to know more
        more = dict(license_name="see-data", license_link=f"https://huggingface.co/{repository}#data")
    found = results(model.card)
    data = ModelCardData(
        library_name="qsneg",
        pipeline_tag="image-to-image",
        license=licence,
        tags=["qsneg", "image-to-image", "unpaired", "gan", model.config.method],
        model_name=repository.split("/")[-1] if found else None,
        eval_results=found or None,
        **more,
    )
    return data.to_yaml()


def results(card: dict) -> list:
    """The figures of a file's last step as `EvalResult`s, each under a name that says what it is and what is better,
    and with the set that it was measured on."""
    from huggingface_hub import EvalResult

    found, data = plain(card.get("last")), str(card.get("data", "unknown"))
    made = []
    for key, value in found.items():
        name = key.removeprefix("val_")
        if name not in COLUMNS or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not math.isfinite(value):
            continue
        column, error = COLUMNS[name], found.get(f"{key}_error")
        about = f"{column.title}{ARROWS[column.better]} ({column.about})"
        place = dict(dataset_type=data, dataset_name=data, dataset_split="test" if name == key else "validation")
        made.append(
            EvalResult(
                task_type="image-to-image",
                metric_type=name,
                metric_value=value,
                metric_name=about,
                metric_args={"plus_minus": error} if error is not None else None,
                **place,
            )
        )
    return made


def explained(card: dict) -> str:
    """Under the figures: what they are, and on what they were measured; nothing where there are none."""
    names = [name.removeprefix("val_") for name in plain(card.get("last"))]
    known = [f"- `{n}`{ARROWS[COLUMNS[n].better]}: {COLUMNS[n].about}" for n in names if n in COLUMNS]
    if not known:
        return ""
    of = card.get("validation")
    where = f" Those with `val_` were measured on validation pictures: {of}." if isinstance(of, str) else ""
    lines = "\n".join(known)
    return f"\n\nFigures (↓: lower is better, ↑: higher), at the last step and at the best.{where}\n\n{lines}"


def data_beside(path: Path | None) -> str:
    """What is said of the data beside a weights file; "" if nothing is."""
    about = path and path.parent / "DATA.md"
    return about.read_text().strip() if about and about.is_file() else ""


def training(config: ModelConfig, card: dict) -> str:
    """The section on how to train it again; empty where the file does not say."""
    try:
        return f"\n## Training\n\n```\n{command(config, card)}\n```\n"
    except (KeyError, TypeError, AttributeError):  # a card by others: anything may be missing
        return ""


def plain(value: object) -> dict:
    return value if isinstance(value, dict) else {}
