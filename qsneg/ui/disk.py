"""What visitors' files take on the disk: uploads and results lie in one folder, together within a limit, and the oldest
go first.

    DISK.write("qsneg-cut.png", data)                                   # a result
    demo.launch(app_kwargs={"middleware": [Middleware(Uploads)]})       # what comes in

The runs of the page Learn lie in a folder of their own below it, which does not count: they have a bound of their own
(`qsneg.learning.order`), and none goes while somebody may come back to it.
"""

import contextlib
import hashlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qsneg.filesystem import Unwritable, whole
from qsneg.ui import limits

FULL = "The server has no room for more files at the moment: try again in a few minutes."


class Disk:
    """gradio's folder of files, which `limit` bytes bound."""

    def __init__(self, limit: int = limits.DISK_BYTES):
        self.limit, self.lock = limit, threading.RLock()
        self.taken: int | None = None  # bytes, by the last look and what was written since
        self.coming = 0  # bytes of uploads that are under way
        self.pinned: set[Path] = set()

    @property
    def folder(self) -> Path:
        return Path(get_upload_folder())

    @property
    def apart(self) -> Path:
        """Where the runs of the page Learn lie, which do not count."""
        return self.folder / "learn"

    def files(self) -> list[tuple[float, int, Path]]:
        """When each file was used last, its bytes, its path."""
        found, apart = [], self.apart
        for path in self.folder.rglob("*"):
            if path.is_relative_to(apart):
                continue
            with contextlib.suppress(OSError):  # it may have gone
                if path.is_file():
                    status = path.stat()
                    found.append((max(status.st_atime, status.st_mtime), status.st_size, path))
        return found

    def pin(self) -> None:
        """What lies there now stays: the first page shows it to everybody."""
        self.pinned = {path for _, _, path in self.files()}

    def room(self) -> int:
        """Bytes that can still come: by the limit, and on the disk."""
        return min(self.limit - self.taken - self.coming, shutil.disk_usage(self.folder).free)

    def make_room(self, size: int) -> bool:
        """Let the oldest files go until `size` bytes can come, and no further; whether they can."""
        with self.lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.taken is None or self.room() < size:
                files = self.files()
                self.taken = sum(size for _, size, _ in files)
                for _, each, path in sorted(files):
                    if self.room() >= size:
                        break
                    if path not in self.pinned:
                        with contextlib.suppress(OSError):
                            path.unlink()
                            self.taken -= each
                        if path.parent != self.folder:
                            with contextlib.suppress(OSError):  # other files are in it
                                path.parent.rmdir()
            return self.room() >= size

    def write(self, name: str, data: bytes) -> Path:
        """Keep a file for download, under a folder named after its content. One that is there already is left as it is:
        somebody may be fetching it.

        Raises:
            ValueError: if there is no room for it.
        """
        path = self.folder / hashlib.sha256(data).hexdigest() / name
        with self.lock:
            with contextlib.suppress(OSError):
                if path.stat().st_size == len(data):
                    path.touch()  # used again
                    return path
            try:
                if not self.make_room(len(data)):
                    raise ValueError(FULL)
                with whole(path, lasting=False) as part:
                    part.write_bytes(data)
            except Unwritable:  # somebody else was faster
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
                raise ValueError(FULL) from None
            self.taken += len(data)
        return path

    @contextlib.contextmanager
    def upload(self, size: int) -> Iterator[bool]:
        """Room for an upload while it comes in; False where there is none."""
        with self.lock:
            has_room = self.make_room(size)
            self.coming += size * has_room
        try:
            yield has_room
        finally:
            with self.lock:
                self.coming -= size * has_room
                self.taken = None  # look again: it may have come whole, in part or not at all


DISK = Disk()


class Uploads:
    """Around gradio's server: an upload that is too large, or for which there is no room, is refused before it comes."""

    def __init__(self, app: ASGIApp, disk: Disk = DISK):
        self.app, self.disk = app, disk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].rstrip("/").endswith("/upload"):
            return await self.app(scope, receive, send)
        length = Headers(scope=scope).get("content-length", "")
        if not length.isdecimal() or int(length) > limits.REQUEST_BYTES:
            most = f"{limits.REQUEST_BYTES >> 20} MB"
            return await PlainTextResponse(f"At most {most} are taken at once: send less.", 413)(scope, receive, send)
        with self.disk.upload(int(length)) as has_room:
            answer = self.app if has_room else PlainTextResponse(FULL, 507)
            await answer(scope, receive, send)
