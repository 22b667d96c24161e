"""Query-selected attention against slow NumPy written from the formulas, and the traps."""

import numpy as np
import pytest
import torch

from qsneg import attention
from qsneg.attention import entropy, global_rows, local_rows, select
from qsneg.bounds import ATTENTION_MODES


def softmax(s):
    e = np.exp(s - s.max())
    return e / e.sum()


def slow_rows(features, mode, window):
    """features C×H×W -> rows L×L (local: zeros outside the window), by loops over positions."""
    c, h, w = features.shape
    t = features.reshape(c, h * w).T
    rows, r = np.zeros((h * w, h * w)), window // 2
    for i in range(h * w):
        y, x = divmod(i, w)
        if mode == "global":
            keys = list(range(h * w))
        else:
            keys = [
                v * w + u
                for v in range(max(0, y - r), min(h, y + r + 1))
                for u in range(max(0, x - r), min(w, x + r + 1))
            ]
        rows[i, keys] = softmax(t[keys] @ t[i])
    return rows


def slow_entropy(rows):
    logs = np.log(np.where(rows > 0, rows, 1))
    return -(rows * logs).sum(1)


def features_of(scale=0.5, size=(6, 9), channels=4, seed=0, batch=1):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(batch, channels, *size)) * scale)


@pytest.mark.parametrize("mode", ATTENTION_MODES)
@pytest.mark.parametrize("window", [3, 7])
def test_entropy_against_loops(mode, window):
    f = features_of(batch=2)
    got = entropy(f, mode, window)
    for b in range(2):
        want = slow_entropy(slow_rows(f[b].numpy(), "global" if mode == "global" else "local", window))
        np.testing.assert_allclose(got.nats[b], want, rtol=1e-10)
        np.testing.assert_allclose(got.log[b], np.log(want), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", ATTENTION_MODES)
def test_selection_and_routing_against_loops(mode):
    f, g = features_of(batch=2), features_of(seed=1, batch=2)
    chosen = select(f, 10, mode, 3)
    for b in range(2):
        ranked = np.argsort(slow_entropy(slow_rows(f[b].numpy(), "global" if mode == "global" else "local", 3)))[:10]
        np.testing.assert_array_equal(chosen.anchors[b], ranked)
        rows = slow_rows(f[b].numpy(), "local" if mode == "local" else "global", 3)[ranked]
        for features in (f, g):  # the source's rows route the translation too
            values = rows @ features[b].numpy().reshape(4, -1).T
            np.testing.assert_allclose(chosen.route(features)[b], values, rtol=1e-10, atol=1e-12)


def test_rows_sum_to_one_and_leave_out_the_outside():
    f = features_of()
    index = torch.arange(54)[None]
    torch.testing.assert_close(global_rows(f, index).sum(-1), torch.ones(1, 54, dtype=f.dtype))
    rows = local_rows(f, index, 3)
    torch.testing.assert_close(rows.sum(-1), torch.ones(1, 54, dtype=f.dtype))
    assert (rows[0, 0, [0, 1, 2, 3, 6]] == 0).all() and (rows[0, 0, [4, 5, 7, 8]] > 0).all()  # the top left corner


def test_trap_underflow_ranked_by_log_entropy():
    """Trap 1: where self-products dominate, float32 entropies are exactly 0 and sorting them picks by index."""
    f = features_of(scale=12.0, size=(16, 16), channels=16)  # self-products of about 2,300
    got = entropy(f.float())
    assert (got.nats == 0).sum() > 64  # plain entropies cannot rank these
    t = f[0].float().numpy().reshape(16, -1).T.astype(np.longdouble)
    s = t @ t.T
    d = np.sort(s - s.max(1, keepdims=True), axis=1)[:, :-1]  # without the maximum's own term
    terms = d + np.log1p(-d)
    top = terms.max(1)
    want = top + np.log(np.exp(terms - top[:, None]).sum(1))  # log H = logsumexp(t + log(1 − t)) for tiny H
    np.testing.assert_allclose(got.log[0], want.astype(float), atol=0.02)
    anchors = select(f.float(), 64).anchors[0].tolist()
    truly = np.argsort(want)[:64].tolist()
    assert len(set(anchors) & set(truly)) >= 62
    by_plain = torch.sort(got.nats[0], stable=True).indices[:64].tolist()
    assert len(set(by_plain) & set(truly)) < 40


def test_where_a_device_is_not_asked_the_entropies_are_the_same(monkeypatch):
    scores = torch.randn(300, 60) * 4
    scores[:, 0] += torch.linspace(0, 200, 300)
    asked = attention.row_entropy(scores)
    monkeypatch.setattr(attention, "ASKED", set())  # as on CUDA
    for there, here in zip(attention.row_entropy(scores), asked):
        assert torch.equal(there, here)


def test_log_entropy_agrees_where_both_forms_hold():
    scores = torch.randn(200, 50, dtype=torch.float64) * 3
    scores[:, 0] += torch.linspace(0, 60, 200, dtype=torch.float64)
    nats, log = attention.row_entropy(scores)
    p = scores.softmax(-1)
    plain = -torch.special.xlogy(p, p).sum(-1)
    digits = plain > 1e-8
    torch.testing.assert_close(log[digits], plain[digits].log(), rtol=0, atol=1e-6)
    assert (log.diff().isfinite()).all()
    tiny = nats < 1e-12
    assert tiny.any() and (~tiny).any()
    edge = (log[tiny].max() - log[~tiny].min()).item()
    assert edge < 1.0  # no jump between the two forms


def test_entropy_of_analytic_rows():
    uniform = torch.zeros(3, 40)
    nats, log = attention.row_entropy(uniform)
    torch.testing.assert_close(nats, torch.full((3,), float(np.log(40))))
    two = torch.tensor([[5.0, 5.0, -1e30]])
    torch.testing.assert_close(attention.row_entropy(two)[0], torch.tensor([float(np.log(2))]))


def test_trap_window_keys_are_positions_by_channels():
    """Trap 2: a window read as channels × positions gives other rows."""
    f = features_of(size=(8, 8), channels=5)
    index = torch.tensor([[27, 36]])
    got = local_rows(f, index, 3)
    unfolded = torch.nn.functional.unfold(f, 3, padding=1)  # 1×(C·9)×L, channels × window positions
    right = unfolded.reshape(5, 9, 64).permute(2, 1, 0)[index[0]]  # N×9×C
    scrambled = unfolded.reshape(9, 5, 64).permute(2, 0, 1)[index[0]]
    q = f.flatten(2)[0].T[index[0]]  # N×C
    want = torch.einsum("nc,nkc->nk", q, right).softmax(-1)
    wrong = torch.einsum("nc,nkc->nk", q, scrambled).softmax(-1)
    torch.testing.assert_close(got[0], want)
    assert (got[0] - wrong).abs().max() > 0.05
    log = entropy(f, "local", 3).log[0, index[0]]
    torch.testing.assert_close(log, (-torch.special.xlogy(want, want).sum(-1)).log())


def test_blocks_do_not_change_the_result(monkeypatch):
    f = features_of(size=(10, 11))
    whole = {m: entropy(f, m) for m in ATTENTION_MODES}
    largest = []
    row_entropy = attention.row_entropy
    monkeypatch.setattr(attention, "row_entropy", lambda s: (largest.append(s.numel()), row_entropy(s))[1])
    monkeypatch.setattr(attention, "BLOCK_ELEMENTS", 500)
    for mode in ATTENTION_MODES:
        torch.testing.assert_close(entropy(f, mode).log, whole[mode].log)
        torch.testing.assert_close(entropy(f, mode).nats, whole[mode].nats)
    assert max(largest) <= 11 * 49  # never L×L = 12,100


def test_unknown_mode():
    with pytest.raises(ValueError, match="global, local, local\\+global"):
        entropy(features_of(), "nearby")


def test_fewer_positions_than_anchors():
    for mode in ATTENTION_MODES:
        assert sorted(select(features_of(size=(2, 3)), 256, mode, 3).anchors[0].tolist()) == list(range(6))
