"""Query-selected attention: which patches are significant, and what each of them attends to.

From QS-Attn (Hu et al., CVPR 2022, https://arxiv.org/abs/2203.08483), section 3.2. With tokens T (L×C,
the raw features of one layer), the scores are S = T·Tᵀ, attention A = softmax of each row, and the
entropy of a row h_i = −Σ_j A_ij log A_ij, in nats. Rows of low entropy are significant: the N lowest are
the anchors. In local attention a position's keys are those of the w×w window around it.

Two things are done with care. Entropies underflow in float32 where a token's product with itself
dominates, so positions are ranked by the logarithm of the entropy, computed without underflow. And
no L×L matrix is ever held: entropies are taken a block of rows at a time.

Shapes: B batch, C channels, H×W the grid, L = H·W positions in row-major order, N anchors, w window.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from qsneg.bounds import check_mode
from qsneg.networks import tokens

BLOCK_ELEMENTS = 1 << 20  # scores held at a time: 4 MB in float32, about what a core's cache takes
OVERSAMPLE = 4  # candidates, drawn at random, for each query
ASKED = {"cpu"}  # devices that may be asked for a number: others would have to finish first
TINY_ENTROPY = 1e-12  # below, the entropy is taken from its logarithmic form, exact to about this figure


class Entropy(NamedTuple):
    """Entropies of attention rows, each B×L: in nats (0 where it underflows), and their logarithms."""

    nats: Tensor
    log: Tensor


def row_entropy(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Entropy in nats and log-entropy of softmax(scores) over the last axis.

    With t = s − max s and Z = Σ e^t: H = log Z − Σ t·e^t / Z, where log Z = log1p(Σ_{j≠argmax} e^{t_j})
    keeps the digits that 1 + Σ would lose. Every term is positive, so nothing cancels; where e^t
    itself underflows, log H = logsumexp_{j≠argmax}(t_j + log(1 − t_j)), its limit for small entropies.
    """
    lowest = math.log(torch.finfo(scores.dtype).tiny) + 2  # below, e^t is no normal number and exp 30 times slower
    t = (scores - scores.amax(-1, keepdim=True)).clamp_(min=lowest)  # ...×J, 0 at the maximum
    e, below = t.exp(), t.sign()  # `below` is −1, and 0 at the maximum
    ties = t.shape[-1] + below.sum(-1) - 1  # where several are largest, all but one belong to the rest
    rest = ties - torch.linalg.vecdot(e, below)  # Z − 1
    nats = rest.log1p() - torch.linalg.vecdot(e, t) / (1 + rest)
    log = nats.log()
    tiny = nats < TINY_ENTROPY
    if scores.device.type not in ASKED:  # everywhere rather than ask the device where
        small = small_log_entropy(scores, lowest)
        return torch.where(tiny, small.exp(), nats), torch.where(tiny, small, log)
    if tiny.any():
        log[tiny] = small_log_entropy(scores[tiny], lowest)
        nats[tiny] = log[tiny].exp()
    return nats, log


def small_log_entropy(scores: Tensor, lowest: float) -> Tensor:
    """The log-entropy of softmax(scores) in the limit of small entropies: logsumexp_{j≠argmax}(t_j + log(1 − t_j))."""
    t = scores - scores.amax(-1, keepdim=True)
    top = t == 0
    t += (1 - t).log_()
    t.masked_fill_(top, -torch.inf)
    largest = t.amax(-1, keepdim=True)
    return (t - largest).clamp_(min=lowest).exp_().sum(-1).log() + largest.squeeze(-1)


@torch.no_grad()
def global_entropy(features: Tensor) -> Entropy:
    """Entropies of global attention over a feature map B×C×H×W, a block of rows at a time."""
    t = tokens(features)  # B×L×C
    rows = max(1, BLOCK_ELEMENTS // t.shape[1])
    nats, log = t.new_empty(t.shape[:2]), t.new_empty(t.shape[:2])
    for b, picture in enumerate(t):
        picture = picture.contiguous()
        for i in range(0, len(picture), rows):
            block = picture[i : i + rows] @ picture.T  # rows×L
            nats[b, i : i + rows], log[b, i : i + rows] = row_entropy(block)
    return Entropy(nats, log)


@torch.no_grad()
def local_entropy(features: Tensor, window: int = 7) -> Entropy:
    """Entropies of attention within the window around each position, for B×C×H×W; rows of the grid at a time."""
    b, _, h, w = features.shape
    rows = max(1, BLOCK_ELEMENTS // (b * w * max(window**2, features.shape[1])))
    parts = [row_entropy(window_scores(features, window, i, min(i + rows, h))) for i in range(0, h, rows)]
    nats, log = (torch.cat(p, dim=1) for p in zip(*parts))
    return Entropy(nats, log)


def window_scores(features: Tensor, window: int, start: int, stop: int) -> Tensor:
    """Scores between the positions of grid rows start…stop−1 and the keys of their windows.

    Returns B×((stop−start)·W)×w², the window row-major; keys outside the picture get the lowest
    finite number, so that softmax gives them 0. Reads one shifted copy of the map per window
    position, so no unfolded block (where window and channel axes are easily confused) is built.
    """
    r = window // 2
    height, width = features.shape[2:]
    queries = features[:, :, start:stop]  # B×C×h×W
    above, below = max(0, start - r), min(height, stop + r)
    keys = F.pad(features[:, :, above:below], (r, r, above - start + r, stop + r - below))  # B×C×(h+2r)×(W+2r)
    product = torch.empty_like(queries)  # the same buffers for all w² products, or memory would fragment
    scores = features.new_empty(len(features), window**2, stop - start, width)
    for place in range(window**2):
        dy, dx = divmod(place, window)
        torch.mul(queries, keys[:, :, dy : dy + stop - start, dx : dx + width], out=product)
        torch.sum(product, dim=1, out=scores[:, place])
    scores = scores.flatten(2).transpose(1, 2)  # B×(h·W)×w²
    index = torch.arange(start * width, stop * width, device=features.device)
    inside = window_positions(index, (height, width), window)[1]
    return scores.masked_fill(~inside, torch.finfo(scores.dtype).min / 4)


def window_positions(index: Tensor, grid: tuple[int, int], window: int) -> tuple[Tensor, Tensor]:
    """The w² positions in the windows around positions `index` (any shape), and which are in the picture.

    Returns positions …×w² (clamped to the grid) and a boolean mask of the same shape.
    """
    height, width = grid
    offset = torch.arange(window, device=index.device) - window // 2
    y = (index // width)[..., None] + offset.repeat_interleave(window)
    x = (index % width)[..., None] + offset.repeat(window)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return y.clamp(0, height - 1) * width + x.clamp(0, width - 1), inside


def global_rows(features: Tensor, index: Tensor) -> Tensor:
    """Rows of global attention: for features B×C×H×W and positions B×N, B×N×L, each row summing to 1."""
    t = tokens(features)
    return (gather(t, index) @ t.transpose(1, 2)).softmax(-1)


def local_rows(features: Tensor, index: Tensor, window: int = 7) -> Tensor:
    """Rows of local attention: B×N×w² weights over the windows around positions B×N, 0 outside the picture."""
    t = tokens(features)
    positions, inside = window_positions(index, tuple(features.shape[2:]), window)  # B×N×w²
    keys = gather(t, positions)  # B×N×w²×C
    scores = torch.einsum("bnc,bnkc->bnk", gather(t, index), keys)
    return scores.masked_fill(~inside, torch.finfo(scores.dtype).min / 4).softmax(-1)


def gather(t: Tensor, index: Tensor) -> Tensor:
    """Tokens B×L×C at positions B×…: B×…×C."""
    flat = index.flatten(1)[..., None].expand(-1, -1, t.shape[2])
    return t.gather(1, flat).unflatten(1, index.shape[1:])


class Selection(NamedTuple):
    """What QS-Attn selects in one feature map, and how it routes values."""

    anchors: Tensor  # B×N positions, most significant (lowest log-entropy) first
    rows: Tensor  # their attention rows: B×N×L, or B×N×w² in local mode
    window: int | None  # the window of local rows, None for global ones

    def route(self, features: Tensor) -> Tensor:
        """Values A_QS·T for a feature map B×C×H×W: B×N×C. The same rows serve source and translation."""
        t = tokens(features)
        rows = self.rows.to(t.dtype)
        if self.window is None:
            return rows @ t
        positions, _ = window_positions(self.anchors, tuple(features.shape[2:]), self.window)
        return torch.einsum("bnk,bnkc->bnc", rows, gather(t, positions))


def entropy(features: Tensor, mode: str = "global", window: int = 7) -> Entropy:
    """The entropies by which `mode` ranks the positions of B×C×H×W features.

    Raises:
        ValueError: if `mode` is not one of global, local, local+global.
    """
    check_mode(mode)
    return global_entropy(features) if mode == "global" else local_entropy(features, window)


def select(features: Tensor, num: int, mode: str = "global", window: int = 7) -> Selection:
    """Choose the `num` anchors of a feature map B×C×H×W and compute their attention rows.

    Anchors are ranked by log-entropy, without gradient; the rows carry gradient to `features`.
    In mode local+global, anchors are chosen by local entropy and routed by their global rows.
    """
    log = entropy(features.detach(), mode, window).log
    return select_at(features, log.topk(min(num, log.shape[1]), largest=False, sorted=True).indices, mode, window)


def select_at(features: Tensor, anchors: Tensor, mode: str = "global", window: int = 7) -> Selection:
    """Given positions B×N of a feature map B×C×H×W as anchors, with the rows by which `mode` routes."""
    if mode == "local":
        return Selection(anchors, local_rows(features, anchors, window), window)
    return Selection(anchors, global_rows(features, anchors), None)


# --- queries where the discriminator doubts ---


def doubtful_positions(verdict: Tensor, grid: tuple[int, int], candidates: Tensor, others: Tensor) -> Tensor:
    """N positions of a grid: the half with the least real patches among the candidates, and a random half beside it.

    EnCo's discriminative attention, DAG (Cai et al., AAAI 2024, https://arxiv.org/abs/2211.10867), a way to choose the
    places that ask beside CUT's random ones and QS-Attn's of lowest entropy.

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
