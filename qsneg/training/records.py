"""What a run writes on its way: losses and figures, sample grids, the film, weights.

metrics.jsonl                a line every `log_every` steps: means of the losses since the last, figures if due
samples/<step>.jpg           sources above, translations below
film/                        see `qsneg.training.film`
kept/<step>.safetensors      weights at `keep` evenly spaced steps
best.safetensors             the weights of the best figure on validation pictures, where there are any
tracking.json                what the run is called by a tracker, see `qsneg.training.tracking`
checkpoint.pt, model.safetensors
"""

import json
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.utils import make_grid
from tqdm import tqdm

from qsneg.config import DRAWN, TrainConfig
from qsneg.data import arrays
from qsneg.data.unpaired_arrays import listed
from qsneg.filesystem import Unwritable, find_images, whole
from qsneg.image_io import for_people, readable, resize_short, to_image, to_tensor
from qsneg.rendering.sample_pictures import for_film
from qsneg.training.film import SIZE, Film, gather
from qsneg.training.tracking import Tracking
from qsneg.weights import read_metadata, save

PARTS = tuple(f"{folder}.????????.part" for folder in ("", "samples/", "film/", "kept/"))  # of a run that was killed
WRITTEN = ("samples/*[0-9].jpg", "film/*[0-9].npz", "film/*.webp", "film/film.npz", "kept/*[0-9].safetensors",
           "best.safetensors", "tracking.json")  # of a run that stopped before its first checkpoint  # fmt: skip
SHOWN = ("G_GAN", "NCE", "D_real", "D_fake", "N")  # losses beside the progress bar


class Records:
    """Writes what is due after each step of a trainer."""

    def __init__(self, trainer, bar: tqdm):
        self.trainer, self.bar, c = trainer, bar, trainer.config
        out, model = trainer.out, trainer.model
        self.metrics, self.losses = trainer.metrics, Losses()
        clear(out, PARTS if trainer.step else PARTS + WRITTEN)
        self.metrics.begin()
        self.film = (
            Film(out / "film", partial(for_film, c.data, SIZE), trainer.steps, model.layers)
            if c.film and model.rgb
            else None
        )
        self.samples = sample_inputs(c, self.film) if model.rgb else sample_arrays(c, model.domains[0])
        self.board = tensorboard(out)
        self.kept = {round(trainer.steps * (i + 1) / c.keep) for i in range(c.keep)}
        self.said = sum(int(s) for s in trainer.skipped.values())
        if trainer.step == 0:
            self.film_frame()
        settings = {**asdict(model), **asdict(c), "data": Path(c.data).name, "steps": trainer.steps}
        self.tracking = Tracking(c.track, out, settings, self.say) if c.track else None

    def after_step(self, losses: dict[str, Tensor], final: bool) -> bool:
        """Everything that is due now; at the `final` step of this call, all. Returns whether a checkpoint is."""
        t, c, step = self.trainer, self.trainer.config, self.trainer.step
        self.losses.add(losses)
        found, best = {}, False
        if c.evaluate_every and (step % c.evaluate_every == 0 or step == t.steps):
            self.bar.set_postfix_str("measuring validation pictures")
            found = t.evaluate()
            best = bool(found) and t.best() is t.history[-1]
        if step % c.log_every == 0 or final or found:
            self.log(found)
        self.film_frame()
        if self.samples and (step % c.sample_every == 0 or final):
            with whole(t.out / "samples" / f"{step:07d}.jpg") as part:
                sample_grid(self.samples, t.translate).save(part, "JPEG", quality=90)
        if step in self.kept:
            save(t.weights(), t.out / "kept" / f"{step:07d}.safetensors")
        if self.film and step == t.steps:
            gather(self.film.folder)
        if best:
            save(t.weights(), t.out / "best.safetensors")
        return step % c.save_every == 0 or final or best  # the last, so that best and history agree after a crash

    def log(self, found: dict[str, float]) -> None:
        """A line of metrics; what was skipped is said."""
        t = self.trainer
        means = self.losses.means()
        self.losses = Losses()
        t.refuse_to_stall()
        skipped = sum(int(s) for s in t.skipped.values())
        if skipped > self.said:
            self.say(f"Skipped {skipped - self.said} update(s) whose gradient was not finite.")
            self.said = skipped
        values = {k: round(v, 6) for k, v in (means | found).items()}
        line = {**values, "lr": t.learning_rate(t.step), "seconds": round(t.seconds, 1), "broken": len(t.broken)}
        self.metrics.append({"step": t.step, **line, "skipped": skipped})
        if self.tracking:
            self.tracking.log(line | {"skipped": skipped}, t.step)
        self.bar.set_postfix({k: f"{v:.2f}" for k, v in means.items() if k in SHOWN})
        if self.board:
            try:
                for name, value in values.items():
                    self.board.add_scalar(name, value, t.step)
                self.board.flush()
            except OSError as error:
                raise Unwritable(t.out / "tensorboard", error) from None

    def film_frame(self) -> None:
        t = self.trainer
        if self.film and self.film.due(t.step):
            self.film.record(t.step, t.average.module["generator"], t.device)

    def say(self, text: str) -> None:
        try:
            self.bar.write(text, file=sys.stderr)
        except OSError:  # a terminal that was closed
            pass


@contextmanager
def recording(trainer, bar: tqdm) -> Iterator[Records | None]:
    """The records of a trainer, closed at the end; None but in the first of several processes."""
    records = Records(trainer, bar) if trainer.processes.first else None
    try:
        yield records
    finally:
        if records and records.tracking:
            records.tracking.close()


def kept(run: Path | str) -> dict[int, Path]:
    """The weights that a run kept on its way, by step, and at the end its latest.

    Raises:
        FileNotFoundError: if there is no such run.
        ValueError: if it kept none.
    """
    run = Path(run)
    if not (run / "model.safetensors").is_file():
        raise FileNotFoundError(f"'{run}' is no folder of a training run: it has no model.safetensors.")
    found = {int(path.stem): path for path in sorted((run / "kept").glob("*[0-9].safetensors")) if path.stem.isdigit()}
    if not found:
        raise ValueError(f"'{run}' kept no weights on its way: train with --keep 10, say.")
    last = read_metadata(run / "model.safetensors")[1].get("steps", 0)
    return found | {last: run / "model.safetensors"} if last > max(found) else found


def clear(out: Path, patterns: tuple[str, ...]) -> None:
    """Remove what an earlier run left in its folder, and nothing else that may lie there."""
    for pattern in patterns:
        for path in out.glob(pattern):
            path.unlink()


class Losses:
    """Means of losses over the steps in which they were finite. Stays on the device: no synchronisation."""

    def __init__(self):
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}

    def add(self, losses: dict[str, Tensor]) -> None:
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0) + loss.nan_to_num(0, 0, 0)
            self.counts[name] = self.counts.get(name, 0) + loss.isfinite()

    def means(self) -> dict[str, float]:
        """Without those that were never finite."""
        return {name: float(total / self.counts[name]) for name, total in self.sums.items() if self.counts[name]}


class Metrics:
    """The file metrics.jsonl, as long as its checkpoint says: lines written after it are dropped, perhaps in part."""

    def __init__(self, path: Path):
        self.path, self.length, self.crc = path, 0, 0

    def mark(self) -> dict[str, int]:
        """Length and CRC-32 of what was written, for the checkpoint."""
        return {"length": self.length, "crc": self.crc}

    def restore(self, mark: dict | None, step: int) -> None:
        """Find out where a file ends that is to be continued from `step`; without a mark, of an older version, by its
        lines. A file that is not there begins anew.

        Raises:
            ValueError: if it is not what the run wrote.
        """
        if not os.path.lexists(self.path):
            return
        data = self.path.read_bytes() if self.path.is_file() else None
        self.length = None if data is None else length_until(data, step) if mark is None else mark.get("length")
        if data is None or not isinstance(self.length, int) or not 0 <= self.length <= len(data) or (
            mark and zlib.crc32(data[: self.length]) != mark.get("crc")
        ):  # fmt: skip
            raise ValueError(
                f"'{self.path}' is not what this run wrote up to step {step} (damaged, changed or of another run): "
                "move it away, and the run goes on with a new one."
            )
        self.crc = zlib.crc32(data[: self.length])

    def begin(self) -> None:
        """Cut off what lies beyond."""
        if self.path.exists():
            os.truncate(self.path, self.length)

    def append(self, line: dict) -> None:
        """Raises Unwritable, and leaves the file as it was, if there is no room."""
        data = (json.dumps(line) + "\n").encode()
        try:
            with self.path.open("ab") as file:
                file.write(data)
        except OSError as error:
            if self.path.is_file():
                os.truncate(self.path, self.length)
            raise Unwritable(self.path, error) from None
        self.length, self.crc = self.length + len(data), zlib.crc32(data, self.crc)

    def add(self, figures: list[dict]) -> None:
        """Put figures that were taken afterwards into the lines of their steps, or in between where there are none."""
        lines = [json.loads(line) for line in self.path.read_bytes()[: self.length].splitlines()] if self.length else []
        rows = {line["step"]: line for line in lines}
        for entry in figures:
            rows[entry["step"]] = rows.get(entry["step"], {}) | entry
        data = b"".join(json.dumps(rows[step]).encode() + b"\n" for step in sorted(rows))
        with whole(self.path) as part:
            part.write_bytes(data)
        self.length, self.crc = len(data), zlib.crc32(data)


def length_until(data: bytes, step: int) -> int | None:
    """How many bytes hold whole lines up to a step; None if they are no metrics."""
    length = 0
    for line in data.splitlines(keepends=True):
        try:
            found = json.loads(line)["step"]
            if found > step:
                break
        except (
            ValueError,
            TypeError,
            KeyError,
            RecursionError,
        ):  # torn at the end, or no metrics
            return length if not line.endswith(b"\n") else None
        length += len(line)
    return length


def sample_inputs(config: TrainConfig, film: Film | None) -> list[Tensor]:
    """The sources of the sample grid: the film's pictures, then four of valA, or of trainA where there is none."""
    images = list(film.images) if film else []
    if config.data != DRAWN:
        valid = Path(config.data) / "valA"
        folder = valid if find_images(valid) else Path(config.data) / "trainA"
        images += [resize_short(picture, config.crop) for picture in islice(readable(folder), 4)]
    side = film.images[0].width if images and film else config.crop
    return [to_tensor(i.resize((side // 4 * 4,) * 2)) for i in images]


def sample_arrays(config: TrainConfig, channels: int) -> list[Tensor]:
    """As `sample_inputs`, of the first pictures of trainA, where they are not RGB."""
    side = config.crop // 4 * 4
    found = [arrays.read(path, channels)[0] for path in listed(Path(config.data) / "trainA")[:4]]
    crops = [arrays.resized(values, side)[:side, :side] for values in found]
    return [2 * torch.from_numpy(np.ascontiguousarray(v)).permute(2, 0, 1)[None] - 1 for v in crops]


def sample_grid(samples: list[Tensor], translate):
    """Sources above, translations below."""
    pictures = torch.cat([for_people(x) for x in samples] + [for_people(translate(x).cpu()) for x in samples])
    return to_image(make_grid(pictures, nrow=len(samples), padding=4, pad_value=1.0))


def tensorboard(out: Path):
    """A TensorBoard writer, or None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(out / "tensorboard")
