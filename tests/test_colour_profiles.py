"""Embedded colour profiles to sRGB, in every kind of file; damaged ones are as if they were not there.

python -m pytest tests/test_colour_profiles.py
"""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from qsneg.image_io import read, upright_rgb

SRGB = ImageCms.createProfile("sRGB")
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))  # adapted to D50
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
COLOUR = (200, 80, 60)


def profile(gamma: float, primaries=(), space: bytes = b"RGB ") -> bytes:
    """A minimal ICC profile (version 2): of RGB by its primaries, or of grey."""

    def fixed(values) -> bytes:
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = {b"desc": b"desc\0\0\0\0\0\0\0\2-\0".ljust(92, b"\0"), b"wtpt": b"XYZ \0\0\0\0" + fixed((0.9642, 1, 0.8249))}
    for name, values in zip((b"r", b"g", b"b"), primaries):
        tags |= {name + b"XYZ": b"XYZ \0\0\0\0" + fixed(values), name + b"TRC": curve}
    tags |= {} if primaries else {b"kTRC": curve}
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(value))
        data += value
    size = struct.pack(">I", 128 + len(table + data))
    head = size + b"\0\0\0\0\2\x40\0\0mntr" + space + b"XYZ " + b"\0" * 12 + b"acsp" + b"\0" * 28
    return (head + fixed((0.9642, 1, 0.8249))).ljust(128, b"\0") + table + data


def stored(colour, icc: bytes, mode: str = "RGB") -> Image.Image:
    """A picture of one sRGB colour in the space of a profile."""
    there = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    return ImageCms.profileToProfile(Image.new("RGB", (16, 16), colour), SRGB, there, 1, mode)


def differs(picture: Image.Image, colour=COLOUR) -> int:
    assert picture.mode == "RGB" and "icc_profile" not in picture.info
    return int(np.abs(np.asarray(picture, int) - colour).max())


LINEAR = profile(1.0, P3)
LOSSLESS = {"png": {}, "tif": {}, "webp": dict(lossless=True), "jpg": dict(quality=100, subsampling=0),
            "avif": dict(quality=100, subsampling="4:4:4")}  # fmt: skip


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("icc", [profile(2.2, P3), profile(2.2, ADOBE), LINEAR])
def test_wide_gamuts(tmp_path, icc, suffix):
    if suffix in ("jpg", "avif") and icc == LINEAR:
        pytest.skip("in eight bits of light, codecs that lose a level lose much")
    path, wide = tmp_path / f"a.{suffix}", stored(COLOUR, icc)
    wide.save(path, icc_profile=icc, **LOSSLESS[suffix])
    assert np.abs(np.asarray(wide, int) - COLOUR).max() > 8 and differs(read(path)) <= 4
    with Image.open(path) as image:  # the doors of Python and of gradio
        assert differs(upright_rgb(image)) <= 4 and differs(upright_rgb(upright_rgb(image))) <= 4


def test_grey_alpha_palette_and_depth(tmp_path):
    linear = profile(1.0, space=b"GRAY")
    value = round(255 * (128 / 255) ** 2.2)  # near the sRGB curve
    for name, image in {
        "l.png": Image.new("L", (8, 8), value), "l.jpg": Image.new("L", (8, 8), value),
        "la.png": Image.merge("LA", [Image.new("L", (8, 8), value), Image.new("L", (8, 8), 255)]),
        "i.png": Image.fromarray(np.array([[value * 257, 65535]] * 8, np.uint16)),
    }.items():  # fmt: skip
        image.save(tmp_path / name, icc_profile=linear)
        assert abs(read(tmp_path / name).getpixel((0, 0))[0] - 128) <= 3, name
    icc = profile(2.2, P3)
    wide = stored(COLOUR, icc)
    wide.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.png", icc_profile=icc)
    assert differs(read(tmp_path / "p.png")) <= 2
    wide.putalpha(128)
    wide.save(tmp_path / "rgba.png", icc_profile=icc)
    assert differs(read(tmp_path / "rgba.png"), np.array(COLOUR) * 128 / 255 + 127) <= 2


def test_lab(tmp_path):
    lab = ImageCms.profileToProfile(Image.new("RGB", (16, 16), COLOUR), SRGB, ImageCms.createProfile("LAB"), 1, "LAB")
    lab.save(tmp_path / "a.tif")
    assert differs(read(tmp_path / "a.tif")) <= 3 and differs(upright_rgb(lab)) <= 3


def test_profiles_that_are_srgb_change_nothing(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    noise.save(tmp_path / "a.png", icc_profile=ImageCms.ImageCmsProfile(SRGB).tobytes())
    assert np.array_equal(read(tmp_path / "a.png"), noise)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_broken_and_foreign_profiles_are_ignored(tmp_path, suffix):
    whole = profile(2.2, P3)
    noise = np.frombuffer(np.random.default_rng(0).bytes(400), np.uint8).tobytes()
    plain = Image.new("RGB", (16, 16), COLOUR)
    for icc in (b"", b"nothing", whole[:200], noise, whole[:128] + noise, profile(2.2, space=b"GRAY"),
                whole[:16] + b"CMYK" + whole[20:], b"\xff" * 3000):  # fmt: skip
        plain.save(tmp_path / f"a.{suffix}", icc_profile=icc, **LOSSLESS[suffix])
        assert differs(read(tmp_path / f"a.{suffix}")) <= 3
    press = plain.convert("CMYK")
    press.info["icc_profile"] = whole
    assert differs(upright_rgb(press)) <= 2
