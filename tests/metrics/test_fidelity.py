"""Distances between sets of features: analytic answers, and a tiny network in Inception's place."""

import math
import sys

import numpy as np
import pytest
import torch
from torch import nn

from qsneg.data.drawn_scenes import draw
from qsneg.image_io import from_bytes
from qsneg.metrics import fidelity

ZEBRA = 340  # of ImageNet's classes


class Tiny(nn.Module):
    """Mean colour and its spread, from uint8 pictures."""

    def forward(self, x):
        assert x.dtype == torch.uint8
        x = x.float() / 255
        return (torch.cat([x.mean((2, 3)), x.std((2, 3))], 1),)


def test_frechet_of_gaussians():
    d = lambda *v: torch.diag(torch.tensor(v))  # noqa: E731
    zero = torch.zeros(2)
    assert fidelity.gaussian_frechet(zero, d(1.0, 4.0), torch.tensor([3.0, 4.0]), d(9.0, 1.0)) == pytest.approx(
        25 + 4 + 1
    )
    one = [torch.tensor(v) for v in (0.0, 4.0, 1.0, 9.0)]
    assert fidelity.gaussian_frechet(*one) == pytest.approx(1 + 1)
    turn = torch.tensor([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]])
    a, b = d(1.0, 4.0), turn @ d(9.0, 1.0) @ turn.T  # they do not commute: tr √(AB) of 2×2 is √(tr AB + 2 √det AB)
    expected = 5 + 10 - 2 * math.sqrt(float((a @ b).trace()) + 2 * math.sqrt(4 * 9))
    assert fidelity.gaussian_frechet(zero, a, zero, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_samples():
    torch.manual_seed(0)
    a = torch.randn(4000, 3)
    assert fidelity.frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert fidelity.frechet(a, 2 * torch.randn(4000, 3) + 1) == pytest.approx(3 + 3, rel=0.08)
    with pytest.raises(ValueError, match="3 features needs more pictures than 3"):
        fidelity.frechet(a, a[:3])


def test_fid_and_kid_with_a_network_put_in():
    torch.manual_seed(0)
    real, same, dark = torch.rand(60, 3, 8, 8), torch.rand(50, 3, 8, 8), torch.rand(50, 3, 8, 8) * 0.5 - 1
    r, s, k = (fidelity.features(Tiny(), x) for x in (real, same, dark))
    assert r.shape == (60, 6)
    state = torch.get_rng_state()
    near, far = fidelity.fid_and_kid(s, r), fidelity.fid_and_kid(k, r)
    assert near["fid"] == pytest.approx(fidelity.frechet(s, r), rel=1e-4)  # torchmetrics' and ours
    assert far["fid"] > 100 * near["fid"]
    assert abs(near["kid"]) < near["kid_error"] and far["kid"] > 10 * far["kid_error"]
    assert fidelity.fid_and_kid(s, r) == near and torch.equal(state, torch.get_rng_state())  # drawn alike, and apart
    with pytest.raises(ValueError, match="at least 4 pictures"):
        fidelity.fid_and_kid(s[:3], r)


def test_subsets_are_smaller_than_the_sets():
    assert [fidelity.subset_size(*n) for n in ((4, 9), (60, 40), (500, 140))] == [2, 20, 50]


def test_inception_that_cannot_be_had(tmp_path, monkeypatch):
    with monkeypatch.context() as m:
        m.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
        with pytest.raises(ValueError, match="torch-fidelity, which is not installed"):
            fidelity.inception()
    pytest.importorskip("torch_fidelity")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="--inception download"):
        fidelity.inception()
    with pytest.raises(FileNotFoundError, match="There is no file"):
        fidelity.inception(tmp_path / "nothing.pth")
    for name, content in (("junk.pth", b"junk"), ("other.pth", None)):
        (tmp_path / name).write_bytes(content) if content else torch.save({"weight": torch.zeros(2)}, tmp_path / name)
        with pytest.raises(ValueError, match="does not hold the weights") as error:
            fidelity.inception(tmp_path / name)
        assert "\n" not in str(error.value)


def test_features_of_efficientnet_lite0():
    """The packages' weights know a class of ImageNet; KID of halves of one set is 0 within its spread."""
    pytest.importorskip("efficientnet_lite_pytorch")
    network = fidelity.lite0()
    animals = [draw(seed, 128, "B") for seed in range(24)]
    pictures = torch.from_numpy(np.stack(animals)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        found = network(pictures[:2])
        logits = network.network._fc(network(pictures)).softmax(-1)
    assert found.shape == (2, 1280) and found.min() >= 0 and found.max() <= 6  # behind a ReLU6
    assert logits[:, ZEBRA].mean() > 20 / 1000  # twenty times chance, on drawn zebras
    rows = fidelity.features(network, from_bytes(pictures))
    halves = fidelity.kid(rows[:12], rows[12:])
    other = torch.from_numpy(np.stack([draw(seed, 128, "A") for seed in range(12)])).permute(0, 3, 1, 2)
    away = fidelity.kid(fidelity.features(network, from_bytes(other)), rows[12:])
    assert abs(halves["kid"]) < halves["kid_error"] and away["kid"] > 4 * abs(halves["kid"])
