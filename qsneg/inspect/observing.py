"""Running a model on a picture so that it can be looked into: the generator runs once, then once more as an encoder.

view = observe(qsneg.load("day2sunset/negcut"), image)
view, note = observe_file(qsneg.load("ct2mr/cut"), "scan.tif")   # of any number of channels
begun = begin(qsneg.load("day2sunset/negcut"), image)       # begun.result at once, begun.view() when asked for
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qsneg.data import arrays
from qsneg.image_io import NOTE, for_people, read, to_image, to_tensor
from qsneg.inspect.features import PADDING, View
from qsneg.memory_limits import MIN_SIDE
from qsneg.translate import MARGIN, Translator, unpad


class Begun:
    """A picture that has been translated, from which a `View` can still be made: `result` is the translation, and the
    features of the source are kept; those of the result are read when the view is asked for."""

    def __init__(self, translator: Translator, x: Tensor, source: Image.Image, margin: int):
        self.translator, self.x, self.source, self.margin = translator, x, source, margin
        generator, layers = translator.weights.generator, translator.config.layers
        self.y, self.features = translator.run(
            x, margin, lambda padded: generator.translate_with_features(padded, layers)
        )
        y = unpad(self.y, (source.height, source.width), margin)[:, : translator.config.domains[1]]
        self.result = to_image(for_people(y))

    def nbytes(self) -> int:
        """Bytes held: for a cache with a bound."""
        return sum(t.nbytes for t in (self.x, self.y, *self.features))

    @torch.inference_mode()
    def view(self) -> View:
        """The view of source and result.

        Raises:
            ValueError: if it does not fit in memory.
        """
        translator, layers = self.translator, self.translator.config.layers
        for net in translator.weights.parts().values():
            net.to(translator.device)
        generator = translator.weights.generator
        encoded = translator.run(self.x, self.margin, lambda _: generator.encode(self.y, layers))
        source, result = ([self.crop(f, layer) for f, layer in zip(fs, layers)] for fs in (self.features, encoded))
        features = {"source": source, "result": result}
        return View(translator.weights, self.source, self.result, features, translator.device, translator.precision)

    def crop(self, feature: Tensor, layer: int) -> Tensor:
        """A layer's features without the margin."""
        stride, border = self.translator.weights.generator.stride(layer), 2 * PADDING if layer == 0 else 0
        sides = (max(side, MIN_SIDE) for side in (self.source.height, self.source.width))
        inner = unpad(feature, tuple(-(-side // stride) + border for side in sides), self.margin // stride)
        return inner.float().contiguous(memory_format=self.translator.layout)


@torch.inference_mode()
def begin(translator: Translator, image: Image.Image | Tensor, size: int | None = None, margin: int = MARGIN) -> Begun:
    """Translate a picture so that it can be looked into afterwards, without being translated again: arguments and
    errors as of `observe`, which is `begin(…).view()`."""
    width = 2 * translator.config.width
    if isinstance(image, Tensor):
        translator.check((image.shape[3], image.shape[2]), size, margin, width)
        x, image = image, to_image(for_people(image))
    else:
        image = translator.prepare(image, size, margin, width)
        x = to_tensor(image)
    return Begun(translator, x, image, margin)


def observe(translator: Translator, image: Image.Image | Tensor, size: int | None = None, margin: int = MARGIN) -> View:
    """Translate a picture, once, and keep the features of source and result.

    `view.result` is `translator.translate(image, size, margin)`, bit for bit. Features are read where that is made: of
    the source with its mirrored margin, and of the translation as it comes out, with its own margin and before it is
    rounded to 8 bits, so that the encoder sees an artificial border of neither. Then the margin is cut off: of every
    layer the positions whose centres lie on the picture are kept (at layer 0 also the 3 pixels around it that belong to
    the generator's padding; of a side under 16 pixels those of its continuation to 16), and what is read off a view
    knows no others, neither as keys nor as negatives.

    Of a model for other channels than RGB, `image` is a picture 1×C×H×W in [-1, 1]; the view shows it and its result as
    `image_io.for_people` says.

    `size` is the short side in pixels that the picture is brought to; None keeps its own. `margin` in pixels as in
    `Translator.translate`.

    Raises:
        ValueError: if it does not fit in memory, or `size` or `margin` cannot be.
    """
    return begin(translator, image, size, margin).view()


def observe_file(
    translator: Translator, path: Path | str, size: int | None = None, white: float | None = None,
    data: bytes | None = None,
) -> tuple[View, str | None]:  # fmt: skip
    """A picture's file observed, RGB or of as many channels as the model takes; and a sentence where its own range is
    shown. `white` and `data` as in `image_io.read`, `size` as in `observe`; raises as both do."""
    if translator.config.rgb:
        image = read(path, white, size, data=data)
        return observe(translator, image, size), image.info.get(NOTE)
    values, note = arrays.read(path, translator.config.domains[0], white, data)
    values = arrays.resized(values, size or min(values.shape[:2]))  # H×W×C
    return observe(translator, 2 * torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1)[None] - 1), note
