"""What is watched of a run: speed, time that is left, losses, a film that is not finished, trails of anchors."""

import json

import numpy as np
import pytest
import torch

from qsneg.learning import live
from qsneg.learning.order import Order
from qsneg.learning.run import Run
from qsneg.pages.film import GRID
from qsneg.rendering.rows import Trails
from qsneg.rendering.sample_pictures import for_film
from qsneg.training.film import LAYERS, SIZE, Film, gather, gathered
from tests.conftest import tiny


@pytest.fixture
def run(tmp_path):
    """A run of two methods: CUT is at step 40 of 100 by 2 steps a second, QS-Attn has not begun."""
    run = Run(tmp_path, Order("scenes", ("cut", "qs-attn"), 100, 10), allowed=600, seconds={"cut": 25.0})
    (tmp_path / "cut").mkdir()
    lines = [{"step": n, "NCE": 5 - n / 10, "D_real": 0.2, "D_fake": 0.1, "seconds": n / 2} for n in (10, 20, 30, 40)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "cut" / "metrics.jsonl").write_text(text + '{"step": 50, "NC')  # as it is being written
    return run


def test_speed_time_and_losses(run):
    seen = live.watch(run)
    assert (seen["cut"].step, seen["cut"].speed) == (40, 2.0) and (seen["qs-attn"].step, seen["qs-attn"].speed) == (
        0,
        0,
    )
    assert seen["cut"].curves["Contrast"] == [(10, 4), (20, 3), (30, 2), (40, 1)]
    assert seen["cut"].curves["Discriminator"][0] == (10, pytest.approx(0.3))
    assert seen["cut"].curves["Against the discriminator"] == []  # was not written
    assert live.left(run, seen) == (30 + 50, False)
    run.allowed = 80  # of which 25 are used
    assert live.left(run, seen) == (55, True)
    assert live.left(run, dict.fromkeys(seen, seen["qs-attn"])) is None
    (run.folder / "cut" / "metrics.jsonl").write_text("no metrics\n")
    assert live.watch(run)["cut"].step == 0


def test_a_film_is_watched_frame_by_frame(run):
    folder = run.folder / "cut" / "film"
    film = Film(folder, lambda: for_film("horse2zebra-drawn", SIZE), 20, LAYERS)
    assert live.watch(run)["cut"].film is None
    with pytest.raises(ValueError, match="no frames of a film yet"):
        gathered(folder)
    for count, step in enumerate((0, 10), 1):
        film.record(step, tiny(seed=step).generator, torch.device("cpu"))
        seen = live.watch(run)["cut"].film
        assert len(seen.strips) == count and seen.steps[-1] == step and not (folder / "film.npz").exists()
    gather(folder)
    with np.load(folder / "film.npz") as file:
        assert all(np.array_equal(file[name], value) for name, value in gathered(folder).items())


def test_trails_lead_to_the_nearest_anchor_of_the_frame_before():
    far = [[40, 40]]
    frames = np.array([[[3, 3], [0, 9]] + far, [[5, 5], [0, 9]] + far, [[6, 5], [0, 9], [20, 20]]])
    assert live.trails(frames).tolist() == [
        [[3, 3], [0, 9], [20, 20]],
        [[5, 5], [0, 9], [20, 20]],
        [[6, 5], [0, 9], [20, 20]],  # now: the first has moved twice, the second stayed, the third came from nowhere
    ]
    drawn = Trails(live.trails(frames)).shapes(GRID)
    assert len(drawn) == 4 and [len(shape.points) for shape in drawn] == [1] * 4  # two moves, each with a dark edge
    assert drawn[0].width < drawn[1].width and live.trails(frames[:1]).shape == (1, 3, 2)
    assert Trails(live.trails(frames[:1])).shapes(GRID) == []
