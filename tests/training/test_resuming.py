"""Going on with a run of which only the exported weights are left, such as shipped ones."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from qsneg.sharing import cards
from qsneg.training.commands import command
from qsneg.training.film import gather
from qsneg.training.resuming import resume
from qsneg.training.trainer import Trainer
from qsneg.weights import load, save
from tests.conftest import run
from tests.training.runs import tiny


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """What a family has of a run: weights, metrics, film."""
    out = tmp_path_factory.mktemp("run")
    tiny(out / "whole", "negcut", steps=4, film=True, log_every=2).run(progress=False)
    for name in ("model.safetensors", "metrics.jsonl"):
        shutil.copy(out / "whole" / name, out / name)
    shutil.copytree(out / "whole/film", out / "film", ignore=shutil.ignore_patterns("[0-9]*.npz"))
    shutil.rmtree(out / "whole")
    return out


@pytest.fixture
def folder(shipped, tmp_path):
    return shutil.copytree(shipped, tmp_path / "run")


def test_every_network_begins_as_its_average_was_exported(folder):
    weights, trainer = load(folder), resume(folder, steps=6)
    for name, network in weights.parts().items():
        for there in (getattr(trainer.method, name), trainer.average.module[name]):
            assert all(torch.equal(there.state_dict()[k], v) for k, v in network.state_dict().items()), name
    assert trainer.step == 4 and trainer.steps == 6
    assert not trainer.optimisers["G"].state_dict()["state"]


def test_settings_may_be_said_again_as_they_are(folder):
    weights = load(folder)
    again = vars(weights.config) | {"seed": weights.card["train_config"]["seed"]}
    assert resume(folder, steps=6, **again).model == weights.config


def test_steps_metrics_film_and_stages_go_on(folder):
    before = dict(np.load(folder / "film/film.npz"))
    resume(folder, steps=6, lr=1e-4).run(progress=False)
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6]
    gather(folder / "film")
    after = dict(np.load(folder / "film/film.npz"))
    assert after["steps"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.array_equal(after["anchors"][:5], before["anchors"])
    assert np.abs(after["below"][:5].astype(int) - before["below"]).max() <= 1  # steps of 256
    weights = load(folder)
    assert weights.card["steps"] == 6 and weights.card["minutes"] >= 0
    (stage,) = weights.card["stages"]
    assert stage["steps"] == 4 and stage["goes_on_from"] == "its weights" and stage["machine"]
    first, second = command(weights.config, weights.card).splitlines()
    assert "--resume" not in first and "--steps 4" in first
    assert "--resume" in second and "--lr 0.0001" in second and second.endswith("alone, without its checkpoint.pt")


def test_from_there_on_it_has_a_checkpoint_and_goes_on_exactly(folder, tmp_path):
    whole = shutil.copytree(folder, tmp_path / "other")
    resume(whole, steps=8, save_every=1).run(progress=False)
    resume(folder, steps=8, save_every=1).run(progress=False, stop_at=6)
    assert (folder / "checkpoint.pt").is_file()
    resume(folder).run(progress=False)
    one, other = (load(out).parts() for out in (whole, folder))
    assert all(torch.equal(v, other[n].state_dict()[k]) for n in one for k, v in one[n].state_dict().items())
    assert len(load(folder).card["stages"]) == 1


def test_the_card_names_every_machine_in_its_order(folder, monkeypatch):
    """Within a stage, from its checkpoint, and from stage to stage; once where it stayed."""

    def on(machine, **settings):
        monkeypatch.setattr("qsneg.device.machine", lambda device: machine)
        resume(folder, **settings).run(progress=False)
        return cards.machines(load(folder).card)

    first = load(folder).card["machine"]
    assert on("a CPU", steps=8, save_every=1) == f"{first}, then a CPU"
    assert on("a CPU", steps=9) == f"{first}, then a CPU"
    resume(folder, steps=12).run(progress=False, stop_at=10)
    assert on("a GPU") == f"{first}, then a CPU, then a GPU"  # the same stage, elsewhere
    assert on("a Mac", steps=13, lr=1e-4) == f"{first}, then a CPU, then a GPU, then a Mac"
    assert load(folder).card["machine"] == "a Mac"


def without(folder, part):
    weights = load(folder)
    setattr(weights, part, None)
    save(weights, folder / "model.safetensors")


def unsaid(folder, part):
    weights = load(folder)
    del weights.card[part]
    save(weights, folder / "model.safetensors")


@pytest.mark.parametrize("spoil, part, words", [
    (without, "discriminator", "has no discriminator"), (without, "heads", "has no heads"),
    (unsaid, "train_config", "does not say how it was trained"), (unsaid, "steps", "does not say how it was trained"),
])  # fmt: skip
def test_weights_that_training_cannot_go_on_from(spoil, part, words, folder):
    spoil(folder, part)
    code, _, err = run("train", "--resume", "--steps", 6, "--out", folder)
    assert code == 2 and words in err and err.count("\n") == 1
    assert not (folder / "checkpoint.pt").exists()


def test_it_is_said(folder):
    code, out, _ = run("train", "--resume", "--steps", 5, "--out", folder)
    assert code == 0 and "There is no checkpoint.pt: from the weights of step 4, with new optimisers" in out
    code, out, _ = run("train", "--resume", "--steps", 6, "--out", folder)
    assert code == 0 and "There is no checkpoint.pt" not in out


def test_the_end_says_which_weights_are_the_best(folder, monkeypatch):
    monkeypatch.setattr(Trainer, "best", lambda self: {"step": 4, "val_swd": 0.5})
    code, out, _ = run("train", "--resume", "--steps", 5, "--out", folder)
    assert code == 0 and f"Weights: {folder / 'model.safetensors'}, of step 5." in out
    assert f"The best on validation pictures, of step 4: {folder / 'best.safetensors'}." in out


def test_a_finished_run_needs_more_steps(folder):
    code, out, _ = run("train", "--resume", "--out", folder)
    assert code == 0 and re.search(r"to go on, give it more, such as `train --resume --out \S+ --steps \d+`", out)
