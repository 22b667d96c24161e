"""The comparison in miniature: runs are trained once, go on after a stop, and end up in one table."""

import json
from pathlib import Path

import pytest
import torch

from qsneg import weights
from qsneg.evaluation import comparison, evaluate
from qsneg.evaluation.comparison import configure, finish, run_folder, spread
from qsneg.training.trainer import Trainer
from qsneg.weights import Weights, read_metadata, save
from tests.data.test_labelled import street


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Two methods, pictures of 32 pixels, one shipped model."""
    few = {k: comparison.variants()[k] for k in ("CUT", "QS-Attn local+global")}
    monkeypatch.setattr(comparison, "variants", lambda: few)
    monkeypatch.setattr(evaluate, "SIZE", 32)
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "checkpoints")
    torch.manual_seed(0)
    model, _ = configure("CUT", 1, 0, "debug")
    shipped = Weights.empty(model)
    shipped.card = {"data": "horse2zebra-drawn", "steps": 800, "minutes": 5}
    save(shipped, tmp_path / "checkpoints" / "family" / "cut.safetensors")
    return tmp_path / "out"


def go(out, **settings):
    return comparison.miniature(
        out, **(dict(steps=2, seeds=2, preset="debug", count=2, device="cpu", progress=False) | settings)
    )


def test_all_of_it_twice(small, monkeypatch):
    table = go(small)
    assert [(r["method"], r["seed"], r["steps"]) for r in table["runs"]] == [
        (m, s, 2) for s in (0, 1) for m in comparison.variants()
    ]
    assert [r["name"] for r in table["shipped"]] == ["family/cut"]
    text = (small / "miniature.md").read_text()
    cut = next(line for line in text.splitlines() if line.startswith("| CUT |"))
    values = [r["background"] for r in table["runs"] if r["method"] == "CUT"]
    assert (
        f"{sum(values) / 2:.3f} ± {abs(values[0] - values[1]) / 2**0.5:.3f}" in cut
        and "2 × 2 steps" in cut
        and cut.endswith("horse→zebra 45.5, cat→dog 76.2 |")
    )
    assert "| family/cut | 1 × 800 steps, 5 min, shipped |" in text and "clean-fid" in text
    assert (
        json.loads((small / "miniature.json").read_text()) == table and (small / "miniature.png").stat().st_size > 5000
    )
    assert (small / "examples.png").stat().st_size > 5000
    monkeypatch.setattr(Trainer, "run", lambda *_: pytest.fail("trained again"))
    again = go(small)
    for old, new in zip(table["runs"], again["runs"]):
        assert {**new, "milliseconds": 0} == {**old, "milliseconds": 0}
    with pytest.raises(ValueError, match="holds a run with steps 2 instead of 1"):
        go(small, steps=1)


def test_one_method_with_one_seed_more(small):
    table = go(small, seeds=1, again=["CUT"])
    assert [(r["method"], r["seed"]) for r in table["runs"]] == [("CUT", 0), ("QS-Attn local+global", 0), ("CUT", 1)]
    text = (small / "miniature.md").read_text()
    cut, other = (next(l for l in text.splitlines() if l.startswith(f"| {name} |")) for name in comparison.variants())
    assert "2 × 2 steps" in cut and " ± " in cut and "1 × 2 steps" in other and " ± " not in other
    assert "1 seed(s) (CUT: one more)" in text


def test_a_second_seed_by_itself(small):
    table = go(small, seeds=1, seed=1)
    assert [(r["method"], r["seed"]) for r in table["runs"]] == [("CUT", 1), ("QS-Attn local+global", 1)]
    assert "preset `debug`, 1 seed(s) from 1 on; mean" in (small / "miniature.md").read_text()
    assert (small / "examples.png").stat().st_size > 5000  # of the seed that there is
    assert not run_folder(small, "CUT", 0).exists()


def test_a_larger_budget_later(small):
    assert [r["stages"] for r in go(small, seeds=1)["runs"]] == [[], []]
    assert "Every method: 2 steps, preset" in (small / "miniature.md").read_text()
    assert [(r["steps"], r["stages"]) for r in go(small, seeds=1, steps=3)["runs"]] == [(3, [2])] * 2
    assert "Every method: 3 steps (a stage to 2, the next from there), preset" in (small / "miniature.md").read_text()
    table = go(small, steps=3)  # the second seed is trained in one go: the budgets are not quite alike
    assert [r["stages"] for r in table["runs"]] == [[2], [2], [], []]
    assert "Every method: 3 steps (their stages differ), preset" in (small / "miniature.md").read_text()


def test_a_larger_budget_while_a_smaller_one_was_stopped(small, monkeypatch):
    """Stopped on the way from 2 to 3 steps, then 4 asked for: every run goes to 3 first, and all are alike."""
    go(small, seeds=1)
    run, runs = Trainer.run, []

    def stop_in_the_second(trainer, progress):
        runs.append(trainer)
        run(trainer, progress, stop_at=None if len(runs) == 1 else trainer.step)
        if len(runs) == 2:
            trainer.save()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "run", stop_in_the_second)
        go(small, seeds=1, steps=3)
    table = go(small, seeds=1, steps=4)
    assert [(r["steps"], r["stages"]) for r in table["runs"]] == [(4, [2, 3])] * 2
    with pytest.raises(ValueError, match="steps 4 instead of 3"):
        go(small, seeds=2, steps=3)
    assert not run_folder(small, "CUT", 1).exists()  # all is checked before anything is trained


def test_a_stopped_run_goes_on(tmp_path):
    settings = configure("CUT", 6, 0, "debug", "cpu")
    Trainer(*settings, tmp_path / "a").run(progress=False, stop_at=5)
    path = finish(tmp_path / "a", *settings, progress=False)
    assert read_metadata(path)[1]["steps"] == 6
    path.unlink()  # killed between the checkpoint and the weights
    assert read_metadata(finish(tmp_path / "a", *settings, progress=False))[1]["steps"] == 6


def test_equal_budget_and_the_papers_settings():
    configs = {name: configure(name, 3000, 1) for name in comparison.variants()}
    assert len({train for _, train in configs.values()}) == 1  # the same data, steps and sizes for all
    train = configs["CUT"][1]
    assert (train.steps, train.seed, train.resize, train.crop) == (3000, 1, 128, 128)
    assert len({model for model, _ in configs.values()}) == len(configs)
    assert {"CUT", "FastCUT", "QS-Attn local", "NEGCUT"} < configs.keys() and "FastNEGCUT" not in configs
    assert run_folder(Path("o"), "QS-Attn local+global", 2) == Path("o/runs/qs-attn-local+global-2")


def test_spread():
    rows = [{"swd": 1.0, "fid": 50.0}, {"swd": 3.0, "fid": 50.0}]
    assert spread(rows) == pytest.approx({"swd": 2.0, "swd_error": 2**0.5, "fid": 50.0, "fid_error": 0.0})
    assert spread(rows[:1]) == {"swd": 1.0, "fid": 50.0}
    alone = {"kid_lite0": 492.5, "kid_lite0_error": 39.8}
    assert spread([alone]) == alone


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(seeds=0), "number of seeds"),
        (dict(steps=0), "number of steps"),
        (dict(preset="no"), "Unknown preset"),
        (dict(again=["No"]), "no method 'No'"),
        (dict(again=["CUT"], methods=["QS-Attn local+global"]), "name it with --only"),
    ],
)
def test_one_sentence_each(small, settings, message):
    with pytest.raises(ValueError, match=message):
        go(small, **settings)
    assert not small.exists()


def test_a_folder_with_maps_of_classes(small, tmp_path, monkeypatch):
    """Its segmenter is trained once; the truth is scored by it, and compared with no distance to itself."""
    monkeypatch.setattr(comparison, "STREET_STEPS", 2)
    data = street(tmp_path / "street", side=64)
    table = go(small, data=str(data), seeds=1, methods=["CUT"], count=None)
    assert table["data"] == "street" and [r["method"] for r in table["runs"]] == ["CUT"] and table["shipped"] == []
    truth = next(row for row in table["bounds"] if row["name"] == "true counterpart")
    assert {"pixel_accuracy", "class_accuracy", "mean_iou"} < truth.keys() and not truth.keys() & {"swd", "frechet"}
    assert table["runs"][0]["pixel_accuracy"] >= 0 and table["runs"][0]["swd"] > 0
    text = (small / "miniature.md").read_text()
    assert "table 1 of CUT's paper" in text and "pixel acc. 68.8" in text and "3 training pictures of street" in text
    written = (small / "segmenter.safetensors").stat().st_mtime_ns
    go(small, data=str(data), seeds=1, methods=["CUT"], count=None)
    assert (small / "segmenter.safetensors").stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="holds a run with data"):
        go(small, seeds=1, methods=["CUT"])
    with pytest.raises(ValueError, match="no method 'cut' to compare: choose from CUT; QS-Attn local"):
        go(small, seeds=1, methods=["cut"])
