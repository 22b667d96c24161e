"""Checkpoints: resumed bit for bit; damaged, foreign and older ones; two trainings in one folder; a full disk."""

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest
import torch

from qsneg.config import trained_methods
from qsneg.filesystem import whole
from qsneg.training import checkpoint
from qsneg.training.lock import alone
from qsneg.training.resuming import resume
from qsneg.weights import load
from tests.conftest import run
from tests.training.runs import final, same, tiny

FLAGS = "--preset debug --autocast off --device cpu --no-film --evaluate-every 0 --width 4 --disc-width 4 --scenes 4"


@pytest.mark.parametrize("method, queries", [*((name, None) for name in trained_methods()), ("fastcut", "doubt")])
def test_resume_is_bit_for_bit(method, queries, tmp_path):
    settings = dict(method=method, queries=queries, steps=6, save_every=2, disc_noise=0.2, disc_crop=32, degrade=0.5)
    whole_run = tiny(tmp_path / "whole", **settings)
    whole_run.run(progress=False)
    tiny(tmp_path / "part", **settings).run(progress=False, stop_at=3)
    resumed = resume(tmp_path / "part")
    assert resumed.step == 3
    resumed.run(progress=False)
    assert same(final(whole_run), final(resumed))
    fresh = tiny(tmp_path / "other", seed=1, **settings)
    fresh.run(progress=False)
    assert not same(final(whole_run), final(fresh))  # the comparison can fail
    files = [(tmp_path / run / "model.safetensors") for run in ("whole", "part")]
    for part_name in load(files[0]).parts():
        a, b = (getattr(load(f), part_name).state_dict() for f in files)
        assert same(a, b)


KILLED = """
import os, signal
from qsneg.training.trainer import Trainer

step = Trainer.train_step

def killed(trainer, x, y):
    losses = step(trainer, x, y)
    if trainer.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return losses

Trainer.train_step = killed
from qsneg.__main__ import main
main()
"""


def test_killed_between_two_checkpoints(tmp_path):
    """SIGKILL in the fifth step, then --resume: weights and metrics of an uninterrupted run."""
    start = ["horse2zebra-drawn", "--method", "qs-attn", "--steps", 7, "--save-every", 3, *FLAGS.split()]
    command = [sys.executable, "-c", KILLED, "train", *map(str, start), "--out", tmp_path / "killed"]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["step"] == 3
    (tmp_path / "killed" / ".01234567.part").write_bytes(b"half a file")
    assert run("train", *start, "--resume", "--out", tmp_path / "killed").code == 0  # the command it began by
    assert run("train", *start, "--out", tmp_path / "whole").code == 0
    saved = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("killed", "whole")]
    assert [state["step"] for state in saved] == [7, 7] and not saved[0]["stages"]
    for part in ("method", "average"):
        assert same(saved[0][part], saved[1][part])
    lines = [json.loads(line) for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 8))  # none twice, none missing
    assert not list((tmp_path / "killed").glob(".*.part"))


def test_two_trainings_in_one_folder(tmp_path):
    first, second = tiny(tmp_path, steps=2), tiny(tmp_path, steps=2)
    step = first.train_step

    def another_begins(x, y):
        with pytest.raises(ValueError, match="under way already .*: wait for it or stop it, or choose another --out"):
            second.run(progress=False)
        return step(x, y)

    first.train_step = another_begins
    first.run(progress=False)
    assert second.step == 0 and len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    with alone(tmp_path):  # it was given back
        pass


def test_the_lock_of_another_process(tmp_path):
    """Refused while it lives; however it ends, nothing is in the way."""
    hold = f"from qsneg.training.lock import *; import time; place = alone(Path({str(tmp_path)!r}))"
    command = [sys.executable, "-c", f"{hold}; place.__enter__(); print(1, flush=True); time.sleep(100)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        with pytest.raises(ValueError, match=rf"under way already \(process {process.pid} on"), alone(tmp_path):
            pass
        process.kill()
    with alone(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    tiny(out, "negcut", steps=4, log_every=1).run(progress=False, stop_at=3)
    return out


def changed(name, change):
    """The checkpoint with one entry changed."""

    def spoil(path):
        state = torch.load(path, weights_only=True)
        if change is None:
            del state[name]
        else:
            state[name] = change(state[name]) if callable(change) else change
        torch.save(state, path)

    return spoil


def inside(*keys, value):
    """A change deep in a nested entry."""

    def change(state):
        place = state
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value(place[keys[-1]])
        return state

    return change


def flipped(path):
    """One bit of the largest tensor."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        largest = max(file.infolist(), key=lambda info: info.file_size)
    data[largest.header_offset + 200 + largest.file_size // 2] ^= 4
    path.write_bytes(data)


def another_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")


CONV = "generator.model.1.weight"
SPOILT = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "zeroed within": lambda path: path.write_bytes(
        path.read_bytes()[:90_000] + bytes(9000) + path.read_bytes()[99_000:]
    ),
    "a bit flipped": flipped,
    "text": lambda path: path.write_text("no checkpoint"),
    "another zip": another_zip,
    "a list": lambda path: torch.save([1, 2], path),
    "weights alone": lambda path: torch.save({"a": torch.zeros(2)}, path),
    "an object": lambda path: torch.save({"a": io.BytesIO}, path),
    "an older format": lambda path: torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=False),
    "no step": changed("step", None),
    "no optimisers": changed("optimisers", None),
    "step a text": changed("step", "three"),
    "step true": changed("step", True),
    "step below 0": changed("step", -1),
    "seconds a list": changed("seconds", []),
    "history of numbers": changed("history", [1, 2]),
    "stages of texts": changed("stages", ["a"]),
    "a wrong setting": changed("train", inside("crop", value=lambda _: "wide")),
    "a newer setting": changed("train", lambda train: train | {"colour": 1}),
    "a method unknown": changed("model", inside("method", value=lambda _: "later")),
    "another width": changed("model", inside("width", value=lambda _: 8)),
    "model a list": changed("model", [1]),
    "a tensor missing": changed("method", lambda m: {k: v for k, v in m.items() if k != CONV}),
    "a tensor too many": changed("method", lambda m: m | {"more": torch.zeros(1)}),
    "a tensor of another shape": changed("method", inside(CONV, value=lambda t: t[:1])),
    "a number for a tensor": changed("method", inside(CONV, value=lambda _: 1.5)),
    "whole numbers": changed("method", inside(CONV, value=lambda t: t.int())),
    "NaN": changed("method", inside(CONV, value=lambda t: t * float("nan"))),
    "an infinite average": changed("average", inside("module." + CONV, value=lambda t: t / 0)),
    "a moment missing": changed("optimisers", inside("G", "state", 0, value=lambda m: {"step": m["step"]})),
    "a moment of another shape": changed("optimisers", inside("G", "state", 0, "exp_avg", value=lambda t: t[:1])),
    "a moment NaN": changed("optimisers", inside("G", "state", 0, "exp_avg_sq", value=lambda t: t * float("nan"))),
    "an optimiser missing": changed("optimisers", lambda o: {"G": o["G"]}),
    "draws too short": changed("draws", torch.zeros(3)),
    "random of another kind": changed("random", torch.zeros(5056)),
    "skipped by other names": changed("skipped", {"Z": 1}),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_damaged_or_foreign_checkpoint_gets_one_sentence(how, stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "run")
    SPOILT[how](tmp_path / "run" / "checkpoint.pt")
    with pytest.raises(ValueError, match="is damaged|no checkpoint that this version can go on from") as error:
        resume(tmp_path / "run")
    assert "\n" not in str(error.value) and str(error.value).endswith("start the run again.")


LINES = {
    "partial lines within": lambda path: path.write_text(path.read_text().replace("\n", "", 1)),
    "JSON of another kind": lambda path: path.write_text('[1, 2]\n"a"\n3\n'),
    "nested deeply": lambda path: path.write_text("[" * 100_000 + "\n"),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 100),
    "shorter": lambda path: path.write_text(path.read_text()[:50]),
    "a digit changed": lambda path: path.write_text(path.read_text().replace('"step": 2', '"step": 1')),
    "a folder": lambda path: path.unlink() or path.mkdir(),
}


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("how", LINES)
def test_metrics_that_the_run_did_not_write_get_one_sentence(how, older, stopped, tmp_path):
    if older and how in ("shorter", "a digit changed"):
        return  # seen by the checksum alone, which older versions did not write
    shutil.copytree(stopped, tmp_path / "run")
    if older:
        changed("metrics", None)(tmp_path / "run" / "checkpoint.pt")
    LINES[how](tmp_path / "run" / "metrics.jsonl")
    with pytest.raises(ValueError, match="metrics.jsonl' is not what this run wrote.*: move it away, and the run"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("tail", [b'{"step": 4, "NC', b'{"step": 4}\n{"step": 5}\n', b"\xff\x00", None])
def test_metrics_after_the_checkpoint_are_dropped(tail, older, stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    if older:
        changed("metrics", None)(tmp_path / "run" / "checkpoint.pt")
    if tail is None:
        metrics.unlink()
    else:
        metrics.write_bytes(metrics.read_bytes() + tail)  # torn by a crash
    resume(tmp_path / "run").run(progress=False)
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == ([4] if tail is None else [1, 2, 3, 4])


def test_settings_given_on_resuming_reach_the_optimisers(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "run")
    resumed = resume(tmp_path / "run", beta1=0.25)
    assert {o.param_groups[0]["betas"] for o in resumed.optimisers.values()} == {(0.25, 0.999)}


def test_random_numbers_of_another_kind_of_device_begin_anew(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "run")
    changed("draws", torch.zeros(16, dtype=torch.uint8))(tmp_path / "run" / "checkpoint.pt")  # as CUDA's
    resume(tmp_path / "run").run(progress=False)


def test_a_run_that_averaged_the_generator_alone_goes_on(tmp_path):
    trainer = tiny(tmp_path / "run", "negcut", steps=4)
    trainer.run(progress=False, stop_at=4)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    state["average"] = {k.replace("generator.", ""): v for k, v in state["average"].items()
                        if k == "n_averaged" or k.startswith("module.generator.")}  # fmt: skip
    del state["skipped"], state["metrics"]
    torch.save(state, tmp_path / "run" / "checkpoint.pt")
    again = resume(tmp_path / "run", steps=6)
    average = again.average.module
    for part, like in (("generator", trainer.average.module["generator"]), ("heads", trainer.method.heads)):
        assert same(average[part].state_dict(), like.state_dict())
    again.run(progress=False)
    assert again.step == 6


FULL = {100: "metrics.jsonl", 2000: "film", 5500: "samples", 80_000: "film", 120_000: "kept", 300_000: "checkpoint.pt"}


@pytest.mark.parametrize("room", FULL)
def test_a_full_disk_loses_nothing(room, tmp_path, monkeypatch):
    """Files may not grow beyond `room` bytes: one sentence, no part files, and with more room the run goes on."""
    settings = dict(steps=4, log_every=1, sample_every=2, save_every=2, keep=2, film=room in (2000, 80_000))
    whole_run = tiny(tmp_path / "whole", **settings)
    whole_run.run(progress=False)
    out = tmp_path / "part"
    trainer = tiny(out, **settings)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(ValueError, match=r"cannot be written \(.*\): make room there, then start again\.") as error:
            trainer.run(progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert "\n" not in str(error.value)
    assert not list(out.rglob("*.part")) and not (out / "checkpoint.pt").exists()
    again = tiny(out, **settings)
    again.run(progress=False)
    assert same(final(whole_run), final(again))
    for name in ("metrics.jsonl", "checkpoint.pt", "model.safetensors", "kept/0000002.safetensors"):
        assert (out / name).stat().st_size
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def test_a_full_disk_later_on(tmp_path):
    """What the checkpoint holds stays, and the advice is to resume."""
    settings = dict(steps=4, log_every=1, save_every=2)
    trainer = tiny(tmp_path, **settings)
    trainer.run(progress=False, stop_at=2)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    resumed = resume(tmp_path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "metrics.jsonl").stat().st_size + 50, hard))
    try:
        with pytest.raises(ValueError, match=r"then go on from the last checkpoint, `train --resume --out .*`\."):
            resumed.run(progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2  # no part of a line
    resume(tmp_path).run(progress=False)


def test_what_is_not_finite_is_not_written(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    trainer = resume(tmp_path / "run")
    with torch.no_grad():
        trainer.method.generator.model[1].weight[0] = float("inf")
    with pytest.raises(ValueError, match="At step 3 the run is not finite any more .*a smaller --lr"):
        checkpoint.write(trainer.state(), tmp_path / "run")
    trainer.follow()
    with pytest.raises(ValueError, match="not finite, in generator.model.1.weight"):
        trainer.save()
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before


def test_whole_or_nothing(tmp_path):
    path = tmp_path / ("n" * 251 + ".pt")  # as long as names may be
    with whole(path) as part:
        part.write_text("first")
    with pytest.raises(ZeroDivisionError), whole(path) as part:
        part.write_text("second")
        1 / 0
    with pytest.raises(ValueError, match=r"cannot be written \(Is a directory\)"), whole(tmp_path) as part:
        part.write_text("third")
    assert path.read_text() == "first" and [p.name for p in tmp_path.iterdir()] == [path.name]
