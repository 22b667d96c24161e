"""Cityscapes, prepared from one's own download for label maps → photographs, as in the papers.

    python -m qsneg data cityscapes --from downloads --out data/cityscapes

Its terms let nobody pass it on: register at https://www.cityscapes-dataset.com and download gtFine_trainvaltest.zip
and leftImg8bit_trainvaltest.zip. As in CycleGAN's and CUT's preparation, every picture becomes 256×256, the 2,975
training frames make the training set and the 500 validation frames the test set (the label maps of Cityscapes' own
test frames are blank), and photographs are JPEGs of quality 100. Two things differ: A is the label map and B the
photograph, since here all methods translate A into B (there A is the photograph, and CUT is run from B to A); and
label maps are resized by the nearest pixel and stored as PNG, so that each colour still names a class.

For scoring (CUT, section 4: a segmentation network looks at the translated pictures at 256×128), `labels/` has the
class of every pixel of the test frames and `labels_train/` of the training frames, at 256×128: 0 to 18 as in
`CLASSES`, 255 where it does not count.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from qsneg.data.archive import DAMAGE
from qsneg.data.download import on_disk
from qsneg.data.paper_sets import CITYSCAPES_SITE, Prepared, check, staging
from qsneg.filesystem import clause

SIZE = (256, 256)  # width and height of training and test pictures
LABEL_SIZE = (256, 128)  # of the class maps, with the proportions of the frames
IGNORED = 255
CLASSES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
# Cityscapes' label id: name, of the 19 classes that are scored, in their order
COLOURS = {
    "road": (128, 64, 128), "sidewalk": (244, 35, 232), "building": (70, 70, 70), "wall": (102, 102, 156),
    "fence": (190, 153, 153), "pole": (153, 153, 153), "traffic light": (250, 170, 30), "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35), "terrain": (152, 251, 152), "sky": (70, 130, 180), "person": (220, 20, 60),
    "rider": (255, 0, 0), "car": (0, 0, 142), "truck": (0, 0, 70), "bus": (0, 60, 100), "train": (0, 80, 100),
    "motorcycle": (0, 0, 230), "bicycle": (119, 11, 32),
}  # fmt: skip
# of the same classes in Cityscapes' label maps
KINDS = {"gtFine": ("_gtFine_color.png", "_gtFine_labelIds.png"), "leftImg8bit": ("_leftImg8bit.png",)}

Place = Path | zipfile.Path  # a file or folder on the disk, or in a zip archive


def prepare_cityscapes(source: Path | str, out: Path | str, progress: bool = True) -> Prepared:
    """Prepare a download of Cityscapes into the new folder `out`.

    Args:
        source: a folder with gtFine and leftImg8bit in it, as folders or as the zip archives that were downloaded.

    Raises:
        ValueError: one sentence, if anything is missing, unreadable or has no counterpart; `out` is then as it was.
    """
    source, out = Path(source), Path(out)
    if not source.is_dir():
        raise ValueError(f"There is no folder '{source}': give the one with gtFine and leftImg8bit, as downloaded.")
    with staging(out) as folder:
        try:
            roots = {kind: find_kind(source, kind) for kind in KINDS}
            for split, name in (("train", "train"), ("val", "test")):
                labels = folder / ("labels" if name == "test" else "labels_train")
                with on_disk(folder):
                    for path in (folder / f"{name}A", folder / f"{name}B", labels):
                        path.mkdir()
                found = frames(roots, split)
                for frame, (colours, ids, photo) in tqdm(found.items(), desc=split, unit="frame", disable=not progress):
                    colours = load(colours).convert("RGB").resize(SIZE, Image.Resampling.NEAREST)
                    photo = load(photo).convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)
                    classes = class_map(load(ids).resize(LABEL_SIZE, Image.Resampling.NEAREST))
                    with on_disk(folder):
                        colours.save(folder / f"{name}A" / f"{frame}.png")
                        photo.save(folder / f"{name}B" / f"{frame}.jpg", quality=100, subsampling=0)
                        classes.save(labels / f"{frame}.png")
        except DAMAGE as error:
            raise ValueError(f"What lies in '{source}' cannot be read ({clause(error)}): download it again.") from None
        return check(folder)


def find_kind(source: Path, kind: str) -> Place:
    """The folder called gtFine or leftImg8bit, on the disk or in an archive.

    Raises:
        ValueError: if there is none.
    """
    for place in (source / kind, source / f"{kind}_trainvaltest" / kind):
        if place.is_dir():
            return place
    for path in sorted(source.glob(f"{kind}*.zip")):
        place = zipfile.Path(path, f"{kind}/")
        if place.is_dir():
            return place
    raise ValueError(
        f"'{source}' has neither a folder '{kind}' nor {kind}_trainvaltest.zip: register at {CITYSCAPES_SITE} and "
        "download it."
    )


def frames(roots: dict[str, Place], split: str) -> dict[str, tuple[Place, Place, Place]]:
    """Colour map, label ids and photograph of every frame of a split, by the frame's name.

    Raises:
        ValueError: if a split is missing, or a frame has not all three.
    """
    found = {}
    for kind, endings in KINDS.items():
        for ending in endings:
            found[ending] = {frame: place for frame, place in walk(roots[kind] / split, ending)}
    names = set().union(*found.values())
    if not names:
        raise ValueError(f"There are no frames in '{split}' of gtFine and leftImg8bit: download both archives again.")
    for ending, places in found.items():
        if missing := sorted(names - set(places)):
            example = f"{missing[0]}{ending}"
            raise ValueError(f"'{split}' lacks {len(missing)} files, such as {example}: download both archives again.")
    return {frame: tuple(places[frame] for places in found.values()) for frame in sorted(names)}


def walk(folder: Place, ending: str) -> Iterator[tuple[str, Place]]:
    """The files of one kind in the folders of all cities, with their frames' names."""
    if not folder.is_dir():
        return
    for city in folder.iterdir():
        for place in city.iterdir() if city.is_dir() else ():
            frame = place.name.removesuffix(ending)
            if frame != place.name and re.fullmatch(r"[\w-]+_\d+_\d+", frame):
                yield frame, place


def load(place: Place) -> Image.Image:
    """A PNG of the disk or of an archive, decoded.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        with place.open("rb") as file:
            image = Image.open(file, formats=["PNG"])
            image.load()
            return image
    except Exception as error:  # on broken bytes decoders raise nearly anything
        raise ValueError(f"'{place}' cannot be read as a picture ({clause(error)}): download it again.") from None


def class_map(ids: Image.Image) -> Image.Image:
    """Label ids, one per pixel, to class numbers 0 to 18, and 255 where they do not count."""
    table = np.full(256, IGNORED, np.uint8)
    for number, label in enumerate(CLASSES):
        table[label] = number
    return Image.fromarray(table[np.asarray(ids.convert("L"))])
