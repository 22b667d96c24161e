"""Which files of a folder are pictures, what is said about the others, and names of every length.

python -m pytest tests/test_filesystem.py
"""

import os

import pytest
from PIL import Image

from qsneg import filesystem, picture_formats
from qsneg.filesystem import existing_file, find_images, look_through, numbered, part_of
from qsneg.image_io import read
from tests.test_image_io import ramp


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        ramp().save(folder / name, "PNG")


def names(folder):
    return [p.relative_to(folder).as_posix() for p in find_images(folder)]


def test_hidden_folders_are_not_data(tmp_path):
    hidden = [".thumbnails", ".ipynb_checkpoints", "__MACOSX", "@eaDir", "sub/.git", "#recycle", "$RECYCLE.BIN"]
    put(tmp_path, "a.png", "sub/b.png", ".c.png", "._a.png", *(f"{folder}/x.png" for folder in hidden))
    assert names(tmp_path) == ["a.png", "sub/b.png"] and look_through(tmp_path)[1] == ""
    put(tmp_path / ".mine", "d.png")
    assert names(tmp_path / ".mine") == ["d.png"]  # who names a hidden folder means it


def test_everything_that_is_read_is_found(tmp_path):
    formats = {f for e, f in Image.registered_extensions().items() if e in picture_formats.EXTENSIONS}
    assert (
        formats | {"DIB"}
        == {"MPO", *picture_formats.FORMATS}
        >= {"JPEG", "PNG", "TIFF", "JPEG2000", "PPM", "WEBP", "BMP"}
    )
    for ending in (".jfif", ".jpe", ".ppm", ".pgm", ".jp2", ".j2k", ".apng", ".dib", ".TIF", ".avif", ".pfm"):
        picture = ramp().convert("L") if ending == ".pgm" else ramp().convert("F") if ending == ".pfm" else ramp()
        picture.save(tmp_path / f"a{ending}")
        assert read(tmp_path / f"a{ending}").size == ramp().size
    assert len(find_images(tmp_path)) == 11


def test_what_is_left_out_is_counted_and_named(tmp_path):
    put(tmp_path, "a.png", "b.heic", "c.HEIC", "d.txt", "README", "e.cr2")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "lost.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "round.png").symlink_to(tmp_path / "round.png")
    found, words = look_through(tmp_path)
    assert [p.name for p in found] == ["a.png"] and words.startswith(f"Left out in '{tmp_path}'")
    for part in ("1 .txt", "1 without an ending", "1 a pipe or a device", "2 a link that leads nowhere",
                 "1 .cr2 (develop them to TIFF or JPEG first)"):  # fmt: skip
        assert part in words
    assert "2 .heic (`pip install pillow-heif` and they are read)" in words or ".heic" in picture_formats.EXTENSIONS
    assert "\n" not in words and words.endswith(".")


def test_linked_folders_are_followed_and_loops_noticed(tmp_path):
    put(tmp_path, "elsewhere/a.png", "set/trainA/b.png", "set/trainB/c.png")
    train = tmp_path / "set" / "trainA"
    (train / "linked").symlink_to(tmp_path / "elsewhere")
    (train / "again").symlink_to(tmp_path / "elsewhere")
    (train / "self").symlink_to(train)
    (train / "up").symlink_to(tmp_path / "set")  # trainB's pictures are none of trainA's
    (tmp_path / "elsewhere" / "back").symlink_to(train)
    assert sorted(p.name for p in find_images(train)) == ["a.png", "b.png"]
    assert "2 a link to a folder above it" in look_through(train)[1]
    (tmp_path / "link").symlink_to(train)
    assert sorted(p.name for p in find_images(tmp_path / "link")) == ["a.png", "b.png"]


def test_files_that_would_block_or_are_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    put(tmp_path, "a.png")
    assert existing_file(str(tmp_path / "a.png")) == tmp_path / "a.png"
    for path, words in (("pipe", "a pipe or a device"), ("round", "cannot be opened"), ("x" * 300, "cannot be opened"),
                        ("a\0b", "cannot be opened"), ("", "is a folder")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            existing_file(tmp_path / path)
        with pytest.raises(ValueError, match=words):
            read(tmp_path / path)
    with pytest.raises(FileNotFoundError):
        existing_file(tmp_path / "a.png" / "b")


def test_names_of_every_length(tmp_path):
    for name in ("a.png", "x" * 251 + ".png", "ä" * 125 + ".png"):
        assert len(os.fsencode(part_of(tmp_path / name).name)) < 40
        longer = numbered(tmp_path / name, 12)
        assert len(os.fsencode(longer.name)) <= 255 and longer.name.endswith("-12.png")
    assert part_of(tmp_path / "a") != part_of(tmp_path / "b") and filesystem.is_hidden(part_of(tmp_path / "a").name)
    assert numbered(tmp_path / "a.png", 2) == tmp_path / "a-2.png"
