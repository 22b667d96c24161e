"""The force on every negative, against gradients of the losses that are trained."""

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.inspect import forces, observe
from qsneg.losses import patch_nce, resemblance_weights, transport_weights
from qsneg.methods import Draws
from qsneg.translate import Translator
from tests.conftest import tiny


@pytest.fixture(scope="module")
def views():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8))
    return {m: observe(Translator(tiny(m, patches=12), "cpu"), picture) for m in ("cut", "qs-attn", "negcut", "hdce")}


def compared(view, layer, index, num=12, seed=0):
    """Queries and keys at the asked place and the random ones, 1×N×K each."""
    drawn = Draws(seed).positions(layer, view.map(layer).shape[2:].numel(), num)
    at = torch.cat([torch.tensor([index]), drawn[drawn != index]])[:num]
    return [view.projected(layer, which, at)[None].double() for which in ("result", "source")], at


@pytest.mark.parametrize("weighting", ["cut", "monce", "hdce"])
def test_forces_are_the_gradient_of_the_loss(views, weighting):
    view, layer, position = views["cut"], 12, (3, 5)
    columns = view.grid(layer).shape[1]
    (q, k), at = compared(view, layer, 3 * columns + 5)
    weights = {
        "cut": lambda: None,
        "monce": lambda: transport_weights(q, k, 0.1),
        "hdce": lambda: resemblance_weights(k, 10.0),
    }[weighting]()
    keys, query = k.clone().requires_grad_(), q.clone().requires_grad_()
    loss = patch_nce(query, keys, weights=weights, decoupled=weighting == "hdce", reduction="none")[0, 0]
    pull, push = torch.autograd.grad(loss, (query, keys))
    tau = view.config.temperature
    want = (push[0, 1:] @ q[0, 0]) / (q[0, 0] @ q[0, 0]) * tau  # d loss / d k_j = force_j · q / τ
    found = forces(view, layer, position, weighting)
    np.testing.assert_allclose(found.force, want.detach(), rtol=2e-4)
    assert found.loss == pytest.approx(float(loss), rel=1e-4)
    assert found.pull == pytest.approx(float(pull[0, 0].norm()) * tau, rel=1e-3)
    assert found.at.tolist() == [[p // columns, p % columns] for p in at[1:].tolist()]
    assert found.weight.sum() == pytest.approx(11, rel=1e-5)
    total = found.force.sum() + (0 if weighting == "hdce" else found.probability)
    assert total == pytest.approx(1, rel=1e-5)


def test_generated_negatives_are_pushed_as_the_model_trains_them(views):
    view = views["negcut"]
    found = forces(view, 12, (3, 5))
    assert found.weighting == "negcut" and len(found.force) == 12
    index = int(view.index(12, (3, 5)))
    q, k = (view.projected(12, which, torch.tensor([index]))[None] for which in ("result", "source"))
    loss = patch_nce(q, k, view.negatives(12)[None])
    assert found.loss == pytest.approx(float(loss), rel=1e-4)
    assert forces(view, 12, (3, 5), "cut").weighting == "cut"  # and as others would have it


def test_the_models_own_weighting_and_places(views):
    assert {m: forces(v, 12, (0, 0)).weighting for m, v in views.items()} == {
        "cut": "cut",
        "qs-attn": "cut",
        "negcut": "negcut",
        "hdce": "hdce",
    }
    view = views["qs-attn"]
    anchors = view.entropy(12, view.config.attention)[1].argsort(stable=True)[:12]
    columns = view.grid(12).shape[1]
    asked = int(anchors[4])
    found = forces(view, 12, divmod(asked, columns))
    assert [p * columns + q for p, q in found.at.tolist()] == [int(a) for a in anchors if int(a) != asked]


def test_numbers_that_are_known(views):
    """Equal cosines make equal forces: all n negatives count. A temperature of 10⁶ makes them nearly so."""
    view = views["cut"]
    even = forces(view, 12, (3, 5), temperature=1e6)
    assert even.effective == pytest.approx(11, rel=1e-6) and even.hardest == pytest.approx(10 / 11, rel=1e-5)
    assert even.probability == pytest.approx(1 / 12, rel=1e-5)
    sharp = forces(view, 12, (3, 5), temperature=1e-3)
    assert sharp.effective < even.effective
    mild, hard = (forces(view, 12, (3, 5), "hdce", gamma=g) for g in (1e6, 0.05))
    assert np.allclose(mild.weight, 1, atol=1e-4) and hard.effective < mild.effective


def test_a_negative_can_be_taken_away(views):
    view = views["cut"]
    whole = forces(view, 12, (3, 5))
    gone = tuple(int(v) for v in whole.at[whole.force.argmax()])
    less = forces(view, 12, (3, 5), without=gone)
    assert len(less.force) == len(whole.force) - 1 and less.loss < whole.loss and list(gone) not in less.at.tolist()


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(weighting="enco"), "choose one of cut, hdce, monce, negcut"),
        (dict(weighting="negcut"), "generates no negatives"),
        (dict(num=1), "takes 2 places or more"),
        (dict(temperature=0.0), "temperature must be a number above 0"),
        (dict(gamma=float("nan")), "gamma must be a number above 0"),
        (dict(position=(99, 0)), "lies outside the grid"),
        (dict(layer=3), "There is no layer 3"),
    ],
)
def test_what_cannot_be_had_is_said(views, settings, message):
    with pytest.raises(ValueError, match=message):
        forces(views["cut"], **({"layer": 12, "position": (0, 0)} | settings))
