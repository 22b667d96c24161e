"""One run: its folder, what was ordered, where it stands, and the command that comes next.

<folder>/run.json       what was ordered, the state, the seconds used
<folder>/given/         the pictures as they came, until they are prepared
<folder>/data/          the pictures that are trained on, where they are not drawn on the way
<folder>/<method>/      a run of `qsneg.training.trainer` each
<folder>/log.txt        what the commands have said

All there is to know lies in the folder, so that a run outlives the app. The folder is named after a digest of the
secret address, which is written nowhere.
"""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from qsneg import image_io
from qsneg.config import DRAWN
from qsneg.filesystem import Unwritable, find_images, whole
from qsneg.learning.order import HEIGHTS, OWN, Order
from qsneg.training.checkpoint import NAME as CHECKPOINT
from qsneg.training.film import SIZE, strip
from qsneg.weights import read_metadata

WAITING, PREPARING, LEARNING = "waiting", "preparing", "learning"
STOPPED, DONE, FAILED = "stopped", "done", "failed"
MOVING = (WAITING, PREPARING, LEARNING)
FILMED = ("valA", "testA", "trainA")  # where the film's pictures are taken from: the first that has four
LOG_LINES = 30  # of the log that are shown
EVERY = ["--log-every", "10", "--save-every", "100", "--sample-every", "1000", "--evaluate-every", "0"]


def folder_name(secret: str) -> str:
    """The name of the folder of a run with this secret."""
    return hashlib.sha256(str(secret).encode("utf-8", "replace")).hexdigest()[:32]


@dataclass
class Run:
    """A run as run.json describes it."""

    folder: Path
    order: Order
    visitor: str = ""  # a digest of who ordered it last
    state: str = WAITING
    note: str = ""  # why it is in that state, for the visitor
    prepared: int = 0  # commands of `preparations` that have ended well
    seconds: dict[str, float] = field(default_factory=dict)  # used by each method, and to prepare the "pictures"
    over: list[str] = field(default_factory=list)  # methods that have had their part of the time
    allowed: float = 0.0  # seconds that all methods together may use
    preset: str = "small"
    device: str = "auto"
    process: int = 0  # the last one's number
    changed: float = field(default_factory=time.time)  # when the state changed

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """The run in a folder. Raises ValueError if there is none."""
        try:
            found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            order = Order(**found["order"] | {"methods": tuple(found["order"]["methods"])})
            return cls(**found | {"folder": folder, "order": order})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"There is no run in '{folder}' ({type(error).__name__}).") from None

    def write(self) -> None:
        """Keep what is known."""
        found = dataclasses.asdict(self)
        del found["folder"]
        with whole(self.folder / "run.json") as part:
            part.write_text(json.dumps(found), encoding="utf-8")

    def become(self, state: str, note: str = "") -> None:
        self.state, self.note, self.changed = state, note, time.time()
        with contextlib.suppress(Unwritable):  # on a full disk it is known as long as the app runs
            self.write()

    @property
    def is_moving(self) -> bool:
        return self.state in MOVING

    @property
    def used(self) -> float:
        """Seconds."""
        return sum(self.seconds.values())

    @property
    def is_done(self) -> bool:
        """Whether every method has had its steps."""
        return all(self.step(method) >= self.order.steps for method in self.order.methods)

    @property
    def data(self) -> str:
        return str(self.folder / "data") if self.order.domain in (HEIGHTS, OWN) else DRAWN

    def step(self, method: str) -> int:
        """The step of the weights that are there; 0 where there are none."""
        try:
            return int(read_metadata(self.folder / method / "model.safetensors")[1].get("steps", 0))
        except (ValueError, OSError):
            return 0

    def weights(self) -> dict[str, Path]:
        """The files of the methods that have weights."""
        return {m: self.folder / m / "model.safetensors" for m in self.order.methods if self.step(m)}

    def left(self) -> list[str]:
        """The methods that have neither had their steps nor their part of the time."""
        return [m for m in self.order.methods if m not in self.over and self.step(m) < self.order.steps]

    def part(self) -> float:
        """Seconds that the next method may use: what is left is shared by those that are left."""
        return max(0.0, self.allowed - self.used) / max(1, len(self.left()))

    def preparations(self) -> list[list[str]]:
        """Commands of qsneg that have to be run before training."""
        if self.order.domain == OWN:
            return [["data", "own", "--from", str(self.folder / "given"), "--out", self.data]]
        if self.order.domain == HEIGHTS:
            draw = ["draw", "--set", "heights", "--size", "160", "--out", self.data]
            return [[*draw, "--split", split, "--count", count] for split, count in (("test", "8"), ("train", "200"))]
        return []

    def next(self) -> tuple[str, list[str]] | None:
        """The method that comes next ("" for a preparation) and its command; None if there is nothing left to do."""
        if self.prepared < len(self.preparations()):
            return "", self.preparations()[self.prepared]
        if not (methods := self.left()) or self.used >= self.allowed:
            return None
        method = methods[0]
        out = ["--out", str(self.folder / method)]
        if (self.folder / method / CHECKPOINT).exists():
            return method, ["train", "--resume", *out]
        settings = ["--method", method, "--preset", self.preset, "--steps", str(self.order.steps), "--skip-small"]
        return method, ["train", self.data, *settings, "--device", self.device, *EVERY, *out]

    def has_prepared(self) -> None:
        """A preparation has ended well; after the last, pictures for the film are chosen."""
        self.prepared += 1
        if self.prepared == len(self.preparations()):
            shutil.rmtree(self.folder / "given", ignore_errors=True)
            for method in self.order.methods:
                self.choose_film(self.folder / method)
        self.write()

    def choose_film(self, out: Path) -> None:
        """Put four pictures of the run's own beside the film, which shows them then."""
        found = [find_images(Path(self.data) / name) for name in FILMED]
        paths = next((paths for paths in found if len(paths) >= 4), [])[:4]
        if not paths:
            return  # the film shows the pictures that it always shows
        out.mkdir(exist_ok=True)
        with contextlib.suppress(ValueError), whole(out / "film-source.webp") as part:
            strip([image_io.square(image_io.read(path), SIZE) for path in paths]).save(part, "WEBP", lossless=True)

    def log(self) -> str:
        """The last lines of what the commands have said, without the folder's path."""
        try:
            text = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
        return "\n".join(lines[-LOG_LINES:]).replace(f"{self.folder}/", "").replace(str(self.folder), "run")

    def bytes(self) -> int:
        """What the folder takes on the disk."""
        total = 0
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):  # it may have gone
                total += path.stat().st_size if path.is_file() else 0
        return total
