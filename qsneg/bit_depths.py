"""What is black and what is white in pictures of more than 8 bits per value.

Twelve bits in a file of sixteen, signed numbers, floats: how many bits there is room for does not say which value is
white. In this order, the first that there is decides: what the caller says; what the file declares (`declared`); the
whole room, where more than half of it is in use; the picture's own range, with a `Note` that says so.

    from qsneg.bit_depths import eight_bits
    image, note = eight_bits(image)
"""

import io
import math
import re
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg.picture_formats import FORMATS

WHOLE = (1, 255, 65535)  # the white of floats, of 8 and of 16 bits where that range is in use
HEAD = 1 << 16  # bytes of a file in which its header is looked for
OVERSHOOT = 1.1  # resampling goes a little beyond white
BITS_PER_SAMPLE, PHOTOMETRIC, DESCRIPTION, PLANAR, SAMPLE_FORMAT, GDAL_NODATA = 258, 262, 270, 284, 339, 42113  # TIFF's
RANGES = ((340, 341), (280, 281))  # and those of the least and the largest value: SMin, SMax; Min, Max
LOW = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
# Pillow keeps the higher byte of 16-bit colours: read in the other byte order, it is the lower one that it keeps


class Note(str):
    """A sentence about a picture that was read; it is in its `info` under NOTE."""


NOTE = "note"


def levels(
    values: np.ndarray, declared: tuple[float, float] | None = None, white: float | None = None
) -> tuple[float, float, Note | None]:
    """Which values are black and white, and a sentence where this is the picture's own range.

    Black is 0, or the least value where there are negative ones.

    Raises:
        ValueError: if `white` is not above black.
    """
    least, most = finite_range(values)
    if white is None and declared and declared[0] < declared[1]:
        return *declared, None
    black = min(0.0, least)
    if white is not None:
        if not black < white < math.inf:
            raise ValueError(f"White must be a number above black, which is {black:.6g} here, not {white:.6g}.")
        return black, float(white), None
    whites = WHOLE if values.dtype.kind == "f" else WHOLE[1:] if values.dtype.itemsize > 2 else WHOLE[2:]
    if whole := next((w for w in whites if black == 0 and w / 2 < most <= OVERSHOOT * w), None):
        return 0.0, float(whole), None
    ends = f"{black:.6g} is black and {most:.6g} white".replace("-", "−")
    return black, most, Note(f"Nothing says which value is white, so this picture's own range is shown: {ends}.")


def finite_range(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest finite value; 0 and 0 where there is none."""
    if values.dtype.kind != "f":
        return float(values.min()), float(values.max())
    finite = np.isfinite(values)
    if not finite.any():
        return 0.0, 0.0
    return float(values.min(where=finite, initial=math.inf)), float(values.max(where=finite, initial=-math.inf))


def to_bytes(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Values of any shape to uint8, `black` to 0 and `white` to 255; those beyond are clipped, NaN is black."""
    span = max(white - black, sys.float_info.min)
    grey = np.empty(values.shape, np.uint8)
    rows = max(1, (1 << 20) // max(1, values[:1].size))  # at a time: in float64 a whole photograph is large
    for top in range(0, len(values), rows):
        part = values[top : top + rows].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            part = ((part - black) / span * 255).round()
        grey[top : top + rows] = np.nan_to_num(part, nan=0.0, posinf=255, neginf=0).clip(0, 255)
    return grey


def grey_values(image: Image.Image) -> np.ndarray:
    """The numbers of a loaded one-channel picture, H×W, as they were meant: signed or not."""
    values, kind = np.asarray(image), tag(image, SAMPLE_FORMAT, (1,))
    if values.dtype == np.int32 and kind == (1,) and tag(image, BITS_PER_SAMPLE) == (32,):
        return values.view(np.uint32)  # Pillow reads these as if they were signed
    if values.dtype == np.uint8 and kind == (2,):
        return values.view(np.int8)  # and these as if they were not
    nodata = str(tag(image, GDAL_NODATA, "")).strip("\0 ")  # marks places that were not measured
    if re.fullmatch(r"[-+\d.eE]+", nodata) and values.dtype.kind == "f":
        return np.where(values == np.float32(nodata), np.nan, values)
    return values


def inverted(image: Image.Image) -> bool:
    """Whether 0 is white (TIFF's PhotometricInterpretation 0) where Pillow leaves that to us, beyond 8 bits."""
    return tag(image, PHOTOMETRIC) == 0 and image.mode != "L"


def tag(image: Image.Image, number: int, default=None):
    """A tag of a TIFF file; the default where it is missing or damaged, and of another picture."""
    try:
        return image.tag_v2.get(number, default) if image.format == "TIFF" else default
    except Exception:  # whatever a damaged tag brings about
        return default


def eight_bits(image: Image.Image, white: float | None = None) -> tuple[Image.Image, Note | None]:
    """Load a picture, and bring what has more than 8 bits per value to 8 (others are returned as they are); with it
    what is to be said about its range.

    Raises:
        ValueError: if `white` is not above black.
    """
    raw, head = deep_rawmode(image), file_head(image)
    source, in_planes = file_bytes(image) if raw else None, mend_planes(image)
    image.load()
    if in_planes and (white is not None or max(most for _, most in image.getextrema()) < 128):
        raise ValueError("its colours of 16 bits lie in planes of their own: save it with the planes interleaved")
    if raw:
        colours = {"LA": 1, "RGB": 3, "RGBX": 3, "RGBA": 3, "CMYK": 4}[raw.split(";")[0]]
        dark = max(image.getchannel(i).getextrema()[1] for i in range(colours)) < 128
        if white is None and declared(image, head) is None and not dark:  # the higher bytes are what is wanted
            return image, None
        values = sixteen_bits(source, raw)
        *ends, note = levels(values[..., :colours], declared(image, head, values[..., :colours].max()), white)
        flat = to_bytes(values, *ends)
        for alpha in range(colours, values.shape[-1]):
            flat[..., alpha] = to_bytes(values[..., alpha], *levels(values[..., alpha])[:2])
        return Image.frombytes("LA" if raw.startswith("LA") else image.mode, image.size, flat.tobytes()), note
    if image.mode in ("I", "F") or image.mode.startswith("I;16") or tag(image, SAMPLE_FORMAT) == (2,):
        values = grey_values(image)
        *ends, note = levels(values, declared(image, head, finite_range(values)[1]), white)
        grey = to_bytes(values, *ends)
        return Image.fromarray(255 - grey if inverted(image) else grey), note
    return image, None


def declared(image: Image.Image, head: bytes = b"", most: float = 0) -> tuple[float, float] | None:
    """Black and white as a file declares them, None where it does not.

    TIFF: SMinSampleValue and SMaxSampleValue, MinSampleValue and MaxSampleValue, ImageJ's min and max, and fewer
    BitsPerSample than a whole number of bytes. PNG: sBIT. JPEG 2000: the precision. PGM: the largest value.

    Args:
        head: the first bytes of the file, of formats whose headers Pillow does not keep.
        most: the largest value. PNG's are scaled up to 16 bits, as its standard wants, where they exceed sBIT.
    """
    if image.format == "TIFF":
        return declared_tiff(image)
    if image.format == "PNG" and (at := head.find(b"sBIT", 0, max(0, head.find(b"IDAT")))) > 0:
        bits = max(head[at + 4 : at + 4 + min(3, struct.unpack(">I", head[at - 4 : at])[0])], default=16)
        return (0.0, 2.0**bits - 1 if most < 2**bits else 65535.0) if 8 < bits < 16 else None
    if image.format == "JPEG2000" and (at := head.find(b"\xff\x4f\xff\x51")) >= 0 and len(head) > at + 42:
        return (0.0, 65535.0) if 8 < (head[at + 42] & 0x7F) + 1 < 16 else None  # Pillow scales to 16 bits
    if image.format == "PPM" and head.startswith((b"P2", b"P5")):
        fields = re.sub(rb"#[^\n]*", b" ", head).split(maxsplit=4)
        return (0.0, 65535.0) if len(fields) > 3 and fields[3] != b"65535" else None  # scaled, too
    return None


def declared_tiff(image: Image.Image) -> tuple[float, float] | None:
    def numbers(number: int) -> list[float]:
        values = tag(image, number, ())
        values = values if isinstance(values, (tuple, list)) else (values,)
        return [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]

    for low, high in RANGES:
        if most := numbers(high):
            return min(numbers(low), default=0.0), max(most)
    text = str(tag(image, DESCRIPTION, ""))
    if text.startswith("ImageJ="):
        ends = dict(re.findall(r"^(min|max)=([-+.\deE]+)\s*$", text, re.MULTILINE))
        try:
            return float(ends["min"]), float(ends["max"])
        except (KeyError, ValueError):
            return None
    bits = max(numbers(BITS_PER_SAMPLE), default=16)
    return (0.0, 2.0**bits - 1) if 8 < bits < 16 else None


# --- colours of 16 bits, of which Pillow keeps 8 ---


def deep_rawmode(image: Image.Image) -> str | None:
    """How the colours of a picture that is not loaded yet are stored, if each has 16 bits."""
    arguments = image.tile[0][3] if getattr(image, "tile", None) else None
    raw = arguments if isinstance(arguments, str) else arguments[0] if arguments else None
    return raw if isinstance(raw, str) and re.fullmatch(r"(LA|RGBX?|RGBA|CMYK);16[BLN]", raw) else None


def mend_planes(image: Image.Image) -> bool:
    """Let Pillow read the planes of an uncompressed TIFF of 16 bits as such (it takes them for bytes, and stretches
    the picture); whether there are any."""
    tiles, is_deep = getattr(image, "tile", ()), tag(image, BITS_PER_SAMPLE) in [(16,) * n for n in (3, 4)]
    if not tiles or tiles[0][0] != "raw" or tag(image, PLANAR) != 2 or not is_deep:
        return False
    order = {b"II": "L", b"MM": "B"}[image.tag_v2.prefix]
    image.tile = [tile._replace(args=(f"{tile.args[0]};16{order}", *tile.args[1:])) for tile in tiles]
    return True


def file_head(image: Image.Image) -> bytes:
    """The first bytes of the file of a picture; none where there is none any more."""
    if image.format not in ("PNG", "JPEG2000", "PPM"):
        return b""
    file = getattr(image, "fp", None)
    try:
        if file is None:
            with Path(image.filename).open("rb") as file:
                return file.read(HEAD)
        place = file.tell()
        file.seek(0)
        head = file.read(HEAD)
        file.seek(place)
        return head
    except (OSError, ValueError, AttributeError):
        return b""


def file_bytes(image: Image.Image) -> Path | bytes:
    """The file of a picture that is not loaded yet: its path, or what is in it."""
    if getattr(image, "filename", "") and Path(image.filename).is_file():
        return Path(image.filename)
    image.fp.seek(0)
    return image.fp.read()


def sixteen_bits(source: Path | bytes, rawmode: str) -> np.ndarray:
    """All 16 bits of a file's colours, H×W×C, decoding it once or twice."""

    def decode(mode: str | None, raw: str) -> np.ndarray:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            tile = image.tile[0]
            arguments = raw if isinstance(tile[3], str) else (raw, *tile[3][1:])
            image.tile = [type(tile)(tile[0], tile[1], tile[2], arguments)]
            image._mode = mode or image.mode
            image.load()
            return np.array(image).astype(np.uint16)

    kind, order = rawmode.split(";16")
    if kind == "LA":  # big-endian, of a PNG file: four bytes per pixel, read as they are
        parts = decode("RGBA", "RGBA")
        return parts[..., 0::2] << 8 | parts[..., 1::2]
    return decode(None, rawmode) << 8 | decode(None, f"{kind};16{LOW[order]}")
