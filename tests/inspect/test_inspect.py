"""Inspection: agreement with the fixtures, mapping of positions to pixels, queries."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from qsneg import methods
from qsneg.inspect import Grid, View, attended, inspect, neighbours, observe, query
from qsneg.inspect.inspection import contrast
from qsneg.inspect.summary import percentages, summary
from qsneg.layers import InstanceNorm
from qsneg.networks import Generator, tokens
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
    for method in ("cut", "qs-attn", "negcut"):
        noise = np.random.default_rng(0).integers(0, 256, (41, 62, 3), dtype=np.uint8)
        made[method] = observe(Translator(tiny(method), "cpu"), Image.fromarray(noise))
    return made


def test_padded_picture_and_grids(views):
    view = views["cut"]
    assert view.source.size == view.result.size == (62, 41)
    shapes = {l: view.grid(l).shape for l in view.config.layers}
    assert shapes == {0: (47, 68), 4: (41, 62), 8: (21, 31), 12: (11, 16), 16: (11, 16)}  # nothing of the margin
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
            assert left <= x + 0.5 <= right and top <= y + 0.5 <= bottom
            assert grid.centre(row, column) == ((left + right - 1) / 2, (top + bottom - 1) / 2)
            assert all(abs(c - v) <= stride / 2 for c, v in zip(grid.centre(row, column), (x, y)))
    grid = Grid(12, (12, 16), (62, 46), 4, 0)
    assert grid.position(-5, 1000) == (11, 0)  # outside: the nearest edge
    values, box = grid.cover(np.arange(12 * 16).reshape(12, 16))
    assert values.shape == (12, 16) and box == (-1.5, -1.5, 62.5, 46.5)
    values, box = Grid(12, (16, 16), (64, 64), 4, 0).cover(np.arange(256).reshape(16, 16))
    assert values.shape == (17, 17) and box == (-1.5, -1.5, 66.5, 66.5) and (values[16] == values[15]).all()
    # layer 0 is the padded picture: its feature at a pixel is that pixel's colour
    x = torch.rand(1, 3, 16, 16)
    f = Generator(4).encode(x, (0,))[0]
    row, column = Grid(0, (22, 22), (16, 16), 1, 3).position(9, 2)
    torch.testing.assert_close(f[0, :, row, column], x[0, :, 2, 9])


@pytest.mark.parametrize("resampling", ["blur", "strided"])
@pytest.mark.parametrize("layer", [8, 12, 16])
def test_patches_are_centred_where_the_grid_says(layer, resampling, monkeypatch):
    """The gradient's centre of gravity on the picture, of a network whose weights are all equal and positive, without
    its norms, which see the whole picture. Cells used to be drawn (stride − 1)/2 pixels further right and down."""
    net = Generator(1, 7, resampling).double()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    monkeypatch.setattr(InstanceNorm, "forward", lambda norm, x: x)
    stride = net.stride(layer)
    at = 80 // stride, 96 // stride
    x = torch.ones(1, 3, 160, 192, dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(net.encode(x, (layer,))[0][0, :, at[0], at[1]].sum(), x)[0].sum((0, 1))
    rows, columns = torch.meshgrid(torch.arange(160), torch.arange(192), indexing="ij")
    place = [float((gradient * v).sum() / gradient.sum()) for v in (columns, rows)]
    assert place == pytest.approx([96, 80], abs=1e-6)
    assert Grid(layer, (99, 99), (192, 160), stride, 0).centre(*at) == (96, 80)


@pytest.mark.parametrize(
    "size, short, margin", [((64, 48), None, 32), ((41, 62), None, 32), ((41, 62), 24, 32), ((3, 50), None, 8)]
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_looked_into_is_what_is_shown(size, short, margin, precision):
    """The result of a view is the translation, bit for bit; its features are those of that translation."""
    model = Translator(tiny("cut"), "cpu", precision)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    view, shown = observe(model, picture, short, margin), model.translate(picture, short, margin)
    assert view.precision == precision and view.result.size == shown.size == view.source.size
    assert np.array_equal(view.result, shown)
    colours = np.asarray(shown, np.float32).transpose(2, 0, 1) / 127.5 - 1
    rows, columns = view.grid(0).visible()
    first = view.map(0, "result")[0, :, rows, columns].numpy()
    assert np.abs(first - colours).max() < (
        0.0041 if precision == "float32" else 0.02
    )  # before it was rounded to 8 bits


def test_nothing_of_the_margin_is_seen(views):
    """Attention, similarity, anchors and negatives know the picture's positions alone; the margin only lies around."""
    view = views["cut"]
    for layer in (8, 12):
        grid = view.grid(layer)
        assert grid.visible() == (slice(0, grid.shape[0]), slice(0, grid.shape[1]))
        assert view.attention(layer, (0, 0)).shape == grid.shape == view.similarity(layer, (0, 0)).shape
        x, y = grid.centre(grid.shape[0] - 1, grid.shape[1] - 1)
        assert x < view.source.width and y < view.source.height


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
        assert got.asked.shape == (20, 2) and got.asked_loss.shape == (20,)  # the model's own number of patches
        assert (got.giver is not None) == (method == "qs-attn")
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
        "asked",
        "asked_loss",
    }


@pytest.mark.parametrize("name, mode", [("cut", "global"), ("qs_global", "global"), ("qs_local", "local")])
def test_the_loss_that_is_trained_agrees_with_the_fixture(name, mode, monkeypatch):
    """At its anchors QS-Attn contrasts gathered values, in query and key: over layers, the recorded NCE loss."""
    view, method, expected = fixture_view(name)
    ids = {layer: expected[f"ids_{layer}"] for layer in method.config.layers if f"ids_{layer}" in expected}
    monkeypatch.setattr(methods.Draws, "positions", lambda draws, layer, length, num: ids.get(layer, torch.arange(num)))
    seen = [inspect(view, layer, mode, num_negatives=64) for layer in method.config.layers]
    assert np.mean([s.asked_loss.mean() for s in seen]) == pytest.approx(float(expected["loss_NCE"]), rel=1e-5)
    if name == "cut":
        for s in seen:  # without attention it is the map, read at the places asked
            np.testing.assert_allclose(s.asked_loss, s.loss[tuple(s.asked.T)])
    else:
        assert seen[4].loss[tuple(seen[4].asked.T)].mean() != pytest.approx(seen[4].asked_loss.mean(), rel=0.01)


@pytest.mark.parametrize(
    "method, settings",
    [("cut", {}), ("cut", {"queries": "entropy"}), ("negcut", {}), ("qs-attn", {}), ("monce", {}), ("hdce", {})],
)
def test_the_loss_that_is_trained_is_that_of_the_method(method, settings, monkeypatch):
    """`asked_loss` against the loss that the method itself computes from the same features and draws."""
    model = Translator(tiny(method, **settings), "cpu")
    view = observe(model, Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)))
    trained = methods.create(view.config)
    for name, net in view.weights.parts().items():
        getattr(trained, name).load_state_dict(net.state_dict())
    trained.progress = 1.0  # hDCE's weights are those of the end
    i = view.number(16)
    with torch.no_grad():
        monkeypatch.setattr(
            trained.draws, "positions", lambda layer, length, num: methods.Draws(5).positions(layer, length, num)
        )
        p = trained.contrast(
            *([view.map(layer, which) for layer in view.config.layers] for which in ("source", "result")), []
        )
        p = methods.Pass([p.queries[i]], [p.keys[i]], p.means and [p.means[i]])
        negatives = view.negatives(16, 5)
        expected = trained.nce(p, None if negatives is None else [negatives[None]])
    got = inspect(view, 16, view.config.attention, seed=5)
    assert got.asked_loss.mean() == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("mode", ["global", "local", "local+global"])
def test_where_gathered_values_come_from(views, mode):
    view = views["qs-attn"]
    got = inspect(view, 16, mode, seed=3)
    assert np.array_equal(got.asked, got.anchors)
    for anchor, giver, share in zip(got.asked, got.giver, got.given):
        row = view.attention(16, tuple(anchor), "local" if mode == "local" else "global")
        assert row[tuple(giver)] == row.max() == pytest.approx(share, rel=1e-4)
    q = query(view, 16, tuple(got.anchors[0]), mode=mode)
    known = {tuple(a): (tuple(g), s) for a, g, s in zip(*(getattr(inspect(view, 16, mode, num_negatives=21), k)
                                                          for k in ("asked", "giver", "given")))}  # fmt: skip
    assert all(known[tuple(a)] == (tuple(g), s) for a, g, s in zip(q.in_image_at, q.giver, q.given))
    assert query(view, 8, (1, 1)).giver is None and query(views["cut"], 16, (1, 1)).giver is None
    words = summary(view, got)
    assert f"comes from {words['distinct_givers']} position" in words["in_words"]
    assert ("differs in what is gathered" in words["in_words"]) == (mode == "local+global")


def test_equally_many_negatives_of_both_kinds(views):
    """256 in-image negatives used to stand against 128 generated ones."""
    for num, count in ((None, 20), (30, 30), (7, 7), (500, 175)):  # at most all other positions
        seen = {m: query(view, 12, (5, 6), num) for m, view in views.items()}
        assert {len(q.in_image) for q in seen.values()} == {count} == {len(seen["negcut"].generated)}
        assert all((q.in_image_at != [5, 6]).any(1).all() for q in seen.values())
        assert np.array_equal(seen["cut"].in_image_at, seen["negcut"].in_image_at)
    at = tuple(seen["cut"].in_image_at[0])  # the query among the positions drawn: another takes its place
    assert len(query(views["cut"], 12, at).in_image) == 20
    got = {m: inspect(view, 12, num_negatives=9) for m, view in views.items()}
    assert {len(g.asked) for g in got.values()} == {9} == {len(got["negcut"].negatives)}
    few, many = (views["negcut"].negatives(12, 4, n) for n in (7, 30))
    assert torch.equal(many[:7], few) and torch.equal(many[:20], views["negcut"].negatives(12, 4))


def test_a_local_entropy_has_at_most_the_logarithm_of_its_window(views):
    view = views["cut"]
    for mode, keys in (("global", 11 * 16), ("local", 49), ("local+global", 49)):
        got = inspect(view, 12, mode)
        assert got.keys == keys and got.entropy.max() <= np.log(keys) + 1e-5
        assert summary(view, got)["entropy_maximum_possible_nats"] == pytest.approx(np.log(keys))


def test_percentages_add_up_to_a_hundred():
    assert percentages({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}) == {"a": 34, "b": 33, "c": 33}
    assert percentages({"a": 0.005, "b": 0.495, "c": 0.5}) == {"a": 1, "b": 49, "c": 50}
    for shares in np.random.default_rng(0).dirichlet([0.3, 1, 2], 200):
        found = percentages(dict(zip("abc", shares.tolist())))
        assert sum(found.values()) == 100 and all(abs(found[k] - 100 * s) < 1 for k, s in zip("abc", shares))


def test_where_a_row_goes(views):
    view = views["cut"]
    f = tokens(view.map(12))[0]
    long = int(f.norm(dim=1).argmax())
    query = int((f @ f[long]).argsort(descending=True)[1])
    got = attended(view, 12, divmod(query, 16))
    row = view.attention(12, divmod(query, 16))
    assert got.share == pytest.approx(row.max()) and row[got.most] == row.max() and got.keys == 176
    assert got.own == pytest.approx(row.ravel()[query]) and 1 <= got.half <= 176
    norms = f.norm(dim=1).reshape(11, 16)
    assert got.shorter == pytest.approx(float((norms < norms[got.most]).float().mean()), abs=0.01)
    assert attended(view, 12, (0, 0), "local").keys == 16


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
