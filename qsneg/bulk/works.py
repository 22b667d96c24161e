"""What is done to one picture of very many, wherever it lies: bytes in, the columns of a row out.

work = Translate(size=256)
row = work(qsneg.load("day2sunset/cut"), "a.jpg", data)          # {"picture": PNG bytes, …}
"""

from dataclasses import dataclass

import numpy as np
import pyarrow
import torch
from PIL import Image

from qsneg.bulk.addresses import Place
from qsneg.bulk.files import encoded
from qsneg.bulk.pipeline import in_tiles, picture_of, translate_pictures
from qsneg.data import arrays
from qsneg.inspect import inspect, observe_file
from qsneg.translate import MARGIN, Translator

NUMBERS, PLACES = pyarrow.list_(pyarrow.float32()), pyarrow.list_(pyarrow.int32())


@dataclass(frozen=True)
class Work:
    """Settings, the columns that it adds to a row, and what it does; raises ValueError or OSError where it cannot."""

    size: int | None = None
    white: float | None = None
    columns = {}

    def __call__(self, translator: Translator, name: str, data: bytes) -> dict:
        raise NotImplementedError


@dataclass(frozen=True)
class Translate(Work):
    """Translations, as PNG in a column (of other channels than one or three as TIFF), or written to a place under names
    of their own; arguments as of `translate`. What does not fit in memory is translated in tiles, with `tile` all."""

    margin: int = MARGIN
    tile: bool = False
    place: Place | None = None
    names: tuple = ()  # (name, name of the result), where it is another
    columns = {"picture": pyarrow.binary(), "width": pyarrow.int32(), "height": pyarrow.int32()}

    def __call__(self, translator: Translator, name: str, data: bytes) -> dict:
        found, note, tiled = picture_of(translator, name, self.size, self.margin, self.white, self.tile, data=data)
        if tiled:
            result = in_tiles(translator, found, self.margin)
        else:
            result = translate_pictures(translator, torch.from_numpy(found)[None], self.margin)[0].cpu().numpy()
        height, width, channels = result.shape
        row = {"width": width, "height": height, "note": note or None}
        if self.place is None:
            return row | {"picture": stored(result, ".png" if channels in (1, 3) else ".tif")}
        target = dict(self.names).get(name, name)
        self.place.write(target, stored(result, "." + target.rsplit(".", 1)[-1]))
        return row


def stored(result: np.ndarray, ending: str) -> bytes:
    """A file of a translation, H×W×3 bytes or H×W×C values from 0 to 1."""
    is_rgb = result.dtype == np.uint8
    return encoded(Image.fromarray(result), ending) if is_rgb else arrays.encoded(result, ending)


@dataclass(frozen=True)
class Look(Work):
    """Entropies, anchors and losses of one layer; arguments as of `qsneg.inspect.inspect`. Maps are row by row, and
    positions index them."""

    layer: int = 12
    mode: str = "global"
    anchors: int | None = None
    seed: int = 0
    columns = {
        "rows": pyarrow.int32(), "columns": pyarrow.int32(), "entropy": NUMBERS, "log_entropy": NUMBERS,
        "anchors": PLACES, "random": PLACES, "loss": NUMBERS, "similarity": NUMBERS, "asked": PLACES,
        "asked_loss": NUMBERS,
    }  # fmt: skip

    def __call__(self, translator: Translator, name: str, data: bytes) -> dict:
        view, note = observe_file(translator, name, self.size, self.white, data)
        found = inspect(view, self.layer, self.mode, self.anchors, self.seed)
        rows, columns = found.grid.shape
        row = {"rows": rows, "columns": columns, "note": note}
        for field, values in found.arrays().items():
            if field in self.columns:
                values = values @ [columns, 1] if self.columns[field] == PLACES else values
                row[field] = values.reshape(-1)
        return row
