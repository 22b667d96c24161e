"""What the version before wrote, and how it was called, still opens: weights, cards, films, runs, addresses.

tests/fixtures/before was made with commit 8a0b86d (four steps on drawn scenes, width 2); expected.npz holds its plain
translations of `ramp()`.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from qsneg.pages import recorded
from qsneg.sharing.cards import family_card
from qsneg.training.resuming import resume
from qsneg.translate import load
from qsneg.ui.about import about
from qsneg.ui.app import App
from qsneg.ui.models import Models
from qsneg.weights import find, read_metadata

BEFORE = Path(__file__).parent / "fixtures" / "before"
FOLDER = BEFORE / "checkpoints"
METHODS = ("cut", "qs-attn", "negcut")


def ramp() -> torch.Tensor:
    return (torch.arange(3 * 32 * 40).reshape(1, 3, 32, 40) % 97) / 48 - 1


@pytest.mark.parametrize("method", METHODS)
def test_weights_translate_as_they_did(method):
    model = load(f"horse2zebra-drawn/{method}", "cpu", FOLDER)
    expected = np.load(BEFORE / "expected.npz")[method]
    assert np.abs(model.translate_tensor(ramp()).numpy() - expected).max() < 1e-4
    assert expected.std() > 1e-3 and model.card["steps"] == model.card["of_steps"] == 4
    assert set(model.weights.parts()) >= {"generator", "heads"}


def test_cards_and_films_are_shown():
    text = about(Models(FOLDER, "cpu"))
    assert "horse2zebra-drawn" in text and all(title in text for title in ("CUT", "QS-Attn", "NEGCUT"))
    _, card = read_metadata(find("horse2zebra-drawn/cut", FOLDER))
    assert card["data"] == "horse2zebra-drawn" and card["train_config"]["steps"] == 4
    found = {m: read_metadata(find(f"horse2zebra-drawn/{m}", FOLDER)) for m in METHODS}
    assert "QS-Attn" in family_card(FOLDER / "horse2zebra-drawn", found)
    films = recorded.load(FOLDER / "horse2zebra-drawn", ["cut"])
    assert len(films["cut"].strips) == 5 and films["cut"].anchors.shape[:3] == (5, 4, 2)


def test_a_run_goes_on(tmp_path):
    shutil.copytree(BEFORE / "run", tmp_path / "run")
    trainer = resume(tmp_path / "run", steps=6)
    assert trainer.step == 4 and trainer.model.method == "negcut"
    trainer.run(progress=False)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    _, card = read_metadata(tmp_path / "run" / "model.safetensors")
    assert card["steps"] == 6 and card["stages"][0]["steps"] == 4


def test_endpoints_keep_their_names_and_the_order_of_their_values(tmp_path, monkeypatch):
    """New values come after the old ones and are not needed (see tests/ui/test_odd_calls.py)."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    now = App(Models(FOLDER, "cpu")).build().get_api_info()["named_endpoints"]
    for name, before in json.loads((BEFORE / "endpoints.json").read_text()).items():
        parameters = now[name]["parameters"]
        names = [p["parameter_name"] for p in parameters]
        assert names[: len(before["parameters"])] == before["parameters"]
        assert len(now[name]["returns"]) >= before["returns"]
        assert all(p["parameter_has_default"] for p in parameters[len(before["parameters"]) :])
