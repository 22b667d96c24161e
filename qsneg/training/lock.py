"""One training at a time in a folder.

with alone(Path("runs/cut")):
    train()
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

HELD: set[tuple[int, int]] = set()  # folders that this process holds: its own locks never stand in its way


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder. The system lets go of it when the process ends, however it ends (and worker processes do not
    inherit it), so that the file `.lock` that stays is no obstacle.

    Raises:
        ValueError: if another training holds it.
        OSError: if there is no room for the file.
    """
    place = os.stat(folder)
    key = (place.st_dev, place.st_ino)
    if key in HELD:
        raise ValueError(taken(folder, f"process {os.getpid()}, which is this one"))
    with (folder / ".lock").open("a+") as file:
        if fcntl:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                file.seek(0)
                raise ValueError(taken(folder, file.read(200).strip() or "another process")) from None
            except OSError:  # a file system that knows no locks
                pass
        with contextlib.suppress(OSError):  # no room for the note: the lock holds without
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
        HELD.add(key)
        try:
            yield
        finally:
            HELD.discard(key)


def taken(folder: Path, holder: str) -> str:
    return f"A training in '{folder}' is under way already ({holder}): wait for it or stop it, or choose another --out."
