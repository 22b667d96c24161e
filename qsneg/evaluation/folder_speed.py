"""Folders of pictures: how much faster than one picture after the other? Both sides in one run, on the same files.

python -m qsneg bench --folder --size 256 --width 64
"""

import tempfile
from pathlib import Path

import torch
from PIL import Image

from qsneg import device as devices
from qsneg.bulk.files import save
from qsneg.bulk.pipeline import BATCH, Job, translated
from qsneg.config import ModelConfig
from qsneg.data import drawn_scenes
from qsneg.evaluation.speed import compare
from qsneg.image_io import read
from qsneg.translate import Translator
from qsneg.weights import Weights

COUNT = 48


def bench_folder(
    size: int = 256, width: int = 64, rounds: int = 3, device: str = "auto", precision: str = "auto", count: int = COUNT
) -> None:
    """Print pictures per second of drawn scenes, read from and written to JPEG and PNG, serially and in the pipeline,
    with several batches."""
    torch.manual_seed(0)
    translator = Translator(Weights.empty(ModelConfig(width=width)), device, precision)
    machine = f"{devices.describe(translator.device)}, {translator.precision}, torch {torch.__version__}"
    print(f"{machine}, {count} pictures of {size}×{size}, width {width}, median of {rounds}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("jpg", "png"):
            sources = drawn(Path(folder) / kind, count, size, kind)

            def jobs() -> list[Job]:
                return [Job(source, Path(folder) / "out" / source.name) for source in sources]

            def serial() -> None:
                for job in jobs():
                    save(translator.translate(read(job.source)), job.target)

            def pipeline(batch: int) -> None:
                assert not any(job.failed for job in translated(translator, jobs(), save, batch=batch))

            batches = sorted({1, 4, 16, BATCH.get(translator.device.type, 1)})
            sides = {"serially": serial} | {f"batch {b}": lambda b=b: pipeline(b) for b in batches}
            found = compare(sides, rounds, translator.device)
            rates = (f"{name} {count / t:.1f} ({found['serially'] / t:.2f}×)" for name, t in found.items())
            print(f"{kind}: pictures/s " + ", ".join(rates), flush=True)


def drawn(folder: Path, count: int, size: int, kind: str) -> list[Path]:
    """Files of drawn scenes."""
    paths = [folder / f"{i}.{kind}" for i in range(count)]
    for i, path in enumerate(paths):
        scene = drawn_scenes.draw(drawn_scenes.scene_seed("test", "A", i, 0), size, "A")
        save(Image.fromarray(scene), path)
    return paths
