"""Which files are read as pictures, by format and by ending, and what is missing for others.

Formats whose reader runs another program are not among them. With the package pillow-heif installed, HEIC is.
"""

from PIL import Image

try:  # Apple's and Samsung's photographs
    import pillow_heif

    pillow_heif.register_heif_opener()
except ImportError:
    pass

Image.init()  # every reader that this Pillow was built with
WANTED = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM", "HEIF")
FORMATS = tuple(name for name in WANTED if name in Image.OPEN)
EXTENSIONS = {
    ending for ending, kind in Image.registered_extensions().items() if kind in (*FORMATS, "MPO")
}  # MPO: several JPEGs

HEIC = {".heic", ".heics", ".heif", ".heifs", ".hif"}
RAW = {".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"}


def remedy(ending: str) -> str:
    """How pictures of an ending that is not read can be made readable; "" where there is nothing to say."""
    if ending in HEIC:
        return "`pip install pillow-heif` and they are read"
    if ending in {".avif", ".avifs"}:
        return "a newer Pillow reads them"
    return "develop them to TIFF or JPEG first" if ending in RAW else ""
