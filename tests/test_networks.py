"""Networks: shapes, names, how they begin."""

import pytest
import torch
from torch.nn import functional as F

from qsneg.networks import Discriminator, Generator, NegativeGenerator, ProjectionHeads, tokens


def test_feature_shapes():
    layers = (0, 4, 8, 12, 16)
    g = Generator(width=8)
    x = torch.rand(1, 3, 64, 48) * 2 - 1
    shapes = [tuple(f.shape[1:]) for f in g.encode(x, layers)]
    assert shapes == [(3, 70, 54), (16, 64, 48), (32, 32, 24), (32, 16, 12), (32, 16, 12)]
    assert [s[0] for s in shapes] == g.channels(layers)
    y, features = g.translate_with_features(x, layers)
    torch.testing.assert_close(y, g(x))
    for a, b in zip(features, g.encode(x, layers)):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(features[0], F.pad(x, (3, 3, 3, 3), mode="reflect"))  # layer 0 is the padded picture


def test_published_sizes_and_names():
    g = Generator()
    assert sum(p.numel() for p in g.parameters()) == 11_378_179  # resnet_9blocks as published
    names = set(g.state_dict())
    assert {"model.1.weight", "model.7.filt", "model.12.conv_block.5.bias", "model.21.filt", "model.30.weight"} <= names
    assert {"model.0.weight", "model.2.filt", "model.14.bias"} <= set(Discriminator().state_dict())
    heads = ProjectionHeads(g.channels((0, 4, 8, 12, 16)))
    assert {"mlp_0.0.weight", "mlp_4.2.bias"} <= set(heads.state_dict())


def test_initialisation():
    torch.manual_seed(0)
    g = Generator(width=16)
    w = g.model[12].conv_block[1].weight  # Xavier: std = gain·√(2 / (fan_in + fan_out))
    assert w.std().item() == pytest.approx(0.02 * (2 / (2 * 64 * 9)) ** 0.5, rel=0.05)
    assert all((p == 0).all() for n, p in g.named_parameters() if n.endswith("bias"))


def test_heads_and_negatives_have_unit_length():
    heads, negatives = ProjectionHeads([3, 8], 16), NegativeGenerator(2, 16, 5)
    t = torch.randn(2, 10, 8)
    k = heads(t, 1)
    torch.testing.assert_close(k.norm(dim=-1), torch.ones(2, 10), atol=1e-3, rtol=0)
    torch.testing.assert_close(heads.mean(t, 1), k.mean(1))
    n = negatives(k.mean(1), torch.randn(2, 7, 5), 0)
    assert n.shape == (2, 7, 16)
    torch.testing.assert_close(n.norm(dim=-1), torch.ones(2, 7), atol=1e-3, rtol=0)


def test_tokens_are_row_major():
    f = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    torch.testing.assert_close(tokens(f)[1, 2 * 5 + 3], f[1, :, 2, 3])
