"""Losses against slow NumPy and analytic answers."""

import numpy as np
import pytest
import torch

from qsneg.losses import (
    diversity,
    lsgan,
    patch_nce,
    relation_consistency,
    resemblance_weights,
    transport_weights,
)


def unit(rng, *shape):
    v = rng.normal(size=shape)
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def slow_nce(q, k, negatives=None, tau=0.07, across_batch=False):
    """B×N losses by loops: −log(e^{q·k⁺/τ} / Σ e^{…/τ}); the query's own position enters as −10."""
    b, n, _ = q.shape
    losses = np.zeros((b, n))
    for i in range(b):
        for j in range(n):
            logits = [q[i, j] @ k[i, j]]
            if negatives is not None:
                logits += [q[i, j] @ v for v in negatives[i]]
            else:
                for a in range(b) if across_batch else [i]:
                    logits += [-10.0 if (a, m) == (i, j) else q[i, j] @ k[a, m] for m in range(n)]
            z = np.array(logits) / tau
            losses[i, j] = np.log(np.exp(z - z.max()).sum()) + z.max() - z[0]
    return losses


@pytest.mark.parametrize("kind", ["in-image", "generated", "across"])
def test_patch_nce_against_loops(kind):
    rng = np.random.default_rng(0)
    q, k = unit(rng, 2, 6, 5), unit(rng, 2, 6, 5)
    n = unit(rng, 2, 9, 5) if kind == "generated" else None
    want = slow_nce(q, k, n, across_batch=kind == "across")
    args = [torch.from_numpy(a) if a is not None else None for a in (q, k, n)]
    got = patch_nce(*args, across_batch=kind == "across", reduction="none")
    np.testing.assert_allclose(got, want, rtol=1e-9)
    assert patch_nce(*args, across_batch=kind == "across").item() == pytest.approx(want.mean())


def test_patch_nce_analytic():
    """Orthogonal unit vectors: the positive scores 1, the others 0, own position −10."""
    e = torch.eye(8, dtype=torch.float64)[None]
    tau = 0.5
    want = np.log(np.exp(1 / tau) + 7 + np.exp(-10 / tau)) - 1 / tau
    assert patch_nce(e, e, temperature=tau).item() == pytest.approx(want)


def test_patch_nce_refuses_unequal_shapes():
    with pytest.raises(ValueError, match="one shape"):
        patch_nce(torch.zeros(1, 3, 4), torch.zeros(1, 2, 4))


def test_lsgan():
    p = torch.tensor([[0.0, 1.0], [0.5, 2.0]])
    assert lsgan(p, True).item() == pytest.approx((1 + 0 + 0.25 + 1) / 4)
    assert lsgan(p, False).item() == pytest.approx((0 + 1 + 0.25 + 4) / 4)


def test_diversity():
    n = torch.zeros(2, 4, 3)
    assert diversity(n).item() == 0
    n[0, 0] = 1.0  # differs from its partner n[0, 2] in 3 of the 12 compared numbers
    assert diversity(n).item() == pytest.approx(-3 / 12)
    n[0, 2] = 1.0
    assert diversity(n).item() == 0


# --- who is pushed away, and how hard ---


def slow_plan(q, k, epsilon, steps):
    """MoNCE's plan for one picture by loops: rows and columns of e^{q·k/ε}, its diagonal 0, scaled in turns."""
    n = len(q)
    plan = np.array([[np.exp(q[i] @ k[j] / epsilon) if i != j else 0.0 for j in range(n)] for i in range(n)])
    for _ in range(steps):
        plan = plan / plan.sum(0, keepdims=True)
        plan = plan / plan.sum(1, keepdims=True)
    return plan


def test_transport_weights_against_loops_and_push_hard_pairs_more():
    rng = np.random.default_rng(0)
    q, k = unit(rng, 2, 7, 5), unit(rng, 2, 7, 5)
    got = transport_weights(torch.from_numpy(q), torch.from_numpy(k)).numpy()
    for b in range(2):
        np.testing.assert_allclose(got[b], 6 * slow_plan(q[b], k[b], 0.1, 50), rtol=1e-9)
    assert (np.diagonal(got, axis1=1, axis2=2) == 0).all()
    np.testing.assert_allclose(got.sum(2), 6, rtol=1e-12)
    np.testing.assert_allclose(got.sum(1), 6, rtol=0.02)  # after 50 steps, nearly
    alike = np.einsum("bik,bjk->bij", q, k) - 9 * np.eye(7)
    assert all(
        np.corrcoef(alike[b][~np.eye(7, dtype=bool)], got[b][~np.eye(7, dtype=bool)])[0, 1] > 0.3 for b in range(2)
    )
    assert transport_weights(torch.from_numpy(q).float(), torch.from_numpy(k).float()).isfinite().all()


def test_transport_weights_of_two_places_are_known():
    """With two places each can only go to the other."""
    q, k = (torch.randn(1, 2, 4, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(transport_weights(q, k), torch.tensor([[[0.0, 1.0], [1.0, 0.0]]], dtype=torch.float64))


@pytest.mark.parametrize("gamma", [10.0, 50.0])
def test_resemblance_weights_against_loops(gamma):
    rng = np.random.default_rng(1)
    k = unit(rng, 2, 6, 5)
    got = resemblance_weights(torch.from_numpy(k), gamma).numpy()
    for b in range(2):
        for i in range(6):
            e = np.array([np.exp(k[b, i] @ k[b, j] / gamma) if j != i else 0.0 for j in range(6)])
            np.testing.assert_allclose(got[b, i], 5 * e / e.sum(), rtol=1e-12)
    assert got[got > 0].max() / got[got > 0].min() < np.exp(2 / gamma)  # 1.22 at γ = 10


@pytest.mark.parametrize("decoupled", [False, True])
def test_weighted_contrast_against_loops(decoupled):
    rng = np.random.default_rng(2)
    q, k, w = unit(rng, 2, 6, 5), unit(rng, 2, 6, 5), rng.uniform(0.1, 3, (2, 6, 6))
    w[:, np.arange(6), np.arange(6)] = 0
    want = np.zeros((2, 6))
    for b in range(2):
        for i in range(6):
            e = np.exp(k[b] @ q[b, i] / 0.07)
            want[b, i] = np.log((w[b, i] * e).sum() + (0 if decoupled else e[i])) - np.log(e[i])
    args = [torch.from_numpy(a) for a in (q, k)]
    got = patch_nce(*args, reduction="none", weights=torch.from_numpy(w), decoupled=decoupled)
    np.testing.assert_allclose(got, want, rtol=1e-9)
    mean = patch_nce(*args, weights=torch.from_numpy(w), decoupled=decoupled)
    np.testing.assert_allclose(mean, want.mean(), rtol=1e-9)


def test_weights_of_one_change_no_bit_and_no_gradient_goes_through_weights():
    torch.manual_seed(0)
    q, k = (torch.nn.functional.normalize(torch.randn(2, 9, 5, dtype=torch.float64), dim=-1) for _ in range(2))
    assert torch.equal(patch_nce(q, k, weights=torch.ones(2, 9, 9)), patch_nce(q, k))
    q.requires_grad_()
    w = torch.rand(2, 9, 9, dtype=torch.float64)
    w.diagonal(dim1=1, dim2=2).zero_()
    w.requires_grad_()
    for decoupled in (False, True):
        loss = patch_nce(q, k, weights=w, decoupled=decoupled)
        gq, gw = torch.autograd.grad(loss, (q, w), allow_unused=True)
        assert gw is None and gq.isfinite().all()
    for made in (transport_weights(q, k), resemblance_weights(q, 10.0)):
        assert not made.requires_grad


def test_without_the_positive_it_is_cut_less_its_term():
    """e^{loss} of CUT is one more than e^{loss} without the positive in the denominator: (p + Σ)/p = 1 + Σ/p."""
    rng = np.random.default_rng(3)
    q, k = (torch.from_numpy(unit(rng, 1, 6, 5)) for _ in range(2))
    cut, alone = patch_nce(q, k, reduction="none"), patch_nce(q, k, reduction="none", decoupled=True)
    np.testing.assert_allclose(cut.exp(), 1 + alone.exp(), rtol=1e-12)


def test_relation_consistency_against_loops():
    rng = np.random.default_rng(4)
    q, k = unit(rng, 2, 5, 4), unit(rng, 2, 5, 4)

    def softmax(v):
        return np.exp(v) / np.exp(v).sum()

    want = []
    for b in range(2):
        for i in range(5):
            p, r = softmax(q[b] @ q[b, i]), softmax(k[b] @ k[b, i])
            m = (p + r) / 2
            want.append(((p * np.log(p / m)).sum() + (r * np.log(r / m)).sum()) / 2)
    q, k = torch.from_numpy(q).requires_grad_(), torch.from_numpy(k)
    got = relation_consistency(q, k)
    np.testing.assert_allclose(got.detach(), np.mean(want), rtol=1e-9)
    assert torch.autograd.grad(got, q)[0].abs().sum() > 0
    assert relation_consistency(k, k).abs() < 1e-15


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda q: transport_weights(q, q[:, :1]), "must have one shape"),
        (lambda q: transport_weights(q[:, :1], q[:, :1]), "2 places"),
        (lambda q: resemblance_weights(q[:, :1], 10.0), "2 places"),
        (lambda q: relation_consistency(q, q[:, :1]), "must have one shape"),
    ],
)
def test_weights_refuse_what_has_no_others(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(1, 3, 2))
