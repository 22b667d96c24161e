"""The command line, in process: what it writes, and its one-sentence errors."""

import json

import numpy as np
import pytest
import typer
from PIL import Image

from qsneg.__main__ import cli
from qsneg.training import commands
from qsneg.weights import read_metadata, save
from tests.conftest import run, tiny

ODD = (("steps", -1, "steps must be at least 0"), ("scenes", 0, "scenes must be from 1 to 1000000"),
       ("beta1", 1, "beta1 must lie from 0 to 0.999999"), ("lambda-nce", "nan", "lambda_nce must be a number from 0"),
       ("lambda-gan", -1, "lambda_gan must be"), ("gamma", 0, "gamma must be a number above 0"),
       ("window", 9999, "window must be odd, from 1 to 255"))  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "negcut.safetensors"
    save(tiny("negcut", patches=16), path)
    return str(path)


def test_the_precision_of_everything_that_computes(tmp_path, checkpoint):
    for name in ("translate", "score", "evaluate", "miniature", "inspect", "study", "bench", "train"):
        parameters = {o for p in typer.main.get_command(cli).commands[name].params for o in p.opts}
        assert "--precision" in parameters and ("--autocast" in parameters) == (name == "train"), name
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    found = ["translate", tmp_path / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "out", "--precision"]
    assert run(*found, "bfloat16")[0] == 0
    code, _, err = run(*found, "float8")
    assert code == 2 and "Unknown precision 'float8': choose auto, float32 or bfloat16." in err
    small = ["--preset", "debug", "--steps", 1, "--width", 4, "--disc-width", 4, "--scenes", 4, "--no-film"]
    for flag, value in (("--precision", "float32"), ("--autocast", "off")):
        out = tmp_path / value
        assert run("train", "horse2zebra-drawn", *small, "--evaluate-every", 0, flag, value, "--out", out)[0] == 0
        config, card = read_metadata(out / "model.safetensors")
        assert card["train_config"]["autocast"] == value and f"--precision {value}" in commands.command(config, card)


def test_draw(tmp_path):
    code, _, _ = run("draw", "--split", "test", "--count", 2, "--size", 64, "--out", tmp_path)
    assert code == 0
    names = {d: sorted(p.name for p in (tmp_path / d).iterdir()) for d in ("testA", "testB", "labels")}
    assert names["testA"] == names["testB"] == names["labels"] and len(names["testA"]) == 2
    assert run("draw", "--split", "exam", "--count", 2, "--out", tmp_path)[0] == 2


@pytest.mark.parametrize("out", ["file.txt", "file.txt/x", "/proc/x", "round", "round/x"])
def test_a_place_that_cannot_be_written_to(out, tmp_path, checkpoint, monkeypatch):
    """Noticed in one sentence, and before anything is computed where the path says so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("mine")
    (tmp_path / "round").symlink_to("round")
    Image.new("RGB", (40, 40)).save("a.png")
    tiny = ["--preset", "debug", "--steps", 1, "--width", 4, "--disc-width", 4, "--no-film", "--evaluate-every", 0]
    for command_line in (
        ["draw", "--split", "test", "--count", 1, "--size", 32],
        ["train", "horse2zebra-drawn", *tiny],
        ["translate", "a.png", "--checkpoint", checkpoint],
        ["inspect", "a.png", "--checkpoint", checkpoint],
        ["study", "--checkpoint", checkpoint, "--count", 1],
        ["evaluate", checkpoint, "--count", 1, "--size", 32],
    ):
        code, _, err = run(*command_line, "--out", out)
        assert code == 2 and "choose another" in err and err.count("\n") == 1, (command_line, err)
    for command, ending in (("segmenter", ".safetensors"), ("import", ".safetensors"), ("export", ".onnx")):
        given = {"import": ["--method", "cut", "--generator", checkpoint], "export": [checkpoint]}.get(command, [])
        code, _, err = run(command, *given, "--out", f"{out}/a{ending}")
        assert code == 2 and "choose another" in err and err.count("\n") == 1, (command, err)
    assert (tmp_path / "file.txt").read_text() == "mine"


def test_one_sentence_for_odd_settings(tmp_path, checkpoint):
    for flags, words in ((["--layers", "a,b"], "numbers with commas"), (["--temperature", 0], "above 0")):
        code, _, err = run("train", "horse2zebra-drawn", *flags, "--out", tmp_path / "x")
        assert code == 2 and words in err and not (tmp_path / "x").exists()
    train = ["train", "horse2zebra-drawn", "--out", tmp_path / "x"]
    inspect = ["inspect", tmp_path / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "x"]
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    for arguments, words in (
        (["score", "x/y", "--count", 0], "at least 1"), ([*inspect, "--seed", -1], "seed must be"),
        ([*inspect, "--seed", 10**20], "seed must be"), (["bench", "--size", 0], "divisible by 4"),
        (["bench", "--size", 10**8], "of memory"), (["bench", "--rounds", 0], "rounds must be"),
        (["train", "horse2zebra-drawn", "--workers", 999999, "--out", tmp_path / "x"], "workers must be from 0 to 256"),
        *(([*train, f"--{flag}", value], words) for flag, value, words in ODD),
        (["study", "--checkpoint", checkpoint, "--count", 0, "--out", tmp_path / "x"], "at least 1"),
    ):  # fmt: skip
        code, _, err = run(*arguments)
        assert code == 2 and words in err and err.count("\n") == 1 and not (tmp_path / "x").exists()


def test_translate(tmp_path, checkpoint):
    Image.new("RGB", (30, 21), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    files = (tmp_path / "a.png", tmp_path / "b.png")
    code, out, err = run("translate", *files, "--checkpoint", checkpoint, "--out", tmp_path / "out", "--device", "cpu")
    assert code == 1 and "1 translated" in out and "1 could not be done" in err and "b.png" in err
    assert Image.open(tmp_path / "out" / "a.png").size == (30, 21)


def test_inspect(tmp_path, checkpoint):
    noise = np.random.default_rng(0).integers(0, 256, (41, 62, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    arguments = ["inspect", tmp_path / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "seen"]
    arguments += ["--mode", "local+global", "--anchors", 30]
    code, out, _ = run(*arguments, "--layer", 16, "--device", "cpu")
    assert code == 0 and "60% of the anchors fit on" in out
    with np.load(tmp_path / "seen" / "inspection.npz") as arrays:
        shapes = {k: arrays[k].shape for k in arrays.files}
    assert shapes["entropy"] == shapes["log_entropy"] == shapes["loss"] == (11, 16)
    assert shapes["anchors"] == (30, 2) and shapes["negatives"] == (16, 16) and shapes["nearest"] == (16, 2)
    summary = json.loads((tmp_path / "seen" / "summary.json").read_text())
    assert summary["mode"] == "local+global" and summary["grid"] == [11, 16] and summary["in_words"] in out
    for name in ("source", "result", "entropy", "anchors", "random", "loss", "similarity", "negatives"):
        assert min(Image.open(tmp_path / "seen" / f"{name}.png").size) >= 41
    code, _, err = run(*arguments, "--layer", 3)
    assert code == 2 and "no layer 3" in err


def test_what_is_white(tmp_path, checkpoint):
    Image.fromarray(np.random.default_rng(0).integers(0, 4096, (40, 40), dtype=np.uint16)).save(tmp_path / "deep.png")
    for command in ("translate", "inspect"):
        arguments = [command, tmp_path / "deep.png", "--checkpoint", checkpoint, "--out", tmp_path / command]
        code, out, err = run(*arguments)
        assert code == 0 and "Nothing says which value is white" in out + err
        code, out, err = run(*arguments, "--white", 4095)
        assert code == 0 and "Nothing says" not in out + err
        code, out, err = run(*arguments, "--white", -1)
        assert code and "White must be a number above black" in err


def test_score(checkpoint):
    code, out, _ = run("score", checkpoint, "--count", 2, "--device", "cpu")
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["checkpoint", "background", "luminance"]
    assert all(float(v) > 0 for v in lines[1].split()[1:])
    code, _, err = run("score", "nothing-here")
    assert code == 2 and err.startswith("Error: No weights called 'nothing-here'") and err.count("\n") == 1


def test_evaluation_s_errors(tmp_path, checkpoint):
    for arguments, message in (
        (("evaluate", "nothing-here", "--out", tmp_path), "No weights called 'nothing-here'"),
        (("evaluate", checkpoint, "--data", tmp_path, "--out", tmp_path), "no pictures in testA and testB"),
        (("evaluate", checkpoint, "--inception", tmp_path / "no.pth", "--out", tmp_path), "There is no file"),
        (("segmenter", "--out", tmp_path / "segmenter.pt"), "must end in .safetensors"),
        (("segmenter", "--out", checkpoint), "there already"),
        (("miniature", "--out", tmp_path / "out", "--seeds", 0), "number of seeds"),
    ):
        code, _, err = run(*arguments)
        assert code == 2 and message in err and err.startswith("Error: ") and err.count("\n") == 1


def test_concentration():
    from qsneg.inspect.summary import concentration

    corner = np.stack(np.meshgrid(range(4), range(4)), -1).reshape(-1, 2)
    held, area = concentration(corner, (48, 48))
    assert held == 1 and area == pytest.approx(1 / 144)  # all in one of 12×12 tiles
    everywhere = np.stack(np.meshgrid(range(48), range(48)), -1).reshape(-1, 2)
    held, area = concentration(everywhere, (48, 48))
    assert held == pytest.approx(area, abs=0.01)
