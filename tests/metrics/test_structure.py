"""Agreement with the source: analytic answers, and what may and may not change it."""

import pytest
import torch

from qsneg.metrics.structure import (
    ANGLES,
    RADII,
    RADIUS,
    agreements,
    correlation,
    edge_agreement,
    edges,
    log_polar_bin,
    similarity_agreement,
)


def blobs(seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    coarse = torch.randn(2, 3, 9, 9).clamp(-1, 1)
    return torch.nn.functional.interpolate(coarse, size=(48, 48), mode="bicubic").clamp(-1, 1)


def test_a_ramp_s_gradient_is_its_slope():
    ramp = torch.linspace(-1, 1, 33).expand(1, 3, 20, 33)  # luminance rises by 1/32 per pixel
    assert torch.allclose(edges(ramp), torch.full((1, 1, 18, 31), 1 / 32), atol=1e-6)
    assert torch.allclose(edges(ramp.mT), torch.full((1, 1, 31, 18), 1 / 32), atol=1e-6)


@pytest.mark.parametrize("measure", [edge_agreement, similarity_agreement])
def test_agreement_is_of_layout_not_of_brightness(measure):
    x, other = blobs(0), blobs(1)
    assert measure(x, x) == pytest.approx([1, 1])
    assert measure(x, -x) == pytest.approx([1, 1], abs=1e-4)  # a negative has the same edges
    assert (measure(x, 0.6 * x + 0.1) > 0.9).all()
    assert (measure(x, other) < 0.4).all()
    assert (measure(x, x.flip(-1)) < 0.6).all()


def test_flat_pictures():
    flat, x = torch.zeros(2, 3, 48, 48), blobs(0)
    assert edge_agreement(flat, flat).tolist() == similarity_agreement(flat, flat).tolist() == [1, 1]
    assert edge_agreement(flat, x).tolist() == similarity_agreement(x, flat).tolist() == [0, 0]


def test_correlation():
    a = torch.tensor([1.0, 2, 3, 4])
    assert float(correlation(a, 2 * a + 1)) == pytest.approx(1) and float(correlation(a, -a)) == pytest.approx(-1)
    assert float(correlation(a, torch.tensor([1.0, -1, -1, 1]))) == pytest.approx(0)


def test_every_bin_is_filled():
    disc = [
        (y, x) for y in range(-RADIUS, RADIUS + 1) for x in range(-RADIUS, RADIUS + 1) if 0 < y * y + x * x <= RADIUS**2
    ]
    assert {log_polar_bin(y, x) for y, x in disc} == set(range(ANGLES * RADII))


def test_more_pictures_than_a_batch_holds():
    x = blobs(0).repeat(10, 1, 1, 1)
    y = x.clone()
    y[::2] = blobs(1)[0]
    few = agreements(x[:2], y[:2])
    assert agreements(x, y) == pytest.approx(few)
