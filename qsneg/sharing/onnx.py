"""A model's generator as one file that runs without PyTorch.

    python -m qsneg export day2sunset/cut --format onnx --out sunset.onnx

The ONNX file takes `picture`, B×3×H×W float32 RGB in [-1, 1] with H and W divisible by 4 and at least 8, and gives
`translation` of the same shape and range. B, H and W are free. Its metadata say what it is: method, family, config
and card, the last two as JSON. No file is written unless onnxruntime agrees with PyTorch on it.
"""

import dataclasses
import importlib
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qsneg.data import drawn_scenes
from qsneg.filesystem import new_file, whole
from qsneg.image_io import filled, to_batch
from qsneg.networks import Generator
from qsneg.weights import FOLDER, Weights, load

FORMATS = ("onnx",)
PACKAGES = ("onnx", "onnxruntime", "onnxscript")  # torch's exporter needs the first and the last
OPSET = 18  # which onnxruntime runs since 1.14
CHECKED = ((256, 384), (132, 100))  # H×W at which the file is compared with PyTorch: wide, and tall with odd quarters
TOLERANCE = 1e-3  # largest absolute difference allowed, where black to white is 2


def export(name: Path | str, format: str = "onnx", out: Path | str | None = None) -> tuple[Path, dict[str, float]]:
    """Write the generator of a model (see `weights.load`) in `format`, by default to `file_name(name)` in this folder.

    Returns: the file, and its largest absolute difference from PyTorch's output by size ("384×256", width first).

    Raises:
        FileNotFoundError: if nothing is found under that name.
        ValueError: on an unknown format, a package that is missing, an `out` that exists, cannot be written or does
            not end in .onnx, or a result that differs from PyTorch's by more than `TOLERANCE`.
    """
    if format not in FORMATS:
        raise ValueError(f"Unknown format '{format}': choose {' or '.join(FORMATS)}.")
    out = new_file(out or file_name(name), ".onnx")
    require_packages()
    weights = load(name)
    content = to_onnx(weights)
    found = differences(content, weights.generator)
    with whole(out) as part:
        part.write_bytes(content)
    return out, found


def file_name(name: Path | str) -> str:
    """A file's name for a model: "day2sunset/cut" gives "day2sunset-cut.onnx"."""
    parts = Path(str(name).removesuffix(".safetensors")).parts[-2:]
    return "-".join(p for p in parts if p.strip("./\\")) + ".onnx"


def require_packages() -> None:
    """Raises ValueError, saying what to install, where a package is missing."""
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError as error:
            missing = error.name or package
            raise ValueError(f"Export needs '{missing}': run `pip install {' '.join(PACKAGES)}` first.") from None


def to_onnx(weights: Weights) -> bytes:
    """The generator as an ONNX model (opset 18), its weights inside, in float32.

    Raises ValueError if torch cannot convert it.
    """
    from onnx import helper
    from onnxscript import opset18 as op

    def instance_norm(x, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
        """One group per channel is ONNX's own instance norm, which spares reshaping and a second scaling."""
        ones, zeros = (op.Constant(value_floats=[v] * num_groups) for v in (1.0, 0.0))
        return op.InstanceNormalization(x, ones, zeros, epsilon=eps)

    batch, height, width = torch.export.Dim("B"), *(4 * torch.export.Dim(n, min=2) for n in ("h", "w"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch 2.11 warns of itself
            program = torch.onnx.export(
                weights.generator,
                (torch.zeros(2, weights.config.wide, 32, 48),),
                dynamo=True,
                opset_version=OPSET,
                verbose=False,
                input_names=["picture"],
                output_names=["translation"],
                dynamic_shapes=({0: batch, 2: height, 3: width},),
                custom_translation_table={torch.ops.aten.group_norm.default: instance_norm},
            )
    except RuntimeError as error:
        raise ValueError(
            f"torch {torch.__version__} could not convert the generator ({type(error).__name__}): install the versions "
            f"of {', '.join(PACKAGES)} that pyproject.toml names."
        ) from None
    model = program.model_proto
    graph = model.graph
    for item in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.ClearField("metadata_props")  # the exporter's traces, with paths of the machine that it ran on
        item.ClearField("doc_string")
    helper.set_model_props(
        model,
        {
            "method": weights.config.method,
            "family": family(weights),
            "config": json.dumps(dataclasses.asdict(weights.config)),
            "card": json.dumps(weights.card),
        },
    )
    colours = "RGB" if weights.config.rgb else f"{weights.config.channels_in_words} channels"
    shape = f"B×{weights.config.wide}×H×W, H and W divisible by 4 and at least 8"
    model.doc_string = (
        f"{weights.title}: {colours} in [-1, 1] ({shape}) to its translation of the same shape and range."
    )
    return model.SerializeToString()


def family(weights: Weights) -> str:
    """The family of a model: its folder under checkpoints/, or else the data it was trained on; "" if unknown."""
    if weights.path and weights.path.resolve().parent.parent == FOLDER.resolve():
        return weights.path.resolve().parent.name
    return Path(str(weights.card.get("data", ""))).name


def differences(content: bytes, generator: Generator) -> dict[str, float]:
    """The largest absolute difference of an ONNX model, run by onnxruntime, from `generator`, by size.

    Raises ValueError if it exceeds `TOLERANCE` at any size, or onnxruntime cannot run the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only
    found = {}
    for height, width in CHECKED:
        x = filled(sample(height, width), generator.colours)
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            (y,) = session.run(None, {"picture": x.numpy()})
        except Exception as error:  # onnxruntime's classes have no common parent of their own
            version = onnxruntime.__version__
            raise ValueError(
                f"onnxruntime {version} cannot run the model ({type(error).__name__}): install a newer one."
            ) from None
        with torch.inference_mode():
            expected = generator(x)
        difference = float((torch.from_numpy(y) - expected).abs().max()) if y.shape == expected.shape else float("inf")
        if not difference <= TOLERANCE:  # NaN neither
            raise ValueError(
                f"At {width}×{height} pixels onnxruntime's output differs from PyTorch's by {difference:.2g}, more "
                f"than {TOLERANCE:g}, so no file was written: try other versions of {', '.join(PACKAGES)}."
            )
        found[f"{width}×{height}"] = difference
    return found


def sample(height: int, width: int) -> Tensor:
    """A drawn scene and noise, 2×3×H×W in [-1, 1]: contents as different as they can be."""
    scene = drawn_scenes.draw(drawn_scenes.scene_seed("test", "A", 0), max(height, width), "A")[:height, :width]
    noise = np.random.default_rng(0).integers(0, 256, scene.shape)
    return to_batch([scene, noise]).contiguous()
