"""Metrics to a tracker: a stand-in has the functions that trackio and wandb share, and writes down what it is told."""

import importlib.util
import json
import sys
import types

import pytest

from qsneg.training import tracking
from qsneg.training.commands import command
from qsneg.training.resuming import resume
from qsneg.weights import read_metadata
from tests.conftest import run
from tests.training.runs import tiny

TINY = "--preset debug --width 4 --disc-width 4 --scenes 4 --no-film --evaluate-every 0 --device cpu --log-every 2"


class Tracker(types.ModuleType):
    """`calls` are what it was told; the functions named in `broken` fail."""

    def __init__(self, name: str):
        super().__init__(name)
        self.calls, self.broken = [], set()
        self.__spec__ = importlib.util.spec_from_loader(name, None)

    def told(self, what: str, *values) -> None:
        self.calls.append((what, *values))
        if what in self.broken:
            raise RuntimeError("the server is on fire.\nTraceback")

    def init(self, **settings):
        self.told("init", settings)

    def log(self, values, step=None):
        self.told("log", values, step)

    def finish(self):
        self.told("finish")

    def of(self, what: str) -> list:
        return [call[1:] for call in self.calls if call[0] == what]


@pytest.fixture
def trackers(monkeypatch):
    """Stand-ins for both."""
    made = {name: Tracker(name) for name in tracking.TRACKERS}
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)
    return made


def train(out, *more):
    return run("train", "horse2zebra-drawn", *TINY.split(), "--steps", 5, "--out", out, *more)


def test_metrics_go_to_the_tracker_as_they_are_written(trackers, tmp_path):
    code, _, err = train(tmp_path / "zebra", "--track", "horses")
    assert code == 0, err
    tracker = trackers["trackio"]
    assert [call[0] for call in tracker.calls] == ["init", "log", "log", "log", "finish"]
    assert not trackers["wandb"].calls
    ((settings,),) = tracker.of("init")
    assert settings["project"] == "horses" and settings["name"].startswith("zebra-") and settings["resume"] == "allow"
    assert settings["config"]["width"] == 4 and settings["config"]["steps"] == 5 and "id" not in settings
    lines = [json.loads(line) for line in (tmp_path / "zebra" / "metrics.jsonl").read_text().splitlines()]
    assert [{"step": step, **values} for values, step in tracker.of("log")] == lines
    assert [step for _, step in tracker.of("log")] == [2, 4, 5] and "NCE" in lines[0]


def test_a_run_that_is_resumed_goes_on_in_the_same_place(trackers, tmp_path):
    """Neither told again nor of another name; and its card says nothing of it."""
    train(tmp_path / "run", "--track", "wandb/horses")
    code, _, err = run("train", "--resume", "--steps", 8, "--out", tmp_path / "run")
    assert code == 0, err
    first, again = (settings for (settings,) in trackers["wandb"].of("init"))
    assert first["name"] == first["id"] == again["id"] and again["project"] == "horses"
    assert [step for _, step in trackers["wandb"].of("log")][-1] == 8 and len(trackers["wandb"].of("finish")) == 2
    config, card = read_metadata(tmp_path / "run" / "model.safetensors")
    assert "track" not in command(config, card) and len(card["stages"]) == 1  # that of the steps
    run("train", "--resume", "--steps", 10, "--track", "other", "--out", tmp_path / "run")
    assert trackers["trackio"].of("init")[0][0]["name"] != first["name"]
    run("train", "--resume", "--steps", 12, "--track", "", "--out", tmp_path / "run")
    assert len(trackers["trackio"].of("init")) == 1  # no longer


def test_two_runs_have_two_names(trackers, tmp_path):
    for folder in ("a/run", "b/run"):
        tiny(tmp_path / folder, steps=1, track="horses").run(progress=False)
    first, second = (settings["name"] for (settings,) in trackers["trackio"].of("init"))
    assert first != second


@pytest.mark.parametrize("broken", ["init", "log", "finish"])
def test_what_fails_there_never_ends_a_run(trackers, tmp_path, capfd, broken):
    trackers["trackio"].broken = {broken}
    trainer = tiny(tmp_path, steps=4, log_every=1, track="horses")
    trainer.run(progress=False)
    said = capfd.readouterr().err
    assert trainer.step == 4 and (tmp_path / "model.safetensors").is_file()
    assert said.count("Not tracked from here on: the server is on fire. Traceback. The training goes on.") == 1
    assert len([call for call in trackers["trackio"].calls if call[0] == broken]) == 1


def test_a_run_that_is_stopped_ends_there_too(trackers, tmp_path, monkeypatch):
    trainer = tiny(tmp_path, steps=4, track="horses")
    monkeypatch.setattr(trainer, "train_step", lambda x, y: (_ for _ in ()).throw(ValueError("no")))
    with pytest.raises(ValueError, match="no"):
        trainer.run(progress=False)
    assert [call[0] for call in trackers["trackio"].calls] == ["init", "finish"]


def test_others_than_the_first_process_say_nothing(trackers, tmp_path, monkeypatch):
    trainer = tiny(tmp_path, steps=1, track="horses")
    monkeypatch.setattr(trainer.processes, "rank", 1)
    trainer.run(progress=False)
    assert not trackers["trackio"].calls


def test_a_sentence_where_there_is_no_tracker(monkeypatch, tmp_path, capfd):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        tracking.importlib.util, "find_spec", lambda n, *a: None if n in tracking.TRACKERS else found(n, *a)
    )
    for name, words in (
        ("horses", "no trackio nor wandb here"), ("wandb/horses", "pip install wandb"), ("a/b", "no name of a project"),
        ("wandb/", "no name of a project"), ("../x", "no name of a project"),
    ):  # fmt: skip
        code, _, err = train(tmp_path / "run", "--track", name)
        assert code == 2 and words in err and err.count("\n") == 1 and not (tmp_path / "run").exists()
    tiny(tmp_path / "run", steps=2, track="horses").run(progress=False)  # resumed where there is none, say
    assert "Not tracked from here on: There is no trackio" in capfd.readouterr().err
    assert resume(tmp_path / "run").step == 2
