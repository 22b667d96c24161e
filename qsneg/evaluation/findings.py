"""What the studies beside the weights found, in plain words, for the About page.

python -c "from qsneg.evaluation.findings import findings; print(findings('checkpoints'))"
"""

import json
from pathlib import Path

from qsneg.evaluation.study_words import NEAR, over_norm, verdict, words
from qsneg.rendering.colormaps import title_of
from qsneg.rendering.markdown import table

CLAIMS = "Do the papers' claims hold?"
INTRO = (
    "Measured on drawn test scenes, where it is known what every patch shows, with `python -m qsneg study`. A *lift* "
    "is the share of anchors in a region over the region's share of the picture: 1 is chance. ± is 1.96 standard "
    "errors over scenes; of each method and family there is one run, so another seed may say otherwise. Anchors, and "
    "negatives of either kind, are as many as the model's own patches. Models trained on photographs are looked at "
    "outside their own domain here."
)
OLDER = "Studies of an older version, with 256 anchors and in-image negatives and generated ones 128, are among them."


def read_studies(folder: Path | str) -> dict[str, dict]:
    """The tables of every study beside the weights in a checkpoint folder, by model name, without unreadable ones."""
    found = {}
    for path in sorted(Path(folder).glob("*/*.study.json")):
        try:
            found[f"{path.parent.name}/{path.name.removesuffix('.study.json')}"] = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
    return found


def anchors_found(studies: dict[str, dict]) -> str:
    """QS-Attn's claim: do anchors fall on what matters, and more than a baseline without attention does?"""
    lines, count = ["### Do low entropies mark what matters?\n"], len(studies)
    rows = {
        name: {(r["layer"], r["selection"], r["ranking"], r["region"]): r for r in s["anchors"]}
        for name, s in studies.items()
    }
    columns = [
        (layer, *how, region)
        for layer in (12, 16)
        for region in ("animals", "borders")
        for how in (("global", "log-entropy"), ("local", "log-entropy"), ("largest norm", "–"))
    ]
    for region, where in (("animals", "on animals"), ("borders", f"within {NEAR} cells of the border of a thing")):
        keys = [key for key in columns if key[3] == region and key[2] == "log-entropy"]
        above = sum(all(t[k]["lift"] - (t[k]["error"] or 0) > 1 for k in keys) for t in rows.values())
        below = sum(all(t[k]["lift"] + (t[k]["error"] or 0) < 1 for k in keys) for t in rows.values())
        lines.append(
            f"- In {above} of {count} models anchors lie {where} more often than chance at both layers, global and "
            f"local alike, in {below} less often in all of these. These four are not independent: they are read off "
            "the same scenes, and the modes choose much the same positions."
        )
        said = []
        for layer in (12, 16):
            found = [
                verdict(*over_norm(t[layer, "global", "log-entropy", region], t[layer, "largest norm", "–", region]),
                        "better", "worse", "same") for t in rows.values()
            ]  # fmt: skip
            worse, better = (f"{found.count(k)} of {count}" for k in ("worse", "better"))
            said.append(f"at layer {layer} in {worse} models (less often in {better})")
        lines.append(
            "- Against a baseline without attention: as many features of largest norm, which cost nothing to find, "
            f"lie {where} more often than global anchors do {', '.join(said)}."
        )
    heads = [f"{mode} {layer}, {region}" for layer, mode, _, region in columns]
    cells = [[name, *(f"{t[k]['lift']:.2f} ± {t[k]['error'] or 0:.2f}" for k in columns)] for name, t in rows.items()]
    return "\n".join([*lines, "", table(["lift", *heads], cells, numbers_from=1)]) + "\n"


def negatives_found(studies: dict[str, dict]) -> str:
    """NEGCUT's claim: are generated negatives harder than as many patches of the picture?"""
    lines, found, models = [], [], 0
    for name, study in studies.items():
        rows = {(r["layer"], r["group"]): r for r in study["negatives"]}
        layers = sorted({layer for layer, group in rows if group == "generated"})
        models += bool(layers)
        for layer in layers:
            made, inside, hardest = (rows[layer, group] for group in ("generated", "in_image", "hardest in_image"))
            errors = (made["error"] or 0) + (inside["error"] or 0)
            more = made.get("harder", made["cosine"] - inside["cosine"]), made.get("harder_error", errors)
            found.append(verdict(*more, "more", "less", "same"))
            cosines = [f"{r['cosine']:.2f}" for r in (made, inside, hardest)]
            lines.append([name, layer, *cosines, *(f"{r['share_of_denominator']:.0%}" for r in (made, inside))])
    if not lines:
        return ""
    head = ["model", "layer", "cosine, generated", "in-image", "hardest in-image"]
    head += ["share of the denominator, generated", "in-image"]
    more, less = found.count("more"), found.count("less")
    verdicts = f"- Of {len(found)} layers of {models} model{'s' if models != 1 else ''}, generated negatives are on "
    verdicts += f"average more similar to the query than as many patches of the picture in {more}, less in {less}, "
    verdicts += f"neither in {len(found) - more - less}.\n"
    cells = table(head, lines, numbers_from=1)
    return "\n".join(["### Are generated negatives harder?\n", verdicts, cells, "", *lags_found(studies)]) + "\n"


def lags_found(studies: dict[str, dict]) -> list[str]:
    """Whether the negative generators become harder once the encoder stands still."""
    found = {name: s["catch_up"] for name, s in studies.items() if s.get("catch_up")}
    rows = [r for catch_up in found.values() for r in catch_up["layers"]]
    if not rows:
        return []
    steps = max(catch_up["steps"] for catch_up in found.values())
    before, after = (sum(r[k]["loss"] > r["in_image"]["loss"] for r in rows) for k in ("shipped", "trained_on"))
    models = f"{len(found)} model{'s' if len(found) != 1 else ''}"
    return [
        f"- A reason tested: everything else frozen, a copy of each negative generator was trained on for {steps} "
        "steps and measured on other scenes. The contrastive loss under its negatives is then larger than under "
        f"patches in {after} of {len(rows)} layers of {models}; as shipped, in {before}. What becomes harder so could "
        "be harder with what its generator sees; that it lags behind a moving encoder in training agrees with this, "
        "and is not proved by one run of each."
    ]


def findings(folder: Path | str) -> str:
    """All studies beside the weights in a checkpoint folder as Markdown; nothing if there are none."""
    studies = read_studies(folder)
    if not studies:
        return ""
    scenes = max(s["scenes"] for s in studies.values())
    text = [
        f"## {CLAIMS}\n",
        f"{INTRO} {scenes} scenes for each model. {'' if all('count' in s for s in studies.values()) else OLDER}\n",
        anchors_found(studies),
        negatives_found(studies),
    ]
    for name, study in studies.items():
        method = name.split("/")[-1]
        sentences = "\n".join(f"- {w}" for w in words(study))
        text.append(
            f"<details><summary>{name} ({title_of(method)}) in words, with reasons tested</summary>\n\n"
            f"{sentences}\n\n</details>\n"
        )
    return "\n".join(text)
