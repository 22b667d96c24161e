"""The models of a checkpoint folder, and what is made with them: translations, each computed once.

models = Models("checkpoints")
models.translated(models.sources.read("photo.jpg"), "day2sunset", "cut", 256).image
"""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from PIL import Image

from qsneg import device, translate, weights
from qsneg.config import trained_methods
from qsneg.inspect.observing import Begun, begin
from qsneg.memory_limits import TooLarge, short_size
from qsneg.rendering.colormaps import title_of
from qsneg.ui import limits
from qsneg.ui.bounded import Bounded
from qsneg.ui.line import Line
from qsneg.ui.own_weights import OWN, Opened
from qsneg.ui.texts import FAMILIES
from qsneg.ui.uploads import Refused, Source, Sources


@dataclass(frozen=True)
class Result:
    """A translation by one model, and the seconds that it took."""

    method: str
    image: Image.Image
    seconds: float


class Models:
    """The models of a folder, loaded when first needed; the most recently used are kept.

    Beside them `own`: the models that visitors have opened, see `qsneg.ui.own_weights`; and `sources`, what they upload;
    and the `line` in which whoever uses a model waits.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        name: str = "auto",
        keep: int = 10,
        precision: str = "float32",
        max_pixels: int = limits.UPLOADED,
    ):
        self.folder = Path(folder or weights.FOLDER)
        self.device = device.pick(name)
        self.precision = device.precision(self.device, precision)
        self.own, self.sources = Opened(self.device, precision=self.precision), Sources(max_pixels=max_pixels)
        self.loaded, self.line = Bounded(keep), Line()
        self.begun = Bounded(limits.BEGUN_BYTES, Begun.nbytes)  # translations, by digest, family, method and size

        def key(call):
            return call["source"].digest, call["family"], call["method"], call["size"]

        def once(source, family, method, size):  # a plain tuple, whose size gradio's cache can tell
            result = self.translate(source, family, method, size)
            return result.image, result.seconds

        self.once = gr.cache(once, key=key, max_size=limits.RESULTS, max_memory=limits.RESULTS_BYTES)

    def families(self) -> dict[str, list[str]]:
        """Each family's methods for which there are weights, families in the order of FAMILIES."""
        found: dict[str, list[str]] = {}
        for path in weights.available(self.folder):
            if path.stem in trained_methods():
                found.setdefault(path.parent.name, []).append(path.stem)
        order = sorted(found, key=lambda family: ([*FAMILIES, family].index(family), family))
        return {family: sorted(found[family], key=trained_methods().index) for family in order}

    def present(self) -> list[str]:
        """The methods of all families together."""
        families = self.families()
        return [method for method in trained_methods() if any(method in have for have in families.values())]

    def card(self, family: str, method: str) -> dict:
        """The card in the file's metadata, {} if the file cannot be read."""
        try:
            return weights.read_metadata(self.folder / family / f"{method}.safetensors")[1]
        except (ValueError, OSError):
            return {}

    def check(self, family: str, methods: list[str], size: int, own: str = "") -> list[str]:
        """The methods in their canonical order; "own" is one of them where `own` names a visitor's weights.

        Raises:
            Refused: if there are no such models, no method is given, or the size is out of range.
        """
        families, (least, most) = self.families(), limits.SIZES
        shipped = [method for method in methods or [] if method != OWN or not own]
        if methods and not shipped:
            families = {family: []}
        if not families:
            raise Refused(
                "family",
                f"There are no weights in the folder '{self.folder.name}': train a model with "
                "python -m qsneg train, or start the app with --checkpoints.",
            )
        if family not in families:
            raise Refused("family", f"There are no models called '{family}': choose {listed(families)}.")
        if not methods:
            raise Refused("methods", "No method is chosen: tick at least one.")
        for method in shipped:
            if method not in families[family]:
                choose = listed(families[family])
                raise Refused("methods", f"There are no weights of '{method}' for {family}: choose {choose}.")
        if not isinstance(size, (int, float)) or size != int(size) or not least <= size <= most:
            raise Refused("size", f"The working size must be a whole number from {least} to {most} pixels, not {size}.")
        return sorted(set(methods), key=[*trained_methods(), OWN].index)

    def translator(self, family: str, method: str):
        """The model, loaded if it is not kept. Of method "own", `family` is what names a visitor's weights.

        Raises:
            Refused: if its file is not a valid one, or the visitor's weights are no longer there.
        """
        if method == OWN:
            found = self.own.find(family)
            if found is None:
                raise Refused("methods", "Your weights are no longer kept here: open the file again, or untick it.")
            return found
        with self.loaded.lock:  # whoever waited finds it loaded
            return self.loaded.find((family, method)) or self.loaded.keep((family, method), self.load(family, method))

    def load(self, family: str, method: str):
        try:
            translator = translate.load(f"{family}/{method}", str(self.device), self.folder, self.precision)
            translator.translate(Image.new("RGB", (256, 256)))  # the first call sets things up and is slow
            return translator
        except (ValueError, OSError):
            raise Refused(
                "methods",
                f"The weights of {title_of(method)} for {family} cannot be read: "
                "untick it, or put a valid file in the checkpoint folder.",
            ) from None

    def translate(self, source: Source, family: str, method: str, size: int) -> Result:
        """Translate at a short side of `size` pixels. The time is the translation's, without loading.

        Raises:
            Refused: if the model cannot be read, or the translation would be too large.
        """
        asked, size = size, source.side(size)
        width, height = short_size(source.image.size, size)
        if width * height > limits.TRANSLATED:
            raise Refused(
                "size",
                f"At this working size the picture would have {width * height / 1e6:.0f} megapixels, "
                f"and at most {limits.TRANSLATED / 1e6:.0f} are translated: crop it, or choose a smaller size.",
            )
        translator = self.translator(family, method)
        start = time.perf_counter()
        try:
            image = self.begin(translator, source, size, (source.digest, family, method, asked))
            image = image or translator.translate(source.at(size), size)
        except ValueError as error:
            raise Refused("size", str(error)) from None
        return Result(method, image, time.perf_counter() - start)

    def begin(self, translator, source: Source, size: int, key: tuple) -> Image.Image | None:
        """The translation, of which the pages can make their views, too; None where it is too large for that."""
        if inspected_size(source.image.size, size) < size:
            return None
        try:
            return self.begun.keep(key, begin(translator, source.at(size), size)).result
        except TooLarge:  # both together; the translation alone may fit
            return None

    def translated(self, source: Source, family: str, method: str, size: int) -> Result:
        """`translate`, computed once."""
        return Result(method, *self.once(source, family, method, size))

    def warm_up(self) -> threading.Thread:
        """Load all models in the background, so that the first visitor of each does not wait."""

        def load_all():
            for family, methods in self.families().items():
                for method in methods[: self.loaded.limit]:
                    try:
                        self.translator(family, method)
                    except Refused:
                        continue  # told to whoever chooses it

        thread = threading.Thread(target=load_all, name="warm-up", daemon=True)
        thread.start()
        return thread


def listed(names, last: str = "or") -> str:
    """["a", "b", "c"] as "a, b or c"."""
    *first, end = names
    return f"{', '.join(first)} {last} {end}" if first else end


def inspected_size(picture: tuple[int, int], size: int, most: int = limits.INSPECTED) -> int:
    """The short side in pixels at which a picture (width, height) is inspected when `size` is asked for.

    That is `size` where the picture then has at most `most` pixels, else the largest multiple of 4 that fits.
    """
    if short_size(picture, size)[0] * short_size(picture, size)[1] <= most:
        return size
    ratio = max(picture) / min(picture)
    return max(4, int((most / ratio) ** 0.5) // 4 * 4)
