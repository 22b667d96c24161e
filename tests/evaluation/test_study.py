"""The study: regions, selections, tables and words, on cases whose answer is known."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.data import drawn_scenes
from qsneg.evaluation import study
from qsneg.evaluation.study import Study, cell_labels, near_border, rank_correlation, selections
from qsneg.evaluation.study_words import lag, markdown, words
from qsneg.inspect import View
from qsneg.translate import Translator
from qsneg.weights import save
from tests.conftest import tiny


def test_near_border():
    labels = np.zeros((9, 12), np.uint8)
    labels[:, 6:] = 3
    near = near_border(labels, 2)
    assert near[:, 4:8].all() and not near[:, :4].any() and not near[:, 8:].any()
    assert not near_border(np.ones((5, 5), np.uint8)).any()  # the edge of the picture is no border


def test_cell_labels_are_the_scene_s():
    seed = drawn_scenes.scene_seed("test", "A", 3)
    labels = cell_labels(seed, (64, 64))
    assert labels.shape == (64, 64)
    assert labels[10, 20] == drawn_scenes.label_map(seed, 256)[40, 80]  # where the patch of 4 pixels is centred


def test_planted_anchors_are_found():
    """Positions with large features attend to themselves alone: their entropy is lowest."""
    torch.manual_seed(0)
    f = torch.randn(1, 8, 16, 16) * 0.1
    planted = torch.arange(40, 60)
    f.view(1, 8, -1)[:, :, planted] = torch.randn(1, 8, 20).sign() * torch.linspace(1.5, 2, 20)
    view = View(tiny(), *[Image.new("RGB", (64, 64))] * 2, {"source": [f] * 5}, torch.device("cpu"))
    chosen = selections(view, 12, 20, 0)
    assert set(chosen["global", "log-entropy"]) == set(planted.tolist())
    assert len(set(chosen["random", "–"]) & set(planted.tolist())) < 10
    assert set(chosen["largest norm", "–"]) == set(planted.tolist())


def test_tables_words_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "SIZE", 64)
    monkeypatch.setattr(study, "CATCH_UP", dict(steps=2, train=2, test=1))
    save(tiny("negcut", patches=16), tmp_path / "negcut.safetensors")
    study.study([str(tmp_path / "negcut.safetensors")], tmp_path / "out", count=2, device="cpu", progress=False)
    tables = json.loads((tmp_path / "out" / "negcut.study.json").read_text())
    assert tables["scenes"] == 2
    rows = {(r["layer"], r["selection"], r["ranking"], r["region"]): r for r in tables["anchors"]}
    assert len(rows) == 2 * (2 + 2 * 2) * 2 and tables["count"] == 16  # as many as the model's own patches
    for r in rows.values():
        assert 0 <= r["share_of_anchors"] <= 1 and abs(r["lift"] * r["share_of_area"] - r["share_of_anchors"]) < 1e-9
    for r in rows.values():
        norm = rows[r["layer"], "largest norm", "–", r["region"]]
        assert abs(r["over_norm"] - (r["lift"] - norm["lift"])) < 1e-9
    assert norm["over_norm"] == norm["over_norm_error"] == 0
    shares = [
        r["share_of_denominator"]
        for r in tables["negatives"]
        if r["layer"] == 16 and r["share_of_denominator"] is not None
    ]
    assert abs(sum(shares) - 1) < 1e-3 and len(shares) == 3
    assert [r["layer"] for r in tables["catch_up"]["layers"]] == [0, 4, 8, 12, 16]
    text = (tmp_path / "out" / "negcut.study.md").read_text()
    assert "Can the negative generator do more?" in text and "with 16 anchors and as many negatives" in text
    assert "times the share of area" in text and (tmp_path / "out" / "negcut.study.png").stat().st_size > 5000


def table(lift, made, inside):
    """A study's tables in which every selection has one lift, and the negatives have these cosines."""
    shared = dict(layer=12, share_of_anchors=0.2 * lift, share_of_area=0.2, lift=lift, error=0.1)
    kinds = [(s, k) for s in ("global", "local") for k in ("log-entropy", "plain")] + [("largest norm", "–")]
    groups = (("in_image", inside), ("generated", made))
    return dict(
        anchors=[dict(shared, selection=s, ranking=k, region=r) for s, k in kinds for r in ("animals", "borders")],
        negatives=[dict(layer=12, group=g, cosine=c, error=0.01, share_of_denominator=0.5) for g, c in groups],
        cosine_to_mean=[dict(layer=12, group=g, cosine=made) for g, _ in groups],
        norm_rank_correlation={"12": -lift / 2.1},
        underflow_share={"12": 0.1},
        scenes=2,
        size=64,
        count=20,
        entropy_by_label_ln_nats=[],
    )


@pytest.mark.parametrize("tables, said", [
    ((2.0, 0.5, 0.1), "more often than chance"), ((2.0, 0.5, 0.1), "they are harder"),
    ((2.0, 0.9, 0.1), "little else than a large feature"), ((2.0, 0.9, 0.1), "close to the mean"),
    ((0.5, 0.1, 0.5), "alone does not make entropy low"), ((0.5, 0.1, 0.5), "less often than chance"),
    ((0.5, 0.1, 0.5), "they are easier"), ((1.05, 0.1, 0.105), "no harder and no easier"),
    ((1.05, 0.1, 0.1), "as often as chance"),
])  # fmt: skip
def test_words_say_whatever_is_true(tables, said):
    assert any(said in w for w in words(table(*tables)))
    assert "| 12 | global | plain |" in markdown(table(*tables), "x", "CUT")


def test_shares_of_a_layer_add_up_to_a_hundred():
    tables = table(2.0, 0.5, 0.1)
    parts = {"positive": 0.01245, "in_image": 0.64845, "generated": 0.3391}  # rounded one by one: 99.9
    tables["negatives"] = [
        dict(layer=12, group=g, cosine=0.1, error=0.01, share_of_denominator=p) for g, p in parts.items()
    ]
    page = markdown(tables, "x", "NEGCUT").split("## Negatives")[1]
    assert sum(float(v) for v in re.findall(r"([\d.]+)% \|", page)) == pytest.approx(100)


def test_the_baseline_without_attention_is_told():
    """The tokens of largest norm beat low entropy in several cases, and were left out."""
    tables = table(1.5, 0.5, 0.1)
    for row in tables["anchors"]:
        if row["selection"] == "largest norm":
            row["lift"] = 1.9
    for difference, said in ((-0.4, "less"), (0.4, "more"), (0.01, "no more and no less")):
        for row in tables["anchors"]:
            row |= {"over_norm": difference, "over_norm_error": 0.1}
        assert any(f"1.90 times the share of animals (low entropy 1.50, {said})" in w for w in words(tables))


def test_errors_are_over_scenes_and_of_differences():
    """Queries of one scene are alike: counted one by one they made errors too small."""
    made = Study(Translator(tiny("negcut", patches=16), "cpu"))
    made.similar = {(8, "in_image"): [0.1, 0.3, 0.5], (8, "generated"): [0.2, 0.4, 0.6]}
    inside, generated = made.negative_rows()
    assert inside["error"] == pytest.approx(1.96 * 0.2 / 3**0.5)
    assert generated["harder"] == pytest.approx(0.1) and generated["harder_error"] == pytest.approx(0, abs=1e-9)
    pairs = {"largest norm": [(0.1, 0.2), (0.3, 0.4)], "global": [(0.2, 0.2), (0.4, 0.4)]}
    made.shares = {(12, s, "–", "animals"): p for s, p in pairs.items()}
    norm, low = made.anchor_rows()
    assert (norm["over_norm"], norm["over_norm_error"]) == (0, 0)
    assert low["lift"] == pytest.approx(1) and low["error"] == pytest.approx(0)
    assert low["over_norm"] == pytest.approx(1 / 3) and low["over_norm_error"] > 0


def test_every_scene_counts_once(monkeypatch):
    monkeypatch.setattr(study, "SIZE", 64)
    made = Study(Translator(tiny("negcut", patches=16), "cpu"))
    made.add(0)
    made.add(1)
    assert {len(values) for values in made.similar.values()} == {2} == {len(v) for v in made.denominator.values()}


def test_study_needs_no_negative_generator(monkeypatch):
    monkeypatch.setattr(study, "SIZE", 64)
    made = Study(Translator(tiny("cut"), "cpu"), num=32)
    made.add(0)
    groups = {r["group"] for r in made.tables()["negatives"]}
    assert groups == {"positive", "in_image"}


def test_rank_correlation():
    x = torch.rand(50)
    assert abs(rank_correlation(x, x.exp()) - 1) < 1e-9 and abs(rank_correlation(x, -x) + 1) < 1e-9
    assert abs(rank_correlation(x, torch.rand(50))) < 0.5


def test_lag_names_the_reason_that_the_numbers_give():
    def reason(inside, shipped, on, free):
        row = {
            k: {"cosine": 0.1, "loss": l}
            for k, l in zip(("in_image", "shipped", "trained_on", "without_diversity"), (inside, shipped, on, free))
        }
        return " ".join(lag({"steps": 5, "layers": [{"layer": 4, **row}]}))

    assert "as hard as patches already" in reason(1, 2, 3, 3)
    assert "comes to be as hard as patches." in reason(2, 1, 3, 3) and "not ruled out" in reason(2, 1, 3, 3)
    assert "only without the diversity term" in reason(2, 1, 1.5, 3)
    assert "comes nearer" in reason(2, 1, 1.5, 1.5)
    assert "no nearer" in reason(2, 1, 1, 1) and "ruled out" not in reason(2, 1, 1, 1)
    assert lag(None) == []


def test_models_of_one_name_get_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "SIZE", 64)
    for family in ("a", "b"):
        save(tiny("cut"), tmp_path / family / "cut.safetensors")
    study.study(
        [str(tmp_path / f / "cut.safetensors") for f in "ab"], tmp_path / "out", count=1, device="cpu", progress=False
    )
    assert sorted(p.name for p in (tmp_path / "out").glob("*.md")) == ["a-cut.study.md", "b-cut.study.md"]
    assert "a-cut.study.png" in (tmp_path / "out" / "a-cut.study.md").read_text()
