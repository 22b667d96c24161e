"""Photographs with the class of every pixel: maps in folders of their own or as palette PNGs, and what is missing."""

import numpy as np
import pytest
from PIL import Image

from qsneg.data.labelled import class_files, labelled, labels_of


def street(folder, names=("1", "2", "10"), side=32):
    """Pictures of `side` pixels: the left half road (0), the right half car (13), a lower strip of a label that does
    not count (19); the photographs have the brightness of their number."""
    classes = np.zeros((side, side), np.uint8)
    classes[:, side // 2 :] = 13
    classes[3 * side // 4 :] = 19
    for split in ("train", "test"):
        for domain in "AB":
            (folder / f"{split}{domain}").mkdir(parents=True, exist_ok=True)
        for name in names:
            image = Image.fromarray(classes)
            image.putpalette([v for k in range(32) for v in (k, 2 * k, 3 * k)])
            image.save(folder / f"{split}A" / f"{name}.png")
            Image.new("RGB", (side, side), (int(name),) * 3).save(folder / f"{split}B" / f"{name}.png")
    return folder


def test_palette_pngs_are_maps_of_classes(tmp_path):
    pictures, labels = labelled(street(tmp_path), "train", 16)
    assert pictures.shape == (3, 3, 16, 16) and labels.shape == (3, 16, 16)
    assert [int(p[0, 0, 0]) for p in pictures] == [1, 10, 2]  # in the order of their names, each with its own map
    assert labels[0, 0].tolist() == [0] * 8 + [13] * 8 and set(labels[0, 12:].flatten().tolist()) == {255}


def test_maps_of_their_own_come_first_and_are_squashed_as_the_frames_were(tmp_path):
    street(tmp_path)
    (tmp_path / "labels").mkdir()
    wide = np.tile(np.repeat(np.array([7, 255], np.uint8), 32), (32, 1))  # 64×32
    for name in ("1", "2", "10"):
        Image.fromarray(wide).save(tmp_path / "labels" / f"{name}.png")
    labels = labels_of(tmp_path, "test", ["10", "2"], 16)
    assert labels.shape == (2, 16, 16) and labels[1, 3].tolist() == [7] * 8 + [255] * 8


def test_pictures_in_colours_are_no_maps(tmp_path):
    street(tmp_path)
    for path in (tmp_path / "testA").iterdir():
        Image.open(path).convert("RGB").save(path)
    assert class_files(tmp_path, "test") == {} and len(class_files(tmp_path, "train")) == 3
    with pytest.raises(ValueError, match="no maps of classes for its test pictures"):
        labels_of(tmp_path, "test", ["1"], 16)


def test_one_sentence_each(tmp_path):
    street(tmp_path)
    with pytest.raises(ValueError, match="no map of classes for 1 test pictures, such as 3"):
        labels_of(tmp_path, "test", ["1", "3"], 16)
    (tmp_path / "trainB" / "2.png").unlink()
    assert len(labelled(tmp_path, "train", 16)[0]) == 2  # those that have both
    (tmp_path / "trainA" / "1.png").write_bytes((tmp_path / "trainA" / "1.png").read_bytes()[:90])
    with pytest.raises(ValueError, match=r"1\.png.*prepare the set again"):
        labelled(tmp_path, "train", 16)
    with pytest.raises(ValueError, match="no photographs with maps of classes"):
        labelled(street(tmp_path / "empty", ()), "train", 16)
