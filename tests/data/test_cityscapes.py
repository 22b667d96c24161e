"""Cityscapes from one's own download: pictures, colours, classes, and what is missing."""

import shutil

import numpy as np
import pytest
from PIL import Image

from qsneg.data import cityscapes
from qsneg.data.unpaired import check_folder
from qsneg.image_io import read
from tests.data.archives import FOLDERS, WHOLE, data, left, picture

IDS = {7: (128, 64, 128), 26: (0, 0, 142), 4: (0, 0, 0)}  # road, car, static (which does not count)


def street(folder, seed=0, cities=("aachen", "ulm")):
    """A tiny Cityscapes: four columns of road, car, static, road; photographs are noise."""
    ids = np.repeat(np.array([7, 26, 4, 7], np.uint8), 128)[None].repeat(256, 0)
    colours = np.array([[*IDS[i], 255] for i in ids[0]], np.uint8)[None].repeat(256, 0)
    for split, city in (("train", cities[0]), ("train", cities[1]), ("val", cities[0])):
        stem = f"{city}_000000_00001{len(split)}"
        for ending, array in (("gtFine_color", colours), ("gtFine_labelIds", ids), ("leftImg8bit", None)):
            path = folder / ending.split("_")[0] / split / city / f"{stem}_{ending}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(seed, (128, 64))) if array is None else Image.fromarray(array).save(path)


@pytest.mark.parametrize("packed", [False, True])
def test_cityscapes(tmp_path, packed):
    street(tmp_path / "own")
    if packed:
        for kind in ("gtFine", "leftImg8bit"):
            shutil.make_archive(tmp_path / "zips" / f"{kind}_trainvaltest", "zip", tmp_path / "own", kind)
    source = tmp_path / ("zips" if packed else "own")
    code, out, err = data("cityscapes", "--from", source, "--out", tmp_path / "city")
    assert code == 0 and "trainA 2, trainB 2, testA 1, testB 1" in out, err
    found = check_folder(tmp_path / "city", 256, FOLDERS)
    assert [p.stem for p in found["trainA"]] == [p.stem for p in found["trainB"]]
    labels, photo = (np.asarray(read(found[d][0])) for d in ("testA", "testB"))
    assert labels.shape == photo.shape == (256, 256, 3)
    assert [tuple(labels[9, x]) for x in (30, 90, 150, 220)] == [IDS[i] for i in (7, 26, 4, 7)]
    assert {tuple(c) for c in labels.reshape(-1, 3)} == set(IDS.values())  # no mixed colours
    for folder, count in (("labels", 1), ("labels_train", 2)):
        maps = sorted((tmp_path / "city" / folder).iterdir())
        classes = np.asarray(Image.open(maps[0]))
        assert len(maps) == count and classes.shape == (128, 256) and [*classes[5, ::64]] == [0, 13, 255, 0]
    assert left(tmp_path) == sorted(["city", "own"] + ["zips"] * packed)


def drop(folder):
    next(folder.glob("leftImg8bit/val/*/*.png")).unlink()


def spoil(folder):
    next(folder.glob("gtFine/train/ulm/*_color.png")).write_bytes(b"nothing")


def cut(folder):
    (folder / "gtFine_trainvaltest.zip").write_bytes(WHOLE[:-30])
    shutil.rmtree(folder / "gtFine")


@pytest.mark.parametrize(
    "harm, words",
    [
        (drop, "'val' lacks 1 files, such as aachen_000000_000013_leftImg8bit.png"),
        (spoil, "cannot be read as a picture"),
        (cut, "cannot be read (File is not a zip file)"),
        (lambda folder: shutil.rmtree(folder / "gtFine"), "neither a folder 'gtFine' nor gtFine_trainvaltest.zip"),
        (lambda folder: [shutil.rmtree(path) for path in folder.glob("*/train")], "no frames in 'train'"),
    ],
)
def test_an_incomplete_cityscapes_is_refused(tmp_path, harm, words):
    street(tmp_path / "own")
    harm(tmp_path / "own")
    code, _, err = data("cityscapes", "--from", tmp_path / "own", "--out", tmp_path / "city")
    assert code == 2 and words in err and left(tmp_path) == ["own"]


def test_the_classes_of_cityscapes_are_those_of_torchvision():
    from torchvision.datasets import Cityscapes

    scored = {c.id: (c.train_id, c.name) for c in Cityscapes.classes if c.train_id not in (-1, 255)}
    assert {label: (n, name) for n, (label, name) in enumerate(cityscapes.CLASSES.items())} == scored
