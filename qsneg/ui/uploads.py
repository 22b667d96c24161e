"""A picture as a visitor gives it: read once, carried with its digest; and requests that cannot be met.

source = Sources().read("photo.jpg")        # decoded and hashed; the second time, found
source.at(256), source.digest
"""

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from qsneg import image_io
from qsneg.image_io import TooManyPixels
from qsneg.memory_limits import TooLarge, short_size
from qsneg.rendering import sample_pictures
from qsneg.ui import limits
from qsneg.ui.bounded import Bounded


class Refused(ValueError):
    """A request that cannot be met: one sentence for the visitor, and the control that it is about
    ("picture", "family", "methods" or "size")."""

    def __init__(self, control: str, sentence: str):
        super().__init__(sentence)
        self.control = control


@dataclass(frozen=True)
class Source:
    """A picture to translate: upright RGB, the seed of its scene if it is a drawn one, a digest of its pixels."""

    image: Image.Image
    seed: int | None
    digest: str

    @classmethod
    def of(cls, image: Image.Image) -> "Source":
        """A picture of any mode; one that came from `sample_pictures.scene` is known as a scene."""
        seed = sample_pictures.seed_of(image)
        image = image_io.upright_rgb(image)
        return cls(image, seed, hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest())

    def at(self, size: int) -> Image.Image:
        """The picture to translate at a working size: a scene is drawn anew, the rest is left to the translator."""
        return sample_pictures.scene(self.seed, size, "A") if self.is_drawn_at(size) else self.image

    def is_drawn_at(self, size: int) -> bool:
        return self.seed is not None and size % 4 == 0

    def side(self, size: int) -> int:
        """The short side in pixels at which it is translated: `size`, unless a long picture would be enlarged to more
        than `limits.ENLARGED` squares of that size; then as far as that, but never less than it has."""
        (width, height), most = self.image.size, limits.ENLARGED * size**2
        if math.prod(short_size(self.image.size, size)) <= max(most, width * height):
            return size
        return max(min(width, height), int(min(width, height) * (most / (width * height)) ** 0.5) // 4 * 4)

    def enlarged(self, size: int) -> str:
        """What a visitor should know where a small picture is enlarged, or would have been; "" where that is not so."""
        width, height = self.image.size
        side, said = self.side(size), ""
        if side < size:
            said = (
                f"The working size of {size} is reduced to {side} here: enlarging so long a picture only takes time. "
            )
        if side > 2 * min(width, height) and not self.is_drawn_at(size):
            factor = f"{side / min(width, height):.1f}"
            said += f"It is enlarged {factor} times from {width} × {height} pixels, which adds no detail."
        return said.strip()


class Sources(Bounded):
    """Pictures by file, each decoded and hashed once, as long as there is room."""

    def __init__(self, limit: int = limits.SOURCES_BYTES, max_pixels: int = limits.UPLOADED):
        super().__init__(limit, lambda source: 3 * source.image.width * source.image.height)
        self.max_pixels = max_pixels

    def read(self, path: Path | str | None) -> Source:
        """A file.

        Raises:
            Refused: if there is none, or it cannot be read as a picture.
        """
        if not path:
            raise Refused("picture", "There is no picture yet: upload one, paste one, or choose an example.")
        try:
            stat = os.stat(path)
            key = str(path), stat.st_mtime_ns, stat.st_size
            return self.find(key) or self.keep(key, decoded(path, self.max_pixels))
        except TooManyPixels as error:  # which says what to do about it, as the next does
            raise Refused("picture", f"This picture {error.reason}") from None
        except TooLarge as error:
            raise Refused("picture", str(error)) from None
        except FileNotFoundError:
            raise Refused("picture", "This picture is no longer kept here: upload it again.") from None
        except (ValueError, OSError):
            raise Refused(
                "picture",
                "This file cannot be read as a picture: it may be damaged, or of another kind; "
                "choose a JPEG, PNG or WebP file.",
            ) from None


def decoded(path: Path | str, max_pixels: int) -> Source:
    image = image_io.read(path, max_pixels=max_pixels)
    with image_io.opened(path) as file:  # the text of a drawn scene, which does not survive `read`; no pixels are read
        image.info.update({k: v for k, v in file.info.items() if k == sample_pictures.KEY})
    return Source.of(image)
