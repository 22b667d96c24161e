"""Tiles: what they make is what one piece makes; no seam; the disk."""

import shutil
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg import memory_limits
from qsneg.bulk import pipeline, tiles
from qsneg.bulk.files import translate_files
from qsneg.bulk.tiles import translate_in_tiles
from qsneg.data import arrays
from qsneg.evaluation import tile_speed
from qsneg.image_io import read
from qsneg.memory_limits import TooLarge, needed_bytes
from qsneg.translate import Translator, load
from qsneg.weights import save
from tests.conftest import tiny


def picture(height=150, width=210, channels=3):
    """Soft blotches, darker to the right: statistics of a part are not those of the whole."""
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.random((1, channels, height // 10, width // 10)))
    soft = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)[0]
    return (soft * torch.linspace(1, 0.1, width)).permute(1, 2, 0).numpy().astype(np.float32)


def one_piece(translator, values, margin):
    x = 2 * torch.from_numpy(values).permute(2, 0, 1)[None] - 1
    return (translator.translate_tensor(x, margin)[0].permute(1, 2, 0).numpy() + 1) / 2


@pytest.mark.parametrize("settings", [{}, dict(resampling="strided"), dict(channels_a=1, channels_b=2)])
@pytest.mark.parametrize("margin", [0, 32])
def test_tiles_are_what_one_piece_is(settings, margin):
    translator = Translator(tiny(blocks=5, **dict(layers=(0, 4)) | settings), "cpu")
    values = picture(channels=translator.config.domains[0])
    found = translate_in_tiles(translator, values, margin, tile=64, kind=np.float32)
    assert np.abs(found - one_piece(translator, values, margin)).max() < 2e-4


def test_bytes_by_way_of_float16():
    """At most one level of 255 from one piece, and no step at the tiles' edges."""
    translator = Translator(tiny(blocks=5, layers=(0, 4)), "cpu")
    values = (picture() * 255).round().astype(np.uint8)
    found = translate_in_tiles(translator, values, 32, tile=64).astype(int)
    expected = translator.translate_bytes(torch.from_numpy(values)[None], 32)[0].numpy().astype(int)
    difference = np.abs(found - expected)
    assert difference.max() <= 3 and difference.mean() < 0.3
    edges = [edge - 32 for edge in range(64, 210, 64)]
    steps, before = (np.abs(np.diff(v, axis=1))[:, [e - 1 for e in edges]].mean() for v in (found, expected))
    assert abs(steps - before) < 0.2


def test_statistics_of_a_part_alone_would_show():
    """The comparison can fail: a tile translated by itself is another picture."""
    translator = Translator(tiny(blocks=5, layers=(0, 4)), "cpu")
    values = picture()
    alone = one_piece(translator, np.ascontiguousarray(values[:64, :64]), 0)
    assert np.abs(alone - one_piece(translator, values, 0)[:64, :64]).max() > 0.05


def test_the_disk_is_given_back_and_its_room_looked_at(tmp_path, monkeypatch):
    translator = Translator(tiny(blocks=1, layers=(0, 4)), "cpu")
    most = []
    compute = tiles.Passes.compute

    def watched(*args, **kwargs):
        made = compute(*args, **kwargs)
        most.append(sum(f.stat().st_size for f in tmp_path.rglob("*.map")))
        return made

    monkeypatch.setattr(tiles.Passes, "compute", watched)
    translate_in_tiles(translator, picture(), 32, tile=64, folder=tmp_path)
    assert max(most) <= 2 * 4 * (150 + 66) * (210 + 66) and not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(1000))
    with pytest.raises(TooLarge, match="on the disk and 0 MB are free: make room, or set TMPDIR"):
        translate_in_tiles(translator, picture(), folder=tmp_path)


def test_what_does_not_fit_is_tiled_by_itself(folder, tmp_path, monkeypatch):
    values = (picture() * 255).round().astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    options = dict(device="cpu", folder=folder, progress=False)
    whole, by_flag, by_itself = (tmp_path / name for name in ("whole", "flag", "itself"))
    translate_files(tmp_path / "a.png", "tiny/cut", whole, **options)
    translate_files(tmp_path / "a.png", "tiny/cut", by_flag, tile=True, **options)
    translator = load("tiny/cut", "cpu", folder)
    needed = needed_bytes((210, 150), translator.config.width, translator.device, margin=32)
    monkeypatch.setattr(pipeline, "TILE", 64)
    monkeypatch.setattr(memory_limits, "free_bytes", lambda device: needed - 1)
    report = translate_files(tmp_path / "a.png", "tiny/cut", by_itself, **options)
    assert report.failed == []
    first, *others = (np.asarray(read(out / "a.png"), int) for out in (whole, by_flag, by_itself))
    assert np.array_equal(*others) and 0 < np.abs(first - others[0]).max() <= 3
    monkeypatch.setattr(memory_limits, "free_bytes", lambda device: 1000)
    report = translate_files(tmp_path / "a.png", "tiny/cut", by_itself, **options)
    assert "free some memory" in report.failed[0][1]


def test_one_channel_to_rgb_in_tiles_is_a_picture(tmp_path):
    """Of values from 0 to 1 come bytes, where the result is RGB: the file is what its name says."""
    save(tiny(channels_a=1), tmp_path / "models" / "heights" / "cut.safetensors")
    arrays.write(tmp_path / "a.png", picture(channels=1))
    options = dict(device="cpu", folder=tmp_path / "models", progress=False)
    for tile in (False, True):
        report = translate_files(tmp_path / "a.png", "heights/cut", tmp_path / str(tile), tile=tile, **options)
        assert report.failed == []
    whole, tiled = (Image.open(tmp_path / str(tile) / "a.png") for tile in (False, True))
    assert whole.format == tiled.format == "PNG" and whole.mode == tiled.mode == "RGB"
    assert np.abs(np.asarray(whole, int) - np.asarray(tiled, int)).max() <= 3


def test_a_thumbnail_as_large_as_the_picture_gives_its_statistics(monkeypatch):
    """The way that `bench --tiles` measures beside: with the picture itself it is exact, else not."""
    translator = Translator(tiny(blocks=5, layers=(0, 4)), "cpu")
    image = Image.fromarray((picture() * 255).round().astype(np.uint8))
    expected = np.asarray(translator.translate(image)).astype(int)
    off = {}
    for side in (min(image.size), 48):
        monkeypatch.setattr(tile_speed, "THUMBNAIL", side)
        off[side] = np.abs(tile_speed.by_thumbnail(translator, image, tile=64) - expected).max()
    assert off[min(image.size)] <= 1 < off[48]
