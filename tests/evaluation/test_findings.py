"""The About page's account of the studies."""

import json

from qsneg.evaluation.findings import findings, read_studies, verdict


def study(lift, made):
    shares = dict(share_of_anchors=0.2 * lift, share_of_area=0.2)
    anchors = [
        dict(layer=l, selection=s, ranking=k, region=r, lift=lift, error=0.1) | shares
        for l in (12, 16)
        for r in ("animals", "borders")
        for s, k in (("global", "log-entropy"), ("local", "log-entropy"), ("global", "plain"), ("largest norm", "–"))
    ]
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
    assert "anchors lie on animals more often than chance in 4 of 8 cases, less often in 4, neither in 0." in text
    assert "| fam/cut | 2.00 ± 0.10 |" in text and "| fam/negcut | 0.50 ± 0.10 |" in text
    assert "more similar to the query than patches of the picture in 1 of 1 layers and models" in text
    assert "| fam/negcut | 4 | 0.60 | 0.30 | 0.90 | 50% | 50% |" in text
    assert text.count("<details>") == 2 and "a reason tested" in text


def test_verdict_needs_more_than_the_error():
    assert (
        verdict([(1.05, 0.1), (1.2, 0.1), (0.7, 0.1)], 1, "more", "less", "cases")
        == "more in 1 of 3 cases, less in 1, neither in 1."
    )
