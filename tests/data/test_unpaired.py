"""Pictures for training: batches of a folder, bad data, worker processes, degraded inputs."""

import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.config import TrainConfig, build
from qsneg.data.unpaired import Unpaired, check_folder
from qsneg.training.trainer import Trainer
from tests.training.runs import TINY, final, folder, same


def config(data, **values) -> TrainConfig:
    return TrainConfig(data=str(data), crop=64, resize=72, **values)


def test_folder_batches(tmp_path):
    data = Unpaired(config(folder(tmp_path), batch=3))
    x, y, broken = data[0]
    assert x.shape == y.shape == (3, 3, 64, 64) and broken == []
    assert -1 <= x.min() < -0.5 and 0.5 < x.max() <= 1
    assert torch.equal(x, data[0][0]) and not torch.equal(x, data[1][0])
    assert data.epoch() == 1


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda f: [p.unlink() for p in (f / "trainB").iterdir()] and (f / "trainB").rmdir(), "has no folder 'trainB'"),
        (lambda f: [p.unlink() for p in (f / "trainA").iterdir()], "holds no pictures"),
        (lambda f: (f / "trainA" / "0.png").write_bytes(b"no picture"), "cannot be read: '.*0.png'; remove"),
        (
            lambda f: Image.new("RGB", (63, 90)).save(f / "trainB" / "1.png"),
            r"crop of 64 pixels: '.*1.png' \(63×90\); remove",
        ),
    ],
)
def test_bad_folders_get_one_sentence(spoil, message, tmp_path):
    spoil(folder(tmp_path))
    with pytest.raises(ValueError, match=message) as error:
        Trainer(*build("cut", **(TINY | dict(data=str(tmp_path)))), tmp_path / "run")
    assert "\n" not in str(error.value)


def test_broken_picture_met_later_is_skipped_counted_and_named(tmp_path, capsys):
    data = folder(tmp_path / "data")
    whole = (data / "trainA" / "1.png").read_bytes()
    (data / "trainA" / "1.png").write_bytes(whole[: len(whole) // 2])  # the header is good
    Trainer(*build("cut", **(TINY | dict(data=str(data), steps=4))), tmp_path / "run").run(progress=False)
    assert "1 picture(s) could not be read and were skipped" in capsys.readouterr().err
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["broken"] == 1


def test_worker_processes_see_the_same_pictures(tmp_path):
    a, b = (Trainer(*build("cut", **(TINY | dict(steps=2, workers=w))), tmp_path / str(w)) for w in (0, 1))
    a.run(progress=False)
    b.run(progress=False)
    assert same(final(a), final(b))


def test_pictures_travel_to_processes_that_are_not_forked(tmp_path):
    for config_ in (build("cut", **TINY)[1], config(folder(tmp_path))):
        data = Unpaired(config_)
        x = data[0][0]
        assert torch.equal(pickle.loads(pickle.dumps(data))[0][0], x) and torch.equal(data[0][0], x)


def test_hidden_files_are_no_pictures(tmp_path):
    (folder(tmp_path) / "trainA" / "._0.png").write_bytes(b"of a Mac")
    assert len(check_folder(tmp_path, 64)["trainA"]) == 2


def test_degraded_crops_are_of_domain_a_and_as_often_as_said():
    clean, half = (Unpaired(build("cut", degrade=d, **TINY)[1]) for d in (0, 0.5))
    changed = []
    for (x, y, _), (worse, equal, _) in ((clean[i], half[i]) for i in range(40)):
        assert torch.equal(y, equal) and worse.shape == x.shape
        changed.append(not torch.equal(x, worse))
        assert (x - worse).abs().mean() < 0.2  # still the same picture
    assert 10 <= sum(changed) <= 30
    i = changed.index(True)
    sharp, soft = ((t - torch.nn.functional.avg_pool2d(t, 3, 1, 1)).abs().mean() for t in (clean[i][0], half[i][0]))
    assert soft < sharp


def test_pictures_too_large_are_refused_by_their_headers(tmp_path, monkeypatch):
    from qsneg import memory_limits

    for domain in ("trainA", "trainB"):
        (tmp_path / domain).mkdir()
        Image.new("1", (12_000, 12_000)).save(tmp_path / domain / "large.png")
    monkeypatch.setattr(memory_limits, "free_bytes", lambda device: 100_000_000)
    with pytest.raises(ValueError, match="large.png': Reading a picture of 12000×12000 pixels needs about"):
        check_folder(tmp_path, 64)


# --- as the papers' code does it, where asked ---


def test_squashed_pictures_show_all_of_their_long_side(tmp_path):
    """A picture 3 times as wide as high, its thirds black, grey and white."""
    stripes = np.repeat(np.array([0, 128, 255], np.uint8), 80)[None, :, None].repeat(80, 0).repeat(3, 2)
    for domain in ("trainA", "trainB"):
        (tmp_path / domain).mkdir()
        Image.fromarray(stripes).save(tmp_path / domain / "0.png")
    settings = dict(data=str(tmp_path), crop=64, resize=64)
    for squash, thirds in ((True, 3), (False, 2)):
        data = Unpaired(TrainConfig(squash=squash, **settings))
        for step in range(8):
            x, _, _ = data[step]
            values = {round(float(v), 1) for v in x[0, 0, 32].reshape(-1, 8).mean(1)}
            seen = sum(any(abs(v - third) < 0.05 for v in values) for third in (-1, 0, 1))
            assert seen == 3 if squash else seen <= thirds


def test_pictures_are_not_rescaled_while_the_learning_rate_falls(tmp_path):
    """Brought to the crop's own size from the step from which the rate falls, and only where asked."""
    pictures = folder(tmp_path / "data", sizes=((96, 96),))
    values = TINY | dict(data=str(pictures), steps=10, decay=0.4, flip=False)
    trainer = Trainer(*build("cut", **values, unscaled_end=True), tmp_path / "run")
    falls = [trainer.learning_rate(step) < trainer.config.lr for step in range(10)]
    assert trainer.data.unscaled_from == 6 and falls.index(True) == 7  # at step 6 the whole rate is left, and it turns
    sizes = []
    for domain in trainer.data.domains:
        domain.picture = lambda at, short, inner=domain.picture: sizes.append(short) or inner(at, short)
    for step in range(10):
        trainer.data[step]
    c = trainer.config
    assert sizes == [c.resize] * 12 + [c.crop] * 8
    assert Trainer(*build("cut", **values), tmp_path / "other").data.unscaled_from is None
