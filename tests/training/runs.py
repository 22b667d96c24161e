"""The tiniest runs there are, and what they end with."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from qsneg.config import build
from qsneg.training.trainer import Trainer

TINY = dict(preset="debug", autocast="off", device="cpu", film=False, evaluate_every=0, width=4, disc_width=4, scenes=4)


def tiny(out: Path, method: str = "cut", **settings) -> Trainer:
    return Trainer(*build(method, **TINY | settings), out)


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def final(trainer: Trainer) -> dict:
    state = {f"method.{k}": v for k, v in trainer.method.state_dict().items()}
    return state | {f"average.{k}": v for k, v in trainer.average.state_dict().items()}


def folder(path: Path, sizes=((80, 90), (100, 80)), domains=("trainA", "trainB")) -> Path:
    """Noise as pictures of these sizes in every domain."""
    for domain in domains:
        (path / domain).mkdir(parents=True)
        for i, size in enumerate(sizes):
            noise = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(noise).save(path / domain / f"{i}.png")
    return path
