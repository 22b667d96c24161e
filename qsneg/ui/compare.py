"""One picture through several models: what the app and its API compute, without any user interface.

from qsneg.ui.compare import Comparison, Models, Source, compare, labelled
models = Models("checkpoints")
*steps, result = compare(models, Source.read("photo.jpg"), "day2sunset", ["cut", "negcut"], 256)
labelled(result).save("comparison.png")
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from qsneg import device, image_io, translate, weights
from qsneg.config import trained_methods
from qsneg.rendering import sample_pictures
from qsneg.rendering.colormaps import colour_of, title_of
from qsneg.ui import limits
from qsneg.ui.own_weights import Opened
from qsneg.ui.texts import FAMILIES

OWN = "own"  # stands among the methods for a visitor's own weights


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

    @classmethod
    def read(cls, path: Path | str | None) -> "Source":
        """A file.

        Raises:
            Refused: if there is none, or it cannot be read as a picture.
        """
        if not path:
            raise Refused("picture", "There is no picture yet: upload one, paste one, or choose an example.")
        try:
            image = image_io.read(path)
            with Image.open(path) as file:  # the text of a drawn scene, which does not survive `read`
                image.info.update({k: v for k, v in file.info.items() if k == sample_pictures.KEY})
        except (ValueError, OSError) as error:
            if "smaller" in str(error):  # too many pixels, and what to do about it
                raise Refused("picture", str(error).replace(f"'{path}'", "This picture")) from None
            raise Refused(
                "picture",
                "This file cannot be read as a picture: it may be damaged, or of another kind; "
                "choose a JPEG, PNG or WebP file.",
            ) from None
        return cls.of(image)

    def at(self, size: int) -> Image.Image:
        """The picture to translate at a working size: a scene is drawn anew, the rest is left to the translator."""
        return sample_pictures.scene(self.seed, size, "A") if self.seed is not None and size % 4 == 0 else self.image


@dataclass(frozen=True)
class Result:
    """A translation by one model, and the seconds that it took."""

    method: str
    image: Image.Image
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """A picture and its translations, all of one size; the true counterpart where there is one."""

    family: str
    size: int
    device: str
    source: Image.Image
    results: tuple[Result, ...]
    counterpart: Image.Image | None

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)


class Models:
    """The models of a checkpoint folder, loaded when first needed; the most recently used are kept.

    Beside them `own`: the models that visitors have opened, see `qsneg.ui.own_weights`.
    """

    def __init__(
        self, folder: Path | str | None = None, name: str = "auto", keep: int = 10, precision: str = "float32"
    ):
        self.folder = Path(folder or weights.FOLDER)
        self.device = device.pick(name)
        self.precision = device.precision(self.device, precision)
        self.keep = keep
        self.own = Opened(self.device, precision=self.precision)
        self._kept: OrderedDict[tuple[str, str], object] = OrderedDict()
        self._lock = threading.Lock()

    def families(self) -> dict[str, list[str]]:
        """Each family's methods for which there are weights, families in the order of FAMILIES."""
        found: dict[str, list[str]] = {}
        for path in weights.available(self.folder):
            if path.stem in trained_methods():
                found.setdefault(path.parent.name, []).append(path.stem)
        order = sorted(found, key=lambda family: ([*FAMILIES, family].index(family), family))
        return {family: sorted(found[family], key=trained_methods().index) for family in order}

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
            raise Refused("family", f"There are no models called '{family}': choose {_either(families)}.")
        if not methods:
            raise Refused("methods", "No method is chosen: tick at least one.")
        for method in shipped:
            if method not in families[family]:
                choose = _either(families[family])
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
        with self._lock:
            key = family, method
            if key not in self._kept:
                try:
                    name = f"{family}/{method}"
                    translator = translate.load(name, str(self.device), self.folder, self.precision)
                    translator.translate(Image.new("RGB", (256, 256)))  # the first call sets things up and is slow
                    self._kept[key] = translator
                except (ValueError, OSError):
                    raise Refused(
                        "methods",
                        f"The weights of {title_of(method)} for {family} cannot be read: "
                        "untick it, or put a valid file in the checkpoint folder.",
                    ) from None
            self._kept.move_to_end(key)
            while len(self._kept) > self.keep:
                self._kept.popitem(last=False)
            return self._kept[key]

    def translate(self, source: Source, family: str, method: str, size: int) -> Result:
        """Translate at a short side of `size` pixels. The time is the translation's, without loading.

        Raises:
            Refused: if the model cannot be read, or the translation would be too large.
        """
        width, height = image_io.short_size(source.image.size, size)
        if width * height > limits.TRANSLATED:
            raise Refused(
                "size",
                f"At this working size the picture would have {width * height / 1e6:.0f} megapixels, "
                f"and at most {limits.TRANSLATED / 1e6:.0f} are translated: crop it, or choose a "
                "smaller size.",
            )
        translator = self.translator(family, method)
        start = time.perf_counter()
        try:
            image = translator.translate(source.at(size), size)
        except ValueError as error:
            raise Refused("size", str(error).replace(" (the shorter side in pixels, --size)", "")) from None
        return Result(method, image, time.perf_counter() - start)

    def warm_up(self) -> threading.Thread:
        """Load all models in the background, so that the first visitor of each does not wait."""

        def load_all():
            for family, methods in self.families().items():
                for method in methods[: self.keep]:
                    try:
                        self.translator(family, method)
                    except Refused:
                        continue  # told to whoever chooses it

        thread = threading.Thread(target=load_all, name="warm-up", daemon=True)
        thread.start()
        return thread


def compare(
    models: Models,
    source: Source,
    family: str,
    methods: list[str],
    size: int,
    translate: Callable[[Source, str, str, int], Result] | None = None,
    own: str = "",
) -> Iterator[str | Comparison]:
    """Translate with one method after the other: yields a sentence before each, and the comparison last.

    translate: stands in for `models.translate`, for instance a cached one. own: names the visitor's own weights.

    Raises:
        Refused: see `Models.check` and `Models.translate`.
    """
    methods = models.check(family, methods, size, own)
    size, results = int(size), []
    for number, method in enumerate(methods, 1):
        yield f"{title_of(method)}: translating, {number} of {len(methods)}"
        results.append((translate or models.translate)(source, own if method == OWN else family, method, size))
    shape = results[0].image.size
    counterpart = None
    if source.seed is not None and family == "horse2zebra-drawn" and size % 4 == 0:
        counterpart = sample_pictures.scene(source.seed, size, "B")
    shown = source.at(size)
    shown = shown if shown.size == shape else shown.resize(shape, Image.Resampling.LANCZOS)
    used = f"{device.describe(models.device)}, {models.precision}"
    yield Comparison(family, size, used, shown, tuple(results), counterpart)


def pictures(comparison: Comparison) -> Iterator[tuple[str, str, Image.Image]]:
    """(key of a colour, title, picture) of everything in a comparison, from left to right."""
    yield "source", "Source", comparison.source
    for result in comparison.results:
        yield result.method, title_of(result.method), result.image
    if comparison.counterpart:
        yield "counterpart", "True counterpart", comparison.counterpart


def labelled(comparison: Comparison) -> Image.Image:
    """The comparison as one picture: a row with a title over each picture, and a line that says how it was made."""
    row = list(pictures(comparison))
    width, height = comparison.source.size
    gap, text = max(8, width // 24), max(13, width // 16)
    font, small = ImageFont.load_default(text), ImageFont.load_default(max(11, text * 3 // 4))
    top = gap + text + text // 2
    sheet = Image.new("RGB", (gap + len(row) * (width + gap), top + height + 2 * gap + text), "white")
    draw = ImageDraw.Draw(sheet)
    times = {result.method: f"{result.seconds:.2f} s" for result in comparison.results}
    for column, (key, title, image) in enumerate(row):
        left = gap + column * (width + gap)
        draw.rectangle((left, top - text // 4 - 1, left + width - 1, top - 2), fill=colour_of(key))
        draw.text((left, top - text // 2), title, "#222222", font, anchor="ls")
        draw.text((left + width, top - text // 2), times.get(key, ""), "#666666", small, anchor="rs")
        sheet.paste(image, (left, top))
    title = FAMILIES.get(comparison.family, (comparison.family, ""))[0]
    line = f"qsneg, {title.lower()} ({comparison.family}), {width} by {height} pixels, {comparison.device}"
    draw.text((gap, top + height + gap), line, "#666666", small, anchor="lt")
    return sheet


def _either(names) -> str:
    """["a", "b", "c"] as "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
