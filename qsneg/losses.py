"""The losses: contrast between patches and the weights of its negatives, least-squares GAN, diversity, relations.

Shapes: B batch, N queries, M negatives, K projected width.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MASKED = -10.0  # in place of a query's similarity to its own key among the negatives, before the division by τ


def patch_nce(
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None = None,
    temperature: float = 0.07,
    across_batch: bool = False,
    reduction: str = "mean",
    weights: Tensor | None = None,
    decoupled: bool = False,
) -> Tensor:
    """Patch-wise contrastive loss: CUT, equation 3 (https://arxiv.org/abs/2007.15651).

    Cross-entropy of picking each query's positive among [q·k⁺, q·k⁻…]/τ. Without `negatives` those are
    the other positives of the same picture (a query's own position is masked with `MASKED`);
    with them, they replace the picture's (NEGCUT, equation 4, https://arxiv.org/abs/2108.04547).

    Args:
        query: B×N×K, unit vectors from the translation.
        positive: B×N×K, unit vectors from the source at the same positions. Gradients reach it unless
            it is detached, as CUT does.
        negatives: B×M×K, generated negatives.
        across_batch: take in-image negatives from the whole batch (single-image training).
        reduction: "mean" over all queries, or "none" for B×N losses.
        weights: B×N×M factors w_ij of the negatives' terms e^{q·k_j/τ} (M = N in the picture); None: all 1.
        decoupled: leave the positive out of the denominator: −q·k⁺/τ + log Σ_j w_ij e^{q·k_j/τ} (hDCE, section 3,
            https://arxiv.org/abs/2203.01532).

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
        others = others.masked_fill(own, MASKED).reshape(b, n, -1)
    if weights is not None:
        others = others + temperature * weights.detach().log()  # e^{s/τ}·w = e^{(s + τ log w)/τ}; 1 changes no bit
    if decoupled:
        loss = (others / temperature).logsumexp(-1) - similar.squeeze(-1) / temperature  # B×N
        return loss if reduction == "none" else loss.mean()
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


@torch.no_grad()
def transport_weights(query: Tensor, key: Tensor, epsilon: float = 0.1, steps: int = 50) -> Tensor:
    """MoNCE's weights: (N − 1)·T for the entropic transport plan T between queries and keys (Zhan et al., CVPR 2022,
    section 3, https://arxiv.org/abs/2203.09333).

    T has the form diag(u)·K·diag(v) for the kernel K_ij = e^{q_i·k_j/ε} with a diagonal of 0; Sinkhorn's iteration
    finds u and v for which rows and columns sum to one. By the kernel's sign hard pairs, those alike, weigh more.

    Args:
        query, key: B×N×K unit vectors, with N at least 2.
        epsilon: how evenly the plan spreads: at ∞ all weights are 1.
        steps: of Sinkhorn's iteration, each over columns and then rows, which therefore sum to one exactly.

    Returns: B×N×N, row i the weights of query i's negatives.

    Raises:
        ValueError: if the shapes differ, or N is 1: there is nothing to transport.
    """
    if query.shape != key.shape or query.shape[1] < 2:
        raise ValueError(
            f"Queries and keys to transport must have one shape, with 2 places or more, not {tuple(query.shape)}."
        )
    n = query.shape[1]
    kernel = ((query @ key.transpose(1, 2) - 1) / epsilon).exp()  # B×N×N; the 1 cancels in the plan and keeps e^x small
    kernel.diagonal(dim1=1, dim2=2).zero_()
    u = kernel.new_ones(len(kernel), n, 1)
    for _ in range(steps):
        v = 1 / (kernel.transpose(1, 2) @ u)  # B×N×1
        u = 1 / (kernel @ v)
    return (n - 1) * u * kernel * v.transpose(1, 2)


@torch.no_grad()
def resemblance_weights(key: Tensor, gamma: float) -> Tensor:
    """hDCE's weights: (N − 1)·softmax_{j≠i}(k_i·k_j/γ), from the relations among a source's patches (Jung et al.,
    CVPR 2022, section 3, https://arxiv.org/abs/2203.01532).

    Args:
        key: B×N×K unit vectors, with N at least 2.
        gamma: how evenly they spread; at 10 no two weights of a row differ by more than a factor e^{0.2} = 1.22.

    Returns: B×N×N, row i the weights of query i's negatives.

    Raises:
        ValueError: if N is 1: there are no others.
    """
    if key.shape[1] < 2:
        raise ValueError("Weights of other places need 2 places or more.")
    scores = key @ key.transpose(1, 2) / gamma  # B×N×N
    scores.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    return (key.shape[1] - 1) * scores.softmax(-1)


def relation_consistency(query: Tensor, key: Tensor) -> Tensor:
    """SRC, semantic relation consistency (Jung et al., CVPR 2022, section 3, https://arxiv.org/abs/2203.01532):
    patches of the translation should resemble each other as those of the source do.

    The Jensen–Shannon divergence, in nats (at most log 2), between softmax_j(q_i·q_j) and softmax_j(k_i·k_j), over all
    places j, the own one too; the mean over queries and pictures. Gradients reach `query`; keys are as they come.

    Args: query, key: B×N×K unit vectors from translation and source at the same positions.

    Raises:
        ValueError: if their shapes differ.
    """
    if query.shape != key.shape:
        raise ValueError(f"Queries {tuple(query.shape)} and keys {tuple(key.shape)} must have one shape.")
    p, q = ((t @ t.transpose(1, 2)).log_softmax(-1) for t in (query, key))  # B×N×N
    middle = torch.logaddexp(p, q) - math.log(2)
    return sum((r.exp() * (r - middle)).sum(-1) for r in (p, q)).mean() / 2
