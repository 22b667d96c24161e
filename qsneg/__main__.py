"""The command line: `python -m qsneg --help`."""

from pathlib import Path
from typing import Annotated, Optional

try:
    import typer
except ModuleNotFoundError as error:
    from qsneg import what_to_do

    raise SystemExit(what_to_do(error)) from None

from qsneg import command_line
from qsneg.command_line import Checkpoints, Device, Engine, Inception, Model, OutFolder, Precision, Spread, White
from qsneg.config import DRAWN, METHODS, PRESETS, ModelConfig, TrainConfig, trained_methods
from qsneg.filesystem import new_file

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@cli.command()
@command_line.with_flags(ModelConfig, TrainConfig)
def train(
    data: Annotated[Optional[str], typer.Argument(help="horse2zebra-drawn, or a folder with trainA and trainB")] = None,
    *,
    method: Annotated[Optional[str], typer.Option(help=", ".join(trained_methods()) + " (default: cut)")] = None,
    out: Annotated[Path, typer.Option(help="folder of the run")],
    preset: Annotated[Optional[str], typer.Option(help=", ".join(PRESETS) + " (default: paper)")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run in --out, as is said here")] = False,
    **fields,
):
    """Train a model; --resume continues a run that was stopped, or one that is finished with more --steps."""
    from qsneg.training.start import start

    for name in filter(fields.get, ("layers", "attention_layers")):
        fields[name] = command_line.numbers(fields[name])
    given = fields | {"data": data, "method": method, "preset": preset}
    start(out, resume, {name: value for name, value in given.items() if value is not None})


@cli.command()
def choose(run: Annotated[Path, typer.Argument(help="folder of a run, trained with --keep")], device: Device = "auto"):
    """The best of a run's kept weights, on validation pictures: writes best.safetensors."""
    from qsneg.training.choose import choose, table

    print(table(choose(run, device)))


@cli.command()
def translate(
    paths: Annotated[list[str], typer.Argument(help="pictures and folders; with Ray one address, such as s3://…")],
    checkpoint: Model,
    out: Annotated[str, typer.Option(help="folder, or with Ray address, to write to")],
    size: Annotated[Optional[int], typer.Option(help="short side of the results in pixels; unset: as it is")] = None,
    margin: Annotated[int, typer.Option(help="mirrored margin in pixels, cut off again; 0: none")] = 32,
    device: Device = "auto",
    precision: Precision = "float32",
    white: White = None,
    resume: Annotated[bool, typer.Option("--resume", help="leave out what is there already, and not older")] = False,
    shard: Annotated[str, typer.Option(help="i/n: of n parts of the pictures the i-th, for job arrays")] = "1/1",
    engine: Engine = "local",
    parquet: Annotated[bool, typer.Option("--parquet", help="with Ray: write Parquet with PNG in a column")] = False,
    tile: Annotated[bool, typer.Option("--tile", help="in tiles, as by itself what does not fit in memory")] = False,
):
    """Translate pictures, and folders of pictures recursively."""
    from qsneg.bulk.command import translate_paths

    report = translate_paths(engine, paths, checkpoint, out, size, margin, white, parquet, tile, device=device,
                             precision=precision, resume=resume, shard=command_line.part(shard))  # fmt: skip
    there = f" {report.there} were there already." if resume else ""
    print(f"{len(report.done)} translated into '{out}'.{there}")
    command_line.tell(report)


@cli.command()
def data(
    name: Annotated[Optional[str], typer.Argument(help="a set, such as horse2zebra; or any other name")] = None,
    out: Annotated[Optional[Path], typer.Option(help="new folder to write to, such as data/horse2zebra")] = None,
    url: Annotated[Optional[str], typer.Option(help="fetch this zip archive: a mirror, or a set of your own")] = None,
    source: Annotated[Optional[Path], typer.Option("--from", help="what you have: a folder or a zip")] = None,
    show: Annotated[bool, typer.Option("--list", help="show the known sets, their sizes, terms and sources")] = False,
):
    """Fetch one of the papers' sets of pictures, or prepare one that you have, for `train`."""
    from qsneg.data import paper_sets
    from qsneg.data.prepare import prepare

    for line in [paper_sets.listing()] if show else prepare(name, out, url, source):
        print(line)


@cli.command()
def draw(
    split: Annotated[str, typer.Option(help="train or test")],
    count: Annotated[int, typer.Option(help="scenes per domain")],
    out: OutFolder,
    size: Annotated[int, typer.Option(help="side in pixels")] = 128,
    seed: Annotated[int, typer.Option(help="base seed of the set")] = 0,
    kind: Annotated[str, typer.Option("--set", help="scenes, or heights: 16-bit landscapes, their views")] = "scenes",
):
    """Draw scenes of horse2zebra-drawn: trainA and trainB, or testA, testB (counterparts) and labels."""
    from tqdm import tqdm

    from qsneg.data import drawn_heights, drawn_scenes
    from qsneg.filesystem import output_folder

    sets = {"scenes": drawn_scenes, "heights": drawn_heights}
    if kind not in sets:
        raise ValueError(f"Unknown set '{kind}': choose scenes or heights.")
    sets[kind].write(split, count, size, seed, output_folder(out), progress=tqdm)


@cli.command()
def score(
    checkpoints: Checkpoints,
    count: Annotated[int, typer.Option(help="test scenes")] = 200,
    data: Annotated[Optional[str], typer.Option(help="a folder with testA and testB instead of drawn scenes")] = None,
    device: Device = "auto",
    precision: Precision = "float32",
):
    """Figures against the true counterparts of drawn test scenes, relative to the untranslated input (1).

    Of translations as people see them, with their margin.
    """
    from qsneg.metrics.score import lines

    for line in lines(checkpoints, count, data, device, precision):
        print(line, flush=True)


@cli.command()
def evaluate(
    checkpoints: Checkpoints,
    out: OutFolder,
    data: Annotated[str, typer.Option(help="horse2zebra-drawn, or a folder with testA and testB")] = DRAWN,
    count: Annotated[Optional[int], typer.Option(help="test pictures; unset: 200 scenes, or all of a folder")] = None,
    size: Annotated[int, typer.Option(help="side of the pictures in pixels; the models' cards have 128")] = 128,
    inception: Inception = None,
    segmenter: Annotated[Optional[Path], typer.Option(help="a segmenter's file instead of the shipped one")] = None,
    spread: Spread = 0,
    device: Device = "auto",
    precision: Precision = "float32",
):
    """One table for all models: FID, KID, segmentation scores, structure kept, time."""
    from qsneg.evaluation.evaluate import evaluate
    from qsneg.evaluation.table import markdown_table

    table = evaluate(
        checkpoints, out, data, count, size, inception, segmenter, device, precision=precision, spread=spread
    )
    print("\n".join([markdown_table(table["rows"]), *table["notes"], f"Written: {out / 'evaluation.md'}"]))


@cli.command()
def segmenter(
    out: Annotated[Path, typer.Option(help="file to write, such as checkpoints/segmenter.safetensors")],
    steps: Annotated[int, typer.Option(help="training steps")] = 1200,
    batch: Annotated[int, typer.Option(help="pictures per step")] = 8,
    size: Annotated[int, typer.Option(help="side of the pictures in pixels")] = 128,
    scenes: Annotated[int, typer.Option(help="drawn scenes to train on")] = 1000,
    seed: Annotated[int, typer.Option(help="seed of everything random")] = 0,
    data: Annotated[str, typer.Option(help="horse2zebra-drawn, or a folder of photographs with classes")] = DRAWN,
    device: Device = "auto",
    precision: Precision = "float32",
):
    """Train the segmentation network that judges translations of scenes whose labels are known."""
    from qsneg.metrics.segmenter import SegmenterConfig, train

    new_file(out, ".safetensors")
    card = train(SegmenterConfig(data, steps, batch, size, scenes, seed=seed, device=device, precision=precision), out)
    print(f"Mean IoU on true pictures: {card['figures']['mean_iou']:.3f}. Written: {out}")


@cli.command()
def miniature(
    out: OutFolder,
    steps: Annotated[int, typer.Option(help="training steps of every run")] = 3000,
    seeds: Annotated[int, typer.Option(help="runs of every method")] = 3,
    preset: Annotated[Optional[str], typer.Option(help=", ".join(PRESETS) + "; unset: drawn, or small")] = None,
    count: Annotated[Optional[int], typer.Option(help="test pictures; unset: 200 scenes, or all")] = None,
    inception: Inception = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="of training: auto, float32 or bfloat16; else float32")] = "auto",
    data: Annotated[str, typer.Option(help="horse2zebra-drawn, or a folder such as data/cityscapes")] = DRAWN,
    only: Annotated[Optional[list[str]], typer.Option(help="a method of the table; may be repeated")] = None,
    again: Annotated[Optional[list[str]], typer.Option(help="a method with one seed more; may be repeated")] = None,
    seed: Annotated[int, typer.Option(help="of every method's first run; the next ones follow")] = 0,
):
    """The papers' comparison in miniature: train all methods on one set at equal budget, and evaluate them."""
    from qsneg.evaluation.comparison import miniature

    miniature(out, steps, seeds, preset, count, inception, None, device, True, precision, data, only, again, seed)
    print((out / "miniature.md").read_text())


@cli.command()
def inspect(
    picture: Annotated[str, typer.Argument(help="a picture; with Ray the address of many, such as s3://…")],
    checkpoint: Model,
    out: Annotated[str, typer.Option(help="folder, or with Ray address, to write to")],
    layer: Annotated[int, typer.Option(help="generator layer: 0, 4, 8, 12 or 16")] = 12,
    mode: Annotated[str, typer.Option(help="global, local or local+global")] = "global",
    anchors: Annotated[Optional[int], typer.Option(help="number of anchors; unset: the model's own number")] = None,
    seed: Annotated[int, typer.Option(help="of random positions and of noise")] = 0,
    size: Annotated[Optional[int], typer.Option(help="short side in pixels; unset: as it is")] = None,
    device: Device = "auto",
    precision: Precision = "float32",
    white: White = None,
    engine: Engine = "local",
):
    """Look inside: entropies, anchors, contrast, negatives of one picture as files; with Ray of many as Parquet."""
    from qsneg.bulk.command import by_ray, look_at

    if by_ray(engine, [picture]):
        report = look_at(picture, checkpoint, out, device, precision, size=size, white=white, layer=layer, mode=mode,
                         anchors=anchors, seed=seed)  # fmt: skip
        print(f"{len(report.done)} inspected into '{out}'.")
        return command_line.tell(report)
    from qsneg.pages.inspect_file import inspect_file
    from qsneg.translate import load

    model = load(checkpoint, device, precision=precision)
    print(inspect_file(picture, model, out, layer, mode, anchors, seed, size, white)["in_words"])


@cli.command()
def film(
    source: Annotated[str, typer.Argument(help="folder of a run, or a family such as photo2ink")],
    picture: Annotated[Optional[Path], typer.Argument(help="of yours, through all that a run kept (--keep)")] = None,
    *,
    out: Annotated[Path, typer.Option(help="file to write: .webp, .gif or .mp4")],
    size: Annotated[Optional[int], typer.Option(help="short side of your picture in pixels (default: 256)")] = None,
    layer: Annotated[Optional[int], typer.Option(help="whose anchors are shown (default: 16, where QS-Attn)")] = None,
    number: Annotated[int, typer.Option(help="without a picture: which of the four recorded")] = 1,
    seconds: Annotated[float, typer.Option(help="that a frame stays")] = 0.6,
    device: Device = "auto",
    precision: Precision = "float32",
):
    """A film to pass on: what training recorded, or a picture of yours through all weights that a run kept."""
    from qsneg.pages.film_file import film_file

    count = film_file(source, picture, out, size, layer, number, seconds, device, precision)
    print(f"Written: {out} ({count} frames, {out.stat().st_size / 1e6:.1f} MB).")


@cli.command()
def study(
    checkpoint: Annotated[list[str], typer.Option(help="name, path or Hugging Face id; may be repeated")],
    out: OutFolder,
    data: Annotated[str, typer.Option(help="horse2zebra-drawn, the set whose labels are known")] = DRAWN,
    count: Annotated[int, typer.Option(help="test scenes")] = 200,
    device: Device = "auto",
    precision: Precision = "float32",
):
    """Do the papers' claims hold? Anchors against labels, generated against in-image negatives."""
    from qsneg.evaluation.study import study

    study(checkpoint, out, count, device, precision=precision, data=data)


@cli.command()
def publish(
    family: Annotated[str, typer.Option(help="folder under checkpoints/")],
    runs: Annotated[Optional[list[Path]], typer.Argument(help="finished runs, a method each; none: the card")] = None,
):
    """Copy finished runs into checkpoints/ and write the family's model card."""
    from qsneg.sharing.publish import publish

    print(f"Written: {publish(runs or [], family)}")


@cli.command("import")
def import_(
    method: Annotated[str, typer.Option(help=f"how it was trained: {', '.join(METHODS)}")],
    generator: Annotated[Path, typer.Option(help="published file of the generator, .pth or .safetensors")],
    out: Annotated[Path, typer.Option(help="file to write, .safetensors")],
    heads: Annotated[Optional[Path], typer.Option(help="file of the projection heads")] = None,
    negatives: Annotated[Optional[Path], typer.Option(help="NEGCUT: file of the negative generator")] = None,
    slow_heads: Annotated[Optional[Path], typer.Option(help="NEGCUT: file of the slow heads")] = None,
    layers: Annotated[Optional[str], typer.Option(help="generator layers of the heads (default: 0,4,8,12,16)")] = None,
    attention: Annotated[str, typer.Option(help="QS-Attn: global, local or local+global")] = "global",
):
    """Turn published weights (CUT, FastCUT, QS-Attn, NEGCUT, CycleGAN) into a file that everything here takes."""
    from qsneg import weights
    from qsneg.sharing.importing import convert

    new_file(out, ".safetensors")
    made = convert(method, generator, heads, negatives, slow_heads, layers and command_line.numbers(layers), attention)
    weights.save(made, out, exact=True)
    kind = f"width {made.config.width}, {made.config.blocks} blocks, {made.config.resampling} resampling"
    print(f"Written: {out} ({made.title}, {kind}). {made.why_not()}".strip())


@cli.command()
def push(
    file: Annotated[Path, typer.Argument(help="a weights file of qsneg's, .safetensors")],
    repository: Annotated[str, typer.Argument(help="user/name on the Hugging Face Hub; made if it is not there")],
    licence: Annotated[Optional[str], typer.Option(help="of the weights, as the Hub spells it: cc-by-4.0")] = None,
    private: Annotated[bool, typer.Option("--private", help="make the repository private, if it is made")] = False,
):
    """Upload weights and a model card to the Hugging Face Hub (log in first, with `hf auth login` or HF_TOKEN)."""
    from qsneg.sharing.push import push

    print(f"Uploaded: {push(file, repository, licence, private)}")


@cli.command()
def export(
    name: Annotated[str, typer.Argument(help="a name such as day2sunset/cut, a path, or a Hugging Face id")],
    format: Annotated[str, typer.Option(help="onnx")] = "onnx",
    out: Annotated[Optional[Path], typer.Option(help="file to write (default: after the name)")] = None,
):
    """Write a model's generator as ONNX, for any size divisible by 4, and compare it with PyTorch's output."""
    from qsneg.sharing.onnx import export

    path, found = export(name, format, out)
    print(f"Written: {path} ({path.stat().st_size / 1e6:.1f} MB).")
    print("Largest difference from PyTorch: " + ", ".join(f"{d:.1e} at {size}" for size, d in found.items()) + ".")


@cli.command()
def bench(
    size: Annotated[int, typer.Option(help="side of the pictures")] = 256,
    width: Annotated[int, typer.Option(help="channels of the first convolution")] = 64,
    rounds: Annotated[int, typer.Option(help="measurements of each side")] = 3,
    device: Device = "auto",
    profile: Annotated[bool, typer.Option("--profile", help="also print where a step's time goes")] = False,
    inspection: Annotated[bool, typer.Option("--inspection", help="instead: entropies, a click, every page")] = False,
    folder: Annotated[bool, typer.Option("--folder", help="instead: a folder of pictures, serially and not")] = False,
    communication: Annotated[bool, typer.Option("--communication", help="instead, by torchrun: its cost")] = False,
    growth: Annotated[bool, typer.Option("--growth", help="instead: batch, size, processes")] = False,
    tiles: Annotated[bool, typer.Option("--tiles", help="instead: one picture, in tiles and whole")] = False,
    against: Annotated[Optional[Path], typer.Option(help="instead: another checkout of qsneg beside this")] = None,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="instead: maps kept, and anew")] = False,
    precision: Annotated[str, typer.Option(help="of qsneg's side: auto, float32 or bfloat16")] = "auto",
):
    """Time training steps and translation against a plain float32 version, both in one run."""
    from qsneg.evaluation import folder_speed, speed, speed_before, speed_growth, tile_speed, together
    from qsneg.pages.speed import bench_inspection

    settings = size, width, rounds, device, precision
    others = {together.bench_communication: communication, folder_speed.bench_folder: folder,
              speed_growth.bench_growth: growth, tile_speed.bench_tiles: tiles,
              speed_before.bench_checkpointing: checkpointing}  # fmt: skip
    if against:
        speed_before.bench_against(against, *settings)
    elif asked := [measure for measure, is_asked in others.items() if is_asked]:
        asked[0](*settings)
    elif inspection:
        bench_inspection(device, "float32" if precision == "auto" else precision)
    else:
        speed.bench(size, width, rounds, device, profile, precision)


def main() -> None:
    """Run a command; what the user can mend is said in one sentence on stderr, with exit code 2."""
    command_line.run(cli)


if __name__ == "__main__":
    main()
