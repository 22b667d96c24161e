"""Pictures in: any file or PIL image to upright RGB; and to and from tensors.

python -c "from qsneg.image_io import read, resize_short; resize_short(read('photo.jpg'), 256).save('small.png')"
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from qsneg import bit_depths, memory_limits
from qsneg.bit_depths import NOTE, Note
from qsneg.colour_profiles import to_srgb
from qsneg.filesystem import Unusable, clause, existing_file, find_images, say_once
from qsneg.memory_limits import TooLarge, short_size
from qsneg.picture_formats import FORMATS

MAX_PIXELS = 175_000_000  # above about this, Pillow refuses too
SMALL = 64 << 20  # bytes for which it is not worth asking how much memory is free
DECODER_BYTES = {"JPEG2000": 16, "AVIF": 12, "WEBP": 12, "HEIF": 12}  # per pixel, in the decoders themselves
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how such files begin
CPU = torch.device("cpu")

UPRIGHT = {  # the value of EXIF's orientation, 0x0112: what makes such a picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


class TooManyPixels(Unusable):
    """A picture with more pixels than `most`, which are read; `pixels`: how many, None where that was not read."""

    def __init__(self, path: Path | str | None, pixels: int | None, most: int):
        found = f"{pixels / 1e6:.0f}" if pixels else f"more than {most / 1e6:.0f}"
        limit = f"at most {most / 1e6:.0f} are read, so make it smaller first"
        super().__init__(path, f"cannot be used: it has {found} megapixels and {limit}.")
        self.pixels, self.most = pixels, most


def read(
    path: Path | str, white: float | None = None, short: int | None = None,
    check: Callable[[tuple[int, int]], None] | None = None, max_pixels: int | None = None, data: bytes | None = None,
) -> Image.Image:  # fmt: skip
    """Read a picture as upright RGB (see `upright_rgb`), up to `max_pixels` pixels.

    How many pixels there are and what they need in memory is read off the header: nothing is decoded before it is
    known that there is room.

    Args:
        white: the value that is white in pictures of more than 8 bits; None: see `bit_depths`.
        short: the shorter side in pixels that is wanted in the end. A JPEG that would not fit in memory is then decoded
            at a half, a quarter or an eighth of its size, never below that.
        check: called with the upright width and height before anything is decoded; it may raise TooLarge.
        data: what the file holds, where it has been read already.

    Raises:
        FileNotFoundError: if there is no such file.
        TooManyPixels, TooLarge: (ValueErrors) if it is too large for `max_pixels`, or for the memory.
        ValueError: if it cannot be read, with the reason.
    """
    with opened(path, max_pixels, data) as image:
        if check:
            check(header_size(image))
        return _upright(image, white, short)


@contextlib.contextmanager
def opened(path: Path | str, max_pixels: int | None = None, data: bytes | None = None) -> Iterator[Image.Image]:
    """A picture of which only the header has been read. Raises as `read` does, there and while it is in use."""
    path = existing_file(path) if data is None else path
    try:
        with warnings.catch_warnings():  # a large picture is no reason to warn; too large a one is refused
            warnings.simplefilter("ignore")
            with Image.open(path if data is None else io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image, path, max_pixels)
                yield image
                return
    except (Unusable, TooLarge):
        raise
    except UnidentifiedImageError:
        reason = f"it is none of {', '.join(FORMATS)}, or it is damaged"
        if (data or path.open("rb").read(4))[:4] in TIFF:
            reason = "it is a TIFF of a kind that is not read, such as colours in floats: save it with 8 or 16 bits"
    except Image.DecompressionBombError:
        raise TooManyPixels(path, None, MAX_PIXELS) from None
    except Exception as error:  # on broken bytes decoders raise nearly anything: OSError, SyntaxError, struct.error…
        reason = clause(error)
    raise Unusable(path, f"cannot be read as a picture: {reason}.")


def upright_rgb(
    image: Image.Image, white: float | None = None, short: int | None = None, max_pixels: int | None = None
) -> Image.Image:
    """Any PIL image as a new, upright, 8-bit RGB image in sRGB, without any of the notes that came with it.

    The first frame of an animation is taken, the EXIF rotation applied (once: it is gone afterwards), an embedded
    colour profile converted and alpha laid on white. Grey and colours of 16 or 32 bits and floats are scaled as
    `bit_depths` says; where that is the picture's own range, a sentence about it is in `info["note"]`. `white`, `short`
    and `max_pixels` are as in `read`.

    Raises:
        TooManyPixels, TooLarge: (ValueErrors) if it has more than `max_pixels`, or does not fit in memory.
        ValueError: if it has no pixels, colours that Pillow does not convert to RGB, or was opened from a file whose
            pixels cannot be decoded.
    """
    _check_size(image, None, max_pixels)
    try:
        return _upright(image, white, short)
    except TooLarge:
        raise
    except Exception as error:  # anything, as in `read`
        raise Unusable(None, f"cannot be used: {clause(error)}.") from None


def _upright(image: Image.Image, white: float | None, short: int | None) -> Image.Image:
    check_decodes(image, short)
    if getattr(image, "is_animated", False) and image.tell() != 0:
        image.seek(0)
    flat, found = bit_depths.eight_bits(image, white)
    orientation = _orientation(image)  # after loading, since TIFF files are turned by it
    profile, note = image.info.get("icc_profile"), image.info.get(NOTE)
    note = found or (note if isinstance(note, Note) else None)  # a file's own text of that name is none of ours
    flat = flat.convert("LA") if flat.mode == "La" else flat
    if flat.has_transparency_data or flat.mode == "RGBa":
        rgba = flat if flat.mode == "RGBA" else flat.convert("RGBA")
        colours = flat.getchannel("L") if flat.mode == "LA" else rgba.convert("RGB")
        rgb = Image.new("RGB", flat.size, "white")
        rgb.paste(to_srgb(colours, profile), mask=rgba.getchannel("A"))
    else:
        rgb = to_srgb(flat.convert("RGB") if flat.mode in ("P", "PA") else flat, profile)
    rgb = rgb.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else rgb.copy() if rgb is image else rgb
    rgb.info = {NOTE: note} if note else {}
    return rgb


def header_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as they will be when it is upright, without decoding it (a PNG's may be the other way round)."""
    turned = image.format in ("JPEG", "MPO", "WEBP", "AVIF") and _orientation(image) >= 5  # TIFF's are turned already
    return image.size[::-1] if turned else image.size


def decoding_bytes(image: Image.Image) -> int:
    """What making a picture upright RGB takes at most, in bytes, by its header.

    Measured as the growth of the largest resident size, at 24 megapixels: see `tests/test_image_io.py`.
    """
    stored = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode.startswith("I;16") else 4)
    deep = stored == 2 or image.mode in ("I", "F") or bit_depths.deep_rawmode(image) is not None
    alpha = image.has_transparency_data or image.mode in ("La", "RGBa")
    turned = header_size(image) != image.size
    each = stored + 4 + 10 * alpha + 16 * deep + 4 * turned + DECODER_BYTES.get(image.format, 0)
    return (each + 6 * bool(image.info.get("progressive"))) * image.width * image.height


def check_decodes(image: Image.Image, short: int | None = None) -> None:
    """Refuse what does not fit in memory; a JPEG of which less is wanted is set to decode at a half to an eighth.

    Raises:
        TooLarge: if it does not fit.
    """
    if (needed := decoding_bytes(image)) <= SMALL or needed <= (free := memory_limits.free_bytes(CPU)):
        return
    width, height = image.size
    for factor in (2, 4, 8) if short and image.format in ("JPEG", "MPO") else ():
        if needed <= free * factor**2 and min(width, height) // factor >= short:
            image.draft(image.mode, (width // factor, height // factor))
            return
    needed, free = map(memory_limits.in_words, (needed, free))
    raise TooLarge(
        f"Reading a picture of {width}×{height} pixels needs about {needed} of memory and {free} are free: make the "
        "picture smaller, or free some memory."
    )


def _check_size(image: Image.Image, path: Path | None, max_pixels: int | None) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise Unusable(path, f"cannot be read as a picture: it has {width}×{height} pixels.")
    if width * height > (most := max_pixels or MAX_PIXELS):
        raise TooManyPixels(path, width * height, most)


def _orientation(image: Image.Image) -> int:
    """EXIF's (or XMP's) orientation, 1 to 8; 1 where it is missing or its block is damaged."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # the pixels are fine: a broken note beside them is no reason to refuse them
        return 1


def readable(folder: Path | str) -> Iterator[Image.Image]:
    """The pictures of a folder that can be read, one after the other; what cannot is named on stderr, once."""
    for path in find_images(folder):
        try:
            picture = read(path)
        except ValueError as error:
            say_once(f"Skipped: {error}")
        else:
            yield picture


def to_tensor(image: Image.Image) -> Tensor:
    """RGB image to 1×3×H×W in [-1, 1], float32."""
    array = torch.from_numpy(np.array(image.convert("RGB"), dtype=np.uint8))  # H×W×3
    return from_bytes(array.permute(2, 0, 1)[None])


def to_batch(pictures: list[np.ndarray]) -> Tensor:
    """Pictures of one size, H×W×3 bytes each, as B×3×H×W in [-1, 1], float32."""
    return from_bytes(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))


def from_bytes(values: Tensor) -> Tensor:
    """Bytes to [-1, 1], float32, in any shape."""
    return values.float() / 127.5 - 1


def to_bytes(x: Tensor) -> Tensor:
    """[-1, 1] to the nearest bytes, in any shape; values beyond are clipped."""
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def filled(x: Tensor, channels: int) -> Tensor:
    """B×c×H×W repeated, channel by channel, to B×channels×H×W: how a narrower domain is brought to the networks."""
    return x if x.shape[1] == channels else x[:, torch.arange(channels, device=x.device) % x.shape[1]]


def for_people(x: Tensor) -> Tensor:
    """B×C×H×W to B×3×H×W: the first three channels as red, green and blue; one alone as grey; of two, the first as red
    and blue and the second as green."""
    if x.shape[1] == 3:
        return x
    return x[:, {1: [0, 0, 0], 2: [0, 1, 0]}.get(x.shape[1], [0, 1, 2])]


def to_image(x: Tensor) -> Image.Image:
    """3×H×W or 1×3×H×W in [-1, 1] to an RGB image; values beyond are clipped.

    Raises:
        ValueError: on another shape, such as a batch of several pictures.
    """
    if x.ndim not in (3, 4) or x.shape[-3] != 3 or x.shape[:-3].numel() != 1:
        raise ValueError(f"One picture is 3×H×W or 1×3×H×W, not {'×'.join(map(str, x.shape))}.")
    x = x.detach().reshape(x.shape[-3:]).float()  # 3×H×W
    return Image.fromarray(to_bytes(x).permute(1, 2, 0).cpu().numpy())


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
