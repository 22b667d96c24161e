"""Losses against slow NumPy and analytic answers."""

import numpy as np
import pytest
import torch

from qsneg.losses import diversity, lsgan, patch_nce


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
    np.testing.assert_allclose(got, want, rtol=1e-12)
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
