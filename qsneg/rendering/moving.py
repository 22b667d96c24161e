"""Films as files: frames under a caption, one after the other, as animated WebP or GIF, or as MP4.

    frames = (captioned(sheet, f"photo2ink, step {step:,}", share) for step, share, sheet in found)
    write(frames, Path("film.webp"))

MP4 needs an encoder, which is not among the requirements: that of imageio-ffmpeg, or an ffmpeg on the PATH.
"""

import contextlib
import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from qsneg.filesystem import LONGEST_NAME, output_folder, whole
from qsneg.rendering.colormaps import COLOURS, RANKS, font, hexes
from qsneg.rendering.rows import BINS
from qsneg.rendering.sheets import INK, SOFT

KINDS = ("webp", "gif", "mp4")
SECONDS, LAST = 0.6, 2.4  # a frame stays; the last one, from which a film begins again
RATE = 20  # frames per second of an MP4, in which a frame is repeated as long as it stays
RANKED = np.linspace(1, 0.1, BINS)  # where the colours of ranked dots lie on their map
NEAR = 4  # of 255 levels: colours that Pillow takes for each other
NO_ENCODER = (
    "MP4 needs an encoder, and there is none here: pip install imageio-ffmpeg, or put ffmpeg on the PATH; WebP and GIF "
    "need none."
)


def captioned(sheet: Image.Image, caption: str, share: float, word: str = "") -> Image.Image:
    """A sheet under its caption, with a word at the right, and a line that grows with the share 0…1 of the film; both
    sides even, as MP4 wants them."""
    gap, size = 8, min(24, max(14, sheet.width // 40))
    top = size + 3 * gap
    picture = Image.new("RGB", (sheet.width + sheet.width % 2, top + sheet.height + (top + sheet.height) % 2), "white")
    picture.paste(sheet, (0, top))
    pen = ImageDraw.Draw(picture)
    pen.text((gap, gap), caption, INK, font(size), anchor="lt")
    room = picture.width - 3 * gap - pen.textlength(caption, font(size))
    if pen.textlength(word, font(size * 3 // 4)) <= room:
        pen.text((picture.width - gap, gap + size), word, SOFT, font(size * 3 // 4), anchor="rs")
    pen.rectangle((gap, top - gap, picture.width - gap, top - gap + 2), "#dddddd")
    pen.rectangle((gap, top - gap, gap + share * (picture.width - 2 * gap), top - gap + 2), INK)
    return picture


def kind_of(path: Path | str) -> str:
    """The kind of a film that is to be written there, by its ending.

    Raises:
        ValueError: if it is none of KINDS or cannot be written there, or there is no encoder for it.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise ValueError(f"A film ends in .webp, .gif or .mp4, not '{path.name}': choose another --out.")
    if len(path.name.encode()) > LONGEST_NAME or path.is_dir():
        raise ValueError(f"'{path}' is no name for a film: choose another --out.")
    output_folder(path.parent)
    if kind == "mp4":
        encoder()
    return kind


def write(frames: Iterable[Image.Image], path: Path | str, seconds: float = SECONDS) -> None:
    """Write a film, whole or not at all, in the kind that its ending says. Raises as `kind_of` and `encoded`."""
    data = encoded(frames, kind_of(path), seconds)
    with whole(path) as part:
        part.write_bytes(data)


def encoded(frames: Iterable[Image.Image], kind: str, seconds: float = SECONDS) -> bytes:
    """Frames of one size as a film of a kind of KINDS, each of which stays for some seconds.

    Raises:
        ValueError: if there is no encoder for it, or it fails.
    """
    frames = list(frames)
    stays = [*[seconds] * (len(frames) - 1), max(LAST, seconds)]
    if kind == "mp4":
        return mp4(frames, stays)
    if kind == "gif":
        frames = list(map(in_256_colours, frames))
    look = {"gif": dict(optimize=False), "webp": dict(quality=82, method=4)}[kind]
    first, *rest = frames
    lasting = [round(1000 * s) for s in stays] if rest else 0
    first.save(data := io.BytesIO(), kind, save_all=True, append_images=rest, duration=lasting, loop=0, **look)
    return data.getvalue()


def in_256_colours(frame: Image.Image) -> Image.Image:
    """A frame in the colours that GIF has: most of them the picture's own, and those that mean something as they are,
    of methods and ranks."""
    named = (*COLOURS.values(), *hexes(RANKED, RANKS), INK, "#ffffff")
    fixed = np.array([list(bytes.fromhex(colour[1:])) for colour in named])
    own = np.reshape(frame.quantize(256 - len(fixed)).getpalette(), (-1, 3))
    apart = np.abs(own[:, None] - fixed).max(2).min(1) > NEAR
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([fixed, own[apart]]).ravel().tolist())
    return frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def encoder() -> str:
    """The program that makes MP4. Raises ValueError with a sentence where there is none."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError):  # the package comes without the program on some machines
        found = shutil.which("ffmpeg")
    if not found:
        raise ValueError(NO_ENCODER)
    return found


def mp4(frames: list[Image.Image], stays: list[float]) -> bytes:
    """Frames as an MP4 that plays anywhere: H.264 where the encoder has it, four pixels to a colour."""
    width, height = frames[0].size
    given = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {RATE} -i -"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "film.mp4"  # ffmpeg goes back to its beginning, which a pipe could not
        wanted = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(made)]
        command = [encoder(), "-v", "error", "-y", *given.split(), *wanted]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            with contextlib.suppress(BrokenPipeError):  # it may end early, and says why
                for frame, stay in zip(frames, stays):
                    for _ in range(max(1, round(stay * RATE))):
                        process.stdin.write(frame.tobytes())
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            said = process.stderr.read().decode(errors="replace").strip()
        if process.returncode or not made.is_file():
            why = said.splitlines()[-1] if said else f"it ended with {process.returncode}"
            raise ValueError(f"The encoder could not make an MP4 ({why}): take WebP or GIF.")
        return made.read_bytes()
