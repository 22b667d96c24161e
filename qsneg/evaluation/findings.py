"""What the studies beside the weights found, in plain words, for the About page.

python -c "from qsneg.evaluation.findings import findings; print(findings('checkpoints'))"
"""

import json
from pathlib import Path

from qsneg.evaluation.study import NEAR, words
from qsneg.rendering.colormaps import title_of

INTRO = (
    "Measured on drawn test scenes, where it is known what every patch shows, with `python -m qsneg study`. A *lift* "
    "is the share of anchors in a region over the region's share of the picture: 1 is chance. ± is 1.96 standard "
    "errors over scenes. Models trained on photographs are looked at outside their own domain here."
)


def read_studies(folder: Path | str) -> dict[str, dict]:
    """The tables of every study beside the weights in a checkpoint folder, by model name, without unreadable ones."""
    found = {}
    for path in sorted(Path(folder).glob("*/*.study.json")):
        try:
            found[f"{path.parent.name}/{path.name.removesuffix('.study.json')}"] = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
    return found


def verdict(pairs: list[tuple[float, float]], chance: float, more: str, less: str, cases: str) -> str:
    """How many of some (value, error) lie clearly above or below `chance`, in a sentence."""
    above = sum(value - error > chance for value, error in pairs)
    below = sum(value + error < chance for value, error in pairs)
    return f"{more} in {above} of {len(pairs)} {cases}, {less} in {below}, neither in {len(pairs) - above - below}."


def anchors_found(studies: dict[str, dict]) -> str:
    """QS-Attn's claim: do anchors fall on what matters?"""
    lines = ["### Do low entropies mark what matters?\n"]
    rows = {
        name: {(r["layer"], r["selection"], r["ranking"], r["region"]): r for r in s["anchors"]}
        for name, s in studies.items()
    }
    for region, where in (("animals", "on animals"), ("borders", f"within {NEAR} cells of the border of a thing")):
        pairs = [
            (r["lift"], r["error"] or 0)
            for table in rows.values()
            for (_, mode, ranking, place), r in table.items()
            if place == region and ranking == "log-entropy" and mode in ("global", "local")
        ]
        more, less = (f"anchors lie {where} more often than chance", "less often")
        lines.append(
            f"- Over all models, layers 12 and 16, global and local attention, {verdict(pairs, 1, more, less, 'cases')}"
        )
    columns = [
        (layer, mode, region) for layer in (12, 16) for mode in ("global", "local") for region in ("animals", "borders")
    ]
    lines += [
        "\n| lift | " + " | ".join(f"{mode} {layer}, {region}" for layer, mode, region in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for name, table in rows.items():
        cells = [table[layer, mode, "log-entropy", region] for layer, mode, region in columns]
        lines.append(f"| {name} | " + " | ".join(f"{c['lift']:.2f} ± {c['error'] or 0:.2f}" for c in cells) + " |")
    return "\n".join(lines) + "\n"


def negatives_found(studies: dict[str, dict]) -> str:
    """NEGCUT's claim: are generated negatives harder than patches of the picture?"""
    lines, pairs = [], []
    for name, study in studies.items():
        rows = {(r["layer"], r["group"]): r for r in study["negatives"]}
        for layer in sorted({layer for layer, group in rows if group == "generated"}):
            made, inside, hardest = (rows[layer, group] for group in ("generated", "in_image", "hardest in_image"))
            pairs.append((made["cosine"] - inside["cosine"], made["error"] + inside["error"]))
            shares = [r["share_of_denominator"] for r in (made, inside)]
            lines.append(
                f"| {name} | {layer} | {made['cosine']:.2f} | {inside['cosine']:.2f} | {hardest['cosine']:.2f} "
                f"| {shares[0]:.0%} | {shares[1]:.0%} |"
            )
    if not lines:
        return ""
    more = "Generated negatives are, on average, more similar to the query than patches of the picture"
    head = "| model | layer | cosine, generated | in-image | hardest in-image "
    head += "| share of the denominator, generated | in-image |"
    return "\n".join([
        "### Are generated negatives harder?\n", f"- {verdict(pairs, 0, more, 'less', 'layers and models')}\n",
        head, "| --- | ---: |" + " ---: |" * 5, *lines, "", *lags_found(studies),
    ]) + "\n"  # fmt: skip


def lags_found(studies: dict[str, dict]) -> list[str]:
    """Whether the negative generators become harder once the encoder stands still."""
    rows = [r for s in studies.values() for r in s.get("catch_up", {}).get("layers", [])]
    if not rows:
        return []
    before, after = (sum(r[k]["loss"] > r["in_image"]["loss"] for r in rows) for k in ("shipped", "trained_on"))
    return [
        "- A reason tested: everything else frozen, a copy of each negative generator was trained on, and measured on "
        "other scenes. The contrastive loss under its negatives is then larger than under patches in "
        f"{after} of {len(rows)} layers and models; as shipped, in {before}. "
        + (
            "So it can make hard negatives; in training it lags behind an encoder that moves away."
            if after > 2 * before and 2 * after > len(rows)
            else ""
        )
    ]


def findings(folder: Path | str) -> str:
    """All studies beside the weights in a checkpoint folder as Markdown; nothing if there are none."""
    studies = read_studies(folder)
    if not studies:
        return ""
    scenes = max(s["scenes"] for s in studies.values())
    text = [
        "## Do the papers' claims hold?\n",
        f"{INTRO} {scenes} scenes for each model.\n",
        anchors_found(studies),
        negatives_found(studies),
    ]
    for name, study in studies.items():
        method = name.split("/")[-1]
        sentences = "\n".join(f"- {w}" for w in words(study, method))
        text.append(
            f"<details><summary>{name} ({title_of(method)}) in words, with reasons tested</summary>\n\n"
            f"{sentences}\n\n</details>\n"
        )
    return "\n".join(text)
