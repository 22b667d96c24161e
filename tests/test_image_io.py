"""Every odd kind of picture, made on the spot, against the plain one that it must look like.

python -m pytest tests/test_image_io.py
"""

import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, PngImagePlugin

from qsneg import image_io
from qsneg.image_io import read, resize_short, short_size, to_image, to_tensor, upright_rgb


def ramp(width: int = 40, height: int = 24) -> Image.Image:
    """A picture with no symmetry: red rises to the right, green downwards, blue is high in one corner."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    blue = np.zeros_like(x)
    blue[: height // 3, : width // 4] = 200
    return Image.fromarray(np.stack([x, y, blue], axis=-1).round().astype(np.uint8))


def grey(width: int = 40, height: int = 24) -> np.ndarray:
    return np.asarray(ramp(width, height))[..., 0].copy()  # H×W, 0 to 255


def distance(a: Image.Image, b: Image.Image) -> float:
    """The largest difference of two pictures of one size, in grey levels."""
    assert a.mode == b.mode == "RGB" and a.size == b.size
    return float(np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).max())


BACK = {  # how a picture is stored that orientation o sets upright again
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation, suffix):
    upright = ramp()
    stored = upright if orientation == 1 else upright.transpose(BACK[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": dict(quality=100, subsampling=0), "webp": dict(lossless=True, exact=True)}.get(suffix, {})
    stored.save(tmp_path / f"a.{suffix}", exif=exif, **options)
    assert distance(read(tmp_path / f"a.{suffix}"), upright) <= (40 if suffix == "jpg" else 0)


def test_exif_orientation_of_16_bits(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = grey().astype(np.uint16) * 257
    Image.fromarray(np.ascontiguousarray(np.rot90(values))).save(tmp_path / "a.png", exif=exif)
    assert distance(read(tmp_path / "a.png"), Image.fromarray(grey()).convert("RGB")) == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_ignored(tmp_path):
    ramp().save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
    assert distance(read(tmp_path / "a.png"), ramp()) == 0


def test_alpha_is_laid_on_white(tmp_path):
    alpha = Image.fromarray(grey())  # transparent on the left, opaque on the right
    picture = ramp()
    picture.putalpha(alpha)
    picture.save(tmp_path / "rgba.png")
    weight = grey()[..., None] / 255
    expected = Image.fromarray((np.asarray(ramp()) * weight + 255 * (1 - weight)).round().astype(np.uint8))
    assert distance(read(tmp_path / "rgba.png"), expected) <= 1

    la = Image.merge("LA", [Image.fromarray(grey().T.copy()).resize((40, 24)), alpha])
    la.save(tmp_path / "la.png")
    values = np.asarray(la.getchannel(0), dtype=float)[..., None].repeat(3, -1)
    expected = Image.fromarray((values * weight + 255 * (1 - weight)).round().astype(np.uint8))
    assert distance(read(tmp_path / "la.png"), expected) <= 1
    for mode in ("RGBa", "La"):
        got = upright_rgb((picture if mode == "RGBa" else la).convert(mode))
        assert distance(got, read(tmp_path / ("rgba.png" if mode == "RGBa" else "la.png"))) <= 2


def test_transparent_colours_of_palettes_and_rgb(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "one.png", transparency=0)
    picture.save(tmp_path / "half.png", transparency=bytes([128, 255]))
    picture.save(tmp_path / "one.gif", transparency=0)
    names = ("plain.png", "one.png", "half.png", "one.gif")
    colours = {name: [read(tmp_path / name).getpixel((x, 0)) for x in (0, 1)] for name in names}
    assert colours["plain.png"] == [(255, 0, 0), (0, 0, 255)]
    assert colours["one.png"] == colours["one.gif"] == [(255, 255, 255), (0, 0, 255)]
    assert colours["half.png"] == [(255, 127, 127), (0, 0, 255)]
    Image.new("RGB", (2, 1), (1, 2, 3)).save(tmp_path / "rgb.png", transparency=(1, 2, 3))
    assert read(tmp_path / "rgb.png").getpixel((0, 0)) == (255, 255, 255)
    pa = Image.new("RGBA", (2, 1), (9, 9, 9, 0)).convert("PA")
    assert upright_rgb(pa).getpixel((0, 0)) == (255, 255, 255)


def test_one_bit_and_grey(tmp_path):
    bits = Image.fromarray(grey() > 99)
    assert bits.mode == "1"
    bits.save(tmp_path / "one.png")
    expected = Image.fromarray((grey() > 99).astype(np.uint8) * 255).convert("RGB")
    assert distance(read(tmp_path / "one.png"), expected) == 0
    Image.fromarray(grey()).save(tmp_path / "grey.jpg", quality=100)
    assert distance(read(tmp_path / "grey.jpg"), Image.fromarray(grey()).convert("RGB")) <= 3


def test_cmyk_jpeg(tmp_path):
    ramp().convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    with Image.open(tmp_path / "a.jpg") as file:
        assert file.mode == "CMYK"
    assert distance(read(tmp_path / "a.jpg"), ramp()) <= 12


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_are_scaled_not_clipped(tmp_path, name):
    Image.fromarray(grey().astype(np.uint16) * 257).save(tmp_path / name)
    assert distance(read(tmp_path / name), Image.fromarray(grey()).convert("RGB")) == 0


@pytest.mark.parametrize("dtype, factor", [
    (np.uint16, 257), (">u2", 257), (np.int32, 1), (np.int32, 257), (np.int32, 8_000_000),
    (np.float32, 1), (np.float32, 1 / 255), (np.float32, 257), (np.float32, 1e6),
])  # fmt: skip
def test_grey_of_every_depth(dtype, factor):
    picture = Image.fromarray((grey().astype(np.float64) * factor).astype(dtype))
    assert picture.mode in ("I;16", "I;16B", "I", "F")
    assert distance(upright_rgb(picture), Image.fromarray(grey()).convert("RGB")) <= 1


def test_dark_16_bits_stay_dark_where_white_is_said():
    dark = Image.fromarray(np.full((4, 4), 200, dtype=np.uint16))
    assert upright_rgb(dark, white=65535).getpixel((0, 0)) == (1, 1, 1)


def test_float_tiff_with_holes(tmp_path):
    values = grey().astype(np.float32) / 255
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    got = np.asarray(read(tmp_path / "a.tif"))[..., 0]
    assert list(got[0, :3]) == [0, 255, 0] and np.array_equal(got[1:], grey()[1:])
    assert upright_rgb(Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32))).getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "lime", "blue")]
    options = dict(lossless=True) if name == "a.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=50, **options)
    assert distance(read(tmp_path / name), frames[0]) == 0
    with Image.open(tmp_path / name) as file:
        file.seek(2)
        assert distance(upright_rgb(file), frames[0]) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (3, 3), (257, 131)])
def test_small_and_long(tmp_path, size):
    ramp(*size).save(tmp_path / "a.png")
    assert distance(read(tmp_path / "a.png"), ramp(*size)) == 0


@pytest.mark.filterwarnings("error")
def test_large(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000_000)  # above it, Pillow warns
    Image.new("RGB", (8000, 5000), "teal").save(tmp_path / "a.jpg")  # 40 megapixels
    picture = read(tmp_path / "a.jpg")
    assert picture.size == (8000, 5000) and resize_short(picture, 64).size == (102, 64)
    monkeypatch.setattr(image_io, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"'.*a.jpg' cannot be used: it has 40 megapixels .*smaller.*\.$"):
        read(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="cannot be used: it has 40 megapixels"):
        upright_rgb(picture)


def test_larger_than_pillow_reads(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (50_000).to_bytes(4, "big") * 2  # the header's width and height
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(ValueError, match="megapixels"):
        read(path)


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/>
</rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif", "xmp.png", "xmp.jpg", "xmp.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_once(tmp_path, orientation, suffix):
    """Turned by what the file says, and then never again: by PIL's own turning, ours, gradio's."""
    upright, path = ramp(32, 24), tmp_path / f"a.{suffix}"
    stored, exif = upright if orientation == 1 else upright.transpose(BACK[orientation]), Image.Exif()
    exif[0x0112] = orientation
    notes = dict(exif=exif)
    if suffix.startswith("xmp"):
        notes = dict(xmp=(XMP % orientation).encode())
        if suffix.endswith("png"):
            notes = dict(pnginfo=PngImagePlugin.PngInfo())
            notes["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP % orientation)
    quality = {} if suffix.endswith(("png", "tif")) else dict(quality=100)
    stored.save(path, **notes, **quality)
    once = read(path)
    assert once.size == upright.size and np.abs(np.asarray(once, float) - np.asarray(upright)).mean() < 8
    assert once.info == {} and 0x0112 not in once.getexif()
    with Image.open(path) as opened, ImageOps.exif_transpose(opened) as turned:
        assert image_io.header_size(opened) == upright.size or suffix.endswith("png")
        for picture in (upright_rgb(once), upright_rgb(opened), upright_rgb(upright_rgb(opened)), upright_rgb(turned)):
            assert distance(picture, once) == 0
        opened.load()
        assert distance(upright_rgb(opened), once) == 0 and distance(upright_rgb(opened.copy()), once) == 0


def test_upright_rgb_leaves_the_original_alone():
    picture = ramp()
    result = upright_rgb(picture)
    result.putpixel((0, 0), (9, 9, 9))
    assert distance(picture, ramp()) == 0


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.webp", "a.bmp"])
def test_truncated_files_give_one_sentence(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / name
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for share in (0.05, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match=r"^'.*' cannot be read as a picture: [^\n]+\.$"):
            read(path)
    path.write_bytes(whole[: len(whole) * 9 // 10])
    try:
        file = Image.open(path)
    except Exception:  # WebP files are decoded, or not, when they are opened
        return
    with file, pytest.raises(ValueError, match="^This picture cannot be used: "):
        upright_rgb(file)


@pytest.mark.parametrize(
    "content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"II*\0"]
)
def test_what_is_no_picture(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"^'.*a.png' cannot be read as a picture: [^\n]+\.$"):
        read(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_never_crash(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a.png", "a.jpg", "a.tif", "a.gif", "a.webp"):
        path = tmp_path / name
        ramp().save(path)
        whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        for _ in range(40):
            broken = whole.copy()
            broken[rng.integers(0, len(broken), 6)] = rng.integers(0, 256, 6)
            path.write_bytes(broken.tobytes())
            try:
                assert read(path).mode == "RGB"
            except ValueError as error:
                assert "cannot be read as a picture" in str(error) and "\n" not in str(error)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read(tmp_path / "none.png")
    with pytest.raises(ValueError, match="is a folder"):
        read(tmp_path)


def test_tensors_there_and_back():
    x = to_tensor(ramp())
    assert x.shape == (1, 3, 24, 40) and x.dtype == torch.float32 and x.min() == -1 and x.max() == 1
    assert distance(to_image(x), ramp()) == 0 and distance(to_image(x[0] * 1.0), ramp()) == 0
    assert to_image(torch.full((3, 1, 1), 7.0)).getpixel((0, 0)) == (255, 255, 255)
    assert to_tensor(Image.new("L", (2, 3))).shape == (1, 3, 3, 2)
    for shape in ((2, 3, 4, 4), (4, 4), (1, 4, 4, 4)):
        with pytest.raises(ValueError, match="One picture is"):
            to_image(torch.zeros(shape))


def test_short_side():
    assert short_size((257, 131), 64) == (126, 64) and short_size((1, 200), 8) == (8, 1600)
    assert resize_short(ramp(), 12).size == (20, 12)
    assert resize_short(ramp(), 24).size == (40, 24)
    for size in (0, -4, 2.5, True):
        with pytest.raises(ValueError, match="whole number"):
            short_size((10, 10), size)
