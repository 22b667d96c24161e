"""Layers: what they compute, gradients against finite differences in every layout."""

import pytest
import torch
from torch.nn import functional as F

from qsneg.layers import BlurDown, BlurUp, InstanceNorm, ReflectPad
from qsneg.networks import tokens

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("cotangent", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    "module", [InstanceNorm(), ReflectPad(1), ReflectPad(3), BlurDown(3).double(), BlurUp(3).double()]
)
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
            want[tuple(torch.unravel_index(torch.tensor(i), x.shape))] = ((module(x + e) - module(x - e)) * g).sum() / (
                2 * step
            )
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
    if layout == torch.channels_last and dtype == torch.bfloat16:  # nothing but the last rounding
        assert (y.double() - truth).abs().max() < 1.02 * (truth.to(dtype) - truth).abs().max() + 1e-4
    assert (x.grad.double() - exact.grad).abs().max() < backward * exact.grad.abs().max()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(6, 8), (7, 9), (4, 5), (2, 2), (3, 2)])
def test_fast_backward_passes_are_those_of_plain_ones(size, dtype):
    """Blur and padding have backward passes of their own on the CPU: the same gradients as torch's, odd sizes too."""
    torch.manual_seed(0)
    down, tolerance = BlurDown(3), {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.02}[dtype]
    row = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    kernel = torch.outer(row, row).repeat(3, 1, 1, 1)

    def blurred(x):
        return F.conv2d(F.pad(x, (1,) * 4, mode="reflect"), kernel, stride=2, groups=3)

    pairs = [(down, blurred), (ReflectPad(1), lambda x: F.pad(x, (1,) * 4, mode="reflect"))]
    for fast, plain in pairs:
        x = torch.randn(2, 3, *size).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
        exact = x.detach().double().requires_grad_()
        y, truth = fast(x), plain(exact)
        grad = torch.randn(truth.shape).to(dtype)
        y.backward(grad)
        truth.backward(grad.double())
        assert y.dtype == dtype and (y.double() - truth).abs().max() < tolerance * truth.abs().max()
        assert (x.grad.double() - exact.grad).abs().max() < tolerance * exact.grad.abs().max()


def test_gradients_of_tokens_come_back_channels_last():
    """Of one picture of a batch, too: torch lost track of the layout there, and every norm before it made a copy."""
    features = torch.randn(2, 8, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    seen = []
    whole = features * 1
    whole.register_hook(lambda grad: seen.append(grad.is_contiguous(memory_format=torch.channels_last)))
    sum(tokens(picture)[:, [3, 1]].sum() for picture in whole.chunk(2)).backward()
    assert seen == [True]
