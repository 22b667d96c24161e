"""Archives that are not to be trusted: names that lead outside, links, bombs."""

import stat
import struct
import zipfile

import pytest

from qsneg.data import archive
from tests.data.archives import SMALL, data, left, picture, zipped


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "extra, words",
    [
        ({"../evil.png": b"1"}, "outside its folder"),
        ({"some/trainA/../../../evil.png": b"1"}, "outside its folder"),
        ({"/evil.png": b"1"}, "outside its folder"),
        ({"some\\..\\..\\evil.png": b"1"}, "outside its folder"),
        ({"C:/evil.png": b"1"}, "outside its folder"),
        ({link("some/trainA/link.png"): "/etc"}, "a link or a device"),
        ({"some/trainA\\0.png": picture(9)}, "more than once"),
        ({"other/trainA/0.png": picture(), "other/trainB/0.png": picture()}, "several sets, other and some"),
    ],
)
def test_archives_that_are_not_to_be_trusted(tmp_path, extra, words):
    path = tmp_path / "evil.zip"
    path.write_bytes(zipped({**SMALL, **extra}))
    code, _, err = data("horse2zebra", "--from", path, "--out", tmp_path / "sets" / "mine")
    assert code == 2 and words in err and left(tmp_path) == ["evil.zip", "sets"] and left(tmp_path / "sets") == []


def test_bombs(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    path.write_bytes(zipped({**SMALL, "some/trainA/zeros.bmp": bytes(3 << 20)}))
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(archive, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(archive, "MAX_GROWTH", 10)
    with pytest.raises(ValueError, match="would unpack to"):
        archive.unpack(path, tmp_path / "out")
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    with pytest.raises(ValueError, match="9 entries"):
        archive.unpack(path, tmp_path / "out")
    assert left(tmp_path / "out") == []


def test_a_bomb_that_lies_about_its_size(tmp_path):
    """No more is written than is announced, and the archive is refused."""
    name = b"some/trainA/zeros.bmp"
    content = bytearray(zipped({**SMALL, name.decode(): bytes(1 << 20)}))
    for at in (content.index(name) - 8, content.rindex(name) - 22):  # in its own header and in the directory
        assert struct.unpack_from("<I", content, at) == (1 << 20,)
        struct.pack_into("<I", content, at, 10)
    (tmp_path / "bomb.zip").write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(archive.Damaged):
        archive.unpack(tmp_path / "bomb.zip", tmp_path / "out")
    assert (tmp_path / "out" / "trainA" / "zeros.bmp").stat().st_size <= 10
