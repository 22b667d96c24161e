"""The command line: `python -m qsneg --help`."""

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from qsneg.config import METHODS, PRESETS, ModelConfig, TrainConfig

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


def field_flags(*configs: type) -> list[inspect.Parameter]:
    """One optional flag per dataclass field, its help the comment under the field."""
    flags = []
    for config in configs:
        comments = dict(re.findall(r"    (\w+): [^\n]*\n    # ([^\n]*)", inspect.getsource(config)))
        for f in dataclasses.fields(config):
            if f.name in ("method", "data"):
                continue
            kind = {bool: bool, int: int, float: float}.get(f.type, float if "float" in str(f.type) else str)
            option = typer.Option(help=f"{comments[f.name]} (default: {f.default})", rich_help_panel=config.__name__)
            annotation = Annotated[Optional[kind], option]
            flags.append(inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    return flags


def train(
    data: Annotated[Optional[str], typer.Argument(help="horse2zebra-drawn, or a folder with trainA and trainB")] = None,
    *,
    method: Annotated[str, typer.Option(help=", ".join(METHODS))] = "cut",
    out: Annotated[Path, typer.Option(help="folder of the run")],
    preset: Annotated[str, typer.Option(help=", ".join(PRESETS))] = "paper",
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in --out")] = False,
    **fields,
):
    """Train a model; --resume continues a run that was stopped."""
    from qsneg import train as training
    from qsneg.config import build

    for name in ("layers", "attention_layers"):
        if fields.get(name):
            fields[name] = tuple(int(n) for n in fields[name].split(","))
    if resume:
        trainer = training.resume(out, **{k: v for k, v in fields.items() if k in ("device", "workers") and v is not None})
    else:
        if data is None:
            raise ValueError("Say what to train on: horse2zebra-drawn, or a folder with trainA and trainB.")
        if (out / "checkpoint.pt").exists():
            raise ValueError(f"'{out}' already holds a run: continue it with --resume, or choose another --out.")
        trainer = training.Trainer(*build(method, preset, data=data, **fields), out)
    trainer.run()
    print(f"Weights: {out / 'model.safetensors'}")


parameters = [p for p in inspect.signature(train).parameters.values() if p.kind != inspect.Parameter.VAR_KEYWORD]
train.__signature__ = inspect.Signature(parameters + field_flags(ModelConfig, TrainConfig))
train.__annotations__ = {p.name: p.annotation for p in train.__signature__.parameters.values()}
cli.command()(train)


@cli.command()
def translate(
    paths: Annotated[list[Path], typer.Argument(help="pictures and folders")],
    checkpoint: Annotated[str, typer.Option(help="a name such as day2sunset/cut, a path, or a Hugging Face id")],
    out: Annotated[Path, typer.Option(help="folder to write to")],
    size: Annotated[Optional[int], typer.Option(help="short side of the results in pixels; unset: as the inputs")] = None,
    device: str = "auto",
):
    """Translate pictures, and folders of pictures recursively."""
    from qsneg.translate import translate_files

    report = translate_files(paths, checkpoint, out, size, device)
    print(f"{len(report.done)} translated into '{out}'.")
    if report.failed:
        print(f"{len(report.failed)} could not be translated:", file=sys.stderr)
        for path, reason in report.failed:
            print(f"  {path}: {reason}", file=sys.stderr)
        raise typer.Exit(1)


@cli.command()
def draw(
    split: Annotated[str, typer.Option(help="train or test")],
    count: Annotated[int, typer.Option(help="scenes per domain")],
    out: Annotated[Path, typer.Option(help="folder to write to")],
    size: Annotated[int, typer.Option(help="side in pixels")] = 128,
    seed: Annotated[int, typer.Option(help="base seed of the set")] = 0,
):
    """Draw scenes of horse2zebra-drawn: trainA and trainB, or testA, testB (counterparts) and labels."""
    from tqdm import tqdm

    from qsneg import drawn

    drawn.write(split, count, size, seed, out, progress=tqdm)


@cli.command()
def score(
    checkpoints: Annotated[list[str], typer.Argument(help="names, paths or Hugging Face ids")],
    count: Annotated[int, typer.Option(help="test scenes")] = 200,
    data: Annotated[Optional[str], typer.Option(help="a folder with testA and testB instead of drawn scenes")] = None,
    device: str = "auto",
):
    """Figures against the true counterparts of drawn test scenes, relative to the untranslated input (1)."""
    from qsneg.data import DRAWN
    from qsneg.score import figures
    from qsneg.translate import load

    if data and not Path(data).is_dir():
        raise ValueError(f"There is no data folder '{data}'.")
    for i, name in enumerate(checkpoints):
        row = figures(load(name, device).translate_tensor, data or DRAWN, count)
        if not row:
            raise ValueError(f"'{data}' has no pictures in testA and testB to score on.")
        if i == 0:
            print(f"{'checkpoint':40}" + "".join(f"{k:>14}" for k in row))
        print(f"{name:40}" + "".join(f"{v:14.3f}" for v in row.values()), flush=True)


@cli.command()
def inspect(
    picture: Annotated[Path, typer.Argument(help="a picture")],
    checkpoint: Annotated[str, typer.Option(help="a name such as day2sunset/negcut, a path, or a Hugging Face id")],
    out: Annotated[Path, typer.Option(help="folder to write to")],
    layer: Annotated[int, typer.Option(help="generator layer: 0, 4, 8, 12 or 16")] = 12,
    mode: Annotated[str, typer.Option(help="global, local or local+global")] = "global",
    anchors: Annotated[int, typer.Option(help="number of anchors")] = 256,
    seed: Annotated[int, typer.Option(help="of random positions and of noise")] = 0,
    size: Annotated[Optional[int], typer.Option(help="short side in pixels; unset: as it is")] = None,
    device: str = "auto",
):
    """Look inside: entropies, anchors, contrast, negatives of one picture, as arrays and overlays."""
    from qsneg.report import inspect_file
    from qsneg.translate import load

    print(inspect_file(picture, load(checkpoint, device), out, layer, mode, anchors, seed, size)["in_words"])


@cli.command()
def study(
    checkpoint: Annotated[list[str], typer.Option(help="name, path or Hugging Face id; may be repeated")],
    out: Annotated[Path, typer.Option(help="folder to write to")],
    data: Annotated[str, typer.Option(help="horse2zebra-drawn, the set whose labels are known")] = "horse2zebra-drawn",
    count: Annotated[int, typer.Option(help="test scenes")] = 200,
    device: str = "auto",
):
    """Do the papers' claims hold? Anchors against labels, generated against in-image negatives."""
    from qsneg.data import DRAWN
    from qsneg.study import study

    if data != DRAWN:
        raise ValueError(f"The study needs label maps, which only {DRAWN} has, not '{data}'.")
    study(checkpoint, out, count, device)


@cli.command()
def publish(
    runs: Annotated[list[Path], typer.Argument(help="finished runs, one per method")],
    family: Annotated[str, typer.Option(help="folder under checkpoints/")],
):
    """Copy finished runs into checkpoints/ and write the family's model card."""
    from qsneg.publish import publish

    print(f"Written: {publish(runs, family)}")


@cli.command()
def bench(
    size: Annotated[int, typer.Option(help="side of the pictures")] = 256,
    width: Annotated[int, typer.Option(help="channels of the first convolution")] = 64,
    rounds: Annotated[int, typer.Option(help="measurements of each side")] = 3,
    device: str = "auto",
    profile: Annotated[bool, typer.Option("--profile", help="also print where a step's time goes")] = False,
    inspection: Annotated[bool, typer.Option("--inspection", help="time inspection instead: entropies, a click")] = False,
):
    """Time training steps and translation against a plain float32 version, both in one run."""
    from qsneg import bench

    if inspection:
        bench.bench_click(device=device)
        bench.bench_entropy(device=device)
    else:
        bench.bench(size, width, rounds, device, profile)


def main() -> None:
    """Run a command; what the user can mend is said in one sentence on stderr, with exit code 2."""
    try:
        cli()
    except (ValueError, FileNotFoundError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
