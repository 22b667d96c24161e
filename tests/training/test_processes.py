"""Several processes that train one model, started by torchrun over gloo: one start for two of them, one for three, and
one in which a process is killed. What is seen from inside is in tests/training/replicas.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from qsneg import methods
from qsneg.config import build, trained_methods
from qsneg.data.unpaired import Unpaired
from qsneg.training import checkpoint
from qsneg.training.commands import command
from qsneg.weights import read_metadata
from tests.conftest import run
from tests.training.replicas import in_double, one_step, settings
from tests.training.runs import TINY, tiny

FLAGS = "--preset debug --autocast off --device cpu --no-film --evaluate-every 0 --width 4 --disc-width 4 --scenes 4"


def torchrun(size: int, *arguments) -> subprocess.CompletedProcess:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", size, *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(list(map(str, start)), capture_output=True, text=True, timeout=600, env=environment)


@pytest.fixture(scope="module", params=[2, 3])
def together(request, tmp_path_factory):
    """Number of processes, and the folder that they left."""
    out = tmp_path_factory.mktemp(f"together{request.param}")
    ended = torchrun(request.param, "-m", "tests.training.replicas", out)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert len(list(out.glob("seen-*"))) == request.param
    return request.param, out


@pytest.mark.parametrize("method", trained_methods())
def test_gradients_are_those_of_one_process_with_a_batch_of_all(method, together):
    size, out = together
    alone = tiny(out / "alone", **settings(method), batch=size)
    expected, found = one_step(in_double(alone, methods.Draws(7))), torch.load(out / f"{method}.pt")
    assert ((found - expected).norm() / expected.norm()).item() < 1e-10
    single = in_double(tiny(out / "single", **settings(method)), methods.Draws(7))
    assert ((one_step(single) - expected).norm() / expected.norm()).item() > 1e-3  # the comparison can fail


def test_the_number_is_in_card_and_checkpoint_and_stays(together):
    size, out = together
    config, card = read_metadata(out / "cut" / "whole" / "model.safetensors")
    assert card["processes"] == checkpoint.read(out / "cut" / "whole")["processes"] == size
    assert command(config, card).startswith(f"torchrun --nproc-per-node {size} -m qsneg train horse2zebra-drawn ")
    code, _, err = run("train", "--resume", "--out", out / "stopped")
    assert code == 2 and f"was trained by {size} processes and cannot go on with 1" in err
    assert f"`torchrun --nproc-per-node {size} -m qsneg train --resume --out {out / 'stopped'}`" in err


@pytest.mark.parametrize("size", [2, 3])
def test_data_are_a_function_of_step_rank_and_size(size):
    config = build("cut", degrade=0.5, **TINY)[1]
    wide = build("cut", degrade=0.5, batch=size, **TINY)[1]
    for step in range(3):
        parts = [Unpaired(config, rank, size)[step] for rank in range(size)]
        for i, whole in enumerate(Unpaired(wide)[step][:2]):
            assert torch.equal(torch.cat([part[i] for part in parts]), whole)
    assert Unpaired(config, 0, size).epoch() == Unpaired(wide).epoch() == -(-4 // size)


KILLED = """
import os, signal
from qsneg.training.trainer import Trainer

step = Trainer.train_step

def killed(trainer, x, y):
    if trainer.processes.rank == 1 and trainer.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(trainer, x, y)

Trainer.train_step = killed
from qsneg.__main__ import main
main()
"""


def test_a_process_that_dies_ends_the_run_with_its_last_checkpoint(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    start = ["horse2zebra-drawn", "--steps", 5, "--save-every", 2, *FLAGS.split(), "--out", tmp_path / "run"]
    ended = torchrun(2, tmp_path / "killed.py", "train", *start)
    assert ended.returncode and "Error: Another process of this training has ended" in ended.stderr
    assert ended.stderr.count("\nError: ") == 1 and "qsneg/training" not in ended.stderr  # no traceback of ours
    assert ended.stdout.count("2 processes train together, each on a batch of 1.") == 1
    state = checkpoint.read(tmp_path / "run")
    assert state["step"] == 2 and not list((tmp_path / "run").glob(".*.part"))
