"""Which places ask: random, entropy, doubt; in every method."""

import pytest
import torch

from qsneg.attention import doubtful_positions, local_entropy
from qsneg.config import ModelConfig, trained_methods
from qsneg.methods import create

TINY = dict(width=4, disc_width=4, dim=8, patches=12, blocks=5)


def test_half_of_the_places_are_the_least_real_and_none_comes_twice():
    torch.manual_seed(0)
    verdict = torch.rand(2, 1, 6, 8)
    candidates, others = torch.randperm(6 * 8)[:40], torch.randperm(6 * 8)[:10]
    index = doubtful_positions(verdict, (6, 8), candidates, others)
    for picture, places in zip(verdict.flatten(1), index.tolist()):
        assert len(set(places)) == 10
        least = sorted(candidates.tolist(), key=lambda p: float(picture[p]))[:5]
        assert places[:5] == least
        assert places[5:] == [p for p in others.tolist() if p not in least][:5]


@pytest.mark.parametrize("length, num", [(9, 12), (7, 7), (2, 12), (1, 12), (100, 11)])
def test_small_grids_and_odd_numbers_ask_everywhere_once(length, num):
    candidates, others = torch.randperm(length)[: 4 * num], torch.randperm(length)[:num]
    index = doubtful_positions(torch.rand(1, 1, 3, 3), (1, length), candidates, others)
    assert index.shape == (1, min(length, num)) and len(set(index[0].tolist())) == min(length, num)


def test_the_verdict_is_brought_to_the_grid():
    verdict = torch.ones(1, 1, 5, 5)
    verdict[..., 4, 4] = -3.0  # the lower right corner looks least real
    index = doubtful_positions(verdict, (20, 20), torch.arange(400), torch.arange(4))
    assert all(p // 20 >= 16 and p % 20 >= 16 for p in index[0, :2].tolist())


@pytest.mark.parametrize("method", trained_methods())
@pytest.mark.parametrize("queries", ["entropy", "doubt"])
def test_every_method_can_ask_there(method, queries):
    torch.manual_seed(0)
    model = create(ModelConfig(method=method, queries=queries, **TINY)).double()
    x, y = (torch.rand(2, 3, 32, 32, dtype=torch.float64) * 2 - 1 for _ in range(2))
    seen = {}

    def update(name, loss):
        seen[name] = torch.autograd.grad(loss, model.groups()[name], retain_graph=True)

    losses = model.step(x, y, update)
    assert all(loss.isfinite() for loss in losses.values())
    assert all(g.isfinite().all() for grads in seen.values() for g in grads) and any(g.any() for g in seen["G"])


def test_entropy_elsewhere_selects_without_routing():
    torch.manual_seed(0)
    model = create(ModelConfig(queries="entropy", attention="local", **TINY))
    features = torch.randn(2, 16, 9, 7)
    i = model.config.layers.index(12)
    read = model.reader(i, features)
    lowest = local_entropy(features).log.topk(12, largest=False).indices
    want = features.flatten(2).transpose(1, 2).gather(1, lowest[..., None].expand(-1, -1, 16))
    assert torch.equal(read(features), want)
    assert not torch.equal(model.reader(0, features)(features), want)  # other layers ask at random


def test_doubt_looks_at_this_passes_output_mirrored_with_it():
    torch.manual_seed(0)
    model = create(ModelConfig(method="fastcut", queries="doubt", **TINY))
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    seen = []
    model.contrast = lambda source, result, verdict: seen.append(verdict)
    for heads in (False, True):
        model.draws.coin = lambda heads=heads: heads
        output, _ = model.forward_passes(x, x)
        want = model.discriminator(output)
        torch.testing.assert_close(seen[-1][0], want.flip(3) if heads else want)


def test_qs_attn_with_random_queries_is_refused():
    with pytest.raises(ValueError, match="QS-Attn with random queries would be CUT"):
        ModelConfig(method="qs-attn", queries="random")
    with pytest.raises(ValueError, match="at random, by entropy or by doubt, not by 'norm'"):
        ModelConfig(queries="norm")
