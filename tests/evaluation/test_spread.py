"""What a translation keeps, in figures, and how they spread over test pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from qsneg.config import DRAWN
from qsneg.evaluation import spread
from qsneg.image_io import to_tensor
from qsneg.inspect import inspect, observe
from qsneg.metrics.structure import edge_agreement, similarity_agreement
from qsneg.rendering import sample_pictures
from qsneg.translate import Translator
from qsneg.weights import save
from tests.conftest import run, tiny

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8))


def test_figures_are_those_of_the_metrics_and_of_the_loss_page():
    view = observe(Translator(tiny(), "cpu"), NOISE)
    found = spread.figures(view, NOISE)
    source, result = to_tensor(view.source), to_tensor(view.result)
    assert found["edges"] == pytest.approx(float(edge_agreement(source, result)))
    assert found["self_similarity"] == pytest.approx(float(similarity_agreement(source, result)))
    assert found["similarity"] == pytest.approx(float(inspect(view, 12).similarity.mean()), abs=1e-5)
    levels = np.abs(np.asarray(NOISE, float) - np.asarray(view.result, float))
    assert found["error"] == pytest.approx(levels.mean(), abs=1e-3)
    headless = tiny()
    headless.heads = None
    assert list(spread.figures(observe(Translator(headless, "cpu"), NOISE))) == ["edges", "self_similarity"]


def test_a_spread_is_written_beside_the_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "SIZE", 32)
    monkeypatch.setattr("qsneg.weights.FOLDER", tmp_path)
    for seed, method in enumerate(("cut", "qs-attn")):
        save(tiny(method, seed), path := tmp_path / "drawn" / f"{method}.safetensors")
        translator = Translator(tiny(method, seed), "cpu")
        assert spread.write(f"drawn/{method}", translator, DRAWN, 3) == path.with_suffix(".spread.json")
    one, other = (spread.read(tmp_path / "drawn" / f"{m}.safetensors") for m in ("cut", "qs-attn"))
    assert one["pictures"] == 3 and list(one["figures"]) == ["edges", "self_similarity", "similarity", "error"]
    scene, truth = (sample_pictures.scene(sample_pictures.test_seed(1), 32, d) for d in "AB")
    want = spread.figures(observe(Translator(tiny("cut", 0), "cpu"), scene, 32), truth)
    assert {n: v[1] for n, v in one["figures"].items()} == pytest.approx(want, abs=2e-3)  # weights are kept in float16
    low, high = spread.usual(one, "edges")
    assert min(one["figures"]["edges"]) <= low <= high <= max(one["figures"]["edges"])
    for name, figure in spread.FIGURES.items():
        pairs = zip(one["figures"][name], other["figures"][name])
        assert spread.compared(one, other, name) == (sum(figure.better * (a - b) > 0 for a, b in pairs), 3)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"data": "a", "pictures": 2, "figures": 3}', '{"figures": {}}'])
def test_what_is_no_spread_is_none(tmp_path, text):
    (tmp_path / "cut.spread.json").write_text(text)
    assert spread.read(tmp_path / "cut.safetensors") is None
    assert spread.read(tmp_path / "negcut.safetensors") is None


def test_spreads_of_other_pictures_are_not_compared():
    one = {"data": "a", "pictures": 2, "figures": {"edges": [0.1, 0.2]}}
    assert spread.compared(one, one | {"data": "b"}, "edges") is None
    assert spread.compared(one, one | {"figures": {"edges": [0.1]}}, "edges") is None
    assert spread.compared(one, one, "error") is None and spread.compared(one, one, "edges") == (0, 2)


def test_one_picture_has_no_spread(tmp_path):
    with pytest.raises(ValueError, match="2 pictures or more, not 1"):
        spread.write("x", Translator(tiny(), "cpu"), DRAWN, 1)
    with pytest.raises(ValueError, match="no pictures in testA"):
        spread.write("x", Translator(tiny(), "cpu"), str(tmp_path), 2)


def test_evaluate_writes_it_where_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "SIZE", 32)
    save(tiny(), weights := tmp_path / "cut.safetensors")
    ran = run("evaluate", weights, "--out", tmp_path / "out", "--count", 2, "--size", 32, "--spread", 2)
    assert ran.code == 0 and "cut.spread.json" in ran.out
    assert json.loads((tmp_path / "cut.spread.json").read_text())["pictures"] == 2
