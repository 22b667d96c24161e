"""Layers: norm, padding and blur, right and fast on every device. Shapes: B batch, C channels, H×W the grid.

python -c "import torch; from qsneg.layers import BlurDown; print(BlurDown(8)(torch.rand(1, 8, 64, 64)).shape)"
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-5  # added to a variance


class InstanceNorm(nn.Module):
    """Normalise every channel of every picture over its H×W positions, without affine parameters.

    Computed as a group norm with one channel per group: the same function, but `F.instance_norm` has
    wrong gradients on the CPU at batch 1 when the incoming gradient is laid out channels-last
    (torch 2.13 and 2.15), which the contrastive losses cause all the time.

    Torch's group norm takes the variance of a channels-last map on the CPU as E[x²] − E[x]², of which nothing is left
    where a map is nearly flat (white paper: a mean of 37 and deviations of 0.1 came out wrong by 6 in bfloat16 and by
    1.5 in float32), and keeps the statistics for its backward pass in the precision of the input. So in half precision
    a map goes through a batch norm over one picture, which keeps its statistics in float32 and comes out right to the
    last rounding; in float32, where that one's mean is off by up to a hundredth of the deviation, and wherever else
    there is no such batch norm, it is moved near 0 first, by the mean of every eighth position each way: what is left
    of its mean is at most 8 of its standard deviations.
    """

    def forward(self, x: Tensor) -> Tensor:  # B×C×H×W -> B×C×H×W
        is_half = x.dtype in (torch.float16, torch.bfloat16)
        is_last = x.device.type == "cpu" and not x.is_contiguous()
        if (is_half or not x.is_contiguous()) and not (is_half and is_last):
            x = x - x[:, :, ::8, ::8].detach().mean((2, 3), keepdim=True)  # a constant: no gradient goes through it
        if is_last and (is_half or x.requires_grad):
            return _ChannelsLastNorm.apply(x)
        return F.group_norm(x, num_groups=x.shape[1], eps=EPSILON)


class _ChannelsLastNorm(torch.autograd.Function):
    """Instance norm of channels-last maps on the CPU: picture by picture the batch norm over one picture, which torch
    has in a fast version, provided that gradient and input share their layout; backwards it is 30 to 70 times faster
    than the group norm. Forwards in float32 it is that group norm (see `InstanceNorm`)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        x = x.contiguous(memory_format=torch.channels_last)
        if x.dtype in (torch.float16, torch.bfloat16):
            y, (mean, scale) = torch.empty_like(x), x.new_empty(2, b, c, dtype=torch.float32)
            one, none = mean.new_ones(c), mean.new_zeros(c)  # in float32: so are the statistics
            for i in range(b):
                out = dict(out=y[i : i + 1], save_mean=mean[i], save_invstd=scale[i])
                torch.ops.aten.native_batch_norm.out(x[i : i + 1], one, none, None, None, True, 0.0, EPSILON, **out)
        else:
            y, mean, scale = torch.native_group_norm(x, None, None, b, c, h * w, c, EPSILON)
        ctx.save_for_backward(x, mean, scale)  # mean and 1/σ are B×C
        return y

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        x, mean, scale = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        parts = [
            torch.ops.aten.native_batch_norm_backward(
                grad[i : i + 1], x[i : i + 1], None, None, None, mean[i], scale[i], True, EPSILON, [True, False, False]
            )[0]
            for i in range(len(x))
        ]
        return torch.cat(parts) if len(parts) > 1 else parts[0]


class ReflectPad(nn.Module):
    """Reflection padding by `pad` on all sides, in the precision that the input has."""

    def __init__(self, pad: int):
        super().__init__()
        self.pad = pad

    def forward(self, x: Tensor) -> Tensor:  # B×C×H×W -> B×C×(H+2·pad)×(W+2·pad)
        return _Reflect.apply(x, self.pad)


class _Reflect(torch.autograd.Function):
    """torch's own reflection padding, but for two things that cost time on the CPU: under autocast it would go
    by way of float32, and its backward pass is ten times slower than folding the margins back in."""

    @staticmethod
    def forward(ctx, x: Tensor, p: int) -> Tensor:
        ctx.pad = p
        with torch.autocast(x.device.type, enabled=False):
            return F.pad(x, (p, p, p, p), mode="reflect")

    @staticmethod
    def backward(ctx, grad: Tensor):
        p = ctx.pad
        h, w = (side - 2 * p for side in grad.shape[2:])
        inner = grad[:, :, p:-p, p:-p].clone()
        rows = (grad[:, :, :p].flip(2), 1), (grad[:, :, -p:].flip(2), h - p - 1)  # what is folded, and where to
        for strip, top in rows:
            inner.narrow(2, top, p).add_(strip[..., p:-p])
        for columns, left in ((slice(0, p), 1), (slice(-p, None), w - p - 1)):
            side = grad[:, :, p:-p, columns].clone()
            for strip, top in rows:
                side.narrow(2, top, p).add_(strip[..., columns])  # the corners
            inner.narrow(3, left, p).add_(side.flip(3))
        return inner, None


class BlurDown(nn.Module):
    """Halve the grid: reflect pad 1, then [1 2 1]⊗[1 2 1]/16 per channel with stride 2."""

    def __init__(self, channels: int):
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("filt", torch.outer(row, row).repeat(channels, 1, 1, 1))  # C×1×3×3

    def forward(self, x: Tensor) -> Tensor:  # B×C×H×W -> B×C×⌈H/2⌉×⌈W/2⌉
        with torch.autocast(x.device.type, enabled=False):
            if x.device.type == "cpu":
                return _BlurDown.apply(x, self.filt)
            return F.conv2d(at_least_float32(_Reflect.apply(x, 1)), self.filt, stride=2, groups=x.shape[1]).to(x.dtype)


class _BlurDown(torch.autograd.Function):
    """The same on the CPU, in the precision that the input has. Its backward pass hands each gradient on to the places
    that it came from, one axis after the other: as a convolution it takes two to seven times as long."""

    @staticmethod
    def forward(ctx, x: Tensor, filt: Tensor) -> Tensor:
        ctx.size = x.shape[2:]
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), filt.to(x.dtype), stride=2, groups=x.shape[1])

    @staticmethod
    def backward(ctx, grad: Tensor):
        height, width = ctx.size
        grad = grad.contiguous(memory_format=torch.channels_last) / 16
        return _spread(_spread(grad, 3, width), 2, height), None


def _spread(grad: Tensor, axis: int, size: int) -> Tensor:
    """Gradients of n = ⌈size/2⌉ sums x[2i−1] + 2·x[2i] + x[2i+1] along an axis to those of their `size` places."""
    shape = list(grad.shape)
    shape[axis] = size
    result = torch.empty(shape, dtype=grad.dtype, memory_format=torch.channels_last)
    every = [slice(None)] * axis
    even, odd = (result[(*every, slice(first, None, 2))] for first in (0, 1))
    torch.mul(grad, 2, out=even)
    n, between = grad.shape[axis], odd.shape[axis]  # as many odd places as sums, or one less
    torch.add(grad.narrow(axis, 0, n - 1), grad.narrow(axis, 1, n - 1), out=odd.narrow(axis, 0, n - 1))
    if between == n:
        odd.narrow(axis, n - 1, 1).copy_(grad.narrow(axis, n - 1, 1))
    else:
        odd.narrow(axis, between - 1, 1).add_(grad.narrow(axis, n - 1, 1))  # mirrored at the end
    odd.narrow(axis, 0, 1).add_(grad.narrow(axis, 0, 1))  # mirrored at the beginning
    return result


class BlurUp(nn.Module):
    """Double the grid exactly with the filter [1 3 3 1]⊗[1 3 3 1]/16 per channel, borders replicated.

    Between samples that filter weighs the two neighbours ¼ and ¾, which is bilinear interpolation; so
    torch's own is used. The buffer `filt` is kept because published files carry it.
    """

    def __init__(self, channels: int):
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("filt", torch.outer(row, row).repeat(channels, 1, 1, 1))  # C×1×4×4

    def forward(self, x: Tensor) -> Tensor:  # B×C×H×W -> B×C×2H×2W
        with torch.autocast(x.device.type, enabled=False):  # in the precision it comes in
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32 where autocast left it in half precision; float32 and float64 stay."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
