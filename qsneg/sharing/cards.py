"""The model card of a family, with curves and sheets of pictures; that of a model on the Hub is `hub_card`'s.

from qsneg.sharing.cards import sheet
sheet(Path("checkpoints/day2sunset"), ["cut"]).show()
"""

import json
import textwrap
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from qsneg.config import DRAWN, METHODS, ModelConfig
from qsneg.image_io import to_tensor
from qsneg.metrics.structure import edge_agreement
from qsneg.rendering.colormaps import colour_of, look_of, title_of
from qsneg.rendering.markdown import table
from qsneg.rendering.sample_pictures import showable
from qsneg.rendering.sheets import INK, grid
from qsneg.training.commands import command, stages
from qsneg.training.resuming import in_order
from qsneg.translate import Translator, load

WORST, WORST_OF = 3, 24  # cases shown, of so many pictures
FIGURES = (
    "Figures are relative to the untranslated pictures (1 = nothing done): `background` and `luminance` are the errors "
    "against the true counterparts of drawn scenes, `swd` the sliced Wasserstein distance to the target domain's "
    "pictures; `edges` and `self_similarity` are correlations with the source (1 = all of its structure kept). "
    "`kid_lite0` is not relative: KID, EfficientNet-Lite0 features, × 1000."
)


def curves(target: Path, methods: list[str]) -> Figure:
    """A figure: losses, and the figures on validation pictures (in older runs: on test pictures), against steps."""
    rows = {m: [json.loads(l) for l in (target / f"{m}.metrics.jsonl").read_text().splitlines()] for m in methods}
    keys = [prefix + key for prefix in ("", "val_") for key in ("background", "luminance", "kid_lite0", "swd")]
    figures = [k for k in keys if all(any(k in line for line in lines) for lines in rows.values())]
    panels = [
        ("NCE", "contrastive loss (nats)"),
        ("G_GAN", "generator's GAN loss"),
        *((k, k + ", × 1000" if "kid" in k else k + ", relative to the input") for k in figures),
    ]
    figure = Figure(figsize=(3.6 * len(panels), 3), layout="constrained")
    axes = figure.subplots(1, len(panels))
    for axis, (key, title) in zip(axes, panels):
        for method, lines in rows.items():
            points = [(r["step"], r[key]) for r in lines if key in r]
            steps, values = np.array(points).T
            if key not in figures:  # many noisy points: a running mean
                width = max(1, len(values) // 40)
                values = np.convolve(values, np.ones(width) / width, "valid")
                steps = steps[len(steps) - len(values) :]
            sparse = dict(ms=4, markevery=max(1, len(steps) // 6))
            axis.plot(steps, values, label=title_of(method), lw=1.4, **look_of(method), **sparse)
        axis.set(title=title, xlabel="step")
        axis.title.set_size(9)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=0)
        axis.locator_params(axis="x", nbins=5)
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def machines(card: dict) -> str:
    """On what it was trained; where a stage went on elsewhere, in their order."""
    return in_order([stage["machine"] for stage in card.get("stages", []) if stage.get("machine")] + [card["machine"]])


def family_card(target: Path, found: dict[str, tuple[ModelConfig, dict]]) -> str:
    """The model card in Markdown, from the metadata of the files."""
    cards = [card for _, card in found.values()]
    about = target / "DATA.md"
    data = about.read_text().strip() if about.is_file() else f"Data: `{cards[0]['data']}`."
    figures = sorted({k for card in cards for k in card.get("last", {}) if k != "step" and not k.endswith("_error")})
    head = ["method", "steps", "seed", "minutes", "machine", *(f"{k} last / best" for k in figures)]
    rows = []
    for config, card in found.values():
        row = [config.traits.title, card["steps"], card["seed"], card["minutes"], machines(card)]
        for key in figures:
            last, best = card.get("last", {}), card.get("best", {})
            row.append(
                f"{figure(last, key)} / {figure(best, key)}" + (f" (step {best['step']})" if key in best else "")
            )
        rows.append(row)
    commands = "\n".join(command(config, card, target.name) for config, card in found.values())
    first = next(iter(found.values()))
    sides = [str(stage["train_config"]["crop"]) for stage in stages(first[1])]
    crops = "-, then ".join(side for side, _ in groupby(sides))
    shipped = (
        f"All are generators of width {first[0].width} with {first[0].blocks} blocks, trained on {crops}-pixel crops; "
    )
    shipped += f"what is shipped is the exponential moving average of {averaged(cards)}, in float16."
    return f"""# {target.name}

{data}

## Models

{table(head, rows)}

{textwrap.fill(f"{FIGURES} {measured(cards)}", 120)}

{textwrap.fill(shipped, 120)}

## Pictures

![Translations of pictures that may be shown](sheet.webp)

The worst cases of each model among {WORST_OF} such pictures, by how little of the source's edges they keep (the
number):

![The pictures of which each model keeps least](worst.webp)

## Training

```
{commands}
python -m qsneg publish {" ".join(f"runs/{target.name}-{m}" for m in found)} --family {target.name}
```

torch {first[1]["torch"]}. The same command with the same seed repeats a run bit for bit on one machine and one version
of the code; elsewhere, and with later versions, weights differ in rounding.

![Losses and figures during training](curves.png)
"""


def figure(figures: dict, key: str) -> str:
    """A figure with its spread, or a dash."""
    if key + "_error" in figures:
        return f"{figures[key]:.1f} ± {figures[key + '_error']:.1f}"
    return f"{figures[key]}" if key in figures else "–"


def averaged(cards: list[dict]) -> str:
    """Which networks are averages; cards of older versions, which averaged the generator alone, do not say."""
    if all("averaged" in card for card in cards):
        return "every network"
    return "the generator (heads and negative generator are as trained beside it)"


def measured(cards: list[dict]) -> str:
    """On which pictures the figures were measured, as far as the cards of a family agree on it."""
    if len(said := {card["validation"] for card in cards if "validation" in card}) == 1:
        return (
            f'`val_` figures are those of validation pictures ({said.pop()}), on which nothing was trained. "Last" is '
            'the shipped model, "best" the step at which the first of them was least.'
        )
    said = {card.get("measured", "") for card in cards}
    how = f", as people see it, {said.pop()}" if len(said) == 1 and "" not in said else ""
    return (
        f'"Last" is the shipped model, measured on all test pictures{how}; "best" the least `background` or `swd` '
        "measured, on the way on the first 64 test pictures."
    )


def models(target: Path, methods: list[str]) -> dict[str, Translator]:
    return {m: load(target / f"{m}.safetensors") for m in methods}


def sheet(target: Path, methods: list[str], size: int = 256) -> Image.Image:
    """Rows of pictures that may be shown; columns: source, each method, and for drawn scenes the counterpart."""
    found = models(target, methods)
    drawn = target.name == DRAWN
    heads = ["source", *methods] + (["counterpart"] if drawn else [])
    rows = []
    for source, counterpart in showable(target.name, 6 if drawn else 7, size):
        cells = [source, *(model.translate(source) for model in found.values())] + ([counterpart] if drawn else [])
        rows.append([(cell, "") for cell in cells])
    return grid([(METHODS[h].title if h in METHODS else h, colour_of(h)) for h in heads], rows)


def worst(target: Path, methods: list[str], size: int = 256, count: int = WORST_OF, keep: int = WORST) -> Image.Image:
    """For each method two columns, source and translation: the pictures with the least edge agreement, worst first."""
    columns = []
    sources = [source for source, _ in showable(target.name, count, size)]
    for model in models(target, methods).values():
        results = [model.translate(source) for source in sources]
        agreement = edge_agreement(*(torch.cat([to_tensor(p) for p in pictures]) for pictures in (sources, results)))
        order = agreement.argsort()[:keep].tolist()
        columns += [[(sources[i], "") for i in order], [(results[i], f"{agreement[i]:.2f}") for i in order]]
    heads = [head for m in methods for head in (("source", INK), (title_of(m), colour_of(m)))]
    return grid(heads, [list(row) for row in zip(*columns)])
