"""Many pictures: read ahead, together where of one size, written behind, gone on with, in parts."""

import os
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from qsneg.bulk import pipeline
from qsneg.bulk.files import save, translate_files
from qsneg.bulk.pipeline import Job, translated
from qsneg.image_io import read
from qsneg.memory_limits import TooLarge
from qsneg.translate import Translator
from tests.conftest import run, tiny
from tests.test_image_io import ramp


@pytest.fixture
def translator():
    return Translator(tiny(), "cpu")


@pytest.fixture
def photos(tmp_path):
    """Pictures of three sizes mixed, one of them broken."""
    there = tmp_path / "photos"
    there.mkdir()
    for i in range(12):
        ramp(16 + 4 * (i % 3), 24).point(lambda v, i=i: v // (i + 1)).save(there / f"{i:02}.png")
    (there / "05.png").write_bytes(b"no picture")
    return sorted(there.glob("*.png"))


def jobs(photos, out):
    return [Job(path, out / path.name) for path in photos]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("large", [1_000_000, 450])  # of 16·24, 20·24 and 24·24 pixels
def test_results_are_those_of_one_at_a_time(translator, photos, tmp_path, batch, large, monkeypatch):
    monkeypatch.setattr(pipeline, "LARGE", large)
    together = []
    translate = translator.translate_bytes
    monkeypatch.setattr(translator, "translate_bytes", lambda x, m: together.append(len(x)) or translate(x, m))
    finished = list(translated(translator, jobs(photos, tmp_path / "out"), save, batch=batch))
    counts = tuple(together)
    assert sorted(job.source for job in finished) == photos
    for job in finished:
        if job.source.name == "05.png":
            assert "cannot be read as a picture" in job.failed and not job.target.exists()
        else:
            expected = np.asarray(translator.translate(read(job.source)), int)
            assert not job.failed and np.abs(np.asarray(read(job.target), int) - expected).max() <= 1
    assert sum(counts) == 11 and max(counts) == batch
    assert list(counts) == sorted(counts, reverse=True) if large > 1000 else counts.count(1) >= 7


def test_a_batch_that_does_not_fit_is_done_one_by_one(translator, photos, tmp_path, monkeypatch):
    translate = translator.translate_bytes

    def small_memory(pictures, margin):
        if len(pictures) > 1:
            raise TooLarge("out of memory")
        return translate(pictures, margin)

    monkeypatch.setattr(translator, "translate_bytes", small_memory)
    finished = list(translated(translator, jobs(photos, tmp_path / "out"), save, batch=4))
    assert [job.source.name for job in finished if job.failed] == ["05.png"] and len(finished) == 12


def test_little_is_read_ahead_and_written_behind(translator, photos, tmp_path, monkeypatch):
    """With the network held up, no more is read than a batch and a picture per thread."""
    monkeypatch.setattr(pipeline, "THREADS", 2)
    reads, first = [], threading.Event()
    monkeypatch.setattr(pipeline, "read", lambda *a, **k: reads.append(a[0]) or first.set() or read(*a, **k))
    steps = translated(translator, jobs(photos, tmp_path / "out"), save, batch=1)
    next(steps)
    assert len(reads) <= 1 + 1 + 2 * (1 + 2)  # the one given, what is written behind it, what is read ahead
    steps.close()
    assert len(reads) < 12 and not list(tmp_path.rglob(".*.part"))


def test_resume_leaves_out_what_is_there_and_not_older(folder, photos, tmp_path):
    source, out = photos[0].parent, tmp_path / "out"
    again = dict(device="cpu", folder=folder, progress=False, resume=True)
    first = translate_files(source, "tiny/cut", out, **again)
    assert (len(first.done), len(first.failed), first.there) == (11, 1, 0)
    (out / "03.png").unlink()
    ramp(32, 32).save(photos[7])  # changed since
    os.utime(photos[7], ns=(os.stat(out / "07.png").st_mtime_ns + 10**9,) * 2)
    second = translate_files(source, "tiny/cut", out, **again)
    assert [p.name for p in second.done] == ["03.png", "07.png"] and second.there == 9
    assert [p.name for p, _ in second.failed] == ["05.png"]  # what failed is tried again
    assert read(out / "07.png").size == (32, 32)
    assert len(translate_files(source, "tiny/cut", out, device="cpu", folder=folder, progress=False).done) == 11


def test_parts_make_up_the_whole(folder, tmp_path, photos):
    ramp(17).save(photos[0].parent / "00.tif")  # another 00.png: the parts agree on its name
    out, options = tmp_path / "out", dict(device="cpu", folder=folder, progress=False)
    parts = [translate_files(photos[0].parent, "tiny/cut", out / "parts", shard=(i, 3), **options) for i in (1, 2, 3)]
    whole = translate_files(photos[0].parent, "tiny/cut", out / "whole", **options)
    names = [sorted(p.relative_to(out / "parts") for p in part.done) for part in parts]
    assert sorted(sum(names, [])) == sorted(p.relative_to(out / "whole") for p in whole.done)
    assert [len(part.done) + len(part.failed) for part in parts] == [5, 4, 4]


def test_on_the_command_line(folder, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("qsneg.weights.FOLDER", folder)
    command = ["translate", photos[0].parent, "--checkpoint", "tiny/cut", "--device", "cpu", "--out", tmp_path / "out"]
    code, out, err = run(*command, "--resume", "--shard", "1/4")
    assert code == 0 and "3 translated" in out and "0 were there already" in out
    code, out, err = run(*command, "--resume")
    assert code == 1 and "8 translated" in out and "3 were there already" in out and "05.png" in err
    for wrong in ("0/4", "5/4", "1", "a/b", "1/0"):
        code, _, err = run(*command, "--shard", wrong)
        assert code == 2 and "i/n with i from 1 to n" in err


def test_rows_of_a_batch_are_those_of_each(translator):
    """On the CPU a picture is the same in company."""
    pictures = torch.randint(0, 256, (3, 24, 20, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    together = translator.translate_bytes(pictures)
    for picture, result in zip(pictures, together):
        alone = translator.translate(Image.fromarray(picture.numpy()))
        assert (result.int() - torch.from_numpy(np.array(alone)).int()).abs().max() <= 1
