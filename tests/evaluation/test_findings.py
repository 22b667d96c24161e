"""The About page's account of the studies."""

import json

from qsneg.evaluation.findings import findings, read_studies
from qsneg.evaluation.study_words import verdict


def study(lift, made):
    shares = dict(share_of_anchors=0.2 * lift, share_of_area=0.2)
    anchors = [
        dict(layer=l, selection=s, ranking=k, region=r, lift=lift, error=0.1) | shares
        for l in (12, 16)
        for r in ("animals", "borders")
        for s, k in (("global", "log-entropy"), ("local", "log-entropy"), ("global", "plain"), ("largest norm", "–"))
    ]
    for row in anchors:
        if row["selection"] == "largest norm":
            row["lift"] = 1.3  # a baseline that beats some
    groups = {"in_image": 0.3, "hardest in_image": 0.9} | ({} if made is None else {"generated": made})
    negatives = [dict(layer=4, group=g, cosine=c, error=0.01, share_of_denominator=0.5) for g, c in groups.items()]
    centre = [dict(layer=4, group=g, cosine=0.4) for g in ("in_image", "generated")]
    layers = {"12": 0.1, "16": 0.2}
    return dict(
        anchors=anchors,
        negatives=negatives,
        cosine_to_mean=centre,
        norm_rank_correlation=layers,
        underflow_share=layers,
        scenes=7,
    )


def test_findings(tmp_path):
    assert findings(tmp_path) == ""
    (tmp_path / "fam").mkdir()
    for name, tables in (("cut", study(2.0, None)), ("negcut", study(0.5, 0.6))):
        (tmp_path / "fam" / f"{name}.study.json").write_text(json.dumps(tables))
    (tmp_path / "fam" / "qs-attn.study.json").write_text("{")  # damaged: left out
    assert list(read_studies(tmp_path)) == ["fam/cut", "fam/negcut"]
    text = findings(tmp_path)
    assert "7 scenes for each model" in text
    said = "In 1 of 2 models anchors lie on animals more often than chance at both layers, global and local alike, "
    assert said + "in 1 less often" in text
    assert "These four are not independent" in text and "of each method and family there is one run" in text
    assert (
        "lie on animals more often than global anchors do at layer 12 in 1 of 2 models (less often in 1 of 2)" in text
    )
    assert "| fam/cut | 2.00 ± 0.10 | 2.00 ± 0.10 | 1.30 ± 0.10 |" in text and "| largest norm 12, animals |" in text
    assert "Of 1 layers of 1 model, generated negatives are on average more similar to the query than as many" in text
    assert "| fam/negcut | 4 | 0.60 | 0.30 | 0.90 | 50% | 50% |" in text
    assert "generated ones 128" in text  # these tables are of an older version: they do not state their counts
    (tmp_path / "fam" / "cut.study.json").write_text(json.dumps(study(2.0, None) | {"count": 64}))
    (tmp_path / "fam" / "negcut.study.json").write_text(json.dumps(study(0.5, 0.6) | {"count": 64}))
    assert "generated ones 128" not in findings(tmp_path)
    assert text.count("<details>") == 2 and "a reason tested" in text and "lag" not in text


def test_no_more_is_said_of_lagging_than_one_run_shows(tmp_path):
    row = {k: {"cosine": 0.1, "loss": l} for k, l in (("in_image", 2), ("shipped", 1), ("trained_on", 3))}
    tables = study(2.0, 0.2) | {
        "catch_up": {"steps": 500, "layers": [{"layer": 4, **row, "without_diversity": row["in_image"]}]}
    }
    (tmp_path / "fam").mkdir()
    (tmp_path / "fam" / "negcut.study.json").write_text(json.dumps(tables))
    text = findings(tmp_path)
    assert "for 500 steps" in text and "in 1 of 1 layers of 1 model; as shipped, in 0" in text
    assert "not proved by one run of each" in text and "only lagged" not in text


def test_verdict_needs_more_than_the_error():
    said = [verdict(value, error, "more", "less", "same") for value, error in ((0.05, 0.1), (0.2, 0.1), (-0.3, 0.1))]
    assert said == ["same", "more", "less"] and verdict(0.1, None, "more", "less", "same") == "more"
