"""Two zips of pictures: unpacked within bounds, and one sentence for each kind of zip that is not."""

import io
import stat
import zipfile
from types import SimpleNamespace

import pytest
from PIL import Image

from qsneg.data import archive, download
from qsneg.data.own_set import prepare_own
from qsneg.filesystem import Unwritable
from qsneg.learning.order import OWN, Bounds, Order
from qsneg.learning.run import Run
from qsneg.learning.zips import unpack, unpack_both
from qsneg.training.film import SIZE, cut
from tests.data.archives import picture, zipped

GOOD = {f"deep/down {i}/é {i}.PNG": picture(i, (140, 130)) for i in range(30)}
LINK = zipfile.ZipInfo("link.png")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16
EMPTY = zipped({})


@pytest.fixture
def put(tmp_path):
    """Writes a zip of members, or bytes as they are, and gives its path."""

    def write(content, name="mine.zip"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else zipped(content))
        return path

    return write


def large(size) -> bytes:
    """A picture that is small as a file."""
    Image.new("1", size).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def test_pictures_of_any_folders_are_unpacked_to_numbers(put, tmp_path):
    odd = {
        "note.txt": b"hello",
        "__MACOSX/._1.png": b"x",
        "broken.png": b"no picture",
        "tiny.png": picture(1, (99, 400)),
    }
    a, b = put(GOOD | odd | {"huge.png": large((9000, 9000))}, "a.zip"), put(GOOD, "b.zip")
    assert unpack_both(a, b, tmp_path / "given", Bounds()) == (30, 30)
    assert {path.name for path in (tmp_path / "given" / "trainB").iterdir()} == {f"{i:05d}.png" for i in range(30)}


def test_prepared_they_are_trained_on_and_four_are_filmed(put, tmp_path):
    run = Run(tmp_path / "run", Order(OWN, ("cut",), 10, 1), allowed=60)
    unpack_both(put(GOOD, "a.zip"), put(GOOD, "b.zip"), run.folder / "given", Bounds())
    method, command = run.next()
    assert method == "" and command[:2] == ["data", "own"]
    prepare_own(command[command.index("--from") + 1], command[command.index("--out") + 1], progress=False)
    run.has_prepared()
    method, command = run.next()
    assert method == "cut" and command[:2] == ["train", str(run.folder / "data")]
    strip = cut(Image.open(run.folder / "cut" / "film-source.webp"))
    assert [image.size for image in strip] == [(SIZE, SIZE)] * 4 and not (run.folder / "given").exists()


@pytest.mark.parametrize("content, said", [
    (b"no zip at all", "'mine.zip' is no whole zip archive (File is not a zip file): choose another."),
    (zipped(GOOD)[:-200], "'mine.zip' is no whole zip archive"),
    (b"", "'mine.zip' is no whole zip archive"),
    (EMPTY, "'mine.zip' holds no pictures"),
    ({"note.txt": b"hello", "folder/": b""}, "'mine.zip' holds no pictures"),
    ({"a.png": b"hello", "b.jpg": b""}, "Of 'mine.zip' none of its pictures can be read"),
    ({"a.png": picture(0, (140, 130))}, "Of 'mine.zip' only 1 of its pictures can be read and has 128 pixels"),
    (GOOD | {"../../evil.png": picture()}, "'mine.zip' wants to write outside its folder ('../../evil.png')"),
    (GOOD | {"/evil.png": picture()}, "'mine.zip' wants to write outside its folder"),
    (GOOD | {"C:\\evil.png": picture()}, "'mine.zip' wants to write outside its folder"),
    ({LINK: b"/etc/passwd"}, "'mine.zip' holds a link or a device"),
    ({f"{i}.png": b"" for i in range(101)}, "'mine.zip' holds 101 pictures, and at most 100 are taken here."),
    ({f"{i}.png": bytes(3 << 20) for i in range(8)}, "'mine.zip' would unpack to 25 MB, and at most 21 MB are taken"),
])  # fmt: skip
def test_what_is_not_to_be_used_is_refused_in_one_sentence(put, tmp_path, content, said):
    bounds = Bounds(pictures=100, unpacked=20 << 20)
    good, bad = put(GOOD, "good.zip"), put(content)
    for pair in ((bad, good), (good, bad)):
        folder = tmp_path / f"given-{pair[0].stem}"
        with pytest.raises(ValueError) as error:
            unpack_both(*pair, folder, bounds)
        assert said in str(error.value) and str(tmp_path) not in str(error.value)
        assert sum(path.stat().st_size for path in folder.rglob("*.*")) < 20 << 20
    assert {path.name for path in tmp_path.iterdir()} == {"good.zip", "mine.zip", "given-good", "given-mine"}


def test_too_many_entries_are_not_looked_at(put, tmp_path, monkeypatch):
    monkeypatch.setattr("qsneg.learning.zips.ENTRIES", 29)
    with pytest.raises(ValueError, match="has 30 entries, more than the 29"):
        unpack_both(put(GOOD), put(GOOD), tmp_path / "given", Bounds())


@pytest.mark.parametrize("pair, said", [((None, "b"), "The zip of sources is missing"),
                                        (("a", ""), "The zip of targets is missing")])  # fmt: skip
def test_both_are_needed(tmp_path, pair, said):
    with pytest.raises(ValueError, match=said):
        unpack_both(*pair, tmp_path / "given", Bounds())


def test_a_full_disk_is_told_apart_by_its_kind_not_by_its_words(put, tmp_path, monkeypatch):
    """A zip whose path begins like the folder's was taken for a full disk: every sentence about it has its path."""
    good, empty = put(GOOD), put(EMPTY, "into-trainA.zip")
    with pytest.raises(ValueError, match="'into-trainA.zip' holds no pictures"):
        unpack(empty, tmp_path / "into-trainA", Bounds())
    with monkeypatch.context() as patch:
        patch.setattr(download.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
        with pytest.raises(ValueError, match="The server has no room for these pictures"):
            unpack(good, tmp_path / "one", Bounds())

    def full(*_):
        raise Unwritable(tmp_path, OSError(28, "No space left on device"))

    monkeypatch.setattr(archive, "write", full)
    with pytest.raises(ValueError, match="The server has no room for these pictures"):
        unpack(good, tmp_path / "two", Bounds())
