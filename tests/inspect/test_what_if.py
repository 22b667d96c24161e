"""What the loss would be under other negatives and temperatures, against trained losses and their gradients."""

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.inspect import inspect, observe, on_pixels, what_if
from qsneg.inspect.what_if import Rivals
from qsneg.losses import patch_nce
from qsneg.networks import tokens
from qsneg.translate import Translator
from tests.conftest import tiny

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (41, 62, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def views():
    return {m: observe(Translator(tiny(m, patches=12), "cpu"), NOISE) for m in ("cut", "qs-attn", "negcut")}


@pytest.mark.parametrize("method", ["cut", "qs-attn", "negcut"])
@pytest.mark.parametrize("layer", [0, 12])
def test_as_trained_it_is_the_loss_map(views, method, layer):
    found = what_if(views[method], layer)
    np.testing.assert_allclose(found.loss, inspect(views[method], layer).loss, rtol=1e-4, atol=1e-5)
    assert found.negatives == 12 and not len(found.hardest) and found.gradient.min() >= 0 < found.gradient.mean()


def test_gradients_are_those_of_each_loss_alone(views):
    view = views["cut"]
    found = what_if(view, 12, num=8, temperature=0.2)
    rivals, columns = Rivals(view, 12, 8, 0, None), view.grid(12).shape[1]
    for row, column in ((0, 0), (4, 9)):
        index = row * columns + column
        feature = tokens(view.map(12, "result"))[0, index].clone().requires_grad_()
        others = rivals.keys[rivals.at != index]
        query = view.heads(feature[None, None], view.number(12))
        key = view.heads(tokens(view.map(12))[:, index : index + 1].clone(), view.number(12))
        loss = patch_nce(query, key, others[None], 0.2)
        (gradient,) = torch.autograd.grad(loss, feature)
        assert found.loss[row, column] == pytest.approx(float(loss.detach()), rel=1e-4)
        assert found.gradient[row, column] == pytest.approx(float(gradient.norm()), rel=1e-3)


def test_fewer_and_easier_negatives_lower_the_loss(views):
    for view in views.values():
        whole = what_if(view, 12, (3, 5))
        for away, loss in ((1, whole.loss[3, 5]), (3, whole.loss[3, 5])):
            less = what_if(view, 12, (3, 5), away=away)
            assert less.negatives == 12 - away == 12 - len(less.hardest) and less.loss[3, 5] < loss
            elsewhere = Rivals(view, 12, None, 0, None)
            query = view.projected(12, "result", view.index(12, (3, 5))[0])[0]
            assert int(less.hardest[0]) == int((elsewhere.keys @ query.clone()).argmax())
    flat = what_if(views["cut"], 12, temperature=1e4).loss
    taken = what_if(views["cut"], 12).loss.size
    assert np.isclose(flat, np.log(13), atol=1e-2).sum() >= taken - 12  # 12 places have one negative fewer


def test_any_single_negative_can_be_taken_away(views):
    """The loss here falls the less, the easier the one that is taken is; each is another, and lies where it says."""
    for method, view in views.items():
        whole = what_if(view, 12, (3, 5)).loss[3, 5]
        found = [what_if(view, 12, (3, 5), away=1, first=n) for n in range(1, 12)]
        losses = [f.loss[3, 5] for f in found]
        assert losses == sorted(losses) and losses[0] < losses[-1] <= whole
        assert len({int(f.hardest[0]) for f in found}) == 11 and {f.negatives for f in found} == {11}
        rivals = Rivals(view, 12, None, 0, None)
        if method == "negcut":
            assert found[0].at is None
            continue
        columns = view.grid(12).shape[1]
        assert [int(f.at[0, 0] * columns + f.at[0, 1]) for f in found] == [int(rivals.at[f.hardest[0]]) for f in found]
    last = what_if(views["negcut"], 12, (3, 5), away=1, first=500)  # beyond the last: the last
    assert int(last.hardest[0]) == int(what_if(views["negcut"], 12, (3, 5), away=1, first=12).hardest[0])


def test_those_that_lie_nearest_to_a_place_can_be_taken_away(views):
    """Of the places of the picture, by plain distance; of generated negatives none."""
    columns = views["cut"].grid(12).shape[1]
    for method in ("cut", "qs-attn"):
        at = Rivals(views[method], 12, None, 0, None).at.tolist()
        squares = [(i // columns - 4) ** 2 + (i % columns - 9) ** 2 for i in at]
        found = what_if(views[method], 12, (3, 5), away=3, near=(4, 9))
        assert found.negatives == 9 and sorted(found.hardest) == sorted(np.argsort(squares, kind="stable")[:3])
        assert [r * columns + c for r, c in found.at.tolist()] == [at[i] for i in found.hardest]
        gone = what_if(views[method], 12, (3, 5), away=100, near=(4, 9))
        assert gone.negatives == 1 and on_pixels(views[method], 12, (3, 5), away=3, near=(4, 9))[0].max() > 0
    made = what_if(views["negcut"], 12, (3, 5), away=3, near=(4, 9))
    np.testing.assert_array_equal(made.loss, what_if(views["negcut"], 12).loss)
    assert made.negatives == 12 and made.at is None and not len(made.hardest)
    for what in (what_if, on_pixels):
        for away in (0, 1):
            with pytest.raises(ValueError, match="outside the grid"):
                what(views["cut"], 12, (3, 5), away=away, near=(400, 9))


def test_one_stays_however_many_are_taken(views):
    assert what_if(views["cut"], 12, (3, 5), num=4, away=100).negatives == 1


def test_a_patchs_loss_pulls_at_the_pixels_around_it(views):
    length, seconds = on_pixels(views["cut"], 4, (20, 30))
    assert length.shape == (41, 62) and seconds > 0
    rows, columns = np.nonzero(length > length.max() / 10)
    assert abs(rows - 20).max() <= 8 and abs(columns - 30).max() <= 8
    for layer in (0, 8, 12, 16):
        assert on_pixels(views["negcut"], layer, (2, 3))[0].max() > 0


@pytest.mark.parametrize("settings, words", [
    (dict(temperature=0.0), "temperature must be a number above 0"), (dict(num=0), "must be at least 1"),
    (dict(away=1, first=0), "at least the 1st"), (dict(away=-1), "at least 0, not -1"),
    (dict(position=(99, 0)), "outside the grid"),
])  # fmt: skip
def test_what_cannot_be_is_said(views, settings, words):
    with pytest.raises(ValueError, match=words):
        what_if(views["cut"], 12, **settings)


def test_a_model_without_heads_says_so():
    weights = tiny()
    weights.heads = None
    with pytest.raises(ValueError, match="without projection heads"):
        what_if(observe(Translator(weights, "cpu"), NOISE), 12)
