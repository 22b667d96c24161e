"""Pictures of any number of channels: TIFF of any depth, NumPy arrays, and what Pillow reads.

    values, white = read(Path("scan.tif"), 4)        # H×W×4 float32, 0 black and 1 white
    write(Path("out.tif"), values)                   # 16 bits

Which value is white is decided as in `qsneg.bit_depths`. Arrays (`.npy`) are H×W, H×W×C or C×H×W; of TIFF files with
several pages or bands these are the channels (`pip install tifffile`, except for grey and RGB).
"""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from qsneg import bit_depths, bounds, image_io
from qsneg.bit_depths import Note, levels
from qsneg.filesystem import Unusable, clause, existing_file, whole
from qsneg.image_io import MAX_PIXELS, TooManyPixels

ENDINGS = (".npy", ".tif", ".tiff")  # besides those of pictures
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601, as Pillow's


def read(
    path: Path | str, channels: int, white: float | None = None, data: bytes | None = None
) -> tuple[np.ndarray, Note | None]:
    """The values of a picture, H×W×channels float32, 0 black and 1 white; and a sentence where its own range is shown.

    RGB is also read as one grey channel, and grey as any number of equal ones; everything else must have as many
    channels as are asked for. `data` is what the file holds, where it has been read already.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: one sentence, if it cannot be read, or has another number of channels.
    """
    path = existing_file(path) if data is None else Path(path)
    try:
        values, declared = numbers(path, data)
    except Unusable:
        raise
    except (ValueError, OSError, MemoryError) as error:
        raise Unusable(path, f"cannot be read as a picture: {clause(error)}.") from None
    values = laid_out(values, channels, path)
    if values.dtype == np.uint8:
        declared = declared or (0, 255)
    low, high, note = levels(values, declared, white)
    values = (values.astype(np.float32) - low) / max(high - low, np.finfo(np.float32).tiny)
    values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    if values.shape[2] == 3 and channels == 1:
        values = values @ GREY[:, None]
    return np.repeat(values, channels, 2) if values.shape[2] == 1 else values, note


def numbers(path: Path, data: bytes | None = None) -> tuple[np.ndarray, tuple[float, float] | None]:
    """What a file holds, as it is stored, and black and white if it declares them."""
    ending = path.suffix.lower()
    if ending == ".npy":
        mapped = dict(mmap_mode="r") if data is None else {}
        values = np.load(path if data is None else io.BytesIO(data), allow_pickle=False, **mapped)
    elif ending in ENDINGS and (stack := by_tifffile(path if data is None else io.BytesIO(data))) is not None:
        values = stack
    else:
        with image_io.opened(path, data=data) as image:
            declared = bit_depths.declared(image)
            if image.mode in ("I", "F", "I;16", "I;16B", "L", "1"):
                image = image.convert("L") if image.mode == "1" else image
                image.load()
                return bit_depths.grey_values(image), declared
            if image.mode in ("RGBA", "CMYK"):
                return np.array(image), None
            return np.array(image_io.upright_rgb(image)), None
    if values.dtype.kind not in "uif" or values.ndim not in (2, 3) or not values.size:
        raise ValueError(f"it holds {'×'.join(map(str, values.shape))} of {values.dtype}, not H×W×C numbers")
    if values.size > MAX_PIXELS * bounds.MOST:
        raise TooManyPixels(path, values.size // bounds.MOST, MAX_PIXELS)
    return np.asarray(values), None


def by_tifffile(path: Path | io.BytesIO) -> np.ndarray | None:
    """The channels of a TIFF file; None where it is one that Pillow reads as well: grey, or RGB of 8 bits."""
    try:
        import tifffile
    except ImportError:
        return None
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            colours = page.samplesperpixel == 3 and page.bitspersample <= 8
            return None if len(file.pages) == 1 and (page.samplesperpixel == 1 or colours) else file.asarray()
    except Exception as error:  # tifffile's and its decoders' errors
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


def laid_out(values: np.ndarray, channels: int, path: Path) -> np.ndarray:
    """H×W, H×W×C or C×H×W as H×W×C. Raises ValueError where there are other channels than asked for."""
    if values.ndim == 2:
        return values[..., None]
    fits = {channels, 1, 3} if channels == 1 else {channels, 1}
    if values.shape[2] in fits:
        return values
    if values.shape[0] in fits:
        return values.transpose(1, 2, 0)
    found = min(values.shape[0], values.shape[2])
    raise Unusable(path, f"has {found} channels and {channels} are wanted: choose other --channels, or other files.")


def write(path: Path | str, values: np.ndarray) -> None:
    """Write H×W×C values from 0 to 1, `encoded` by the file's ending.

    Raises:
        ValueError: one sentence, if it cannot be written, or tifffile is not there.
    """
    data = encoded(values, Path(path).suffix)
    with whole(path) as part:
        part.write_bytes(data)


def encoded(values: np.ndarray, ending: str) -> bytes:
    """A file of H×W×C values from 0 to 1: `.npy` holds them as float32, others as 16 bits; PNG where there is one
    channel and the ending says so, else TIFF. Raises ValueError, one sentence, where TIFF needs tifffile."""
    file = io.BytesIO()
    if ending.lower() == ".npy":
        np.save(file, values.astype(np.float32))
        return file.getvalue()
    deep = (values.clip(0, 1) * 65535).round().astype(np.uint16)
    if values.shape[2] == 1 and ending.lower() == ".png":
        Image.fromarray(deep[..., 0]).save(file, "PNG")
    else:
        planes = dict(planarconfig="contig") if deep.shape[2] > 1 else {}
        tifffile_or_not().imwrite(file, deep, photometric="minisblack", **planes)
    return file.getvalue()


def tifffile_or_not():
    try:
        import tifffile
    except ImportError:
        raise ValueError("TIFF of several channels needs tifffile: `pip install tifffile`.") from None
    return tifffile


def resized(values: np.ndarray, short: int) -> np.ndarray:
    """H×W×C values with a shorter side of `short` pixels, antialiased."""
    height, width = values.shape[:2]
    if min(height, width) == short:
        return values
    scale = short / min(height, width)
    size = max(short, round(height * scale)), max(short, round(width * scale))
    x = torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1)[None]
    made = torch.nn.functional.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 1)
    return made[0].permute(1, 2, 0).numpy()
