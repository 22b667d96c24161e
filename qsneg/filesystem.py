"""Files and folders: the pictures in a folder, and a folder to write into.

from qsneg.filesystem import find_images, output_folder
"""

import contextlib
import os
import stat
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from qsneg.picture_formats import EXTENSIONS, remedy

HIDDEN = {  # folders that systems and servers put beside a person's pictures
    "__MACOSX", "@eaDir", "@Recycle", "@tmp", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information",
    "lost+found",
}  # fmt: skip
LONGEST_NAME = 255  # bytes


def find_images(folder: Path | str) -> list[Path]:
    """All pictures under a folder, by their ending, sorted: without hidden files and folders, with linked folders."""
    return look_through(folder)[0]


def look_through(folder: Path | str, also: tuple[str, ...] = ()) -> tuple[list[Path], str]:
    """The pictures under a folder, as `find_images` (and files with endings that are `also` taken), and one sentence
    that names what is left out; "" if nothing is.

    A folder that is linked more than once is looked through once, and a link that leads back up is not followed.
    """
    pictures, left_out, seen = [], Counter(), set()
    closed = ["a folder that may not be opened"]
    for root, folders, files in os.walk(folder, followlinks=True, onerror=lambda error: left_out.update(closed)):
        status = os.stat(root)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        here = os.path.realpath(root)
        folders.sort()  # of two links to one folder, the same on every machine
        for name in list(folders):
            there = os.path.realpath(os.path.join(root, name))
            above = Path(here).is_relative_to(there)
            left_out.update(["a link to a folder above it"] * above)
            if above or is_hidden(name):
                folders.remove(name)
        for path in (Path(root, name) for name in files if not is_hidden(name)):
            ending, regular = path.suffix.lower(), path.is_file()
            if regular and (ending in EXTENSIONS or ending in also):
                pictures.append(path)
            else:
                left_out[(ending or "without an ending") if regular else odd_kind(path)] += 1
    return sorted(pictures), in_words(folder, left_out)


def in_words(folder: Path | str, left_out: Counter) -> str:
    if not left_out:
        return ""
    kinds = [
        f"{count} {kind}" + (f" ({how})" if (how := remedy(kind)) else "") for kind, count in left_out.most_common()
    ]
    more = [f"and {sum(count for _, count in left_out.most_common()[9:])} of other kinds"] if len(kinds) > 9 else []
    return f"Left out in '{folder}', since they are no pictures that can be read: {', '.join(kinds[:9] + more)}."


def odd_kind(path: Path) -> str:
    return "a link that leads nowhere" if path.is_symlink() and not path.exists() else "a pipe or a device"


def is_hidden(name: str) -> bool:
    """Whether a file or folder was not put there by a person: `.thumbnails`, `.ipynb_checkpoints`, `__MACOSX` …"""
    return name.startswith(".") or name in HIDDEN


@cache
def say_once(text: str) -> None:
    print(text, file=sys.stderr)


def existing_file(path: Path | str) -> Path:
    """A file that can be opened without waiting for anybody: no folder, pipe or device.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is something else, or cannot be looked at; one sentence.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"There is no file '{path}'.") from None
    except (OSError, ValueError) as error:  # a circle of links, a name that is too long, a zero byte
        raise Unusable(path, f"cannot be opened ({getattr(error, 'strerror', 0) or error}).") from None
    if stat.S_ISDIR(mode):
        raise Unusable(path, "is a folder: give the file itself.")
    if not stat.S_ISREG(mode):
        raise Unusable(path, "is a pipe or a device: give a file.")
    return path


def output_folder(path: Path | str) -> Path:
    """A folder to write into, which need not be there yet and is not made here.

    Raises:
        ValueError: if it is a file, lies under one, or may not be written to.
    """
    path = Path(path)
    if lost := next((p for p in (path, *path.absolute().parents) if p.is_symlink() and not p.exists()), None):
        raise ValueError(f"The output folder '{path}' needs '{lost}', a link that leads nowhere: choose another --out.")
    there = next((p for p in (path, *path.absolute().parents) if p.exists()), path)  # how far the path leads today
    if not there.is_dir():
        what = "is a file" if there == path else f"lies under '{there}', which is a file"
        raise ValueError(f"The output folder '{path}' {what}: choose another --out.")
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"The output folder '{path}' cannot be written to ({reason}): choose another --out.") from None
    return path


def new_file(path: Path | str, ending: str) -> Path:
    """A file to write, which is not there yet.

    Raises:
        ValueError: if it ends otherwise, is there already, or its folder may not be written to.
    """
    path = Path(path)
    if path.suffix != ending:
        raise ValueError(f"The file to write must end in {ending}, not '{path.name}'.")
    if os.path.lexists(path):
        raise ValueError(f"'{path}' is there already: choose another --out.")
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ValueError(f"The file to write has a name of more than {LONGEST_NAME} bytes: choose another --out.")
    output_folder(path.parent)
    return path


def part_of(path: Path) -> Path:
    """Where a file is written before it is whole: beside it, under a name that is never too long."""
    return path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.part")


def numbered(name: Path, number: int) -> Path:
    """The name with "-<number>" before its ending, shortened where it would be too long."""
    stem, tail = name.stem, f"-{number}{name.suffix}"
    while len(os.fsencode(stem + tail)) > LONGEST_NAME:
        stem = stem[:-1]
    return name.with_name(stem + tail)


@contextmanager
def whole(path: Path | str, lasting: bool = True) -> Iterator[Path]:
    """A place beside `path` to write a file to: it becomes `path` once it is complete and (`lasting`) on the disk.
    Whatever goes wrong before, nothing of it stays, and `path` is as it was.

        with whole("run/checkpoint.pt") as part:
            part.write_bytes(data)

    Raises:
        Unwritable: if it cannot be written.
    """
    path = Path(path)
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if lasting:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise Unwritable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


class Unusable(ValueError):
    """A file that cannot be used: "'<path>' <reason>"; "This picture <reason>" where it came without a file. `reason`
    is for whoever tells of the file by another name."""

    def __init__(self, path: Path | str | None, reason: str):
        super().__init__(f"This picture {reason}" if path is None else f"'{path}' {reason}")
        self.path, self.reason = path, reason


class Unwritable(Unusable):
    """A file that cannot be written, such as on a full disk. `what`: that, without advice."""

    def __init__(self, path: Path | str, error: OSError):
        self.what = f"'{path}' cannot be written ({error.strerror or error})"
        super().__init__(
            path, f"cannot be written ({error.strerror or error}): make room there, or choose another --out."
        )


def clause(error: BaseException) -> str:
    """The words of an error as part of a sentence: in one line, without a full stop; its kind where it has none."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def some(names: list[str]) -> str:
    """The first three, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
