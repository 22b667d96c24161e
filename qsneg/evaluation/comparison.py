"""The papers' comparison in miniature: all methods at equal budget, on horse2zebra-drawn or a folder.

    python -m qsneg miniature --out miniature                     # every method × 3 seeds × 3,000 steps: hours on a CPU
    python -m qsneg miniature --data data/cityscapes --steps 6000 --seeds 1 --again CUT --out street    # label maps
    python -m qsneg miniature --out second --seeds 1 --seed 1 --only CUT                # a second seed, by itself
    python -m qsneg miniature --out miniature --preset debug --steps 4 --seeds 1 --count 8     # to see that it runs

Trains what is not yet trained, each run a folder under runs/: one that is finished is skipped, one that was stopped
goes on; with more --steps than the runs have, all go on from their ends, a further stage. Then all are
evaluated alike (`qsneg.evaluation.evaluate`), beside the longer runs that are shipped. Of a folder with maps of classes
(`qsneg.data.labelled`) a segmenter judges, which is trained first, as segmenter.safetensors. Writes miniature.md,
miniature.json, miniature.png and examples.png (the first test pictures by every method's first seed), with the
published figures for the real sets in a column of their own.
"""

import dataclasses
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from qsneg import weights
from qsneg.bounds import ATTENTION_MODES
from qsneg.config import DRAWN, METHODS, ModelConfig, TrainConfig, build, trained_methods
from qsneg.data.labelled import class_files
from qsneg.device import keep_memory, pick
from qsneg.evaluation import evaluate
from qsneg.evaluation.table import TRUTH, dot_plot, examples, legend, markdown_table, present
from qsneg.filesystem import output_folder
from qsneg.metrics import segmenter
from qsneg.rendering import report
from qsneg.rendering.colormaps import look_of
from qsneg.training import checkpoint
from qsneg.training.resuming import resume
from qsneg.training.trainer import Trainer
from qsneg.translate import load

STREET_STEPS = 3000  # of the segmenter of photographs: as many pictures of 19 labels take longer than drawn ones
INCIDENTAL = {"device", "workers", "log_every", "sample_every", "save_every"}  # that change nothing of what is trained
LEFT_OUT = ("fastnegcut",)  # the table's other trained methods are all compared


def variants() -> dict[str, dict[str, str]]:
    """What is compared: every method by its title, those that select queries in each mode of attention."""
    found = {}
    for name in trained_methods():
        title = METHODS[name].title
        if METHODS[name].selects:
            found |= {f"{title} {mode}": dict(method=name, attention=mode) for mode in ATTENTION_MODES}
        elif name not in LEFT_OUT:
            found[title] = dict(method=name)
    return found | {"CUT, doubt": dict(method="cut", queries="doubt")}


def chosen(names: list[str] | None) -> dict[str, dict[str, str]]:
    """Those of `variants` that are named; None: all.

    Raises:
        ValueError: if there is none of that name.
    """
    there = variants()
    if unknown := [name for name in names or () if name not in there]:
        raise ValueError(f"There is no method '{unknown[0]}' to compare: choose from {'; '.join(there)}.")
    return {name: settings for name, settings in there.items() if names is None or name in names}


PUBLISHED = {  # FID as reported in the CUT paper, by the table of clean-fid's README, which reproduces it
    "CUT": {"horse→zebra": 45.5, "cat→dog": 76.2},
    "FastCUT": {"horse→zebra": 73.4, "cat→dog": 94.0},
}
SOURCE = (
    "Published: FID on the real sets at 256×256 pixels, as reported by CUT's authors and reproduced with their "
    "weights in the table of [clean-fid's README](https://github.com/GaParmar/clean-fid): 120 translations against 140 "
    "test pictures (horse→zebra), 500 against 500 (cat→dog). Another task, another scale: no number here compares with "
    "them, at most the order of methods. With so few pictures FID is noisy, and with clean-fid's own resizing CUT's "
    "are 43.7 and 77.6; who trained CUT anew on horse→zebra got 61 to 68 at the last epoch, papers often report the "
    "best ([issue 65 of CUT's repository](https://github.com/taesungp/contrastive-unpaired-translation/issues/65)). –: "
    "no figure was at hand that could be checked."
)


STREET_PUBLISHED = {
    "CUT": {"mAP": 24.7, "pixel acc.": 68.8, "class acc.": 30.7, "FID": 56.4},
    "FastCUT": {"mAP": 19.1, "pixel acc.": 59.9, "class acc.": 24.3, "FID": 68.8},
}
STREET_SOURCE = (
    "Published: table 1 of CUT's paper, in per cent (FID apart), by a DRN-D-22 on pictures of 256×128 pixels, after "
    "400 epochs at 256×256 and width 64. Another judge, another scale, a training many times as long: no number here "
    "compares with them, at most the order of methods. –: no figure was at hand that could be checked."
)
NO_SOURCE = "No published figures of this set are known here."


def published(data: str, is_judged: bool) -> tuple[dict, str]:
    """Published figures by method, and where they are from: for drawn scenes those of the real sets, for a folder with
    maps of classes those of Cityscapes."""
    if data == DRAWN:
        return PUBLISHED, SOURCE
    return (STREET_PUBLISHED, STREET_SOURCE) if is_judged else ({}, NO_SOURCE)


def configure(
    name: str,
    steps: int,
    seed: int,
    preset: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    data: str = DRAWN,
) -> tuple[ModelConfig, TrainConfig]:
    """The configurations of one run: the preset (None: drawn, or small for a folder), and nothing recorded on the way.

    Raises:
        ValueError: on an unknown preset or a setting out of range.
    """
    if steps < 1:
        raise ValueError(f"The number of steps must be at least 1, not {steps}.")
    run = dict(data=data, steps=steps, seed=seed, device=device, autocast=precision, film=False, evaluate_every=0)
    preset = preset or default_preset(data)
    return build(**variants()[name], preset=preset, **run)


def default_preset(data: str) -> str:
    return "drawn" if data == DRAWN else "small"


def run_folder(out: Path, name: str, seed: int) -> Path:
    return Path(out) / "runs" / f"{name.lower().replace(',', '').replace(' ', '-')}-{seed}"


def finish(folder: Path, model: ModelConfig, config: TrainConfig, progress: bool = True) -> Path:
    """Train a run to its end, from its checkpoint if it has one; returns the file of its weights. A run that ended
    with fewer steps goes on as a further stage, with the learning rate's schedule of all steps.

    Raises:
        ValueError: if the folder holds a run with other settings.
    """
    if (folder / "checkpoint.pt").is_file():
        check(folder, model, config)
        here = {"device": config.device, "workers": config.workers}
        trainer = resume(folder, **here)
        if trainer.steps < config.steps:
            if trainer.step < trainer.steps:
                trainer.run(progress)
            trainer = resume(folder, **here, steps=config.steps)
    else:
        trainer = Trainer(model, config, folder)
    path = folder / "model.safetensors"
    if trainer.step < trainer.steps:
        trainer.run(progress)
    elif not path.is_file() or weights.read_metadata(path)[1].get("steps") != trainer.step:
        trainer.save()  # stopped between the checkpoint and the weights
    return path


def check(folder: Path, model: ModelConfig, config: TrainConfig) -> None:
    """Raises ValueError if the folder holds a run with other settings, or with more steps."""
    if not (folder / "checkpoint.pt").is_file():
        return
    state = checkpoint.read(folder)
    ours, theirs = (
        dataclasses.asdict(a) | dataclasses.asdict(b) for a, b in ((model, config), checkpoint.settings(state, folder))
    )
    for key in ours.keys() - INCIDENTAL:
        if ours[key] != theirs[key] and not (key == "steps" and theirs[key] < ours[key]):
            raise ValueError(
                f"'{folder}' holds a run with {key} {theirs[key]} instead of {ours[key]}: repeat "
                "the settings of that run, or choose another --out."
            )


def shipped(data: str) -> dict[str, Path]:
    """The shipped models of this data, by their name."""
    trained_on = {p: weights.read_metadata(p)[1].get("data") for p in weights.available()}
    return {weights.model_name(p): p for p, name in trained_on.items() if name == Path(data).name}


def spread(rows: list[dict]) -> dict[str, float]:
    """Mean of every figure over seeds and, with more than one, its sample standard deviation as `<figure>_error`; of
    one run the figure's own interval, where it has one."""
    result = {}
    for key in present(rows):
        values = [row[key] for row in rows if key in row]
        result[key] = float(np.mean(values))
        if len(values) > 1:
            result[key + "_error"] = float(np.std(values, ddof=1))
        elif key + "_error" in rows[0]:
            result[key + "_error"] = rows[0][key + "_error"]  # of one run, its own interval
    return result


def segmenter_of(data: str, out: Path, device: str, progress: bool) -> Path | None:
    """The segmenter that judges a folder with maps of classes, trained if it is not in `out` yet; None for others."""
    path = out / "segmenter.safetensors"
    if data == DRAWN or not class_files(data, "train") or not class_files(data, "test"):
        return None
    if not path.is_file():
        segmenter.train(segmenter.SegmenterConfig(data, STREET_STEPS, device=device), path, progress=progress)
    return path


def miniature(
    out: Path | str,
    steps: int = 3000,
    seeds: int = 3,
    preset: str | None = None,
    count: int | None = None,
    inception: str | None = None,
    judge: Path | str | None = None,
    device: str = "auto",
    progress: bool = True,
    precision: str = "auto",
    data: str = DRAWN,
    methods: list[str] | None = None,
    again: list[str] | None = None,
    seed: int = 0,
) -> dict:
    """Train what is missing, evaluate everything, write the comparison into `out`; returns what is in the JSON.

    Args:
        steps: training steps of every run.
        seeds: runs of every method, with seeds `seed`, `seed` + 1, …
        preset: as in `configure`.
        count: test scenes or pictures; None: 200, or all of a folder. inception, judge: as in `evaluate.prepare`.
        precision: of training; translations that are measured are in float32, with their margin.
        data: horse2zebra-drawn, or a folder with trainA, trainB, testA and testB.
        methods: names of `variants`; None: all.
        again: those of them that have one seed more than the others; None: none.
        seed: the first seed of every method.

    Raises:
        ValueError, FileNotFoundError: if a setting cannot be used or `out` holds runs with other settings.
    """
    names, again, settings = list(chosen(methods)), list(chosen(again or [])), (preset, device, precision, data)
    runs = runs_of(names, again, seeds, seed)
    plan = [(name, run, *configure(name, steps, run, *settings)) for name, run in runs]
    out = output_folder(out)
    keep_memory(pick(device))
    for name, run, model, config in plan:  # before the long part
        check(run_folder(out, name, run), model, config)
    judge = judge or segmenter_of(data, out, device, progress)
    evaluation = evaluate.prepare(data, count, evaluate.SIZE, inception, judge, device)
    paths = {}
    for number, (name, run, model, config) in enumerate(plan, 1):
        if progress:
            print(f"{name}, seed {run} ({number} of {len(plan)})", flush=True)
        paths[name, run] = finish(run_folder(out, name, run), model, config, progress)
    kind = {"data": Path(data).name, "preset": preset or default_preset(data), "methods": names, "again": again}
    table = {**kind, "steps": steps, "seeds": seeds, "seed": seed}
    table |= {"pictures": evaluation.pictures, "notes": evaluation.notes}
    table |= measured(evaluation, paths, device)
    table |= dict(zip(("published", "published_source"), published(data, evaluation.judge is not None)))
    report.write({"miniature.json": table, "miniature.md": markdown(table), **drawn(table, evaluation)}, out)
    return table


def runs_of(names: list[str], again: list[str], seeds: int, first: int = 0) -> list[tuple[str, int]]:
    """Methods and seeds of all runs, a seed after the other from the `first` on, those of `again` once more.

    Raises:
        ValueError: if there is to be no run, or once more of a method that is not compared.
    """
    if seeds < 1:
        raise ValueError(f"The number of seeds must be at least 1, not {seeds}.")
    if missing := [name for name in again if name not in names]:
        raise ValueError(f"'{missing[0]}' is to have one seed more, but is not compared: name it with --only, too.")
    return [(name, first + i) for i in range(seeds + 1) for name in (names if i < seeds else again)]


def measured(evaluation: evaluate.Evaluation, paths: dict[tuple[str, int], Path], device: str) -> dict[str, list[dict]]:
    """Figures of the runs, of the shipped models and of what bounds them: rows of the table."""

    def figures(name: str, path: Path) -> tuple[dict, list[int]]:
        translator = load(path, device)
        own = {key: translator.card[key] for key in ("steps", "minutes")}
        stages = [stage["steps"] for stage in translator.card.get("stages", [])]  # where each but the last ended
        return own | evaluation.row(name, translator.as_shown), stages

    runs, longer = [], []
    for (name, seed), path in paths.items():
        row, stages = figures(f"{name} {seed}", path)
        runs.append({"method": name, "seed": seed, "stages": stages, **row})
    for name, path in shipped(evaluation.data).items():
        title = weights.read_metadata(path)[0].traits.title
        longer.append({"name": name, "method": title, **figures(name, path)[0]})
    bounds = [{"name": name, **row} for name, row in evaluation.bounds().items()]
    return {"bounds": bounds, "runs": runs, "shipped": longer}


def drawn(table: dict, evaluation: evaluate.Evaluation) -> dict[str, Figure]:
    """By file: the dot plot of all runs, and the first test pictures by the first seed of every method."""
    settings = chosen(table["methods"])
    groups = {name: [run for run in table["runs"] if run["method"] == name] for name in settings}
    groups |= {row["name"]: [row] for row in table["shipped"]}
    looks = {name: look_of(s["method"]) for name, s in settings.items()}
    looks |= {row["name"]: {"color": "#333333", "marker": "o"} for row in table["shipped"]}
    bounds = {row["name"]: row for row in table["bounds"]}
    names = {"source": "source", **{f"{name} {table['seed']}": name for name in settings}, TRUTH: TRUTH}
    samples = {names[k]: v for k, v in evaluation.samples.items() if k in names}
    return {"miniature.png": dot_plot(groups, bounds, looks), "examples.png": examples(samples, evaluation.colours)}


def markdown(table: dict) -> str:
    """The comparison as a page."""
    rows = [{"name": row["name"], "method": "", **row} for row in table["bounds"]]
    for name in table["methods"]:
        own = [row for row in table["runs"] if row["method"] == name]
        minutes = np.mean([row["minutes"] for row in own])
        rows.append({"name": name, "method": f"{len(own)} × {table['steps']} steps, {minutes:.0f} min", **spread(own)})
    for row in table["shipped"]:
        rows.append({**row, "method": f"1 × {row['steps']} steps, {row['minutes']:.0f} min, shipped"})
    for row in rows:
        row["note"] = ", ".join(f"{k} {v}" for k, v in table["published"].get(row["name"], {}).items()) or "–"
    lines = markdown_table(rows, ("method", "runs", "published FID" if table["data"] == DRAWN else "published"))
    seeds = f"{table['seeds']} seed(s)" + (f" from {table['seed']} on" if table["seed"] else "")
    seeds += f" ({', '.join(table['again'])}: one more)" if table["again"] else ""
    stages = {tuple(row["stages"]) for row in table["runs"]}
    budget = "".join(f" (a stage to {step}, the next from there)" for step in stages.pop())
    if stages:
        budget = " (their stages differ)"
    return "\n".join([
        f"# The papers' comparison in miniature, on {table['data']}", "",
        f"Every method: {table['steps']} steps{budget}, preset `{table['preset']}`, {seeds}; mean ± "
        "standard deviation over seeds. Shipped models are single, longer runs.", "", lines, "",
        "↓: lower is better, ↑: higher is better; the others are best near the true counterpart.", "",
        *legend(rows), "", table["published_source"], "", *(f"- {note}" for note in table["notes"]), "",
        "![Every run of every method: a dot a seed, the bar their mean](miniature.png)", "",
        "![The first test pictures, translated by the first seed of every method](examples.png)", "",
    ])  # fmt: skip
