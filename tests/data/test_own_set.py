"""A set of one's own: copies out, mirrored ones too; nothing on both sides of the split; pictures put aside."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

from qsneg.data import drawn_scenes, own_set
from qsneg.data.own_set import difference_hash, distinct, near, prepare_own
from tests.conftest import run


def scene(seed: int, size: int = 96) -> Image.Image:
    return Image.fromarray(drawn_scenes.draw(seed, size, "A"))


@pytest.fixture
def source(tmp_path):
    """Twelve scenes for training in A and six in B; in A the first has three copies, and two are in test, too."""
    folder = tmp_path / "pictures"
    for part, seeds in (("trainA", range(12)), ("trainB", range(20, 26)), ("testA", (40, 41)), ("testB", (50,))):
        (folder / part / "more").mkdir(parents=True)
        for seed in seeds:
            scene(seed).save(folder / part / ("more" if seed % 2 else "") / f"{seed}.png")
    scene(0).resize((80, 80)).save(folder / "trainA" / "smaller.jpg", quality=60)
    ImageOps.mirror(scene(0)).save(folder / "trainA" / "mirrored.jpg", quality=70)
    scene(0, 128).save(folder / "trainA" / "larger.png")
    ImageOps.mirror(scene(40)).save(folder / "trainA" / "in_test.png")
    scene(41).point(lambda v: v * 0.8).save(folder / "trainA" / "darker_in_test.webp", quality=80)
    (folder / "trainA" / "broken.png").write_bytes(b"no picture")
    return folder


def names(folder, part: str) -> set[str]:
    return {path.relative_to(folder / part).as_posix() for path in (folder / part).rglob("*.*")}


def test_a_pipe_is_no_archive(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    code, _, err = run("data", "mine", "--from", tmp_path / "pipe.zip", "--out", tmp_path / "out")
    assert code == 2 and "a pipe or a device" in err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_copies_go_and_pictures_are_put_aside(source, tmp_path, packed):
    given = shutil.make_archive(tmp_path / "packed", "zip", tmp_path, "pictures") if packed else source
    before = {path: path.read_bytes() for path in source.rglob("*.*")}
    out = tmp_path / "sets" / "own"
    code, said, err = run("data", "own", "--from", given, "--out", out)
    assert code == 0, err
    assert f"Ready: '{out}' (pictures: trainA 10, trainB 5, testA 2, testB 1, valA 2, valB 1)." in said
    assert (
        "trainA: 3 copies of others left out, 2 left out that are in test or validation, too, 2 put aside in valA."
        in said
    )
    assert "trainA/broken.png." in said and "\ntrainB: 1 put aside in valB.\n" in said
    kept = [names(out, f"{split}A") for split in ("train", "val")]
    assert not kept[0] & kept[1]
    assert kept[0] | kept[1] == {"larger.png", *(f"{'more/' * (i % 2)}{i}.png" for i in range(1, 12))}
    for path in out.rglob("*.*"):  # as they were, to the byte
        assert path.read_bytes() == before[source / path.relative_to(out).as_posix().replace("val", "train")]
    assert {path: path.read_bytes() for path in source.rglob("*.*")} == before
    assert [p.name for p in out.parent.iterdir()] == ["own"]
    assert run("data", "own", "--from", given, "--out", tmp_path / "again").code == 0
    assert all(names(tmp_path / "again", part.name) == names(out, part.name) for part in out.iterdir())  # no chance


def test_validation_pictures_that_are_given_stay(source, tmp_path):
    for letter, seed in (("A", 1), ("B", 30)):
        (source / f"val{letter}").mkdir()
        scene(seed).save(source / f"val{letter}" / "given.png")
    counts = prepare_own(source, tmp_path / "out", progress=False).counts
    assert counts == {"trainA": 11, "trainB": 6, "testA": 2, "testB": 1, "valA": 1, "valB": 1}


def test_of_copies_the_largest_stays_and_blocks_change_nothing(monkeypatch):
    hashes = np.array([difference_hash(scene(i // 3, 64)) for i in range(9)])
    none = np.zeros((0, 2, 256), bool)
    assert distinct(hashes, [1, 3, 2, 5, 5, 1, 1, 1, 9], none) == [1, 3, 8]
    assert distinct(hashes, [1] * 9, hashes[3:4]) == [0, 6]
    same = near(hashes, hashes)
    assert (same == (np.arange(9)[:, None] // 3 == np.arange(9) // 3)).all()
    monkeypatch.setattr(own_set, "BLOCK", 4)
    assert (near(hashes, hashes) == same).all()
    mirrored = difference_hash(ImageOps.mirror(scene(1, 64)))[None]
    assert near(hashes, mirrored)[:, 0].tolist() == [3 <= i < 6 for i in range(9)]


@pytest.mark.parametrize("given, message", [
    ("nowhere", "There is no 'nowhere': give a folder with trainA and trainB"),
    ("empty", "'empty' has no pictures in 'trainA'"), ("text.zip", "is no whole zip archive"),
])  # fmt: skip
def test_one_sentence(given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("text")
    code, _, err = run("data", "mine", "--from", given, "--out", "out")
    assert code == 2 and message in err and err.strip().count("\n") == 0 and not (tmp_path / "out").exists()
