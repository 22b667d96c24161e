"""Many pictures on a cluster, by Ray Data (`pip install "ray[data]"`).

    python -m qsneg translate s3://bucket/photos --checkpoint day2sunset/cut --engine ray --out s3://bucket/sunsets
    python -m qsneg inspect s3://bucket/photos --checkpoint day2sunset/qs-attn --engine ray --out s3://bucket/seen

Ray reads bytes and hands them to actors, each of which keeps the model; pictures are decoded by our own reader, so that
a broken one is a row with an error, not a row that is missing. An actor that dies is started again, and its pictures
with it. RAY_ADDRESS names the cluster; without, this machine is one.
"""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np
import torch

from qsneg.bulk.files import Report, check_shard, distinct, endings
from qsneg.memory_limits import short_size
from qsneg.translate import Translator, check_margin, load
from qsneg.weights import Weights

try:
    import pyarrow
    import ray

    from qsneg.bulk.addresses import Place
    from qsneg.bulk.works import Translate, Work
except ImportError:
    raise ValueError('The engine ray is not installed: `pip install "ray[data]"`.') from None

BATCH = 8  # pictures that an actor is handed at a time
OUTCOME = {"path": pyarrow.string(), "error": pyarrow.string(), "note": pyarrow.string()}


class Actor:
    """Keeps a model and does a work to batches of pictures, a row each: its path, its error or what was found."""

    def __init__(self, weights: "ray.ObjectRef", device: str, precision: str, work: Work, root: str):
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
        self.translator = Translator(ray.get(weights), device, precision)
        self.work, self.root = work, root

    def __call__(self, batch: dict[str, np.ndarray]) -> "pyarrow.Table":
        rows = []
        for path, data in zip(batch["path"], batch["bytes"]):
            row = {"path": relative(path, self.root), "error": ""}
            try:
                row |= self.work(self.translator, row["path"], data)
            except (ValueError, OSError) as error:
                row["error"] = str(error)
            rows.append(row)
        return pyarrow.Table.from_pylist(rows, pyarrow.schema(OUTCOME | self.work.columns))


def relative(path: str, root: str) -> str:
    return str(PurePosixPath("/" + path.lstrip("/")).relative_to("/" + root.lstrip("/")))


def translate_address(
    address: str,
    checkpoint: str,
    out: str,
    work: Translate,
    device: str = "auto",
    precision: str = "float32",
    resume: bool = False,
    shard: tuple[int, int] = (1, 1),
    parquet: bool = False,
) -> Report:
    """Translate the pictures at an address to another: under their names there, as `translate_files` would name them,
    or into Parquet with the pictures as PNG in a column.

    Args:
        work: what is asked of each; `place` and `names` are set here.
        resume, shard: as of `translate_files`; into Parquet there is nothing to go on with.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: one sentence, if something cannot be used.
    """
    if work.size is not None:
        short_size((1, 1), work.size)
    check_margin(work.margin)
    check_shard(shard)
    if parquet:
        if resume:
            raise ValueError("Parquet is written whole: leave out --resume, or --parquet.")
        return to_parquet(address, checkpoint, out, work, device, precision, shard)
    source, target, weights = Place(address), Place(out), weights_of(checkpoint, precision)
    pictures, there = source.pictures(endings(weights.config)), target.files() if resume else {}
    names = distinct([PurePosixPath(name) for name in pictures], channels=weights.config.domains[1])
    results = dict(zip(pictures, map(str, names)))
    if source.path == target.path:
        raise ValueError(f"'{out}' is what is to be translated and cannot be written to: choose another --out.")
    chosen = list(pictures)[shard[0] - 1 :: shard[1]]
    left = [name for name in chosen if there.get(results[name], -1) < pictures[name]]
    if chosen and not left:
        return Report(there=len(chosen))
    names = tuple((name, result) for name, result in results.items() if name != result)
    rows = apply(dataclasses.replace(work, place=target, names=names), source, left, weights, device, precision)
    report = outcome(rows.select_columns(list(OUTCOME)).iter_batches(batch_format="pyarrow"), left, source)
    report.there = len(chosen) - len(left)
    return report


def to_parquet(
    address: str,
    checkpoint: str,
    out: str,
    work: Work,
    device: str = "auto",
    precision: str = "float32",
    shard: tuple[int, int] = (1, 1),
) -> Report:
    """Write what a work finds in the pictures at an address as Parquet, a row for each. Raises as above, and where
    there are files at `out` already."""
    source, target, weights = Place(address), Place(out), weights_of(checkpoint, precision)
    chosen = list(source.pictures(endings(weights.config)))[shard[0] - 1 :: shard[1]]
    if target.files():
        raise ValueError(f"There are files at '{out}' already: choose another --out.")
    apply(work, source, chosen, weights, device, precision).write_parquet(target.path, filesystem=target.filesystem)
    written = ray.data.read_parquet(target.path, filesystem=target.filesystem).select_columns(list(OUTCOME))
    return outcome(written.iter_batches(batch_format="pyarrow"), chosen, source)


def weights_of(checkpoint: str, precision: str) -> Weights:
    """Raises FileNotFoundError or ValueError, as `load` does, before Ray is started."""
    return load(checkpoint, "cpu", precision=precision).weights


def apply(
    work: Work, source: Place, names: list[str], weights: Weights, device: str, precision: str
) -> "ray.data.Dataset":
    """A row for every picture, from actors: one per GPU of the cluster, or per processor."""
    if not names:
        raise ValueError(f"There are no pictures at '{source.address}', or none in this part of them.")
    if not ray.is_initialized():
        ray.init(**({} if "RAY_ADDRESS" in os.environ else {"include_dashboard": False}))
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0)) if device in ("auto", "cuda") else 0
    place = "cuda" if gpus or device == "cuda" else "cpu"
    data = ray.data.read_binary_files(
        [source.at(name) for name in names],
        filesystem=source.filesystem,
        include_paths=True,
        ignore_missing_paths=True,
    )
    return data.map_batches(
        Actor,
        fn_constructor_args=(ray.put(weights), place, precision, work, source.path),
        batch_size=BATCH,
        concurrency=(1, max(1, gpus or int(resources.get("CPU", 1)) - 1)),
        num_gpus=1 if place == "cuda" else 0,
    )


def outcome(batches: Iterable["pyarrow.Table"], names: list[str], source: Place) -> Report:
    """What became of the pictures; one of which there is no row was removed meanwhile."""
    report, missing = Report(), dict.fromkeys(names)
    for batch in batches:
        for row in batch.to_pylist():
            missing.pop(row["path"], None)
            if row["error"]:
                report.failed.append((row["path"], row["error"]))
            else:
                report.done.append(row["path"])
            if row["note"]:
                report.notes.append(f"'{row['path']}': {row['note']}")
    report.failed += [(name, f"'{source.at(name)}' is not there any more.") for name in missing]
    report.failed.sort()
    return report
