"""Translate files and folders of them.

    python -m qsneg translate photos --checkpoint horse2zebra-drawn/cut --out zebras
    python -m qsneg translate photos --checkpoint horse2zebra-drawn/cut --out zebras --resume --shard 3/16

What is given is planned as a whole, so that parts, wherever they are translated, agree on the names of the results.
"""

import io
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from qsneg.bulk.pipeline import Job, translated
from qsneg.config import ModelConfig
from qsneg.data import arrays
from qsneg.filesystem import existing_file, look_through, numbered, output_folder, whole
from qsneg.memory_limits import short_size
from qsneg.translate import MARGIN, check_margin, load


@dataclass
class Report:
    """What became of the files: `done` are the pictures written, `failed` the ones given, each with one sentence;
    `notes` say what was left out, and which pictures were shown in their own range; `there` is how many results were
    there already."""

    done: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    there: int = 0


def translate_files(
    paths: Iterable[Path | str],
    checkpoint: Path | str,
    out: Path | str,
    size: int | None = None,
    device: str = "auto",
    folder: Path | str | None = None,
    progress: bool = True,
    margin: int = MARGIN,
    precision: str = "float32",
    white: float | None = None,
    resume: bool = False,
    shard: tuple[int, int] = (1, 1),
    tile: bool = False,
) -> Report:
    """Translate pictures and, recursively, folders of pictures into the folder `out`, whose structure is theirs.

    JPEG and WebP are written in their own format (quality 95), all others as PNG. Where two results would have the
    same name, or a result that of an input, a number is added. Inputs are never written over; where `out` lies
    inside a folder to translate, what is in it is not translated. What cannot be read or does not fit is reported,
    and the rest is done.

    Args:
        size, margin, white: as in `Translator.translate`.
        checkpoint, device, folder, precision: as in `load`.
        resume: leave out pictures whose results are there already, and not older.
        shard: (i, n): of n parts, from 1, the i-th alone.
        tile: translate in tiles (see `qsneg.bulk.tiles`); otherwise only what would not fit in memory.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if the checkpoint, the device, the precision, `size`, `margin`, `shard` or `out` cannot be used.
    """
    if size is not None:
        short_size((1, 1), size)
    check_margin(margin)
    check_shard(shard)
    out = output_folder(out)
    report, translator = Report(), load(checkpoint, device, folder, precision)
    also = endings(translator.config)
    sources = collect([paths] if isinstance(paths, (str, Path)) else paths, out, report, also)
    planned = plan(sources, out, translator.config.domains[1])
    jobs = [Job(*pair) for pair in planned[shard[0] - 1 :: shard[1]]]
    if resume:
        planned, jobs = len(jobs), [job for job in jobs if not up_to_date(job)]
        report.there = planned - len(jobs)
    finished = translated(translator, jobs, save, size, margin, white, tile=tile)
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):  # not by each thread
        for _ in tqdm(finished, translator.title, len(jobs), unit="picture", disable=not progress):
            pass
    for job in jobs:
        if job.note:
            report.notes.append(f"'{job.source}': {job.note}")
        if job.failed:
            report.failed.append((job.source, job.failed))
        else:
            report.done.append(job.target)
    return report


def endings(config: ModelConfig) -> tuple[str, ...]:
    """Of the pictures that a model takes, besides the usual ones."""
    return () if config.rgb else arrays.ENDINGS


def check_shard(shard: tuple[int, int]) -> None:
    """Raises ValueError unless it is one of so many parts."""
    i, n = shard
    if not 1 <= i <= n:
        raise ValueError(f"A part is i/n with i from 1 to n, such as 3/16, not {i}/{n}.")


def up_to_date(job: Job) -> bool:
    """Whether its result is there, and not older than the picture."""
    try:
        return job.target.stat().st_mtime >= job.source.stat().st_mtime
    except OSError:
        return False


def collect(
    paths: Iterable[Path | str], out: Path, report: Report, also: tuple[str, ...] = ()
) -> list[tuple[Path, Path]]:
    """The pictures meant by `paths`, each with its name relative to the folder given; what is wrong with others is
    noted in the report.

    Raises:
        ValueError: if `out` is itself one of the folders.
    """
    sources = {}
    for path in map(Path, paths):
        if path.is_dir():
            if path.resolve() == out.resolve():
                raise ValueError(f"'{out}' is a folder to translate and cannot be the output folder: choose another.")
            own = out.resolve() if out.resolve().is_relative_to(path.resolve()) else None
            found, left_out = look_through(path, also)
            found = [p for p in found if not (own and p.resolve().is_relative_to(own))]
            report.notes += [left_out] if left_out else []
            for p in found:
                sources.setdefault(p.resolve(), (p, p.relative_to(path)))
            if not found:
                report.failed.append((path, f"There are no pictures in the folder '{path}'."))
        elif path.is_file():
            sources.setdefault(path.resolve(), (path, Path(path.name)))
        else:
            try:
                existing_file(path)
            except FileNotFoundError:
                report.failed.append((path, f"There is no file or folder '{path}'."))
            except ValueError as error:
                report.failed.append((path, str(error)))
    return list(sources.values())


def plan(sources: list[tuple[Path, Path]], out: Path, channels: int = 3) -> list[tuple[Path, Path]]:
    """Where each picture is written: no two to the same file, and none to an input."""
    inputs = {source.resolve() for source, _ in sources}
    names = distinct([name for _, name in sources], lambda name: (out / name).resolve() in inputs, channels)
    return [(source, out / name) for (source, _), name in zip(sources, names)]


def distinct(names: list[Path], refused: Callable[[Path], bool] = lambda name: False, channels: int = 3) -> list[Path]:
    """The names of the results, pictures of so many channels: none twice, and none that is refused."""
    found, taken = {}, set()

    def suffix(name: Path) -> str:
        kept = {3: (".jpg", ".jpeg", ".webp"), 1: (".npy", ".tif", ".tiff")}.get(channels, (".npy", ".tiff"))
        return name.suffix if name.suffix.lower() in kept else ".png" if channels in (1, 3) else ".tif"

    for i in sorted(range(len(names)), key=lambda i: suffix(names[i]) != names[i].suffix):  # kept names choose first
        number, name = 1, names[i].with_suffix(suffix(names[i]))
        while str(name).casefold() in taken or refused(name):  # some file systems ignore case
            number += 1
            name = numbered(names[i].with_suffix(suffix(names[i])), number)
        taken.add(str(name).casefold())
        found[i] = name
    return [found[i] for i in range(len(names))]


def encoded(image: Image.Image, suffix: str) -> bytes:
    """A picture in the format of a file's ending: PNG, WebP or JPEG."""
    options = {".png": dict(format="PNG"), ".webp": dict(format="WEBP", quality=95)}
    file = io.BytesIO()
    image.save(file, **options.get(suffix.lower(), dict(format="JPEG", quality=95, subsampling=0)))
    return file.getvalue()


def save(image: Image.Image, path: Path) -> None:
    """Write a picture in the format of its name, creating its folder; all of it or nothing.

    Raises:
        Unwritable: (a ValueError) if it cannot be written.
    """
    with whole(path, lasting=False) as part:
        part.write_bytes(encoded(image, path.suffix))
