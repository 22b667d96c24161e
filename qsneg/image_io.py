"""Pictures in: any file or PIL image to upright RGB; and to and from tensors.

python -c "from qsneg.image_io import read, resize_short; resize_short(read('photo.jpg'), 256).save('small.png')"
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"}
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM")  # none that runs another program
MAX_PIXELS = 175_000_000  # above about this, Pillow refuses too

UPRIGHT = {  # the value of EXIF's orientation, 0x0112: what makes such a picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def read(path: Path | str) -> Image.Image:
    """Read a picture as upright RGB (see `upright_rgb`), up to `MAX_PIXELS` pixels.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, with the reason.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"'{path}' is a folder, not a picture.")
    if not path.exists():
        raise FileNotFoundError(f"There is no file '{path}'.")
    Image.init()
    formats = [f for f in FORMATS if f in Image.OPEN]
    try:
        with warnings.catch_warnings():  # a large picture is no reason to warn; too large a one is refused below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=formats) as image:
                if not (reason := _bad_size(image)):
                    image.load()
                    return upright_rgb(image)
    except UnidentifiedImageError:
        reason = f"it is none of {', '.join(formats)}, or it is damaged"
    except Image.DecompressionBombError:
        reason = f"it has more than {MAX_PIXELS / 1e6:.0f} megapixels, so make it smaller first"
    except Exception as error:  # on broken bytes decoders raise nearly anything: OSError, SyntaxError, struct.error…
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    raise ValueError(f"'{path}' cannot be read as a picture: {reason}.")


def upright_rgb(image: Image.Image) -> Image.Image:
    """Any PIL image as a new, upright, 8-bit RGB image.

    The first frame of an animation is taken, the EXIF rotation applied and alpha laid on white. Grey of 16 or
    32 bits and floats are scaled by the white that their values suggest (see `_grey_to_bytes`), not clipped.

    Raises:
        ValueError: if it has no pixels, more than `MAX_PIXELS`, colours that Pillow does not convert to RGB, or was
            opened from a file whose pixels cannot be decoded.
    """
    if reason := _bad_size(image):
        raise ValueError(f"This picture cannot be used: {reason}.")
    try:
        if image.tell() != 0:
            image.seek(0)
        image.load()
    except Exception as error:  # anything, as in `read`
        raise ValueError(f"This picture cannot be used: {str(error) or type(error).__name__}.") from None
    orientation = _orientation(image)  # after loading, since TIFF files are turned by it
    if image.mode.startswith("I") or image.mode == "F":
        grey = _grey_to_bytes(np.asarray(image), sixteen=image.mode.startswith("I;16") or image.format == "PNG")
        rgb = Image.fromarray(grey).convert("RGB")
    elif image.has_transparency_data or image.mode == "RGBa":
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        rgb = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    else:
        rgb = image.convert("RGB")
    return rgb.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else rgb


def _bad_size(image: Image.Image) -> str | None:
    """Why a picture of this size is not read; None where it is."""
    width, height = image.size
    if width < 1 or height < 1:
        return f"it has {width}×{height} pixels"
    if width * height > MAX_PIXELS:
        limit = f"at most {MAX_PIXELS / 1e6:.0f} are read"
        return f"it has {width * height / 1e6:.0f} megapixels and {limit}, so make it smaller first"
    return None


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where it is missing or its block is damaged."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # the pixels are fine: a broken note beside them is no reason to refuse them
        return 1


def _grey_to_bytes(values: np.ndarray, sixteen: bool = False) -> np.ndarray:
    """Grey of any depth, H×W, to 8 bits.

    White is 65535 where the file says 16 bits; else it is the first of 1 (floats), 255, 65535 that the largest value
    does not exceed by more than a tenth, and beyond those the largest value. NaN is black.
    """
    whites = (65535,) if sixteen else (1, 255, 65535) if values.dtype.kind == "f" else (255, 65535)
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=np.inf, neginf=-np.inf)
    peak = float(values.max(initial=0.0, where=np.isfinite(values)))
    white = next((w for w in whites if peak <= 1.1 * w), peak)
    return (values / white * 255).round().clip(0, 255).astype(np.uint8)


def to_tensor(image: Image.Image) -> Tensor:
    """RGB image to 1×3×H×W in [-1, 1], float32."""
    array = torch.from_numpy(np.array(image.convert("RGB"), dtype=np.uint8))  # H×W×3
    return array.permute(2, 0, 1)[None].float() / 127.5 - 1


def to_image(x: Tensor) -> Image.Image:
    """3×H×W or 1×3×H×W in [-1, 1] to an RGB image; values beyond are clipped.

    Raises:
        ValueError: on another shape, such as a batch of several pictures.
    """
    if x.ndim not in (3, 4) or x.shape[-3] != 3 or x.shape[:-3].numel() != 1:
        raise ValueError(f"One picture is 3×H×W or 1×3×H×W, not {'×'.join(map(str, x.shape))}.")
    x = x.detach().reshape(x.shape[-3:]).float()  # 3×H×W
    array = ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(array.permute(1, 2, 0).cpu().numpy())


def short_size(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Width and height, in pixels, of a picture of `size` made so that its shorter side is `short`.

    Raises:
        ValueError: if `short` is less than 1 or no whole number.
    """
    if isinstance(short, bool) or short != int(short) or short < 1:
        raise ValueError(f"The size is the shorter side in pixels, a whole number of at least 1, not {short}.")
    width, height = size
    scale = short / min(size)
    return max(int(short), round(width * scale)), max(int(short), round(height * scale))


def resize_short(image: Image.Image, short: int) -> Image.Image:
    """Resize so that the shorter side is `short` pixels, keeping the aspect ratio.

    Raises:
        ValueError: if `short` is less than 1 or no whole number.
    """
    size = short_size(image.size, short)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def square(image: Image.Image, side: int, above: float = 0.5) -> Image.Image:
    """The largest square of a picture, side × side pixels; `above` is the share of what is cut off that lies above it
    (and half of it always to the left)."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, int((image.height - edge) * above)
    return image.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
