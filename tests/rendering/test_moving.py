"""Films as files: what is written is a film of so many frames, in every kind; and what is said where it cannot be."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from qsneg.rendering import moving
from qsneg.rendering.colormaps import COLOURS

ENCODER = """import sys
given = dict(zip(sys.argv, sys.argv[1:]))
width, height = map(int, given["-s"].split("x"))
data = sys.stdin.buffer.read()
open(sys.argv[-1], "w").write(f"{width} {height} {len(data) // (3 * width * height)}")
"""


def frames(count: int = 5) -> list[Image.Image]:
    sheets = (Image.linear_gradient("L").resize((301, 99)).rotate(45 * n).convert("RGB") for n in range(count))
    return [moving.captioned(s, f"photo2ink, step {n:,}", n / (count - 1), "qsneg") for n, s in enumerate(sheets)]


def program(folder, text: str) -> str:
    path = folder / "ffmpeg"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return str(path)


def test_a_caption_stands_above_and_a_line_grows():
    first, *_, last = frames()
    assert first.size == last.size and not any(side % 2 for side in first.size)
    top = first.height - 99 - 8
    dark = [int((np.asarray(f.convert("L"))[top - 1] < 80).sum()) for f in frames()]
    assert dark == sorted(set(dark)) and dark[-1] > 280
    assert (np.asarray(first)[: top - 4, :150] != 255).any()  # there are words
    narrow = moving.captioned(Image.new("RGB", (60, 60)), "a caption that is wider than the film", 1, "qsneg")
    assert narrow.width == 60


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_what_is_written_moves(kind, tmp_path):
    moving.write(frames(), tmp_path / f"film.{kind}", 0.5)
    film = Image.open(tmp_path / f"film.{kind}")
    assert film.n_frames == 5 and film.size == frames()[0].size and film.info["loop"] == 0
    stays = []
    for n, frame in enumerate(frames()):
        film.seek(n)
        film.load()
        stays.append(film.info["duration"])
        assert np.abs(np.asarray(film.convert("RGB"), int) - np.asarray(frame)).mean() < 5
    assert stays[:4] == [500] * 4 and stays[4] > 2000
    one = Image.open(io.BytesIO(moving.encoded(frames()[:1] or [], kind)))
    assert one.size == film.size


def test_colours_that_mean_something_survive_in_gif():
    frame = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 400, 3), dtype=np.uint8))
    for n, colour in enumerate(COLOURS.values()):
        frame.paste(colour, (40 * n, 0, 40 * n + 20, 20))
    frame.paste("white", (0, 40, 400, 80))
    reduced = moving.in_256_colours(frame)
    assert reduced.mode == "P"
    found = reduced.convert("RGB")
    for n, colour in enumerate(COLOURS.values()):
        assert found.getpixel((40 * n + 10, 10)) == tuple(bytes.fromhex(colour[1:]))
    assert found.getpixel((390, 70)) == (255, 255, 255)


def test_an_mp4_is_made_by_the_encoder_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="pip install imageio-ffmpeg"):
        moving.kind_of(tmp_path / "film.mp4")
    program(tmp_path, ENCODER)
    width, height = frames()[0].size
    repeated = 4 * 10 + round(moving.LAST * moving.RATE)
    assert moving.encoded(frames(), "mp4", 0.5).decode() == f"{width} {height} {repeated}"
    program(tmp_path, "import sys\nsys.exit('no such codec')")
    with pytest.raises(ValueError, match=r"no such codec\): take WebP or GIF"):
        moving.encoded(frames(), "mp4")


def test_a_real_encoder_makes_a_film_that_begins_as_one():
    pytest.importorskip("imageio_ffmpeg")
    data = moving.encoded(frames(), "mp4")
    assert data[4:8] == b"ftyp" and len(data) > 1000


def test_what_cannot_be_written_is_said(tmp_path):
    for name, words in (("film.avi", "ends in .webp"), ("film", "ends in"), ("a" * 300 + ".gif", "no name for a film")):
        with pytest.raises(ValueError, match=words):
            moving.kind_of(tmp_path / name)
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(ValueError, match="no name for a film"):
        moving.kind_of(tmp_path / "folder.gif")
    assert moving.kind_of(tmp_path / "new" / "Film.GIF") == "gif"
