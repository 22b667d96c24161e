"""From finished runs to a family of shipped models with its card.

    python -m qsneg publish runs/day2sunset-cut runs/day2sunset-qs-attn runs/day2sunset-negcut --family day2sunset
    python -m qsneg publish --family day2sunset      # the card again, after a change to DATA.md, of what lies there

Writes to checkpoints/<family>/, for each run: `<method>.safetensors`, `<method>.film/`, `<method>.metrics.jsonl`; and
for the family: `curves.png`, `sheet.webp` (translations of pictures that may be shown), `worst.webp` and `README.md`, the model
card. What is known of the data and its licence is read from `DATA.md` in that folder, if there is one.
"""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import matplotlib
import numpy as np

from qsneg import weights
from qsneg.config import METHODS, TITLES, ModelConfig, TrainConfig
from qsneg.rendering.sheets import WORST_OF, sheet, worst
from qsneg.training.film import gather
from qsneg.ui import compare

ALIKE = ("data", "seed", "crop", "resize", "resize_max", "batch", "width")  # what a family's models have in common


def publish(runs: list[Path | str], family: str, folder: Path | str | None = None) -> Path:
    """Copy finished runs into a family and write its card; returns the family's folder. Without runs only the card
    is written, of what lies there.

    Raises:
        ValueError: if there is neither a run nor a model, a run is missing, not finished or has no film, two are of one
            method, or the runs differ in what a family has in common.
    """
    if not re.fullmatch(r"\w[\w.-]*", family):
        raise ValueError(f"'{family}' is no name of a family: write it in letters, digits, '-', '_' and '.'.")
    target = Path(folder or weights.FOLDER) / family
    cards = {}
    for run in map(Path, runs):
        if not (run / "model.safetensors").is_file():
            raise ValueError(f"'{run}' is no training run: it has no model.safetensors.")
        config, card = weights.read_metadata(run / "model.safetensors")
        if card["steps"] != card["of_steps"]:
            raise ValueError(f"'{run}' stands at step {card['steps']} of {card['of_steps']}: finish it with `train --resume`.")
        if config.method in cards:
            raise ValueError(f"'{cards[config.method][0]}' and '{run}' are both of {TITLES[config.method]}: a family has one of each method.")
        if not list((run / "film").glob("[0-9]*.npz")):
            raise ValueError(f"'{run}' has no film, which a family shows: train it without --no-film.")
        cards[config.method] = (run, config, card)
    for key in ALIKE:
        found = {", then ".join(json.dumps((vars(config) | stage["train_config"])[key]) for stage in stages(card)): method
                 for method, (_, config, card) in cards.items()}  # fmt: skip
        if len(found) > 1:
            values = " and ".join(f"{value} ({TITLES[method]})" for value, method in found.items())
            raise ValueError(f"The runs differ in {key}, {values}: the models of one family share {', '.join(ALIKE)}.")
    if cards:
        target.mkdir(parents=True, exist_ok=True)
    for method, (run, _, _) in cards.items():
        shutil.copyfile(run / "model.safetensors", target / f"{method}.safetensors")
        shutil.copyfile(run / "metrics.jsonl", target / f"{method}.metrics.jsonl")
        gather(run / "film")
        film = target / f"{method}.film"
        shutil.rmtree(film, ignore_errors=True)
        film.mkdir()
        for path in [*(run / "film").glob("*.webp"), *(run / "film").glob("film.npz")]:
            shutil.copyfile(path, film / path.name)
    document(target)
    return target


def document(target: Path) -> None:
    """Write curves, sheet and card of a family from the files that lie in its folder."""
    found = {p.stem: weights.read_metadata(p) for p in sorted(target.glob("*.safetensors"))}
    found = {m: found[m] for m in METHODS if m in found}
    if not found:
        raise ValueError(f"There is nothing to publish: '{target}' holds no weights, and no runs were given.")
    curves(target, list(found)).savefig(target / "curves.png", dpi=110)
    sheet(target, list(found)).save(target / "sheet.webp", quality=88)
    worst(target, list(found)).save(target / "worst.webp", quality=88)
    (target / "README.md").write_text(card_text(target, found))


def curves(target: Path, methods: list[str]):
    """A figure: losses, and the figures on test pictures, against steps."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = {m: [json.loads(l) for l in (target / f"{m}.metrics.jsonl").read_text().splitlines()] for m in methods}
    figures = [k for k in ("background", "luminance", "swd") if any(k in r for lines in rows.values() for r in lines)]
    panels = [("NCE", "contrastive loss (nats)"), ("G_GAN", "generator's GAN loss"), *((k, k + ", relative to the input") for k in figures)]
    figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 3), layout="constrained")
    for axis, (key, title) in zip(axes, panels):
        for method, lines in rows.items():
            points = [(r["step"], r[key]) for r in lines if key in r]
            steps, values = np.array(points).T
            if key not in figures:  # many noisy points: a running mean
                width = max(1, len(values) // 40)
                values = np.convolve(values, np.ones(width) / width, "valid")
                steps = steps[len(steps) - len(values) :]
            axis.plot(steps, values, color=compare.COLOURS[method], label=TITLES[method], lw=1.4)
        axis.set(title=title, xlabel="step")
        axis.title.set_size(9)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=0)
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def card_text(target: Path, found: dict[str, tuple[ModelConfig, dict]]) -> str:
    """The model card in Markdown, from the metadata of the files."""
    cards = [card for _, card in found.values()]
    about = target / "DATA.md"
    data = about.read_text().strip() if about.is_file() else f"Data: `{cards[0]['data']}`."
    figures = sorted({k for card in cards for k in card.get("last", {}) if k != "step"})
    head = ["method", "steps", "seed", "minutes", "machine", *(f"{k} last / best" for k in figures)]
    table = [head, ["---"] * len(head)]
    for config, card in found.values():
        row = [TITLES[config.method], card["steps"], card["seed"], card["minutes"], card["machine"]]
        for key in figures:
            last, best = card.get("last", {}), card.get("best", {})
            row.append(f"{last.get(key, '–')} / " + (f"{best[key]} (step {best['step']})" if key in best else "–"))
        table.append(row)
    lines = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in table)
    commands = "\n".join(command(config, card, target.name) for config, card in found.values())
    first = next(iter(found.values()))
    crops = "-, then ".join(dict.fromkeys(str(stage["train_config"]["crop"]) for stage in stages(first[1])))
    return f"""# {target.name}

{data}

## Models

{lines}

Figures are relative to the untranslated pictures (1 = nothing done): `background` and `luminance` are the errors
against the true counterparts of drawn test scenes, `swd` the sliced Wasserstein distance to the target domain's test
pictures; `edges` and `self_similarity` are correlations with the source (1 = all of its structure kept). "Last" is the
shipped model, measured on all test pictures; "best" the least `background` or `swd` measured, on the way on the first
64 test pictures.
All are generators of width {first[0].width} with {first[0].blocks} blocks, trained on {crops}-pixel crops; what is shipped is the
exponential moving average of the generator, in float16.

## Pictures

![Translations of pictures that may be shown](sheet.webp)

The worst cases of each model among {WORST_OF} such pictures, by how little of the source's edges they keep (the number):

![The pictures of which each model keeps least](worst.webp)

## Training

```
{commands}
python -m qsneg publish {" ".join(f"runs/{target.name}-{m}" for m in found)} --family {target.name}
```

torch {first[1]["torch"]}. The same command with the same seed repeats a run bit for bit on one machine and one version of the
code; elsewhere, and with later versions, weights differ in rounding.

![Losses and figures during training](curves.png)
"""


def stages(card: dict) -> list[dict]:
    """The stages of a run, {"steps", "train_config", "loss_weights"} each: one, unless settings were changed on resuming.
    What an older version did not have, and so did not record, has its default; weights of losses are those of the
    stage after, and in the last one those of the model."""
    found, weights = [], {}
    for stage in reversed([*card.get("stages", []), card]):
        weights = stage.get("loss_weights", weights)
        found.insert(0, {"steps": stage["steps"], "loss_weights": weights,
                         "train_config": dataclasses.asdict(TrainConfig()) | stage["train_config"]})  # fmt: skip
    return found


def command(config: ModelConfig, card: dict, family: str | None = None) -> str:
    """The commands that train a model again, a line for every stage: each setting that differs from the default, or
    from the stage before, as a flag. The run is named after the family, or after the data."""
    out = f"runs/{family or card['data']}-{config.method}"
    before = dataclasses.asdict(ModelConfig(config.method)) | dataclasses.asdict(TrainConfig())
    lines = []
    for stage in stages(card):
        values = dataclasses.asdict(config) | stage["loss_weights"] | stage["train_config"]
        data = values["data"]
        start = f"{'' if data == before['data'] else data + ' '}--resume" if lines else f"{data} --method {config.method}"
        ends_early = stage["steps"] < stage["train_config"]["steps"]  # it was stopped there
        lines.append(f"python -m qsneg train {start} {flags(values, before)} --out {out}"
                     + (f"   # stopped at step {stage['steps']}" if ends_early else ""))  # fmt: skip
        before = values
    return "\n".join(lines)


def flags(values: dict, before: dict) -> str:
    """The settings in `values` that are others in `before`, as flags."""
    texts = []
    for name, value in values.items():
        if name in ("method", "data", "device", "workers") or json.dumps(value) == json.dumps(before.get(name)):
            continue
        name = name.replace("_", "-")
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        texts.append(f"--no-{name}" if value is False else f"--{name}" if value is True else f"--{name} {text}")
    return " ".join(texts)
