"""A picture in tiles: with the norms' statistics of the whole picture, as `translate --tile` does, or of a thumbnail?

    python -m qsneg bench --tiles --size 1024 --width 32

Thumbnail instance norm (Chen et al., AAAI 2022, https://arxiv.org/abs/2108.02417) fixes mean and variance of every norm
by those of a thumbnail and goes over the tiles once; it is here to be measured beside, not shipped. Both stand against
the picture in one piece, where that fits in memory: time, the most memory that the process took, and levels of 255.
"""

import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from qsneg import device as devices
from qsneg.bulk.tiles import TILE, Fixed, Passes, Picture, translate_in_tiles
from qsneg.config import ModelConfig
from qsneg.data import drawn_scenes
from qsneg.evaluation import side_process
from qsneg.evaluation.speed import resident
from qsneg.image_io import to_bytes, to_tensor
from qsneg.layers import InstanceNorm
from qsneg.memory_limits import TooLarge, check_fits
from qsneg.translate import MARGIN, Translator, pad
from qsneg.weights import Weights, available, load, model_name, read_metadata

THUMBNAIL = 512  # short side in pixels
REACH = 96  # pixels around a tile, more than the generator's receptive field reaches


def thumbnail_norms(translator: Translator, image: Image.Image) -> nn.Sequential:
    """The generator's layers, each norm fixed by what it met in a thumbnail of the picture."""
    small = image.resize([round(side * THUMBNAIL / min(image.size)) for side in image.size], Image.Resampling.LANCZOS)
    fixed, found = copy.deepcopy(translator.weights.generator.model), {}

    def note(norm: nn.Module, inputs: tuple) -> None:
        variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
        found[norm] = Fixed(mean, variance)

    for norm in [module for module in fixed.modules() if isinstance(module, InstanceNorm)]:
        norm.register_forward_pre_hook(note)
    fixed(pad(to_tensor(small), MARGIN).to(translator.device))
    for parent in list(fixed.modules()):
        for name, child in parent.named_children():
            if child in found:
                setattr(parent, name, found[child])
    return fixed


@torch.inference_mode()
def by_thumbnail(translator: Translator, image: Image.Image, tile: int = TILE) -> np.ndarray:
    """The translation of a picture, H×W×3 bytes, in one pass over tiles with the norms of a thumbnail."""
    picture = Picture(np.asarray(image), MARGIN, 3)
    with devices.autocast(translator.device, translator.precision)():
        passes = Passes(picture, Path(), translator.device, tile, np.float32, REACH)
        passes.layers.append(thumbnail_norms(translator, image))
        result = np.empty((*picture.shape, 3), np.uint8)
        for part, y in passes.tiles():
            result[part] = to_bytes(y[0].permute(1, 2, 0).float()).cpu().numpy()
    height, width = image.height, image.width
    return result[MARGIN : MARGIN + height, MARGIN : MARGIN + width]


WAYS: dict[str, Callable[[Translator, Image.Image], np.ndarray]] = {
    "one piece": lambda translator, image: np.asarray(translator.translate(image)),
    "tiles, statistics of the whole picture": lambda translator, image: translate_in_tiles(
        translator, np.asarray(image)
    ),
    "tiles, statistics of a thumbnail": by_thumbnail,
}


def picture(size: int) -> Image.Image:
    """A square picture of any size: a drawn scene, enlarged, with grain."""
    scene = Image.fromarray(drawn_scenes.draw(0, min(size, 1024), "A")).resize((size, size), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).integers(-12, 13, (size, size, 1), dtype=np.int16)
    return Image.fromarray((np.asarray(scene) + grain).clip(0, 255).astype(np.uint8))


def model(width: int) -> tuple[str, Weights]:
    """The first of the shipped models of that width, else one of random weights."""
    for path in available():
        if read_metadata(path)[0].width == width:
            return model_name(path), load(path)
    torch.manual_seed(0)
    return "random weights", Weights.empty(ModelConfig(width=width))


def measured(way: str, size: int, width: int, device: str, precision: str, out: str) -> None:
    """Translate in one way, in a process of its own: writes what came out, the seconds and the most memory."""
    image, translator = picture(size), Translator(model(width)[1], device, precision)
    devices.keep_memory(translator.device)  # as the command line does
    start = time.perf_counter()
    result = WAYS[way](translator, image)
    np.savez(out, result=result, seconds=time.perf_counter() - start, peak=resident(peak=True))


def edges(result: np.ndarray) -> float:
    """How much larger steps between neighbouring pixels are at the tiles' edges than elsewhere, in levels of 255."""
    steps = np.abs(np.diff(result.astype(np.int16), axis=1)).mean((0, 2))
    at = np.arange(TILE - MARGIN - 1, len(steps), TILE)
    return float(steps[at].mean() - np.delete(steps, at).mean()) if len(at) else 0.0


def bench_tiles(
    size: int = 1024, width: int = 32, rounds: int = 1, device: str = "auto", precision: str = "float32"
) -> None:
    """Print time, memory and difference of each way, on a square picture of `size` pixels; each is measured once."""
    device, precision = devices.pick(device), "float32" if precision == "auto" else precision
    print(
        f"{devices.describe(device)}, {precision}, {model(width)[0]}, {size}×{size} pixels, torch {torch.__version__}"
    )
    print(f"{'':42}{'seconds':>9}{'peak GB':>9}{'levels off':>12}{'most':>6}{'step at edges':>15}")
    whole = None
    with tempfile.TemporaryDirectory() as folder:
        for number, way in enumerate(WAYS):
            try:
                if number == 0:
                    check_fits((size, size), width, device, margin=MARGIN)
            except TooLarge:
                print(f"{way:42}does not fit in memory")
                continue
            out = Path(folder) / f"{number}.npz"
            side_process.start(measured, way, size, width, str(device), precision, str(out)).join()
            if not out.is_file():
                print(f"{way:42}failed")
                continue
            found = dict(np.load(out))
            whole = found["result"] if number == 0 else whole
            off = np.abs(found["result"].astype(np.int16) - whole) if whole is not None else None
            far = f"{off.mean():12.2f}{off.max():6}" if off is not None else f"{'':18}"
            print(f"{way:42}{found['seconds']:9.2f}{found['peak'] / 1e9:9.2f}{far}{edges(found['result']):15.2f}")
