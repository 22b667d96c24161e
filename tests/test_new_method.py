"""A new method touches its class, its row in the table of methods and a colour: it then trains, ships and is seen."""

import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from qsneg import config, methods, weights
from qsneg.__main__ import cli
from qsneg.config import Method, Paper, build
from qsneg.evaluation.comparison import variants
from qsneg.inspect import inspect, observe, query
from qsneg.rendering import colormaps
from qsneg.sharing.hub_card import hub_card
from qsneg.training.resuming import resume
from qsneg.training.trainer import Trainer
from qsneg.translate import load
from qsneg.ui.about import about
from qsneg.ui.models import Models

PAPER = Paper("Toy", "A Toy for Contrast", "Nobody, 2026", "2601.00001")


class Toy(methods.NEGCUT, methods.QSAttn):
    """Selects queries and generates negatives."""


@pytest.fixture
def toy(monkeypatch):
    row = Method("Toy", PAPER, "toy", "Plays.", selects=True, generates=True, identity=False, lambda_nce=3.0, decay=1.0)
    monkeypatch.setitem(config.METHODS, "toy", row)
    monkeypatch.setitem(methods.CLASSES, "toy", Toy)
    monkeypatch.setitem(colormaps.COLOURS, "toy", "#123456")


def test_a_new_method_trains_ships_and_is_seen(toy, tmp_path):
    tiny = dict(width=4, disc_width=4, dim=8, patches=8, crop=32, resize=32, scenes=2, save_every=1, evaluate_every=0)
    settings = build("toy", "debug", **tiny, steps=2, autocast="off", device="cpu", film=False)
    trainer = Trainer(*settings, tmp_path / "run")
    trainer.run(progress=False, stop_at=1)
    trainer = resume(tmp_path / "run")
    assert trainer.decay == 1.0 and trainer.model.nce_weight == 3.0 and "N" in trainer.optimisers
    trainer.run(progress=False)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"NCE", "NCE_for_N"} <= lines[-1].keys() and "NCE_Y" not in lines[-1]

    folder = tmp_path / "checkpoints"
    path = folder / "toys" / "toy.safetensors"
    weights.save(weights.load(tmp_path / "run"), path)
    model = load(path, "cpu")
    assert model.title == "Toy" and type(methods.create(model.config)) is Toy
    assert f"Paper: [Toy]({PAPER.url})" in hub_card("somebody/toy", model.weights)

    view = observe(model, Image.new("RGB", (32, 32), "teal"))
    seen = inspect(view, layer=12, num_anchors=8)
    assert len(seen.negatives) == 8 and seen.loss.shape == seen.grid.shape
    assert len(query(view, 12, (1, 1), num=8).generated) == 8

    assert colormaps.colour_of("toy") == "#123456" and variants()["Toy local"] == dict(method="toy", attention="local")
    models = Models(folder, "cpu")
    assert models.families() == {"toys": ["toy"]} and PAPER.title in about(models)


def test_an_unknown_method_is_refused_with_the_tables_names(toy):
    with pytest.raises(ValueError, match=r"choose one of cut, .*fastnegcut, monce, hdce, toy\.$"):
        build("tou")
    with pytest.raises(ValueError, match=r"CycleGAN is not trained here.*fastnegcut, monce, hdce, toy\."):
        methods.create(config.ModelConfig(method="cyclegan"))


def test_every_row_has_a_colour_and_those_that_are_trained_a_class():
    assert {method.colour for method in config.METHODS.values()} <= colormaps.COLOURS.keys()
    assert [*methods.CLASSES] == config.trained_methods() == [*config.METHODS][:-1]
    assert config.main_methods() == ["cut", "qs-attn", "negcut", "monce", "hdce"]
    help = "".join(CliRunner().invoke(cli, ["train", "--help"]).stdout.replace("│", "").split())  # in a narrow box
    assert ",".join(config.trained_methods()) in help
