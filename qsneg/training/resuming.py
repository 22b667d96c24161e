"""Going on with a run: from its checkpoint, or, where that is gone, from its exported weights.

    trainer = resume("runs/qs-attn", steps=10000)

What a folder needs is `checkpoint.pt`, from which a run goes on exactly. Without it `model.safetensors` will do, such
as shipped weights: every network begins as its exported average, the optimisers and the random numbers begin anew,
and the card says at which step. `metrics.jsonl` and `film` go on where they are there.
"""

import dataclasses
from itertools import groupby
from pathlib import Path

from qsneg.config import LOSS_WEIGHTS, ModelConfig, TrainConfig, preset_settings
from qsneg.filesystem import clause
from qsneg.training import checkpoint
from qsneg.training.trainer import Trainer, portable
from qsneg.weights import PARTS, Weights, load

WEIGHTS = "model.safetensors"
THEN = ", then "  # between machines


def resume(out: Path | str, **overrides) -> Trainer:
    """The trainer of a run, as its checkpoint, or else its weights, describe it; `overrides` are settings of
    `TrainConfig`, and weights of losses, that hold from here on: a further stage of the run, of which its card tells;
    or a `preset` of such. The others may be said again as they are: the command that began a run goes on with it, too.

    Raises:
        ValueError: if there is no run, a setting cannot be changed or used, or the run is past `steps` already.
    """
    exported = load(Path(out) / WEIGHTS) if weights_alone(out) else None
    state = None if exported else checkpoint.read(out)
    model, before = as_exported(exported) if exported else checkpoint.settings(state, out)
    overrides = new_settings(model, before, preset_settings(overrides.pop("preset", "paper")) | overrides)
    weights = {name: getattr(model, name) for name in LOSS_WEIGHTS}
    heavier = {name: overrides.pop(name) for name in LOSS_WEIGHTS if name in overrides}
    model, after = dataclasses.replace(model, **heavier), dataclasses.replace(before, **overrides)
    trainer = Trainer(model, after, out)
    if exported:
        begin_with(trainer, exported)
    else:
        checkpoint.restore(trainer, state)
    elsewhere = (exported.card if exported else state).get("machine")
    if trainer.steps < trainer.step:
        raise ValueError(f"The run stands at step {trainer.step}, past {trainer.steps}: give it more --steps.")
    if before.disc_reset != after.disc_reset and 0 < after.disc_reset < trainer.step:
        raise ValueError(f"disc_reset must be at least {trainer.step}, where the run stands, not {after.disc_reset}.")
    incidental = {"device": "", "workers": 0}  # and of the data's path all but the name
    changed = any(getattr(model, name) != weight for name, weight in weights.items())
    if (
        exported
        or changed
        or portable(dataclasses.replace(before, **incidental)) != portable(dataclasses.replace(after, **incidental))
    ):
        stage = {"steps": trainer.step, "train_config": portable(before), "loss_weights": weights}
        stage |= {"machine": elsewhere} if elsewhere else {}
        trainer.stages.append(stage | ({"goes_on_from": "its weights"} if exported else {}))
    elif elsewhere:
        trainer.machine = in_order([elsewhere, trainer.machine])
    return trainer


def new_settings(model: ModelConfig, train: TrainConfig, given: dict) -> dict:
    """What of the settings given may change on resuming; the others must be the run's own.

    Raises:
        ValueError: if they are not.
    """
    changeable = {f.name for f in dataclasses.fields(TrainConfig)} - {"seed"} | set(LOSS_WEIGHTS)
    own = {"seed": train.seed} | vars(model)
    if other := [name for name, value in sorted(given.items()) if name not in changeable and own.get(name) != value]:
        kept = " and its ".join(f"{name} ({own[name]})" if name in own else name for name in other)
        raise ValueError(f"A run keeps its {kept}: leave that out on resuming, or start a new run.")
    return {name: value for name, value in given.items() if name in changeable}


def in_order(machines: list[str]) -> str:
    """The machines that a run was on, one after another, in words; each may be several already."""
    names = [name for machine in machines for name in machine.split(THEN)]
    return THEN.join(name for name, _ in groupby(names))


def weights_alone(out: Path | str) -> bool:
    """Whether a folder has weights, and no checkpoint."""
    return (Path(out) / WEIGHTS).is_file() and not (Path(out) / checkpoint.NAME).is_file()


def as_exported(weights: Weights) -> tuple[ModelConfig, TrainConfig]:
    """The configurations of a run, from its weights.

    Raises:
        ValueError: one sentence, if they were not trained here, or lack a network that training needs.
    """
    path, card = weights.path, weights.card
    try:
        config = TrainConfig(**card["train_config"])
        int(card["steps"]), float(card["minutes"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"'{path}' does not say how it was trained ({clause(error)}): start a new run.") from None
    needed = PARTS if weights.config.traits.generates else ("generator", "heads", "discriminator")
    if lacking := [part for part in needed if part not in weights.parts()]:
        raise ValueError(
            f"'{path}' has no {' and no '.join(lacking).replace('_', ' ')}, without which training cannot go on: start "
            "a new run."
        )
    return weights.config, config


def begin_with(trainer: Trainer, weights: Weights) -> None:
    """Put a trainer where exported weights stand: networks and averages as exported, everything else anew."""
    for name, network in trainer.exported.items():
        for there in (network, trainer.average.module[name]):
            there.load_state_dict(weights.parts()[name].state_dict())
    card = weights.card
    trainer.step, trainer.seconds = int(card["steps"]), 60 * float(card["minutes"])
    trainer.average.n_averaged.fill_(trainer.step)
    trainer.method.draws.generator.manual_seed(trainer.processes.seed(trainer.config.seed + trainer.step))
    trainer.history = [card["last"]] if "last" in card else []
    trainer.stages = list(card.get("stages", []))
    trainer.metrics.restore(None, trainer.step)
