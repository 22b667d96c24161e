"""Photographs with the class of every pixel: a set prepared as Cityscapes is; pictures of one name belong together.

    pictures, labels = labelled("data/cityscapes", "train", 128)

The classes lie as `qsneg.data.cityscapes` writes them, in `labels_train/` and `labels/` (0 to 18 as in its `CLASSES`,
255 where a pixel does not count), or are the indices of trainA's and testA's own palette PNGs (0 to 18, the rest does
not count). They serve to score translations only: no training of a translator reads them.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qsneg.data.cityscapes import CLASSES, IGNORED
from qsneg.filesystem import find_images
from qsneg.image_io import read, square

FOLDERS = {"train": "labels_train", "test": "labels"}


def class_files(data: Path | str, split: str) -> dict[str, Path]:
    """The files that hold the classes of a split ("train" or "test"), by their picture's name; {} if there are none."""
    data = Path(data)
    for folder in (data / FOLDERS[split], data / f"{split}A"):
        files = {path.stem: path for path in find_images(folder)} if folder.is_dir() else {}
        if any(map(is_class_map, files.values())):
            return files
    return {}


def is_class_map(path: Path) -> bool:
    """Whether a PNG's pixels are numbers: grey, or indices of a palette."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.mode in ("L", "P")
    except OSError:
        return False


def class_map(path: Path, size: int) -> np.ndarray:
    """The classes of a picture's middle square, size×size, by the nearest pixel; `IGNORED` where none counts.

    A map of other proportions than its square picture (256×128 for a frame that was squashed) is squashed likewise.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            classes = np.asarray(image.resize((size, size), Image.Resampling.NEAREST))
    except OSError:
        raise ValueError(f"'{path}' cannot be read as a map of classes: prepare the set again.") from None
    return np.where(classes < len(CLASSES), classes, IGNORED).astype(np.uint8)


def labels_of(data: Path | str, split: str, names: list[str], size: int) -> Tensor:
    """The class maps of pictures, by their names, N×size×size bytes.

    Raises:
        ValueError: if there are none, or one is missing.
    """
    files = class_files(data, split)
    if not files:
        raise ValueError(
            f"'{data}' has no maps of classes for its {split} pictures: they lie in '{FOLDERS[split]}', or "
            f"{split}A holds palette PNGs (`python -m qsneg data cityscapes` prepares such a set)."
        )
    if missing := [name for name in names if name not in files]:
        raise ValueError(f"'{data}' has no map of classes for {len(missing)} {split} pictures, such as {missing[0]}.")
    return torch.from_numpy(np.stack([class_map(files[name], size) for name in names]))


def photographs(data: Path | str, split: str, names: list[str], size: int) -> Tensor:
    """The photographs of a split's domain B by their names, middle squares, N×3×size×size bytes.

    Raises:
        ValueError: if one is missing or cannot be read.
    """
    files = {path.stem: path for path in find_images(Path(data) / f"{split}B")}
    if missing := [name for name in names if name not in files]:
        raise ValueError(f"'{data}' has no photograph for {len(missing)} {split} maps, such as {missing[0]}.")
    arrays = np.stack([np.asarray(square(read(files[name]), size)) for name in names])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2)


def labelled(data: Path | str, split: str, size: int, count: int | None = None) -> tuple[Tensor, Tensor]:
    """The photographs of a split that have a map of classes, N×3×size×size bytes, and these maps, N×size×size bytes.

    Raises:
        ValueError: if there are none, or one cannot be read.
    """
    there = {path.stem for path in find_images(Path(data) / f"{split}B")}
    names = [name for name in class_files(data, split) if name in there][:count]
    if not names:
        raise ValueError(
            f"'{data}' has no photographs with maps of classes: `python -m qsneg data cityscapes` prepares such a set."
        )
    return photographs(data, split, names, size), labels_of(data, split, names, size)
