"""A set of one's own, prepared for training: duplicates out, nothing on both sides of the split, pictures to choose by.

    python -m qsneg data horse2ink --from downloads/horse2ink --out data/horse2ink

Collections from the web hold the same picture many times, often mirrored. Pictures are compared by a perceptual hash
(the difference hash of Krawetz: is each of 16×16 cells darker than its right neighbour?), mirrored ones too; two that
differ in at most `NEAR` of its 256 bits count as the same. Of each such group one picture stays, and none in training
that is also in test (or in validation, where that is given). Otherwise `VALIDATION` pictures of each domain become valA
and valB: what a run is judged and chosen by, so that the test pictures stay unseen until the end.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from qsneg.data.archive import unpack
from qsneg.data.download import on_disk
from qsneg.data.paper_sets import FOLDERS, Prepared, check, staging
from qsneg.filesystem import existing_file, find_images
from qsneg.image_io import read

NEAR = 24  # of 256 bits; in 1,453 photographs and 756 paintings copies differed in at most 16, others in 50 or more
VALIDATION = 60  # pictures of each domain, of small sets a fifth
BLOCK = 1024  # pictures that are compared with all others at once


def prepare_own(source: Path | str, out: Path | str, progress: bool = True) -> Prepared:
    """Prepare a folder with trainA and trainB (and testA, testB, valA, valB where there are some), or a zip archive of
    one, into the new folder `out`. The source stays as it is.

    Raises:
        ValueError: one sentence, whatever goes wrong; `out` is then as it was.
        FileNotFoundError: if there is no such folder or archive.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"There is no '{source}': give a folder with trainA and trainB in it, or a zip of one.")
    archive = None if source.is_dir() else existing_file(source)
    with staging(Path(out)) as folder:
        if archive:
            source = folder.with_name(folder.name + ".unpacked")  # goes with the place it is staged in
            with on_disk(source):
                source.mkdir()
            unpack(archive, source, progress=progress)
        broken, notes = [], []
        for letter in "AB":
            notes += prepare_domain(source, folder, letter, broken, progress)
        prepared = check(folder)
        prepared.broken[:0], prepared.notes = broken, notes
        return prepared


def prepare_domain(source: Path, folder: Path, letter: str, broken: list[str], progress: bool) -> list[str]:
    """Copy what stays of one domain. Names of pictures that cannot be read are added to `broken`; returns what was left
    out, in sentences.

    Raises:
        ValueError: if there are no pictures for training, or they cannot be written.
    """
    paths, hashes, pixels = {}, {}, {}
    for part in (name for name in FOLDERS if name.endswith(letter)):
        found = []
        there = find_images(source / part)
        for path in tqdm(there, desc=part, unit="picture", disable=not (progress and there)):
            try:
                image = read(path)
            except ValueError:
                broken.append(path.relative_to(source).as_posix())
                continue
            found.append((path, difference_hash(image), image.width * image.height))
        paths[part], hashes[part], pixels[part] = map(list, zip(*found)) if found else ([], [], [])
    train, val, test = (f"{split}{letter}" for split in ("train", "val", "test"))
    if not paths[train]:
        raise ValueError(f"'{source}' has no pictures in '{train}': put those of each domain into trainA and trainB.")
    seen = np.array(hashes[test] + hashes[val])
    own = np.array(hashes[train])
    kept = distinct(own, pixels[train], seen)
    count = 0 if paths[val] else min(VALIDATION, len(kept) // 5)
    aside = split_off(count, len(kept))
    for place, i in enumerate(kept):
        copy(paths[train][i], source / train, folder / (val if place in aside else train))
    for part in (val, test):
        for path in paths[part]:
            copy(path, source / part, folder / part)
    across = int(near(own, seen).any(1).sum()) if len(seen) else 0
    return sentences(train, len(own) - len(kept) - across, across, count)


def sentences(train: str, copies: int, across: int, count: int) -> list[str]:
    """What became of the pictures of one domain, where anything did."""
    said = [f"{copies} copies of others left out"] if copies else []
    said += [f"{across} left out that are in test or validation, too"] if across else []
    said += [f"{count} put aside in {train.replace('train', 'val')}"] if count else []
    return [f"{train}: {', '.join(said)}."] if said else []


def copy(path: Path, root: Path, target: Path) -> None:
    """Copy a picture to the place under `target` that it has under `root`."""
    place = target / path.relative_to(root)
    with on_disk(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def difference_hash(image: Image.Image) -> np.ndarray:
    """2×256 booleans: of the picture, and of its mirror image."""
    grey = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.BOX), np.int16)
    return np.stack([g[:, 1:] > g[:, :-1] for g in (grey, grey[:, ::-1])]).reshape(2, -1)


def near(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """N×M booleans: whether N and M pictures (hashes N×2×256, M×2×256) are the same, mirrored or not."""
    a, b = a[:, 0].astype(np.float32), b.astype(np.float32)  # products of floats are fast, and exact up to 2²⁴
    result = np.empty((len(a), len(b)), bool)
    for i in range(0, len(a), BLOCK):
        some = a[i : i + BLOCK]
        result[i : i + BLOCK] = np.minimum(*(some @ (1 - c).T + (1 - some) @ c.T for c in (b[:, 0], b[:, 1]))) <= NEAR
    return result


def distinct(hashes: np.ndarray, pixels: Sequence[int], taken: np.ndarray) -> list[int]:
    """Which of N pictures stay, in order: of each group of copies the one with most pixels, and none that is the same
    as one of those `taken`."""
    kept: list[int] = []
    same = near(hashes, hashes)
    free = ~near(hashes, taken).any(1) if len(taken) else np.ones(len(hashes), bool)
    for i in sorted(range(len(hashes)), key=lambda i: (-pixels[i], i)):
        if free[i]:
            kept.append(i)
            free &= ~same[i]
    return sorted(kept)


def split_off(count: int, total: int, seed: int = 0) -> set[int]:
    """`count` of `total` places, drawn at random."""
    return set(np.random.default_rng([seed, total]).permutation(total)[:count].tolist())
