"""What the tests of data share: small pictures and archives of them, and the command `data`."""

import io
import zipfile

import numpy as np
from PIL import Image

from tests.conftest import run

FOLDERS = ("trainA", "trainB", "testA", "testB")


def picture(seed=0, size=(40, 36)) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def zipped(members: dict) -> bytes:
    """A zip archive of names (or ZipInfos) and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return file.getvalue()


SMALL = {f"some/{f}/{i}.png": picture(i) for f in FOLDERS for i in range(2)}
WHOLE = zipped(SMALL)


def data(*arguments) -> tuple[int, str, str]:
    """Exit code, stdout, and the last line of stderr of `python -m qsneg data` with these arguments."""
    code, out, err = run("data", *arguments)
    return code, out, (err.splitlines() or [""])[-1]


def left(tmp_path) -> list[str]:
    return sorted(p.name for p in tmp_path.iterdir())
