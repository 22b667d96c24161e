"""What is done to one picture of very many, wherever it lies: bytes in, the columns of a row out.

work = Translate(size=256)
row = work(qsneg.load("day2sunset/cut"), "a.jpg", data)          # {"picture": PNG bytes, …}
"""

from dataclasses import dataclass

import numpy as np
import pyarrow
from PIL import Image

from qsneg.bulk.addresses import Place
from qsneg.bulk.files import encoded
from qsneg.bulk.pipeline import fits
from qsneg.bulk.tiles import translate_in_tiles
from qsneg.image_io import NOTE, read, resize_short
from qsneg.inspect import inspect, observe
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
    """Translations, as PNG in a column, or written to a place under names of their own; arguments as of `translate`.
    What does not fit in memory is translated in tiles, with `tile` everything."""

    margin: int = MARGIN
    tile: bool = False
    place: Place | None = None
    names: tuple = ()  # (name, name of the result), where it is another
    columns = {"picture": pyarrow.binary(), "width": pyarrow.int32(), "height": pyarrow.int32()}

    def __call__(self, translator: Translator, name: str, data: bytes) -> dict:
        tiled = self.tile

        def check(shape: tuple[int, int]) -> None:
            nonlocal tiled
            tiled = self.tile or not fits(translator, shape, self.size, self.margin)

        source = read(name, self.white, self.size, check, data=data)
        if tiled:
            values = np.array(resize_short(source, self.size or min(source.size)))
            result = Image.fromarray(translate_in_tiles(translator, values, self.margin))
        else:
            result = translator.translate(source, self.size, self.margin)
        row = {"width": result.width, "height": result.height, "note": source.info.get(NOTE)}
        if self.place is None:
            return row | {"picture": encoded(result, ".png")}
        target = dict(self.names).get(name, name)
        self.place.write(target, encoded(result, "." + target.rsplit(".", 1)[-1]))
        return row


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
        source = read(name, self.white, self.size, data=data)
        found = inspect(observe(translator, source, self.size), self.layer, self.mode, self.anchors, self.seed)
        rows, columns = found.grid.shape
        row = {"rows": rows, "columns": columns, "note": source.info.get(NOTE)}
        for field, values in found.arrays().items():
            if field in self.columns:
                values = values @ [columns, 1] if self.columns[field] == PLACES else values
                row[field] = values.reshape(-1)
        return row
