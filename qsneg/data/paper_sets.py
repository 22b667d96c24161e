"""The papers' sets of pictures: what they are, and how they become a folder that `train` takes.

    python -m qsneg data --list
    python -m qsneg data horse2zebra --out data/horse2zebra
    python -m qsneg data mine --url https://example.org/pictures.zip --out data/mine
    python -m qsneg train data/horse2zebra --method cut --out runs/horse2zebra

A prepared folder has trainA and trainB, and testA and testB where the set has them. The lengths and SHA-256 are those
that TensorFlow Datasets has on record (https://github.com/tensorflow/datasets), for AFHQ UVCGAN's scripts, and
grumpifycat's MD5 is from a public loader of these files.
"""

import difflib
import json
import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from qsneg.config import DRAWN, SMALL, TrainConfig
from qsneg.data.archive import PLAIN, Damaged, unpack
from qsneg.data.download import download, forget, on_disk, state_path, verify
from qsneg.filesystem import clause, find_images

FOLDERS = tuple(PLAIN.values())
SMALLEST = 32  # pixels of the shorter side: of the least crop that `train` takes
ANIMALS = {
    "train/cat": "trainA", "train/dog": "trainB", "val/cat": "testA", "val/dog": "testB",
    "test/cat": "testA", "test/dog": "testB",
}  # fmt: skip
BERKELEY = "efrosgans.eecs.berkeley.edu/cyclegan/datasets"
IMAGENET = "photographs from ImageNet: non-commercial research and teaching"
FLICKR = "photographs from Flickr: no licence stated"
PAINTINGS = "paintings from WikiArt, photographs from Flickr: no licence stated"


@dataclass(frozen=True)
class Dataset:
    """A set of pictures in two domains that can be fetched."""

    name: str
    # what it is called on the command line
    what: str
    # domain A → domain B
    terms: str
    # where the pictures come from, and on what terms, as far as known
    size: int | None = None
    # length of the archive in bytes, where known
    checksum: str | None = None
    # its SHA-256, or MD5, in hexadecimal digits, where known
    urls: tuple[str, ...] = ()
    # addresses, tried in turn; empty: the two of the Berkeley server
    layout: dict[str, str] = field(default_factory=lambda: PLAIN)
    # which folders of the archive become which folders of the set

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.urls or tuple(f"{scheme}://{BERKELEY}/{self.name}.zip" for scheme in ("https", "http"))


SETS = [
    Dataset(
        "horse2zebra", "horses → zebras", IMAGENET,
        116867962, "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
    ),
    Dataset(
        "cat2dog", "cats → dogs, 512×512", "AFHQ, of StarGAN v2: CC BY-NC 4.0",
        729484677, "7f63dcc14ef58c0e849b59091287e1844da97016073aac20403ae6c6132b950f",
        ("https://www.dropbox.com/s/t9l9o3vsx2jai3z/afhq.zip?dl=1",), ANIMALS,
    ),
    Dataset(
        "grumpifycat", "Russian Blue cats → Grumpy Cat", "Oxford-IIIT Pet, and pictures of one cat: no licence stated",
        None, "cd971b33708c50f02cb2f9f89181883a",
    ),
    Dataset(
        "apple2orange", "apples → oranges", IMAGENET,
        78456409, "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
    ),
    Dataset(
        "summer2winter_yosemite", "summer → winter in Yosemite", FLICKR,
        132640856, "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
    ),
    Dataset(
        "monet2photo", "Monet → photographs", PAINTINGS,
        305231073, "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
    ),
    Dataset(
        "cezanne2photo", "Cezanne → photographs", PAINTINGS,
        279885071, "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff",
    ),
    Dataset(
        "ukiyoe2photo", "ukiyo-e → photographs", PAINTINGS,
        292946532, "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08",
    ),
    Dataset(
        "vangogh2photo", "Van Gogh → photographs", PAINTINGS,
        306590349, "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff",
    ),
    Dataset(
        "iphone2dslr_flower", "flowers by phone → by camera", FLICKR,
        339964458, "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113",
    ),
    Dataset(
        "maps", "aerial photographs → maps", "Google Maps: no licence stated",
        1476754427, "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e",
    ),
    Dataset(
        "facades", "façades → label maps", "CMP Facade Database: no licence stated",
        35135868, "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
    ),
]  # fmt: skip
KNOWN = {dataset.name: dataset for dataset in SETS}
CITYSCAPES = "cityscapes"
CITYSCAPES_SITE = "https://www.cityscapes-dataset.com"


@dataclass
class Prepared:
    """What lies in a prepared folder."""

    counts: dict[str, int]
    # pictures per folder
    smallest: int
    # the shortest side of all training pictures, in pixels
    broken: list[str]
    # pictures that could not be read or are below `SMALLEST`, and were left out
    notes: list[str] = field(default_factory=list)
    # what else was done, in sentences


def listing() -> str:
    """The known sets, as a table for people."""
    lines = [f"{'name':24}{'size':>9}  {'A → B':32}terms and source"]
    for d in SETS:
        size = f"{d.size / 1e6:.0f} MB" if d.size else "unknown"
        lines.append(f"{d.name:24}{size:>9}  {d.what:32}{d.terms}; {d.addresses[0]}")
    own = f"its own, non-commercial terms: download it yourself from {CITYSCAPES_SITE}, then --from"
    lines.append(f"{CITYSCAPES:24}{'':>9}  {'label maps → street photographs':32}{own}")
    return "\n".join(lines)


def look_up(name: str, url: str | None = None, own: bool = False) -> Dataset:
    """The set of that name; with a `url`, or an archive of one's own, that archive, unchecked, and by any name.

    Raises:
        ValueError: if there is no such set, with the nearest names.
    """
    known = KNOWN.get(name)
    if url or own:
        urls, layout = (url,) if url else (), known.layout if known else PLAIN
        return Dataset(name, "", "on the terms of its owner", urls=urls, layout=layout)
    if known:
        return known
    if name == DRAWN:
        raise ValueError(f"{DRAWN} needs no download: train on it by name, or write it with `python -m qsneg draw`.")
    if name == CITYSCAPES:
        raise ValueError(
            f"Cityscapes may not be passed on: register at {CITYSCAPES_SITE}, download gtFine_trainvaltest.zip and "
            "leftImg8bit_trainvaltest.zip, and give the folder that they are in with --from."
        )
    near = difflib.get_close_matches(name, [*KNOWN, CITYSCAPES, DRAWN], n=3, cutoff=0.5)
    nearest = f"the nearest are {', '.join(near)}" if near else "--list shows those that there are"
    raise ValueError(f"There is no set called '{name}': {nearest}; --url and --from take any other zip archive.")


def prepare(
    name: str, out: Path | str, url: str | None = None, archive: Path | str | None = None, progress: bool = True
) -> Prepared:
    """Fetch a set (or take a zip `archive` that is here), check it, unpack it into the new folder `out`.

    What is fetched is kept beside `out` until all is done, so that nothing is fetched twice, with a note of where it
    came from: an archive without one is the user's own, and is neither taken nor removed.

    Raises:
        ValueError: one sentence, whatever goes wrong; `out` is then as it was.
        FileNotFoundError: if there is no such archive.
    """
    dataset, out = look_up(name, url, own=archive is not None), Path(out)
    with staging(out) as folder:
        if archive:
            if not Path(archive).is_file():
                raise FileNotFoundError(f"There is no archive '{archive}': give the zip file that you downloaded.")
            unpack(archive, folder, dataset.layout, progress)
            return check(folder)
        archive = out.with_name(out.name + ".zip")
        note = state_path(archive)
        if archive.exists():
            if not note.is_file() or json.loads(note.read_text()) != list(dataset.addresses):
                address = dataset.addresses[0]
                raise ValueError(
                    f"'{archive}' is there already and was not fetched from {address}: take it with --from, or move it "
                    "away."
                )
            print(f"Taking '{archive}', which is there already; remove it to fetch it anew.")
            verify(archive, dataset.size, dataset.checksum)
        else:
            print(f"{name}: {', '.join(filter(None, (dataset.what, dataset.terms)))}.")
            download(dataset.addresses, archive, dataset.size, dataset.checksum, progress)
            with on_disk(note):
                note.write_text(json.dumps(dataset.addresses))
        try:
            unpack(archive, folder, dataset.layout, progress)
            prepared = check(folder)
        except Damaged:
            forget(archive)  # so that the next attempt fetches it
            raise
        except ValueError as error:
            raise ValueError(f"{clause(error)} (the archive is kept).") from None
    forget(archive)
    return prepared


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when all has gone well, and vanishes otherwise.

    Raises:
        ValueError: if `out` is there already, or its place cannot be written to.
    """
    if out.is_symlink() or out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"'{out}' is there already: choose another --out, or remove what is there.")
    place = out.absolute()
    with on_disk(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent, ignore_cleanup_errors=True)
    with work:
        folder = Path(work.name) / place.name
        folder.mkdir()
        yield folder
        with on_disk(place):
            if out.exists():
                out.rmdir()
            os.replace(folder, place)


def check(folder: Path) -> Prepared:
    """Look at the header of every picture; what is no picture, or one too small to train on, is removed.

    Raises:
        ValueError: if a training domain has no picture.
    """
    counts, smallest, broken = {}, [], []
    for name in FOLDERS:
        for path in find_images(folder / name):
            try:
                with Image.open(path) as image:
                    side = min(image.size)
            except Exception:  # on broken bytes decoders raise nearly anything
                side = 0
            if side < SMALLEST:
                broken.append(path.relative_to(folder).as_posix())
                path.unlink()
                continue
            counts[name] = counts.get(name, 0) + 1
            if name.startswith("train"):
                smallest.append(side)
    for name in ("trainA", "trainB"):
        if name not in counts:
            raise ValueError(
                f"None of the pictures for {name} can be read and is large enough: is this the right archive?"
            )
    return Prepared(counts, min(smallest), broken)


def in_words(prepared: Prepared, out: Path) -> list[str]:
    """What was prepared and what to do with it, in lines for people."""
    counts = ", ".join(f"{name} {count}" for name, count in prepared.counts.items())
    lines = [f"Ready: '{out}' (pictures: {counts}).", *prepared.notes]
    if prepared.broken:
        names = ", ".join(prepared.broken)
        lines.append(
            f"Left out, since they cannot be read as pictures or have a side below {SMALLEST} pixels: {names}."
        )
    folder, run = shlex.quote(str(out)), shlex.quote(f"runs/{out.name}")

    def train(preset: str, crop: int) -> str:
        """The command; pictures that are smaller than its crops are left out."""
        skip = " --skip-small" if prepared.smallest < crop else ""
        return f"python -m qsneg train {folder} --method cut --preset {preset}{skip} --out {run}"

    lines.append(f"Train on it, an hour or so on two CPU cores: {train('small', SMALL['crop'])}")
    lines.append(f"Or as the papers do, days without a GPU: {train('paper', TrainConfig.crop)}")
    return lines
