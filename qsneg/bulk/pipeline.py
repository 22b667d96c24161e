"""Many pictures through one network: the next are read while it computes, equal sizes go through it together, and
results are written behind it.

    for job in translated(translator, [Job(Path("a.jpg"), Path("out/a.jpg"))], save):
        print(job.target, job.failed)

Which pictures go together depends on their order alone, so that a run repeats itself. A picture of more than `LARGE`
pixels is neither read ahead nor joined by others: what waits in memory stays bounded.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qsneg.bulk.tiles import HALO, TILE, translate_in_tiles
from qsneg.data import arrays
from qsneg.filesystem import Unwritable, clause
from qsneg.image_io import NOTE, read, resize_short, to_bytes
from qsneg.memory_limits import TooLarge, check_fits
from qsneg.translate import MARGIN, Translator

BATCH = {"cuda": 8}  # pictures that go through the network together; elsewhere one (more is not measured yet)
LARGE = 4_000_000
THREADS = min(16, os.cpu_count() or 1)


@dataclass(eq=False)
class Job:
    """A picture to translate and where to; afterwards, why it failed, and what is to be said about its range."""

    source: Path
    target: Path
    failed: str = ""
    note: str = ""
    picture: np.ndarray | None = None  # H×W×3 bytes, or H×W×C values from 0 to 1, between reading and translating
    large: bool = False
    tiled: bool = False


class Large(TooLarge):
    """A picture is too large to be read ahead."""


def translated(
    translator: Translator,
    jobs: Sequence[Job],
    save: Callable[[Image.Image, Path], None],
    size: int | None = None,
    margin: int = MARGIN,
    white: float | None = None,
    batch: int = 0,
    tile: bool = False,
) -> Iterator[Job]:
    """Do the jobs, and give each when it is done: its result written, or the sentence why not.

    Args:
        save: writes a picture to a path; raises ValueError if it cannot be.
        size, margin, white: as in `Translator.translate`.
        batch: how many of equal size are translated together; 0: those of BATCH.
        tile: translate in tiles; otherwise only what would not fit in memory.
    """
    batch = batch or BATCH.get(translator.device.type, 1)

    def prepare(job: Job, ahead: bool = True) -> Job:
        try:
            job.picture, job.note, job.tiled = picture_of(translator, job.source, size, margin, white, tile, ahead)
        except Large:
            job.large = True
        except (ValueError, FileNotFoundError) as error:
            job.failed = str(error)
        return job

    readers, writers = ThreadPoolExecutor(THREADS), ThreadPoolExecutor(THREADS)
    writing: deque[Future[Job]] = deque()
    try:
        for group in equal_sizes(in_order(readers, prepare, jobs, batch + THREADS), batch):
            if group[0].large:
                group = [prepare(group[0], ahead=False)]
            for job, result in zip(group, results(translator, group, margin)):
                writing.append(writers.submit(write, save, job, result) if result is not None else done(job))
            limit = 0 if group[0].large else batch + THREADS
            while len(writing) > limit:
                yield writing.popleft().result()
        while writing:
            yield writing.popleft().result()
    finally:  # also where it is interrupted
        for pool in (readers, writers):
            pool.shutdown(cancel_futures=True)


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[Job], Job], jobs: Iterable[Job], ahead: int
) -> Iterator[Job]:
    """`function` of every job, in order; `ahead` of them are at work, or wait."""
    futures: deque[Future[Job]] = deque()
    for job in jobs:
        futures.append(pool.submit(function, job))
        if len(futures) > ahead:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()


def equal_sizes(jobs: Iterable[Job], most: int) -> Iterator[list[Job]]:
    """Jobs in groups of up to `most` pictures of one size, few of which wait; what failed, or is large, goes alone."""
    waiting: dict[tuple, list[Job]] = {}
    for job in jobs:
        if job.picture is None:
            yield [job]
            continue
        group = waiting.setdefault(job.picture.shape, [])
        group.append(job)
        if len(group) == most:
            yield waiting.pop(job.picture.shape)
        elif sum(map(len, waiting.values())) >= 4 * most:
            yield waiting.pop(next(iter(waiting)))  # who has waited longest
    yield from waiting.values()


def results(translator: Translator, group: list[Job], margin: int) -> list[Tensor | None]:
    """The translations of a group, on the device: H×W×3 bytes each, of other channels values from 0 to 1; None, and the
    reason in the job, where it failed. What does not fit together is translated one by one."""
    if group[0].picture is None:
        return [None]
    if group[0].tiled:
        try:
            found = [torch.from_numpy(in_tiles(translator, group[0].picture, margin))]
        except (TooLarge, OSError) as error:
            group[0].failed, found = str(error), [None]
        group[0].picture = None
        return found
    pictures = torch.from_numpy(np.stack([job.picture for job in group]))
    try:
        if len(group) > 1:
            size = (pictures.shape[2], pictures.shape[1])
            check_fits(size, translator.config.width, translator.device, len(group), margin=margin)
        found = list(translate_pictures(translator, pictures, margin))
    except TooLarge as error:
        if len(group) > 1:
            return [result for job in group for result in results(translator, [job], margin)]
        group[0].failed, found = str(error), [None]
    for job in group:
        job.picture = None
    return found


def translate_pictures(translator: Translator, pictures: Tensor, margin: int) -> Tensor:
    """Pictures as `picture_of` gives them, B×H×W×a, to B×H×W×b: bytes where b is 3, else values from 0 to 1."""
    if translator.config.rgb:
        return translator.translate_bytes(pictures, margin)
    y = translator.translate_tensor(2 * pictures.permute(0, 3, 1, 2) - 1, margin).permute(0, 2, 3, 1)
    return to_bytes(y) if y.shape[3] == 3 else (y + 1) / 2


def fits(translator: Translator, shape: tuple[int, int], size: int | None, margin: int) -> bool:
    """Whether a picture of that width and height fits in memory in one piece. Raises TooLarge where tiles do not."""
    try:
        translator.check(shape, size, margin)
    except TooLarge as error:
        try:
            translator.check((TILE + 2 * HALO,) * 2, None, 0)
        except TooLarge:
            raise error from None
        return False
    return True


def picture_of(
    translator: Translator, source: Path | str, size: int | None, margin: int, white: float | None, tile: bool,
    ahead: bool = False, data: bytes | None = None,
) -> tuple[np.ndarray, str, bool]:  # fmt: skip
    """A picture as it is translated, brought to `size`: H×W×3 bytes, of other channels than RGB H×W×C from 0 to 1; a
    sentence about its range; and whether it is to be translated in tiles, which `tile` asks for anyway.

    `data` is what the file holds, where it has been read already. Raises Large where it is too large to be read
    `ahead`; else as `image_io.read` does.
    """
    tiled = tile

    def check(shape: tuple[int, int]) -> None:
        nonlocal tiled
        if ahead and shape[0] * shape[1] > LARGE:
            raise Large("It is read when its turn comes.")
        tiled = tile or not fits(translator, shape, size, margin)
        if ahead and tiled:
            raise Large("It is read when its turn comes.")

    if translator.config.rgb:
        image = read(source, white, size, check, data=data)
        return np.array(resize_short(image, size or min(image.size))), image.info.get(NOTE, ""), tiled
    values, note = arrays.read(source, translator.config.domains[0], white, data)
    check(values.shape[1::-1])
    return arrays.resized(values, size or min(values.shape[:2])), note or "", tiled


def in_tiles(translator: Translator, picture: np.ndarray, margin: int) -> np.ndarray:
    """A picture translated in tiles: bytes where the result is RGB, else values from 0 to 1. Raises TooLarge."""
    made = translate_in_tiles(translator, picture, margin)
    is_rgb = made.shape[2] == 3 and made.dtype == np.float32
    return to_bytes(2 * torch.from_numpy(made) - 1).numpy() if is_rgb else made


def write(save: Callable[[Image.Image, Path], None], job: Job, result: Tensor) -> Job:
    """Write a translation; what went wrong is noted in the job."""
    try:
        made = result.cpu().numpy()
        arrays.write(job.target, made) if made.dtype == np.float32 else save(Image.fromarray(made), job.target)
    except Unwritable as error:
        job.failed = str(error)
    except ValueError as error:  # Pillow's, of what a format cannot hold
        job.failed = f"'{job.target}' cannot be written: {clause(error)}."
    return job


def done(job: Job) -> Future[Job]:
    """A job with nothing left to do, among those that are being written."""
    future: Future[Job] = Future()
    future.set_result(job)
    return future
