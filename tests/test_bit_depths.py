"""More than 8 bits per value: what is white is said, declared, or the picture's own range, with a word.

python -m pytest tests/test_bit_depths.py
"""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from qsneg.bit_depths import NOTE
from qsneg.image_io import read, upright_rgb

RAMP = np.linspace(0, 1, 128)[None].repeat(8, 0)  # H×W
GREY = (RAMP * 255).round()


def seen(picture: Image.Image) -> np.ndarray:
    values = np.asarray(picture).astype(int)
    assert (np.ptp(values, -1) == 0).all()  # grey
    return values[..., 0]


def close(picture: Image.Image, expected: np.ndarray, within: int = 1) -> bool:
    return np.abs(seen(picture) - expected).max() <= within


def png(path, samples: np.ndarray, kind: int, extra: bytes = b"") -> None:
    """A 16-bit PNG of H×W×C samples, of PNG's colour type `kind`, with further chunks."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.tobytes() for row in samples.astype(">u2"))
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, kind, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
                     + chunk(b"IEND", b""))  # fmt: skip


SBIT12 = struct.pack(">I", 1) + b"sBIT\x0c" + struct.pack(">I", zlib.crc32(b"sBIT\x0c"))


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.pgm", "a.jp2"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_fewer_bits_than_there_is_room_for(tmp_path, name, bits):
    values = (RAMP * (2**bits - 1)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / name, **({"irreversible": False} if name == "a.jp2" else {}))
    picture = read(tmp_path / name)
    assert close(picture, GREY) and (NOTE in picture.info) == (bits < 16)
    assert close(upright_rgb(Image.fromarray(values)), GREY)
    if bits == 12:
        assert f"{values.max()} white" in picture.info[NOTE]
        assert close(read(tmp_path / name, white=4095), GREY) and NOTE not in read(tmp_path / name, white=4095).info
        assert seen(read(tmp_path / name, white=65535)).max() == 16  # who says so has a dark picture


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
@pytest.mark.parametrize("least, most", [(-1000, 3000), (-1, 1), (-30000, -5)])
def test_negative_halves_are_not_lost(tmp_path, dtype, least, most):
    values = (RAMP * (most - least) + least).astype(dtype)
    stored = Image.fromarray(values.astype(np.int32) if dtype == np.int16 else values)
    stored.save(tmp_path / "a.tif")
    expected = (values.astype(float) - least) / (max(most, 0) - least) * 255
    for picture in (read(tmp_path / "a.tif"), upright_rgb(stored)):
        assert np.abs(seen(picture) - expected).max() <= 1 or most < 0
        assert seen(picture)[0, 0] == 0 and seen(picture)[0, -1] == 255
        assert "−" in picture.info[NOTE] and picture.info[NOTE].endswith(".")
    if least == -1:
        assert NOTE not in read(tmp_path / "a.tif", white=1).info


def tiff(path, values, **tags):
    """A grey TIFF with tags by number: t341=(type, value)."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, (kind, value) in tags.items():
        info.tagtype[int(name[1:])], info[int(name[1:])] = kind, value
    Image.fromarray(values).save(path, tiffinfo=info)


def test_declared_ranges(tmp_path):
    path, values = tmp_path / "a.tif", (RAMP * 4095).astype(np.uint16)
    double, short, ascii = 12, 3, 2
    tiff(path, values, t340=(double, 1000.0), t341=(double, 8190.0))
    assert close(read(path), ((values - 1000.0) / 7190 * 255).clip(0, 255)) and NOTE not in read(path).info
    tiff(path, values, t281=(short, 16383))
    assert close(read(path), values / 16383 * 255) and NOTE not in read(path).info
    tiff(path, values, t270=(ascii, "ImageJ=1.53t\nmin=0.0\nmax=2047.5\n"))
    assert close(read(path), (values / 2047.5 * 255).clip(0, 255)) and NOTE not in read(path).info
    tiff(path, (RAMP - 0.5).astype(np.float32), t340=(double, -0.5), t341=(double, 1.5))
    assert close(read(path), GREY / 2) and NOTE not in read(path).info
    tiff(path, values, t341=(double, float("nan")), t340=(double, 5.0))  # no declaration
    assert close(read(path), GREY)
    tiff(path, values, t281=(short, 0))
    assert close(read(path), GREY)
    png(tmp_path / "a.png", values[..., None] // 2, 0, SBIT12)
    assert close(read(tmp_path / "a.png"), GREY / 2) and NOTE not in read(tmp_path / "a.png").info
    png(tmp_path / "a.png", values[..., None] * 16, 0, SBIT12)  # scaled up, as the standard says
    assert close(read(tmp_path / "a.png"), GREY)
    (tmp_path / "a.pgm").write_bytes(b"P5 # dark\n128 8 4095\n" + (values // 4).astype(">u2").tobytes())
    assert close(read(tmp_path / "a.pgm"), GREY / 4) and NOTE not in read(tmp_path / "a.pgm").info


def test_white_is_zero_and_holes(tmp_path):
    values = (RAMP * 4095).astype(np.uint16)
    tiff(tmp_path / "a.tif", values, t262=(3, 0))
    assert close(read(tmp_path / "a.tif"), 255 - GREY)
    holes = RAMP.astype(np.float32)
    holes[0, 0] = -9999
    tiff(tmp_path / "a.tif", holes, t42113=(2, "-9999"))
    assert close(read(tmp_path / "a.tif"), GREY)


def test_32_bits_without_a_sign(tmp_path):
    """Pillow reads them as signed numbers."""
    values = (RAMP * (2**32 - 1)).astype(np.uint32)
    fields = {256: 128, 257: 8, 258: 32, 259: 1, 262: 1, 273: 200, 277: 1, 278: 8, 279: values.nbytes, 339: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + b"\0" * 4
    (tmp_path / "a.tif").write_bytes(head.ljust(200, b"\0") + values.astype("<u4").tobytes())
    assert close(read(tmp_path / "a.tif"), GREY)


@pytest.mark.parametrize("kind, channels", [(2, 3), (6, 4), (4, 2), (0, 1)])
def test_colours_of_12_bits(tmp_path, kind, channels):
    """Of 16 bits per colour Pillow keeps the higher 8: of 12 in 16 there would be 16 levels left, all nearly black."""
    samples = (RAMP * 4095).astype(np.uint16)[..., None].repeat(channels, -1)
    if kind in (4, 6):
        samples[..., -1] = 4095
    png(tmp_path / "a.png", samples, kind)
    for picture in (read(tmp_path / "a.png"), upright_rgb(Image.open((tmp_path / "a.png").open("rb")))):
        assert close(picture, GREY) and "4095 white" in picture.info[NOTE]
    assert seen(read(tmp_path / "a.png", white=8190))[0, -1] in ((128,) if kind in (0, 2) else (127, 128))
    samples = samples * 16
    png(tmp_path / "a.png", samples, kind)
    assert close(read(tmp_path / "a.png"), GREY, 2) and NOTE not in read(tmp_path / "a.png").info


@pytest.mark.parametrize("white", [0, -3, float("nan"), float("inf")])
def test_white_that_is_none(white):
    with pytest.raises(ValueError, match="White must be a number above black"):
        upright_rgb(Image.fromarray((RAMP * 99).astype(np.uint16)), white=white)


def test_a_file_s_own_note_is_not_ours(tmp_path):
    from PIL import PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text("note", "<b>believe me</b>")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=text)
    assert read(tmp_path / "a.png").info == {} and upright_rgb(Image.open(tmp_path / "a.png")).info == {}
    noted = upright_rgb(Image.fromarray((RAMP * 99).astype(np.uint16)))
    assert upright_rgb(noted.resize((9, 9))).info == noted.info != {}


def planes(values, order):
    """An uncompressed TIFF of colours H×W×3 in planes of their own, 16 bits each."""
    height, width, count = values.shape
    data = values.transpose(2, 0, 1).astype(f"{order}u2").tobytes()
    size, end = height * width * 2, 8 + len(data)
    after = end + 2 + 12 * 9 + 4
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, after), (259, 3, 1, 1), (262, 3, 1, 2),
               (273, 4, 3, after + 6), (277, 3, 1, count), (279, 4, 3, after + 18), (284, 3, 1, 2)]  # fmt: skip
    made = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", end) + data
    made += struct.pack(f"{order}H", len(entries))
    for tag, kind, number, value in entries:
        short = kind == 3 and number == 1
        made += struct.pack(f"{order}HHI" + ("HH" if short else "I"), tag, kind, number, value, *[0] * short)
    offsets = [8 + size * n for n in range(3)]
    return made + struct.pack(f"{order}I3H3I3I", 0, 16, 16, 16, *offsets, size, size, size)


@pytest.mark.parametrize("order", "<>")
def test_planes_of_sixteen_bits_are_no_bytes(tmp_path, order):
    ramp = np.linspace(0, 65535, 60).astype(np.uint16)[None].repeat(40, 0)
    (tmp_path / "a.tif").write_bytes(planes(np.stack([ramp, ramp[:, ::-1], ramp // 2], -1), order))
    picture = np.asarray(read(tmp_path / "a.tif"))
    assert np.abs(picture[7, :, 0] - np.linspace(0, 255, 60)).max() <= 1
    assert np.abs(picture[7, :, 1] - np.linspace(255, 0, 60)).max() <= 1 and picture[:, :, 2].max() == 127
    (tmp_path / "a.tif").write_bytes(planes(np.stack([ramp // 16] * 3, -1), order))
    with pytest.raises(ValueError, match="planes of their own: save it with the planes interleaved"):
        read(tmp_path / "a.tif")


def test_tiffs_that_are_not_read_are_named(tmp_path):
    """Colours in floats: Pillow does not know the mode."""
    data = planes(np.zeros((4, 4, 3), np.uint16), "<")
    (tmp_path / "a.tif").write_bytes(data.replace(struct.pack("<3H", 16, 16, 16), struct.pack("<3H", 32, 32, 32)))
    with pytest.raises(ValueError, match="a TIFF of a kind that is not read"):
        read(tmp_path / "a.tif")
