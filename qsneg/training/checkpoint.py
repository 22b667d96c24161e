"""The checkpoint of a run: everything that it consists of, in one file that is written whole, or not at all.

state = read(Path("runs/cut"))
restore(trainer, state)

It is torch's own format, a zip archive, whose checksum (CRC-32) of every tensor is looked at on reading. What is not
a checkpoint of this run, or holds values that are not finite, is refused before anything is taken from it.
"""

import io
import numbers
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from qsneg.config import ModelConfig, TrainConfig
from qsneg.filesystem import clause, some, whole

NAME = "checkpoint.pt"
KINDS = {
    "model": dict, "train": dict, "step": int, "seconds": numbers.Real, "broken": list, "history": list, "method": dict,
    "average": dict, "optimisers": dict, "draws": Tensor, "random": Tensor,
}  # fmt: skip
OPTIONAL = {"stages": list, "skipped": dict, "metrics": dict, "processes": int}  # what older versions did not write


def write(state: dict, out: Path) -> None:
    """Write the state of a run into its folder.

    Raises:
        ValueError: if it is not finite, or cannot be written.
    """
    if bad := not_finite(state):
        raise ValueError(
            f"At step {state['step']} the run is not finite any more (in {some(bad)}), so nothing was written: go on "
            "from the checkpoint before with `train --resume` and a smaller --lr, or start again with one."
        )
    buffer = io.BytesIO()  # not into the file: torch's writer ends the process where the disk is full
    torch.save(state, buffer)
    with whole(out / NAME) as part:
        part.write_bytes(buffer.getbuffer())


def read(out: Path | str) -> dict:
    """The state in a run's folder.

    Raises:
        ValueError: one sentence, if there is none, it is damaged, or something else.
    """
    path = Path(out) / NAME
    if not path.is_file():
        raise ValueError(f"There is nothing to resume in '{out}': no {NAME}. Start the run without --resume.")
    try:
        with zipfile.ZipFile(path) as file:
            if changed := file.testzip():
                raise damaged(path, f"the checksum of {changed} is another")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except ValueError:
        raise
    except Exception as error:  # zipfile's, pickle's and torch's errors
        raise damaged(path, type(error).__name__) from None
    if not isinstance(state, dict):
        raise foreign(path, "it holds no run")
    for name, kind in (KINDS | OPTIONAL).items():
        if name not in state and name in KINDS:
            raise foreign(path, f"it has no {name}")
        if name in state and (not isinstance(state[name], kind) or isinstance(state[name], bool)):
            raise foreign(path, f"its {name} is a {type(state[name]).__name__}")
    if state["step"] < 0 or not all(map(entry, state["history"] + state.get("stages", []))):
        raise foreign(path, "its steps make no sense")
    return state


def settings(state: dict, out: Path | str) -> tuple[ModelConfig, TrainConfig]:
    """The configurations in a state.

    Raises:
        ValueError: one sentence, if they are not of this version.
    """
    parts = ({k: tuple(v) if isinstance(v, list) else v for k, v in state[name].items()} for name in ("model", "train"))
    try:
        return tuple(kind(**part) for kind, part in zip((ModelConfig, TrainConfig), parts))
    except (TypeError, ValueError) as error:
        raise foreign(Path(out) / NAME, clause(error)) from None


def entry(found: object) -> bool:
    """Whether it can be a line of the history, or a stage."""
    return isinstance(found, dict) and isinstance(found.get("step", found.get("steps")), int)


def damaged(path: Path, reason: str) -> ValueError:
    return ValueError(f"'{path}' is damaged ({reason}): put a copy in its place, or remove it and start the run again.")


def foreign(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"'{path}' is no checkpoint that this version can go on from ({reason}): move it away and start the run again."
    )


def not_finite(state: object, name: str = "") -> list[str]:
    """The names of the tensors in nested dictionaries that hold values which are not finite."""
    if isinstance(state, dict):
        return [bad for key, value in state.items() for bad in not_finite(value, f"{name} {key}".strip())]
    return [name] if isinstance(state, Tensor) and not state.isfinite().all() else []


def restore(trainer, state: dict) -> None:
    """Put a trainer where a state says.

    Raises:
        ValueError: one sentence, if it does not fit the trainer.
    """
    path, now, then = trainer.out / NAME, trainer.processes.size, state.get("processes", 1)
    if now != then:
        start = f"torchrun --nproc-per-node {then} -m qsneg" if then > 1 else "python -m qsneg"
        raise ValueError(
            f"'{trainer.out}' was trained by {in_words(then)} and cannot go on with {now}, since each has draws of its "
            f"own: start it with as many, such as `{start} train --resume --out {trainer.out}`."
        )
    try:
        average = averages(state["average"], trainer.exported)
        fits(state["method"], trainer.method.state_dict(), "method")
        fits(average, trainer.average.state_dict(), "average")
        trainer.method.load_state_dict(state["method"])
        trainer.average.load_state_dict(average)
        for name, optimiser in trainer.optimisers.items():
            moments = state["optimisers"][name]["state"]
            if moments:  # none before the first step
                like = {(i, k): p for i, p in enumerate(trainer.groups[name]) for k in ("exp_avg", "exp_avg_sq")}
                like |= {(i, "step"): torch.zeros(()) for i in range(len(trainer.groups[name]))}
                fits({(i, k): v for i, moment in moments.items() for k, v in moment.items()}, like, name)
            groups = optimiser.state_dict()["param_groups"]  # settings are those of this run, not of the one before
            optimiser.load_state_dict({"state": moments, "param_groups": groups})
        for name, count in state.get("skipped", {}).items():
            trainer.skipped[name].fill_(int(count))
        trainer.step, trainer.seconds = state["step"], float(state["seconds"])
        torch.set_rng_state(trainer.processes.own(state["random"]))
        continue_draws(trainer, trainer.processes.own(state["draws"]))
        trainer.broken, trainer.history = [str(name) for name in state["broken"]], state["history"]
        trainer.stages = state.get("stages", [])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        raise foreign(path, clause(error)) from None
    trainer.metrics.restore(state.get("metrics"), trainer.step)


def in_words(processes: int) -> str:
    return f"{processes} processes" if processes > 1 else "one process"


def fits(found: dict, like: dict, what: str) -> None:
    """Raises ValueError where tensors differ from others in names, shape or kind, or are not finite."""
    if other := sorted(map(str, found.keys() ^ like.keys())):
        raise ValueError(f"in {what}, {some(other)} is missing or not known")
    for name, tensor in like.items():
        if not isinstance(found[name], Tensor) or found[name].shape != tensor.shape:
            raise ValueError(f"in {what}, {name} has another shape")
        if found[name].dtype != tensor.dtype:
            raise ValueError(f"in {what}, {name} is {found[name].dtype}")
    if bad := not_finite(found):
        raise ValueError(f"in {what}, {some(bad)} is not finite")


def continue_draws(trainer, state: Tensor) -> None:
    """Go on with the random numbers of positions and noise; on a device of another kind they begin anew."""
    generator = trainer.method.draws.generator
    if state.dtype == torch.uint8 and state.shape != generator.get_state().shape:
        generator.manual_seed(trainer.processes.seed(trainer.config.seed + trainer.step))
    else:
        generator.set_state(state)


def averages(state: dict, exported: torch.nn.ModuleDict) -> dict:
    """The averages in a checkpoint; where an older version averaged the generator alone, the others are as trained."""
    if not any(key.startswith("module.model.") for key in state):
        return state
    raw = {f"module.{name}": tensor for name, tensor in exported.state_dict().items()}
    return raw | {key.replace("module.", "module.generator.", 1): tensor for key, tensor in state.items()}
