"""A command of qsneg's in a session of its own: begun at the lowest priority, held while others come first, ended.

    process = begin([*PROGRAM, "train", …], run.folder, priority=19)
    hold(process); go_on(process)          # it and what it has started
    tell_to_end(process); kill(process)    # SIGTERM, which it answers by saving; at once

It outlives a closed tab, and whatever becomes of it, the app is told by its exit code and the last line that it said.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import qsneg

PROGRAM = (sys.executable, "-m", "qsneg")


def begin(command: list[str], folder: Path, priority: int) -> subprocess.Popen:
    """Start a command in a folder, on one core less than there are, its words in the folder's log.

    priority: how nice it is, 0 to 19. Raises OSError if there is no such program.
    """
    threads = str(max(1, (os.cpu_count() or 2) - 1))
    root = str(Path(qsneg.__file__).parents[1])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": threads, "TQDM_MININTERVAL": "10"}
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with contextlib.suppress(OSError, AttributeError):  # it may be over, or Windows
        os.setpriority(os.PRIO_PROCESS, process.pid, priority)
    return process


def hold(process: subprocess.Popen) -> None:
    """Halt a process and what it has started, where the system can (Windows cannot), until `go_on`."""
    if process.returncode is None:
        tell_all(process.pid, "SIGSTOP")


def go_on(process: subprocess.Popen) -> None:
    """Let them go on; nothing where they do."""
    tell_all(process.pid, "SIGCONT")


def tell_to_end(process: subprocess.Popen) -> None:
    """Tell a process to save and end, held or not."""
    process.terminate()
    go_on(process)


def kill(process: subprocess.Popen) -> None:
    """End a process and what it has started, at once."""
    tell_all(process.pid, "SIGKILL")
    with contextlib.suppress(OSError):
        process.kill()


def stop_orphan(number: int, folder: Path) -> None:
    """Tell a process to end that was left by an app which ended without a word, if it is still that of the folder."""
    with contextlib.suppress(OSError, AttributeError):  # no such process, or a system without /proc
        if folder.name.encode() in Path(f"/proc/{number}/cmdline").read_bytes():
            os.kill(number, signal.SIGTERM)
            tell_all(number, "SIGCONT")  # that app may have held it


def tell_all(number: int, name: str) -> None:
    """Send a signal to a session's processes; nothing where they are over, or on Windows."""
    with contextlib.suppress(OSError, AttributeError):
        os.killpg(number, getattr(signal, name))
