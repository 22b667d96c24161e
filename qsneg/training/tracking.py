"""A run's metrics to a tracker of experiments, where one is installed: trackio or wandb, whose functions are the same.

    python -m qsneg train horse2zebra-drawn --preset debug --track zebras --out runs/debug          # the project's name
    python -m qsneg train horse2zebra-drawn --preset debug --track wandb/zebras --out runs/other    # of the two, wandb

tracking.json in the run's folder keeps what the run is called there, so that a run that is resumed goes on in the same
place. Whatever fails there is said, once, and the training goes on without it.
"""

import importlib
import importlib.util
import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from qsneg.filesystem import clause, whole

TRACKERS = ("trackio", "wandb")
FILE = "tracking.json"


def tracker(track: str) -> tuple[str, str]:
    """Which tracker and which project are meant by NAME or TRACKER/NAME.

    Raises:
        ValueError: if it is no such name, or no tracker is installed.
    """
    first, slash, rest = track.partition("/")
    wanted, project = ((first,), rest) if slash else (TRACKERS, track)
    if not re.fullmatch(r"\w[\w .-]{0,127}", project) or not set(wanted) <= set(TRACKERS):
        raise ValueError(
            f"'{track}' is no name of a project: write it in letters, digits, '-', '_', '.', with the tracker before "
            "it if you like, such as wandb/zebras."
        )
    for name in wanted:
        if importlib.util.find_spec(name):
            return name, project
    missing = " nor ".join(wanted)
    raise ValueError(
        f"There is no {missing} here to track with: pip install {wanted[0]}, or leave out --track; metrics.jsonl has "
        "the same numbers."
    )


class Tracking:
    """One run in a tracker; `say` tells of what fails there. Raises nothing."""

    def __init__(self, track: str, out: Path, config: dict, say: Callable[[str], None]):
        self.say, self.module = say, None
        self.attempt(lambda: self.begin(track, out, config))

    def begin(self, track: str, out: Path, config: dict) -> None:
        name, project = tracker(track)
        run, module = run_name(out, name, project), importlib.import_module(name)
        more = {"id": run} if name == "wandb" else {}  # trackio knows runs by their names
        module.init(project=project, name=run, config=config, resume="allow", **more)
        self.module = module

    def log(self, values: dict[str, float], step: int) -> None:
        """Numbers by name, of a step."""
        if self.module:
            self.attempt(lambda: self.module.log(values, step=step))

    def close(self) -> None:
        """The run ends here, or is stopped."""
        if self.module:
            self.attempt(self.module.finish)
        self.module = None

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something that may fail; then it is the last."""
        try:
            act()
        except Exception as error:  # theirs, their servers', the disk's
            self.module = None
            self.say(f"Not tracked from here on: {clause(error)}. The training goes on.")


def run_name(out: Path, name: str, project: str) -> str:
    """What a run is called in a tracker's project: as before where it is resumed, else after its folder and like no
    other."""
    path, place = out / FILE, {"tracker": name, "project": project}
    try:
        known = json.loads(path.read_text())
        if known.items() >= place.items() and isinstance(known["run"], str):
            return known["run"]
    except (OSError, ValueError, KeyError, AttributeError):  # none yet, or of somebody else
        pass
    run = f"{out.resolve().name}-{secrets.token_hex(3)}"
    with whole(path) as part:
        part.write_text(json.dumps(place | {"run": run}) + "\n")
    return run
