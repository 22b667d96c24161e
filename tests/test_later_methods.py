"""MoNCE and hDCE as differences from CUT, on whole steps in float64."""

import pytest
import torch

from qsneg import losses as functions
from qsneg import methods
from qsneg.config import ModelConfig
from qsneg.losses import patch_nce, relation_consistency, resemblance_weights, transport_weights
from qsneg.methods import create

TINY = dict(width=4, disc_width=4, dim=8, patches=12, blocks=5)


def make(method: str, **settings):
    torch.manual_seed(0)
    return create(ModelConfig(method=method, **{**TINY, **settings})).double()


def step(model):
    torch.manual_seed(1)
    x, y = (torch.rand(2, 3, 32, 32, dtype=torch.float64) * 2 - 1 for _ in range(2))
    grads = {}

    def update(name, loss):
        grads[name] = torch.autograd.grad(loss, model.groups()[name], retain_graph=True)

    return model.step(x, y, update), grads


def test_with_equal_weights_monce_is_cut_to_the_last_bit(monkeypatch):
    monkeypatch.setattr(methods, "transport_weights", lambda q, k, epsilon: torch.ones(len(q), q.shape[1], q.shape[1]))
    (a, ga), (b, gb) = step(make("cut")), step(make("monce"))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert all(torch.equal(p, q) for name in ga for p, q in zip(ga[name], gb[name]))


def test_with_equal_weights_hdce_is_cut_without_the_positive_in_the_denominator(monkeypatch):
    monkeypatch.setattr(methods, "resemblance_weights", lambda k, gamma: torch.ones(len(k), k.shape[1], k.shape[1]))
    plain = patch_nce
    with monkeypatch.context() as patch:
        patch.setattr(methods, "patch_nce", lambda *args, **more: plain(*args, **(more | {"decoupled": True})))
        a, ga = step(make("cut", lambda_nce=0.1))
    b, gb = step(make("hdce", lambda_src=0.0))
    assert b.keys() - a.keys() == {"SRC"} and all(torch.equal(a[k], b[k]) for k in a)
    for p, q in zip(ga["G"], gb["G"]):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-15)


def test_monces_loss_is_that_of_its_plan():
    model = make("monce", transport=0.2)
    passes = []
    model.contrast = (lambda inner: lambda *a: passes.append(inner(*a)) or passes[-1])(model.contrast)
    got, _ = step(model)
    for name, p in zip(("NCE", "NCE_Y"), passes):
        each = [patch_nce(q, k, weights=transport_weights(q, k, 0.2)) for q, k in zip(p.queries, p.keys)]
        torch.testing.assert_close(got[name], torch.stack(each).mean().detach())
    assert functions.patch_nce is patch_nce


def test_hdces_loss_has_its_weights_its_gamma_and_relations_of_x_only():
    model = make("hdce")
    assert model.config.nce_weight == 0.1 and model.config.lambda_src == 0.05
    keys = torch.nn.functional.normalize(torch.randn(1, 6, 4), dim=-1)
    for progress, gamma in ((0, 50), (0.5, 30), (1, 10)):
        told = model.push(model.config, keys, keys, progress)
        torch.testing.assert_close(told["weights"], resemblance_weights(keys, gamma))
    passes = []
    model.contrast = (lambda inner: lambda *a: passes.append(inner(*a)) or passes[-1])(model.contrast)
    got, _ = step(model)
    x, y = passes
    for name, p in (("NCE", x), ("NCE_Y", y)):
        each = [patch_nce(q, k, weights=resemblance_weights(k, 50), decoupled=True) for q, k in zip(p.queries, p.keys)]
        torch.testing.assert_close(got[name], torch.stack(each).mean().detach())
    src = torch.stack([relation_consistency(q, k) for q, k in zip(x.queries, x.keys)]).mean().detach()
    torch.testing.assert_close(got["SRC"], src)
    torch.testing.assert_close(got["G"], got["G_GAN"] + 0.1 * (got["NCE"] + got["NCE_Y"]) / 2 + 0.05 * src)


@pytest.mark.parametrize("method", ["monce", "hdce"])
def test_weights_of_one_picture_refuse_a_whole_batch(method):
    with pytest.raises(ValueError, match="weighs the negatives of one picture"):
        ModelConfig(method=method, across_batch=True)
