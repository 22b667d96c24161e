"""Ctrl-C, SIGTERM and SIGHUP let the step at work finish and lose nothing; what is ignored stays ignored."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time

import pytest
import torch

from qsneg.training.resuming import resume
from tests.training.runs import final, same, tiny

FLAGS = "--preset debug --autocast off --device cpu --no-film --evaluate-every 0 --width 4 --disc-width 4 --scenes 4"
LONG = [sys.executable, "-m", "qsneg", "train", "horse2zebra-drawn", "--steps", "100000", "--save-every", "5",
        *FLAGS.split()]  # fmt: skip


@pytest.fixture
def as_in_a_terminal():
    """Signals end the process, wherever the tests run: shells start what is in the background to ignore Ctrl-C."""
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_finishes_the_step_and_loses_nothing(number, tmp_path, capsys, as_in_a_terminal):
    whole, part = (tiny(tmp_path / name, steps=6, save_every=100) for name in ("whole", "part"))
    whole.run(progress=False)
    step, before = part.train_step, signal.getsignal(number)
    part.train_step = lambda x, y: part.step == 1 and signal.raise_signal(number) or step(x, y)
    with pytest.raises((KeyboardInterrupt, SystemExit)) as end:
        part.run(progress=False)
    assert isinstance(end.value, KeyboardInterrupt) if number == signal.SIGINT else end.value.code == 128 + number
    assert part.step == 2 and "Saved at step 2" in capsys.readouterr().err
    assert signal.getsignal(number) is before
    resumed = resume(tmp_path / "part")
    resumed.run(progress=False)
    assert same(final(whole), final(resumed))
    lines = (tmp_path / "part" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_ignored_where_it_was(number, tmp_path, as_in_a_terminal):
    """By nohup, and by shells for what is in the background."""
    signal.signal(number, signal.SIG_IGN)
    trainer = tiny(tmp_path, steps=3)
    step = trainer.train_step
    trainer.train_step = lambda x, y: signal.raise_signal(number) or step(x, y)
    trainer.run(progress=False)
    assert trainer.step == 3 and signal.getsignal(number) is signal.SIG_IGN


def test_a_second_signal_stops_at_once(tmp_path, as_in_a_terminal):
    trainer = tiny(tmp_path, steps=6)

    def pressed(x, y):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")

    trainer.train_step = pressed
    with pytest.raises(KeyboardInterrupt):
        trainer.run(progress=False)
    assert not (tmp_path / "checkpoint.pt").exists()


def begun(run) -> int:
    """Waits for the first checkpoint of a run in another process."""
    until = time.monotonic() + 120
    while not (run / "checkpoint.pt").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    return torch.load(run / "checkpoint.pt", weights_only=True)["step"]


def test_a_cluster_that_ends_the_whole_group(tmp_path):
    """SIGTERM reaches the worker processes, too: they leave it to the one that trains."""
    command = [*LONG, "--workers", "1", "--out", tmp_path]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    before = begun(tmp_path)
    os.killpg(process.pid, signal.SIGTERM)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM and "Traceback" not in error
    step = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"]
    assert step >= before and f"Saved at step {step}" in error
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # no worker is left


def test_a_terminal_that_is_closed(tmp_path):
    """Neither SIGHUP nor an output that is gone loses anything."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))

    def in_this_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup

    process = subprocess.Popen([*LONG, "--save-every", "100000", "--out", tmp_path], stdin=theirs, stdout=theirs,
                               stderr=theirs, preexec_fn=in_this_terminal)  # fmt: skip
    os.close(theirs)
    while not (tmp_path / "metrics.jsonl").exists():
        assert os.read(ours, 1000)  # what it shows
    os.close(ours)
    assert process.wait(timeout=120) == 128 + signal.SIGHUP
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] >= 1
