"""Fetching files from a server that misbehaves: broken connections, other files, web pages, full disks."""

import hashlib
import io
import shutil
from types import SimpleNamespace

import pytest

from qsneg.data import download
from tests.data.archives import WHOLE, data, left, picture, zipped


def test_the_next_address_is_tried(server, tmp_path):
    away = server.url.replace("some.zip", "away.zip")
    unreachable = "http://127.0.0.1:9/some.zip"
    assert download.download((unreachable, server.url), tmp_path / "a.zip").read_bytes() == WHOLE
    server.status = 404
    with pytest.raises(ValueError, match="no such file.*404"):
        download.download((server.url, away), tmp_path / "b.zip")
    assert [path for path, *_ in server.log] == ["/some.zip", "/some.zip", "/away.zip"]


@pytest.mark.parametrize(
    "mark", [{"tag": '"1"'}, {"tag": None, "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, {"tag": None}]
)
def test_a_broken_connection_is_gone_on_with(server, tmp_path, mark):
    vars(server).update(mark, cuts=[1000, 500])
    download.download((server.url,), tmp_path / "a.zip", len(WHOLE), hashlib.md5(WHOLE).hexdigest(), progress=False)
    assert [asked for _, asked, _ in server.log] == [None, "bytes=1000-", "bytes=1500-"]
    assert server.log[1][2] == (mark["tag"] or mark.get("date"))
    assert (tmp_path / "a.zip").read_bytes() == WHOLE and left(tmp_path) == ["a.zip"]


def test_the_next_run_goes_on_where_one_stopped(server, tmp_path):
    server.cuts = [1000, *[0] * 9]
    arguments = ("mine", "--url", server.url, "--out", tmp_path / "mine")
    code, _, err = data(*arguments)
    assert code == 2 and "the connection broke" in err and "run the same command again" in err
    assert left(tmp_path) == ["mine.zip.part", "mine.zip.part.json"]
    server.cuts, server.log[:] = [], []
    code, out, _ = data(*arguments)
    assert code == 0 and server.log == [("/some.zip", "bytes=1000-", '"one"')] and left(tmp_path) == ["mine"]


@pytest.mark.parametrize("change", [{"ranges": False}, {"tag": '"two"'}, {"tag": 'W/"weak"'}])
def test_a_server_that_cannot_go_on_sends_all_anew(server, tmp_path, change):
    (tmp_path / "a.zip.part").write_bytes(b"PK" + b"old" * 300)
    (tmp_path / "a.zip.part.json").write_text('{"url": "elsewhere", "version": "\\"one\\""}')
    vars(server).update(change)
    assert download.download((server.url,), tmp_path / "a.zip").read_bytes() == WHOLE


@pytest.mark.parametrize("state", ["", "[1]", '{"url": "elsewhere", "version": null}'])
def test_an_attempt_at_another_file_is_not_gone_on_with(server, tmp_path, state):
    (tmp_path / "a.zip.part").write_bytes(b"PKold")
    (tmp_path / "a.zip.part.json").write_text(state)
    assert download.download((server.url,), tmp_path / "a.zip").read_bytes() == WHOLE
    assert server.log[0][1] is None


@pytest.mark.parametrize("length, requests", [(len(WHOLE), 1), (len(WHOLE) + 5, 2)])
def test_nothing_left_to_send(server, tmp_path, length, requests):
    (tmp_path / "a.zip.part").write_bytes((WHOLE + b"wrong")[:length])
    (tmp_path / "a.zip.part.json").write_text('{"url": "", "version": "\\"one\\""}')
    assert download.download((server.url,), tmp_path / "a.zip").read_bytes() == WHOLE
    assert len(server.log) == requests


def test_a_length_that_is_not_announced(server, tmp_path):
    server.chunked, server.cuts = True, [1000]
    assert download.download((server.url,), tmp_path / "a.zip").read_bytes() == WHOLE
    assert len(server.log) == 2


@pytest.mark.parametrize(
    "change, known, words",
    [
        ({"status": 404}, {}, "no such file.*404.*--url"),
        ({"status": 403}, {}, "refuses.*403"),
        ({"status": 503}, {}, "busy.*503"),
        ({"type": "text/html; charset=utf-8", "body": b"<html>"}, {}, "is a web page"),
        ({"body": b"<html>" * 99}, {}, "is not a zip archive"),
        ({}, {"size": 12}, f"has {len(WHOLE)} bytes and not the 12"),
        ({"chunked": True}, {"size": 12}, f"has {len(WHOLE)} bytes and not the 12"),
        ({}, {"checksum": "0" * 64}, "has the checksum .* and not the known 000"),
    ],
)
def test_what_is_not_the_archive_is_refused(server, tmp_path, change, known, words):
    vars(server).update(change)
    with pytest.raises(ValueError, match=words) as error:
        download.download((server.url,), tmp_path / "a.zip", **known)
    assert "\n" not in str(error.value) and left(tmp_path) == []


def test_a_web_page_does_not_destroy_what_is_there(server, tmp_path):
    """A server out of order that ignores the range and says that all is well."""
    server.cuts = [1000, *[0] * 9]
    with pytest.raises(ValueError, match="are kept"):
        download.download((server.url,), tmp_path / "a.zip")
    server.cuts, server.body, server.ranges = [], b"<html>" * 500, False
    with pytest.raises(ValueError, match="is not a zip archive"):
        download.download((server.url,), tmp_path / "a.zip")
    assert (tmp_path / "a.zip.part").read_bytes() == WHOLE[:1000]


def test_full_disks(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    code, _, err = data("mine", "--url", server.url, "--out", tmp_path / "mine")
    assert code == 2 and "make room" in err and left(tmp_path) == []
    monkeypatch.undo()

    class Full(io.BytesIO):
        def write(self, chunk):
            raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="cannot be written .No space left on device"):
        download.write(Full(), b"12", tmp_path)


def test_a_damaged_archive_is_fetched_again(server, tmp_path):
    at = WHOLE.index(picture(1)[50:60])
    server.body = WHOLE[:at] + b"\0" * 10 + WHOLE[at + 10 :]
    arguments = ("mine", "--url", server.url, "--out", tmp_path / "mine")
    code, _, err = data(*arguments)
    assert code == 2 and "is no whole zip archive" in err and left(tmp_path) == []
    server.body = WHOLE
    assert data(*arguments)[0] == 0 and left(tmp_path) == ["mine"]


def test_a_good_archive_is_not_fetched_twice(server, tmp_path):
    server.body = zipped({"cats/1.png": picture()})
    arguments = ("mine", "--url", server.url, "--out", tmp_path / "mine")
    code, _, err = data(*arguments)
    assert code == 2 and "no pictures in folders trainA and trainB (it has cats)" in err and "kept" in err
    (tmp_path / "mine.zip").write_bytes(WHOLE)
    code, out, _ = data(*arguments)
    assert code == 0 and "which is there already" in out and len(server.log) == 1
