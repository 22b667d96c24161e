"""The papers' sets: fetched or given, unpacked, checked, and what is said where they are not."""

import dataclasses
import hashlib

import pytest

from qsneg.config import TrainConfig
from qsneg.data import paper_sets
from qsneg.data.unpaired import Unpaired, check_folder
from tests.data.archives import FOLDERS, SMALL, WHOLE, data, left, picture, zipped


def test_a_set_is_fetched_checked_and_trained_on(server, tmp_path, monkeypatch):
    """The whole way: checksum, layout, and pictures that Unpaired reads."""
    known = dataclasses.replace(
        paper_sets.KNOWN["horse2zebra"], size=len(WHOLE), checksum=hashlib.sha256(WHOLE).hexdigest(), urls=(server.url,)
    )
    monkeypatch.setitem(paper_sets.KNOWN, "horse2zebra", known)
    code, out, err = data("horse2zebra", "--out", tmp_path / "sets" / "zebras")
    assert (
        code == 0
        and "ImageNet" in out
        and "trainA 2, trainB 2, testA 2, testB 2" in out
        and "--preset small --skip-small --out runs/zebras" in out
    ), err
    folder = tmp_path / "sets" / "zebras"
    assert left(tmp_path / "sets") == ["zebras"] and {p.name for p in folder.iterdir()} == set(FOLDERS)
    assert (folder / "testB" / "1.png").read_bytes() == picture(1)
    assert {k: len(v) for k, v in check_folder(folder, 36, FOLDERS).items()} == dict.fromkeys(FOLDERS, 2)
    x, y, broken = Unpaired(TrainConfig(data=str(folder), crop=32, resize=36))[0]
    assert x.shape == y.shape == (1, 3, 32, 32) and not broken


def test_ones_own_archive_by_any_name(tmp_path):
    members = {f"some/{f}/{i}.png": picture(10 * n + i) for n, f in enumerate(FOLDERS) for i in range(2)}
    archive = zipped({**members, "some/trainA/dot.png": picture(3, (1, 1))})
    (tmp_path / "mine.zip").write_bytes(archive)
    out = tmp_path / "my set"
    code, said, _ = data("mine", "--from", tmp_path / "mine.zip", "--out", out)
    assert code == 0 and f"train '{out}' --method cut --preset small --skip-small --out 'runs/my set'" in said
    assert "below 32 pixels: trainA/dot.png" in said and (tmp_path / "mine.zip").read_bytes() == archive


def test_only_pictures_of_the_wanted_folders_are_unpacked(tmp_path):
    """Twins beside them, macOS's companions, programs, and Windows' slashes."""
    extra = {"some/train/0.png": b"1", "__MACOSX/some/trainA/._0.png": b"1", "some/trainA/.hidden.png": b"1",
             "some/trainA/run.sh": b"1", "readme.txt": b"1", "some\\trainB\\deep\\7.png": picture(7)}  # fmt: skip
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({**SMALL, **extra, "some/trainA/broken.png": b"nothing"}))
    url = "https://example.org/a.zip"
    prepared = paper_sets.prepare("mine", tmp_path / "out", archive=path, url=url, progress=False)
    assert prepared.counts == {"trainA": 2, "trainB": 3, "testA": 2, "testB": 2} and prepared.smallest == 36
    assert prepared.broken == ["trainA/broken.png"]
    lines = paper_sets.in_words(prepared, tmp_path / "out")
    assert any("broken.png" in line for line in lines)
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert files == {n.removeprefix("some/") for n in SMALL} | {"trainB/deep/7.png"} and path.exists()


@pytest.mark.parametrize("test", ["val", "test"])
def test_afhq_becomes_cat2dog(tmp_path, test):
    folders = [f"afhq/{split}/{kind}" for split in ("train", test) for kind in ("cat", "dog", "wild")]
    (tmp_path / "afhq.zip").write_bytes(zipped({f"{folder}/{i}.png": picture(i) for folder in folders for i in (1, 2)}))
    paper_sets.prepare("cat2dog", tmp_path / "cat2dog", archive=tmp_path / "afhq.zip")
    assert {k: len(v) for k, v in check_folder(tmp_path / "cat2dog", 32, FOLDERS).items()} == dict.fromkeys(FOLDERS, 2)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["horse2zbra", "--out", "x"], "no set called 'horse2zbra': the nearest are horse2zebra"),
        (["qqq", "--out", "x"], "--list shows"),
        (["horse2zebra-drawn", "--out", "x"], "needs no download"),
        (["cityscapes", "--out", "x"], "register at"),
        (["horse2zebra"], "--out"),
        (["mine", "--url", "file:///etc/passwd", "--out", "x"], "is no address"),
        (["mine", "--url", "https://example.org/a b.zip", "--out", "x"], "is no address"),
        (["mine", "--url", "https://example.org/a.zip", "--from", "a.zip", "--out", "x"], "not both"),
        (["horse2zebra", "--from", "none.zip", "--out", "x"], "There is no archive 'none.zip'"),
        (["cityscapes", "--from", "none", "--out", "x"], "There is no folder 'none'"),
        (["horse2zebra", "--out", "full"], "'full' is there already"),
        (["horse2zebra", "--out", "sets"], "'sets.zip' is there already and was not fetched from"),
        (["mine", "--url", "https://example.org/a.zip", "--out", "sets"], "take it with --from"),
        (["horse2zebra", "--out", "full/a.txt/b"], "cannot be written"),
    ],
)
def test_one_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    (tmp_path / "sets.zip").write_bytes(b"the user's own")
    code, _, err = data(*arguments)
    assert code == 2 and err.startswith("Error: ") and words in err
    assert left(tmp_path) == ["full", "sets.zip"] and (tmp_path / "sets.zip").read_bytes() == b"the user's own"
    assert left(tmp_path / "full") == ["a.txt"]


def test_list():
    code, out, _ = data("--list")
    assert code == 0 and all(name in out for name in paper_sets.KNOWN) and "117 MB" in out and "CC BY-NC" in out
    for d in paper_sets.SETS:
        assert d.checksum is None or len(d.checksum) in (32, 64) and int(d.checksum, 16)
