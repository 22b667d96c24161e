"""The stages of a run, and the commands that repeat them, from what a model's card says.

from qsneg.training.commands import command
print(command(*weights.read_metadata(weights.find("day2sunset/cut"))))
"""

import dataclasses
import json

from qsneg.config import FLAGS, ModelConfig, TrainConfig


def stages(card: dict) -> list[dict]:
    """The stages of a run, {"steps", "train_config", "loss_weights"} each, and "goes_on_from" where the next had only
    its weights: one, unless settings were changed on resuming. What an older version did not have, and so did not
    record, has its default; weights of losses are those of the stage after, and in the last one those of the
    model."""
    found, weights = [], {}
    for stage in reversed([*card.get("stages", []), card]):
        weights = stage.get("loss_weights", weights)
        found.insert(
            0,
            {
                "steps": stage["steps"],
                "loss_weights": weights,
                "train_config": dataclasses.asdict(TrainConfig()) | stage["train_config"],
                "goes_on_from": stage.get("goes_on_from"),
            },
        )
    return found


def command(config: ModelConfig, card: dict, family: str | None = None) -> str:
    """The commands that train a model again, a line for every stage: each setting that differs from the default, or
    from the stage before, as a flag. The run is named after the family, or after the data."""
    out = f"runs/{family or card['data']}-{config.method}"
    before, came_from = dataclasses.asdict(ModelConfig(config.method)) | dataclasses.asdict(TrainConfig()), None
    several = card.get("processes", 1)
    python = "python" if several == 1 else f"torchrun --nproc-per-node {several}"
    lines = []
    for stage in stages(card):
        values = dataclasses.asdict(config) | stage["loss_weights"] | stage["train_config"]
        data = values["data"]
        start = (
            f"{'' if data == before['data'] else data + ' '}--resume" if lines else f"{data} --method {config.method}"
        )
        remarks = [f"from {came_from} alone, without its checkpoint.pt"] if came_from else []
        if stage["steps"] < stage["train_config"]["steps"]:
            remarks.append(f"stopped at step {stage['steps']}")
        remark = f"   # {', '.join(remarks)}" if remarks else ""
        lines.append(f"{python} -m qsneg train {start} {flags(values, before)} --out {out}{remark}")
        before, came_from = values, stage["goes_on_from"]
    return "\n".join(lines)


def flags(values: dict, before: dict) -> str:
    """The settings in `values` that are others in `before`, as flags."""
    texts = []
    for name, value in values.items():
        if name in ("method", "data", "device", "workers") or json.dumps(value) == json.dumps(before.get(name)):
            continue
        name = FLAGS.get(name, [name.replace("_", "-")])[0].removeprefix("--")
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        texts.append(f"--no-{name}" if value is False else f"--{name}" if value is True else f"--{name} {text}")
    return " ".join(texts)
