"""A study's tables in words, and as a page.

    from qsneg.evaluation.study_words import words
    print("\\n".join(words(json.loads(path.read_text()))))

Whatever the tables say is said, with no more than they show: a verdict needs a difference beyond its error, which is
1.96 standard errors over scenes, of differences taken scene by scene where two things are compared.
"""

from collections import defaultdict

from qsneg.inspect.summary import percentages
from qsneg.rendering.markdown import table

NEAR = 2  # cells around the border of a thing


def verdict(value: float, error: float | None, more: str, less: str, same: str) -> str:
    """`more` or `less` where a difference lies beyond its error; `same` where it does not."""
    error = error or 0
    return more if value > error else less if value < -error else same


def words(tables: dict) -> list[str]:
    """The findings in plain words, whatever they are."""
    rows = {(r["layer"], r["selection"], r["ranking"], r["region"]): r for r in tables["anchors"]}
    out = []
    for layer in sorted({r["layer"] for r in tables["anchors"]}):
        out += [on_anchors(rows[layer, mode, "log-entropy", region], layer, mode)
                for mode in ("global", "local") for region in ("animals", "borders")]  # fmt: skip
        out += [on_underflow(tables, rows, layer), on_norm(tables, rows, layer)]
    groups = {(r["layer"], r["group"]): r for r in tables["negatives"]}
    centre = {(r["layer"], r["group"]): r["cosine"] for r in tables["cosine_to_mean"]}
    for layer in sorted({layer for layer, group in groups if group == "generated"}):
        out += on_negatives(groups, centre, layer)
    return out + lag(tables.get("catch_up"))


def on_anchors(r: dict, layer: int, mode: str) -> str:
    where = "on animals" if r["region"] == "animals" else f"within {NEAR} cells of a border"
    often = verdict(r["lift"] - 1, r["error"], "more often than", "less often than", "as often as")
    return (
        f"Layer {layer}, {mode} attention: {r['share_of_anchors']:.0%} of the anchors lie {where}, which is "
        f"{r['share_of_area']:.0%} of the picture: {r['lift']:.2f} times the share of area, {often} chance."
    )


def on_underflow(tables: dict, rows: dict, layer: int) -> str:
    plain, log = (rows[layer, "global", k, "animals"]["lift"] for k in ("plain", "log-entropy"))
    return (
        f"Layer {layer}: {tables['underflow_share'][str(layer)]:.1%} of the entropies underflow in float32; ranked "
        f"plainly, global anchors reach {plain:.2f} times the share of animals, ranked by log-entropy {log:.2f}."
    )


def over_norm(row: dict, norm: dict) -> tuple[float, float]:
    """How far a selection's lift lies above that of the largest norm, and its error (of tables without it: the sum)."""
    if "over_norm" in row:
        return row["over_norm"], row["over_norm_error"] or 0
    return row["lift"] - norm["lift"], (row["error"] or 0) + (norm["error"] or 0)


def on_norm(tables: dict, rows: dict, layer: int) -> str:
    """The baseline: the tokens of largest norm, which need no attention."""
    rho, said = tables["norm_rank_correlation"][str(layer)], []
    for region in ("animals", "borders"):
        row, norm = (rows[layer, *key, region] for key in (("global", "log-entropy"), ("largest norm", "–")))
        better = verdict(*over_norm(row, norm), "more", "less", "no more and no less")
        said.append(f"{norm['lift']:.2f} times the share of {region} (low entropy {row['lift']:.2f}, {better})")
    return (
        f"Layer {layer}, a baseline without attention: as many tokens of largest norm reach {' and '.join(said)}. "
        f"Log-entropy and squared norm have a rank correlation of {rho:.2f}: "
        + ("low entropy is, here, little else than a large feature." if rho < -0.9
           else "a large feature explains a part of low entropy." if rho < -0.5
           else "a large feature alone does not make entropy low.")
    )  # fmt: skip


def on_negatives(groups: dict, centre: dict, layer: int) -> list[str]:
    inside, made = groups[layer, "in_image"], groups[layer, "generated"]
    errors = (made["error"] or 0) + (inside["error"] or 0)
    more, error = made.get("harder", made["cosine"] - inside["cosine"]), made.get("harder_error", errors)
    harder = verdict(more, error, "harder", "easier", "no harder and no easier")
    a, b = (centre[layer, group] for group in ("generated", "in_image"))
    close = (
        "They are close to the mean, and so alike for every query." if a > 0.8 else "They are not copies of the mean."
    )
    return [
        f"Layer {layer}: generated negatives have a mean cosine of {made['cosine']:.2f} to the query, as many in-image "
        f"ones {inside['cosine']:.2f}: on average they are {harder}. Were both in the denominator, generated ones "
        f"would hold {made['share_of_denominator']:.1%} of it, in-image ones {inside['share_of_denominator']:.1%}.",
        f"Layer {layer}, a reason tested: to the picture's mean feature, all that their generator sees, generated "
        f"negatives have a cosine of {a:.2f}, patches {b:.2f}. {close}",
    ]


def lag(found: dict | None) -> list[str]:
    """What training the negative generator on, all else frozen, shows of how hard its negatives can be."""
    out, caught_up = [], False
    for r in found["layers"] if found else []:
        inside, shipped, on, free = (r[k] for k in ("in_image", "shipped", "trained_on", "without_diversity"))
        shown = (
            "As shipped they are as hard as patches already." if shipped["loss"] >= inside["loss"]
            else "With the encoder standing still it comes to be as hard as patches." if on["loss"] >= inside["loss"]
            else "It comes to be as hard as patches only without the diversity term." if free["loss"] >= inside["loss"]
            else "It comes nearer, but not to patches, in these steps." if on["loss"] > shipped["loss"] + 0.1
            else "It comes no nearer to patches in these steps."
        )  # fmt: skip
        out.append(
            f"Layer {r['layer']}: with all else frozen and {found['steps']} more steps of one run, the loss under "
            f"generated negatives goes from {shipped['loss']:.2f} to {on['loss']:.2f} nats ({free['loss']:.2f} without "
            f"the diversity term; in-image {inside['loss']:.2f}), their cosine to the query from "
            f"{shipped['cosine']:.2f} to {on['cosine']:.2f} (in-image {inside['cosine']:.2f}). {shown}"
        )
        caught_up |= on["loss"] >= inside["loss"] > shipped["loss"]
    if caught_up:
        out.append("This agrees with a generator that lags behind a moving encoder; other reasons are not ruled out.")
    return out


def markdown(tables: dict, name: str, method: str, stem: str = "study") -> str:
    """The study as a page; its figure lies beside it as <stem>.study.png."""
    about = f"{method}, on {tables['scenes']} drawn test scenes at {tables['size']} pixels, with {tables['count']} "
    about += "anchors and as many negatives of either kind. ± is 1.96 standard errors over scenes."
    lines = [f"# Study of {name}", "", about, "", *(f"- {w}" for w in words(tables)), "", "## Anchors", ""]
    lines += ["local+global has the anchors of local; it differs in what is gathered there.", ""]
    head = ["layer", "selection", "ranking", "on animals", "area", "lift", "near borders", "area", "lift"]
    anchors, negatives = [], []
    rows = {(r["layer"], r["selection"], r["ranking"], r["region"]): r for r in tables["anchors"]}
    for layer, selection, ranking in dict.fromkeys(k[:3] for k in rows):
        cells = [layer, selection, ranking]
        for region in ("animals", "borders"):
            r = rows[layer, selection, ranking, region]
            lift = f"{r['lift']:.2f} ± {r['error'] or 0:.2f}"
            cells += [f"{r['share_of_anchors']:.1%}", f"{r['share_of_area']:.1%}", lift]
        anchors.append(cells)
    about = "Cosine to the query, and share of the denominator if all groups were in it."
    held = defaultdict(dict)
    for r in tables["negatives"]:
        if r["share_of_denominator"] is not None:
            held[r["layer"]][r["group"]] = r["share_of_denominator"]
    for r in sorted(tables["negatives"], key=lambda r: r["layer"]):
        found = percentages(held[r["layer"]], 1)
        share = f"{found[r['group']]:.1f}%" if r["group"] in found else ""
        cosine = f"{r['cosine']:.3f} ± {r['error'] or 0:.3f}"
        negatives.append([r["layer"], r["group"].replace("_", "-"), cosine, share])
    lines += [table(head, anchors), "", "## Negatives", "", about, ""]
    lines += [table(["layer", "group", "cosine", "share"], negatives)]
    if "catch_up" in tables:
        found = tables["catch_up"]
        about = f"Cosine to the query / contrastive loss in nats, on {found['test']} other scenes, after "
        about += f"{found['steps']} more steps of the negative generator alone, from one run."
        keys = ("in_image", "shipped", "trained_on", "without_diversity")
        cells = [[r["layer"], *(f"{r[k]['cosine']:.2f} / {r[k]['loss']:.2f}" for k in keys)] for r in found["layers"]]
        head = ["layer", "in-image", "generated, as shipped", "trained on", "without diversity"]
        lines += ["", "## Can the negative generator do more?", "", about, "", table(head, cells)]
    return "\n".join([*lines, "", "## Entropy by label", "", f"![Log-entropy by label]({stem}.study.png)", ""])
