"""Networks: shapes, names, gradients against finite differences in every layout."""

import pytest
import torch
from torch.nn import functional as F

from qsneg.layers import BlurDown, BlurUp, InstanceNorm, ReflectPad
from qsneg.networks import Discriminator, Generator, NegativeGenerator, ProjectionHeads, feature_channels, tokens

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("cotangent", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("module", [InstanceNorm(), ReflectPad(1), ReflectPad(3), BlurDown(3).double(), BlurUp(3).double()])
def test_gradient_against_finite_differences(module, batch, layout, cotangent):
    """Trap: F.instance_norm is wrong at batch 1 when the incoming gradient is channels-last."""
    torch.manual_seed(0)
    x = torch.randn(batch, 3, 6, 8, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    g = torch.randn_like(module(x)).contiguous(memory_format=cotangent)
    (got,) = torch.autograd.grad(module(x), x, g)
    step, want = 1e-6, torch.zeros_like(x)
    with torch.no_grad():
        for i in range(x.numel()):
            e = torch.zeros(x.numel(), dtype=x.dtype)
            e[i] = step
            e = e.reshape(x.shape)
            want[tuple(torch.unravel_index(torch.tensor(i), x.shape))] = ((module(x + e) - module(x - e)) * g).sum() / (2 * step)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-7)


def test_instance_norm_is_instance_norm():
    x = torch.randn(2, 5, 7, 9)
    torch.testing.assert_close(InstanceNorm()(x), F.instance_norm(x))


def test_pad_is_reflection():
    x = torch.randn(2, 3, 9, 7)
    for pad in (1, 3):
        torch.testing.assert_close(ReflectPad(pad)(x), F.pad(x, (pad,) * 4, mode="reflect"))


def test_blur_up_is_the_published_transposed_convolution():
    x = torch.randn(2, 3, 5, 6)
    up = BlurUp(3)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    want = F.conv_transpose2d(padded, up.filt, stride=2, padding=2, groups=3)[:, :, 1:, 1:][:, :, :-1, :-1]
    torch.testing.assert_close(up(x), want)
    assert up(x).shape == (2, 3, 10, 12)


def test_blur_down_by_hand():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    got = BlurDown(1)(x)
    # top left: reflected neighbours of 0 are 1 and 4, their corner 5
    assert got.shape == (1, 1, 2, 2)
    assert got[0, 0, 0, 0].item() == pytest.approx((4 * 0 + 2 * (1 + 1 + 4 + 4) + 4 * 5) / 16)
    assert got[0, 0, 1, 1].item() == pytest.approx(10)  # an inner position of a linear ramp keeps its value


def test_feature_shapes():
    layers = (0, 4, 8, 12, 16)
    g = Generator(width=8)
    x = torch.rand(1, 3, 64, 48) * 2 - 1
    shapes = [tuple(f.shape[1:]) for f in g.encode(x, layers)]
    assert shapes == [(3, 70, 54), (16, 64, 48), (32, 32, 24), (32, 16, 12), (32, 16, 12)]
    assert [s[0] for s in shapes] == feature_channels(8, layers)
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
    assert {"mlp_0.0.weight", "mlp_4.2.bias"} <= set(ProjectionHeads(feature_channels(64, (0, 4, 8, 12, 16))).state_dict())


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


@pytest.mark.parametrize("dtype, forward, backward", [(torch.float32, 1e-4, 1e-4), (torch.bfloat16, 0.1, 0.05)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mean, deviation", [(0, 1), (5, 1), (37.1, 0.1), (37.1, 0.0), (1000, 1), (-1000, 1)])
def test_norms_of_nearly_flat_maps_keep_their_digits(mean, deviation, layout, dtype, forward, backward):
    """Flat crops (white paper) turned bfloat16 training into NaN: the variance was lost in E[x²] − E[x]²."""
    torch.manual_seed(0)
    x = (mean + deviation * torch.randn(2, 8, 40, 36)).to(dtype).contiguous(memory_format=layout).requires_grad_()
    grad = torch.randn(2, 8, 40, 36).to(dtype).contiguous(memory_format=layout)
    y = InstanceNorm()(x)
    y.backward(grad)
    exact = x.detach().double().requires_grad_()
    centred = exact - exact.mean((2, 3), keepdim=True)
    truth = centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    truth.backward(grad.double())
    assert (y.double() - truth).abs().max() < forward
    assert (x.grad.double() - exact.grad).abs().max() < backward * exact.grad.abs().max()
