"""From finished runs to a family of shipped models with its card.

    python -m qsneg publish runs/day2sunset-cut runs/day2sunset-qs-attn runs/day2sunset-negcut --family day2sunset
    python -m qsneg publish --family day2sunset      # the card again, after a change to DATA.md, of what lies there

Writes to checkpoints/<family>/, for each run: `<method>.safetensors`, `<method>.film/`, `<method>.metrics.jsonl`; and
for the family: `curves.png`, `sheet.webp` (translations of pictures that may be shown), `worst.webp` and `README.md`,
the model card. What is known of the data and its licence is read from `DATA.md` in that folder, if there is one.
"""

import json
import os
import re
import shutil
from pathlib import Path

from qsneg import weights
from qsneg.config import METHODS
from qsneg.filesystem import Unwritable, part_of, whole
from qsneg.rendering import report
from qsneg.sharing.cards import curves, family_card, sheet, worst
from qsneg.training.commands import stages
from qsneg.training.film import gather

ALIKE = ("data", "seed", "crop", "resize", "resize_max", "batch", "width")  # what a family's models have in common


def publish(runs: list[Path | str], family: str, folder: Path | str | None = None) -> Path:
    """Copy finished runs into a family and write its card; returns the family's folder. Without runs only the card
    is written, of what lies there.

    Raises:
        ValueError: if there is neither a run nor a model, a run is missing, not finished or has no film, two are of one
            method, the runs differ in what a family shares, or a file cannot be written (each is replaced whole,
            or not at all).
    """
    if not re.fullmatch(r"\w[\w.-]*", family):
        raise ValueError(f"'{family}' is no name of a family: write it in letters, digits, '-', '_' and '.'.")
    target = Path(folder or weights.FOLDER) / family
    cards = {}
    for run in map(Path, runs):
        if not (run / "model.safetensors").is_file():
            raise ValueError(f"'{run}' is no training run: it has no model.safetensors.")
        config, card = weights.read_metadata(run / "model.safetensors")
        if card["steps"] != card["of_steps"]:
            raise ValueError(
                f"'{run}' stands at step {card['steps']} of {card['of_steps']}: finish it with `train --resume`."
            )
        if config.method in cards:
            raise ValueError(
                f"'{cards[config.method][0]}' and '{run}' are both of {config.traits.title}: a family has one of "
                "each method."
            )
        if not list((run / "film").glob("[0-9]*.npz")):
            raise ValueError(f"'{run}' has no film, which a family shows: train it without --no-film.")
        cards[config.method] = (run, config, card)
    for key in ALIKE:
        found = {}
        for method, (_, config, card) in cards.items():
            values = [(vars(config) | stage["train_config"])[key] for stage in stages(card)]
            found[", then ".join(map(json.dumps, values))] = method
        if len(found) > 1:
            values = " and ".join(f"{value} ({METHODS[method].title})" for value, method in found.items())
            raise ValueError(f"The runs differ in {key}, {values}: the models of one family share {', '.join(ALIKE)}.")
    try:
        for method, (run, _, _) in cards.items():
            gather(run / "film")
            copy_film(run / "film", target / f"{method}.film")
            copy(run / "metrics.jsonl", target / f"{method}.metrics.jsonl")
            copy(run / "model.safetensors", target / f"{method}.safetensors")
        document(target)
    except Unwritable as error:
        raise ValueError(f"{error.what}: what lay there still does; make room and publish again.") from None
    return target


def copy(source: Path, target: Path) -> None:
    with whole(target) as part:
        shutil.copyfile(source, part)


def copy_film(source: Path, target: Path) -> None:
    """The strips and `film.npz` of a run, in place of the film that lies there, once all of it is copied."""
    part = part_of(target)
    try:
        part.mkdir(parents=True, exist_ok=True)
        for path in [*source.glob("*.webp"), source / "film.npz"]:
            copy(path, part / path.name)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(part, target)
    except OSError as error:
        raise Unwritable(target, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def document(target: Path) -> None:
    """Write curves, sheet and card of a family from the files that lie in its folder.

    Raises:
        ValueError: if it holds no weights, or a file cannot be written (Unwritable).
    """
    found = {p.stem: weights.read_metadata(p) for p in sorted(target.glob("*.safetensors"))}
    found = {m: found[m] for m in METHODS if m in found}
    if not found:
        raise ValueError(f"There is nothing to publish: '{target}' holds no weights, and no runs were given.")
    draw = {"curves.png": curves, "sheet.webp": sheet, "worst.webp": worst}
    report.write({name: make(target, list(found)) for name, make in draw.items()}, target)
    report.write({"README.md": family_card(target, found)}, target)
