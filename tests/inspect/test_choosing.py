"""Ways of choosing places: each as its method's training does it, in any model."""

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.attention import doubtful_positions
from qsneg.image_io import to_tensor
from qsneg.inspect import choose, inspect, observe
from qsneg.methods import Draws
from qsneg.networks import Discriminator
from qsneg.translate import Translator
from tests.conftest import lively, tiny

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8))


def view_of(discriminator: bool, picture: Image.Image = NOISE):
    weights = tiny("cut", patches=20)
    if discriminator:
        weights.discriminator = lively(Discriminator(4)).eval().requires_grad_(False)
    return observe(Translator(weights, "cpu"), picture)


def test_every_way_chooses_as_its_method_does():
    view = view_of(discriminator=True)
    found = choose(view, 12, 20, seed=3)
    assert list(found.places) == ["random", "global", "local", "doubt"] and not found.lacks
    for mode in ("global", "local"):
        assert found.places[mode].tolist() == inspect(view, 12, mode, 20).anchors.tolist()
    assert found.places["random"].tolist() == inspect(view, 12, "global", 20, seed=3).random.tolist()
    draws, (rows, columns) = Draws(3), view.grid(12).shape
    _, candidates, others = (draws.positions(12, rows * columns, n) for n in (20, 80, 20))
    with torch.no_grad():
        verdict = view.weights.discriminator(to_tensor(view.result))
    want = doubtful_positions(verdict, (rows, columns), candidates, others)[0]
    assert (found.places["doubt"] @ np.array([columns, 1])).tolist() == want.tolist() and found.doubtful == 10
    assert len(np.unique(found.places["doubt"], axis=0)) == 20


def test_overlaps_are_counted_against_chance():
    found = choose(view_of(discriminator=True), 12, 20)
    assert found.overlap("global", "global") == 20 and found.by_chance == pytest.approx(20 * 20 / (10 * 16))
    assert found.overlap("global", "local") == found.overlap("local", "global") <= 20
    everything = choose(view_of(discriminator=False), 12, 160)
    assert everything.overlap("random", "global") == 160 == everything.by_chance


def test_the_nearest_place_is_that_of_any_way():
    found = choose(view_of(discriminator=True), 12, 20)
    for at in found.places.values():
        assert found.nearest(tuple(at[5])) == tuple(at[5])


def test_what_a_model_lacks_is_said():
    found = choose(view_of(discriminator=False), 12, 20)
    assert list(found.places) == ["random", "global", "local"] and "without its discriminator" in found.lacks["doubt"]
    small = choose(view_of(discriminator=True, picture=NOISE.resize((23, 40))), 12, 4)
    assert "at least 24 pixels" in small.lacks["doubt"]
    assert "doubt" in choose(view_of(discriminator=True, picture=NOISE.resize((24, 40))), 12, 4).places
    with pytest.raises(ValueError, match="Unknown way of choosing 'largest'"):
        choose(view_of(discriminator=False), 12, ways=("random", "largest"))
    with pytest.raises(ValueError, match="number of places must be at least 1"):
        choose(view_of(discriminator=False), 12, 0)
