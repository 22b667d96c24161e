"""Two zips of a visitor's own pictures, one for each domain, unpacked within bounds.

    counts = unpack_both("photographs.zip", "paintings.zip", folder, Bounds())      # folder/trainA, folder/trainB

A zip comes from a stranger: as in `qsneg.data.archive`, nothing is written before all names and sizes have been looked
at, and only to places made up here. The pictures may lie in any folders in it. What is no picture, or too small or too
large to train on, goes again.
"""

import zipfile
from pathlib import Path

from qsneg.data.archive import Damaged, extract, trusted, wanted
from qsneg.data.download import NoRoom
from qsneg.filesystem import Unwritable, clause, find_images
from qsneg.image_io import opened
from qsneg.learning.order import Bounds
from qsneg.picture_formats import EXTENSIONS

ENTRIES = 20_000  # of a zip, pictures or not
FEWEST = 4  # pictures of a domain
SMALLEST = 128  # pixels of a picture's short side: the crop of preset small


def unpack_both(a: Path | str | None, b: Path | str | None, folder: Path, bounds: Bounds) -> tuple[int, int]:
    """Unpack the pictures of two domains; returns how many there are of each.

    Raises:
        ValueError: one sentence, which names a zip as the visitor does, if it is none or is not to be used.
    """
    for path, what in ((a, "sources"), (b, "targets")):
        if not path:
            raise ValueError(f"The zip of {what} is missing: choose one for each of the two.")
    return unpack(Path(a), folder / "trainA", bounds), unpack(Path(b), folder / "trainB", bounds)


def unpack(archive: Path, folder: Path, bounds: Bounds) -> int:
    """Unpack the pictures of one domain; returns how many can be trained on. Raises as `unpack_both`."""
    try:
        folder.mkdir(parents=True)
        extract(archive, folder, lambda infos: choose(archive, infos, bounds), progress=False)
    except Damaged as error:
        reason = clause(error.__cause__ or error)
        raise ValueError(f"'{archive.name}' is no whole zip archive ({reason}): choose another.") from None
    except (Unwritable, NoRoom):  # of what they say of the server's disk a visitor needs less
        raise ValueError("The server has no room for these pictures at the moment: try again later.") from None
    except ValueError as error:
        raise ValueError(str(error).replace(str(archive), archive.name)) from None
    count = sift(folder, bounds)
    if count < FEWEST:
        found = "none of its pictures" if count == 0 else f"only {count} of its pictures"
        raise ValueError(
            f"Of '{archive.name}' {found} can be read and has {SMALLEST} pixels or more on its short side: {FEWEST} "
            "are the fewest, some hundreds are better."
        )
    return count


def choose(archive: Path, infos: list[zipfile.ZipInfo], bounds: Bounds) -> dict[str, zipfile.ZipInfo]:
    """Where each picture goes: to a number, with its ending.

    Raises:
        ValueError: if anything in the archive is not to be trusted, or there are too many pictures, or none.
    """
    if len(infos) > ENTRIES:
        raise ValueError(f"'{archive}' has {len(infos)} entries, more than the {ENTRIES} that are looked at.")
    found = [info for info in infos if wanted(Path(trusted(archive, info)).parts) and not info.is_dir()]
    if not found:
        raise ValueError(f"'{archive}' holds no pictures (looked for {', '.join(sorted(EXTENSIONS)[:8])} …).")
    if len(found) > bounds.pictures:
        raise ValueError(f"'{archive}' holds {len(found)} pictures, and at most {bounds.pictures} are taken here.")
    if (total := sum(info.file_size for info in found)) > bounds.unpacked:
        raise ValueError(
            f"The pictures in '{archive}' would unpack to {total / 1e6:,.0f} MB, and at most "
            f"{bounds.unpacked / 1e6:.0f} MB are taken here: make them smaller, 512 pixels are plenty."
        )
    return {f"{number:05d}{Path(info.filename).suffix.lower()}": info for number, info in enumerate(found)}


def sift(folder: Path, bounds: Bounds) -> int:
    """Remove what cannot be trained on, by the headers; how many are left."""
    left = 0
    for path in find_images(folder):
        try:
            with opened(path, bounds.pixels) as image:
                is_fit = min(image.size) >= SMALLEST
        except ValueError:
            is_fit = False
        left += is_fit
        if not is_fit:
            path.unlink()
    return left
