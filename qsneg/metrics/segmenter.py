"""A small segmentation network that judges translations as the papers do on Cityscapes.

    python -m qsneg segmenter --out segmenter.safetensors     # trains it on drawn scenes, ten minutes on one free core
    python -m qsneg segmenter --data data/cityscapes --out street.safetensors     # on photographs and their classes

Trained on pictures of domain B and their label maps (drawn ones, or those of `qsneg.data.labelled`), it labels the
translation of a source; where it finds what the source's label map says, the translation kept the layout and looks like
domain B (the protocol of Isola et al., CVPR 2017, section 4.1, which the three papers follow with a network trained on
Cityscapes). Pooled over a picture, the channels of its innermost layer are features for a Fréchet distance that needs
no download.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from qsneg import device as devices
from qsneg import weights
from qsneg.bounds import check_seed
from qsneg.config import DRAWN
from qsneg.data import drawn_scenes
from qsneg.data.cityscapes import CLASSES, IGNORED
from qsneg.data.labelled import labelled
from qsneg.data.unpaired import permutation
from qsneg.filesystem import whole
from qsneg.image_io import from_bytes

WIDTHS = (16, 32, 48, 64)  # channels at full, half, quarter and eighth size
FORMAT = "qsneg segmenter 1"


@dataclass(frozen=True)
class SegmenterConfig:
    """How the segmenter is trained."""

    data: str = DRAWN
    # horse2zebra-drawn, or a folder of photographs with the class of every pixel, as `qsneg.data.labelled` reads it
    steps: int = 1200
    # training steps
    batch: int = 8
    # pictures per step
    size: int = 128
    # side of the pictures
    scenes: int = 1000
    # drawn scenes of domain B to train on
    lr: float = 2e-3
    # greatest learning rate; it rises over the first tenth of the steps and falls to 0 over the rest
    seed: int = 0
    # seed of everything random
    device: str = "auto"
    # auto, cuda, mps or cpu
    precision: str = "float32"
    # of the training: float32, bfloat16, or auto (bfloat16 where it is faster); it judges in float32

    def __post_init__(self):
        check_seed(self.seed)
        for name in ("steps", "batch", "scenes"):
            if getattr(self, name) < 1:
                raise ValueError(f"The segmenter's {name} must be at least 1, not {getattr(self, name)}.")
        if self.size % 8 or self.size < 32:
            raise ValueError(f"The size must be divisible by 8 and at least 32, not {self.size}.")
        if self.data != DRAWN and not Path(self.data).is_dir():
            raise ValueError(f"There is no data folder '{self.data}'.")

    @property
    def classes(self) -> int:
        """Labels that it tells apart."""
        return len(drawn_scenes.LABELS) if self.data == DRAWN else len(CLASSES)


def double_conv(incoming: int, outgoing: int) -> nn.Sequential:
    layers = []
    for channels in (incoming, outgoing):
        layers += [
            nn.Conv2d(channels, outgoing, 3, padding=1, bias=False),
            nn.BatchNorm2d(outgoing),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class Segmenter(nn.Module):
    """A U-Net (Ronneberger et al., MICCAI 2015) of four sizes: B×3×H×W in [-1, 1], H and W divisible by 8, to
    B×classes×H×W logits, one channel per label: of `drawn_scenes.LABELS`, or of Cityscapes' `CLASSES`."""

    def __init__(self, classes: int = len(drawn_scenes.LABELS)):
        super().__init__()
        self.classes = classes
        self.down = nn.ModuleList(double_conv(i, o) for i, o in zip((3, *WIDTHS), WIDTHS))
        self.up = nn.ModuleList(double_conv(below + side, side) for below, side in zip(WIDTHS[:0:-1], WIDTHS[-2::-1]))
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """What the four sizes see, from full to an eighth."""
        maps = []
        for block in self.down:
            x = block(F.max_pool2d(x, 2) if maps else x)
            maps.append(x)
        return maps

    def decode(self, maps: list[Tensor]) -> Tensor:
        """Logits from what `encode` gives."""
        *sides, x = maps
        for block, side in zip(self.up, reversed(sides)):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), side], 1))
        return self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    @staticmethod
    def features(maps: list[Tensor]) -> Tensor:
        """The innermost channels of what `encode` gives, averaged over the picture: B×64."""
        return maps[-1].mean((2, 3))


@torch.inference_mode()
def judge(segmenter: Segmenter, pictures: Tensor, batch: int = 16) -> tuple[Tensor, Tensor]:
    """Labels N×H×W and features N×64 of pictures N×3×H×W, on the CPU."""
    place = next(segmenter.parameters()).device
    maps = (segmenter.encode(p.to(place)) for p in pictures.split(batch))
    rows = [(segmenter.decode(m).argmax(1).cpu(), segmenter.features(m).cpu()) for m in maps]
    labels, features = zip(*rows)
    return torch.cat(labels), torch.cat(features)


def confusion(found: Tensor, truth: Tensor, classes: int = len(drawn_scenes.LABELS)) -> Tensor:
    """Counts of pixels by true label (row) and found label (column), classes×classes; true labels beyond the classes
    do not count."""
    counts = truth.flatten() < classes
    truth, found = (labels.flatten()[counts].long() for labels in (truth, found))
    return torch.bincount(truth * classes + found, minlength=classes**2).view(classes, classes)


def accuracies(counts: Tensor) -> dict[str, float]:
    """Share of pixels, of each label's pixels on average, and intersection over union on average over the labels
    that occur, from a confusion matrix."""
    counts = counts.double()
    right, true, found = counts.diag(), counts.sum(1), counts.sum(0)
    there = true > 0
    return {
        "pixel_accuracy": float(right.sum() / counts.sum()),
        "class_accuracy": float((right / true)[there].mean()),
        "mean_iou": float((right / (true + found - right))[there].mean()),
    }


def scenes(split: str, domain: str, indices: range, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Drawn scenes as uint8 pictures N×3×size×size and label maps N×size×size."""
    seeds = [drawn_scenes.scene_seed(split, domain, i, seed) for i in indices]
    pictures = np.stack([drawn_scenes.draw(s, size, domain) for s in seeds])
    labels = np.stack([drawn_scenes.label_map(s, size) for s in seeds])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2), torch.from_numpy(labels)


def material(config: SegmenterConfig, split: str, count: int) -> tuple[Tensor, Tensor]:
    """Pictures N×3×size×size and labels N×size×size of a split, bytes: `count` drawn scenes, or all of a folder's."""
    if config.data == DRAWN:
        return scenes(split, "B", range(count), config.size, config.seed if split == "train" else 0)
    return labelled(config.data, split, config.size)


def train(config: SegmenterConfig, path: Path | str, test: int = 200, progress: bool = True) -> dict:
    """Train a segmenter on pictures of domain B, write it to `path` and return its card.

    Its figures are those on the first `test` drawn test scenes of domain B, or on all test photographs of a folder.

    Raises:
        ValueError: if the device is not there, the precision is unknown, or a folder has no classes to go by.
    """
    place = devices.pick(config.device)
    context = devices.autocast(place, config.precision)
    torch.manual_seed(config.seed)
    net = Segmenter(config.classes).to(place)
    optimiser = torch.optim.AdamW(net.parameters(), config.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.lr, config.steps + 1, pct_start=0.1)
    pictures, labels = material(config, "train", config.scenes)
    count = len(pictures)
    started = time.monotonic()
    bar = tqdm(range(config.steps), "segmenter", unit="step", disable=not progress)
    for step in bar:
        chosen = []
        for i in range(step * config.batch, (step + 1) * config.batch):
            epoch, at = divmod(i, count)
            chosen.append(int(permutation(config.seed, 1, epoch, count)[at]))
        x, y = (from_bytes(pictures[chosen].to(place)), labels[chosen].to(place).long())
        if torch.rand(()) < 0.5:
            x, y = x.flip(-1), y.flip(-1)
        with context():
            loss = F.cross_entropy(net(x).float(), y, ignore_index=IGNORED)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{float(loss.detach()):.3f}")
    minutes = (time.monotonic() - started) / 60
    net.eval().requires_grad_(False)
    pictures, labels = material(config, "test", test)
    figures = accuracies(confusion(judge(net, from_bytes(pictures))[0], labels, config.classes))
    card = {
        **{k: v for k, v in asdict(config).items() if k not in ("device", "data")},
        "data": f"{Path(config.data).name}, domain B",
        "classes": config.classes,
        "scenes": count,
        "minutes": round(minutes, 1),
        "machine": devices.machine(place),
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in net.parameters()),
        "test_scenes": len(pictures),
        "figures": {k: round(v, 4) for k, v in figures.items()},
    }
    save(net, path, card)
    return card


def default_path() -> Path:
    """Where the shipped segmenter lies: beside the families of translators, so that it is not taken for one."""
    return weights.FOLDER / "segmenter.safetensors"


def save(net: Segmenter, path: Path | str, card: dict) -> None:
    """Write a segmenter in float16 with its card, whole or not at all.

    Raises:
        ValueError: if it cannot be written.
    """
    tensors = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in net.state_dict().items()}
    with whole(path) as part:
        part.write_bytes(serialise(tensors, {"format": FORMAT, "card": json.dumps(card)}))


def load(path: Path | str | None = None, device: str = "auto") -> tuple[Segmenter, dict]:
    """A segmenter in float32, in evaluation mode, and its card; by default the shipped one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no segmenter, or the device is not there.
    """
    path = Path(path) if path else default_path()
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no segmenter '{path}': train one with `python -m qsneg segmenter --out {path}`."
        )
    place = devices.pick(device)
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise ValueError("another format")
        card = json.loads(metadata["card"])
        net = Segmenter(card.get("classes", len(drawn_scenes.LABELS)))
        net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()})
        if not all(value.isfinite().all() for value in net.state_dict().values()):
            raise ValueError("not finite")
    except (
        safetensors.SafetensorError,
        OSError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
    ):  # RecursionError is one
        raise ValueError(
            f"'{path}' is no segmenter of qsneg: give a file written by `python -m qsneg segmenter`."
        ) from None
    return net.eval().requires_grad_(False).to(place), card
