"""Inspection: agreement with the fixtures, mapping of positions to pixels, queries."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg import methods
from qsneg.inspect import Grid, View, inspect, neighbours, observe, query
from qsneg.inspect.inspection import contrast
from qsneg.translate import Translator
from qsneg.weights import Weights
from tests.check_fixture import load
from tests.conftest import tiny

FIXTURES = Path(__file__).parents[1] / "fixtures"


def fixture_view(name: str):
    """A view of a fixture's image with its weights, in float64, and the method with the recorded draws."""
    method, expected = load(FIXTURES / name, torch.float64)
    weights = Weights(
        method.config,
        method.generator,
        method.heads,
        getattr(method, "negative_generator", None),
        getattr(method, "slow_heads", None),
    )
    with torch.no_grad():
        fake, source = method.generator.translate_with_features(expected["real_A"], method.config.layers)
        result = method.generator.encode(fake, method.config.layers)
    view = View(
        weights,
        Image.new("RGB", (64, 64)),
        Image.new("RGB", (64, 64)),
        {"source": source, "result": result},
        torch.device("cpu"),
    )
    return view, method, expected


@pytest.mark.parametrize("name", ["cut", "negcut"])
def test_loss_map_agrees_with_the_fixture(name):
    """Read at the recorded positions under the recorded negatives, the map's mean is the fixture's NCE loss."""
    view, method, expected = fixture_view(name)
    losses = []
    with torch.no_grad():
        for i, layer in enumerate(method.config.layers):
            ids = expected[f"ids_{layer}"]
            if name == "cut":
                negatives, positions = view.projected(layer, "source", ids), ids
            else:  # the noise of the generator's update on A: draws 10 to 14
                mean = method.slow_heads.mean(view.map(layer).flatten(2).transpose(1, 2), i)
                negatives, positions = method.negative_generator(mean, expected[f"noise_step_{10 + i}"], i)[0], None
            loss = contrast(view, layer, negatives, positions)[1]
            losses.append(loss[ids].mean().item())
    assert np.mean(losses) == pytest.approx(float(expected["loss_NCE"]), rel=1e-9)


@pytest.mark.parametrize(
    "name, mode", [("qs_global", "global"), ("qs_local", "local"), ("qs_local_global", "local+global")]
)
def test_selection_agrees_with_the_fixture(name, mode):
    view, method, expected = fixture_view(name)
    for layer in (12, 16):
        got = inspect(view, layer, mode, num_anchors=64)
        np.testing.assert_allclose(got.log_entropy.ravel(), expected[f"log_entropy_{layer}"][0], atol=1e-5)
        np.testing.assert_allclose(got.entropy.ravel(), expected[f"entropy_{layer}"][0], atol=1e-5)
        anchors = got.anchors @ [got.grid.shape[1], 1]
        np.testing.assert_array_equal(anchors, expected[f"anchors_{layer}"][0])
        assert (got.rank[tuple(got.anchors.T)] == np.arange(64)).all()
        if mode != "local":
            for n in (0, 40):
                row = view.attention(layer, tuple(got.anchors[n]), mode)
                np.testing.assert_allclose(row.ravel(), expected[f"attention_{layer}"][0, n], atol=1e-6)


def test_negatives_agree_with_the_fixture():
    view, method, expected = fixture_view("negcut")
    random = torch.Generator().manual_seed(5)
    noise = torch.randn(5, 64, 64, generator=random)
    for i, layer in enumerate(method.config.layers):
        with torch.no_grad():
            mean = method.slow_heads.mean(view.map(layer).flatten(2).transpose(1, 2), i)
            want = method.negative_generator(mean, expected[f"noise_{layer}"], i)[0]
            np.testing.assert_allclose(want, expected[f"negatives_{layer}"], atol=1e-6)  # the mean is the view's
            view.weights.negative_generator.to(torch.float64)
            got = method.negative_generator(mean, noise[i][None].double(), i)[0]
        np.testing.assert_allclose(inspect_negatives(view, layer), got, atol=1e-6)


def inspect_negatives(view, layer):
    with torch.no_grad():
        return view.negatives(layer, seed=5).numpy()


@pytest.fixture(scope="module")
def views():
    made = {}
    for method in ("cut", "negcut"):
        noise = np.random.default_rng(0).integers(0, 256, (41, 62, 3), dtype=np.uint8)
        made[method] = observe(Translator(tiny(method), "cpu"), Image.fromarray(noise))
    return made


def test_padded_picture_and_grids(views):
    view = views["cut"]
    assert view.source.size == view.result.size == (62, 41)
    shapes = {l: view.grid(l).shape for l in view.config.layers}
    assert shapes == {0: (50, 70), 4: (44, 64), 8: (22, 32), 12: (11, 16), 16: (11, 16)}  # padded to 64×44
    rows, columns = view.grid(12).visible()
    assert (rows, columns) == (slice(0, 11), slice(0, 16))
    rows, columns = view.grid(0).visible()
    assert (rows, columns) == (slice(3, 44), slice(3, 65))


def test_positions_and_pixels():
    for layer, stride, margin in ((0, 1, 3), (4, 1, 0), (8, 2, 0), (12, 4, 0)):
        grid = Grid(layer, (99, 99), (64, 48), stride, margin)
        for x, y in ((0, 0), (17, 5), (63, 47)):
            row, column = grid.position(x, y)
            left, top, right, bottom = grid.box(row, column)
            assert left <= x < right and top <= y < bottom
    grid = Grid(12, (12, 16), (62, 46), 4, 0)
    assert grid.position(-5, 1000) == (11, 0)  # outside: the nearest edge
    # layer 0 is the padded picture: its feature at a pixel is that pixel's colour
    x = torch.rand(1, 3, 16, 16)
    from qsneg.networks import Generator

    f = Generator(4).encode(x, (0,))[0]
    row, column = Grid(0, (22, 22), (16, 16), 1, 3).position(9, 2)
    torch.testing.assert_close(f[0, :, row, column], x[0, :, 2, 9])


def test_inspection_arrays(views):
    for method, view in views.items():
        got = inspect(view, 12, num_anchors=30, seed=1)
        assert got.entropy.shape == got.loss.shape == got.similarity.shape == got.rank.shape == (11, 16)
        assert got.anchors.shape == got.random.shape == (30, 2)
        cut = methods.Draws(1).positions(12, 176, 30).numpy()
        np.testing.assert_array_equal(got.random @ [16, 1], cut)
        np.testing.assert_allclose(got.probability, np.exp(-got.loss), rtol=1e-5)
        assert sorted(got.rank.ravel()) == list(range(176))
        assert (got.log_entropy[tuple(got.anchors.T)] <= np.sort(got.log_entropy.ravel())[29]).all()
        if method == "negcut":
            assert got.negatives.shape == (20, 16) and got.nearest.shape == (20, 2) and got.diversity > 0
        else:
            assert got.negatives is None and got.nearest is None and got.diversity is None
    assert set(inspect(views["cut"], 8, "local").arrays()) == {
        "entropy",
        "log_entropy",
        "rank",
        "anchors",
        "random",
        "similarity",
        "loss",
        "probability",
    }


def test_attention_rows_and_similarity(views):
    view = views["cut"]
    row = view.attention(16, (10, 15))
    assert row.shape == (11, 16) and row.sum() == pytest.approx(1, abs=1e-5)
    local = view.attention(16, (10, 15), "local", 3)
    assert local.sum() == pytest.approx(1, abs=1e-5) and (local[:9] == 0).all() and (local[:, :14] == 0).all()
    same = view.similarity(12, (3, 4))
    assert same[3, 4] == pytest.approx(1, abs=1e-3) and same.max() <= 1.001
    far = neighbours(same, (3, 4), 5, radius=2)
    assert len(far) == 5 and (np.abs(far - [3, 4]).max(1) > 2).all()
    assert (np.diff(same[tuple(far.T)]) <= 0).all()


def test_query(views):
    for method, view in views.items():
        got = query(view, 12, (5, 6), num=40)
        assert sum(got.shares.values()) == pytest.approx(1)
        assert len(got.in_image) == len(got.in_image_at) and (got.in_image_at != [5, 6]).any(1).all()
        assert got.points["query"].shape == (2,) and got.points["in_image"].shape == (len(got.in_image), 2)
        assert ("generated" in got.shares) == (method == "negcut")
        assert got.positive == pytest.approx(inspect(view, 12).similarity[5, 6], abs=1e-4)
    a, b = (query(views["negcut"], 12, (5, 6), seed=s).generated for s in (0, 1))
    assert not np.allclose(a, b)  # another noise, other negatives


@pytest.mark.parametrize("call, message", [
    (lambda v: inspect(v, 13), "no layer 13"), (lambda v: inspect(v, 12, "near"), "Unknown attention mode"),
    (lambda v: inspect(v, 12, num_anchors=0), "at least 1"), (lambda v: query(v, 12, (11, 0)), "outside the grid"),
])  # fmt: skip
def test_errors(views, call, message):
    with pytest.raises(ValueError, match=message):
        call(views["cut"])
