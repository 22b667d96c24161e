"""What a bench has at work in processes of their own ends with it, however it ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.learning.conftest import until

WAITS = """
import os, time
from pathlib import Path
from tests.evaluation.test_side_process import at_work
from qsneg.evaluation import side_process
if __name__ == "__main__":
    side_process.start(at_work, {note!r}).join()
"""


def at_work(note: str) -> None:
    """In the process beside: tells its number and works on."""
    with open(note + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.replace(note + ".part", note)
    time.sleep(60)


def is_there(number: int) -> bool:
    """Whether a process is still at work, one that waits to be collected aside."""
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_the_process_that_began_it(tmp_path, how):
    note, script = tmp_path / "note", tmp_path / "bench_alone.py"
    script.write_text(WAITS.format(note=str(note)))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH"))))
    }
    parent = subprocess.Popen(
        [sys.executable, script],
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # the tests themselves may run in the background
    )
    try:
        until(note.is_file)
        number = int(note.read_text())
        assert is_there(number)
        os.kill(parent.pid, how)
        parent.wait(20)
        until(lambda: not is_there(number))
    finally:
        parent.kill()
