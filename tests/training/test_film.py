"""The training film: which steps, and which pictures."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from qsneg.config import build
from qsneg.rendering.sample_pictures import for_film
from qsneg.training.film import SIZE, Film, frame_steps
from qsneg.training.trainer import Trainer
from tests.training.runs import TINY, final, same

SCENES = partial(for_film, "horse2zebra-drawn", SIZE)


def test_frame_steps_are_log_spaced():
    steps = frame_steps(8000)
    assert steps[0] == 0 and steps[-1] == 8000 and 18 <= len(steps) <= 22
    ratios = np.diff(np.log(steps[1:]))
    assert ratios.max() / ratios.min() < 1.3


def test_film_does_not_disturb_training(tmp_path):
    with_film, without = (
        Trainer(*build("cut", **(TINY | dict(film=f, steps=3))), tmp_path / str(f)) for f in (True, False)
    )
    with_film.run(progress=False)
    without.run(progress=False)
    assert same(final(with_film), final(without))


def test_a_film_needs_a_layer_that_it_shows(tmp_path):
    with pytest.raises(ValueError, match="--no-film"):
        Trainer(*build("cut", layers=(0, 4), **(TINY | {"film": True})), tmp_path).run(progress=False)


def test_a_film_keeps_its_pictures(tmp_path):
    """A run that goes on elsewhere, where other pictures would be chosen, films those that it began with."""
    first = Film(tmp_path, SCENES, 10, (12, 16))

    def others():
        return [Image.new("RGB", (192, 192), "red")] * 4

    for a, b in zip(first.images, Film(tmp_path, others, 20, (12, 16)).images, strict=True):
        assert np.array_equal(np.asarray(a), np.asarray(b)) and a.size == (192, 192)
    assert Film(tmp_path / "other", others, 10, (12, 16)).images[0].getpixel((0, 0)) == (255, 0, 0)
