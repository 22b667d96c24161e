"""Do the papers' claims hold? Measured on drawn test scenes, whose label maps are known.

    python -m qsneg study --checkpoint horse2zebra-drawn/qs-attn --checkpoint horse2zebra-drawn/negcut --out studies

Two claims. QS-Attn (section 3.2): positions of low attention entropy are the significant ones; here, do anchors fall on
the animals, or near the borders of things, more often than chance? NEGCUT (section 3.2): generated negatives are harder
than patches of the picture; here, are they more similar to the query, and what share of the loss's denominator
is theirs? And if they are not harder, is it that their generator lags behind (`qsneg.evaluation.negative_lag`)?
Writes study.json, study.md and figures for each model.
"""

import json
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from qsneg import attention, methods
from qsneg.data import drawn_scenes
from qsneg.data.drawn_scenes import LABELS
from qsneg.evaluation.negative_lag import catch_up
from qsneg.filesystem import output_folder
from qsneg.inspect import View, observe, query
from qsneg.translate import Translator, load

ANIMAL = LABELS.index("animal")
RANKINGS = ("log-entropy", "plain")
SIZE = 256  # pixels: a grid of 64×64 at layers 12 and 16
NEAR = 2  # cells
NUM = 256  # anchors, and negatives of either kind
CATCH_UP = dict(steps=500, train=32, test=16)  # further steps of a copy of the negative generator; scenes


def cell_labels(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """The label at the middle of every cell of a grid over a scene of SIZE pixels, H×W."""
    labels = drawn_scenes.label_map(seed, SIZE)
    step = SIZE // shape[0]
    return labels[step // 2 :: step, step // 2 :: step]


def near_border(labels: np.ndarray, cells: int = NEAR) -> np.ndarray:
    """Cells within `cells` of a cell with another label (Chebyshev distance), H×W of bool."""
    l = torch.from_numpy(labels.astype(np.float32))[None, None]
    size = 2 * cells + 1
    padded = F.pad(l, (cells,) * 4, mode="replicate")
    return ((F.max_pool2d(padded, size, 1) != l) | (-F.max_pool2d(-padded, size, 1) != l))[0, 0].numpy()


def selections(features: Tensor, num: int, window: int, seed: int) -> dict[tuple[str, str], np.ndarray]:
    """Positions chosen in one feature map 1×C×H×W by every selection and ranking: row-major indices N."""
    length = features.shape[2] * features.shape[3]
    chosen = {
        ("random", "–"): methods.Draws(seed).positions(0, length, num).cpu().numpy(),
        ("largest norm", "–"): squared_norm(features).argsort(descending=True, stable=True)[:num].cpu().numpy(),
    }
    entropies = {"global": attention.entropy(features, "global"), "local": attention.entropy(features, "local", window)}
    entropies["local+global"] = entropies["local"]  # the same anchors, routed otherwise
    for mode, e in entropies.items():
        for ranking, values in zip(RANKINGS, (e.log[0], e.nats[0])):
            chosen[mode, ranking] = values.argsort(stable=True)[:num].cpu().numpy()
    return chosen


def squared_norm(features: Tensor) -> Tensor:
    """Each token's score with itself, L values of a feature map 1×C×H×W."""
    return features[0].square().sum(0).flatten()


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two vectors without ties."""
    ranks = torch.stack([v.argsort().argsort().double() for v in (a, b)])
    return float(torch.corrcoef(ranks)[0, 1])


class Study:
    """Collects, scene by scene, what one model does."""

    def __init__(self, translator: Translator, num: int = NUM):
        self.translator, self.config, self.num = translator, translator.config, num
        self.shares = defaultdict(list)  # (layer, selection, ranking, region) -> per scene (share of anchors, of area)
        self.similar = defaultdict(list)  # (layer, group) -> per query mean cosine
        self.denominator = defaultdict(list)  # (layer, group) -> per query share
        self.entropies = defaultdict(list)  # (layer, label) -> log-entropies
        self.underflow = defaultdict(list)  # layer -> share of positions per scene
        self.norm = defaultdict(list)  # layer -> rank correlation of log-entropy and squared norm per scene
        self.centre = defaultdict(
            list
        )  # (layer, group) -> per scene mean cosine to the source's mean projected feature

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
        features = view.map(layer)
        labels = cell_labels(seed, view.grid(layer).shape)
        regions = {"animals": labels == ANIMAL, "borders": near_border(labels)}
        for (selection, ranking), at in selections(features, self.num, self.config.window, seed % 2**31).items():
            for region, inside in regions.items():
                self.shares[layer, selection, ranking, region].append((inside.ravel()[at].mean(), inside.mean()))
        e = attention.global_entropy(features)
        self.underflow[layer].append(float((e.nats == 0).float().mean()))
        self.norm[layer].append(rank_correlation(e.log[0], squared_norm(features)))
        log = e.log[0].cpu().numpy()
        for label in range(len(LABELS)):
            values = log[(labels == label).ravel()]
            if len(values):
                self.entropies[layer, label].extend(rng.choice(values, min(40, len(values)), replace=False).tolist())

    def add_negatives(self, view: View, layer: int, rng: np.random.Generator, seed: int) -> None:
        rows, columns = view.grid(layer).shape
        for _ in range(4):
            q = query(view, layer, (int(rng.integers(rows)), int(rng.integers(columns))), self.num, seed)
            for group, values in (("positive", q.positive), ("in_image", q.in_image), ("generated", q.generated)):
                if values is not None:
                    self.similar[layer, group].append(float(np.mean(values)))
                    self.denominator[layer, group].append(q.shares[group])
            if q.generated is not None:
                for group, values in (("in_image", q.in_image), ("generated", q.generated)):
                    self.similar[layer, f"hardest {group}"].append(float(np.max(values)))
        if (generated := view.negatives(layer, seed)) is not None:
            keys = view.projected(
                layer, "source", methods.Draws(seed).positions(layer, rows * columns, 1024).to(view.device)
            )
            centre = F.normalize(keys.mean(0), dim=0)
            for group, vectors in (("in_image", keys), ("generated", generated)):
                self.centre[layer, group].append(float((vectors @ centre).mean()))

    def tables(self) -> dict:
        """Everything measured, JSON-ready; "error" is 1.96 standard errors over scenes or queries."""
        anchors = []
        for (layer, selection, ranking, region), pairs in self.shares.items():
            anchor, area = np.array(pairs).T
            lift = anchor.mean() / area.mean()
            spread = (
                (anchor - lift * area).std(ddof=1) / area.mean() if len(area) > 1 else np.nan
            )  # of a ratio of means
            anchors.append({
                "layer": layer, "selection": selection, "ranking": ranking, "region": region,
                "share_of_anchors": anchor.mean(), "share_of_area": area.mean(), "lift": lift,
                "error": None if np.isnan(spread) else 1.96 * spread / len(area) ** 0.5,
            })  # fmt: skip
        negatives = [
            {
                "layer": layer,
                "group": group,
                "cosine": float(np.mean(values)),
                "error": 1.96 * float(np.std(values)) / len(values) ** 0.5,
                "share_of_denominator": float(np.mean(held))
                if (held := self.denominator.get((layer, group)))
                else None,
            }
            for (layer, group), values in self.similar.items()
        ]
        shares = (10, 25, 50, 75, 90)  # percent
        entropy = [
            {"layer": layer, "label": LABELS[label], **{f"{q}%": float(np.percentile(v, q)) for q in shares}}
            for (layer, label), v in sorted(self.entropies.items())
        ]
        underflow = {str(layer): float(np.mean(v)) for layer, v in self.underflow.items()}
        centre = [{"layer": l, "group": g, "cosine": float(np.mean(v))} for (l, g), v in self.centre.items()]
        tables = {
            "scenes": len(self.underflow[self.config.attention_layers[0]]),
            "anchors": anchors,
            "negatives": negatives,
            "entropy_by_label_ln_nats": entropy,
            "underflow_share": underflow,
            "norm_rank_correlation": {str(l): float(np.mean(v)) for l, v in self.norm.items()},
            "cosine_to_mean": centre,
        }
        if self.translator.weights.negative_generator is not None:
            tables["catch_up"] = {**CATCH_UP, "layers": catch_up(self.translator, **CATCH_UP, size=SIZE)}
        return json.loads(json.dumps(tables, default=float))

    def violins(self):
        """A figure: log-entropy by label, a panel per layer."""
        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        layers = sorted({layer for layer, _ in self.entropies})
        figure, axes = plt.subplots(
            1, len(layers), figsize=(4.4 * len(layers), 3.2), layout="constrained", squeeze=False
        )
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


def words(tables: dict, method: str) -> list[str]:
    """The findings in plain words, whatever they are."""
    rows = {(r["layer"], r["selection"], r["ranking"], r["region"]): r for r in tables["anchors"]}
    out = []
    for layer in sorted({r["layer"] for r in tables["anchors"]}):
        for mode in ("global", "local"):
            for region in ("animals", "borders"):
                r = rows[layer, mode, "log-entropy", region]
                low, high = r["lift"] - (r["error"] or 0), r["lift"] + (r["error"] or 0)
                where = "on animals" if region == "animals" else f"within {NEAR} cells of a border"
                verdict = "more often than" if low > 1 else "less often than" if high < 1 else "as often as"
                out.append(
                    f"Layer {layer}, {mode} attention: {r['share_of_anchors']:.0%} of the anchors lie {where}, which "
                    f"is {r['share_of_area']:.0%} of the picture: {r['lift']:.2f} times the share of area, {verdict} "
                    "chance."
                )
        plain, log = (rows[layer, "global", k, "animals"]["lift"] for k in ("plain", "log-entropy"))
        under = tables["underflow_share"][str(layer)]
        out.append(
            f"Layer {layer}: {under:.1%} of the entropies underflow in float32; ranked plainly, global anchors reach "
            f"{plain:.2f} times the share of animals, ranked by log-entropy {log:.2f}."
        )
        norm, rho = rows[layer, "largest norm", "–", "animals"]["lift"], tables["norm_rank_correlation"][str(layer)]
        out.append(
            f"Layer {layer}, a reason tested: log-entropy and the squared norm of a token have a rank correlation of "
            f"{rho:.2f}, and the {NUM} tokens of largest norm reach {norm:.2f} times the share of animals. "
            + (
                "Low entropy is, here, little else than a large feature."
                if rho < -0.9
                else "A large feature explains a part of low entropy."
                if rho < -0.5
                else "A large feature alone does not make entropy low."
            )
        )
    groups = {(r["layer"], r["group"]): r for r in tables["negatives"]}
    centre = {(r["layer"], r["group"]): r["cosine"] for r in tables["cosine_to_mean"]}
    for layer in sorted({r["layer"] for r in tables["negatives"]}):
        inside, made = groups[layer, "in_image"], groups.get((layer, "generated"))
        if made is None:
            continue
        more, error = made["cosine"] - inside["cosine"], made["error"] + inside["error"]
        harder = "harder" if more > error else "easier" if more < -error else "no harder and no easier"
        out.append(
            f"Layer {layer}: generated negatives have a mean cosine of {made['cosine']:.2f} to the query, in-image "
            f"ones {inside['cosine']:.2f}: on average they are {harder}. Were both in the denominator, generated ones "
            f"would hold {made['share_of_denominator']:.1%} of it, in-image ones {inside['share_of_denominator']:.1%}."
        )
        a, b = (centre[layer, group] for group in ("generated", "in_image"))
        out.append(
            f"Layer {layer}, a reason tested: to the picture's mean feature, all that their generator sees, "
            f"generated negatives have a cosine of {a:.2f}, patches {b:.2f}. "
            + (
                "They are close to the mean, and so alike for every query."
                if a > 0.8
                else "They are not mere copies of the mean."
            )
        )
    return out + lag(tables.get("catch_up"))


def lag(found: dict | None) -> list[str]:
    """What training the negative generator on, all else frozen, says of why its negatives are as hard as they are."""
    out = []
    for r in found["layers"] if found else []:
        inside, shipped, on, free = (r[k] for k in ("in_image", "shipped", "trained_on", "without_diversity"))
        reason = (
            "It had not lagged behind."
            if shipped["loss"] >= inside["loss"]
            else "It had only lagged behind the encoder: in training, that moves away as fast."
            if on["loss"] >= inside["loss"]
            else "It had lagged behind, and the diversity term holds it back."
            if free["loss"] >= inside["loss"]
            else "It had lagged behind, which explains a part; seeing one mean of the picture, it does not reach its "
            "hardest patches."
            if on["loss"] > shipped["loss"] + 0.1
            else "It cannot do better, seeing one mean of the picture."
        )
        out.append(
            f"Layer {r['layer']}, a reason tested: with all else frozen and {found['steps']} more steps, the loss "
            f"under generated negatives goes from {shipped['loss']:.2f} to {on['loss']:.2f} nats ({free['loss']:.2f} "
            f"without the diversity term; in-image {inside['loss']:.2f}), their cosine to the query from "
            f"{shipped['cosine']:.2f} to {on['cosine']:.2f} (in-image {inside['cosine']:.2f}). {reason}"
        )
    return out


def markdown(tables: dict, name: str, method: str, stem: str = "study") -> str:
    """The study as a page; its figure lies beside it as <stem>.study.png."""
    about = f"{method}, on {tables['scenes']} drawn test scenes at {SIZE} pixels."
    lines = [f"# Study of {name}", "", f"{about} ± is 1.96 standard errors over scenes.", ""]
    lines += [*(f"- {w}" for w in words(tables, method)), "", "## Anchors", ""]
    lines += [
        "| layer | selection | ranking | on animals | area | lift | near borders | area | lift |",
        "|" + " --- |" * 9,
    ]
    rows = {(r["layer"], r["selection"], r["ranking"], r["region"]): r for r in tables["anchors"]}
    for layer, selection, ranking in dict.fromkeys(k[:3] for k in rows):
        cells = [layer, selection, ranking]
        for region in ("animals", "borders"):
            r = rows[layer, selection, ranking, region]
            cells += [
                f"{r['share_of_anchors']:.1%}",
                f"{r['share_of_area']:.1%}",
                f"{r['lift']:.2f} ± {r['error'] or 0:.2f}",
            ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "## Negatives", "", "Cosine to the query, and share of the denominator if all groups were in it.", ""]
    lines += ["| layer | group | cosine | share |", "|" + " --- |" * 4]
    for r in sorted(tables["negatives"], key=lambda r: r["layer"]):
        share = "" if r["share_of_denominator"] is None else f"{r['share_of_denominator']:.1%}"
        lines.append(
            f"| {r['layer']} | {r['group'].replace('_', '-')} | {r['cosine']:.3f} ± {r['error']:.3f} | {share} |"
        )
    if "catch_up" in tables:
        found = tables["catch_up"]
        about = f"Cosine to the query / contrastive loss in nats, on {found['test']} other scenes, after "
        about += f"{found['steps']} more steps of the negative generator alone."
        lines += ["", "## Does the negative generator lag?", "", about, ""]
        lines += ["| layer | in-image | generated, as shipped | trained on | without diversity |", "|" + " --- |" * 5]
        for r in found["layers"]:
            cells = [
                f"{r[k]['cosine']:.2f} / {r[k]['loss']:.2f}"
                for k in ("in_image", "shipped", "trained_on", "without_diversity")
            ]
            lines.append(f"| {r['layer']} | " + " | ".join(cells) + " |")
    lines += ["", "## Entropy by label", "", f"![Log-entropy by label]({stem}.study.png)", ""]
    return "\n".join(lines)


def study(
    names: list[str], out: Path | str, count: int = 200, device: str = "auto", progress: bool = True,
    precision: str = "float32",
) -> None:  # fmt: skip
    """Study each checkpoint and write <method>.study.json, .md and .png into `out`; <family>-<method> where two
    checkpoints have one file name.

    Raises:
        FileNotFoundError, ValueError: if a checkpoint cannot be loaded, or `out` cannot be written to.
    """
    out = output_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        translator = load(name, device, precision=precision)
        made = Study(translator)
        for index in tqdm(range(count), desc=name, disable=not progress):
            made.add(index)
        tables, stem = made.tables(), Path(name).stem
        if [Path(n).stem for n in names].count(stem) > 1:
            stem = f"{Path(name).parent.name}-{stem}"
        (out / f"{stem}.study.json").write_text(json.dumps(tables, indent=1) + "\n")
        (out / f"{stem}.study.md").write_text(markdown(tables, name, translator.title, stem))
        made.violins().savefig(out / f"{stem}.study.png", dpi=110)
        print(f"\n{name}\n" + "\n".join(words(tables, translator.title)))
