"""Translating pictures and tensors of any size, with a tiny network."""

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg import memory_limits, weights
from qsneg.data import drawn_scenes
from qsneg.image_io import to_image, to_tensor
from qsneg.memory_limits import TooLarge
from qsneg.translate import Translator, load, mirrored, pad
from tests.test_image_io import ramp

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def translator(folder):
    return load("tiny/cut", device="cpu", folder=folder, autocast="off")


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- one picture ---


def test_load(folder, translator):
    assert translator.title == "CUT" and translator.card == {"steps": 3} and translator.config.width == 4
    assert translator.device == CPU and translator.weights.path == folder / "tiny" / "cut.safetensors"
    by_path = load(folder / "tiny" / "cut.safetensors", "cpu", autocast="off")
    x = noise(1, 3, 16, 16)
    assert torch.equal(by_path.translate_tensor(x), translator.translate_tensor(x))
    with pytest.raises(FileNotFoundError, match="tiny/cut"):
        load("tiny/none", "cpu", folder)
    with pytest.raises(ValueError, match="Unknown device"):
        load("tiny/cut", "abacus", folder)
    with pytest.raises(ValueError, match="Unknown precision"):
        load("tiny/cut", "cpu", folder, autocast="float8")


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (2, 3, 32, 48), (1, 3, 64, 20)])
def test_sizes_divisible_by_4_are_those_of_the_plain_generator(translator, shape):
    x = noise(*shape)
    with torch.inference_mode():
        expected = translator.weights.generator(x.contiguous(memory_format=translator.layout))
    y = translator.translate_tensor(x)
    assert torch.equal(y, expected) and y.std() > 0.05
    assert y.is_contiguous() and not y.is_inference() and y.dtype == torch.float32
    one_by_one = torch.cat([translator.translate_tensor(one[None]) for one in x])
    assert torch.allclose(y, one_by_one, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 200), (2, 3, 3), (1, 257, 131), (1, 17, 16), (1, 2, 5)])
def test_other_sizes_are_padded_by_their_mirror_image_and_cropped(translator, shape):
    x = noise(shape[0], 3, *shape[1:])
    y = translator.translate_tensor(x)
    assert y.shape == x.shape and y.isfinite().all() and y.abs().max() <= 1
    height, width = shape[1:]
    bottom, right = (max(16, (side + 3) // 4 * 4) - side for side in (height, width))
    mode = "reflect" if height > 1 and width > 1 else "symmetric"
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (0, bottom), (0, right)), mode=mode)
    if height > 1 and width > 1 or height == width:
        assert np.array_equal(pad(x).numpy(), padded)
    assert pad(x).shape == padded.shape and torch.equal(pad(x)[:, :, :height, :width], x)
    plain = translator.weights.generator(pad(x).contiguous(memory_format=translator.layout))
    assert torch.equal(y, plain[:, :, :height, :width])


def test_mirrored():
    assert mirrored(4, 9).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert mirrored(2, 4).tolist() == [0, 1, 0, 1] and mirrored(1, 3).tolist() == [0, 0, 0]


def test_padding_continues_what_is_seen(translator):
    """Waves cut at a crest go on as waves: the result is that of the picture that was not cut, up to the border."""
    rows, columns = torch.arange(36)[:, None], torch.arange(52)
    whole = ((rows * torch.pi / 16).cos() * (columns * torch.pi / 8).cos()).expand(1, 3, -1, -1)
    cut = whole[:, :, :33, :49]
    assert torch.allclose(pad(cut), whole, atol=1e-6)
    expected = translator.translate_tensor(whole)[:, :, :33, :49]
    assert torch.allclose(translator.translate_tensor(cut), expected, atol=1e-4)


def test_bad_tensors(translator):
    for x in (
        torch.zeros(3, 8, 8),
        torch.zeros(1, 4, 8, 8),
        torch.zeros(1, 3, 0, 8),
        torch.zeros(0, 3, 8, 8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
    ):
        with pytest.raises(ValueError, match="Pictures to translate are B×3×H×W floats"):
            translator.translate_tensor(x)
    assert translator.translate_tensor(noise(1, 3, 8, 8).double()).dtype == torch.float32


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (3, 3), (257, 131), (40, 24)])
def test_pictures_keep_their_size(translator, size):
    result = translator.translate(ramp(*size))
    assert result.mode == "RGB" and result.size == size
    plain = translator.translate(ramp(*size), margin=0)
    assert np.array_equal(plain, to_image(translator.translate_tensor(to_tensor(ramp(*size)))))


@pytest.mark.parametrize("size", [(40, 24), (33, 50), (7, 90)])
def test_margin(translator, size):
    """A picture and its margin, mirrored by NumPy, are translated as one; the margin is cut off."""
    x = np.asarray(ramp(*size))
    width, height = size
    right, below = -width % 4, -height % 4
    whole = np.pad(x, ((32, 32 + below), (32, 32 + right), (0, 0)), mode="reflect")
    plain = np.asarray(translator.translate(Image.fromarray(whole), margin=0))
    assert np.array_equal(translator.translate(ramp(*size)), plain[32 : 32 + height, 32 : 32 + width])
    for margin in (-4, 6, 1.5):
        with pytest.raises(ValueError, match="divisible by 4, not"):
            translator.translate(ramp(*size), margin=margin)


def test_margin_keeps_the_border_from_the_picture(translator):
    """What the generator does at its border (here: paints it black) does not show."""
    generator = translator.weights.generator
    inner = generator.forward

    def framed(x):
        y = inner(x).clone()
        y[:, :, :20], y[:, :, -20:], y[:, :, :, :20], y[:, :, :, -20:] = -1, -1, -1, -1
        return y

    generator.forward = framed
    try:
        plain, margin = (np.asarray(translator.translate(ramp(64, 64), margin=m)) for m in (0, 32))
        assert plain[0].max() == 0 and margin[0].max() > 0
    finally:
        del generator.forward


def test_size_is_the_short_side_of_the_result(translator):
    assert translator.translate(ramp(80, 40), size=21).size == (42, 21)
    assert translator.translate(ramp(40, 80), size=60).size == (60, 120)
    assert translator.translate(ramp(2000, 1250), size=64).size == (102, 64)
    for size in (0, -1, 1.5):
        with pytest.raises(ValueError, match="whole number"):
            translator.translate(ramp(), size=size)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_every_mode(translator, mode):
    picture = ramp().convert("L").convert(mode) if mode in ("LA", "PA", "I;16", "I", "F") else ramp().convert(mode)
    assert picture.mode == mode
    assert translator.translate(picture).size == (40, 24)


def test_rotated_picture_comes_out_upright(translator):
    picture = ramp().transpose(Image.Transpose.ROTATE_90)
    picture.getexif()[0x0112] = 6
    assert np.array_equal(translator.translate(picture), translator.translate(ramp()))


def test_bfloat16_is_close(folder, translator):
    x = noise(1, 3, 32, 32)
    model = load("tiny/cut", "cpu", folder, "bfloat16")
    half = model.translate_tensor(x)
    assert model.precision == "bfloat16" == load("tiny/cut", "cpu", folder, autocast="bfloat16").precision
    assert half.dtype == torch.float32 and 0 < (half - translator.translate_tensor(x)).abs().mean() < 0.1


def test_float32_is_the_default_and_repeatable(folder):
    """In bfloat16 one thread and two differed by up to 217 levels on these weights."""
    assert (
        load("tiny/cut", "cpu", folder).precision == Translator(weights.load("tiny/cut", folder)).precision == "float32"
    )
    model, threads = load("horse2zebra-drawn/cut", "cpu"), torch.get_num_threads()
    scene = Image.fromarray(drawn_scenes.draw(drawn_scenes.scene_seed("test", "A", 0), 64, "A"))
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(np.asarray(model.translate(scene), np.int16))
    finally:
        torch.set_num_threads(threads)
    assert abs(results[0] - results[1]).max() <= 1


def test_tensors_are_translated_with_a_margin_where_people_see_them(translator):
    x = to_tensor(ramp())
    assert np.array_equal(to_image(translator.as_shown(x)), translator.translate(ramp()))
    assert torch.equal(translator.translate_tensor(x, 32), translator.as_shown(x))
    assert not torch.equal(translator.translate_tensor(x), translator.as_shown(x))
    with pytest.raises(ValueError, match="divisible by 4"):
        translator.translate_tensor(x, 3)


# --- memory ---


def test_what_does_not_fit_is_refused_before_it_is_made(translator, monkeypatch):
    monkeypatch.setattr(memory_limits, "free_bytes", lambda device: 6 * 20 * (32 + 64 + 32) ** 2)
    with pytest.raises(TooLarge, match="at size 64 or less") as error:
        translator.translate(ramp(80, 80))
    assert error.value.size == 64
    assert translator.translate(ramp(80, 80), size=64).size == (64, 64)
    with pytest.raises(TooLarge, match="1000000×1000000"):
        translator.translate(ramp(80, 80), size=1_000_000)
    with pytest.raises(TooLarge, match="2 pictures at once"):
        translator.translate_tensor(torch.zeros(2, 3, 96, 96))


def test_running_out_of_memory_all_the_same(translator, monkeypatch):
    def full(x):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")

    monkeypatch.setattr(translator.weights.generator, "forward", full)
    with pytest.raises(RuntimeError, match="allocate"):  # whose words tell nothing: there is room
        translator.translate(ramp())
    monkeypatch.setattr(memory_limits, "free_bytes", lambda device: 6 * 20 * (24 + 64) * (40 + 64) * 3 // 2)
    with pytest.raises(TooLarge, match="ran out of memory: translate it at size 12 or less") as error:
        translator.translate(ramp())
    assert error.value.size == 12
