"""Embedded colour profiles (Display P3, Adobe RGB, a grey's gamma, a press's CMYK) to sRGB.

from qsneg.colour_profiles import to_srgb
rgb = to_srgb(image, image.info.get("icc_profile"))
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # a profile's colour space: Pillow's mode for it
INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture without alpha, of 8 bits, as RGB in sRGB: itself, where it is that already.

    A profile that is damaged, or of other colours than the picture's, is ignored: colours are then taken as sRGB.

    Raises:
        ValueError: if Pillow does not convert the picture's mode to RGB.
    """
    try:
        if found := transform(bytes(profile or b""), image.mode):
            mode, converter = found
            return converter.apply(image if image.mode == mode else image.convert(mode))
    except Exception:  # ImageCms raises nearly anything on a damaged profile, and the pixels are fine
        pass
    if image.mode == "LAB":
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), INTENT, "RGB"
        )
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=8)
def transform(profile: bytes, mode: str) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """The mode to bring a picture to and its way to sRGB; None where it is there already, or the profile is not its."""
    if not profile:
        return None
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    kind = MODES.get(source.profile.xcolor_space.strip())
    grey = mode in ("1", "L", "I", "F") or mode.startswith("I;16")
    if kind is None or (kind in ("CMYK", "LAB") and mode != kind) or (kind == "L" and not grey):
        return None
    if kind == "RGB" and mode in ("CMYK", "LAB"):
        return None
    srgb = ImageCms.createProfile("sRGB")
    made = ImageCms.buildTransform(source, srgb, kind, "RGB", INTENT, ImageCms.Flags.BLACKPOINTCOMPENSATION)
    return None if kind in ("RGB", "L") and is_srgb(made, kind) else (kind, made)


def is_srgb(made: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform leaves colours as they are, but for rounding."""
    steps = np.arange(0, 256, 15, np.uint8)
    if mode == "RGB":
        colours = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(len(steps), -1, 3)
    else:
        colours = steps[None]
    before = Image.fromarray(colours)
    return int(np.abs(np.asarray(made.apply(before), np.int16) - np.asarray(before.convert("RGB"))).max()) <= 1
