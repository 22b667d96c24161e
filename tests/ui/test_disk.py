"""What visitors' files take on the disk is bounded: results, uploads, and pictures too large to be read."""

import contextlib
import os
import threading
import urllib.error
import urllib.request
from collections import namedtuple

import pytest
from PIL import Image

from qsneg.ui import limits
from qsneg.ui.disk import Disk, Uploads
from qsneg.ui.uploads import Refused, Sources

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    return Disk(1000)


def names(disk) -> set[str]:
    return {path.name for _, _, path in disk.files()}


def aged(path, seconds):
    """Last used that long ago."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_the_oldest_go_first_and_the_first_page_stays(disk):
    aged(disk.write("first.png", b"a" * 200), 900)
    disk.pin()
    aged(disk.write("second.png", b"b" * 400), 800)
    aged(disk.write("third.png", b"c" * 300), 700)
    assert names(disk) == {"first.png", "second.png", "third.png"}
    path = disk.write("fourth.png", b"d" * 300)
    assert names(disk) == {"first.png", "third.png", "fourth.png"}
    assert path.read_bytes() == b"d" * 300 and len(list(disk.folder.iterdir())) == 3  # no empty folder
    with pytest.raises(ValueError, match="^The server has no room"):
        disk.write("large.png", bytes(801))
    assert names(disk) == {"first.png"}


def test_who_fetches_a_file_while_it_is_made_again_gets_the_whole(disk):
    disk.limit = 50_000_000
    data = os.urandom(4_000_000)
    path, done, found = disk.write("same.png", data), threading.Event(), set()

    def fetch():
        while not done.is_set():
            found.add(len(path.read_bytes()))

    thread = threading.Thread(target=fetch)
    thread.start()
    for _ in range(100):
        assert disk.write("same.png", data) == path
    done.set()
    thread.join()
    assert found == {len(data)} and disk.taken == len(data)  # and it counts once


def test_a_file_that_was_cut_short_is_made_again_and_one_used_again_is_young(disk):
    path = disk.write("a.png", b"a" * 300)
    path.write_bytes(b"a" * 7)
    assert disk.write("a.png", b"a" * 300).read_bytes() == b"a" * 300
    aged(path, 900)
    aged(disk.write("b.png", b"b" * 400), 800)
    disk.write("a.png", b"a" * 300)
    disk.write("c.png", b"c" * 500)
    assert names(disk) == {"a.png", "c.png"}


def test_files_of_an_earlier_run_count(disk):
    disk.folder.mkdir()
    (disk.folder / "left").write_bytes(bytes(900))
    disk.write("new.png", bytes(200))
    assert names(disk) == {"new.png"}


def test_uploads_under_way_count(disk):
    aged(disk.write("old.png", bytes(500)), 60)
    with disk.upload(700) as has_room:
        assert has_room and names(disk) == set()
        with disk.upload(400) as has_more:
            assert not has_more
        with pytest.raises(ValueError, match="no room"):
            disk.write("new.png", bytes(301))
    disk.write("new.png", bytes(301))


def test_a_full_disk_makes_room_and_leaves_no_part(disk, monkeypatch):
    aged(disk.write("old.png", bytes(500)), 60)
    free = iter([100, 100, 600, 600, 600])
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(0, 0, next(free)))
    disk.write("new.png", bytes(300))
    assert names(disk) == {"new.png"}
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(0, 0, 500))
    monkeypatch.setattr("pathlib.Path.write_bytes", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ValueError, match="no room"):
        disk.write("other.png", bytes(100))


def test_a_picture_that_went_is_told(tmp_path):
    with pytest.raises(Refused, match="no longer kept here: upload it again"):
        Sources().read(tmp_path / "gone.png")


def test_the_app_takes_smaller_pictures_than_the_command_line(tmp_path):
    Image.new("L", (8000, 6000)).save(tmp_path / "large.png")
    with pytest.raises(Refused, match="48 megapixels and at most 40 are read, so make it smaller first"):
        Sources().read(tmp_path / "large.png")
    assert Sources(max_pixels=50_000_000).read(tmp_path / "large.png").image.width == 8000


async def answer(app, headers) -> int:
    """The status of what an ASGI app answers to an upload."""
    said = []
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": headers}

    async def send(message):
        said.append(message)

    await app(scope, lambda: None, send)
    return said[0]["status"]


def test_uploads_too_large_or_of_unknown_length_are_refused_unread(disk):
    anyio = pytest.importorskip("anyio")

    async def inner(scope, receive, send):
        assert disk.coming == 600
        await send({"type": "http.response.start", "status": 200, "headers": []})

    app = Uploads(inner, disk)
    for length, status in ((b"600", 200), (b"1001", 507), (b"%d" % (limits.REQUEST_BYTES + 1), 413), (b"-1", 413)):
        assert anyio.run(answer, app, [(b"content-length", length)]) == status
    assert anyio.run(answer, app, []) == 413 and disk.coming == 0


def test_the_server_refuses_a_large_upload_and_goes_on(app):
    request = urllib.request.Request(f"{app}gradio_api/upload", b"", {"Content-Length": str(limits.REQUEST_BYTES + 1)})
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    assert error.value.code == 413 and error.value.read().startswith(b"At most 110 MB")
    with contextlib.closing(urllib.request.urlopen(app)) as page:
        assert page.status == 200
