"""Everything on a page as files: pictures, arrays and numbers in one zip; and as one labelled sheet.

files = {"cut/entropy.png": image, "cut/arrays.npz": {"loss": array}, "summary.json": {"layer": 12}}
data = zipped(files)
"""

import io
import json
import zipfile

import numpy as np
from PIL import Image, ImageDraw

from qsneg.rendering.colormaps import colour_of, font, title_of

WIDTH = 384  # pixels of a picture on a sheet


def encoded(name: str, value) -> bytes:
    """One file by the ending of its name: png of an Image, npz of arrays by name, json of anything plain, or text."""
    if name.endswith(".png"):
        value.save(data := io.BytesIO(), "PNG", compress_level=4)
        return data.getvalue()
    if name.endswith(".npz"):
        np.savez_compressed(data := io.BytesIO(), **value)
        return data.getvalue()
    if name.endswith(".json"):
        return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    return value.encode()


def zipped(files: dict) -> bytes:
    """A zip of files by name; the same files give the same bytes."""
    with zipfile.ZipFile(data := io.BytesIO(), "w", zipfile.ZIP_STORED) as archive:
        for name, value in files.items():
            archive.writestr(zipfile.ZipInfo(name), encoded(name, value))
    return data.getvalue()


def sheet(files: dict, line: str) -> Image.Image:
    """The pictures of `files` on white: a column per folder (source, methods), all as wide; under them one line."""
    columns: dict[str, dict[str, Image.Image]] = {}
    for path, image in files.items():
        if path.endswith(".png") and path.count("/") == 1:  # not the patches
            folder, name = path.split("/")
            size = WIDTH, round(image.height * WIDTH / image.width)
            kind = Image.Resampling.LANCZOS if image.width > WIDTH else Image.Resampling.NEAREST
            columns.setdefault(folder, {})[name[:-4]] = image.resize(size, kind)
    gap, text, small = 18, 30, font(14)
    tall = max(sum(image.height + text for image in column.values()) for column in columns.values())
    page = Image.new("RGB", (gap + len(columns) * (WIDTH + gap), gap + 2 * text + tall), "white")
    pen = ImageDraw.Draw(page)
    for number, (key, column) in enumerate(columns.items()):
        left, top = gap + number * (WIDTH + gap), gap + text
        pen.text((left, gap), title_of(key), "#222222", font(17))
        pen.rectangle((left, top - 4, left + WIDTH - 1, top - 3), fill=colour_of(key))
        for name, image in column.items():
            page.paste(image, (left, top), image if image.mode == "RGBA" else None)
            if not name.endswith("-bar"):
                pen.text((left, top + image.height + 6), name.replace("-", ", "), "#666666", small)
            top += image.height + text * (not name.endswith("-bar")) + 8 * name.endswith("-bar")
    pen.text((gap, gap + text + tall), line, "#666666", small)
    return page
