"""Pictures in: any file or PIL image to upright RGB; and to and from tensors.

    from qsneg.images import read
    image = read("photo.jpg")
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"}


def read(path: Path | str) -> Image.Image:
    """Read a picture as upright RGB (see `upright_rgb`).

    Raises:
        ValueError: if it cannot be read, with the reason.
    """
    try:
        with Image.open(path) as image:
            return upright_rgb(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"'{path}' cannot be read as a picture: {error}") from None


def upright_rgb(image: Image.Image) -> Image.Image:
    """Any PIL image as upright 8-bit RGB: EXIF rotation applied, the first frame of an animation, alpha laid on white."""
    image.seek(0) if getattr(image, "n_frames", 1) > 1 else None
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit and 32-bit grey
        values = np.asarray(image, dtype=np.float64)
        image = Image.fromarray((values / 257 if values.max() > 255 else values).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """RGB image to 1×3×H×W in [-1, 1]."""
    array = torch.from_numpy(np.array(image, dtype=np.uint8))
    return array.permute(2, 0, 1)[None].float() / 127.5 - 1


def to_image(x: Tensor) -> Image.Image:
    """3×H×W or 1×3×H×W in [-1, 1] to an RGB image."""
    x = x.reshape(x.shape[-3:]).detach().float()
    array = ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(array.permute(1, 2, 0).cpu().numpy())


def resize_short(image: Image.Image, short: int) -> Image.Image:
    """Resize so that the shorter side is `short` pixels, keeping the aspect ratio."""
    scale = short / min(image.size)
    size = tuple(max(short, round(side * scale)) for side in image.size)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
