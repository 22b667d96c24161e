"""Ray Data: pictures at addresses, translated and inspected by actors; broken ones, actors that die, a bucket."""

import io
import os
import secrets
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qsneg.bulk.tiles import translate_in_tiles
from qsneg.data import arrays
from qsneg.image_io import read
from qsneg.inspect import inspect, observe, observe_file
from qsneg.translate import load
from qsneg.weights import save
from tests.bulk.s3 import Bucket, bucket
from tests.conftest import run, tiny
from tests.test_image_io import ramp

ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "ray[data]"')
pq = pytest.importorskip("pyarrow.parquet")
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
               "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory):
    """This machine with room for two actors beside Ray's own tasks."""
    from ray.data import DataContext

    token = tmp_path_factory.mktemp("ray") / "token"  # not in the tester's home, where Ray would make one
    token.write_text(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    ray.init(num_cpus=3, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
    DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def models(folder, monkeypatch):
    monkeypatch.setattr("qsneg.weights.FOLDER", folder)


def stored(image: Image.Image, kind: str = "PNG") -> bytes:
    image.save(file := io.BytesIO(), kind)
    return file.getvalue()


PICTURES = {
    "a.png": stored(ramp()), "deep/b.JPG": stored(ramp(20), "JPEG"), "deep/c.tif": stored(ramp(24), "TIFF"),
    "broken.png": b"no picture", ".hidden/d.png": stored(ramp()), "notes.txt": b"no picture either",
}  # fmt: skip
RESULTS = {"a.png", "deep/b.JPG", "deep/c.png"}


@pytest.fixture
def photos(tmp_path):
    for name, data in PICTURES.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    return tmp_path / "photos"


def on_ray(command: str, source, out, *flags):
    return run(command, source, "--checkpoint", "tiny/cut", "--engine", "ray", "--out", out, "--device", "cpu", *flags)


def found(out: Path) -> set[str]:
    return {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}


def test_a_folder_with_a_broken_picture(photos, tmp_path):
    code, out, err = on_ray("translate", f"file://{photos}", tmp_path / "out")
    assert code == 1 and "3 translated" in out and "1 could not be done" in err
    assert "'broken.png' cannot be read as a picture" in err and err.count("broken.png") == 2
    assert found(tmp_path / "out") == RESULTS
    expected = load("tiny/cut", "cpu").translate(read(photos / "a.png"))
    difference = np.asarray(read(tmp_path / "out" / "a.png"), int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 1  # as many threads as an actor has
    (tmp_path / "out" / "a.png").unlink()
    (photos / "broken.png").unlink()
    code, out, err = on_ray("translate", photos, tmp_path / "out", "--resume")
    assert code == 0 and "1 translated" in out and "2 were there already" in out
    code, out, _ = on_ray("translate", photos, tmp_path / "out", "--resume")
    assert code == 0 and "0 translated" in out and "3 were there already" in out


def test_parquet_with_an_error_column(photos, tmp_path):
    code, out, err = on_ray("translate", photos, tmp_path / "out", "--parquet", "--size", "12")
    assert code == 1 and "3 translated" in out and "broken.png" in err
    rows = {row["path"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    assert set(rows) == {"a.png", "deep/b.JPG", "deep/c.tif", "broken.png"}
    assert rows["broken.png"]["picture"] is None and "cannot be read" in rows["broken.png"]["error"]
    assert Image.open(io.BytesIO(rows["a.png"]["picture"])).size == (20, 12) and not rows["a.png"]["error"]
    code, _, err = on_ray("translate", photos, tmp_path / "out", "--parquet")
    assert code == 2 and "There are files at" in err


def test_tiles_where_they_are_asked_for_or_a_picture_does_not_fit(monkeypatch):
    """A row of the work itself, as an actor does it."""
    from qsneg.bulk import pipeline, works

    translator, data, tiled = load("tiny/cut", "cpu"), PICTURES["a.png"], []
    plain = works.Translate()(translator, "a.png", data)["picture"]

    def in_tiles(translator, values, margin):
        tiled.append(values.shape)
        return translate_in_tiles(translator, values, margin, tile=32)

    monkeypatch.setattr(pipeline, "translate_in_tiles", in_tiles)
    asked = works.Translate(tile=True)(translator, "a.png", data)["picture"]
    monkeypatch.setattr(pipeline, "fits", lambda *_: False)
    forced = works.Translate()(translator, "a.png", data)["picture"]
    assert len(tiled) == 2 and asked == forced
    one, other = (np.asarray(Image.open(io.BytesIO(picture)), int) for picture in (plain, asked))
    assert np.abs(one - other).max() <= 1


def test_inspect_as_columns(photos, tmp_path):
    code, out, err = on_ray("inspect", photos, tmp_path / "seen", "--layer", "8", "--anchors", "5")
    assert code == 1 and "3 inspected" in out and "broken.png" in err
    rows = {row["path"]: row for row in pq.read_table(tmp_path / "seen").to_pylist()}
    row, one = rows["a.png"], inspect(observe(load("tiny/cut", "cpu"), read(photos / "a.png")), 8, num_anchors=5)
    assert (row["rows"], row["columns"]) == one.grid.shape
    assert row["entropy"] == pytest.approx(one.entropy.reshape(-1).tolist(), rel=1e-3)
    assert [divmod(a, row["columns"]) for a in row["anchors"]] == [tuple(a) for a in one.anchors.tolist()]
    assert row["loss"] == pytest.approx(one.loss.reshape(-1).tolist(), rel=1e-2)
    assert rows["broken.png"]["entropy"] is None


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """Pictures of four channels, of 16 bits and as an array, and one that is none; a model that makes two of them."""
    monkeypatch.setattr("qsneg.weights.FOLDER", tmp_path / "models")
    save(tiny(channels_a=4, channels_b=2), tmp_path / "models" / "scans" / "cut.safetensors")
    values = np.random.default_rng(0).random((20, 24, 4), np.float32)
    arrays.write(tmp_path / "scans" / "deep" / "a.tif", values)
    arrays.write(tmp_path / "scans" / "b.npy", values[:, :20])
    (tmp_path / "scans" / "broken.npy").write_bytes(b"no array")
    return tmp_path / "scans"


def test_other_channels_than_rgb(scans, tmp_path):
    """On Ray as on this machine: files of the same names that hold the same; and as Parquet."""
    model = ("--checkpoint", "scans/cut", "--device", "cpu")
    for engine in ("local", "ray"):
        code, out, err = run("translate", scans, *model, "--engine", engine, "--out", tmp_path / engine)
        assert code == 1 and "broken.npy" in err and "2 translated" in out, err
    assert found(tmp_path / "ray") == found(tmp_path / "local") == {"deep/a.tif", "b.npy"}
    for name in ("deep/a.tif", "b.npy"):
        here, there = (arrays.read(tmp_path / engine / name, 2)[0] for engine in ("local", "ray"))
        assert here.shape == there.shape and np.abs(here - there).max() < 1e-3
    code, _, err = run("translate", scans, *model, "--engine", "ray", "--parquet", "--tile", "--out", tmp_path / "rows")
    rows = {row["path"]: row for row in pq.read_table(tmp_path / "rows").to_pylist()}
    assert code == 1 and rows["broken.npy"]["picture"] is None and "broken.npy" in rows["broken.npy"]["error"]
    stored, _ = arrays.read("a.tif", 2, data=rows["deep/a.tif"]["picture"])
    assert np.abs(stored - arrays.read(tmp_path / "local" / "deep/a.tif", 2)[0]).max() < 0.02  # tiles' float16
    code, _, err = run("inspect", scans, *model, "--engine", "ray", "--layer", "8", "--out", tmp_path / "seen")
    rows = {row["path"]: row for row in pq.read_table(tmp_path / "seen").to_pylist()}
    one = inspect(observe_file(load("scans/cut", "cpu"), scans / "b.npy")[0], 8)
    assert rows["b.npy"]["loss"] == pytest.approx(one.loss.reshape(-1).tolist(), rel=1e-2)
    assert rows["broken.npy"]["entropy"] is None


def test_an_actor_that_is_killed_loses_nothing(photos, tmp_path, monkeypatch):
    from qsneg.bulk import cluster

    for i in range(24):
        (photos / f"more-{i:02}.png").write_bytes(PICTURES["a.png"])
    marker = tmp_path / "killed"

    class Killed(cluster.Actor):
        def __call__(self, batch):
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(batch)

    monkeypatch.setattr(cluster, "Actor", Killed)
    code, out, err = on_ray("translate", photos, tmp_path / "out")
    assert code == 1 and "27 translated" in out and "1 could not be done" in err and marker.exists()
    assert found(tmp_path / "out") == RESULTS | {f"more-{i:02}.png" for i in range(24)}


def test_a_bucket(tmp_path):
    """s3://, for pictures and for results."""
    Bucket.objects.clear()
    Bucket.objects |= {f"bucket/photos/{name}": data for name, data in PICTURES.items()}
    with bucket() as query:
        address = f"s3://key:secret@bucket/{{}}{query}"
        code, out, err = on_ray("translate", address.format("photos"), address.format("out"))
        assert code == 1 and "3 translated" in out and "broken.png" in err
        written = {n.removeprefix("bucket/out/") for n in Bucket.objects if n.startswith("bucket/out/")}
        assert {name for name in written if not name.endswith("/")} - {""} == RESULTS
        assert Image.open(io.BytesIO(Bucket.objects["bucket/out/deep/c.png"])).size == ramp(24).size
        code, out, err = on_ray("inspect", address.format("photos"), address.format("seen"))
        assert code == 1 and "3 inspected" in out
        assert any(name.startswith("bucket/seen/") and name.endswith(".parquet") for name in Bucket.objects)


@pytest.mark.parametrize("arguments, words", [
    (["s3://bucket/a", "--engine", "local"], "add --engine ray"), (["photos", "--parquet"], "written by Ray"),
    (["a", "b", "--engine", "ray"], "give one address"), (["a", "--engine", "spark"], "Unknown engine 'spark'"),
    (["nowhere", "--engine", "ray"], "no pictures at 'nowhere'"), (["no-such://a", "--engine", "ray"], "'no-such://a'"),
])  # fmt: skip
def test_errors(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("translate", *arguments, "--checkpoint", "tiny/cut", "--out", "out")
    assert code == 2 and words in err and err.count("\n") == 1
