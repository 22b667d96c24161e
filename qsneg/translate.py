"""Translate pictures of any kind and size: one, or whole folders.

    python -m qsneg translate photos --checkpoint horse2zebra-drawn/cut --out zebras
    python -c "import qsneg, PIL.Image as I; qsneg.load('horse2zebra-drawn/cut').translate(I.open('a.png')).show()"

A picture is translated whole, never in tiles: instance norm takes its statistics over the whole picture, so a tile
would be coloured by what happens to be in it and the seams would show. What does not fit in memory is refused, with
the size that would.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from qsneg import device as devices
from qsneg.filesystem import existing_file, look_through, numbered, output_folder, part_of
from qsneg.image_io import NOTE, header_size, read, resize_short, to_image, to_tensor, upright_rgb
from qsneg.memory_limits import TooLarge, check_fits, padded_side, short_size
from qsneg.weights import Weights
from qsneg.weights import load as load_weights

T = TypeVar("T")
MARGIN = 32
# Pixels of mirrored margin around a picture, cut off afterwards. At its border a generator is apt to paint a dark frame
# and dark corners; with a margin they fall outside. Divisible by 4, so that its grid falls on the picture as without.


class Translator:
    """A generator on a device, ready to translate.

    Computes in float32 unless `precision` says otherwise: what is shown and measured should be repeatable, and in
    bfloat16 the number of threads alone changes stripes. "auto" is bfloat16 where the hardware has it, about twice as
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
        return to_image(self._forward(to_tensor(self.prepare(image, size, margin, white=white)), margin))

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

        `margin` as in `translate`, but by default none: the generator's plain output, which is what ONNX computes.

        Raises:
            TooLarge: (a ValueError) if it would not fit in memory.
            ValueError: on another shape or whole numbers, or a margin that cannot be.
        """
        check_margin(margin)
        if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape or not x.is_floating_point():
            kind = f"{'×'.join(map(str, x.shape))} of {str(x.dtype).removeprefix('torch.')}"
            raise ValueError(f"Pictures to translate are B×3×H×W floats in [-1, 1], not {kind}.")
        check_fits((x.shape[3], x.shape[2]), self.config.width, self.device, batch=x.shape[0], margin=margin)
        return self._forward(x, margin)

    def as_shown(self, x: Tensor) -> Tensor:
        """`translate_tensor` with the margin of `translate`: what people see, which `score` and `evaluate` measure."""
        return self.translate_tensor(x, MARGIN)

    def _forward(self, x: Tensor, margin: int) -> Tensor:  # B×3×H×W -> B×3×H×W
        y = unpad(self.run(x, margin, self.weights.generator), x.shape[2:], margin)
        return y.to(x.device, torch.float32).clone(memory_format=torch.contiguous_format)  # an ordinary tensor again

    def run(self, x: Tensor, margin: int, network: Callable[[Tensor], T]) -> T:
        """What `network` makes of pictures B×3×H×W continued by a margin (see `pad`), in the precision and layout of
        this translator. Whatever reads the generator does it here, so that all see the same translation.

        Raises:
            TooLarge: (a ValueError) if memory runs out.
        """
        height, width = x.shape[2:]
        try:
            with torch.inference_mode(), devices.autocast(self.device, self.precision)():
                padded = pad(x.to(self.device, torch.float32), margin).contiguous(memory_format=self.layout)
                return network(padded)
        except (RuntimeError, MemoryError) as error:  # that there was room was a forecast
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            raise TooLarge(
                f"Translating at {width}×{height} pixels ran out of memory: translate it at size "
                f"{max(1, min(width, height) // 2)} or less (the shorter side in pixels)."
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


# --- files ---


@dataclass
class Report:
    """What became of the files: `done` are the pictures written, `failed` the ones given, each with one sentence;
    `notes` say what was left out, and which pictures were shown in their own range."""

    done: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def translate_files(
    paths: Iterable[Path | str],
    checkpoint: Path | str,
    out: Path | str,
    size: int | None = None,
    device: str = "auto",
    folder: Path | str | None = None,
    progress: bool = True,
    margin: int = MARGIN,
    precision: str = "float32",
    white: float | None = None,
) -> Report:
    """Translate pictures and, recursively, folders of pictures into the folder `out`, whose structure is theirs.

    JPEG and WebP are written in their own format (quality 95), all others as PNG. Where two results would have the
    same name, or a result that of an input, a number is added. Inputs are never written over; where `out` lies
    inside a folder to translate, what is in it is not translated. What cannot be read or does not fit is reported,
    and the rest is done.

    Args: `size`, `margin` and `white` as in `Translator.translate`; `checkpoint`, `device`, `folder` and `precision` as
    in `load`.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if the checkpoint, the device, the precision, `size`, `margin` or `out` cannot be used.
    """
    if size is not None:
        short_size((1, 1), size)
    check_margin(margin)
    out = output_folder(out)
    report = Report()
    sources = collect([paths] if isinstance(paths, (str, Path)) else paths, out, report)
    translator = load(checkpoint, device, folder, precision)
    for source, target in tqdm(plan(sources, out), desc=translator.title, unit="picture", disable=not progress):
        try:
            picture = read(source, white, size, lambda shape: translator.check(shape, size, margin))
            result = translator.translate(picture, size, margin)
        except (ValueError, FileNotFoundError) as error:
            report.failed.append((source, str(error)))
            continue
        if NOTE in picture.info:
            report.notes.append(f"'{source}': {picture.info[NOTE]}")
        try:
            save(result, target)
        except (ValueError, OSError) as error:
            report.failed.append((source, f"'{target}' cannot be written: {getattr(error, 'strerror', 0) or error}."))
        else:
            report.done.append(target)
    return report


def collect(paths: Iterable[Path | str], out: Path, report: Report) -> list[tuple[Path, Path]]:
    """The pictures meant by `paths`, each with its name relative to the folder given; what is wrong with others is
    noted in the report.

    Raises:
        ValueError: if `out` is itself one of the folders.
    """
    sources = {}
    for path in map(Path, paths):
        if path.is_dir():
            if path.resolve() == out.resolve():
                raise ValueError(f"'{out}' is a folder to translate and cannot be the output folder: choose another.")
            own = out.resolve() if out.resolve().is_relative_to(path.resolve()) else None
            found, left_out = look_through(path)
            found = [p for p in found if not (own and p.resolve().is_relative_to(own))]
            report.notes += [left_out] if left_out else []
            for p in found:
                sources.setdefault(p.resolve(), (p, p.relative_to(path)))
            if not found:
                report.failed.append((path, f"There are no pictures in the folder '{path}'."))
        elif path.is_file():
            sources.setdefault(path.resolve(), (path, Path(path.name)))
        else:
            try:
                existing_file(path)
            except (ValueError, FileNotFoundError) as error:
                report.failed.append((path, str(error).replace("no file", "no file or folder")))
    return list(sources.values())


def plan(sources: list[tuple[Path, Path]], out: Path) -> list[tuple[Path, Path]]:
    """Where each picture is written: no two to the same file, and none to an input."""
    inputs = {source.resolve() for source, _ in sources}
    targets, taken = {}, set()

    def suffix(name: Path) -> str:
        return name.suffix if name.suffix.lower() in (".jpg", ".jpeg", ".webp") else ".png"

    for source, name in sorted(sources, key=lambda s: suffix(s[1]) != s[1].suffix):  # kept names choose first
        number, target = 1, out / name.with_suffix(suffix(name))
        while str(target).casefold() in taken or target.resolve() in inputs:  # some file systems ignore case
            number += 1
            target = out / numbered(name.with_suffix(suffix(name)), number)
        taken.add(str(target).casefold())
        targets[source] = target
    return [(source, targets[source]) for source, _ in sources]


def save(image: Image.Image, path: Path) -> None:
    """Write a picture in the format of its name, creating its folder; all of it or nothing.

    Raises:
        OSError: if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {".png": dict(format="PNG"), ".webp": dict(format="WEBP", quality=95)}
    part = part_of(path)
    try:
        image.save(part, **options.get(path.suffix.lower(), dict(format="JPEG", quality=95, subsampling=0)))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
