"""The study: regions, selections, tables and words, on cases whose answer is known."""

import json

import numpy as np
import torch

from qsneg.data import drawn_scenes
from qsneg.evaluation import study
from qsneg.evaluation.study import Study, cell_labels, markdown, near_border, rank_correlation, selections, words
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
    assert labels[10, 20] == drawn_scenes.label_map(seed, 256)[42, 82]


def test_planted_anchors_are_found():
    """Positions with large features attend to themselves alone: their entropy is lowest."""
    torch.manual_seed(0)
    f = torch.randn(1, 8, 16, 16) * 0.1
    planted = torch.arange(40, 60)
    f.view(1, 8, -1)[:, :, planted] = torch.randn(1, 8, 20).sign() * torch.linspace(1.5, 2, 20)
    chosen = selections(f, 20, 7, 0)
    assert set(chosen["global", "log-entropy"]) == set(planted.tolist())
    assert len(set(chosen["random", "–"]) & set(planted.tolist())) < 10
    assert set(chosen["largest norm", "–"]) == set(planted.tolist())
    assert (chosen["local", "plain"] == chosen["local+global", "plain"]).all()


def test_tables_words_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "SIZE", 64)
    monkeypatch.setattr(study, "CATCH_UP", dict(steps=2, train=2, test=1))
    save(tiny("negcut", patches=16), tmp_path / "negcut.safetensors")
    study.study([str(tmp_path / "negcut.safetensors")], tmp_path / "out", count=2, device="cpu", progress=False)
    tables = json.loads((tmp_path / "out" / "negcut.study.json").read_text())
    assert tables["scenes"] == 2
    rows = {(r["layer"], r["selection"], r["ranking"], r["region"]): r for r in tables["anchors"]}
    assert len(rows) == 2 * (2 + 3 * 2) * 2
    for r in rows.values():
        assert 0 <= r["share_of_anchors"] <= 1 and abs(r["lift"] * r["share_of_area"] - r["share_of_anchors"]) < 1e-9
    every = rows[12, "random", "–", "borders"]  # 256 of 256 cells: all are chosen, so nothing is gained
    assert abs(every["lift"] - 1) < 1e-6
    shares = [
        r["share_of_denominator"]
        for r in tables["negatives"]
        if r["layer"] == 16 and r["share_of_denominator"] is not None
    ]
    assert abs(sum(shares) - 1) < 1e-3 and len(shares) == 3
    assert [r["layer"] for r in tables["catch_up"]["layers"]] == [0, 4, 8, 12, 16]
    text = (tmp_path / "out" / "negcut.study.md").read_text()
    assert "Does the negative generator lag?" in text
    assert "as often as chance" in text and (tmp_path / "out" / "negcut.study.png").stat().st_size > 5000


def test_words_say_whatever_is_true():
    def table(lift, made, inside):
        anchors = [
            dict(
                layer=12,
                selection=s,
                ranking=k,
                region=r,
                share_of_anchors=0.2 * lift,
                share_of_area=0.2,
                lift=lift,
                error=0.1,
            )
            for s in ("global", "local")
            for k in ("log-entropy", "plain")
            for r in ("animals", "borders")
        ]
        anchors += [dict(a, selection="largest norm", ranking="–") for a in anchors[:2]]
        negatives = [
            dict(layer=12, group=g, cosine=c, error=0.01, share_of_denominator=0.5)
            for g, c in (("in_image", inside), ("generated", made))
        ]
        centre = [dict(layer=12, group=g, cosine=made) for g in ("in_image", "generated")]
        return dict(
            anchors=anchors,
            negatives=negatives,
            cosine_to_mean=centre,
            norm_rank_correlation={"12": -lift / 2.1},
            underflow_share={"12": 0.1},
            scenes=2,
            entropy_by_label_ln_nats=[],
        )

    assert any("more often than chance" in w for w in words(table(2.0, 0.5, 0.1), "x"))
    assert any("they are harder" in w for w in words(table(2.0, 0.5, 0.1), "x"))
    assert any("little else than a large feature" in w for w in words(table(2.0, 0.9, 0.1), "x"))
    assert any("close to the mean" in w for w in words(table(2.0, 0.9, 0.1), "x"))
    assert any("alone does not make entropy low" in w for w in words(table(0.5, 0.1, 0.5), "x"))
    assert any("less often than chance" in w for w in words(table(0.5, 0.1, 0.5), "x"))
    assert any("they are easier" in w for w in words(table(0.5, 0.1, 0.5), "x"))
    assert any("no harder and no easier" in w for w in words(table(1.05, 0.1, 0.105), "x"))
    assert all("as often as chance" in w or "Layer 12" in w for w in words(table(1.05, 0.1, 0.1), "x"))
    assert "| 12 | global | plain |" in markdown(table(2.0, 0.5, 0.1), "x", "CUT")


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
        return study.lag({"steps": 5, "layers": [{"layer": 4, **row}]})[0]

    assert "had not lagged" in reason(1, 2, 3, 3)
    assert "only lagged" in reason(2, 1, 3, 3)
    assert "diversity term holds" in reason(2, 1, 1.5, 3)
    assert "explains a part" in reason(2, 1, 1.5, 1.5)
    assert "cannot do better" in reason(2, 1, 1, 1)
    assert study.lag(None) == []


def test_models_of_one_name_get_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "SIZE", 64)
    for family in ("a", "b"):
        save(tiny("cut"), tmp_path / family / "cut.safetensors")
    study.study(
        [str(tmp_path / f / "cut.safetensors") for f in "ab"], tmp_path / "out", count=1, device="cpu", progress=False
    )
    assert sorted(p.name for p in (tmp_path / "out").glob("*.md")) == ["a-cut.study.md", "b-cut.study.md"]
    assert "a-cut.study.png" in (tmp_path / "out" / "a-cut.study.md").read_text()
