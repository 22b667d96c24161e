"""Finished runs become a family with its card; runs that do not belong together are refused."""

import errno
import shutil

import pytest
from PIL import Image

from qsneg.config import build
from qsneg.rendering.sample_pictures import showable
from qsneg.rendering.sheets import CELL, GAP, MARGIN
from qsneg.sharing import cards
from qsneg.sharing.publish import publish
from qsneg.training.trainer import Trainer
from qsneg.translate import load

TINY = dict(preset="debug", steps=2, autocast="off", device="cpu", evaluate_every=0, width=4, disc_width=4, scenes=4)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for method, name, changes in (("cut", "cut", {}), ("negcut", "negcut", {}), ("qs-attn", "other", {"seed": 1})):
        Trainer(*build(method, **TINY | changes), folder / name).run(progress=False)
    return folder


def test_a_family(runs, tmp_path):
    target = publish([runs / "cut", runs / "negcut"], "horse2zebra-drawn", tmp_path)
    assert target == tmp_path / "horse2zebra-drawn"
    for method in ("cut", "negcut"):
        assert load(target / f"{method}.safetensors", "cpu").card["steps"] == 2
        assert (target / f"{method}.film" / "film.npz").is_file() and (target / f"{method}.metrics.jsonl").is_file()
    card = (target / "README.md").read_text()
    assert "| CUT | 2 | 0 |" in card and "| NEGCUT | 2 | 0 |" in card
    assert (
        "--out runs/horse2zebra-drawn-cut" in card
        and "--method negcut" in card
        and "--width 4" in card
        and "width 4 with" in card
    )
    assert "exponential moving average of every network" in " ".join(card.split())
    assert "the generator (heads" in cards.averaged([{"averaged": []}, {}])  # runs of an older version
    there = {"machine": "a GPU", "stages": [{"steps": 1}, {"steps": 2, "machine": "a GPU"}]}
    assert cards.machines(there) == "a GPU" and cards.machines(there | {"machine": "a CPU"}) == "a GPU, then a CPU"
    for name in ("sheet.webp", "worst.webp", "curves.png"):
        assert name in card
        with Image.open(target / name) as picture:
            picture.load()
    (target / "DATA.md").write_text("Said anew.")
    publish([], "horse2zebra-drawn", tmp_path)  # the card alone
    assert (target / "README.md").read_text() == card.replace("Data: `horse2zebra-drawn`.", "Said anew.")
    publish([runs / "cut"], "horse2zebra-drawn", tmp_path)  # again, over what is there


def test_a_full_disk_leaves_what_was_published(runs, tmp_path, monkeypatch):
    target = publish([runs / "cut"], "x", tmp_path)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    copyfile, written = shutil.copyfile, []

    def full(source, part):
        part.write_bytes(b"part of it")
        written.append(source.name)
        if source.name == full.at:
            raise OSError(errno.ENOSPC, "No space left on device")
        copyfile(source, part)

    monkeypatch.setattr(shutil, "copyfile", full)
    for full.at in ("0000002.webp", "film.npz", "metrics.jsonl", "model.safetensors"):
        with pytest.raises(
            ValueError, match=r"cannot be written \(No space left on device\): what lay there still does"
        ):
            publish([runs / "cut"], "x", tmp_path)
        assert written[-1] == full.at
        assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before


def test_runs_that_do_not_belong_together(runs, tmp_path):
    with pytest.raises(ValueError, match=r"differ in seed, 0 \(CUT\) and 1 \(QS-Attn\)"):
        publish([runs / "cut", runs / "other"], "x", tmp_path)
    with pytest.raises(ValueError, match="nothing to publish"):
        publish([], "x", tmp_path)
    with pytest.raises(ValueError, match="no training run"):
        publish([tmp_path], "x", tmp_path)
    Trainer(*build("cut", **TINY), tmp_path / "half").run(progress=False, stop_at=1)
    with pytest.raises(ValueError, match="step 1 of 2"):
        publish([tmp_path / "half"], "x", tmp_path)
    with pytest.raises(ValueError, match="both of CUT"):
        publish([runs / "cut", runs / "cut"], "x", tmp_path)
    Trainer(*build("cut", film=False, **TINY), tmp_path / "blind").run(progress=False)
    with pytest.raises(ValueError, match="has no film"):
        publish([tmp_path / "blind"], "x", tmp_path)
    with pytest.raises(ValueError, match="no name of a family"):
        publish([runs / "cut"], "../evil", tmp_path)
    assert not (tmp_path / "x").exists() and not (tmp_path.parent / "evil").exists()


def test_worst_cases_are_those_of_least_edge_agreement(monkeypatch, tmp_path):
    spoilt = showable("horse2zebra-drawn", 5, 64)[3][0]

    class Model:
        def translate(self, picture):
            return Image.new("RGB", picture.size, "blue") if picture == spoilt else picture

    monkeypatch.setattr(cards, "models", lambda target, methods: {"cut": Model()})
    picture = cards.worst(tmp_path / "horse2zebra-drawn", ["cut"], size=64, count=5, keep=2)
    middle = MARGIN + GAP + CELL // 2
    assert picture.getpixel((2 * GAP + CELL + CELL // 2, middle)) == (0, 0, 255)  # worst first
    assert picture.getpixel((2 * GAP + CELL + CELL // 2, middle + CELL + GAP)) != (0, 0, 255)
