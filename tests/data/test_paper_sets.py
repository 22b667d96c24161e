"""Fetching, unpacking and preparing sets of pictures, from a server on this machine that misbehaves as asked."""

import dataclasses
import hashlib
import http.server
import io
import shutil
import stat
import struct
import threading
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from qsneg.config import TrainConfig
from qsneg.data import archive, cityscapes, download, paper_sets
from qsneg.data.unpaired import Unpaired, check_folder
from qsneg.image_io import read
from tests.conftest import run

FOLDERS = ("trainA", "trainB", "testA", "testB")


def picture(seed=0, size=(40, 36)) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def zipped(members: dict) -> bytes:
    """A zip archive of names (or ZipInfos) and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return file.getvalue()


SMALL = {f"some/{f}/{i}.png": picture(i) for f in FOLDERS for i in range(2)}
WHOLE = zipped(SMALL)


@pytest.fixture
def server(monkeypatch):
    """Serves `server.body`; `cuts` are the bytes after which connections break, `log` what was asked for."""
    state = SimpleNamespace(
        body=WHOLE,
        type="application/zip",
        status=200,
        tag='"one"',
        date=None,
        ranges=True,
        chunked=False,
        cuts=[],
        log=[],
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked = self.headers.get("Range")
            state.log.append((self.path, asked, self.headers.get("If-Range")))
            start = int(asked[6:-1]) if asked and state.ranges else 0
            if self.headers.get("If-Range", state.tag or state.date) not in (state.tag, state.date):
                start = 0
            if state.status != 200:
                return self.send_error(state.status)
            if start >= len(state.body) and start:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.body)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206 if start else 200)
            body = state.body[start:]
            for name, value in (("ETag", state.tag), ("Last-Modified", state.date), ("Content-Type", state.type)):
                if value:
                    self.send_header(name, value)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.body) - 1}/{len(state.body)}")
            if state.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = state.cuts.pop(0) if state.cuts else len(body)
            self.wfile.write(body[:cut])
            self.close_connection = True

        def log_message(self, *args):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    state.url = f"http://127.0.0.1:{running.server_port}/some.zip"
    monkeypatch.setattr(download, "PAUSE", 0.0)
    yield state
    running.shutdown()
    running.server_close()


def data(*arguments) -> tuple[int, str, str]:
    """Exit code, stdout, and the last line of stderr of `python -m qsneg data` with these arguments."""
    code, out, err = run("data", *arguments)
    return code, out, (err.splitlines() or [""])[-1]


def left(tmp_path) -> list[str]:
    return sorted(p.name for p in tmp_path.iterdir())


def test_a_set_is_fetched_checked_and_trained_on(server, tmp_path, monkeypatch):
    """The whole way: checksum, layout, and pictures that Unpaired reads."""
    known = dataclasses.replace(
        paper_sets.KNOWN["horse2zebra"], size=len(WHOLE), checksum=hashlib.sha256(WHOLE).hexdigest(), urls=(server.url,)
    )
    monkeypatch.setitem(paper_sets.KNOWN, "horse2zebra", known)
    code, out, err = data("horse2zebra", "--out", tmp_path / "sets" / "zebras")
    assert code == 0 and "ImageNet" in out and "trainA 2, trainB 2, testA 2, testB 2" in out and "--crop 36" in out, err
    folder = tmp_path / "sets" / "zebras"
    assert left(tmp_path / "sets") == ["zebras"] and {p.name for p in folder.iterdir()} == set(FOLDERS)
    assert (folder / "testB" / "1.png").read_bytes() == picture(1)
    assert {k: len(v) for k, v in check_folder(folder, 36, FOLDERS).items()} == dict.fromkeys(FOLDERS, 2)
    x, y, broken = Unpaired(TrainConfig(data=str(folder), crop=32, resize=36))[0]
    assert x.shape == y.shape == (1, 3, 32, 32) and not broken


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


def test_ones_own_archive_by_any_name(tmp_path):
    members = {f"some/{f}/{i}.png": picture(10 * n + i) for n, f in enumerate(FOLDERS) for i in range(2)}
    archive = zipped({**members, "some/trainA/dot.png": picture(3, (1, 1))})
    (tmp_path / "mine.zip").write_bytes(archive)
    out = tmp_path / "my set"
    code, said, _ = data("mine", "--from", tmp_path / "mine.zip", "--out", out)
    assert code == 0 and f"train '{out}' --method cut --out 'runs/my set' --crop 36" in said
    assert "below 32 pixels: trainA/dot.png" in said and (tmp_path / "mine.zip").read_bytes() == archive


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
    assert any("broken.png" in line for line in paper_sets.in_words(prepared, tmp_path / "out"))
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
