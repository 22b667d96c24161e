"""Pictures that may be shown: photographs that installed packages ship, and drawn scenes with their true counterparts.
Examples of the app, sheets on model cards and training films take theirs from here.

A drawn scene is saved with its seed as PNG text, so that its counterpart can be found again after an upload; the
seed is believed only if drawing it again gives the same pixels.

    from qsneg.rendering.sample_pictures import examples
    for example in examples():
        example.picture().save(f"{example.name}.png")
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg import image_io
from qsneg.config import DRAWN
from qsneg.data import drawn_scenes


@dataclass(frozen=True)
class Photograph:
    """A photograph that a package ships and that may be shown."""

    package: str  # that has it, a key of FOLDERS
    title: str
    rights: str
    family: str = "photo2ink"


FOLDERS = {"gradio": "media_assets/images", "skimage": "data"}  # where they lie in those packages
GRADIO = "from the gradio package, Apache-2.0"
PHOTOGRAPHS = {
    "lion.jpg": Photograph("gradio", "A lion", GRADIO),
    "chelsea.png": Photograph("skimage", "A cat", "Stéfan van der Walt, CC0, from scikit-image"),
    "coffee.png": Photograph("skimage", "A cup of coffee", "Rachel Michetti, CC0, from scikit-image"),
    "rocket.jpg": Photograph("skimage", "A rocket on its pad", "SpaceX, CC0, from scikit-image"),
    "astronaut.png": Photograph("skimage", "An astronaut", "NASA, public domain, from scikit-image"),
    "tower.jpg": Photograph("gradio", "The Eiffel Tower", GRADIO, "day2sunset"),
}
FILMED = ("chelsea.png", "rocket.jpg", "coffee.png", "astronaut.png")  # those that a training film shows
SKIES = {7: "A meadow by day"}  # drawn scenes that are given to day2sunset
SCENES = {12: "A bay horse by a tree", 10: "Two horses", 35: "A patched horse grazing", 15: "A dark horse trotting"}
KEY = "scene"  # of the PNG text that holds the seed
LONG = 1024  # photographs and scenes that are given as examples are no larger than this, in pixels


@dataclass(frozen=True)
class Example:
    """One example: either a file or a scene of the test split."""

    name: str
    family: str  # the model family it is meant for
    path: Path | None = None
    index: int | None = None
    rights: str = "drawn by qsneg"

    @property
    def file_name(self) -> str:
        return self.name.lower().replace(",", "").replace(" ", "-")

    def picture(self, size: int = 512) -> Image.Image:
        """The picture: a photograph as it is, a scene of domain A drawn at `size` × `size` pixels."""
        if self.path:
            image = image_io.read(self.path)
            image.thumbnail((LONG, LONG), Image.Resampling.LANCZOS)
            return image
        return scene(test_seed(self.index), size, "A")

    def thumbnail(self, side: int = 128) -> Image.Image:
        """A square crop of side × side pixels."""
        return image_io.square(self.picture(side), side, above=1 / 3)


def photographs() -> dict[str, Path]:
    """The photographs that are there, by file name: of the packages that ship them, which are not imported."""
    found = {}
    for name, photograph in PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(photograph.package)
        folder = Path(spec.origin).parent / FOLDERS[photograph.package] if spec and spec.origin else None
        if folder and (folder / name).is_file():
            found[name] = folder / name
    return found


def examples() -> list[Example]:
    """The photographs that are there, then drawn scenes; the first of a family is the one that it opens with."""
    found = [
        Example(PHOTOGRAPHS[name].title, PHOTOGRAPHS[name].family, path, rights=PHOTOGRAPHS[name].rights)
        for name, path in photographs().items()
    ]
    skies = [Example(title, "day2sunset", index=index) for index, title in SKIES.items()]
    scenes = [Example(title, DRAWN, index=index) for index, title in SCENES.items()]
    return (
        [e for e in found if e.family == "photo2ink"] + skies + [e for e in found if e.family != "photo2ink"] + scenes
    )


def test_seed(index: int) -> int:
    """The seed of a scene of the test split, where both domains share the seeds.

    Raises:
        ValueError: for an index outside 0..999999.
    """
    return drawn_scenes.scene_seed("test", "A", int(index))


@functools.lru_cache(maxsize=64)
def _draw(seed: int, size: int, domain: str) -> np.ndarray:
    return drawn_scenes.draw(seed, size, domain)


def scene(seed: int, size: int, domain: str) -> Image.Image:
    """The scene of a seed as a size × size picture that carries its seed.

    Raises:
        ValueError: for a size or domain that cannot be drawn.
    """
    image = Image.fromarray(_draw(seed, size, domain))
    if domain == "A":
        image.info[KEY] = str(seed)
    return image


def seed_of(image: Image.Image) -> int | None:
    """The seed of a picture that is a drawn scene of domain A, untouched; None for any other picture."""
    text = image.info.get(KEY)
    if not isinstance(text, str) or not text.isdecimal() or len(text) > 12 or image.width != image.height:
        return None
    try:
        same = np.array_equal(_draw(int(text), image.width, "A"), np.asarray(image.convert("RGB")))
    except ValueError:  # a size that is never drawn
        return None
    return int(text) if same else None


def showable(family: str, count: int, size: int) -> list[tuple[Image.Image, Image.Image | None]]:
    """Pictures of size × size pixels, with their counterparts where they are known: photographs
    first, unless the family is drawn."""
    found = []
    if family != DRAWN:
        found += [(image_io.square(e.picture(), size, above=0.25), None) for e in examples() if e.path]
    for index in range(count - len(found)):
        seed = test_seed(index)
        found.append((scene(seed, size, "A"), scene(seed, size, "B") if family == DRAWN else None))
    return found


def for_film(data: str, size: int) -> list[Image.Image]:
    """The four pictures of a training film, size × size: drawn test scenes, or photographs and one scene."""
    found = {} if data == DRAWN else photographs()
    pictures = [image_io.square(image_io.read(found[name]), size, above=0.25) for name in FILMED if name in found]
    for index in range(4 - len(pictures)):
        pictures.append(Image.fromarray(drawn_scenes.draw(test_seed(index), size, "A")))
    return pictures
