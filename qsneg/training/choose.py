"""The best of a run's kept weights, chosen afterwards on validation pictures.

    python -m qsneg train data/horse2ink --method cut --keep 20 --evaluate-every 0 --out runs/cut
    python -m qsneg choose runs/cut

The same figures as `--evaluate-every` takes on the way (`qsneg.training.validation`), for those who would rather train
first: of every file in kept/ and of the last step. Writes best.safetensors, and the figures into the run's history,
from which its card and that of model.safetensors tell the last and the best, and into metrics.jsonl, for its curves.
"""

import shutil
from pathlib import Path

from tqdm import tqdm

from qsneg.filesystem import whole
from qsneg.training.lock import alone
from qsneg.training.records import kept
from qsneg.training.resuming import WEIGHTS, resume
from qsneg.training.validation import HINT, Validation
from qsneg.translate import Translator
from qsneg.weights import load, read_metadata, save


def choose(run: Path | str, device: str = "auto", progress: bool = True) -> list[dict]:
    """Measure the kept weights of a run and write the best beside the last; returns the figures, an entry per step.

    Raises:
        ValueError: one sentence, if there is no run, nothing was kept, or there are no validation pictures.
    """
    trainer = resume(run, device=device)
    if (exported := trainer.out / WEIGHTS).is_file():
        trainer.machine = read_metadata(exported)[1].get("machine", trainer.machine)  # where it was trained
    validation = Validation(trainer.config.data)
    if not validation.words:
        raise ValueError(HINT)
    found = {step: path for step, path in kept(trainer.out).items() if step < trainer.step}
    with alone(trainer.out):
        trainer.validation, trainer.history = validation, []
        for step, path in tqdm(found.items(), disable=not progress, unit="file"):
            trainer.evaluate(step, Translator(load(path), trainer.device).as_shown)
        trainer.evaluate()
        trainer.metrics.add(trainer.history)
        trainer.save()
        best, target = trainer.best(), trainer.out / "best.safetensors"
        if best["step"] == trainer.step:
            with whole(target) as part:
                shutil.copy(trainer.out / "model.safetensors", part)
        else:
            weights = load(found[best["step"]])
            weights.card |= {
                key: value for key, value in trainer.card().items() if key in ("last", "best", "validation")
            }
            save(weights, target)
    return trainer.history


def table(history: list[dict]) -> str:
    """The figures as lines, a step each."""
    return "\n".join(
        f"step {entry['step']}: " + ", ".join(f"{name} {value:.4g}" for name, value in entry.items() if name != "step")
        for entry in history
    )
