"""The training film: what the generator does to four fixed pictures at about 20 log-spaced steps.

Every frame holds, for each picture, the translation, the entropy map and the 256 anchors at layers 12 and 16. Pictures
are translated as people see them, with a mirrored margin (films of before, those of the shipped weights, have none).
A film is a folder beside the weights: `<method>.film/` with one WebP strip of the four translations per
frame (`0000500.webp`), the strip of sources (`source.webp`), and `film.npz`:

    steps          S          training steps of the frames
    layers         2          layers of the maps
    below          S×P×2×H×W  uint8: log-entropy of every position, see `log_entropy`
    low, high      S×P×2      the range of each map, ln nats
    anchors        S×P×2×N    positions in row-major order, most significant first
    grid           2          H, W

A strip of four pictures of one's own, put beside the folder before training as `film-source.webp`, is filmed instead.

    python -m qsneg train horse2zebra-drawn --method cut --preset debug --out runs/debug && ls runs/debug/film
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from qsneg.attention import global_entropy
from qsneg.filesystem import whole
from qsneg.image_io import read, to_image, to_tensor
from qsneg.networks import Generator
from qsneg.translate import MARGIN, pad, unpad

SIZE = 192  # side of a film picture
LAYERS = (12, 16)
ANCHORS = 256


def frame_steps(total: int, frames: int = 20) -> list[int]:
    """About `frames` steps from 0 to `total`, log-spaced from 10 on."""
    if total <= 10:
        return list(range(total + 1))
    return sorted({0, *np.geomspace(10, total, frames - 1).round().astype(int).tolist()})


class Film:
    """Records frames of four pictures, SIZE×SIZE, into a folder; a run that resumes carries on where the folder stands,
    with its pictures."""

    def __init__(self, folder: Path, pictures: Callable[[], list[Image.Image]], total: int, layers: tuple[int, ...]):
        self.folder, self.steps = Path(folder), frame_steps(total)
        self.layers = [l for l in LAYERS if l <= max(layers)]
        if not self.layers:
            raise ValueError(
                f"The film shows layers {' and '.join(map(str, LAYERS))}, and these are less deep: add --no-film."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        spread(self.folder)
        source, given = self.folder / "source.webp", self.folder.with_name(f"{self.folder.name}-source.webp")
        if source.is_file():
            self.images = cut(read(source))
        else:
            self.images = cut(read(given)) if given.is_file() else pictures()
            with whole(source) as part:
                strip(self.images).save(part, "WEBP", lossless=True)

    def due(self, step: int) -> bool:
        return step in self.steps

    @torch.no_grad()
    def record(self, step: int, generator: Generator, device: torch.device) -> None:
        """Write the frame of `step`."""
        results, maps, anchors = [], [], []
        for image in self.images:
            x, cells = pad(to_tensor(image).to(device), MARGIN), 2 * (SIZE // 4,)  # as people see it
            result, features = generator.translate_with_features(x, tuple(self.layers))
            results.append(to_image(unpad(result, (SIZE, SIZE), MARGIN)))
            logs = [global_entropy(unpad(f.float(), cells, MARGIN // 4)).log for f in features]  # 1×L each
            maps.append(torch.cat(logs).cpu().numpy())
            anchors.append(torch.cat([log.topk(ANCHORS, largest=False).indices for log in logs]).cpu().numpy())
        with whole(self.folder / f"{step:07d}.webp") as part:
            strip(results).save(part, "WEBP", quality=85)
        with whole(self.folder / f"{step:07d}.npz") as part, part.open("wb") as file:
            np.savez(file, log_entropy=np.stack(maps).astype(np.float32), anchors=np.stack(anchors).astype(np.int16))


def check_layer(layer: int) -> None:
    """Raises ValueError if films do not record a layer."""
    if layer not in LAYERS:
        raise ValueError(f"Films record layers {' and '.join(map(str, LAYERS))}, not {layer}.")


def gather(folder: Path) -> None:
    """Put the frames recorded so far in a film's folder into its film.npz (see the module's docstring)."""
    arrays = gathered(folder)
    with whole(folder / "film.npz") as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def gathered(folder: Path) -> dict[str, np.ndarray]:
    """The frames recorded so far, as film.npz holds them.

    Raises:
        ValueError: if there are none.
    """
    frames = sorted(folder.glob("[0-9]*.npz"))
    arrays = [dict(np.load(f)) for f in frames]
    if not arrays:
        raise ValueError(f"'{folder}' has no frames of a film yet: train without --no-film.")
    logs = np.stack([a["log_entropy"] for a in arrays])  # S×P×2×L
    low, high = logs.min(-1), logs.max(-1)
    below = (high[..., None] - logs) / np.maximum(high - low, 1e-9)[..., None]  # 0 at the highest, 1 at the lowest
    layers, side = LAYERS[: logs.shape[2]], SIZE // 4
    return dict(
        steps=np.array([int(f.stem) for f in frames]),
        layers=np.array(layers),
        low=low,
        high=high,
        below=(np.sqrt(below) * 255).round().astype(np.uint8).reshape(*logs.shape[:3], side, side),
        anchors=np.stack([a["anchors"] for a in arrays]),
        grid=np.array([side, side]),
    )


def spread(folder: Path) -> None:
    """Put the frames in film.npz beside it again, one file each as while recording, where a film goes on of which only
    that is left, such as a shipped one."""
    if (film := folder / "film.npz").is_file() and not any(folder.glob("[0-9]*.npz")):
        arrays = dict(np.load(film))
        logs = log_entropy(arrays).reshape(*arrays["low"].shape, -1)  # S×P×2×L
        for step, log, anchors in zip(arrays["steps"], logs, arrays["anchors"]):
            with whole(folder / f"{step:07d}.npz") as part, part.open("wb") as file:
                np.savez(file, log_entropy=log.astype(np.float32), anchors=anchors)


def log_entropy(film: dict[str, np.ndarray]) -> np.ndarray:
    """The log-entropies of a film.npz, S×P×2×H×W in ln nats.

    They are kept in 256 steps, quadratic below the highest: fine where most positions lie, coarse in the long tail
    of those that attend to themselves alone.
    """
    low, high = (film[k].astype(np.float32)[..., None, None] for k in ("low", "high"))
    return high - (high - low) * (film["below"].astype(np.float32) / 255) ** 2


def cut(row: Image.Image) -> list[Image.Image]:
    """The square pictures of a strip."""
    return [row.crop((x, 0, x + row.height, row.height)) for x in range(0, row.width, row.height)]


def strip(images: list[Image.Image]) -> Image.Image:
    """Pictures side by side."""
    row = Image.new("RGB", (sum(i.width for i in images), images[0].height))
    for n, image in enumerate(images):
        row.paste(image, (n * image.width, 0))
    return row
