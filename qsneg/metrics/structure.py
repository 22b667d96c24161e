"""Does the layout of a picture survive translation? Two agreements with the source, which need no network.

    edge_agreement(sources, translations)      # N values in [-1, 1]; 1: every edge kept, 0: nothing to do with it
    similarity_agreement(sources, translations)

Both are correlations, so brightness and contrast may change freely. Neither is an aim: a perfect zebra has stripes
that its horse has not. Compare with the true counterpart's value, where there is one.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from qsneg.metrics.score import LUMA

RADIUS, ANGLES, RADII = 10, 8, 3  # of the self-similarity descriptor: pixels of the halved picture; bins
NOISE = 0.05**2  # mean squared difference of patches (luminance from 0 to 1) that counts as none


def agreements(sources: Tensor, results: Tensor) -> dict[str, float]:
    """Mean edge and self-similarity agreement of N×3×H×W pictures in [-1, 1] with their sources."""
    pairs = [(sources[i : i + 16], results[i : i + 16]) for i in range(0, len(sources), 16)]  # bounds the memory
    measures = {"edges": edge_agreement, "self_similarity": similarity_agreement}
    return {name: float(torch.cat([measure(*pair) for pair in pairs]).mean()) for name, measure in measures.items()}


def luminance(x: Tensor) -> Tensor:
    """N×3×H×W in [-1, 1] to N×1×H×W in [0, 1]."""
    return (x.clamp(-1, 1) * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True) / 2 + 0.5


def edges(x: Tensor) -> Tensor:
    """Magnitude of the luminance's gradient (Sobel's operator), N×1×(H−2)×(W−2)."""
    across = x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    gradient = F.conv2d(luminance(x), torch.stack([across, across.T])[:, None])
    return gradient.square().sum(1, keepdim=True).sqrt()


def edge_agreement(sources: Tensor, results: Tensor) -> Tensor:
    """Per picture, the correlation between the edge magnitudes of source and result: N values."""
    return correlation(edges(sources).flatten(1), edges(results).flatten(1))


def similarity_agreement(sources: Tensor, results: Tensor) -> Tensor:
    """Per picture, how alike the self-similarities of source and result are: N values.

    Each element of the descriptor is correlated over the picture, source against result; the mean over elements.
    """
    a, b = (self_similarity(x).flatten(2) for x in (sources, results))  # N×D×positions
    return correlation(a, b).mean(1)


def self_similarity(x: Tensor) -> Tensor:
    """Local self-similarity descriptors at every other pixel, N×D×(H/2)×(W/2), D = 8 angles × 3 radii.

    After Shechtman and Irani (CVPR 2007, section 3), on luminance halved in size: the 5×5 patch at a place is compared
    with every patch within 10 pixels, S = exp(−d / max(noise, auto)), where d is the mean squared difference and auto
    its largest value among the eight neighbours; a bin of the log-polar grid keeps its most similar patch.
    Simpler than the paper: fewer bins, no stretching of each descriptor to [0, 1].
    """
    y = F.avg_pool2d(luminance(x), 2)
    height, width = (side + 4 for side in y.shape[2:])  # two more on each side for the patches
    padded = F.pad(y, (RADIUS + 2,) * 4, mode="replicate")

    def shifted(dy: int, dx: int) -> Tensor:
        return padded[:, :, RADIUS + dy : RADIUS + dy + height, RADIUS + dx : RADIUS + dx + width]

    def distance(dy: int, dx: int) -> Tensor:
        squares = (shifted(0, 0) - shifted(dy, dx)).square()
        rows = sum(squares[:, :, i : height - 4 + i] for i in range(5))
        return sum(rows[..., i : width - 4 + i] for i in range(5)) / 25

    auto = torch.stack([distance(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]).amax(0).clamp_min(NOISE)
    nearest = y.new_full((ANGLES * RADII, *y.shape), math.inf)
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            if 0 < math.hypot(dy, dx) <= RADIUS:
                at = log_polar_bin(dy, dx)
                nearest[at] = torch.minimum(nearest[at], distance(dy, dx))
    return torch.exp(-nearest / auto)[:, :, 0].transpose(0, 1)


def log_polar_bin(dy: int, dx: int) -> int:
    """Which bin of the log-polar grid an offset of at most RADIUS pixels falls in."""
    angle = round(math.atan2(dy, dx) / (2 * math.pi) * ANGLES) % ANGLES
    radius = min(RADII - 1, int(math.log(math.hypot(dy, dx)) / math.log(RADIUS) * RADII))
    return angle * RADII + radius


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation over the last axis; where one of the two is constant, 1 if both are and 0 otherwise."""
    a, b = (v.double() - v.double().mean(-1, keepdim=True) for v in (a, b))
    norms = [v.square().sum(-1).sqrt() for v in (a, b)]
    flat = [n < 1e-6 * v.shape[-1] ** 0.5 for n, v in zip(norms, (a, b))]
    value = (a * b).sum(-1) / (norms[0] * norms[1]).clamp_min(1e-30)
    return torch.where(flat[0] & flat[1], 1.0, torch.where(flat[0] | flat[1], 0.0, value))
