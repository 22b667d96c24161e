"""Films on the command line: what was recorded, and one's own picture through kept weights."""

import shutil

import numpy as np
import pytest
from PIL import Image

from qsneg import weights
from qsneg.inspect import observe
from qsneg.pages import film_file
from qsneg.pages.film_frames import picture_frames
from qsneg.rendering import moving
from qsneg.training.film import gather
from qsneg.training.records import kept
from qsneg.translate import load
from tests.conftest import run
from tests.training.runs import tiny


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of CUT and QS-Attn that kept weights, with films."""
    folder = tmp_path_factory.mktemp("runs")
    for method in ("cut", "qs-attn"):
        tiny(folder / method, method, steps=5, keep=2, film=True, lr=0.01).run(progress=False)
    return folder


@pytest.fixture
def picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_the_weights_that_a_run_kept(trained, tmp_path):
    assert [(step, path.name) for step, path in kept(trained / "cut").items()] == [
        (2, "0000002.safetensors"), (5, "0000005.safetensors"),
    ]  # fmt: skip
    shutil.copytree(trained / "cut", tmp_path / "run")
    (tmp_path / "run" / "kept" / "0000005.safetensors").unlink()
    assert list(kept(tmp_path / "run")) == [2, 5] and kept(tmp_path / "run")[5].name == "model.safetensors"
    with pytest.raises(FileNotFoundError, match="no folder of a training run"):
        kept(tmp_path)


def test_ones_own_picture_through_all_that_was_kept(trained, picture, tmp_path, monkeypatch):
    made = []
    captions = []

    def captioned(sheet, caption, share, word=""):
        captions.append((caption, round(share, 3)))
        made.append(sheet)
        return sheet

    monkeypatch.setattr("qsneg.pages.film_frames.captioned", captioned)
    code, out, err = run("film", trained / "cut", picture, "--size", 48, "--out", tmp_path / "cut.webp")
    assert code == 0 and "(2 frames, " in out and "2/2" in err
    assert captions == [("horse2zebra-drawn, step 2 of 5", 0.4), ("horse2zebra-drawn, step 5 of 5", 1.0)]
    source, result = (np.asarray(made[1].crop((8 + n * 75, 27, 75 + n * 75, 75))) for n in range(2))
    model, image = load(trained / "cut", "cpu"), Image.open(picture)
    assert np.array_equal(source, np.asarray(model.prepare(image, 48, 0)))
    assert np.array_equal(result, np.asarray(model.translate(image, 48)))


def test_anchors_are_shown_where_qs_attn_asks(trained, picture, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("qsneg.pages.film_frames.stayed", lambda count, stay: said.append((count, stay)) or "")
    code, _, err = run("film", trained / "qs-attn", picture, "--out", tmp_path / "film.gif", "--size", 48)
    assert code == 0, err
    first, last = (observe(load(path, "cpu"), Image.open(picture), 48) for path in kept(trained / "qs-attn").values())
    order = [view.entropy(16, "global")[1].argsort(stable=True)[:16].tolist() for view in (first, last)]
    assert said == [(16, None), (16, len(set(order[0]) & set(order[1])))]
    frames = [
        list(picture_frames(kept(trained / "cut"), Image.open(picture), 48, layer))[0].width for layer in (None, 12)
    ]
    assert frames[1] > 1.3 * frames[0]  # asked for, they are shown of any method


def test_what_was_recorded(trained, tmp_path, monkeypatch):
    code, out, err = run("film", trained / "qs-attn", "--out", tmp_path / "film.webp", "--number", 3, "--layer", 12)
    assert code == 0 and "(6 frames, " in out, err
    assert Image.open(tmp_path / "film.webp").n_frames == 6
    family = tmp_path / "checkpoints" / "zebras"
    for method in ("cut", "qs-attn"):
        gather(trained / method / "film")
        shutil.copytree(trained / method / "film", family / f"{method}.film")
        shutil.copy(trained / method / "model.safetensors", family / f"{method}.safetensors")
    monkeypatch.setattr(weights, "FOLDER", family.parent)
    films, name = film_file.recorded("zebras")
    assert list(films) == ["cut", "qs-attn"] and name == "zebras"
    assert list(film_file.recorded(str(trained / "cut"))[0]) == ["cut"]
    code, _, err = run("film", "horses", "--out", tmp_path / "film.webp")
    assert code == 2 and "there are zebras" in err


def test_one_sentence_for_what_cannot_be(trained, picture, tmp_path):
    mine, bare = trained / "cut", tmp_path / "bare"
    shutil.copytree(mine, bare)
    shutil.rmtree(bare / "kept"), shutil.rmtree(bare / "film")
    for arguments, words in (
        ([mine, picture, "--out", "film.avi"], "ends in .webp, .gif or .mp4"),
        ([bare, picture, "--out", "film.gif"], "train with --keep 10"),
        ([bare, "--out", "film.gif"], "train without --no-film"),
        ([tmp_path, "--out", "film.gif"], "holds no film"),
        ([tmp_path / "no", picture, "--out", "film.gif"], "no folder of a training run"),
        ([mine, tmp_path / "no.png", "--out", "film.gif"], "no file"),
        ([mine, picture, "--layer", 3, "--out", "film.gif"], "no layer 3"),
        ([mine, "--layer", 3, "--out", "film.gif"], "layers 12 and 16"),
        ([mine, "--number", 5, "--out", "film.gif"], "pictures 1 to 4"),
        ([mine, "--seconds", "nan", "--out", "film.gif"], "0.04 to 10 seconds"),
        ([mine, picture, "--size", 0, "--out", "film.gif"], "at least 1"),
    ):
        arguments[-1] = tmp_path / arguments[-1]
        code, _, err = run("film", *arguments)
        last = err.strip().splitlines()[-1]
        assert code == 2 and words in last and last.startswith("Error: "), (arguments, err)
        assert not arguments[-1].exists()


def test_every_kind_is_named_in_help():
    assert all(f".{kind}" in run("film", "--help").out for kind in moving.KINDS)
