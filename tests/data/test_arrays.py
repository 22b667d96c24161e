"""Pictures of any number of channels: read, written, refused in one sentence; height maps and their views."""

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.config import ModelConfig, TrainConfig
from qsneg.data import arrays, drawn_heights
from qsneg.data.unpaired_arrays import UnpairedArrays
from qsneg.image_io import TooManyPixels, filled, for_people
from tests.conftest import run

tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed: pip install tifffile")


@pytest.fixture
def values():
    return np.random.default_rng(0).random((9, 12, 5), np.float32)


@pytest.mark.parametrize("ending", ["npy", "tif"])
def test_what_is_written_is_read(values, ending, tmp_path):
    for channels in (1, 2, 4, 5):
        path = tmp_path / f"{channels}.{ending}"
        arrays.write(path, values[..., :channels])
        found, note = arrays.read(path, channels)
        assert np.abs(found - values[..., :channels]).max() <= 0.6 / 65535 and note is None


def test_channels_first_pages_and_bands(values, tmp_path):
    deep = (values * 65535).round().astype(np.uint16)
    np.save(tmp_path / "first.npy", deep.transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "pages.tif", deep.transpose(2, 0, 1), photometric="minisblack")
    tifffile.imwrite(tmp_path / "bands.tif", deep.transpose(2, 0, 1), photometric="minisblack", planarconfig="separate")
    for path in tmp_path.iterdir():
        assert np.array_equal(arrays.read(path, 5)[0], arrays.read(tmp_path / "first.npy", 5)[0]), path
        assert np.abs(arrays.read(path, 5)[0] - values).max() < 1e-4


def test_which_value_is_white(tmp_path):
    twelve = np.linspace(0, 3000, 20).astype(np.uint16).reshape(4, 5)
    np.save(tmp_path / "twelve.npy", twelve)
    Image.fromarray(twelve).save(tmp_path / "twelve.png")
    for ending in ("npy", "png"):
        own, note = arrays.read(tmp_path / f"twelve.{ending}", 1)
        assert own.max() == 1 and "3000 white" in note
        set_, note = arrays.read(tmp_path / f"twelve.{ending}", 1, white=4095)
        assert set_[..., 0] == pytest.approx(twelve / 4095, abs=1e-6) and note is None
    hounsfield = np.array([[-1000, 0, 1000]], np.int16)
    np.save(tmp_path / "ct.npy", hounsfield)
    assert arrays.read(tmp_path / "ct.npy", 1)[0][..., 0] == pytest.approx(np.array([[0, 0.5, 1]]))
    np.save(tmp_path / "odd.npy", np.array([[np.nan, 0.25, np.inf, 1.0]]))
    assert arrays.read(tmp_path / "odd.npy", 1)[0][0, :, 0] == pytest.approx([0, 0.25, 1, 1])


def test_grey_and_colours(tmp_path):
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "red.png")
    Image.new("RGBA", (4, 4), (255, 0, 0, 51)).save(tmp_path / "clear.png")
    Image.new("L", (4, 4), 51).save(tmp_path / "grey.png")
    assert arrays.read(tmp_path / "red.png", 1)[0] == pytest.approx(np.full((4, 4, 1), 0.299), abs=1e-3)
    assert arrays.read(tmp_path / "clear.png", 4)[0][0, 0] == pytest.approx([1, 0, 0, 0.2])
    assert arrays.read(tmp_path / "grey.png", 5)[0] == pytest.approx(np.full((4, 4, 5), 0.2))


@pytest.mark.parametrize("name, content, words", [
    ("a.npy", np.zeros((4, 4, 3)), "has 3 channels and 5 are wanted"), ("a.npy", np.zeros(4), "not H×W×C numbers"),
    ("a.npy", np.zeros((4, 4), complex), "not H×W×C numbers"), ("a.npy", np.zeros((0, 4)), "not H×W×C numbers"),
    ("a.npy", b"no array", "cannot be read"), ("a.tif", b"II*\0no picture", "cannot be read"),
    ("a.png", b"no picture", "cannot be read"),
])  # fmt: skip
def test_what_cannot_be_read(name, content, words, tmp_path):
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(ValueError, match=words) as error:
        arrays.read(path, 5)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_objects_are_not_loaded(tmp_path):
    """An array of Python objects would run what its file says."""
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        arrays.read(tmp_path / "a.npy", 1)


def test_the_fixed_mappings():
    x = torch.arange(2.0).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    assert filled(x, 5)[0, :, 0, 0].tolist() == [0, 1, 0, 1, 0] and filled(x, 2) is x
    assert for_people(x)[0, :, 0, 0].tolist() == [0, 1, 0]
    assert for_people(x[:, :1]).shape == (1, 3, 3, 3) and torch.equal(for_people(filled(x, 5)), filled(x, 5)[:, :3])


def test_resizing_keeps_a_plane(values):
    plane = np.linspace(0, 1, 64, dtype=np.float32)[None, :, None].repeat(32, 0).repeat(4, 2)
    small = arrays.resized(plane, 16)
    assert small.shape == (16, 32, 4) and np.abs(small[:, 4:-4] - plane[::2, ::2][:, 4:-4]).max() < 0.02


def test_heights_and_their_views(tmp_path):
    code, _, _ = run("draw", "--set", "heights", "--split", "test", "--count", 2, "--size", 48, "--out", tmp_path)
    assert code == 0
    for i in range(2):
        heights, note = arrays.read(tmp_path / "testA" / f"000{i}.png", 1)
        view = np.asarray(Image.open(tmp_path / "testB" / f"000{i}.png"))
        assert (
            note is None and np.abs(drawn_heights.shaded(heights[..., 0].astype(float)) - view.astype(int)).max() <= 1
        )
    flat = drawn_heights.shaded(np.zeros((8, 8)))
    assert (flat == flat[0, 0]).all()
    up = np.linspace(0, 1, 32)
    lit, dark = (drawn_heights.shaded(h).mean() for h in (up[None].repeat(32, 0), up[::-1][None].repeat(32, 0)))
    assert lit > dark  # a slope that faces west, where the sun stands, is lighter than one that faces east
    run("draw", "--set", "heights", "--split", "train", "--count", 1, "--size", 48, "--out", tmp_path)
    own = drawn_heights.shaded(arrays.read(tmp_path / "trainA" / "0000.png", 1)[0][..., 0])
    assert np.abs(own - np.asarray(Image.open(tmp_path / "trainB" / "0000.png"), int)).mean() > 5  # unpaired


def test_pairs_of_different_channels(tmp_path):
    drawn_heights.write("train", 3, 48, 0, tmp_path)
    data = UnpairedArrays(TrainConfig(data=str(tmp_path), crop=32, resize=40), ModelConfig(channels_a=1))
    x, y, broken = data[0]
    assert x.shape == y.shape == (1, 3, 32, 32) and broken == []
    assert torch.equal(x[:, 0], x[:, 2]) and not torch.equal(y[:, 0], y[:, 2])
    assert -1 <= x.min() < x.max() <= 1 and torch.equal(data[0][0], x)
    (tmp_path / "trainA" / "0001.png").write_bytes(b"no picture")
    assert any("0001.png" in data[step][2][0] for step in range(3) if data[step][2])
    for settings, words in ((dict(degrade=0.5), "--degrade"), (dict(squash=True), "--squash")):
        with pytest.raises(ValueError, match=words):
            UnpairedArrays(TrainConfig(data=str(tmp_path), crop=32, resize=40, **settings), ModelConfig(channels_a=1))


def test_too_many_values_are_refused_by_the_kind_of_error(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.float32))
    monkeypatch.setattr(arrays, "MAX_PIXELS", 0)
    with pytest.raises(TooManyPixels, match="a.npy' cannot be used: it has"):
        arrays.read(tmp_path / "a.npy", 1)
