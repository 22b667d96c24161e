"""Figures of merit: analytic answers."""

import numpy as np
import pytest
import torch

from qsneg.data import drawn_scenes
from qsneg.metrics.score import (
    background_error,
    drawn_figures,
    figures,
    laplacian_pyramid,
    luminance_distance,
    sliced_wasserstein,
)


def test_untranslated_is_one_and_the_truth_is_zero():
    assert drawn_figures(lambda x: x, 3, 64) == pytest.approx({"background": 1.0, "luminance": 1.0}, abs=1e-5)
    seeds = iter(drawn_scenes.scene_seed("test", "A", i) for i in range(3))

    def truth(x):
        return torch.from_numpy(drawn_scenes.draw(next(seeds), 64, "B")).permute(2, 0, 1)[None].float() / 127.5 - 1

    got = drawn_figures(truth, 3, 64)
    assert got["background"] < 1e-6 and got["luminance"] < 1e-6


def test_background_counts_only_outside():
    a, b = np.zeros((4, 4, 3)), np.zeros((4, 4, 3))
    outside = np.zeros((4, 4), bool)
    outside[0] = True
    b[1:] = 1.0
    assert background_error(a, b, outside) == 0
    b[0] = 0.25
    assert background_error(a, b, outside) == pytest.approx(0.25)


def test_luminance_distance_of_shifted_and_swapped():
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.random((8, 8, 1)) * 0.5, 3, axis=2)
    inside = np.ones((8, 8), bool)
    assert luminance_distance(grey, grey + 0.3, inside) == pytest.approx(0.3)  # all mass moves by 0.3
    assert luminance_distance(grey, grey[::-1], inside) == pytest.approx(0)  # places do not matter


def test_sliced_wasserstein():
    torch.manual_seed(0)
    a, b = torch.rand(6, 3, 32, 32), torch.rand(6, 3, 32, 32)
    same, other = sliced_wasserstein(a, b), sliced_wasserstein(a, b + 0.5)
    assert same < 0.5 * other
    assert sliced_wasserstein(a, a.flip(0)) < 0.5 * other


def test_pyramid_adds_up_again():
    x = torch.rand(1, 3, 32, 32)
    fine, middle, coarse = laplacian_pyramid(x, 3)
    up = lambda t: torch.nn.functional.interpolate(t, scale_factor=2, mode="bilinear", align_corners=False)  # noqa: E731
    torch.testing.assert_close(fine + up(middle + up(coarse)), x)


def test_folder_without_test_pictures_has_no_figures(tmp_path):
    assert figures(lambda x: x, str(tmp_path)) == {}
