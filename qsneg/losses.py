"""The losses: contrast between patches, least-squares GAN, diversity of generated negatives.

Shapes: B batch, N queries, M negatives, K projected width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def patch_nce(
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None = None,
    temperature: float = 0.07,
    across_batch: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Patch-wise contrastive loss: CUT, equation 3 (https://arxiv.org/abs/2007.15651).

    Cross-entropy of picking each query's positive among [q·k⁺, q·k⁻…]/τ. Without `negatives` those are
    the other positives of the same picture (a query's own position is masked with −10 before the
    division); with them, they replace the picture's (NEGCUT, equation 4, https://arxiv.org/abs/2108.04547).

    Args:
        query: B×N×K, unit vectors from the translation.
        positive: B×N×K, unit vectors from the source at the same positions. Gradients reach it unless
            it is detached, as CUT does.
        negatives: B×M×K, generated negatives.
        across_batch: take in-image negatives from the whole batch (single-image training).
        reduction: "mean" over all queries, or "none" for B×N losses.

    Returns: a scalar, or B×N with reduction "none"; in nats.

    Raises:
        ValueError: if the shapes of query and positive differ.
    """
    if query.shape != positive.shape:
        raise ValueError(f"Queries {tuple(query.shape)} and positives {tuple(positive.shape)} must have one shape.")
    b, n, _ = query.shape
    similar = (query * positive).sum(-1, keepdim=True)  # B×N×1
    if negatives is not None:
        others = query @ negatives.transpose(1, 2)  # B×N×M
    else:
        keys = positive
        if across_batch:
            query, keys = query.flatten(0, 1)[None], positive.flatten(0, 1)[None]
        others = query @ keys.transpose(1, 2)  # B×N×N, or 1×BN×BN
        own = torch.eye(others.shape[1], dtype=torch.bool, device=others.device)
        others = others.masked_fill(own, -10.0).reshape(b, n, -1)
    logits = torch.cat([similar, others], dim=-1).flatten(0, 1) / temperature  # BN×(1+M), positive first
    target = torch.zeros(b * n, dtype=torch.long, device=logits.device)
    loss = F.cross_entropy(logits, target, reduction=reduction)
    return loss.reshape(b, n) if reduction == "none" else loss


def lsgan(prediction: Tensor, real: bool) -> Tensor:
    """Least-squares GAN loss: mean squared error of the realness map to 1 (real) or 0 (generated)."""
    return (prediction - float(real)).square().mean()


def diversity(negatives: Tensor) -> Tensor:
    """NEGCUT's diversity loss (equation 6): −mean |first half − second half| of B×M×K negatives.

    Lower means more diverse: the noise must change the negatives.
    """
    half = negatives.shape[1] // 2
    return -(negatives[:, :half] - negatives[:, half : 2 * half]).abs().mean()
