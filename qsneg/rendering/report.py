"""Rows as files: pictures, plots and patches by name; with arrays and numbers in a folder, or in one zip.

found = pictures(rows)                                # "cut/entropy.png": Image, "cut/histogram.svg": text
found |= {"cut/arrays.npz": {"loss": array}, "summary.json": {"layer": 12}}
write(found, Path("seen")), zipped(found)
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from qsneg.filesystem import whole
from qsneg.rendering import overlays, plots
from qsneg.rendering.rows import Row

LISTED = 10  # values of a list that stand in a table
WEBP = dict(format="WEBP", quality=88)


def pictures(rows: Iterable[Row]) -> dict:
    """What rows show, by folder and name: a folder per method, another for the source; in each a panel's picture, its
    colour bar, its plot and its patches."""
    out = {}
    for panel in (p for row in rows for p in row.panels if p.name):
        path = f"{panel.key}/{panel.name}"
        if panel.under:
            out[f"{path}.png"] = overlays.draw(panel)
        if panel.scale:
            out[f"{path}-bar.png"] = overlays.bar(panel.scale)
        if panel.plot:
            out[f"{path}.svg"] = plots.standalone(panel.plot)
        for number, patch in enumerate(panel.patches, 1):
            out[f"{path}/{number:02d}.png"] = overlays.thumbnail(patch)
    return out


def encoded(name: str, value) -> bytes:
    """One file by the ending of its name: png of an Image or a matplotlib Figure, webp of an Image, npz of arrays by
    name, json of anything plain, csv of numbers by method, or text."""
    if name.endswith((".png", ".webp")):
        data = io.BytesIO()
        if isinstance(value, Image.Image):
            value.save(data, **dict(format="PNG", compress_level=4) if name.endswith("g") else WEBP)
        else:
            value.savefig(data, dpi=110, format="png")
        return data.getvalue()
    if name.endswith(".npz"):
        np.savez_compressed(data := io.BytesIO(), **value)
        return data.getvalue()
    if name.endswith(".csv"):
        return table(value).encode()
    if name.endswith(".json"):
        return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
    return value.encode()


def table(facts: dict) -> str:
    """Numbers by method as CSV: a line for each, with the names on the way to it; longer lists are in the arrays."""
    file = csv.writer(text := io.StringIO(), lineterminator="\n")
    file.writerow(("method", "quantity", "value"))
    for method, found in facts.items():
        file.writerows((method, name, value) for name, value in flat(found))
    return text.getvalue()


def flat(found, name: str = "") -> Iterator[tuple[str, object]]:
    """The single numbers and words in nested objects and short lists, by dotted names."""
    if isinstance(found, dict):
        parts = found.items()
    elif isinstance(found, (list, tuple)):
        parts = enumerate(found) if len(found) <= LISTED else ()
    else:
        yield name, found
        return
    for key, value in parts:
        yield from flat(value, f"{name}.{key}" if name else str(key))


def zipped(files: dict) -> bytes:
    """A zip of files by name; the same files give the same bytes."""
    with zipfile.ZipFile(data := io.BytesIO(), "w", zipfile.ZIP_STORED) as archive:
        for name, value in files.items():
            archive.writestr(zipfile.ZipInfo(name), encoded(name, value))
    return data.getvalue()


def write(files: dict, folder: Path | str) -> None:
    """Files by name into a folder, each whole or not at all.

    Raises:
        Unwritable: (a ValueError) if one cannot be written.
    """
    for name, value in files.items():
        with whole(Path(folder) / name) as part:
            part.write_bytes(encoded(name, value))
