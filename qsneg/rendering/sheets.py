"""The pictures on a family's model card: translations of what may be shown, and the worst of them.

    python -c "from pathlib import Path; from qsneg.rendering.sheets import sheet; sheet(Path('checkpoints/day2sunset'), ['cut']).show()"

What may be shown are the photographs that gradio's package ships, and drawn scenes.
"""

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from qsneg.config import DRAWN, TITLES
from qsneg.image_io import square, to_tensor
from qsneg.metrics.structure import edge_agreement
from qsneg.rendering import sample_pictures
from qsneg.ui import compare

CELL, GAP, MARGIN, INK = 192, 8, 28, "#333333"
WORST, WORST_OF = 3, 24  # cases shown, of so many pictures


def showable(family: str, count: int, size: int) -> list[tuple[Image.Image, Image.Image | None]]:
    """Pictures of size × size pixels, with their counterparts where they are known: photographs first, unless the family is drawn."""
    found = []
    if family != DRAWN:
        found += [(square(e.picture(), size, above=0.25), None) for e in sample_pictures.examples() if e.path]
    for index in range(count - len(found)):
        seed = sample_pictures.test_seed(index)
        found.append((sample_pictures.scene(seed, size, "A"), sample_pictures.scene(seed, size, "B") if family == DRAWN else None))
    return found


def load(target: Path, methods: list[str]) -> dict:
    from qsneg.translate import load

    return {m: load(target / f"{m}.safetensors") for m in methods}


def sheet(target: Path, methods: list[str], size: int = 256) -> Image.Image:
    """Rows of pictures that may be shown; columns: source, each method, and for drawn scenes the counterpart."""
    models = load(target, methods)
    drawn = target.name == DRAWN
    heads = ["source", *methods] + (["counterpart"] if drawn else [])
    rows = []
    for source, counterpart in showable(target.name, 6 if drawn else 7, size):
        cells = [source, *(model.translate(source) for model in models.values())] + ([counterpart] if drawn else [])
        rows.append([(cell, "") for cell in cells])
    return grid([(TITLES.get(h, h), compare.COLOURS[h]) for h in heads], rows)


def worst(target: Path, methods: list[str], size: int = 256, count: int = WORST_OF, keep: int = WORST) -> Image.Image:
    """For each method a pair of columns, source and translation: the pictures with the least edge agreement, worst first."""
    columns = []
    sources = [source for source, _ in showable(target.name, count, size)]
    for model in load(target, methods).values():
        results = [model.translate(source) for source in sources]
        agreement = edge_agreement(*(torch.cat([to_tensor(p) for p in pictures]) for pictures in (sources, results)))
        order = agreement.argsort()[:keep].tolist()
        columns += [[(sources[i], "") for i in order], [(results[i], f"{agreement[i]:.2f}") for i in order]]
    heads = [head for m in methods for head in (("source", INK), (TITLES[m], compare.COLOURS[m]))]
    return grid(heads, [list(row) for row in zip(*columns)])


def grid(heads: list[tuple[str, str]], rows: list[list[tuple[Image.Image, str]]]) -> Image.Image:
    """Pictures in rows under headings (text, colour), each with a word on its lower edge, if any."""
    step = CELL + GAP
    picture = Image.new("RGB", (len(heads) * step + GAP, len(rows) * step + GAP + MARGIN), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for x, (head, colour) in enumerate(heads):
        pen.text((GAP + x * step, GAP), head, colour, font)
    for y, row in enumerate(rows):
        for x, (cell, word) in enumerate(row):
            left, top = GAP + x * step, MARGIN + GAP + y * step
            picture.paste(cell.resize((CELL, CELL), Image.Resampling.LANCZOS), (left, top))
            if word:
                pen.rectangle((left, top + CELL - 22, left + 40, top + CELL), "white")
                pen.text((left + 4, top + CELL - 20), word, INK, font)
    return picture
