"""Which places ask: positions at random, or where the discriminator doubts.

A contrastive loss compares N places of translation and source. CUT draws them at random, QS-Attn takes those of lowest
entropy (`qsneg.attention.select`); here are those of EnCo's discriminative attention, DAG (Cai et al., AAAI 2024,
https://arxiv.org/abs/2211.10867): half of them where the discriminator finds the translation least real.
Shapes: B batch, H×W the grid of a layer, L = H·W its positions in row-major order, h×w the discriminator's map.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

OVERSAMPLE = 4  # candidates, drawn at random, for each query


def doubtful_positions(verdict: Tensor, grid: tuple[int, int], candidates: Tensor, others: Tensor) -> Tensor:
    """N positions of a grid: the half with the least real patches among the candidates, and a random half beside it.

    Args:
        verdict: B×1×h×w, how real the discriminator finds the pictures (LSGAN: 1 real, 0 generated).
        grid: H and W; the verdict is brought to it by bilinear interpolation.
        candidates: positions drawn at random without replacement, a multiple of N of them or all L.
        others: N positions drawn at random without replacement, for the second half.

    Returns: B×N positions, all different (one twice would be a negative that equals its positive): first the N/2
        least real, the least first, then the first of `others` that are not among them.
    """
    n = len(others)
    doubt = F.interpolate(verdict.float(), grid, mode="bilinear", align_corners=False).flatten(1)  # B×L
    least = doubt[:, candidates].topk(n // 2, largest=False).indices  # B×N/2, places among the candidates
    chosen = candidates[least]  # B×N/2
    others = others.expand(len(chosen), -1)  # B×N
    taken = (others[..., None] == chosen[:, None]).any(-1)
    free = taken.int().sort(stable=True).indices[:, : n - n // 2]  # those not taken first, in the order drawn
    return torch.cat([chosen, others.gather(1, free)], dim=1)
