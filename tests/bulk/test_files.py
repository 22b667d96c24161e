"""Files and folders to translate: names, formats, what fails, what is too large."""

import os

import numpy as np
import pytest
from PIL import Image, ImageFile

from qsneg import memory_limits
from qsneg.bulk.files import translate_files
from qsneg.image_io import read
from qsneg.memory_limits import TooLarge
from qsneg.translate import load
from tests.test_image_io import ramp


def run(folder, paths, out, **options):
    return translate_files(paths, "tiny/cut", out, device="cpu", folder=folder, progress=False, **options)


def tree(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_folders_are_kept(tmp_path, folder):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "deep" / "er").mkdir(parents=True)
    ramp().save(photos / "a.png")
    ramp().save(photos / "b.JPG", format="JPEG")
    ramp().save(photos / "deep" / "c.webp")
    ramp().save(photos / "deep" / "er" / "d.gif")
    (photos / "notes.txt").write_text("no picture")
    (photos / "._a.png").write_text("no picture either")
    report = run(folder, [photos], out)
    names = ["a.png", "b.JPG", "deep/c.webp", "deep/er/d.png"]
    assert tree(out) == names and report.failed == [] and sorted(report.done) == [out / n for n in names]
    for name, kind in zip(names, ("PNG", "JPEG", "WEBP", "PNG")):
        with Image.open(out / name) as file:
            assert file.format == kind and file.size == (40, 24)
    assert np.array_equal(read(out / "a.png"), load("tiny/cut", "cpu", folder).translate(ramp()))


def test_size_of_files(tmp_path, folder):
    ramp().save(tmp_path / "a.png")
    report = run(folder, tmp_path / "a.png", tmp_path / "out", size=8)
    assert read(report.done[0]).size == (13, 8)
    with pytest.raises(ValueError, match="whole number"):
        run(folder, [tmp_path / "a.png"], tmp_path / "out", size=0)


def test_results_do_not_overwrite_each_other(tmp_path, folder):
    sides = {"x/a.png": 16, "x/a.jpg": 17, "x/a.bmp": 18, "y/a.png": 19, "y/A.png": 20, "a.tif": 21}
    for name, side in sides.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        ramp(side, side).save(tmp_path / name)
    paths = [tmp_path / "x", tmp_path / "y", tmp_path / "a.tif", tmp_path / "x" / "a.png"]  # the last one twice
    report = run(folder, paths, tmp_path / "out")
    assert report.failed == [] and len(set(report.done)) == len(report.done) == len(tree(tmp_path / "out")) == 6
    assert sorted(read(p).size[0] for p in report.done) == [16, 17, 18, 19, 20, 21]
    assert len({p.name.casefold() for p in report.done}) == 6
    assert read(tmp_path / "out" / "a.png").size == (16, 16) and read(tmp_path / "out" / "a.jpg").size == (17, 17)
    again = run(folder, paths, tmp_path / "out")
    assert again.done == report.done and len(tree(tmp_path / "out")) == 6


def test_inputs_are_never_written_over(tmp_path, folder):
    ramp().save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    report = run(folder, [tmp_path / "a.png"], tmp_path)
    assert report.done == [tmp_path / "a-2.png"] and (tmp_path / "a.png").read_bytes() == before
    with pytest.raises(ValueError, match="cannot be the output folder"):
        run(folder, [tmp_path], tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        run(folder, [tmp_path / "a.png"], tmp_path / "a.png")


def test_outputs_inside_the_input_folder_are_not_translated_again(tmp_path, folder):
    ramp().save(tmp_path / "a.png")
    for _ in range(2):
        report = run(folder, [tmp_path], tmp_path / "out")
        assert report.done == [tmp_path / "out" / "a.png"] and report.failed == []
    assert tree(tmp_path) == ["a.png", "out/a.png"]


def test_failures_are_reported_and_the_rest_is_done(tmp_path, folder, monkeypatch):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (tmp_path / "empty").mkdir()
    photos.mkdir()
    ramp().save(photos / "good.png")
    (photos / "broken.png").write_bytes((photos / "good.png").read_bytes()[:-60])
    (photos / "empty.jpg").write_bytes(b"")
    ramp(300, 300).save(photos / "large.png")
    (tmp_path / "notes.txt").write_text("no picture")
    monkeypatch.setattr(memory_limits, "free_bytes", lambda device: 6 * 20 * (32 + 64 + 32) ** 2)
    report = run(folder, [tmp_path / "none", photos, tmp_path / "notes.txt", tmp_path / "empty"], out)
    assert report.done == [out / "good.png"] and tree(out) == ["good.png"]
    failed = {path.name: reason for path, reason in report.failed}
    assert set(failed) == {"none", "broken.png", "empty.jpg", "large.png", "notes.txt", "empty"}
    assert "no file or folder" in failed["none"] and "no pictures" in failed["empty"]
    assert "at size 64 or less" in failed["large.png"]
    for name in ("broken.png", "empty.jpg", "notes.txt"):
        assert "cannot be read as a picture" in failed[name]
    assert all(reason.endswith(".") and "\n" not in reason for reason in failed.values())


def test_unwritable_output_is_reported(tmp_path, folder):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    ramp().save(tmp_path / "in" / "a.png")
    ramp().save(tmp_path / "in" / "sub" / "b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").write_text("in the way")
    report = run(folder, [tmp_path / "in"], tmp_path / "out")
    assert report.done == [tmp_path / "out" / "a.png"]
    assert [p.name for p, _ in report.failed] == ["b.png"] and "cannot be written" in report.failed[0][1]


def test_progress_bar_and_missing_checkpoint(tmp_path, folder, capsys):
    ramp().save(tmp_path / "a.png")
    translate_files([tmp_path / "a.png"], "tiny/cut", tmp_path / "out", device="cpu", folder=folder)
    assert "CUT: 100%" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="No weights called 'tiny/none'"):
        translate_files([tmp_path / "a.png"], "tiny/none", tmp_path / "out", device="cpu", folder=folder)


def test_long_names_loops_and_pipes(tmp_path, folder):
    names = ["x" * 250 + ".png", "ä" * 125 + ".png", "y" * 250 + ".png", "y" * 250 + ".gif"]
    for name in names:
        (tmp_path / "in").mkdir(exist_ok=True)
        ramp(16, 16).save(tmp_path / "in" / name)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    os.mkfifo(tmp_path / "pipe.png")
    report = run(folder, [tmp_path / "in", tmp_path / "round", tmp_path / "pipe.png"], tmp_path / "out")
    assert len(report.done) == len(tree(tmp_path / "out")) == 4
    assert {p.name: reason[-30:] for p, reason in report.failed}.keys() == {"round", "pipe.png"}
    with pytest.raises(ValueError):
        run(folder, [tmp_path / "in"], tmp_path / "round")


def test_too_large_pictures_are_not_decoded(tmp_path, folder, monkeypatch):
    """One that does not fit costs nothing, and the others of the batch are done."""
    Image.new("1", (12_000, 12_000)).save(tmp_path / "large.png")
    ramp().save(tmp_path / "small.png")
    decoded, load = set(), ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: decoded.add(self.size) or load(self))
    monkeypatch.setattr(memory_limits, "free_bytes", lambda device: 300_000_000)
    report = run(folder, [tmp_path], tmp_path / "out")
    assert [p.name for p in report.done] == ["small.png"] and decoded == {(40, 24)}
    assert "12000×12000" in report.failed[0][1]
    report = run(folder, [tmp_path], tmp_path / "out", size=16)  # whose reading alone needs more than there is
    assert "Reading a picture of 12000×12000 pixels needs about" in report.failed[0][1] and decoded == {(40, 24)}


def test_a_large_jpeg_is_decoded_smaller_where_memory_is_short(tmp_path, folder, monkeypatch):
    ramp(4000, 3000).save(tmp_path / "a.jpg")
    whole = read(tmp_path / "a.jpg")
    monkeypatch.setattr(memory_limits, "free_bytes", lambda device: 40_000_000)
    assert read(tmp_path / "a.jpg", short=300).size == (2000, 1500) and whole.size == (4000, 3000)
    assert run(folder, [tmp_path / "a.jpg"], tmp_path / "out", size=16).failed == []
    with pytest.raises(TooLarge, match="Reading a picture of 4000×3000 pixels"):
        read(tmp_path / "a.jpg")


def test_notes_and_white(tmp_path, folder):
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(tmp_path / "deep.tif")
    (tmp_path / "notes.txt").write_text("-")
    report = run(folder, [tmp_path], tmp_path / "out")
    assert "1 .txt" in report.notes[0] and "deep.tif': Nothing says which value is white" in report.notes[1]
    assert run(folder, [tmp_path / "deep.tif"], tmp_path / "out", white=4095).notes == []
