"""One table for all models: how close to the target domain, how true to the source, how fast.

    python -m qsneg evaluate horse2zebra-drawn/cut horse2zebra-drawn/qs-attn --out evaluation
    python -m qsneg evaluate day2sunset/cut --data folder --inception inception.pth --out evaluation

A folder whose test pictures have maps of classes (`qsneg.data.labelled`) is scored by a segmenter as the papers do on
Cityscapes, where one trained on it is given: `--segmenter street.safetensors`.

Every model translates the same test pictures once, as people see them (with the mirrored margin of `translate`, in
float32 unless said otherwise), and everything is measured on these translations: the figures of
`qsneg.metrics.score` (those in the models' cards), and the columns below. Beside the models stand the untranslated
pictures and, on drawn scenes, the true counterparts. Writes evaluation.md, evaluation.json, evaluation.png (a dot plot)
and examples.png.
"""

from itertools import islice
from pathlib import Path
from statistics import median

from torch import Tensor, nn
from tqdm import tqdm

from qsneg import device as devices
from qsneg.config import DRAWN
from qsneg.data import labelled
from qsneg.data.cityscapes import IGNORED
from qsneg.evaluation import spread as spreads
from qsneg.evaluation.table import (
    COLUMNS,
    DRAWN_COLOURS,
    STREET_COLOURS,
    TRUTH,
    dot_plot,
    examples,
    legend,
    markdown_table,
)
from qsneg.filesystem import find_images, output_folder
from qsneg.image_io import from_bytes, readable
from qsneg.metrics import fidelity, segmenter, structure
from qsneg.metrics.score import Recorder, Translate, figures, sliced_wasserstein, squares
from qsneg.rendering import report
from qsneg.rendering.colormaps import look_of
from qsneg.translate import MARGIN, load

SIZE, SCENES = 128, 200  # of the figures in the cards
SAMPLES = 4  # pictures in examples.png
UNTRANSLATED = "untranslated"
DISTANCES = ("swd", "frechet", "fid", "kid", "kid_error", "kid_lite0", "kid_lite0_error")  # to domain B's pictures


class Evaluation:
    """The test pictures of a data set and all that judges translations of them.

    notes: sentences on how it was measured, and why a column is missing.

    Args:
        data: `horse2zebra-drawn`, or a folder with testA and testB.
        count: test scenes, or pictures of each domain; None: 200 scenes, or all pictures.
        size: side of the square pictures in pixels.
        network: features for FID and KID, as `fidelity.inception` returns it; None: without these columns.
        lite0: features for KID alone, as `fidelity.lite0` returns it; None: without that column.
        judge: the segmenter, for drawn scenes or for a folder with maps of classes; None: without its columns.

    Raises:
        ValueError: if there are no test pictures, or count or size cannot be used.
    """

    def __init__(
        self,
        data: str,
        count: int | None = None,
        size: int = SIZE,
        network: nn.Module | None = None,
        judge: segmenter.Segmenter | None = None,
        lite0: nn.Module | None = None,
    ):
        if count is not None and count < 1:
            raise ValueError(f"The count must be at least 1, not {count}.")
        if size < 32 or size % 8:
            raise ValueError(f"The size must be divisible by 8 and at least 32, not {size}.")
        self.data, self.count, self.size, self.network = data, count, size, network
        self.samples: dict[str, tuple[Tensor, Tensor | None]] = {}  # by row: pictures, and labels found in them
        self.source_swd = self.truth = self.labels = None
        self.colours = DRAWN_COLOURS if data == DRAWN else STREET_COLOURS
        n, where = self.read_scenes() if data == DRAWN else self.read_folder(judge is not None)
        self.pictures = n
        self.notes = [f"{n} translations at {size}×{size} pixels (the middle square, resized), compared with {where}."]
        self.judge = judge if self.labels is not None else None
        if self.judge is not None:
            if (least := int(self.labels[self.labels < IGNORED].max())) >= self.judge.classes:
                raise ValueError(
                    f"The segmenter knows {self.judge.classes} labels, '{data}' has a label {least}: give the one that "
                    f"was trained on it (`python -m qsneg segmenter --data {data}`)."
                )
            self.reference_features = segmenter.judge(self.judge, self.reference)[1]
            width = self.reference_features.shape[1]
            if n <= width:
                self.notes.append(f"No Fréchet distance: {n} scenes are not more than its {width} features.")
        self.lite0 = lite0
        if (network or lite0) and min(n, len(self.reference)) < fidelity.FEWEST:
            self.notes.append(f"No FID and KID: they need at least {fidelity.FEWEST} pictures of each domain.")
            self.network = self.lite0 = None
        if self.network is not None:
            self.real = fidelity.features(self.network, self.reference)
            m = len(self.reference)
            self.notes.append(
                f"FID and KID: {fidelity.kid_in_words(n, m)}, resized from {size} to 299 pixels as in the original "
                "TensorFlow code. With so few pictures FID is biased upwards: compare it only between sets of these "
                "counts."
            )
        if self.lite0 is not None:
            self.real_lite0 = fidelity.features(self.lite0, self.reference)
            self.notes.append(
                f"{fidelity.KID_LITE0}: {fidelity.kid_in_words(n, len(self.reference))}, resized from {size} to "
                f"{fidelity.LITE0_SIDE} pixels. It compares with no published KID, which are on Inception's features."
            )

    def read_scenes(self) -> tuple[int, str]:
        """Draw the test scenes; how many, and what translations of them are compared with."""
        n = self.count or SCENES
        truth, self.labels = segmenter.scenes("test", "B", range(n), self.size)
        other, _ = segmenter.scenes("test", "B", range(n, 2 * n), self.size)
        self.truth, self.reference = map(from_bytes, (truth, other))
        return n, f"pictures of domain B of {n} other test scenes"

    def read_folder(self, judged: bool) -> tuple[int, str]:
        """Read a folder's test pictures, with true counterparts and labels if they are judged by these; as
        `read_scenes`."""
        if not Path(self.data).is_dir():
            raise ValueError(f"There is no data folder '{self.data}'.")
        folders = [Path(self.data) / name for name in ("testA", "testB")]
        if not all(f.is_dir() and find_images(f) for f in folders):
            raise ValueError(f"'{self.data}' has no pictures in testA and testB to evaluate on.")
        self.reference = squares(folders[1], self.count, self.size)
        n = sum(1 for _ in islice(readable(folders[0]), self.count))
        if judged:
            names = [path.stem for path in find_images(folders[0])][: self.count]
            if len(names) > n:
                raise ValueError(f"Not all pictures of '{folders[0]}' can be read: prepare the set again.")
            self.labels = labelled.labels_of(self.data, "test", names, self.size)
            self.truth = from_bytes(labelled.photographs(self.data, "test", names, self.size))
        return n, f"{len(self.reference)} test pictures of domain B"

    def row(self, name: str, translate: Translate) -> dict[str, float]:
        """All figures of one translator, in the order of COLUMNS."""
        recorder = Recorder(translate)
        found = figures(recorder, self.data, self.count, self.size)
        sources, results = recorder.pictures()
        if "swd" not in found:
            self.source_swd = self.source_swd or sliced_wasserstein(sources, self.reference)
            found["swd"] = sliced_wasserstein(results, self.reference) / self.source_swd
        labels = None
        if self.judge is not None:
            labels, features = segmenter.judge(self.judge, results)
            found |= segmenter.accuracies(segmenter.confusion(labels, self.labels, self.judge.classes))
            if len(features) > features.shape[1]:
                found["frechet"] = fidelity.frechet(features, self.reference_features)
        if self.network is not None:
            found |= fidelity.fid_and_kid(fidelity.features(self.network, results), self.real)
        if self.lite0 is not None:
            kid = fidelity.kid(fidelity.features(self.lite0, results), self.real_lite0)
            found |= {name.replace("kid", "kid_lite0"): value for name, value in kid.items()}
        found |= structure.agreements(sources, results)
        found["milliseconds"] = 1000 * median(recorder.seconds)
        self.samples[name] = results[:SAMPLES], None if labels is None else labels[:SAMPLES]
        if "source" not in self.samples:
            self.samples = {
                "source": (sources[:SAMPLES], None if labels is None else self.labels[:SAMPLES])
            } | self.samples
        order = [*COLUMNS, "kid_error", "kid_lite0_error"]
        return {k: float(found[k]) for k in sorted(found, key=order.index)}

    def bounds(self) -> dict[str, dict[str, float]]:
        """The rows of the untranslated pictures and, where it is known, the truth: what is bad and what is perfect."""
        rows = {UNTRANSLATED: self.row(UNTRANSLATED, lambda x: x)}
        del self.samples[UNTRANSLATED]  # they are the sources
        if self.truth is not None:
            counterparts = iter(self.truth)
            rows[TRUTH] = self.row(TRUTH, lambda x: next(counterparts)[None])
            if self.data != DRAWN:  # there they are the very pictures that domain B is compared with
                rows[TRUTH] = {k: v for k, v in rows[TRUTH].items() if k not in DISTANCES}
        for row in rows.values():
            del row["milliseconds"]
        return rows


def prepare(
    data: str,
    count: int | None = None,
    size: int = SIZE,
    inception: str | None = None,
    judge: Path | str | None = None,
    device: str = "auto",
) -> Evaluation:
    """An evaluation with what can be had: the segmenter at `judge` (or the shipped one), and Inception's weights (see
    `fidelity.inception`). What was not asked for and cannot be had is left out, with a note why.

    Raises:
        ValueError, FileNotFoundError: if the data, or what was asked for by name, cannot be used.
    """
    notes, network, net, lite0 = [], None, None, None
    place = devices.pick(device)
    try:
        network = fidelity.inception(inception).to(place)
    except (ValueError, FileNotFoundError) as error:
        if inception not in (None, "download"):
            raise
        notes.append(f"No FID and KID: {error}")
    if data == DRAWN or judge is not None:
        try:
            net, card = segmenter.load(judge, device)
            notes.append(
                f"The segmenter (trained for {card['steps']} steps on {card['scenes']} training pictures of "
                f"{card['data']}) reaches a mean IoU of {card['figures']['mean_iou']:.3f} on true pictures."
            )
        except (ValueError, FileNotFoundError) as error:
            if judge is not None:
                raise
            notes.append(f"No segmentation scores: {error}")
    if data != DRAWN:  # on drawn scenes the truth is known
        try:
            lite0 = fidelity.lite0().to(place)
        except ValueError as error:
            notes.append(f"Left out: {error}")
    evaluation = Evaluation(data, count, size, network, net, lite0)
    evaluation.notes += notes
    return evaluation


def evaluate(
    names: list[str],
    out: Path | str,
    data: str = DRAWN,
    count: int | None = None,
    size: int = SIZE,
    inception: str | None = None,
    judge: Path | str | None = None,
    device: str = "auto",
    progress: bool = True,
    precision: str = "float32",
    spread: int = 0,
) -> dict:
    """Evaluate checkpoints and write evaluation.md, .json, .png and examples.png into `out`; returns what the JSON has.
    With `spread` also the figures of so many test pictures, beside each model's weights (`qsneg.evaluation.spread`).

    Raises:
        ValueError, FileNotFoundError: if a checkpoint, the data or a setting cannot be used.
    """
    out = output_folder(out)
    models = {
        name: load(name, device, precision=precision) for name in names
    }  # a wrong name is noticed before anything is computed
    evaluation = prepare(data, count, size, inception, judge, device)
    used = {model.precision for model in models.values()}
    evaluation.notes.insert(1, f"Translated with a mirrored margin of {MARGIN} pixels, in {' and '.join(used)}.")
    rows = [{"name": name, "method": "", **row} for name, row in evaluation.bounds().items()]
    for name, model in tqdm(models.items(), desc="evaluate", unit="model", disable=not progress):
        row = {"name": name, "method": model.title, **evaluation.row(name, model.as_shown)}
        rows.append(row)
        if spread:
            evaluation.notes.append(f"{name}: written {spreads.write(name, model, data, spread)}.")
        if (difference := from_card(row, model.card, evaluation)) is not None:
            row["from_card"] = difference
            evaluation.notes.append(f"{name}: its figures differ from those in its card by {difference:.4f} at most.")
    table = {
        "data": data if data == DRAWN else Path(data).name,
        "pictures": evaluation.pictures,
        "reference_pictures": len(evaluation.reference),
        "size": size,
        "notes": evaluation.notes,
        "rows": rows,
    }
    lines = {r["name"]: r for r in rows if not r["method"]}
    groups = {r["name"]: [r] for r in rows if r["method"]}
    looks = {name: look_of(model.config.method) for name, model in models.items()}
    files = {"evaluation.json": table, "evaluation.md": markdown(table)}
    files |= {
        "evaluation.png": dot_plot(groups, lines, looks),
        "examples.png": examples(evaluation.samples, evaluation.colours),
    }
    report.write(files, out)
    return table


def from_card(row: dict, card: dict, evaluation: Evaluation) -> float | None:
    """The largest difference between a row and the last figures of a card, where both are of the same pictures."""
    name = evaluation.data if evaluation.data == DRAWN else Path(evaluation.data).name
    same = card.get("data") == name and card.get("steps") == card.get("of_steps") and evaluation.size == SIZE
    if not same or evaluation.count not in ((None, SCENES) if evaluation.data == DRAWN else (None,)):
        return None
    differences = [abs(row[k] - v) for k, v in card.get("last", {}).items() if k in row]
    return max(differences, default=None)


def markdown(table: dict) -> str:
    """The evaluation as a page."""
    return "\n".join([
        f"# Evaluation on {table['data']}", "", markdown_table(table["rows"]), "",
        "↓: lower is better, ↑: higher is better; the others are best near the true counterpart.", "",
        *legend(table["rows"]), "", *(f"- {note}" for note in table["notes"]), "",
        "![Every figure of every model](evaluation.png)", "", "![The first test pictures](examples.png)", "",
    ])  # fmt: skip
