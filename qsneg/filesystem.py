"""Files and folders: the pictures in a folder, and a folder to write into.

from qsneg.filesystem import find_images, output_folder, readable
"""

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image

from qsneg.image_io import EXTENSIONS, read


def find_images(folder: Path | str) -> list[Path]:
    """All pictures under a folder, by their ending, sorted; without hidden files."""
    found = Path(folder).rglob("*")
    return sorted(p for p in found if p.suffix.lower() in EXTENSIONS and not p.name.startswith(".") and p.is_file())


def readable(folder: Path | str) -> Iterator[Image.Image]:
    """The pictures of a folder that can be read, one after the other; what cannot is named on stderr, once."""
    for path in find_images(folder):
        try:
            picture = read(path)
        except ValueError as error:
            say_once(f"Skipped: {error}")
        else:
            yield picture


@cache
def say_once(text: str) -> None:
    print(text, file=sys.stderr)


def output_folder(path: Path | str) -> Path:
    """A folder to write into, which need not be there yet and is not made here.

    Raises:
        ValueError: if it is a file, lies under one, or may not be written to.
    """
    path = Path(path)
    there = next((p for p in (path, *path.absolute().parents) if p.exists()), path)  # how far the path leads today
    if not there.is_dir():
        what = "is a file" if there == path else f"lies under '{there}', which is a file"
        raise ValueError(f"The output folder '{path}' {what}: choose another --out.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"The output folder '{path}' cannot be written to: choose another --out.")
    return path


def some(names: list[str]) -> str:
    """The first three, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
