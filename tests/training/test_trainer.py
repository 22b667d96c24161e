"""Training: settings, learning rates, stages, metrics, figures, updates that are not finite, exported weights."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from qsneg.config import PRESETS, ModelConfig, TrainConfig, build, trained_methods
from qsneg.training.commands import command
from qsneg.training.film import frame_steps, log_entropy
from qsneg.training.records import Losses
from qsneg.training.resuming import resume
from qsneg.training.trainer import Trainer
from qsneg.weights import load, read_metadata
from tests.conftest import run
from tests.training.runs import TINY, final, folder


@pytest.mark.parametrize("arguments, words", [
    (["nowhere"], "no data folder"), (["horse2zebra-drawn", "--method", "pix2pix"], "Unknown method 'pix2pix'"),
    (["horse2zebra-drawn", "--method", "cyclegan"], "CycleGAN is not trained here"),
    (["--resume"], "nothing to resume"), (["horse2zebra-drawn", "--crop", 130], "divisible by 4"),
])  # fmt: skip
def test_errors_on_the_command_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("train", *arguments, "--out", "run")
    assert code == 2 and words in err and err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_every_step_moves_what_it_should(tmp_path):
    model, config = build("negcut", steps=3, **TINY)
    trainer = Trainer(model, config, tmp_path)
    before = {k: v.clone() for k, v in trainer.method.state_dict().items()}
    x, y, _ = trainer.data[0]
    trainer.train_step(x, y)
    after = trainer.method.state_dict()
    for part in (
        "generator.model.1.",
        "heads.mlp_0.0.",
        "discriminator.model.0.",
        "negative_generator.mlp_0.0.",
        "slow_heads.mlp_0.0.",
    ):
        name = part + "weight"
        assert not torch.equal(before[name], after[name]), part
    slow, old, new = (
        s[f"{n}.mlp_4.2.weight"] for s, n in ((after, "slow_heads"), (before, "slow_heads"), (after, "heads"))
    )
    torch.testing.assert_close(slow, 0.9 * old + 0.1 * new)


class AsksTheDevice(TorchDispatchMode):
    """Notes what would make Python wait for a device: numbers, and sizes that depend on them."""

    WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal", "is_nonzero", "item"}

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if (name := function.overloadpacket.__name__) in self.WAITS:
            self.asked.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", trained_methods())
def test_a_step_asks_the_device_for_no_number(method, tmp_path, monkeypatch):
    """But for what Python must know, which is drawn on the CPU whatever the device."""
    monkeypatch.setattr("qsneg.attention.ASKED", set())  # as on CUDA
    monkeypatch.setattr("qsneg.methods.Draws.coin", lambda self: True)
    monkeypatch.setattr("qsneg.methods.Draws.corner", lambda self, free: (free, 0))
    trainer = Trainer(*build(method, **TINY | dict(steps=3, disc_crop=32, disc_noise=0.1)), tmp_path)
    (x, y, _), losses = trainer.data[0], Losses()
    trainer.train_step(x, y)
    with AsksTheDevice() as mode:
        losses.add(trainer.train_step(x, y))
    assert mode.asked == []
    with mode:
        float(x.sum())
    assert mode.asked == ["_local_scalar_dense"]  # it would have been noticed


def test_learning_rate_falls_over_the_second_half(tmp_path):
    trainer = Trainer(*build("cut", steps=100, **TINY), tmp_path)
    assert [trainer.learning_rate(s) for s in (0, 50, 75, 100)] == pytest.approx([2e-4, 2e-4, 1e-4, 0])
    slow = Trainer(*build("cut", steps=100, lr_disc=1e-5, **TINY), tmp_path)
    assert [slow.learning_rate(50, name) for name in ("G", "D")] == pytest.approx([2e-4, 1e-5])
    high = Trainer(*build("cut", steps=100, lr_end=0.25, **TINY), tmp_path)
    assert [high.learning_rate(s) for s in (50, 75, 100)] == pytest.approx([2e-4, 1.25e-4, 0.5e-4])
    with pytest.raises(ValueError, match="lr_end must lie from 0 to 1"):
        build("cut", lr_end=2, **TINY)
    fast = Trainer(*build("fastcut", steps=100, **TINY), tmp_path)
    assert [fast.learning_rate(s) for s in (75, 90)] == pytest.approx([2e-4, 0.8e-4])


def test_papers_defaults():
    model, train = build("cut")
    assert model == ModelConfig() and train == TrainConfig()
    assert (model.width, model.patches, model.dim, model.temperature) == (64, 256, 256, 0.07)
    assert (train.resize, train.crop, train.lr, train.beta1, train.beta2, train.average) == (
        286,
        256,
        2e-4,
        0.5,
        0.999,
        0.999,
    )
    assert build("fastcut")[0].nce_weight == 10 and build("cut")[0].nce_weight == 1
    small = build("cut", "small")
    assert (small[0].width, small[0].patches, small[1].crop) == (32, 128, 128)
    assert set(PRESETS) == {"paper", "small", "drawn", "debug"}
    with pytest.raises(ValueError, match="Unknown setting colour"):
        build("cut", colour=1)


def test_card_film_metrics_and_samples(tmp_path):
    model, config = build("qs-attn", **(TINY | dict(film=True, evaluate_every=5, steps=6, log_every=2, sample_every=3)))
    Trainer(model, config, tmp_path).run(progress=False)
    config_read, card = read_metadata(tmp_path / "model.safetensors")
    assert config_read == model
    assert card["steps"] == 6 and card["seed"] == 0 and card["data"] == "horse2zebra-drawn" and card["machine"]
    assert card["minutes"] >= 0 and {"step", "val_background", "val_luminance"} <= set(card["last"])
    assert card["best"]["val_background"] > 0
    lines = [json.loads(l) for l in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [l["step"] for l in lines] == [2, 4, 5, 6] and all(np.isfinite(l["G"]) for l in lines)
    assert [p.name for p in sorted((tmp_path / "samples").iterdir())] == ["0000003.jpg", "0000006.jpg"]
    film = np.load(tmp_path / "film" / "film.npz")
    steps = film["steps"].tolist()
    assert steps == frame_steps(6) == list(range(7))
    logs = log_entropy(film)
    assert logs.shape == (7, 4, 2, *film["grid"]) and film["anchors"].shape == (7, 4, 2, 256)
    assert film["layers"].tolist() == [12, 16]
    strip = Image.open(tmp_path / "film" / "0000006.webp")
    assert strip.size == (4 * 192, 192)
    height, width = film["grid"]
    chosen = logs[3, 0, 0].reshape(-1)[film["anchors"][3, 0, 0]]
    assert chosen.max() <= np.sort(logs[3, 0, 0].reshape(-1))[256]  # anchors are the lowest entropies
    assert len(set(film["anchors"][3, 0, 0].tolist())) == 256 and film["anchors"].max() < height * width
    raw = np.load(tmp_path / "film" / "0000003.npz")["log_entropy"].reshape(4, 2, height, width)
    span = np.ptp(raw, axis=(2, 3), keepdims=True)
    assert (np.abs(logs[3] - raw) <= span * 2 / 255).all()  # 256 steps, twice as wide at the lowest
    near = raw > raw.max((2, 3), keepdims=True) - span / 100
    assert (np.abs(logs[3] - raw) <= span * 2 / 2550)[near].all()  # and much finer near the highest


def test_starting_again_leaves_nothing_of_a_run_without_checkpoint(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "film").mkdir()
    (tmp_path / "film" / "0000007.npz").write_bytes(b"old")
    Trainer(*build("cut", steps=2, **(TINY | {"film": True})), tmp_path).run(progress=False)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert np.load(tmp_path / "film" / "film.npz")["steps"].tolist() == [0, 1, 2]


def test_other_data_are_a_stage_whose_figures_do_not_mix(tmp_path):
    """Drawn scenes first, then photographs: the card's figures are of the last data, its commands name both."""
    mine = folder(tmp_path / "mine")
    for letter in "AB":
        shutil.copytree(mine / f"train{letter}", mine / f"val{letter}")
    (mine / "valA" / "broken.png").write_bytes(b"no picture")
    settings = TINY | dict(evaluate_every=2)
    Trainer(*build("cut", steps=2, **settings), tmp_path / "run").run(progress=False)
    _, card = read_metadata(tmp_path / "run" / "model.safetensors")
    assert "val_background" in card["last"] and "stages" not in card
    resume(tmp_path / "run", data=str(mine), steps=4).run(progress=False)
    config, card = read_metadata(tmp_path / "run" / "model.safetensors")
    assert card["last"]["step"] == card["best"]["step"] == 4 and "val_swd" in card["last"]
    first, second = command(config, card).splitlines()
    assert "train horse2zebra-drawn --method cut" in first and "train mine --resume" in second


@pytest.mark.parametrize(
    "values, message",
    [
        (dict(log_every=0), "log_every must be at least 1"), (dict(batch=0), "batch must"), (dict(scenes=0), "scenes"),
        (dict(steps=-5), "steps must be"), (dict(seed=-1), "seed must be"), (dict(evaluate_every=-1), "evaluate_every"),
        (dict(disc_noise=float("nan")), "disc_noise must be"), (dict(lr=0.0), "learning rates"),
        (dict(lr=float("nan")), "learning rates"), (dict(decay=-1.0), "decay must lie"), (dict(average=2.0), "average"),
        (dict(resize_max=64), "resize_max must be 0 or at least"), (dict(temperature=0.0), "temperature must be"),
        (dict(slow_decay=5.0), "slow_decay must lie"), (dict(disc_crop=260), "disc_crop must be 0, or from 32 to the"),
        (dict(disc_crop=16), "disc_crop must be"), (dict(degrade=1.5), "degrade must lie from 0 to 1"),
    ],
)  # fmt: skip
def test_settings_out_of_range(values, message):
    with pytest.raises(ValueError, match=message):
        build("negcut", **values)


def test_noise_of_the_discriminator_falls_to_nothing(tmp_path):
    trainer = Trainer(*build("cut", steps=4, disc_noise=0.4, **TINY), tmp_path)
    seen = []
    trainer.method.step = lambda x, y, update, done: seen.append(done) or {}
    for x, y, _ in trainer.data:
        trainer.train_step(x, y)
        if trainer.step == 4:
            break
    assert trainer.method.disc_noise == 0.4 and seen == [0, 0.25, 0.5, 0.75]


def test_loss_weights_change_with_a_stage(tmp_path):
    Trainer(*build("negcut", steps=2, lambda_nce=1.5, **TINY), tmp_path).run(progress=False)
    resumed = resume(tmp_path, steps=4, lambda_nce=3.0)
    assert resumed.method.config.nce_weight == 3
    resumed.run(progress=False)
    config, card = read_metadata(tmp_path / "model.safetensors")
    assert (config.lambda_nce, card["stages"][0]["loss_weights"]["lambda_nce"]) == (3, 1.5)
    first, second = command(config, card).splitlines()
    assert "--lambda-nce 1.5" in first and "--lambda-nce 3.0" in second
    stage = card["stages"][0]
    stage["loss_weights"]["lambda_nce"] = None
    older = {k: v for k, v in stage["train_config"].items() if k != "degrade"}  # of a version without both
    card["stages"].insert(0, {"steps": 1, "train_config": older | {"lr": 1e-3}})
    lines = command(config, card).splitlines()
    assert ["--lambda-nce" in line for line in lines] == [False, False, True] and "degrade" not in "".join(lines)
    again = resume(tmp_path, steps=6)  # and stays
    assert again.method.config.nce_weight == 3


def test_a_further_stage(tmp_path):
    """A finished run goes on with other settings: steps, film and metrics continue, and the card tells both stages."""
    settings = TINY | {"film": True}
    Trainer(*build("cut", steps=3, lr=1e-3, **settings), tmp_path).run(progress=False)
    resumed = resume(tmp_path, steps=6, crop=96, resize=96, decay=0.5)
    assert [resumed.learning_rate(s) for s in (3, 6)] == [1e-3, 0]
    resumed.run(progress=False, stop_at=5)
    again = resume(tmp_path, device="cpu", workers=0)  # as it was: no stage of its own
    again.run(progress=False)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert {0, 1, 2, 3, 6} <= set(np.load(tmp_path / "film" / "film.npz")["steps"].tolist())
    config, card = read_metadata(tmp_path / "model.safetensors")
    assert (card["steps"], card["of_steps"], card["crop"]) == (6, 6, 96)
    assert [(s["steps"], s["train_config"]["crop"]) for s in card["stages"]] == [(3, 64)]
    first, second = command(config, card).splitlines()
    assert "train horse2zebra-drawn --method cut" in first and "--steps 3" in first and "--crop 64" in first
    assert "train --resume" in second and "--steps 6" in second and "--crop 96" in second
    assert "--width" in first and "--width" not in second
    for settings in ({"seed": 1}, {"width": 8}, {"patches": 7, "method": "cut"}, {"method": "negcut"}, {"depth": 2}):
        with pytest.raises(ValueError, match=f"keeps its {next(iter(settings))}"):
            resume(tmp_path, **settings)
    with pytest.raises(ValueError, match=r"its disc_width \(4\) and its patches \(16\) and its width \(4\): leave"):
        resume(tmp_path, preset="small")
    with pytest.raises(ValueError, match="at step 6, past 4"):
        resume(tmp_path, steps=4)


@pytest.mark.parametrize("method", ["cut", "negcut"])
def test_an_update_that_is_not_finite_is_skipped_counted_and_survived(method, tmp_path, capsys):
    trainer = Trainer(*build(method, steps=8, save_every=100, log_every=2, **TINY), tmp_path / "run")
    update, names = trainer.update, []

    def spoiled(name, loss):
        names.append(name)
        before = [p.clone() for p in trainer.groups[name]]
        update(name, loss * float("nan") if trainer.step == 3 else loss)
        assert any(not torch.equal(b, p) for b, p in zip(before, trainer.groups[name])) == (trainer.step != 3)

    trainer.update = spoiled
    trainer.run(progress=False)
    groups = len(trainer.groups)
    assert all(v.isfinite().all() for v in final(trainer).values())
    assert [int(s) for s in trainer.skipped.values()] == [1] * groups
    assert f"Skipped {groups} update(s)" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["skipped"] == groups


def test_gradients_that_stay_not_finite_end_the_run_with_advice_and_a_finite_checkpoint(tmp_path):
    trainer = Trainer(*build("cut", steps=60, save_every=1, log_every=1, **TINY), tmp_path / "run")
    update = trainer.update
    trainer.update = lambda name, loss: update(name, loss * float("nan") if trainer.step > 1 else loss)
    with pytest.raises(
        ValueError, match="discriminator were not finite, at step 27: go on from .* with a smaller --lr"
    ):
        trainer.run(progress=False)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert all(v.isfinite().all() for part in ("method", "average") for v in state[part].values())


def test_weights_are_kept_on_the_way_with_averages_of_all_networks(tmp_path):
    trainer = Trainer(*build("negcut", steps=6, keep=3, **TINY), tmp_path / "run")
    trainer.run(progress=False)
    assert [p.name for p in sorted((tmp_path / "run" / "kept").iterdir())] == [
        f"{n:07d}.safetensors" for n in (2, 4, 6)
    ]
    read = load(tmp_path / "run" / "kept" / "0000006.safetensors")
    assert (
        read.card["averaged"]
        == list(read.parts())
        == ["generator", "heads", "negative_generator", "slow_heads", "discriminator"]
    )
    for name, net in read.parts().items():
        averaged, raw = trainer.average.module[name].state_dict(), getattr(trainer.method, name).state_dict()
        for key, tensor in net.state_dict().items():
            assert torch.equal(tensor, averaged[key].half().float())
        assert any(not torch.equal(averaged[key], raw[key]) for key in raw)
