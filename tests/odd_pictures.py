"""Pictures as strangers send them: formats, depths, EXIF, profiles, damage, bombs, names. For `tests/fuzz.py`.

odd = odd_picture(17)                # OddPicture(kind="tiff, float, a bit flipped", name="…", data=b"…")
"""

import functools
import io
import random
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from qsneg.picture_formats import FORMATS
from tests.test_colour_profiles import ADOBE, P3
from tests.test_colour_profiles import profile as made_profile

ENDINGS = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "DIB": "dib", "TIFF": "tiff", "GIF": "gif",
    "AVIF": "avif", "JPEG2000": "jp2", "PPM": "ppm",
}  # fmt: skip
MODES = {
    "JPEG": ("L", "RGB", "CMYK"), "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"), "DIB": ("RGB", "L"), "GIF": ("L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"), "AVIF": ("RGB", "RGBA"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"), "PPM": ("1", "L", "RGB", "I;16"),
}  # fmt: skip
SIZES = ((1, 1), (1, 40), (40, 1), (2, 3), (7, 5), (16, 16), (33, 20), (64, 48), (300, 3))
NAMES = (
    "photo",
    "Ü 写真 🐎",
    "a'b\"c",
    "-out",
    "x.tar",
    "..",
    "%00",
    "a\nb",
    "n" * 240,
    "é" * 120,
    "CON",
    " lead",
    "$(x)",
)


class OddPicture(NamedTuple):
    kind: str
    name: str
    data: bytes


def odd_picture(number: int, seed: int = 0) -> OddPicture:
    """One of any number of files, a pure function of its number."""
    rng = random.Random(f"{seed} picture {number}")
    kind, ending, data = rng.choices((ordinary, deep_tiff, deep_png, bomb, no_picture), (10, 4, 2, 1, 1))[0](rng)
    if rng.random() < 0.5 and data:
        how = rng.choice((truncated, flipped, zeroed, grown, spliced))
        kind, data = f"{kind}, {how.__name__}", how(data, rng)
    if rng.random() < 0.1:
        ending = rng.choice([*ENDINGS.values(), "JPG", "jfif", "txt", ""])
    stem = rng.choice(NAMES) if rng.random() < 0.3 else f"{number:06d}"
    return OddPicture(kind, f"{stem}.{ending}" if ending else stem, data)


def values(rng: random.Random, shape: tuple, dtype: str) -> np.ndarray:
    """Numbers of a type, over a range that is not always its own."""
    draws = np.random.default_rng(rng.randrange(1 << 30))
    if dtype.startswith("f"):
        made = draws.normal(size=shape) * rng.choice([1, 1e-30, 255, 1e30])
        made.flat[0] = rng.choice([0, np.nan, np.inf, -np.inf, 1])
        made = np.full(shape, rng.choice([0, 1, -5, np.nan])) if rng.random() < 0.2 else made
        with np.errstate(over="ignore"):
            return made.astype(dtype)
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    ranges = (least, most), (max(least, 0), min(most, 4095)), (7, 7), (max(least, -1000), min(most, 3000))
    low, high = rng.choice(ranges)
    return draws.integers(low, high, shape, dtype=dtype, endpoint=True)


def picture(rng: random.Random, mode: str) -> Image.Image:
    width, height = rng.choice(SIZES)
    if mode in ("I;16", "I", "F"):
        return Image.fromarray(values(rng, (height, width), {"I;16": "uint16", "I": "int32", "F": "float32"}[mode]))
    image = Image.fromarray(values(rng, (height, width, 3), "uint8"))
    return image.convert(mode) if mode != "LAB" else ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")  # fmt: skip


def profile(rng: random.Random) -> bytes:
    """A colour profile: ordinary, of other colours than the picture's, or damaged."""
    ordinary = ImageCms.ImageCmsProfile(ImageCms.createProfile(rng.choice(["sRGB", "LAB", "XYZ"]))).tobytes()
    wide = made_profile(rng.choice([1, 1.8, 2.2]), rng.choice([P3, ADOBE]))
    found = bytearray(rng.choice([ordinary, wide, made_profile(2.2, (), b"GRAY"), b"", b"acsp" * 40]))
    if rng.random() < 0.3 and len(found) > 20:
        found[16:20] = rng.choice([b"CMYK", b"GRAY", b"Lab ", b"XYZ ", b"7CLR", b"\0\0\0\0"])
    return flipped(bytes(found), rng) if found and rng.random() < 0.3 else bytes(found)


def exif(rng: random.Random) -> bytes:
    made = Image.Exif()
    made[0x0112] = rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 65535])
    data = made.tobytes()
    return flipped(data, rng) if rng.random() < 0.3 else data


def ordinary(rng: random.Random) -> tuple[str, str, bytes]:
    """A file as programs write it."""
    kind = rng.choice([name for name in ENDINGS if name in FORMATS])
    mode = rng.choice(MODES[kind])
    options = {"icc_profile": profile(rng)} if rng.random() < 0.4 and kind not in ("BMP", "DIB", "PPM") else {}
    if rng.random() < 0.4 and kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        options["exif"] = exif(rng)
    if rng.random() < 0.2 and kind in ("GIF", "WEBP", "PNG", "TIFF"):
        options |= {"save_all": True, "append_images": [picture(rng, mode)]}
    if rng.random() < 0.3 and mode in ("P", "L", "RGB") and kind in ("PNG", "GIF"):
        options["transparency"] = rng.choice([0, 5]) if mode != "RGB" else (1, 2, 3)
    if rng.random() < 0.2 and kind == "JPEG":
        options["progressive"] = True
    if kind == "TIFF" and mode not in ("LAB", "YCbCr"):
        options["compression"] = rng.choice([None, "tiff_lzw", "tiff_deflate", "packbits"])
    file, made = io.BytesIO(), picture(rng, mode)
    try:
        made.save(file, kind, **options)
    except Exception:  # Pillow does not write every damaged note
        made.save(file := io.BytesIO(), kind)
        options = {}
    extras = "".join(f" +{name}" for name in ("icc_profile", "exif", "save_all") if name in options)
    return f"{kind} {mode}{extras}", ENDINGS[kind], file.getvalue()


def deep_tiff(rng: random.Random) -> tuple[str, str, bytes]:
    """A TIFF of any depth and sign, with or without a declared range, written by hand."""
    dtype = rng.choice(["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "float16"])
    samples, (width, height) = rng.choice([1, 1, 1, 3, 4, 2, 5]), rng.choice(SIZES)
    data = values(rng, (height, width, samples), dtype)
    order = rng.choice("<>")
    data = data.astype(data.dtype.newbyteorder(order))
    bits, form = 8 * data.itemsize, {"u": 1, "i": 2, "f": 3}[data.dtype.kind]
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [rng.choice([bits, bits, bits, 12, 0])] * samples)}
    tags |= {259: (3, [1]), 262: (3, [rng.choice([0, 1, 2, 1, 2, 5, 8])]), 273: (4, [8]), 277: (3, [samples])}
    tags |= {278: (4, [height]), 279: (4, [data.nbytes]), 339: (3, [form] * samples)}
    tags |= {274: (3, [rng.choice([1, 6, 99])])} if rng.random() < 0.3 else {}
    if rng.random() < 0.2:
        tags |= {280: (3, [rng.choice([0, 100])]), 281: (3, [rng.choice([0, 4095, 65535])])}
    if rng.random() < 0.2:
        tags |= {340: (12, [rng.choice([0.0, np.nan])]), 341: (12, [rng.choice([1.0, np.inf])])}
    entries, extra, at = b"", b"", 8 + data.nbytes + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        packed = struct.pack(order + {3: "H", 4: "I", 12: "d"}[kind] * len(numbers), *numbers)
        value = packed.ljust(4, b"\0")
        if len(packed) > 4:
            value, extra = struct.pack(order + "I", at + len(extra)), extra + packed
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + value
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + data.nbytes)
    body = data.tobytes() + struct.pack(order + "H", len(tags)) + entries + struct.pack("I", 0) + extra
    return f"TIFF {dtype}×{samples}", "tiff", head + body


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, more: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_png(rng: random.Random) -> tuple[str, str, bytes]:
    """A PNG of 16 bits per value, grey or colours, with or without alpha, its significant bits and profile."""
    colour = rng.choice([0, 2, 4, 6])
    samples, (width, height) = {0: 1, 2: 3, 4: 2, 6: 4}[colour], rng.choice(SIZES)
    data = values(rng, (height, width * samples), "uint16").astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in data)
    bits = bytes(rng.choice([0, 10, 12, 16, 255]) for _ in range(rng.choice([samples, 0, 1])))
    more = chunk(b"sBIT", bits) if rng.random() < 0.4 else b""
    more += chunk(b"iCCP", b"p\0\0" + zlib.compress(profile(rng))) if rng.random() < 0.4 else b""
    return f"PNG 16×{samples}", "png", png(width, height, 16, colour, rows, more)


@functools.cache
def long_text() -> bytes:
    """A note in a PNG that unpacks to 30 MB."""
    return chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * (30 << 20)))


def bomb(rng: random.Random) -> tuple[str, str, bytes]:
    """A small file whose header promises far more than a memory holds."""
    side = rng.choice([20_000, 60_000, 2**24, 2**31 - 1])
    small = min(side, 65_535)
    tiff = io.BytesIO()
    made = TiffImagePlugin.ImageFileDirectory_v2()
    made[256], made[257], made[258], made[262], made[273], made[277] = min(side, 2**31 - 1), small, 8, 1, 8, 1
    made.tagtype[256] = made.tagtype[257] = 4
    made.save(tiff)
    cases = {
        "png": png(side, side, rng.choice([8, 16]), rng.choice([0, 2, 6]), b"\0" * 100),
        "gif": b"GIF89a" + struct.pack("<HH", small, small) + b"\xf0\0\0" + bytes(6) + b",\0\0\0\0" + b"\xff" * 20,
        "bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, side, side, 1, 24, *[0] * 6) + bytes(40),
        "ppm": b"P6 %d %d 255\n" % (side, side) + bytes(100),
        "pgm": b"P5 %d %d %d\n" % (side, 1, side) + bytes(100),
        "jpg": b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", small, small) + b"\x03\x01\x11\0\x02\x11\1\3\x11\1"
        + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0" + bytes(50) + b"\xff\xd9",
        "tiff": tiff.getvalue(),
        "webp": b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + struct.pack("<I", small)[:3] * 2 + bytes(40),
        "png ": png(1, 1, 8, 0, b"\0\0", long_text()),
    }  # fmt: skip
    kind = rng.choice(list(cases))
    return f"bomb {kind}", kind.strip(), cases[kind]


def no_picture(rng: random.Random) -> tuple[str, str, bytes]:
    noise = bytes(rng.randrange(256) for _ in range(200))
    cases = (b"", b"hello\n", noise, bytes(5000), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0+", b"RIFF",
             b"<svg/>", b"PK\3\4" + noise, b"%PDF-1.4", b"GIF89a", b"BM", b"P6",
             b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0\0\0\x0cjP  \r\n\x87\n" + noise,
             b"\0\0\0\x1cftypavif" + noise)  # fmt: skip
    return "no picture", rng.choice(list(ENDINGS.values())), rng.choice(cases)


# --- damage ---


def truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Up to twenty bits, often in the header."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 20)):
        out[rng.randrange(min(len(out), rng.choice([64, 512, 1 << 30])))] ^= 1 << rng.randrange(8)
    return bytes(out)


def zeroed(data: bytes, rng: random.Random) -> bytes:
    at, count = rng.randrange(len(data)), rng.choice([4, 100, 2000])
    return data[:at] + bytes(min(count, len(data) - at)) + data[at + count :]


def grown(data: bytes, rng: random.Random) -> bytes:
    at = rng.choice([0, rng.randrange(len(data)), len(data)])
    return data[:at] + bytes(rng.randrange(256) for _ in range(rng.choice([1, 3, 100]))) + data[at:]


def spliced(data: bytes, rng: random.Random) -> bytes:
    """A part of it again, elsewhere."""
    a, b, c = sorted(rng.randrange(len(data)) for _ in range(3))
    return data[:b] + data[a:c] + data[b:]
