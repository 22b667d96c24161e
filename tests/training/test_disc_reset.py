"""The discriminator begins anew at a step that is set."""

import copy

import pytest
import torch

from qsneg.networks import Discriminator
from qsneg.training.commands import command
from qsneg.training.resuming import resume
from qsneg.training.trainer import Trainer
from qsneg.weights import read_metadata
from tests.conftest import run
from tests.training.runs import TINY, final, same, tiny


def distance(a: dict, b: dict) -> float:
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def counts(trainer: Trainer) -> dict[str, int]:
    """Updates that each optimiser remembers."""
    return {n: int(next(iter(o.state.values()))["step"]) for n, o in trainer.optimisers.items()}


@pytest.mark.parametrize("method", ["cut", "negcut"])
def test_it_is_a_fresh_one_at_that_step_and_nothing_else_is(method, tmp_path):
    trainer = tiny(tmp_path, method, steps=5, disc_reset=3, lr=1e-5)
    trainer.run(progress=False, stop_at=3)
    before = copy.deepcopy(final(trainer))
    trainer.run(progress=False, stop_at=4)
    torch.manual_seed(3)
    fresh = Discriminator(TINY["disc_width"]).state_dict()
    for there in (trainer.method.discriminator, trainer.average.module["discriminator"]):
        assert distance(there.state_dict(), fresh) < 2e-5  # one update, of Adam's first length, away
    after = final(trainer)
    for name in [name for name in before if name.endswith(".weight")]:
        far = distance({name: before[name]}, {name: after[name]})
        assert far > 1e-4 if "discriminator" in name else far < 2e-5, name
    assert counts(trainer) == {"D": 1} | {name: 4 for name in trainer.optimisers if name != "D"}


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_a_run_stopped_before_at_or_after_it_ends_as_if_it_had_not_been(stop, tmp_path):
    settings = dict(steps=6, disc_reset=3, save_every=1)
    whole = tiny(tmp_path / "whole", **settings)
    whole.run(progress=False)
    tiny(tmp_path / "part", **settings).run(progress=False, stop_at=stop)
    resumed = resume(tmp_path / "part", disc_reset=3)  # said again
    resumed.run(progress=False)
    assert same(final(whole), final(resumed)) and counts(resumed)["D"] == 3 and not resumed.stages
    plain = tiny(tmp_path / "plain", steps=6)
    plain.run(progress=False)
    assert not same(final(whole), final(plain))


@pytest.mark.parametrize("left", ["checkpoint.pt", "model.safetensors alone"])
def test_a_further_stage_begins_with_a_fresh_one(left, tmp_path):
    tiny(tmp_path, steps=3).run(progress=False)
    if "alone" in left:
        (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(ValueError, match="disc_reset must be at least 3, where the run stands, not 2"):
        resume(tmp_path, steps=5, disc_reset=2)
    resumed = resume(tmp_path, steps=5, disc_reset=3)
    resumed.run(progress=False)
    assert counts(resumed)["D"] == 2
    assert "--steps 5 --disc-reset 3" in command(*read_metadata(tmp_path / "model.safetensors"))


@pytest.mark.parametrize(
    "step, words", [("10", "disc_reset must be a step of the training's 10, not 10"), ("-1", "be at least 0, not -1")]
)
def test_a_step_that_is_not_the_runs_is_refused(step, words, tmp_path):
    ended = run("train", "horse2zebra-drawn", "--preset", "debug", "--disc-reset", step, "--out", tmp_path / "run")
    assert ended.code != 0 and words in " ".join(ended.err.split()) and "Traceback" not in ended.err
    assert not (tmp_path / "run").exists()
