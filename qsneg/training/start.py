"""What the command `train` does: begins a run or goes on with one, says on what, and trains it to its end.

start(Path("runs/debug"), go_on=False, given={"data": "horse2zebra-drawn", "preset": "debug"})
"""

from pathlib import Path

from qsneg.config import build
from qsneg.device import keep_memory
from qsneg.training import processes
from qsneg.training.checkpoint import NAME
from qsneg.training.resuming import WEIGHTS, resume, weights_alone
from qsneg.training.tracking import tracker
from qsneg.training.trainer import Trainer


def start(out: Path, go_on: bool, given: dict) -> None:
    """Train with the settings given, by name, and "preset"; of several processes the first alone speaks.

    Raises:
        ValueError: one sentence, if something cannot be used, or as `Trainer.run`.
    """
    with processes.quiet():
        if given.get("track"):
            processes.Processes().as_one(lambda: tracker(given["track"]))
        anew = go_on and weights_alone(out)
        trainer = processes.Processes().as_one(lambda: resume(out, **given) if go_on else begin(out, given))
        if trainer.step == trainer.steps:
            further = trainer.resumed(f" --steps {trainer.steps + trainer.steps // 2}")
            print(f"The run is finished, at step {trainer.step}: to go on, give it more, such as {further}.")
            return
        if anew:
            print(f"There is no {NAME}: from the weights of step {trainer.step}, with new optimisers.", flush=True)
        keep_memory(trainer.device)
        a, b = map(len, trainer.data.domains)
        print(f"Training with {a} pictures of domain A and {b} of domain B, on {trainer.device.type}.", flush=True)
        if (size := trainer.processes.size) > 1:
            print(f"{size} processes train together, each on a batch of {trainer.config.batch}.", flush=True)
        if left := trainer.data.left_out:
            counts = " and ".join(f"{count} of {name}" for name, count in left.items())
            print(f"Left out, smaller than the crop of {trainer.config.crop} pixels: {counts}.", flush=True)
        trainer.run()
        processes.leave()
        print(f"Weights: {out / WEIGHTS}, of step {trainer.step}.")
        if best := trainer.best():
            print(f"The best on validation pictures, of step {best['step']}: {out / 'best.safetensors'}.")


def begin(out: Path, given: dict) -> Trainer:
    """The trainer of a new run."""
    if "data" not in given:
        raise ValueError("Say what to train on: horse2zebra-drawn, or a folder with trainA and trainB.")
    if (out / NAME).exists():
        raise ValueError(f"'{out}' already holds a run: continue it with --resume, or choose another --out.")
    return Trainer(*build(**{"method": "cut", "preset": "paper"} | given), out)
