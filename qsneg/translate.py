"""Translate pictures of any kind and size; folders of them are `qsneg.bulk`'s.

    python -c "import qsneg, PIL.Image as I; qsneg.load('horse2zebra-drawn/cut').translate(I.open('a.png')).show()"

A picture is translated in one piece: instance norm takes its statistics over the whole picture. What does not fit in
memory is refused, with the size that would; `qsneg.bulk.tiles` translates it by way of the disk.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qsneg import device as devices
from qsneg.image_io import filled, for_people, from_bytes, header_size, resize_short, to_bytes, upright_rgb
from qsneg.memory_limits import TooLarge, check_fits, needed_bytes, padded_side, ran_out, short_size
from qsneg.weights import Weights
from qsneg.weights import load as load_weights

T = TypeVar("T")
MARGIN = 32
# Pixels of mirrored margin around a picture, cut off afterwards. At its border a generator is apt to paint a dark frame
# and dark corners; with a margin they fall outside. Divisible by 4, so that its grid falls on the picture as without.


class Translator:
    """A generator on a device, ready to translate.

    Computes in float32 unless `precision` says otherwise: what is shown and measured should be repeatable, and in
    bfloat16 the number of threads alone changes stripes. "auto" is bfloat16 where that is faster, often twice as
    fast. (On NVIDIA GPUs torch's own default lets float32 convolutions use TF32.) `autocast` is an older name of it.

    Attributes: `weights` (whose generator is moved to the device), `config`, `card`, `title`, `device`, and `precision`
    in words, "float32" or "bfloat16".
    """

    def __init__(
        self,
        weights: Weights,
        device: str | torch.device = "auto",
        precision: str = "float32",
        autocast: str | None = None,
    ):
        """Raises ValueError on an unknown device or precision ("auto", "float32" or "bfloat16")."""
        self.weights, self.config, self.card, self.title = weights, weights.config, weights.card, weights.title
        self.device = devices.pick(str(device))
        self.precision = devices.precision(self.device, autocast or precision)
        self.layout = devices.layout(self.device)
        weights.generator.to(self.device, memory_format=self.layout)

    def translate(
        self, image: Image.Image, size: int | None = None, margin: int = MARGIN, white: float | None = None
    ) -> Image.Image:
        """Translate a picture of any kind (see `image_io.upright_rgb`), 1×1 pixels and more, to an RGB image.

        `size` is the shorter side of the result in pixels: the picture is resized to it before it is translated,
        its aspect ratio kept. Without it, the result has the size of the upright picture. `margin`, in pixels, is how
        far the picture is continued by its mirror image on every side while it is translated, so that no frame shows;
        with 0 the result is the generator's plain output, that of `translate_tensor`. `white` is the value that is
        white in a picture of more than 8 bits, see `qsneg.bit_depths`.

        Raises:
            TooLarge: (a ValueError) if it would not fit in memory, naming the largest `size` that would.
            ValueError: if the picture cannot be read as RGB, `size` is no whole number of at least 1, or `margin` none
                of at least 0 that is divisible by 4.
        """
        array = np.array(self.prepare(image, size, margin, white=white))
        return Image.fromarray(self.translate_bytes(torch.from_numpy(array)[None], margin)[0].cpu().numpy())

    def prepare(
        self,
        image: Image.Image,
        size: int | None,
        margin: int,
        width: int | None = None,
        white: float | None = None,
    ) -> Image.Image:
        """The picture as it is translated: upright RGB, brought to `size`. `width` is what it is to fit in memory for,
        in units of the generator's width; None takes the generator's. Raises as `translate` does."""
        if (channels := self.config.domains[0]) != 3:
            raise ValueError(
                f"This model takes pictures of {channels} channel(s), not RGB: give files of such to `python -m qsneg "
                "translate` or `inspect`, or tensors to `translate_tensor`."
            )
        self.check(header_size(image), size, margin, width)  # before it is decoded, and made that large
        image = upright_rgb(image, white, size)
        return resize_short(image, min(image.size) if size is None else size)

    def check(self, shape: tuple[int, int], size: int | None, margin: int, width: int | None = None) -> None:
        """Raises what `prepare` would on a picture of that width and height: ValueError, or TooLarge."""
        check_margin(margin)
        target = short_size(shape, min(shape) if size is None else size)
        check_fits(target, width or self.config.width, self.device, margin=margin)

    def translate_tensor(self, x: Tensor, margin: int = 0) -> Tensor:
        """Translate a batch B×3×H×W in [-1, 1], any H and W from 1, to the same shape, range and device, in float32.
        Where a model's pictures have other channels than 3: those of domain A to those of domain B.

        `margin` as in `translate`, but by default none: the generator's plain output, which is what ONNX computes.

        Raises:
            TooLarge: (a ValueError) if it would not fit in memory.
            ValueError: on another shape or whole numbers, or a margin that cannot be.
        """
        check_margin(margin)
        a, b = self.config.domains
        if x.ndim != 4 or x.shape[1] != a or 0 in x.shape or not x.is_floating_point():
            kind = f"{'×'.join(map(str, x.shape))} of {str(x.dtype).removeprefix('torch.')}"
            raise ValueError(f"Pictures to translate are B×{a}×H×W floats in [-1, 1], not {kind}.")
        check_fits((x.shape[3], x.shape[2]), self.config.width, self.device, batch=x.shape[0], margin=margin)
        y = unpad(self.run(x, margin, self.weights.generator), x.shape[2:], margin)[:, :b]
        return y.to(x.device, torch.float32).clone(memory_format=torch.contiguous_format)  # an ordinary tensor again

    def translate_bytes(self, pictures: Tensor, margin: int = MARGIN) -> Tensor:
        """Translate pictures of one size, B×H×W×3 bytes, to the same; those lie on the device, and may not be computed
        yet. Raises TooLarge if memory runs out."""
        x = from_bytes(pictures.to(self.device, non_blocking=True).permute(0, 3, 1, 2))  # B×3×H×W
        y = unpad(self.run(x, margin, self.weights.generator), x.shape[2:], margin)[:, : self.config.domains[1]]
        return to_bytes(for_people(y.float())).permute(0, 2, 3, 1)

    def as_shown(self, x: Tensor) -> Tensor:
        """`translate_tensor` with the margin of `translate`: what people see, which `score` and `evaluate` measure."""
        return self.translate_tensor(x, MARGIN)

    def run(self, x: Tensor, margin: int, network: Callable[[Tensor], T]) -> T:
        """What `network` makes of pictures B×C×H×W, filled up to its channels and continued by a margin (see `pad`), in
        the precision and layout of this translator. Whatever reads the generator does it here, so that all see the same
        translation.

        Raises:
            TooLarge: (a ValueError) if memory runs out.
        """
        height, width = x.shape[2:]
        try:
            with torch.inference_mode(), devices.autocast(self.device, self.precision)():
                wide = filled(x.to(self.device, torch.float32), self.config.wide)
                padded = pad(wide, margin).contiguous(memory_format=self.layout)
                return network(padded)
        except (RuntimeError, MemoryError) as error:  # that there was room was a forecast
            needed = needed_bytes((width, height), self.config.width, self.device, len(x), margin)
            if not ran_out(error, needed, self.device):
                raise
            size = max(1, min(width, height) // 2)
            raise TooLarge(
                f"Translating at {width}×{height} pixels ran out of memory: translate it at size {size} or less (the "
                "shorter side in pixels).",
                size,
            ) from None


def load(
    name: Path | str,
    device: str | torch.device = "auto",
    folder: Path | str | None = None,
    precision: str = "float32",
    autocast: str | None = None,
) -> Translator:
    """A translator by name: "horse2zebra-drawn/cut" under the checkpoint folder (or `folder`), the path of a weights
    file, or a Hugging Face repository "user/repository". `precision` ("auto", "float32" or "bfloat16") and `autocast`
    as in `Translator`.

    Raises:
        FileNotFoundError: if nothing is found under that name.
        ValueError: if the file is not one of qsneg's, or the device or the precision is unknown.
    """
    device = devices.pick(str(device))  # a wrong name is noticed before anything is downloaded
    precision = devices.precision(device, autocast or precision)
    return Translator(load_weights(name, folder), device, precision)


# --- sizes ---


def pad(x: Tensor, margin: int = 0) -> Tensor:
    """Continue B×3×H×W by its mirror image: by `margin` on every side, and to the right and below to sides that are
    divisible by 4 and at least `memory_limits.MIN_SIDE`.

    Reflection is how the generator itself continues a picture at its borders; and the top left corner stays on the
    generator's grid, so that this falls on the picture as it would without padding.
    """
    for dim in (2, 3):
        side = x.shape[dim]
        if (length := padded_side(side, margin)) != side:
            x = x.index_select(dim, mirrored(side, length, -margin).to(x.device))
    return x


def unpad(x: Tensor, size: tuple[int, int], margin: int = 0) -> Tensor:
    """Undo `pad`: of B×C×H×W the part of `size` (height, width) that lies inside the margin."""
    return x[:, :, margin : margin + size[0], margin : margin + size[1]]


def check_margin(margin: int) -> None:
    """Raises ValueError unless it is a whole number of at least 0 that is divisible by 4."""
    if not isinstance(margin, int) or margin < 0 or margin % 4:
        raise ValueError(f"The margin must be a whole number of pixels from 0 that is divisible by 4, not {margin}.")


def mirrored(side: int, length: int, start: int = 0) -> Tensor:
    """Indices 0 1 … side-1 … 1 0 1 …, `length` of them from the one at `start`, which may lie before 0: reflection
    without repeating the edge, as far as one likes."""
    period = max(1, 2 * (side - 1))  # one pixel has only itself
    i = torch.arange(start, start + length) % period
    return torch.minimum(i, period - i)
