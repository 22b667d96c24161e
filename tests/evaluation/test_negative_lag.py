"""Training a negative generator on against frozen features: it must become harder where it can."""

import pytest
import torch

from qsneg.evaluation.negative_lag import Contrast, catch_up, hardness, train_on
from qsneg.networks import NegativeGenerator, unit
from qsneg.translate import Translator
from tests.conftest import tiny


def scenes(count, spread):
    """Queries about one direction, which the mean names: all that a negative generator needs to know."""
    torch.manual_seed(0)
    found, centre = [], unit(torch.randn(1, 1, 16))
    for _ in range(count):
        queries = unit(centre + spread * torch.randn(1, 12, 16))
        found.append([Contrast(queries, queries, centre[0])])
    return found


def test_in_image_hardness_is_the_mean_over_other_positions():
    scene = scenes(1, 0.5)
    q = scene[0][0].queries[0].double().numpy()
    others = [q[i] @ q[j] for i in range(12) for j in range(12) if i != j]
    assert hardness(None, scene, 12, 0.07)[0]["cosine"] == pytest.approx(sum(others) / len(others), abs=1e-5)


def test_training_on_finds_the_hard_negatives_and_leaves_the_original():
    torch.manual_seed(0)
    made, data = NegativeGenerator(1, 16, 4), scenes(24, 0.1)
    before = [p.clone() for p in made.parameters()]
    on = train_on(made, data[:16], 12, 0.07, 0.0, 1000)
    assert all(torch.equal(a, b) for a, b in zip(before, made.parameters()))
    start, end = (hardness(m, data[16:], 12, 0.07)[0] for m in (made, on))
    assert end["cosine"] > start["cosine"] + 0.2 and end["loss"] > start["loss"]


def test_rows_and_refusal():
    model = tiny("negcut", layers=(0, 12))
    rows = catch_up(Translator(model, "cpu"), steps=1, train=1, test=1, size=64)
    assert [r["layer"] for r in rows] == [0, 12]
    assert set(rows[0]) == {"layer", "in_image", "shipped", "trained_on", "without_diversity"}
    with pytest.raises(ValueError, match="no negative generator"):
        catch_up(Translator(tiny("cut"), "cpu"))
