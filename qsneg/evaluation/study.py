"""Do the papers' claims hold? Measured on drawn test scenes, whose label maps are known.

    python -m qsneg study --checkpoint horse2zebra-drawn/qs-attn --checkpoint horse2zebra-drawn/negcut --out studies

Two claims. QS-Attn (section 3.2): positions of low attention entropy are the significant ones; here, do anchors fall on
the animals, or near the borders of things, more often than chance, and than the tokens of largest norm do? NEGCUT
(section 3.2): generated negatives are harder than patches of the picture; here, are they more similar to the query
than as many patches, and what share of the loss's denominator is theirs? And if they are not harder, can their
generator make harder ones once the encoder stands still (`qsneg.evaluation.negative_lag`)? Anchors and negatives of
either kind are as many as the model's own patches. Writes study.json, study.md and figures for each model.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from qsneg import methods
from qsneg.config import DRAWN
from qsneg.data import drawn_scenes
from qsneg.data.drawn_scenes import LABELS
from qsneg.evaluation.negative_lag import catch_up
from qsneg.evaluation.study_words import NEAR, markdown, words
from qsneg.filesystem import output_folder
from qsneg.inspect import View, observe
from qsneg.inspect.one_query import contrasted, shares
from qsneg.rendering import report
from qsneg.translate import Translator, load

ANIMAL = LABELS.index("animal")
RANKINGS = ("log-entropy", "plain")

SIZE = 256  # pixels: a grid of 64×64 at layers 12 and 16
QUERIES = 4  # per scene and layer
CATCH_UP = dict(steps=500, train=32, test=16)  # further steps of a copy of the negative generator; scenes


def cell_labels(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """The label at the centre of every patch of a grid over a scene of SIZE pixels, H×W."""
    step = SIZE // shape[0]
    return drawn_scenes.label_map(seed, SIZE)[::step, ::step]


def near_border(labels: np.ndarray, cells: int = NEAR) -> np.ndarray:
    """Cells within `cells` of a cell with another label (Chebyshev distance), H×W of bool."""
    l = torch.from_numpy(labels.astype(np.float32))[None, None]
    size = 2 * cells + 1
    padded = F.pad(l, (cells,) * 4, mode="replicate")
    return ((F.max_pool2d(padded, size, 1) != l) | (-F.max_pool2d(-padded, size, 1) != l))[0, 0].numpy()


def selections(view: View, layer: int, num: int, seed: int) -> dict[tuple[str, str], np.ndarray]:
    """Positions chosen at one layer by every selection and ranking: row-major indices N."""
    norm = squared_norm(view.map(layer))
    chosen = {
        ("random", "–"): methods.Draws(seed).positions(layer, len(norm), num).cpu().numpy(),
        ("largest norm", "–"): norm.argsort(descending=True, stable=True)[:num].cpu().numpy(),
    }
    for mode in ("global", "local"):  # local+global has the anchors of local, gathered otherwise
        nats, log = view.entropy(layer, mode)
        for ranking, values in zip(RANKINGS, (log, nats)):
            chosen[mode, ranking] = values.argsort(stable=True)[:num].cpu().numpy()
    return chosen


def squared_norm(features: Tensor) -> Tensor:
    """Each token's score with itself, L values of a feature map 1×C×H×W."""
    return features[0].square().sum(0).flatten()


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two vectors without ties."""
    ranks = torch.stack([v.argsort().argsort().double() for v in (a, b)])
    return float(torch.corrcoef(ranks)[0, 1])


def error(values: np.ndarray) -> float | None:
    """1.96 standard errors of the mean of one value per scene; None of a single one."""
    return 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None


class Study:
    """Collects, scene by scene, what one model does: every list has one value per scene."""

    def __init__(self, translator: Translator, num: int | None = None):
        """`num`: anchors, and negatives of either kind; None: the model's own number of patches."""
        self.translator, self.config, self.num = translator, translator.config, num or translator.config.patches
        self.shares = defaultdict(list)  # (layer, selection, ranking, region) -> (share of anchors, of area)
        self.similar = defaultdict(list)  # (layer, group) -> mean cosine over the scene's queries
        self.denominator = defaultdict(list)  # (layer, group) -> mean share over the scene's queries
        self.underflow = defaultdict(list)  # layer -> share of positions
        self.norm = defaultdict(list)  # layer -> rank correlation of log-entropy and squared norm
        self.centre = defaultdict(list)  # (layer, group) -> mean cosine to the source's mean projected feature
        self.entropies = defaultdict(list)  # (layer, label) -> log-entropies of some positions of every scene

    @torch.inference_mode()
    def add(self, index: int) -> None:
        """Measure one test scene."""
        seed = drawn_scenes.scene_seed("test", "A", index)
        view = observe(self.translator, Image.fromarray(drawn_scenes.draw(seed, SIZE, "A")))
        rng = np.random.default_rng(index)
        for layer in self.config.layers:
            if layer in (12, 16):
                self.add_anchors(view, layer, seed, rng)
            self.add_negatives(view, layer, rng, index)

    def add_anchors(self, view: View, layer: int, seed: int, rng: np.random.Generator) -> None:
        labels = cell_labels(seed, view.grid(layer).shape)
        regions = {"animals": labels == ANIMAL, "borders": near_border(labels)}
        for (selection, ranking), at in selections(view, layer, self.num, seed % 2**31).items():
            for region, inside in regions.items():
                self.shares[layer, selection, ranking, region].append((inside.ravel()[at].mean(), inside.mean()))
        nats, log = view.entropy(layer)
        self.underflow[layer].append(float((nats == 0).float().mean()))
        self.norm[layer].append(rank_correlation(log, squared_norm(view.map(layer))))
        log = log.cpu().numpy()
        for label in range(len(LABELS)):
            values = log[(labels == label).ravel()]
            if len(values):
                self.entropies[layer, label].extend(rng.choice(values, min(40, len(values)), replace=False).tolist())

    def add_negatives(self, view: View, layer: int, rng: np.random.Generator, seed: int) -> None:
        rows, columns = view.grid(layer).shape
        similar, held = defaultdict(list), defaultdict(list)
        for _ in range(QUERIES):
            position = int(rng.integers(rows)), int(rng.integers(columns))
            cosines = contrasted(view, layer, position, self.num, seed).cosines()
            for group, share in shares(cosines, self.config.temperature).items():
                similar[group].append(float(cosines[group].mean()))
                held[group].append(share)
                if group != "positive" and "generated" in cosines:
                    similar[f"hardest {group}"].append(float(cosines[group].max()))
        for found, collected in ((similar, self.similar), (held, self.denominator)):
            for group, values in found.items():
                collected[layer, group].append(float(np.mean(values)))
        if (generated := view.negatives(layer, seed, self.num)) is not None:
            at = methods.Draws(seed).positions(layer, rows * columns, 1024).to(view.device)
            keys = view.projected(layer, "source", at)
            centre = F.normalize(keys.mean(0), dim=0)
            for group, vectors in (("in_image", keys), ("generated", generated)):
                self.centre[layer, group].append(float((vectors @ centre).mean()))

    def anchor_rows(self) -> list[dict]:
        """A row for every layer, selection, ranking and region; "over_norm" is its lift less that of largest norm."""
        rows = []
        for (layer, selection, ranking, region), pairs in self.shares.items():
            anchor, area = np.array(pairs).T
            long = np.array(self.shares[layer, "largest norm", "–", region])[:, 0]
            lift, over = anchor.mean() / area.mean(), (anchor - long).mean() / area.mean()
            errors = [error((v - ratio * area) / area.mean()) for v, ratio in ((anchor, lift), (anchor - long, over))]
            rows.append({
                "layer": layer, "selection": selection, "ranking": ranking, "region": region,
                "share_of_anchors": anchor.mean(), "share_of_area": area.mean(), "lift": lift, "error": errors[0],
                "over_norm": over, "over_norm_error": errors[1],
            })  # fmt: skip
        return rows

    def negative_rows(self) -> list[dict]:
        """A row for every layer and group; of generated ones "harder" is their cosine less that of in-image ones."""
        rows = []
        for (layer, group), values in self.similar.items():
            held = self.denominator.get((layer, group))
            row = {"layer": layer, "group": group, "cosine": np.mean(values), "error": error(values)}
            row["share_of_denominator"] = np.mean(held) if held else None
            if group == "generated":
                more = np.subtract(values, self.similar[layer, "in_image"])
                row |= {"harder": more.mean(), "harder_error": error(more)}
            rows.append(row)
        return rows

    def tables(self) -> dict:
        """Everything measured, JSON-ready; errors are 1.96 standard errors over scenes."""
        percents = (10, 25, 50, 75, 90)
        entropy = [
            {"layer": layer, "label": LABELS[label], **{f"{q}%": float(np.percentile(v, q)) for q in percents}}
            for (layer, label), v in sorted(self.entropies.items())
        ]
        tables = {
            "scenes": len(self.underflow[self.config.attention_layers[0]]),
            "size": SIZE,
            "count": self.num,
            "anchors": self.anchor_rows(),
            "negatives": self.negative_rows(),
            "entropy_by_label_ln_nats": entropy,
            "underflow_share": {str(l): np.mean(v) for l, v in self.underflow.items()},
            "norm_rank_correlation": {str(l): np.mean(v) for l, v in self.norm.items()},
            "cosine_to_mean": [{"layer": l, "group": g, "cosine": np.mean(v)} for (l, g), v in self.centre.items()],
        }
        if self.translator.weights.negative_generator is not None:
            tables["catch_up"] = {**CATCH_UP, "layers": catch_up(self.translator, **CATCH_UP, size=SIZE)}
        return json.loads(json.dumps(tables, default=float))

    def violins(self) -> Figure:
        """A figure: log-entropy by label, a panel per layer."""
        layers = sorted({layer for layer, _ in self.entropies})
        figure = Figure(figsize=(4.4 * len(layers), 3.2), layout="constrained")
        axes = figure.subplots(1, len(layers), squeeze=False)
        for axis, layer in zip(axes[0], layers):
            labels = [l for l in range(len(LABELS)) if self.entropies[layer, l]]
            values = [np.clip(self.entropies[layer, l], -60, None) for l in labels]
            parts = axis.violinplot(values, showmedians=True, widths=0.8)
            for body in parts["bodies"]:
                body.set(facecolor="#009E73", alpha=0.45)
            axis.set_xticks(range(1, len(labels) + 1), [LABELS[l] for l in labels], fontsize=8)
            axis.set(title=f"layer {layer}", ylabel="log-entropy, ln nats (cut at −60)")
            axis.spines[["top", "right"]].set_visible(False)
        return figure


def study(
    names: list[str],
    out: Path | str,
    count: int = 200,
    device: str = "auto",
    progress: bool = True,
    precision: str = "float32",
    data: str = DRAWN,
) -> None:
    """Study each checkpoint and write <method>.study.json, .md and .png into `out`; <family>-<method> where two
    checkpoints have one file name.

    Raises:
        FileNotFoundError, ValueError: if a checkpoint cannot be loaded, `out` cannot be written to, or `data` is not
            the set that has label maps.
    """
    if data != DRAWN:
        raise ValueError(f"The study needs label maps, which only {DRAWN} has, not '{data}'.")
    if count < 1:
        raise ValueError(f"The number of scenes must be at least 1, not {count}.")
    out = output_folder(out)
    for name in names:
        translator = load(name, device, precision=precision)
        made = Study(translator)
        for index in tqdm(range(count), desc=name, disable=not progress):
            made.add(index)
        tables, stem = made.tables(), Path(name).stem
        if [Path(n).stem for n in names].count(stem) > 1:
            stem = f"{Path(name).parent.name}-{stem}"
        page = markdown(tables, name, translator.title, stem)
        report.write({f"{stem}.study.json": tables, f"{stem}.study.md": page, f"{stem}.study.png": made.violins()}, out)
        print(f"\n{name}\n" + "\n".join(words(tables)))
