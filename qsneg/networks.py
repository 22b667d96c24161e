"""The four networks: generator (with its encoder), discriminator, projection heads, negative generator.

Tensor names are those of the published weights (`model.<index>.weight`, `mlp_<i>.0.weight`), so a
published file loads with `load_state_dict`. All modules are complete once constructed: no shape
depends on the data. Shapes: B batch, C channels, H×W the grid, N patches, K projected width.

    python -c "from qsneg.networks import Generator; print(Generator(width=32))"

Papers: CUT (Park et al., ECCV 2020, https://arxiv.org/abs/2007.15651), whose generator is the
ResNet of Johnson et al. with the anti-aliased resampling of Zhang (ICML 2019); NEGCUT (Wang et al.,
ICCV 2021, https://arxiv.org/abs/2108.04547).
"""

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from qsneg.layers import BlurDown, BlurUp, InstanceNorm, ReflectPad, at_least_float32


class ResidualBlock(nn.Module):
    """x + (pad, conv 3×3, norm, ReLU, pad, conv 3×3, norm)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv_block = nn.Sequential(
            ReflectPad(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(),
            nn.ReLU(True),
            ReflectPad(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(),
        )

    def forward(self, x: Tensor) -> Tensor:  # B×C×H×W -> B×C×H×W
        return x + self.conv_block(x)


class Generator(nn.Module):
    """ResNet generator; its first half is the encoder whose features the contrastive losses compare.

    `width` (ngf) is the number of channels of the first convolution, `blocks` that of residual blocks.
    `resampling` is "blur", or "strided" as in CycleGAN (Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593):
    there the convolutions themselves have stride 2, transposed ones on the way up, and blocks begin at index 10.
    Pictures are B×C×H×W in [-1, 1], RGB or of other `channels`, with H and W divisible by 4 and at least 8.

    Where `checkpointing` is set, a pass with gradients keeps one map per outer convolution and block, and computes what
    lies between anew in the backward pass (gradient checkpointing, Chen et al. 2016, https://arxiv.org/abs/1604.06174):
    the same numbers from less memory.
    """

    checkpointing = False

    def __init__(self, width: int = 64, blocks: int = 9, resampling: str = "blur", channels: int = 3):
        super().__init__()
        w = width
        first = [ReflectPad(3), nn.Conv2d(channels, w, 7), InstanceNorm(), nn.ReLU(True)]  # 0–3
        if resampling == "blur":
            down = [
                nn.Conv2d(w, 2 * w, 3, padding=1),
                InstanceNorm(),
                nn.ReLU(True),
                BlurDown(2 * w),  # 4–7
                nn.Conv2d(2 * w, 4 * w, 3, padding=1),
                InstanceNorm(),
                nn.ReLU(True),
                BlurDown(4 * w),  # 8–11
            ]
            up = [
                BlurUp(4 * w),
                nn.Conv2d(4 * w, 2 * w, 3, padding=1),
                InstanceNorm(),
                nn.ReLU(True),
                BlurUp(2 * w),
                nn.Conv2d(2 * w, w, 3, padding=1),
                InstanceNorm(),
                nn.ReLU(True),
            ]
        else:
            down = [
                nn.Conv2d(w, 2 * w, 3, stride=2, padding=1),
                InstanceNorm(),
                nn.ReLU(True),  # 4–6
                nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1),
                InstanceNorm(),
                nn.ReLU(True),  # 7–9
            ]
            double = dict(kernel_size=3, stride=2, padding=1, output_padding=1)  # doubles the grid exactly
            up = [
                nn.ConvTranspose2d(4 * w, 2 * w, **double),
                InstanceNorm(),
                nn.ReLU(True),
                nn.ConvTranspose2d(2 * w, w, **double),
                InstanceNorm(),
                nn.ReLU(True),
            ]
        inner = [ResidualBlock(4 * w) for _ in range(blocks)]  # 12–20 with 9 blocks; strided: 10–18
        last = [ReflectPad(3), nn.Conv2d(w, channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*first, *down, *inner, *up, *last)
        self.width, self.blocks, self.resampling, self.colours = width, blocks, resampling, channels
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Translate: B×C×H×W in [-1, 1] to the same shape and range."""
        return self.model(x)

    def translate_with_features(self, x: Tensor, layers: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
        """The translation of `x` and its features at `layers` (see `encode`), from one pass."""
        return self._through(x, layers, len(self.model))

    def encode(self, x: Tensor, layers: tuple[int, ...]) -> list[Tensor]:
        """Features of `x` at `layers`, each B×C_l×H_l×W_l: the outputs of those indices of `model`.

        At 256×256 and width 64, layers 0, 4, 8, 12, 16 of RGB give 3×262×262 (the padded picture itself),
        128×256×256, 256×128×128, 256×64×64, 256×64×64.
        """
        return self._through(x, layers, max(layers) + 1)[1]

    def _through(self, x: Tensor, layers: tuple[int, ...], end: int) -> tuple[Tensor, list[Tensor]]:
        """`x` after the first `end` modules, and the outputs of those in `layers`."""
        features, start = {}, 0
        for index, module in enumerate(self.model[:end]):
            if index in layers or index == end - 1 or isinstance(module, PARTS_END):
                x = self._part(self.model[start : index + 1], x)
                start = index + 1
            if index in layers:
                features[index] = x
        return x, [features[l] for l in layers]

    def _part(self, part: nn.Sequential, x: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(part, x, use_reentrant=False, preserve_rng_state=False)  # nothing in it is drawn
        return part(x)

    def channels(self, layers: tuple[int, ...]) -> list[int]:
        """Channels of the features at `layers`, known before any picture is seen."""
        found = []
        for layer in layers:
            convolutions = [m for m in self.model[: layer + 1] if isinstance(m, nn.Conv2d)]  # blocks keep their number
            found.append(convolutions[-1].out_channels if convolutions else self.colours)
        return found

    def stride(self, layer: int) -> int:
        """Pixels per position of the features at `layer`, up to the last block."""
        return math.prod(
            2 if isinstance(m, BlurDown) else getattr(m, "stride", (1,))[0] for m in self.model[: layer + 1]
        )


PARTS_END = (nn.Conv2d, nn.ConvTranspose2d, ResidualBlock)  # of the generator, where gradients are checkpointed


class Discriminator(nn.Module):
    """PatchGAN: B×C×H×W pictures in [-1, 1] to a B×1×h×w map of realness (LSGAN: 1 real, 0 generated)."""

    def __init__(self, width: int = 64, channels: int = 3):
        super().__init__()
        w = width
        self.model = nn.Sequential(
            nn.Conv2d(channels, w, 4, padding=1),
            nn.LeakyReLU(0.2, True),
            BlurDown(w),  # 0–2
            nn.Conv2d(w, 2 * w, 4, padding=1),
            InstanceNorm(),
            nn.LeakyReLU(0.2, True),
            BlurDown(2 * w),  # 3–6
            nn.Conv2d(2 * w, 4 * w, 4, padding=1),
            InstanceNorm(),
            nn.LeakyReLU(0.2, True),
            BlurDown(4 * w),  # 7–10
            nn.Conv2d(4 * w, 8 * w, 4, padding=1),
            InstanceNorm(),
            nn.LeakyReLU(0.2, True),  # 11–13
            nn.Conv2d(8 * w, 1, 4, padding=1),  # 14
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ProjectionHeads(nn.Module):
    """One two-layer perceptron per feature layer, then division by the L2 norm (CUT, section 3).

    `channels` are the widths C_l of the layers (see `Generator.channels`), `dim` is K.
    """

    def __init__(self, channels: list[int], dim: int = 256):
        super().__init__()
        for i, c in enumerate(channels):
            self.add_module(f"mlp_{i}", nn.Sequential(nn.Linear(c, dim), nn.ReLU(True), nn.Linear(dim, dim)))
        initialise(self)

    def forward(self, tokens: Tensor, i: int) -> Tensor:  # B×N×C_l of the i-th layer -> B×N×K
        return unit(at_least_float32(getattr(self, f"mlp_{i}")(tokens)))

    def mean(self, tokens: Tensor, i: int) -> Tensor:  # B×L×C_l -> B×K
        """The mean over all L positions of the projected features, without holding their normalised copy."""
        projected = getattr(self, f"mlp_{i}")(tokens)  # B×L×K
        norm = at_least_float32(torch.linalg.vector_norm(projected, dim=-1, keepdim=True))  # B×L×1
        weight = (1 / (norm + 1e-7)).to(projected.dtype).transpose(1, 2)
        return at_least_float32(weight @ projected).squeeze(1) / tokens.shape[1]


class NegativeGenerator(nn.Module):
    """NEGCUT's generator of negatives, one perceptron per feature layer (section 3.2 of the paper)."""

    def __init__(self, layers: int, dim: int = 256, noise_dim: int = 64):
        super().__init__()
        for i in range(layers):
            self.add_module(
                f"mlp_{i}", nn.Sequential(nn.Linear(dim + noise_dim, dim), nn.ReLU(True), nn.Linear(dim, dim))
            )
        self.noise_dim = noise_dim
        initialise(self)

    def forward(self, mean: Tensor, noise: Tensor, i: int) -> Tensor:
        """Negatives of the i-th layer.

        Args:
            mean: B×K, the spatial mean of the projected source features.
            noise: B×N×64 drawn from N(0, I), one vector for each negative.

        Returns: B×N×K, of unit length. They belong to the picture, not to a place in it.
        """
        mean = mean[:, None].expand(-1, noise.shape[1], -1)  # B×N×K
        return unit(at_least_float32(getattr(self, f"mlp_{i}")(torch.cat([mean, noise], dim=-1))))


def unit(x: Tensor) -> Tensor:
    """Divide by the L2 norm over the last axis (+1e-7)."""
    return x / (x.norm(dim=-1, keepdim=True) + 1e-7)


def tokens(features: Tensor) -> Tensor:
    """A feature map B×C×H×W as tokens B×L×C, L = H·W positions in row-major order.

    In this order of axes the gradient comes back channels-last, as the convolutions want it."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def initialise(net: nn.Module) -> None:
    """Xavier normal with gain 0.02, biases 0."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_normal_(module.weight, gain=0.02)
            nn.init.zeros_(module.bias)
