"""A film as a file: what a run or a family recorded, or one's own picture through all weights that a run kept.

python -m qsneg film photo2ink --out film.webp                       # recorded, all methods of the family
python -m qsneg film runs/cut photo.jpg --out film.gif               # of a run trained with --keep
"""

from pathlib import Path

from tqdm import tqdm

from qsneg import weights
from qsneg.config import trained_methods
from qsneg.filesystem import existing_file
from qsneg.image_io import read
from qsneg.pages.film_frames import data_of, picture_frames, recorded_frames
from qsneg.pages.recorded import PICTURES, all_steps, load, of_run
from qsneg.pages.selection import Selection
from qsneg.rendering import moving
from qsneg.training.film import check_layer
from qsneg.training.records import kept

LAYER = 16  # at which QS-Attn's anchors are shown


def film_file(
    source: str,
    picture: Path | str | None,
    out: Path | str,
    size: int | None = None,
    layer: int | None = None,
    number: int = 1,
    seconds: float = moving.SECONDS,
    device: str = "auto",
    precision: str = "float32",
    progress: bool = True,
) -> int:
    """Write a film; returns how many frames it has.

    Args:
        source: the folder of a run, or without a picture also of a family, or a family's name.
        picture: a picture file, translated by every weights that the run kept; None: what was recorded.
        out: the file to write, .webp, .gif or .mp4.
        size: short side of one's own picture in pixels; None: 256.
        layer: whose anchors are shown; None: 16, and with one's own picture only where QS-Attn asks there.
        number: which of the four recorded pictures, from 1.
        seconds: that a frame stays.

    Raises:
        ValueError: one sentence, if something cannot be read, written or used.
        FileNotFoundError: if there is no such picture, run or family.
    """
    moving.kind_of(out)
    if not 0.04 <= seconds <= 10:
        raise ValueError(f"A frame can stay from 0.04 to 10 seconds, not {seconds}.")
    if not 1 <= number <= PICTURES:
        raise ValueError(f"A film has pictures 1 to {PICTURES}, not {number}.")
    if picture is None:
        layer = LAYER if layer is None else layer
        check_layer(layer)
        films, family = recorded(source)
        selection = Selection(picture=number - 1, film_layer=layer)
        frames, count = recorded_frames(films, family, selection), len(all_steps(films))
    else:
        found = kept(source)
        size = 256 if size is None else size
        image = read(existing_file(picture), None, size)
        config = weights.read_metadata(next(iter(found.values())))[0]
        if layer is None and config.traits.selects:
            layer = LAYER if LAYER in config.layers else config.attention_layers[-1]
        frames, count = picture_frames(found, image, size, layer, device, precision), len(found)
    made = list(tqdm(frames, total=count, unit="frame", disable=not progress))
    moving.write(made, out, seconds)
    return count


def recorded(source: str) -> tuple[dict, str]:
    """The films of a run or a family, by method, and what they are of.

    Raises:
        FileNotFoundError: if there is neither.
        ValueError: if it has no film.
    """
    run, family = Path(source), next((f for f in (Path(source), weights.FOLDER / source) if f.is_dir()), None)
    if family is None:
        names = ", ".join(sorted({path.parent.name for path in weights.available()})) or "none"
        raise FileNotFoundError(f"There is no run '{source}', and no family of that name: there are {names}.")
    if (run / "model.safetensors").is_file():
        config, card = weights.read_metadata(run / "model.safetensors")
        return {config.method: of_run(run / "film")}, data_of(card).removesuffix(", ") or run.name
    if films := load(family, trained_methods()):
        return films, family.resolve().name
    raise ValueError(f"'{source}' holds no film: give a run's folder, or a family that was published with films.")
